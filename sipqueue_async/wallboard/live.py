"""Follows a feed: keeps the board, says how fresh it is, and wakes whoever waits for news."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sipqueue_async import Feed, FeedDown, FeedHealth, StatusWatcher, Update
from sipqueue_async.wallboard.board import Board, milliseconds
from sipqueue_async.wallboard.words import reason

BEAT: Final = 5.0
"""Seconds from one sign of life to the next."""

STALE_AFTER: Final = 30.0
"""Seconds without a good look after which what is known is no longer fresh."""

_CLOSED: Final = "the program no longer asks the platform"
_CLOSED_READER: Final = "the program no longer reads what a relay publishes"


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


class Live:
    """The board of a running feed.

    Args:
        feed: What to follow.
        clock: The time now (aware), on the clock that the snapshots' `observed_at` is of.
        beat: Seconds from one sign of life to the next.
        stale_after: Seconds without a good look after which the board is no longer fresh.
    """

    def __init__(
        self, feed: Feed, *, clock: Callable[[], datetime] = utc_now, beat: float = BEAT, stale_after: float
    ) -> None:
        self.feed = feed
        self.board = Board()
        self.closed = False
        """Whether all who listen are to leave."""
        self._updates = feed.updates()
        self._has_begun = feed.snapshot is not None
        """Whether calls are counted, which they are from the moment that the status is known, or from a baseline on."""
        self._clock = clock
        self._beat = beat
        self._stale_after = stale_after
        self._news = asyncio.Event()
        self._good_at: float | None = None
        self._sign_of_life = self.sign_of_life()

    # ---- following ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the feed until it ends.

        Raises:
            BaseException: Whatever ended the feed, if it failed.
        """
        stop = self.feed.add_listener(self._looked)
        closed = _CLOSED if isinstance(self.feed, StatusWatcher) else _CLOSED_READER
        try:
            self._take_what_was_before()
            async for update in self._updates:
                self.board.update(update)
                self._tell()
            self._end(closed)
        except Exception as error:
            self._end(f"{closed}: {reason(error)}")
            raise
        finally:
            stop()

    def _end(self, why: str) -> None:
        self.board.end(self.feed.health.last_good_at, why)
        self._tell()

    def _take_what_was_before(self) -> None:
        """Begin with a feed that has been running for a while."""
        health = self.feed.health
        if health.up is not None:
            self._looked(health)
        if health.up is False and health.last_error is not None and not self._updates.pending:
            down = FeedDown(error=health.last_error, since=health.last_good_at)
            known = self.feed.snapshot
            self.board.update(Update(sequence=0, snapshot=known, previous=known, events=(down,)))

    def _looked(self, health: FeedHealth) -> None:
        if health.up:
            self._good_at = asyncio.get_running_loop().time()
        # What is known first need not be a change; where it is one, it is told by an update.
        snapshot = self.feed.snapshot
        if not self._has_begun and health.up and snapshot is not None:
            # A relay that was away tells what was so before it went, and then what has happened since.
            self._has_begun = True
            while update := self._updates.get_nowait():
                self.board.update(update)
            self.board.begin(snapshot)
            self._tell()
        # There may be nobody in it.
        elif not self.board.has_begun and not self._updates.pending and snapshot is not None:
            self.board.begin(snapshot)
            self._tell()
        if health.up is False and health.last_error is not None and self.board.explain(health.last_error):
            self._tell()

    async def give_signs_of_life(self) -> None:
        """Give one after the other, also once the feed has ended: the connection is alive, whatever the feed is."""
        while True:
            await asyncio.sleep(self._beat)
            self._sign_of_life = self.sign_of_life()
            self._tell()

    # ---- what it tells -----------------------------------------------------------------------------------------------

    @property
    def is_fresh(self) -> bool:
        """Whether the last good look was not long ago, by the loop's clock."""
        now = asyncio.get_running_loop().time()
        return not self.feed.health.ended and self._good_at is not None and now - self._good_at < self._stale_after

    @property
    def news(self) -> asyncio.Event:
        """What will be set with the next news: take it before looking at what there is, and nothing is overlooked."""
        return self._news

    @property
    def last_sign_of_life(self) -> str:
        """The newest sign of life: the same object for all, until there is another."""
        return self._sign_of_life

    def sign_of_life(self) -> str:
        """Return a sign of life made now, as JSON: the time in milliseconds, and how many seconds to the next."""
        return json.dumps({"now": milliseconds(self._clock()), "every": self._beat})

    def close(self) -> None:
        """Let all who listen leave."""
        self.closed = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
