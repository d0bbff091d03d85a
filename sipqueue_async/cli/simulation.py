"""The simulated call centres that the commands show and serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import attrs

from sipqueue_async import AppCredentials, SeatFilter, SipQueueClient, Snapshot, StatusWatcher
from sipqueue_async.simulator import CallCentre, Plan, Simulator

_AGENTS_PER_QUEUE: Final = 12

_GIVEN: Final = ("Alex", "Bianca", "Carlos", "Dana", "Emil", "Fatima", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Mei")
_FAMILY: Final = ("Adams", "Baker", "Costa", "Diaz", "Evans", "Fischer", "Garcia", "Ito", "Kumar", "Novak", "Silva")


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


def name_people(centre: CallCentre) -> None:
    """Give the agents names of people: given and family names combined by rule, which mean no real persons."""
    for number, extension in enumerate(centre.extensions):
        family = _FAMILY[(number + number // len(_GIVEN)) % len(_FAMILY)]
        centre.hand_over(extension, f"{_GIVEN[number % len(_GIVEN)]} {family}")


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
    """Snapshots of a simulated call centre whose time stands still between requests.

    Each request first advances the model to the event loop's clock. So every snapshot shows one known moment of model
    time, and the truth can be counted over exactly the watched time.

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


@asynccontextmanager
async def stepped_feed(
    centre: Demonstration, *, interval: float, seats: SeatFilter
) -> AsyncGenerator[tuple[StatusWatcher, SipQueueClient]]:
    """Yield a watcher of a simulated call centre in the centre's own time, not started yet, and the centre's client.

    Args:
        centre: The call centre.
        interval: The centre's seconds between polls.
        seats: Which seats to watch.
    """
    simulator = Simulator(centre.plan, seed=centre.seed, speed=0)
    async with simulator, client_of(simulator) as client:
        stepped = SteppedSource(simulator, client, centre.speed)

        async def source() -> Snapshot:
            polled = await stepped()
            # Attach this machine's zone to the centre's local times, so that they are printed unchanged.
            now = simulator.centre.local_time.astimezone()
            return Snapshot(polled.values(), observed_at=now, server_time=polled.server_time)

        yield (
            StatusWatcher(source, interval=interval / centre.speed, queues=seats.queues, extensions=seats.extensions),
            client,
        )
