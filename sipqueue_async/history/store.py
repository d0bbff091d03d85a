"""`Store`: one platform's part of a database, for reading."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias, cast
from zoneinfo import ZoneInfo

import attrs
from sqlalchemy import ColumnElement, Table, and_, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from sipqueue_async import AgentState, SeatFilter, SeatKey, Snapshot, Update
from sipqueue_async.history import schema
from sipqueue_async.history.database import Database
from sipqueue_async.history.encoding import NO_SEAT, Row, original, storable
from sipqueue_async.history.figures import Figures, moment_of
from sipqueue_async.history.fold import GapReason
from sipqueue_async.history.replay import Replay

Names: TypeAlias = str | Iterable[str] | None
"""One name, several names, or None for all."""

HOUR: Final = 3_600_000_000
"""Microseconds in an hour."""

_NEW_PLATFORM: Final = text("INSERT INTO platform (name) VALUES (:name) ON CONFLICT DO NOTHING")
_PAGE: Final = 5000
_MOST_NAMED: Final = 500
"""Up to so many seats are selected by the database; more are selected here."""
_EVENT: Final = schema.event.c
_ROW: Final = tuple(_EVENT["count" if name == "calls" else name] for name in Row._fields)


@attrs.frozen(kw_only=True)
class Outage:
    """A time in which the status was unknown."""

    began_at: datetime
    """The last moment before it at which the status was known (aware, UTC)."""
    ended_at: datetime | None
    """When the status was known again (aware, UTC); None if it is not yet."""
    reason: GapReason
    """``outage``: the platform gave no answer. ``stopped``: no recorder ran. ``clock``: the machine's clock was set."""
    failures: int = 0
    """Polls that failed, once it has ended; 0 if it is not an outage of the platform."""
    error: str | None = None
    """Why the first poll failed; of errors of other libraries only the class."""


class Store:
    """Reads one platform's part of a database.

    Args:
        database: The open database.
        platform: The platform's name.
    """

    def __init__(self, database: Database, platform: str) -> None:
        self.database = database
        self._name = platform
        self.platform_id = 0
        self.seats: dict[int, SeatKey] = {}
        """The seats by their numbers, as of the last `load_seats`."""
        self.names: dict[SeatKey, str | None] = {}
        """The last name of each seat, as of the last `load_seats`."""

    async def open(self) -> None:
        """Register the platform on first sight."""
        table = schema.platform
        query = select(table.c.id).where(table.c.name == storable(self._name))
        async with self.database.reading() as connection:
            found = await connection.scalar(query)
        if found is None:
            async with self.database.writing() as connection:
                # Another program may do the same at this moment.
                await connection.execute(_NEW_PLATFORM, {"name": storable(self._name)})
                found = await connection.scalar(query)
        self.platform_id = cast("int", found)

    async def load_seats(self, connection: AsyncConnection) -> None:
        """Read the seats and names."""
        columns = schema.seat.c
        query = select(columns.id, columns.queue, columns.extension, columns.name)
        seats: dict[int, SeatKey] = {}
        names: dict[SeatKey, str | None] = {}
        for number, queue, extension, name in await connection.execute(query.where(self._own(schema.seat))):
            key = seats[number] = SeatKey(original(queue), original(extension))
            names[key] = None if name is None else original(name)
        self.seats, self.names = seats, names

    # ---- events ------------------------------------------------------------------------------------------------------

    async def last_at(self, connection: AsyncConnection) -> int | None:
        """Return the time of the last row."""
        query = select(_EVENT.at).where(self._own(schema.event)).order_by(_EVENT.at.desc()).limit(1)
        found: int | None = await connection.scalar(query)
        return found

    async def recorded_until(self) -> datetime | None:
        """Return the last moment of which something is recorded: an update, or that nothing had changed."""
        async with self.database.reading() as connection:
            last = await self.last_at(connection)
            until = await connection.scalar(select(func.max(schema.watched.c.until)).where(self._own(schema.watched)))
        known = [it for it in (last, until) if it is not None]
        return moment_of(max(known)) if known else None

    async def first_at(self) -> int | None:
        """Return the time of the first row."""
        query = select(_EVENT.at).where(self._own(schema.event)).order_by(_EVENT.at).limit(1)
        async with self.database.reading() as connection:
            found: int | None = await connection.scalar(query)
        return found

    async def recorded_since(self) -> datetime | None:
        """Return the first moment of which something is recorded: an event, or the figures of a day."""
        daily = schema.daily.c
        query = select(daily.day, daily.zone).where(self._own(schema.daily)).order_by(daily.day).limit(1)
        first = await self.first_at()
        async with self.database.reading() as connection:
            found = (await connection.execute(query)).first()
        known = [] if first is None else [moment_of(first)]
        if found is not None:
            day = date.fromisoformat(found.day)
            known.append(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(found.zone)).astimezone(UTC))
        return min(known, default=None)

    async def replay_at(self, at: int) -> Replay:
        """Return the records after all rows up to and including a time."""
        table = schema.checkpoint
        query = select(table.c.at, table.c.snapshot).where(self._own(table), table.c.at <= at)
        async with self.database.reading() as connection:
            await self.load_seats(connection)
            found = (await connection.execute(query.order_by(table.c.at.desc()).limit(1))).first()
        snapshot = None if found is None else Snapshot.from_json(zlib.decompress(found.snapshot))
        replay = Replay(self.seats, snapshot)
        async for rows in self.rows(-1 if found is None else found.at + 1, at + 1):
            replay.skip(rows)
        return replay

    async def updates(self, since: int, until: int) -> AsyncIterator[Update]:
        """Yield the updates of a span, in order.

        Args:
            since: The first time, included.
            until: The last time, excluded.
        """
        replay = await self.replay_at(since - 1)
        async for rows in self.whole_updates(since, until):
            for update in replay.updates(rows):
                yield update

    async def timeline(self, since: int, until: int) -> AsyncIterator[Update | Outage]:
        """Yield the updates of a span and the gaps that overlap it, by their beginnings.

        Args:
            since: The first time, included.
            until: The last time, excluded.
        """
        gaps = await self.outages(since, until)
        async for update in self.updates(since, until):
            while gaps and update.snapshot is not None and gaps[0].began_at < update.snapshot.observed_at:
                yield gaps.pop(0)
            yield update
        for gap in gaps:
            yield gap

    async def whole_updates(self, since: int, until: int) -> AsyncIterator[list[Row]]:
        """Yield the rows of a span in order; each page ends with the end of an update."""
        rest: list[Row] = []
        async for page in self.rows(since, until):
            rows = rest + page
            cut = len(rows)
            while cut and rows[cut - 1].at == rows[-1].at:
                cut -= 1
            if cut:
                yield rows[:cut]
            rest = rows[cut:]
        if rest:
            yield rest

    async def rows(self, since: int, until: int, seats: SeatFilter | None = None) -> AsyncIterator[list[Row]]:
        """Yield the rows of a span in order, in pages; a page may end within an update.

        Args:
            since: The first time, included.
            until: The last time, excluded.
            seats: Only rows of these seats, and of the feed.
        """
        wanted = None
        if seats is not None and not seats.is_all:
            async with self.database.reading() as connection:
                await self.load_seats(connection)
            wanted = {number for number, key in self.seats.items() if seats.admits(key)} | {NO_SEAT}
        query = select(*_ROW).where(self._own(schema.event), _EVENT.at < until).order_by(_EVENT.at, _EVENT.n)
        if wanted is not None and len(wanted) <= _MOST_NAMED:
            query = query.where(_EVENT.seat_id.in_(sorted(wanted)))
        here: tuple[int, int] = (since, -1)
        while True:
            async with self.database.reading() as connection:
                found = (
                    await connection.execute(query.where(tuple_(_EVENT.at, _EVENT.n) > here).limit(_PAGE))
                ).fetchall()
                if any(row.seat_id not in self.seats for row in found if row.seat_id != NO_SEAT):
                    await self.load_seats(connection)
            page = [Row._make(row) for row in found]
            if page:
                yield page if wanted is None else [row for row in page if row.seat_id in wanted]
            if len(page) < _PAGE:
                return
            here = (page[-1].at, page[-1].n)

    # ---- gaps --------------------------------------------------------------------------------------------------------

    async def outages(self, since: int, until: int) -> list[Outage]:
        """Return the gaps that overlap a span, in order."""
        table = schema.gap.c
        query = select(table.began_at, table.ended_at, table.reason, table.failures, table.error)
        overlaps = and_(table.began_at < until, (table.ended_at.is_(None)) | (table.ended_at > since))
        async with self.database.reading() as connection:
            found = await connection.execute(query.where(self._own(schema.gap), overlaps).order_by(table.began_at))
            return [
                Outage(
                    began_at=moment_of(row.began_at),
                    ended_at=None if row.ended_at is None else moment_of(row.ended_at),
                    reason=cast("GapReason", row.reason),
                    failures=row.failures,
                    error=None if row.error is None else original(row.error),
                )
                for row in found
            ]

    # ---- figures -----------------------------------------------------------------------------------------------------

    async def hourly_sums(
        self, first: int, end: int, seats: SeatFilter | None = None, *, by_seat: bool
    ) -> list[tuple[int | SeatKey, Figures]]:
        """Return the figures of whole hours, summed over seats or over hours.

        Args:
            first: The first hour, in hours since the epoch.
            end: The hour after the last one.
            seats: Only these seats.
            by_seat: Sum up the hours of each seat; otherwise the seats of each hour.
        """
        is_total = not by_seat and (seats is None or seats.is_all)
        table = schema.hourly_total if is_total else schema.hourly
        within = and_(table.c.hour >= first, table.c.hour < end)
        found = await self._sums(table, within, [table.c.seat_id if by_seat else table.c.hour], seats)
        return [(self.seats[key[0]] if by_seat else key[0], figures) for key, figures in found]

    async def daily_sums(
        self, first: date, end: date, zone: str, seats: SeatFilter | None = None
    ) -> list[tuple[date, SeatKey, Figures]]:
        """Return the figures of days whose events were removed, for each day of a zone and seat.

        Args:
            first: The first day.
            end: The day after the last one.
            zone: The time zone that the days were folded in.
            seats: Only these seats.
        """
        table = schema.daily
        within = and_(table.c.day >= first.isoformat(), table.c.day < end.isoformat(), table.c.zone == zone)
        found = await self._sums(table, within, [table.c.day, table.c.seat_id], seats)
        return [(date.fromisoformat(day), self.seats[number], figures) for (day, number), figures in found]

    async def _sums(
        self, table: Table, within: ColumnElement[bool], keys: list[Any], seats: SeatFilter | None
    ) -> list[tuple[tuple[Any, ...], Figures]]:
        async with self.database.reading() as connection:
            await self.load_seats(connection)
            conditions = [self._own(table), within]
            if seats is not None and not seats.is_all:
                conditions.append(
                    table.c.seat_id.in_([number for number, key in self.seats.items() if seats.admits(key)])
                )
            query = select(*keys, *map(_aggregate, _figure_columns(table))).where(*conditions)
            found = (await connection.execute(query.group_by(*keys).order_by(*keys))).fetchall()
        size = len(keys)
        return [(tuple(row[:size]), figures_of(row[size:])) for row in found]

    async def talking_at(self, hour: int) -> dict[SeatKey, int]:
        """Return how long each talk under way at the beginning of an hour had lasted, in microseconds."""
        table = schema.hourly.c
        query = select(table.seat_id, table.talk_under_way).where(
            self._own(schema.hourly), table.hour == hour - 1, table.talk_under_way > 0
        )
        async with self.database.reading() as connection:
            await self.load_seats(connection)
            return {self.seats[number]: lasted for number, lasted in await connection.execute(query)}

    def _own(self, table: Table) -> ColumnElement[bool]:
        own: ColumnElement[bool] = table.c.platform_id == self.platform_id
        return own


_SUMMED: Final = frozenset({"answered", "hidden", "missed", "unseen", *schema.STATES})


def _figure_columns(table: Table) -> list[Any]:
    return [table.c[name] for name in schema.FIGURES]


def _aggregate(column: Any) -> Any:
    if column.name == "first_signed_in":
        return func.min(column)
    return func.sum(column) if column.name in _SUMMED else func.max(column)


def figures_of(values: Iterable[Any]) -> Figures:
    """Return the figures of a row's columns, in the order of `schema.FIGURES`."""
    row: Mapping[str, Any] = dict(zip(schema.FIGURES, values, strict=True))
    return Figures(
        answered=int(row["answered"]),
        hidden=int(row["hidden"]),
        missed=int(row["missed"]),
        unseen=int(row["unseen"]),
        elapsed={state: int(row[state]) for state in AgentState},
        first_signed_in=row["first_signed_in"],
        last_signed_in=row["last_signed_in"],
        longest_talk=row["longest_talk"],
    )


def figure_values(figures: Figures, under_way: int) -> tuple[int | None, ...]:
    """Return the columns of figures, in the order of `schema.FIGURES`."""
    return (
        figures.answered,
        figures.hidden,
        figures.missed,
        figures.unseen,
        *(figures.elapsed[state] for state in schema.STATES),
        figures.first_signed_in,
        figures.last_signed_in,
        figures.longest_talk,
        under_way,
    )
