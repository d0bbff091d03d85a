"""A long run in virtual time with random faults of every kind.

`ENDURANCE_DAYS` sets its length: 14 for the full size, much less in the gate.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
from collections import Counter
from collections.abc import Iterable

import pytest

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentStatus,
    AppCredentials,
    CallAnswered,
    CallMissed,
    FeedDown,
    FeedUp,
    SipQueueClient,
    Snapshot,
    StatusWatcher,
    Update,
    Updates,
    apply,
)
from sipqueue_async.simulator import CallCentre, Plan
from tests.kit.builders import START
from tests.kit.chaos import URL, ChaosPlatform, virtual_network

DAYS = float(os.environ.get("ENDURANCE_DAYS", "0.09"))
INTERVAL = 5.0
PLAN = Plan(
    agents=40, queues=4, calls_per_hour=150, counter_reset=True, show_signed_out=True, external_calls_per_hour=1
)

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(3600), pytest.mark.one_python]


class Consumer:
    """Folds updates into a snapshot, and counts the reported events."""

    def __init__(self, known: Snapshot) -> None:
        self.known = known
        self.calls: Counter[type] = Counter()
        self.kinds: Counter[type] = Counter()
        self.feed_up = True

    def take(self, update: Update) -> None:
        """Apply one update."""
        for event in update.events:
            self.kinds[type(event)] += 1
            if isinstance(event, CallAnswered | CallMissed):
                self.calls[type(event)] += event.count
            if isinstance(event, FeedDown | FeedUp):
                assert self.feed_up == isinstance(event, FeedDown), "told twice of the same condition"
                self.feed_up = isinstance(event, FeedUp)
        assert update.snapshot is not None
        self.known = apply(self.known, update.events)
        assert self.known == update.snapshot

    async def follow(self, updates: Updates, stalls: Iterable[float]) -> None:
        """Take updates until the watcher ends, with a pause after each."""
        pauses = iter(stalls)
        async for update in updates:
            self.take(update)
            await asyncio.sleep(next(pauses))


def no_pause() -> Iterable[float]:
    """Yield the pauses of a consumer that keeps up."""
    while True:
        yield 0.0


def long_pauses(seed: int) -> Iterable[float]:
    """Yield the pauses of a consumer that sometimes stalls for an hour."""
    chance = random.Random(seed)
    while True:
        yield 3600.0 if chance.random() < 0.05 else 0.0


def alive(kind: type) -> int:
    """Return the number of instances of a class."""
    gc.collect()
    return sum(type(it) is kind for it in gc.get_objects())


async def test_a_fortnight_of_trouble(caplog: pytest.LogCaptureFixture) -> None:
    """No event is made up or lost, neither tasks nor memory grow, and logins stay few."""
    # Captured records would keep errors, whose tracebacks would keep the objects that this test counts.
    caplog.set_level(logging.CRITICAL, "sipqueue_async")
    # The watcher draws its backoff from the shared generator; a fixed seed repeats the same faults in each run.
    random.seed(8)
    loop = asyncio.get_running_loop()
    chaos = ChaosPlatform(CallCentre(PLAN, seed=5), seed=6, clock=loop.time)
    chaos.live.start()
    chance = random.Random(7)
    fast, slow = Consumer(Snapshot(observed_at=START)), Consumer(Snapshot(observed_at=START))
    baseline: Snapshot | None = None
    tasks_before, records_before, updates_before = len(asyncio.all_tasks()), alive(AgentStatus), alive(Update)
    seats = len(chaos.centre.seats())
    async with virtual_network(chaos.handle) as session:
        credentials = AppCredentials(chaos.platform.appid, chaos.platform.accesskey)
        client = SipQueueClient(URL, credentials, session=session)
        while loop.time() < DAYS * 86400:
            watcher = StatusWatcher(client, interval=INTERVAL, baseline=baseline)
            updates, late = watcher.updates(), watcher.updates(max_pending=4)
            async with watcher:
                await watcher.ready()
                if baseline is None:
                    fast.known = slow.known = await watcher.ready()
                followers = [
                    asyncio.create_task(fast.follow(updates, no_pause())),
                    asyncio.create_task(slow.follow(late, long_pauses(chance.randrange(1000)))),
                ]
                await asyncio.sleep(chance.uniform(600, 3600 if DAYS < 1 else 20 * 3600))
                # A watcher accepts decreased counters after `max_lag`; a baseline saved earlier would not include the
                # reset.
                while loop.time() < chaos.last_reset + 90 or not watcher.health.up:
                    await asyncio.sleep(INTERVAL)
                # Mailboxes are bounded and share their records, so only a few generations exist at any time.
                assert alive(AgentStatus) < records_before + 40 * seats, "records pile up"
                assert alive(Update) < updates_before + 100, "updates pile up"
            await asyncio.gather(*followers)
            assert watcher.snapshot is not None
            assert fast.known == slow.known == watcher.snapshot
            # Simulate a restart of the program after a pause.
            baseline = Snapshot.from_json(watcher.snapshot.to_json())
            fast.feed_up = slow.feed_up = True
            await asyncio.sleep(chance.uniform(0, 900))
        await client.aclose()
    # The platform holds unanswered requests for at most this time.
    await asyncio.sleep(61)
    assert len(asyncio.all_tasks()) == tasks_before, asyncio.all_tasks()
    assert fast.calls == {CallAnswered: chaos.account.answered, CallMissed: chaos.account.missed}
    assert fast.calls[CallAnswered] > 100 * DAYS
    for consumer in (fast, slow):
        assert not consumer.kinds[AgentJoined] + consumer.kinds[AgentLeft], "false joining or leaving"
    assert chaos.login_attempts <= chaos.refusals + 1 + DAYS * 2
    assert len(chaos.faults) >= 12, f"not everything went wrong: {chaos.faults}"
