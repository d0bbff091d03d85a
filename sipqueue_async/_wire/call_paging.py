"""Which page of call records to ask for next, and which of its records are new."""

from __future__ import annotations

from typing import Final

from sipqueue_async._wire.call_records import CallPage
from sipqueue_async.calls import CallRecord
from sipqueue_async.errors import MalformedResponse

_MOST_ROUNDS: Final = 8
"""Enough for any list that is read faster than it grows."""


class CallPaging:
    """Walks through the pages of a list that grows meanwhile, and gives each record once.

    A record that arrives while the pages are read moves others to a later page, where they are met again, or arrives on
    a page that was read already. So after such a round the pages are read once more, until a round shows no movement.

    Args:
        page_size: How many records a page may have. After a full page the next one is asked for, even if the server
            counts no more records.
    """

    def __init__(self, page_size: int) -> None:
        self._page_size = page_size
        self.page: int | None = 1
        """The number of the page to ask for, or None if there is nothing more to ask."""
        self._known: set[str] = set()
        self._rounds = 1
        self._begin_round()

    def _begin_round(self) -> None:
        self.page = 1
        self._read = 0
        self._met: set[str] = set()
        self._first_total: int | None = None
        self._has_moved = False
        self._has_news = False

    def take(self, page: CallPage) -> list[CallRecord]:
        """Return the records of the page `page` that were not returned before, and choose the next page.

        Raises:
            MalformedResponse: The page is empty, though the server says that there are more records.
        """
        number = self.page or 1
        if number == 1:
            self._first_total = page.total
        self._has_moved |= page.total != self._first_total
        is_repeated = all(record.id in self._met for record in page.records)
        news: list[CallRecord] = []
        for record in page.records:
            self._has_moved |= record.id in self._met
            self._met.add(record.id)
            if record.id not in self._known:
                self._known.add(record.id)
                news.append(record)
        self._has_news |= bool(news)
        self._read += len(page.records)
        # Without a total only a page with nothing new is the last: some servers repeat their last page for ever.
        is_full = page.total is None or len(page.records) >= self._page_size
        if page.records and ((is_full and not is_repeated) or self._read < (page.total or 0)):
            self.page = number + 1
        else:
            self._end_round(page, number)
        return news

    def _end_round(self, page: CallPage, number: int) -> None:
        if not page.records and not self._has_moved and self._read < (page.total or 0):
            raise MalformedResponse(
                f"page {number} of the call records is empty after {self._read} records, "
                "though totalitems says that there are more"
            )
        self._rounds += 1
        is_settled = not self._has_moved or not self._has_news
        if is_settled or self._rounds > _MOST_ROUNDS:
            self.page = None
        else:
            self._begin_round()
