"""`History`: a database of what happened, to read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from datetime import datetime, timedelta, tzinfo
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import attrs

from sipqueue_async import AgentState, CallDirection, Event, SeatFilter, SeatKey, Snapshot, Update
from sipqueue_async._time_zones import named_zone
from sipqueue_async.history.buckets import By
from sipqueue_async.history.call_report import CallBy, CallReport, make_call_report
from sipqueue_async.history.call_store import read_calls, read_cursor, remove_calls, remove_numbers
from sipqueue_async.history.database import Database
from sipqueue_async.history.figures import microseconds, moment_of
from sipqueue_async.history.intervals import Call, Intervals, StateInterval, call_of
from sipqueue_async.history.prune import Pruned, prune, vacuum
from sipqueue_async.history.replay import Replay
from sipqueue_async.history.report import Report, make_report
from sipqueue_async.history.source import StoreSource
from sipqueue_async.history.store import Names, Outage, Store
from sipqueue_async.history.zones import zone_or_local
from sipqueue_async.records import CallCounter, CallCursor, FollowedCall


class History:
    """What happened at one platform, in a database that a `Recorder` writes.

    An async context manager: inside the block the database is open. The schema is created or brought up to date first.
    Any number of programs may read a database while one records.

    Times given must be aware. A span contains its beginning and not its end.

    Args:
        url: ``sqlite:///day.db`` (a file; four slashes begin an absolute path) or ``postgresql://user@host/name``.
        platform: The name of the platform, if several share the database.
        create: Whether a missing file of SQLite is made. Use False in a program that only reads: then a wrong name is
            an error instead of an empty history.

    Raises:
        ValueError: The URL is invalid, or the name is empty.
    """

    def __init__(self, url: str, *, platform: str = "main", create: bool = True) -> None:
        if not platform:
            raise ValueError("platform needs a name; leave it out for 'main'")
        self._platform = platform
        self._database = Database(url, create=create)
        self._store = Store(self._database, platform)

    async def __aenter__(self) -> Self:
        """Open the database.

        Raises:
            HistoryError: It cannot be opened, it is missing and `create` is False, or a newer release wrote its schema.
        """
        await self._database.open()
        try:
            await self._store.open()
        except BaseException:
            await self._database.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._database.close()

    def __repr__(self) -> str:
        return f"<History of {self._platform!r} in {self._database}>"

    @property
    def platform(self) -> str:
        """The name of the platform."""
        return self._platform

    @property
    def url(self) -> str:
        """The URL of the database, with asterisks in place of a password."""
        return str(self._database)

    async def seats(self) -> dict[SeatKey, str | None]:
        """Return all seats that were ever recorded, with their agents' last names.

        Raises:
            HistoryError: The database cannot be read.
        """
        async with self._database.reading() as connection:
            await self._store.load_seats(connection)
        return dict(self._store.names)

    async def baseline(self) -> Snapshot | None:
        """Return the last recorded status, to resume with: ``StatusWatcher(client, baseline=...)``.

        Its `observed_at` is the last moment at which the status is known to have held. None if nothing is recorded.

        Raises:
            HistoryError: The database cannot be read.
        """
        until = await self._store.recorded_until()
        if until is None:
            return None
        found = (await self._store.replay_at(microseconds(until))).snapshot
        if found is None:
            return None
        return found.with_changes({}, observed_at=until, server_time=found.server_time, problems=found.problems)

    async def snapshot_at(self, time: datetime) -> Snapshot | None:
        """Return the status at a time, with the `observed_at` of the last change before; None before the first one.

        Raises:
            HistoryError: The database cannot be read.
            ValueError: The time is naive.
        """
        return (await self._store.replay_at(microseconds(time))).snapshot

    async def updates(self, since: datetime, until: datetime) -> AsyncIterator[Update]:
        """Yield the recorded updates of a span, in order, as a consumer that keeps up received them.

        `observed_at` is exact unless the wall clock was set back. Snapshots have no `steady_at`.

        Raises:
            HistoryError: The database cannot be read.
            ValueError: A time is naive.
        """
        async for update in self._store.updates(*_span(since, until)):
            yield update

    async def events(
        self,
        since: datetime,
        until: datetime,
        *,
        queue: Names = None,
        extension: Names = None,
        types: type[Event] | tuple[type[Event], ...] | None = None,
    ) -> AsyncIterator[Event]:
        """Yield the recorded events of a span, in order.

        Args:
            since: The beginning.
            until: The end.
            queue: Only events of this queue or these queues, and feed events, which concern every queue.
            extension: Only events of this extension or these extensions, and feed events.
            types: Only events of this class or these classes.

        Raises:
            HistoryError: The database cannot be read.
            ValueError: A time is naive, or a name is empty.
        """
        seats = SeatFilter(_names(queue), _names(extension))
        begin, end = _span(since, until)
        start = await self._store.replay_at(begin - 1)
        replay = Replay(self._store.seats, start.snapshot)
        async for rows in self._store.rows(begin, end, seats):
            replay.seats = self._store.seats
            for event in replay.events(rows):
                if types is None or isinstance(event, types):
                    yield event

    async def outages(self, since: datetime, until: datetime) -> AsyncIterator[Outage]:
        """Yield the times in which the status was unknown and that overlap a span, in order.

        Raises:
            HistoryError: The database cannot be read.
            ValueError: A time is naive.
        """
        for outage in await self._store.outages(*_span(since, until)):
            yield outage

    async def calls(
        self, since: datetime, until: datetime, *, queue: Names = None, extension: Names = None
    ) -> AsyncIterator[Call]:
        """Yield the answered and missed calls of a span, in order.

        Args:
            since: The beginning.
            until: The end.
            queue: Only calls of this queue or these queues.
            extension: Only calls of this extension or these extensions.

        Raises:
            HistoryError: The database cannot be read.
            ValueError: A time is naive, or a name is empty.
        """
        async for event in self.events(since, until, queue=queue, extension=extension):
            call = call_of(event)
            if call is not None:
                yield call

    async def intervals(
        self,
        since: datetime,
        until: datetime,
        *,
        queue: Names = None,
        extension: Names = None,
        states: Iterable[AgentState | str] | None = None,
    ) -> AsyncIterator[StateInterval]:
        """Yield the time that each agent spent in each state, in the order of the ends.

        Intervals are cut at the ends of the span, and at the end of what is recorded.

        Args:
            since: The beginning.
            until: The end.
            queue: Only intervals of this queue or these queues.
            extension: Only intervals of this extension or these extensions.
            states: Only intervals of these states.

        Raises:
            HistoryError: The database cannot be read.
            ValueError: A time is naive, a name is empty, or there is no such state.
        """
        seats = SeatFilter(_names(queue), _names(extension))
        wanted = frozenset(AgentState) if states is None else frozenset(map(AgentState, states))
        async for interval in self._intervals(*_span(since, until)):
            if seats.admits(interval.key) and interval.state in wanted:
                yield interval

    async def _intervals(self, since: int, until: int) -> AsyncIterator[StateInterval]:
        first, last = await self._store.first_at(), await self._store.recorded_until()
        if first is None or last is None:
            return
        begin, end = max(since, first), min(until, microseconds(last))
        known = (await self._store.replay_at(begin if begin == first else begin - 1)).snapshot
        found = Intervals(known, moment_of(begin), began_before=begin > first)
        # What changes at the end of the recorded time is part of it.
        async for item in self._store.timeline(begin, end if end == until else end + 1):
            if isinstance(item, Update):
                for interval in found.update(item):
                    yield interval
            else:
                found.gap(item)
        for interval in found.finish(moment_of(max(begin, end))):
            yield interval

    async def call_cursor(self) -> CallCursor | None:
        """Return how far the call records were recorded, to resume with: ``CallFeed(client, cursor)``.

        None if a `CallRecorder` never wrote.

        Raises:
            HistoryError: The database cannot be read.
        """
        return await read_cursor(self._store)

    async def call_records(
        self,
        since: datetime,
        until: datetime,
        *,
        queue: Names = None,
        extension: Names = None,
        direction: CallDirection | str | None = None,
    ) -> AsyncIterator[FollowedCall]:
        """Yield the recorded call records of a span with their queues, in the order of dialling, with times in UTC.

        Args:
            since: The beginning; a call belongs to the span by the time of dialling.
            until: The end.
            queue: Only calls that are known to be of this queue or these queues.
            extension: Only calls of this extension or these extensions.
            direction: Only incoming or only outgoing calls.

        Raises:
            HistoryError: The database cannot be read.
            ValueError: A time is naive, a name is empty, or there is no such direction.
        """
        seats = SeatFilter(_names(queue), _names(extension))
        wanted = None if direction is None else CallDirection(direction)
        async for call in read_calls(self._store, *_span(since, until), seats, wanted):
            yield call

    async def call_report(
        self,
        since: datetime,
        until: datetime,
        *,
        by: CallBy = "day",
        zone: tzinfo | str | None = None,
        queue: Names = None,
        extension: Names = None,
        answer_within: float = 20.0,
        wrap_up: float = 0.0,
        prefixes: int | Collection[str] = 3,
    ) -> CallReport:
        """Return `CallFigures` of the recorded incoming calls that were dialled in a span, in rows.

        Args:
            since: The beginning.
            until: The end.
            by: What the rows are: ``"hour"``, ``"day"``, ``"week"``, ``"queue"``, ``"agent"`` (in all queues),
                ``"prefix"`` of the caller's number, or ``"hour_of_day"``.
            zone: The time zone of days and hours, or its name; by default this machine's.
            queue: Only calls that are known to be of this queue or these queues.
            extension: Only calls of this extension or these extensions.
            answer_within: The seconds of the service level.
            wrap_up: The seconds of after-call work that the handle time includes.
            prefixes: As for `number_prefix`, for a report by prefix.

        Raises:
            HistoryError: The database cannot be read.
            TypeError: `answer_within`, `wrap_up` or `prefixes` has the wrong type.
            ValueError: A time is naive, the end is before the beginning, a name is empty, or another argument is
                invalid.
        """
        return await make_call_report(
            self._store,
            since,
            until,
            by=by,
            zone=zone_or_local(zone),
            seats=SeatFilter(_names(queue), _names(extension)),
            counter=CallCounter(within=answer_within, wrap_up=wrap_up),
            prefixes=prefixes,
        )

    async def prune(
        self,
        keep: timedelta,
        *,
        zone: ZoneInfo | str | None = None,
        keep_numbers: timedelta | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> Pruned:
        """Remove old events and call records. Reports still have the events' figures of each day.

        Whole days are removed, in small transactions, so that a recorder can go on writing. The space is used again;
        `vacuum` gives it back to the file system.

        Args:
            keep: The length of time to keep, counted back from the last recorded moment.
            zone: The time zone of the days, or its name; by default UTC. An hour belongs to the day in which it begins.
            keep_numbers: The length of time to keep telephone numbers and other personal data of call records; by
                default as long as the records.
            progress: Called with the share that is done, from 0 to 1.

        Raises:
            HistoryError: The database cannot be written.
            ValueError: `keep` or `keep_numbers` is negative.
        """
        for name, length in (("keep", keep), ("keep_numbers", keep_numbers)):
            if length is not None and length < timedelta(0):
                raise ValueError(f"{name} must not be negative, as {length} is")
        days = named_zone("zone", zone) if isinstance(zone, str) else zone or ZoneInfo("UTC")
        pruned = await prune(self._store, keep, days, progress)
        calls = await remove_calls(self._store, keep, days)
        numbers = 0 if keep_numbers is None else await remove_numbers(self._store, keep_numbers, days)
        return attrs.evolve(pruned, call_records=calls, numbers=numbers)

    async def vacuum(self) -> None:
        """Give the space of removed events back to the file system, while others read and write.

        Raises:
            HistoryError: The database cannot be written.
        """
        await vacuum(self._store)

    async def report(
        self,
        since: datetime,
        until: datetime,
        *,
        by: By = "day",
        zone: tzinfo | str | None = None,
        queue: Names = None,
        extension: Names = None,
    ) -> Report:
        """Return the figures of a span, in rows.

        Args:
            since: The beginning.
            until: The end.
            by: What the rows are: ``"hour"``, ``"day"``, ``"week"``, ``"queue"``, ``"agent"`` (in each queue), or
                ``"hour_of_day"`` for the hours of all days together.
            zone: The time zone of days and hours, or its name such as ``"Europe/Berlin"``; by default this machine's.
            queue: Only this queue or these queues.
            extension: Only this extension or these extensions.

        Raises:
            HistoryError: The database cannot be read.
            TypeError: A time is no datetime, or the zone is neither a tzinfo nor a name.
            ValueError: A time is naive, the end is before the beginning, a name is empty or no zone's, `by` is none of
                these, or the span has a part of a day whose hours were removed.
        """
        seats = SeatFilter(_names(queue), _names(extension))
        return await make_report(StoreSource(self._store), since, until, by=by, zone=zone_or_local(zone), seats=seats)


def store_of(history: History) -> Store:
    """Return what recorders use of a history's database."""
    return history._store  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _span(since: datetime, until: datetime) -> tuple[int, int]:
    return microseconds(since), microseconds(until)


def _names(names: Names) -> list[str] | None:
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)
