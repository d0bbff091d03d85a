"""A record in memory, as a history reads it from its database: made from a random day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import attrs

from sipqueue_async import SeatFilter, SeatKey, Snapshot, Update
from sipqueue_async.history.figures import Figures, microseconds, moment_of
from sipqueue_async.history.fold import Fold, GapReason
from sipqueue_async.history.report import HOUR, StoredDay
from sipqueue_async.history.spans import SpanFold
from tests.kit.days import Day
from tests.kit.tally import update


@attrs.frozen
class Gap:
    """A span in which the status was unknown."""

    began_at: datetime
    ended_at: datetime | None
    reason: GapReason = "outage"


class Memory:
    """What was recorded of a day.

    Args:
        day: The day; its polls must be at different times.
        open_hours: How many of the last whole hours are not stored as sums.
        removed: Days whose hours and updates were removed.
    """

    def __init__(self, day: Day, *, open_hours: int = 0, removed: Sequence[StoredDay] = ()) -> None:
        self._day = day
        self._removed = removed
        self.first, self.last = day.polls[0].observed_at, day.polls[-1].observed_at
        self._closed = microseconds(self.last) // HOUR - open_hours
        self.asked: list[str] = []
        """The calls that read updates or sums."""

    def figures(self, ends: Iterable[datetime], *, inclusive: bool = True) -> list[dict[SeatKey, Figures]]:
        """Return the figures of each seat in spans that begin with the record; the last may contain its end."""
        return self._folded([*ends], inclusive=inclusive)[1]

    def _folded(self, ends: list[datetime], *, inclusive: bool) -> tuple[Fold, list[dict[SeatKey, Figures]]]:
        fold = Fold(self._day.polls[0], self.first)
        spans = SpanFold(fold, ends)
        for item in self._items():
            at = item.began_at if isinstance(item, Gap) else item.events[0].observed_at
            assert at is not None
            if at > ends[-1] or (at == ends[-1] and not inclusive):
                break
            if isinstance(item, Gap):
                spans.gap(item.began_at, item.ended_at, item.reason)
            else:
                spans.update(item)
        return fold, spans.finish()

    def _items(self) -> Iterable[Update | Gap]:
        for (old, new), outage in zip(pairwise(self._day.polls), self._day.outages, strict=True):
            if outage:
                yield Gap(old.observed_at, new.observed_at)
            news = update(old, new)
            if news.events:
                yield news

    def _hours(self, first: int, end: int, seats: SeatFilter) -> list[dict[SeatKey, Figures]]:
        starts = (moment_of(hour * HOUR) for hour in range(first, end + 1))
        found = self.figures([max(self.first, start) for start in starts], inclusive=False)[1:]
        return [{key: it for key, it in hour.items() if seats.admits(key)} for hour in found]

    async def covered(self) -> tuple[datetime, datetime] | None:
        return self.first, self.last

    async def closed_hour(self) -> int:
        return self._closed

    async def hour_sums(self, first: int, end: int, seats: SeatFilter) -> list[tuple[int, Figures]]:
        self.asked.append("hours")
        hours = self._hours(first, end, seats)
        return [(first + at, sum(hour.values(), Figures())) for at, hour in enumerate(hours) if hour]

    async def seat_sums(self, first: int, end: int, seats: SeatFilter) -> list[tuple[SeatKey, Figures]]:
        self.asked.append("seats")
        return [it for hour in self._hours(first, end, seats) for it in hour.items()]

    async def talking_at(self, hour: int) -> Mapping[SeatKey, int]:
        at = moment_of(hour * HOUR)
        return self._folded([at], inclusive=False)[0].talking(at)

    async def stored_days(self, since: datetime, until: datetime, seats: SeatFilter) -> Sequence[StoredDay]:
        return self._removed

    async def names(self) -> Mapping[SeatKey, str | None]:
        return {key: agent.name for poll in self._day.polls for key, agent in poll.items()}

    async def snapshot_at(self, moment: datetime) -> Snapshot | None:
        return next((poll for poll in reversed(self._day.polls) if poll.observed_at <= moment), None)

    async def timeline(self, since: datetime, until: datetime) -> AsyncIterator[Update | Gap]:
        self.asked.append("timeline")
        for item in self._items():
            if isinstance(item, Update):
                at = item.events[0].observed_at
                if at is not None and since <= at < until:
                    yield item
            elif item.began_at < until and (item.ended_at is None or item.ended_at > since):
                yield item


def shifted(day: Day, start: datetime) -> Day:
    """Return a day that begins at another time and whose polls are at different times."""
    by = start - day.polls[0].observed_at
    polls = [
        Snapshot(poll.values(), observed_at=poll.observed_at + by + number * timedelta(microseconds=1))
        for number, poll in enumerate(day.polls)
    ]
    return Day(polls, day.outages)
