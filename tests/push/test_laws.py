"""Any schedule of pushes changes when events come, and nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter

import async_solipsism
import attrs
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import (
    CallAnswered,
    CallMissed,
    SeatEvent,
    SeatKey,
    Snapshot,
    StatusWatcher,
    Update,
    apply,
)
from sipqueue_async.push import PushReceiver
from sipqueue_async.simulator import Plan
from tests.kit.pushes import TimedSource

PLAN = attrs.evolve(Plan.lively(), agents=6, short_calls=0.5, breaks_per_hour=6.0, external_calls_per_hour=6.0)
SPAN = 95.0
MIN_INTERVAL = 0.5


@attrs.frozen
class Day:
    """What a watcher of one call centre saw."""

    updates: list[Update]
    first: Snapshot
    last: Snapshot
    polls: list[float]
    answered: Counter[SeatKey]
    missed: Counter[SeatKey]
    true_answered: int
    true_missed: int


async def _watch(seed: int, pushes: list[float], latency: float) -> Day:
    """Watch for `SPAN` seconds at an interval of 10 s; pushes arrive at these times."""
    source = TimedSource(PLAN, seed, latency=latency)
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with StatusWatcher(source, interval=10.0) as watcher:
        stream = watcher.updates()
        first = await watcher.ready()
        begin = source.centre.now
        async with PushReceiver(watcher, min_interval=MIN_INTERVAL) as receiver:
            for at in sorted(pushes):
                await asyncio.sleep(max(0.0, start + at - loop.time()))
                await receiver.handle(b'{"type": "call", "status": "ring"}')
            await asyncio.sleep(start + SPAN - loop.time())
        last = await watcher.refresh(anew=True)
        end = source.centre.now
        updates: list[Update] = []
        while stream.pending:
            updates.append(await anext(stream))
    answered, missed = Counter[SeatKey](), Counter[SeatKey]()
    for update in updates:
        for event in update.events:
            if isinstance(event, CallAnswered):
                answered[event.key] += event.count
            elif isinstance(event, CallMissed):
                missed[event.key] += event.count
    truth = source.centre.truth
    return Day(
        updates,
        first,
        last,
        source.began,
        answered,
        missed,
        truth.answered(begin, end),
        truth.missed(begin, end),
    )


@given(
    seed=st.integers(0, 5),
    pushes=st.lists(st.floats(0.1, SPAN - 3) | st.sampled_from([10.0, 20.0, 20.0, 30.01]), max_size=60),
    latency=st.sampled_from([0.01, 0.3, 2.0]),
)
def test_pushes_lose_no_call_and_make_none_up(seed: int, pushes: list[float], latency: float) -> None:
    """Lost, doubled, late and forged pushes are all of them schedules like these."""
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        with_pushes, without = runner.run(_both(seed, pushes, latency))
    for day in (with_pushes, without):
        assert (day.answered.total(), day.missed.total()) == (day.true_answered, day.true_missed)
        known = day.first
        for update in day.updates:
            assert update.snapshot is not None
            seats = [event for event in update.events if isinstance(event, SeatEvent)]
            known = apply(known, seats)
            assert dict(known) == dict(update.snapshot)
        assert dict(known) == dict(day.last)
    assert with_pushes.answered == without.answered
    assert with_pushes.missed == without.missed
    assert dict(with_pushes.last) == dict(without.last)
    # At most one poll of its own each `MIN_INTERVAL`, beside the scheduled ones.
    assert len(with_pushes.polls) <= len(without.polls) + min(len(pushes), SPAN / MIN_INTERVAL) + 1


async def _both(seed: int, pushes: list[float], latency: float) -> tuple[Day, Day]:
    return await _watch(seed, pushes, latency), await _watch(seed, [], latency)
