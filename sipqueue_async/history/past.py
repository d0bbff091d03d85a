"""Reads what a recorder needs of a store to continue it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select

from sipqueue_async.history import schema
from sipqueue_async.history.figures import microseconds, moment_of
from sipqueue_async.history.fold import Fold
from sipqueue_async.history.store import HOUR, Outage, Store
from sipqueue_async.history.transcript import Past

_FOR_EVER: Final = 2**62


async def read_past(store: Store) -> Past | None:
    """Return what a store contains, or None if it is empty.

    The figures of the hour under way are not stored yet. They are counted again from its events.
    """
    hourly, event = schema.hourly.c, schema.event.c
    async with store.database.reading() as connection:
        at = await store.last_at(connection)
        if at is None:
            return None
        first = await connection.scalar(select(func.min(event.at)).where(event.platform_id == store.platform_id))
        hours = select(func.max(hourly.hour)).where(hourly.platform_id == store.platform_id)
        counted = await connection.scalar(hours)
    assert first is not None  # noqa: S101  # there is a last one
    until = await store.recorded_until()
    known = (await store.replay_at(at)).snapshot
    assert known is not None  # noqa: S101
    assert until is not None  # noqa: S101
    # Hours in which no seat was there have no figures, and are complete if anything after them is recorded.
    hour = max(first // HOUR if counted is None else counted + 1, microseconds(until) // HOUR)
    start = max(hour * HOUR, first)
    before = await store.replay_at(start if start == first else start - 1)
    fold = Fold(before.snapshot, moment_of(start), talking=await store.talking_at(hour))
    gaps = await store.outages(start, _FOR_EVER)
    await _count_again(store, fold, start, gaps, include_start=start != first)
    is_open = bool(gaps) and gaps[-1].ended_at is None
    return Past(
        known=known,
        at=at,
        until=microseconds(until),
        fold=fold,
        hour=hour,
        gap=gaps[-1] if is_open else None,
    )


async def _count_again(store: Store, fold: Fold, start: int, gaps: list[Outage], *, include_start: bool) -> None:
    """Count the updates and gaps since a start."""
    # The events of outages are among the updates, except for one that began before.
    coming = [gap for gap in gaps if gap.reason != "outage" or microseconds(gap.began_at) < start]
    async for update in store.updates(start if include_start else start + 1, _FOR_EVER):
        assert update.snapshot is not None  # noqa: S101
        while coming and coming[0].began_at < update.snapshot.observed_at:
            _count_gap(fold, coming.pop(0))
        fold.update(update)
    for gap in coming:
        _count_gap(fold, gap)


def _count_gap(fold: Fold, gap: Outage) -> None:
    fold.gap(gap.began_at, None if gap.reason == "outage" else gap.ended_at, gap.reason)
