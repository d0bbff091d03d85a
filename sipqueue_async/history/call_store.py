"""Reads and writes the call records of one platform."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, tuple_, update

from sipqueue_async import CallDirection, SeatFilter
from sipqueue_async.history.batch import replacing
from sipqueue_async.history.buckets import day_start, first_day
from sipqueue_async.history.call_rows import Numbers, call_of, call_row
from sipqueue_async.history.call_tables import call_cursor, call_record
from sipqueue_async.history.encoding import storable
from sipqueue_async.history.figures import microseconds, moment_of
from sipqueue_async.history.store import Store
from sipqueue_async.records import CallCursor, FollowedCall

_PAGE: Final = 5000
_CALL: Final = call_record.c
_PERSONAL: Final = (_CALL.caller, _CALL.callee, _CALL.personal)


class CallWriter:
    """Writes call records together with the cursor that covers them.

    Args:
        store: The platform's store.
        numbers: What is kept of telephone numbers.
    """

    def __init__(self, store: Store, numbers: Numbers) -> None:
        self._store = store
        self._numbers: Numbers = numbers
        dialect = store.database.dialect
        # With the columns in their order, so that plain tuples are the parameters.
        self._calls = f"{insert(call_record).compile(dialect=dialect)} ON CONFLICT DO NOTHING"
        self._cursor = f"{insert(call_cursor).compile(dialect=dialect)} {replacing(call_cursor)}"

    async def write(self, calls: Sequence[FollowedCall], cursor: CallCursor) -> None:
        """Write calls and the cursor in one transaction. A record that is there already stays as it is.

        Raises:
            HistoryError: They were not written.
        """
        # In a thread: thousands of records would block the event loop.
        rows, place = await asyncio.to_thread(self._encode, calls, cursor)
        async with self._store.database.writing() as connection:
            await connection.exec_driver_sql(self._calls, rows)
            await connection.exec_driver_sql(self._cursor, place)

    def _encode(self, calls: Sequence[FollowedCall], cursor: CallCursor) -> tuple[list[Any], tuple[int, bytes]]:
        number = self._store.platform_id
        rows = [call_row(call, number, self._numbers) for call in calls]
        return rows, (number, zlib.compress(cursor.to_json()))


async def read_cursor(store: Store) -> CallCursor | None:
    """Return the cursor that was written last."""
    query = select(call_cursor.c.cursor).where(call_cursor.c.platform_id == store.platform_id)
    async with store.database.reading() as connection:
        found: bytes | None = await connection.scalar(query)
    return None if found is None else CallCursor.from_json(zlib.decompress(found))


async def read_calls(
    store: Store, since: int, until: int, seats: SeatFilter, direction: CallDirection | None = None
) -> AsyncIterator[FollowedCall]:
    """Yield the calls that were dialled in a span, by the time of dialling; a page of them is in memory at a time.

    Args:
        store: The platform's store.
        since: The first time, included.
        until: The last time, excluded.
        seats: Only calls of these queues and extensions.
        direction: Only calls of this direction.
    """
    conditions = [*_chosen(store, seats, direction), _CALL.started_at < until]
    query = select(call_record).where(*conditions).order_by(_CALL.started_at, _CALL.id).limit(_PAGE)
    here: tuple[int, str] = (since, "")
    while True:
        after = query.where(tuple_(_CALL.started_at, _CALL.id) > here)
        async with store.database.reading() as connection:
            page = (await connection.execute(after)).fetchall()
        for row in page:
            yield call_of(row)
        if len(page) < _PAGE:
            return
        here = (page[-1].started_at, page[-1].id)


async def call_span(
    store: Store, since: int, until: int, seats: SeatFilter, direction: CallDirection
) -> tuple[datetime, datetime] | None:
    """Return when the first and the last call of a span were dialled, or None without a call."""
    conditions = [*_chosen(store, seats, direction), _CALL.started_at >= since, _CALL.started_at < until]
    query = select(func.min(_CALL.started_at), func.max(_CALL.started_at)).where(*conditions)
    async with store.database.reading() as connection:
        first, last = (await connection.execute(query)).one()
    return None if first is None else (moment_of(first), moment_of(last))


def _chosen(store: Store, seats: SeatFilter, direction: CallDirection | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_CALL.platform_id == store.platform_id]
    for column, names in ((_CALL.queue, seats.queues), (_CALL.extension, seats.extensions)):
        if names is not None:
            conditions.append(column.in_(sorted(map(storable, names))))
    if direction is not None:
        conditions.append(_CALL.direction == direction.value)
    return conditions


async def remove_calls(store: Store, keep: timedelta, zone: tzinfo) -> int:
    """Remove the records of the days before the last `keep`; return how many."""
    removed = 0
    async for day in _days(store, keep, zone):
        async with store.database.writing() as connection:
            removed += (await connection.execute(delete(call_record).where(*day))).rowcount
    return removed


async def remove_numbers(store: Store, keep: timedelta, zone: tzinfo) -> int:
    """Remove the personal data of the days before the last `keep`; return from how many records."""
    removed = 0
    known = or_(*(column.is_not(None) for column in _PERSONAL))
    nothing: dict[Any, None] = dict.fromkeys(_PERSONAL)
    async for day in _days(store, keep, zone):
        async with store.database.writing() as connection:
            removed += (await connection.execute(update(call_record).where(*day, known).values(nothing))).rowcount
    return removed


async def _days(store: Store, keep: timedelta, zone: tzinfo) -> AsyncIterator[list[ColumnElement[bool]]]:
    """Yield the condition for the calls of each day that ends before the last `keep`, which a small change covers."""
    own = _CALL.platform_id == store.platform_id
    query = select(func.min(_CALL.started_at), func.max(_CALL.started_at)).where(own)
    async with store.database.reading() as connection:
        first, last = (await connection.execute(query)).one()
    if first is None:
        return
    until = await store.recorded_until() or moment_of(last)
    end = day_start(first_day(until, keep, zone), zone)
    start = moment_of(first)
    while start < end:
        following = min(end, day_start(start.astimezone(zone).date() + timedelta(days=1), zone))
        yield [own, _CALL.started_at >= microseconds(start), _CALL.started_at < microseconds(following)]
        start = following.astimezone(UTC)
