"""Hours of a simulated call centre in virtual time, watched through a real client, with an outage and a restart."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import attrs

from sipqueue_async import (
    AgentState,
    AppCredentials,
    SeatKey,
    SipQueueClient,
    SipQueueError,
    Snapshot,
    StatusWatcher,
    Update,
)
from sipqueue_async.simulator import CallCentre, GroundTruth, LiveCentre, Plan, Platform
from sipqueue_async.tally import Tally
from tests.benchmarks.truth_network import Faults, Network
from tests.benchmarks.truth_watch import ZONE

HOUR: Final = 3600.0
OUTAGE: Final = (1 * HOUR, 1.25 * HOUR)
RESTART: Final = (2 * HOUR, 2.2 * HOUR)
END: Final = 3 * HOUR
PLAN: Final = Plan(
    queues=3,
    agents=24,
    several_queues=0.2,
    calls_per_hour=80.0,
    shift_hours=0.8,
    off_hours=0.3,
    # Keep signed-out agents in the records: a call is found only by comparing two records of its agent.
    show_signed_out=True,
)


@attrs.frozen
class Look:
    """A good answer."""

    at: float
    """The model second that the answer shows."""
    blind_before: bool
    """Whether the status was unknown between the previous answer and this one."""


class TallyRun:
    """Keeps the tallies of a fast consumer and of a slow one."""

    def __init__(self, interval: float, seed: int) -> None:
        self.interval = interval
        self.looks: list[Look] = []
        self.fast, self.slow = Tally(), Tally()
        self.coalesced = 0
        self._chance = random.Random(seed)
        loop = asyncio.get_running_loop()
        self._centre = CallCentre(PLAN, seed=seed)
        self._live = LiveCentre(self._centre, clock=loop.time)
        self._platform = Platform(self._live, clock=loop.time, timezone=ZONE)
        faults = Faults(failing=0.02, outages=(OUTAGE,))
        self._network = Network(self._centre, self._live, self._platform, self._chance, faults)
        self._blind = False
        self._epoch = loop.time()
        self._live.start()

    @property
    def truth(self) -> GroundTruth:
        """The ground truth."""
        return self._centre.truth

    async def run(self) -> None:
        """Watch until the restart, then from there to the end of the run."""
        # The watcher draws its pauses after failures from the shared generator.
        random.seed(7)
        await self._watch(RESTART[0])
        self.fast, self.slow = Tally.from_json(self.fast.to_json()), Tally.from_json(self.slow.to_json())
        self._blind = True
        await asyncio.sleep(RESTART[1] - RESTART[0])
        await self._watch(END)
        self._live.stop()

    async def _watch(self, until: float) -> None:
        credentials = AppCredentials(self._platform.appid, self._platform.accesskey)
        # The virtual network implements the parts of a session that a client uses.
        client = SipQueueClient("http://platform.invalid/", credentials, session=self._network, timezone=ZONE)  # type: ignore[arg-type]

        async def poll() -> Snapshot:
            try:
                answered = await client.fetch_snapshot()
            except SipQueueError:
                self._blind = True
                raise
            return self._looked(answered)

        async with client:
            watcher = StatusWatcher(poll, interval=self.interval, baseline=self.fast.snapshot)
            updates, late = watcher.updates(), watcher.updates(max_pending=1)
            async with watcher:
                first = await watcher.ready()
                if self.fast.started_at is None:
                    self.fast, self.slow = Tally(first), Tally(first)
                consumers = [
                    asyncio.create_task(self._consume(self.fast, updates, pause=0.0)),
                    asyncio.create_task(self._consume(self.slow, late, pause=600.0)),
                ]
                await asyncio.sleep(until - (asyncio.get_running_loop().time() - self._epoch))
            await asyncio.gather(*consumers)
        assert watcher.health.last_good_at is not None
        for tally in (self.fast, self.slow):
            tally.advance(watcher.health.last_good_at)

    def _looked(self, answered: Snapshot) -> Snapshot:
        """Record a good answer; return it with the time that it shows as `observed_at`."""
        given = self._network.last
        assert given is not None
        self.looks.append(Look(given.instant, self._blind))
        self._blind = False
        moment = datetime.fromtimestamp(0, ZONE) + timedelta(seconds=given.instant)
        return Snapshot(answered.values(), observed_at=moment, server_time=answered.server_time)

    async def _consume(self, tally: Tally, updates: AsyncIterator[Update], *, pause: float) -> None:
        async for update in updates:
            tally.update(update)
            self.coalesced += update.coalesced
            await asyncio.sleep(pause * self._chance.random())

    # ---- expected figures --------------------------------------------------------------------------------------------

    def shown(self, key: SeatKey) -> dict[AgentState, float]:
        """Return a seat's seconds in each state according to the polls: each state lasts until the next poll."""
        seconds = dict.fromkeys(AgentState, 0.0)
        for look, after in pairwise(self.looks):
            state = self.truth.state_at(key, look.at)
            assert state is not None
            if not after.blind_before:
                seconds[state] += after.at - look.at
        return seconds

    def true(self, key: SeatKey) -> dict[AgentState, tuple[float, int]]:
        """Return a seat's true seconds in each state while it was watched, and the number of separate spans."""
        found: dict[AgentState, tuple[float, int]] = dict.fromkeys(AgentState, (0.0, 0))
        intervals = self.truth.intervals_of(key)
        for start, end in self._seen():
            for interval in intervals:
                overlap = min(end, END if interval.end is None else interval.end) - max(start, interval.start)
                if overlap > 0:
                    seconds, pieces = found[interval.state]
                    found[interval.state] = seconds + overlap, pieces + 1
        return found

    def unseen(self) -> float:
        """Return the number of unwatched seconds."""
        return sum(after.at - look.at for look, after in pairwise(self.looks) if after.blind_before)

    def _seen(self) -> list[tuple[float, float]]:
        """Return the watched spans: start and end."""
        starts = [look.at for number, look in enumerate(self.looks) if not number or look.blind_before]
        ends = [look.at for look, after in pairwise(self.looks) if after.blind_before]
        return list(zip(starts, [*ends, self.looks[-1].at], strict=True))
