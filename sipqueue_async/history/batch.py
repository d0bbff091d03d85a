"""`Batch`: rows that are written in one transaction, and `Writer`, which writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from sipqueue_async.history import schema
from sipqueue_async.history.database import Database
from sipqueue_async.history.errors import HistoryError
from sipqueue_async.history.store import Store


@attrs.define(eq=False)
class Batch:
    """Rows that are written in one transaction: whole updates, and what follows from them."""

    after: int | None
    """The time of the store's last row before this batch is written."""
    events: list[tuple[Any, ...]] = attrs.field(factory=list)
    seats: list[tuple[Any, ...]] = attrs.field(factory=list)
    names: list[tuple[Any, ...]] = attrs.field(factory=list)
    gaps: dict[int, tuple[Any, ...]] = attrs.field(factory=dict)
    checkpoints: list[tuple[Any, ...]] = attrs.field(factory=list)
    hours: list[tuple[Any, ...]] = attrs.field(factory=list)
    totals: list[tuple[Any, ...]] = attrs.field(factory=list)
    watched: tuple[Any, ...] | None = None
    updates: int = 0
    """How many updates it contains."""
    coalesced: int = 0
    """How many of them are coalesced."""
    is_urgent: bool = False
    """Whether it should be written soon even without events."""

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.events) + len(self.hours) + len(self.seats)

    @property
    def last_at(self) -> int | None:
        """The time of the store's last row after this batch is written."""
        return self.events[-1][1] if self.events else self.after


class Writer:
    """Writes batches of one platform.

    Args:
        store: The platform's store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database: Database = store.database
        dialect = self._database.dialect

        def statement(table: Table, conflict: str = "") -> str:
            # With the columns in their order, so that plain tuples are the parameters.
            return f"{insert(table).compile(dialect=dialect)} {conflict}"

        ignore = "ON CONFLICT DO NOTHING"
        self._events = statement(schema.event)
        self._seats = statement(schema.seat, ignore)
        self._checkpoints = statement(schema.checkpoint, ignore)
        self._hours = statement(schema.hourly, ignore)
        self._totals = statement(schema.hourly_total, ignore)
        self._gaps = statement(schema.gap, replacing(schema.gap))
        self._watched = statement(schema.watched, replacing(schema.watched))

    async def write(self, batch: Batch, *, again: bool = False) -> None:
        """Write a batch in one transaction.

        Args:
            batch: The batch.
            again: Whether an earlier attempt failed: its commit may have worked although no answer came.

        Raises:
            HistoryError: It was not written. The error is `retryable` unless another recorder writes.
        """
        async with self._database.writing() as connection:
            last = await self._store.last_at(connection)
            if again and batch.events and last == batch.last_at:
                return
            if last != batch.after:
                raise HistoryError(
                    f"the history {self._database} got events from another recorder: let only one record a platform, "
                    "or give each a platform name of its own"
                )
            await self._write(connection, batch)

    async def _write(self, connection: AsyncConnection, batch: Batch) -> None:
        parts: list[tuple[str, Sequence[tuple[Any, ...]]]] = [
            (self._seats, batch.seats),
            (self._events, batch.events),
            (self._gaps, list(batch.gaps.values())),
            (self._checkpoints, batch.checkpoints),
            (self._hours, batch.hours),
            (self._totals, batch.totals),
            (self._watched, [] if batch.watched is None else [batch.watched]),
        ]
        for statement, rows in parts:
            if rows:
                await connection.exec_driver_sql(statement, list(rows))
        columns = schema.seat.c
        for platform_id, number, name in batch.names:
            change = schema.seat.update().where(columns.platform_id == platform_id, columns.id == number)
            await connection.execute(change.values(name=name))


def replacing(table: Table) -> str:
    """Return the clause by which an insert replaces the row with the same key."""
    key: Final = [column.name for column in table.primary_key]
    changes = ", ".join(f"{it.name} = excluded.{it.name}" for it in table.columns if it.name not in key)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
