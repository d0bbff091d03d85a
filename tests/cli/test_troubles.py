"""The troubles of a demonstration."""

from __future__ import annotations

import asyncio

from sipqueue_async import AgentState, TransportError
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.cli.thresholds import SOON
from sipqueue_async.cli.troubles import TROUBLES, troubled
from sipqueue_async.simulator import Simulator


async def test_each_trouble_comes_and_goes() -> None:
    centre = Demonstration(agents=4, speed=150.0)
    seen: list[str] = []
    async with Simulator(centre.plan, speed=centre.speed) as simulator, client_of(simulator) as client:
        queues, paused = set(simulator.centre.queues), simulator.centre.extensions[0]
        async with troubled(simulator, pace=30.0), asyncio.timeout(60):
            while seen[-1:] != ["all"] or len(set(seen)) < 5:
                try:
                    snapshot = await client.fetch_snapshot()
                except TransportError:
                    now = "outage"
                else:
                    now = "all" if set(snapshot.queues) == queues else "a queue is gone" if snapshot else "nobody"
                    if any(it.extension == paused and it.state is AgentState.PAUSED for it in snapshot.values()):
                        seen.append("a break")
                if [now] != seen[-1:]:
                    seen.append(now)
    assert set(seen) == {"all", "a break", "a queue is gone", "outage", "nobody"}


def test_the_first_minute_has_them_all() -> None:
    """The break is longer than the page's threshold at the demonstration's usual speed."""
    assert all(trouble.at + trouble.lasts < 60 for trouble in TROUBLES)
    assert TROUBLES[0].lasts > SOON["pause"] / 5.0
