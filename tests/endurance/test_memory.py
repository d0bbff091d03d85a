"""Memory and subscriptions over a long time."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tracemalloc

import pytest

from sipqueue_async import AgentState, Snapshot, StateChanged, StatusWatcher, apply, diff
from tests.kit.builders import agent, snapshot

pytestmark = [pytest.mark.virtual_time, pytest.mark.one_python]

SEATS = 50


class Fleet:
    """A source that changes one agent's state at each poll and shares the unchanged records."""

    def __init__(self) -> None:
        self._records = {number: agent(str(number)) for number in range(SEATS)}
        self._at = itertools.count()
        self.last: Snapshot | None = None

    async def __call__(self) -> Snapshot:
        """Return the fleet's snapshot after one more change."""
        at = next(self._at)
        state = AgentState.TALKING if at // SEATS % 2 else AgentState.PAUSED
        self._records[at % SEATS] = agent(str(at % SEATS), state, calls_answered=at)
        self.last = snapshot(*self._records.values(), at=at)
        return self.last


async def test_a_stalled_subscription_costs_little_and_then_gets_the_difference() -> None:
    fleet = Fleet()
    async with StatusWatcher(fleet, interval=1) as watcher:
        first = await watcher.ready()
        stalled = watcher.updates(max_pending=8)
        await asyncio.sleep(900)
        assert stalled.pending <= 8
        seen = first
        taken = [await anext(stalled) for _ in range(stalled.pending)]
        for update in taken:
            seen = apply(seen, update.events)
        assert seen == fleet.last
        assert taken[0].coalesced
        assert taken[0].snapshot is not None
        assert taken[0].events == diff(first, taken[0].snapshot)


async def test_thousands_of_subscriptions_come_and_go() -> None:
    """Closed and dropped subscriptions cost nothing."""
    fleet = Fleet()
    async with StatusWatcher(fleet, interval=1) as watcher:
        await watcher.ready()
        for number in range(2_000):
            await come_and_go(watcher, str(number % SEATS), use=number % 500 == 0)
        assert sum(map(len, watcher._fanout._boxes.values())) == 1, "only the watcher's own stream is left"


async def come_and_go(watcher: StatusWatcher, extension: str, *, use: bool) -> None:
    """Make two subscriptions; close one, and drop the other without closing it."""
    dropped = watcher.subscribe(StateChanged, extension=extension)
    with watcher.subscribe(StateChanged, extension=extension) as closed:
        if use:
            assert await anext(closed) == await anext(dropped)


async def test_memory_is_flat() -> None:
    """The memory of a watcher does not grow over months."""
    async with StatusWatcher(Fleet(), interval=1) as watcher:
        await watcher.ready()
        consumer = asyncio.create_task(drain(watcher))
        stuck = watcher.subscribe(max_pending=16)
        sizes: list[int] = []
        tracemalloc.start()
        try:
            for _ in range(6):
                # A multiple of the stuck mailbox's size, so that the mailbox is equally full at each measurement.
                await asyncio.sleep(160)
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        consumer.cancel()
        assert stuck.pending <= 16
    # The first measurement includes buffers that were still filling up to their bounds.
    assert max(sizes[2:]) - min(sizes[2:]) < 100_000, sizes
    assert max(sizes) < 1_000_000, sizes


async def drain(watcher: StatusWatcher) -> None:
    """Consume every event."""
    async for _ in watcher:
        pass
