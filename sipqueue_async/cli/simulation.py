"""The simulated call centres that the commands show and serve."""

from __future__ import annotations

import asyncio
from typing import Final

import attrs

from sipqueue_async import AppCredentials, SipQueueClient, Snapshot
from sipqueue_async.simulator import Plan, Simulator

_AGENTS_PER_QUEUE: Final = 12


def lively_plan(agents: int, queues: int) -> Plan:
    """Return a plan of this size whose agents are as busy as those of ``sipqueue demo``."""
    lively = Plan.lively()
    size = (agents / lively.agents) / (queues / lively.queues)
    return attrs.evolve(
        lively,
        agents=agents,
        queues=queues,
        calls_per_hour=lively.calls_per_hour * size,
        opening_callers=round(lively.opening_callers * size),
    )


def client_of(simulator: Simulator) -> SipQueueClient:
    """Return a client that logs in to a simulator."""
    return SipQueueClient(simulator.url, AppCredentials(simulator.appid, simulator.accesskey))


@attrs.frozen(kw_only=True)
class Demonstration:
    """The call centre that a command simulates."""

    agents: int = 12
    queues: int | None = None
    """By default one for each dozen agents, and at least two."""
    seed: int = 0
    speed: float = 1.0

    @property
    def plan(self) -> Plan:
        """The simulator's plan for it."""
        return lively_plan(self.agents, self.queues or max(2, round(self.agents / _AGENTS_PER_QUEUE)))


class SteppedSource:
    """Snapshots of a simulated call centre whose time moves between requests only.

    Before each request the model advances to the event loop's clock; between requests it stands still. So every
    snapshot shows one known moment of model time, and the truth can be counted over exactly the watched time.

    Args:
        simulator: A simulator whose own speed is 0.
        client: A client of it.
        speed: Model seconds per second.
    """

    def __init__(self, simulator: Simulator, client: SipQueueClient, speed: float) -> None:
        self._simulator = simulator
        self._client = client
        self._speed = speed
        self._moved_at = asyncio.get_running_loop().time()
        self.first: float | None = None
        """The model second of the first snapshot."""
        self.last: float | None = None
        """The model second of the newest snapshot."""

    async def __call__(self) -> Snapshot:
        """Return the next snapshot."""
        now = asyncio.get_running_loop().time()
        self._simulator.advance((now - self._moved_at) * self._speed)
        self._moved_at = now
        snapshot = await self._client.fetch_snapshot()
        self.last = self._simulator.centre.now
        self.first = self.last if self.first is None else self.first
        return snapshot
