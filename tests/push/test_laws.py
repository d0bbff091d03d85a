"""Any schedule of pushes changes when events come, and nothing else."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter

import async_solipsism
import attrs
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
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
from sipqueue_async.simulator import BackEnd, Plan
from tests.kit.pushes import TimedSource

PLAN = attrs.evolve(Plan.lively(), agents=6, short_calls=0.5, breaks_per_hour=6.0, external_calls_per_hour=6.0)
SPAN = 95.0
INTERVAL = 10.0
MIN_INTERVAL = 0.5
MAX_LAG = 8.0
QUIET = 30.0
"""Seconds at the end without faults, so that everything can be reported."""


@attrs.frozen
class Faults:
    """The faults of the answers."""

    behind: float = 0.0
    """The lag in seconds of one of two back ends."""
    failing: float = 0.0
    absent: float = 0.0
    reset_at: float | None = None
    """When all counters are reset."""


@attrs.frozen
class Day:
    """The observations of a watcher of one call centre."""

    updates: list[Update]
    first: Snapshot
    last: Snapshot
    asked: list[str | None]
    answered: Counter[SeatKey]
    missed: Counter[SeatKey]
    true_answered: int
    true_missed: int
    untellable: int
    """The most calls that a reset may hide."""

    def check(self) -> None:
        """Check that the calls are the true ones, and that the updates lead to the last snapshot."""
        for told, true in ((self.answered, self.true_answered), (self.missed, self.true_missed)):
            assert true - self.untellable <= told.total() <= true
        known = self.first
        for update in self.updates:
            assert update.snapshot is not None
            seats = [event for event in update.events if isinstance(event, SeatEvent)]
            assert not any(isinstance(event, AgentJoined | AgentLeft) for event in seats)
            known = apply(known, seats)
            assert dict(known) == dict(update.snapshot)
        assert dict(known) == dict(self.last)


async def _watch(seed: int, pushes: list[tuple[float, int]], latency: float, faults: Faults, whole_up_to: int) -> Day:
    """Watch for `SPAN` seconds; pushes arrive at these times, each about one of the seats."""
    source = TimedSource(PLAN, seed, latency=latency)
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with StatusWatcher(source, interval=INTERVAL, max_lag=MAX_LAG) as watcher:
        stream = watcher.updates(max_pending=1000)
        first = await watcher.ready()
        begin = source.centre.now
        source.failing, source.absent = faults.failing, faults.absent
        source.platform.faults.balance(BackEnd(), BackEnd(faults.behind), polls=(1, 3), seed=seed)
        if faults.reset_at is not None:
            loop.call_at(start + faults.reset_at, _reset, source)
        extensions = [*source.centre.extensions, "forged"]
        async with PushReceiver(watcher, min_interval=MIN_INTERVAL, whole_up_to=whole_up_to) as receiver:
            for at, place in sorted(pushes):
                if (wait := start + at - loop.time()) > 1e-6:
                    await asyncio.sleep(wait)
                push = {"type": "call", "status": "ring", "extnumber": extensions[place]}
                await receiver.handle(json.dumps(push).encode())
            await asyncio.sleep(start + SPAN - loop.time())
        source.failing = source.absent = 0.0
        source.platform.relent()
        await asyncio.sleep(QUIET)
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
    # A seat may be absent in the polls before and after the reset.
    span = 2 * INTERVAL + MAX_LAG
    around = [count(at - span, at + span) for at in truth.counter_resets for count in (truth.answered, truth.missed)]
    return Day(
        updates,
        first,
        last,
        source.asked,
        answered,
        missed,
        truth.answered(begin, end),
        truth.missed(begin, end),
        sum(around),
    )


def _reset(source: TimedSource) -> None:
    source.catch_up()
    source.centre.reset_counters()


def _pushes(rng: random.Random) -> list[tuple[float, int]]:
    """Return times of pushes, some of them together or at regular polls, and the place of the extension of each."""
    times = [rng.choice([rng.uniform(0.1, SPAN - 3), 10.0, 20.0, 30.01]) for _ in range(rng.choice([1, 10, 60]))]
    return [(at, rng.randint(0, PLAN.agents)) for at in times]


def _faults(rng: random.Random) -> Faults:
    """Return faults; after a reset no poll fails, because that may hide any number of calls."""
    behind, absent = rng.choice([0.0, 2.0, MAX_LAG - 3]), rng.choice([0.0, 0.1, 0.4])
    if rng.random() < 0.4:
        return Faults(behind, 0.0, absent, reset_at=rng.uniform(5.0, SPAN))
    return Faults(behind, rng.choice([0.0, 0.1, 0.4]), absent)


@given(number=st.integers(0, 2**32))
def test_pushes_lose_no_call_and_make_none_up(number: int) -> None:
    """Lost, doubled, late and forged pushes are all of them schedules like these."""
    rng = random.Random(number)
    seed, pushes, faults = rng.randint(0, 5), _pushes(rng), _faults(rng)
    latency, whole_up_to = rng.choice([0.01, 0.3, 2.0]), rng.choice([0, 0, 0, 50])
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        with_pushes, without = runner.run(_both(seed, pushes, latency, faults, whole_up_to))
    for day in (with_pushes, without):
        day.check()
    if faults.reset_at is None:
        assert with_pushes.answered == without.answered
        assert with_pushes.missed == without.missed
    assert dict(with_pushes.last) == dict(without.last)
    assert set(without.asked) == {None}
    assert set(with_pushes.asked) <= ({None} if whole_up_to else {None, *(key.extension for key in without.last)})
    if not faults.failing:
        # At most one poll of its own each `MIN_INTERVAL`, beside the scheduled ones; an unusable one costs another.
        bound = len(without.asked) + 2 * min(len(pushes), SPAN / MIN_INTERVAL) + 1
        assert len(with_pushes.asked) <= bound


async def _both(
    seed: int, pushes: list[tuple[float, int]], latency: float, faults: Faults, whole_up_to: int
) -> tuple[Day, Day]:
    return (
        await _watch(seed, pushes, latency, faults, whole_up_to),
        await _watch(seed, [], latency, faults, whole_up_to),
    )
