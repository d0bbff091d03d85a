"""Retention: folds old hours into days, removes old events, and gives their space back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import attrs
from sqlalchemy import Table, and_, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from sipqueue_async import Snapshot
from sipqueue_async.history import schema
from sipqueue_async.history.buckets import first_day
from sipqueue_async.history.encoding import encode_extra, encode_seen
from sipqueue_async.history.figures import microseconds, moment_of
from sipqueue_async.history.replay import Replay
from sipqueue_async.history.store import HOUR, Store, figure_values

_PAGES: Final = 500
"""Pages that are returned to the file system per step."""
_FREE: Final = "PRAGMA freelist_count"
_GIVE_BACK: Final = f"PRAGMA incremental_vacuum({_PAGES})"

Progress = Callable[[float], object]
"""Called with the share that is done, from 0 to 1."""


@attrs.frozen(kw_only=True)
class Pruned:
    """What `History.prune` removed."""

    events: int
    """Rows: events, and the seats of the first known status."""
    days: int
    """Days whose hours were added up."""
    kept_since: datetime | None
    """From when on events and hours are kept (aware, UTC); None if none were removed."""
    call_records: int = 0
    """Removed call records."""
    numbers: int = 0
    """Call records that stay without their personal data."""


async def prune(store: Store, keep: timedelta, zone: ZoneInfo, progress: Progress | None) -> Pruned:
    """Fold the hours before the last `keep` into days of a zone, and remove them and their events."""
    cut = await _cut(store, keep, zone)
    if cut is None:
        return Pruned(events=0, days=0, kept_since=None)
    tell: Progress = progress or (lambda _: None)
    days = await _fold_hours(store, cut, zone)
    tell(0.1)
    events = await _remove_events(store, cut * HOUR, lambda share: tell(0.1 + 0.9 * share))
    tell(1.0)
    return Pruned(events=events, days=days, kept_since=moment_of(cut * HOUR))


async def _cut(store: Store, keep: timedelta, zone: ZoneInfo) -> int | None:
    """Return the first hour to keep: the first of a day, and not later than the last one that is counted.

    None if nothing before it remains to be removed, also of an earlier prune that was stopped on its way.
    """
    until = await store.recorded_until()
    hour = schema.hourly.c.hour
    query = select(func.min(hour), func.max(hour)).where(schema.hourly.c.platform_id == store.platform_id)
    async with store.database.reading() as connection:
        first, last = (await connection.execute(query)).one()
    if until is None or last is None:
        return None
    day = min(first_day(until, keep, zone), _day(last, zone))
    cut = _first_hour(day, zone)
    return cut if cut > first or await _has_events(store, cut * HOUR) else None


async def _has_events(store: Store, cut: int) -> bool:
    """Return whether events are before a cut, and not only the status that a prune keeps, which is of one moment."""
    at = schema.event.c.at
    query = select(func.min(at), func.max(at)).where(schema.event.c.platform_id == store.platform_id, at < cut)
    async with store.database.reading() as connection:
        first, last = (await connection.execute(query)).one()
    return bool(first != last)


def _day(hour: int, zone: ZoneInfo) -> date:
    return moment_of(hour * HOUR).astimezone(zone).date()


def _first_hour(day: date, zone: ZoneInfo) -> int:
    """Return the first hour that begins on a day."""
    return -(-microseconds(datetime(day.year, day.month, day.day, tzinfo=zone)) // HOUR)


async def _fold_hours(store: Store, cut: int, zone: ZoneInfo) -> int:
    """Add up the hours before a cut to days; return how many days."""
    table = schema.hourly
    query = select(func.min(table.c.hour)).where(table.c.platform_id == store.platform_id, table.c.hour < cut)
    days = 0
    while True:
        async with store.database.reading() as connection:
            first: int | None = await connection.scalar(query)
        if first is None:
            return days
        day = _day(first, zone)
        end = min(cut, _first_hour(day + timedelta(days=1), zone))
        found = await store.hourly_sums(first, end, by_seat=True)
        numbers: dict[Any, int] = {key: number for number, key in store.seats.items()}
        rows = [
            dict(
                zip(
                    ("platform_id", "day", "zone", "seat_id", *schema.FIGURES),
                    (store.platform_id, day.isoformat(), zone.key, numbers[key], *figure_values(figures, 0)),
                    strict=True,
                )
            )
            for key, figures in found
        ]
        async with store.database.writing() as connection:
            await connection.execute(insert(schema.daily), rows)
            for pruned in (table, schema.hourly_total):
                columns = pruned.c
                of_day = and_(columns.platform_id == store.platform_id, columns.hour >= first, columns.hour < end)
                await connection.execute(delete(pruned).where(of_day))
        days += 1


async def _remove_events(store: Store, cut: int, tell: Progress) -> int:
    """Remove the events before a cut, and keep the status then; return how many rows."""
    columns = schema.event.c
    own = columns.platform_id == store.platform_id
    count = select(func.count()).where(own, columns.at < cut)
    async with store.database.reading() as connection:
        total = await connection.scalar(count) or 0
        await store.load_seats(connection)
    replay = Replay(store.seats)
    removed = 0
    async for rows in store.whole_updates(-1, cut):
        replay.seats = store.seats
        replay.skip(rows)
        last = rows[-1].at
        snapshot = replay.snapshot
        assert snapshot is not None  # noqa: S101  # rows were processed
        async with store.database.writing() as connection:
            await connection.execute(delete(schema.event).where(own, columns.at <= last))
            await _remove(connection, schema.checkpoint, store, schema.checkpoint.c.at < last)
            await _keep_status(connection, store, snapshot, last)
        removed += len(rows)
        tell(removed / total)
    return removed


async def _remove(connection: AsyncConnection, table: Table, store: Store, before: Any) -> None:
    await connection.execute(delete(table).where(table.c.platform_id == store.platform_id, before))


async def _keep_status(connection: AsyncConnection, store: Store, snapshot: Snapshot, at: int) -> None:
    """Let the record begin with a status, as if it had been the first known one."""
    numbers = {key: number for number, key in store.seats.items()}
    lag = None if snapshot.server_time is None else at - microseconds(snapshot.server_time)
    tail: tuple[object, ...] = (0, lag, encode_extra(snapshot.problems or None, coalesced=False))
    names = [column.name for column in schema.event.columns]
    rows: list[dict[str, Any]] = []
    for n, (key, agent) in enumerate(sorted(snapshot.items())):
        *outcome, record = encode_seen(agent)
        values = (store.platform_id, at, n, numbers[key], *outcome, *tail, record)
        rows.append(dict(zip(names, values, strict=True)))
        tail = (None, None, None)
    if rows:
        await connection.execute(insert(schema.event), rows)


async def vacuum(store: Store) -> None:
    """Give the space of removed rows back, bit by bit, while a recorder writes."""
    async with store.database.plain() as connection:
        if not store.database.is_sqlite:
            for table in schema.metadata.sorted_tables:
                await connection.exec_driver_sql(f"VACUUM {table.name}")
            return
        free = (await connection.exec_driver_sql(_FREE)).scalar_one()
        for _ in range(-(-free // _PAGES)):
            await _run_to_end(connection, _GIVE_BACK)
        await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


async def _run_to_end(connection: AsyncConnection, statement: str) -> None:
    """Run a statement that gives no rows, but does its work in steps: the driver makes one step by itself."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None  # noqa: S101  # it is open
    await driver.executescript(statement)
