"""Reports: the figures of any span of time by hour, day, week, queue, agent or hour of day.

Whole hours come from the sums that the recorder stored. Hours that a row's beginning or end cuts, and those that are
not stored yet, are folded from the recorded updates.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Final, Protocol, TypeAlias

import attrs

from sipqueue_async import SeatFilter, SeatKey, Snapshot, Update
from sipqueue_async.history.buckets import BY, Bucket, By, buckets, day_start
from sipqueue_async.history.figures import MICROSECONDS, Figures, microseconds, moment_of
from sipqueue_async.history.fold import Fold, GapReason
from sipqueue_async.history.spans import SpanFold

HOUR: Final = 3600 * MICROSECONDS
"""Microseconds in an hour."""

_MICROSECOND: Final = timedelta(microseconds=1)

_BySeat: TypeAlias = Iterable[tuple[SeatKey, Figures]]


@attrs.frozen(kw_only=True)
class ReportRow:
    """One row of a report."""

    label: str
    """The row's name: an hour such as ``2026-01-05 09:00``, a day, a week such as ``2026-W02``, a queue, an extension,
    or an hour of day such as ``09:00``."""
    start: datetime | None = None
    """When the row's span begins, in the report's zone; None if the row is not a span of time."""
    end: datetime | None = None
    """When the row's span ends, in the report's zone; None if the row is not a span of time."""
    queue: str | None = None
    """The queue of a row by queue or agent."""
    extension: str | None = None
    """The extension of a row by agent."""
    name: str | None = None
    """The agent's last known name, of a row by agent."""
    figures: Figures
    """The figures."""


@attrs.frozen(kw_only=True)
class Report:
    """Figures of a span of time, in rows."""

    by: By
    """What the rows are."""
    zone: tzinfo
    """The time zone of days and hours."""
    since: datetime
    """The beginning (aware): as asked for, or the beginning of the recorded time if that is later."""
    until: datetime
    """The end (aware), exclusive: as asked for, or the end of the recorded time if that is earlier."""
    rows: tuple[ReportRow, ...]
    """The rows, in order of time or name. A span in which nothing was recorded has no row."""
    total: Figures
    """The sum of all rows. An agent counts in each of its queues."""


class RecordedGap(Protocol):
    """Time in which the status was unknown."""

    @property
    def began_at(self) -> datetime:
        """When it began (aware)."""
        ...

    @property
    def ended_at(self) -> datetime | None:
        """When it ended (aware); None if it goes on."""
        ...

    @property
    def reason(self) -> GapReason:
        """Why it was unknown."""
        ...


@attrs.frozen
class StoredDay:
    """A day whose hours were removed: its figures are stored for the whole day only."""

    day: date
    zone: tzinfo
    figures: Mapping[SeatKey, Figures]
    """The figures of each seat."""


class Source(Protocol):
    """What a report reads."""

    async def covered(self) -> tuple[datetime, datetime] | None:
        """Return the beginning and the end of what is recorded."""
        ...

    async def closed_hour(self) -> int:
        """Return the first hour, counted since the epoch, from which on no figures are stored."""
        ...

    async def hour_sums(self, first: int, end: int, seats: SeatFilter) -> Iterable[tuple[int, Figures]]:
        """Return the figures of each hour from `first` until before `end`, summed over the seats."""
        ...

    async def seat_sums(self, first: int, end: int, seats: SeatFilter) -> Iterable[tuple[SeatKey, Figures]]:
        """Return the figures of each seat, summed over the hours from `first` until before `end`."""
        ...

    async def talking_at(self, hour: int) -> Mapping[SeatKey, int]:
        """Return how long the talks under way at the beginning of an hour have lasted, in microseconds."""
        ...

    async def stored_days(self, since: datetime, until: datetime, seats: SeatFilter) -> Sequence[StoredDay]:
        """Return the days whose hours were removed and of which a part is in a span, in order."""
        ...

    async def names(self) -> Mapping[SeatKey, str | None]:
        """Return the last known name of each seat's agent."""
        ...

    async def snapshot_at(self, moment: datetime) -> Snapshot | None:
        """Return the status at a moment, with the effect of an update at that moment."""
        ...

    def timeline(self, since: datetime, until: datetime) -> AsyncIterator[Update | RecordedGap]:
        """Yield updates and gaps in order, from `since` until before `until`; first a gap under way at `since`."""
        ...


async def make_report(
    source: Source, since: datetime, until: datetime, *, by: By, zone: tzinfo, seats: SeatFilter
) -> Report:
    """Return the report of a span.

    Raises:
        ValueError: A moment is naive, the end is before the beginning, `by` is none of the possible values, or the span
            needs hours that were removed.
    """
    if by not in BY:
        raise ValueError(f"by must be one of {', '.join(BY)}, not {by!r}")
    if microseconds(since) > microseconds(until):
        raise ValueError(f"the end, {until.isoformat()}, is before the beginning, {since.isoformat()}")
    covered = await source.covered()
    if covered is None:
        return Report(by=by, zone=zone, since=since, until=until, rows=(), total=Figures())
    # An update at the end of the recorded time belongs to a span that goes on beyond it.
    inclusive = until > covered[1]
    since = min(max(since, covered[0]), until)
    until = max(min(until, covered[1]), since)
    collected = _Collected(by, buckets(since, until, by, zone))
    days = await source.stored_days(since, until, seats) if since < until else ()
    start = since
    for day in days:
        start = max(start, collected.add_day(day, covered))
    start = min(start, until)
    await _Collecting(source, collected, seats, inclusive=inclusive).collect(start, until, covered[0])
    rows = collected.rows(zone, await source.names() if by == "agent" else {})
    total = sum((row.figures for row in rows), Figures())
    return Report(by=by, zone=zone, since=since, until=until, rows=tuple(rows), total=total)


class _Collected:
    """The figures of a report's rows so far."""

    def __init__(self, by: By, spans: Sequence[Bucket]) -> None:
        self._by = by
        self._at = 0
        self.spans = spans
        self.by_seat = by in {"queue", "agent"}
        self._labels: dict[str, Figures] = {}
        self._seats: dict[SeatKey, Figures] = {}

    def add(self, at: int, figures: Figures) -> None:
        """Add figures of a span that begins at a moment and lies in one bucket. Moments must not decrease."""
        while self._at < len(self.spans) - 1 and microseconds(self.spans[self._at].end) <= at:
            self._at += 1
        label = self.spans[self._at].label
        self._labels[label] = self._labels.get(label, Figures()) + figures

    def add_seats(self, at: int, found: _BySeat) -> None:
        """Add figures of seats in a span that begins at a moment."""
        if self.by_seat:
            for key, figures in found:
                self._seats[key] = self._seats.get(key, Figures()) + figures
        else:
            total = sum((figures for _, figures in found), Figures())
            self.add(at, total)

    def add_day(self, day: StoredDay, covered: tuple[datetime, datetime]) -> datetime:
        """Add a day whose hours were removed; return its end.

        Raises:
            ValueError: A row has only a part of the day.
        """
        end = day_start(day.day + timedelta(days=1), day.zone)
        first, last = max(day_start(day.day, day.zone), covered[0]), min(end, covered[1])
        if not any(it.start <= first and last <= it.end for it in self.spans):
            raise ValueError(
                f"the hours of {day.day} were removed, only the whole day's figures are left: make the report by day, "
                f"week, queue or agent, in the time zone {day.zone}, and let it begin and end with a day"
            )
        self.add_seats(microseconds(first), day.figures.items())
        # A stored day has the hours that begin on it.
        return moment_of(-(-microseconds(end) // HOUR) * HOUR)

    def rows(self, zone: tzinfo, names: Mapping[SeatKey, str | None]) -> list[ReportRow]:
        """Return the rows, in order."""
        match self._by:
            case "agent":
                return [
                    ReportRow(
                        label=key.extension, queue=key.queue, extension=key.extension, name=names.get(key), figures=it
                    )
                    for key, it in sorted(self._seats.items())
                ]
            case "queue":
                return [ReportRow(label=name, queue=name, figures=it) for name, it in self._queues().items()]
            case "hour_of_day":
                return [ReportRow(label=label, figures=it) for label, it in sorted(self._labels.items())]
            case _:
                return [
                    ReportRow(
                        label=it.label,
                        start=it.start.astimezone(zone),
                        end=it.end.astimezone(zone),
                        figures=self._labels.get(it.label, Figures()),
                    )
                    for it in self.spans
                ]

    def _queues(self) -> dict[str, Figures]:
        queues: dict[str, Figures] = {}
        for key, figures in sorted(self._seats.items()):
            queues[key.queue] = queues.get(key.queue, Figures()) + figures
        return queues


class _Collecting:
    """Reads the figures of a span and adds them to the rows.

    Args:
        source: What to read.
        collected: The rows.
        seats: Which seats to count.
        inclusive: Whether an update at the end of the span counts.
    """

    def __init__(self, source: Source, collected: _Collected, seats: SeatFilter, *, inclusive: bool) -> None:
        self._source = source
        self._collected = collected
        self._seats = seats
        self._inclusive = inclusive

    async def collect(self, since: datetime, until: datetime, recorded: datetime) -> None:
        """Add the figures.

        Args:
            since: The beginning of the span.
            until: Its end.
            recorded: The beginning of what is recorded.
        """
        start, end = microseconds(since), microseconds(until)
        if start >= end:
            return
        inner = (microseconds(it.start) for it in self._collected.spans)
        bounds = [start, *(it for it in inner if start < it < end), end]
        closed = await self._source.closed_hour()
        cut = {it // HOUR for it in bounds if it % HOUR}
        hours = range(start // HOUR, (end if self._inclusive else end - 1) // HOUR + 1)
        for is_stored, run in groupby(hours, key=lambda hour: hour < closed and hour not in cut):
            of_run = [*run]
            first, last = of_run[0] * HOUR, (of_run[-1] + 1) * HOUR
            if is_stored:
                await self._add_stored(of_run[0], of_run[-1] + 1)
            else:
                # Begin with the hour: how long talks have lasted is stored for the beginnings of hours.
                begin, stop = max(first, microseconds(recorded)), min(last, end)
                ends = [*bounds[bisect_right(bounds, begin) : bisect_left(bounds, stop)], stop]
                is_first, is_last = begin == microseconds(recorded), stop == end
                for at, taken in await self._folded(begin, ends, is_first=is_first, is_last=is_last):
                    if at >= start:
                        self._collected.add_seats(at, taken)

    async def _add_stored(self, first: int, end: int) -> None:
        if self._collected.by_seat:
            self._collected.add_seats(first * HOUR, await self._source.seat_sums(first, end, self._seats))
        else:
            for hour, figures in await self._source.hour_sums(first, end, self._seats):
                self._collected.add(hour * HOUR, figures)

    async def _folded(self, begin: int, ends: list[int], *, is_first: bool, is_last: bool) -> list[tuple[int, _BySeat]]:
        """Return the beginning and the figures of each span between `begin` and the ends."""
        at, until = moment_of(begin), moment_of(ends[-1])
        known = await self._source.snapshot_at(at if is_first else at - _MICROSECOND)
        talking = {} if is_first or begin % HOUR else await self._source.talking_at(begin // HOUR)
        spans = SpanFold(Fold(known, at, talking=talking), map(moment_of, ends))
        # The last span contains its end if that is the end of the recorded time: nothing comes after it.
        past = until + _MICROSECOND if self._inclusive and is_last else until
        async for item in self._source.timeline(at, past):
            if isinstance(item, Update):
                spans.update(item)
            else:
                spans.gap(item.began_at, item.ended_at, item.reason)
        found = [[it for it in taken.items() if self._seats.admits(it[0])] for taken in spans.finish()]
        return list(zip([begin, *ends[:-1]], found, strict=True))
