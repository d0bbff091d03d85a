"""A recorder in a process of its own, which tests kill: it watches a simulated call centre as fast as it can."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sipqueue_async import Snapshot, StatusWatcher, TransportError
from sipqueue_async.history import History, Recorder
from sipqueue_async.simulator import Plan
from tests.kit.simulated_updates import MORNING, Polled

PLAN: Final = Plan(
    agents=15, calls_per_hour=150, short_calls=0.2, several_queues=0.3, breaks_per_hour=2, show_signed_out=True
)
INTERVAL: Final = 5.0
"""Model seconds from poll to poll."""
SEED: Final = 11
FAILING: Final = 0.03
"""The share of polls that fail."""
PROGRAM: Final = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.kit.history_process import main
asyncio.run(main({url!r}, {start!r}, {chance!r}))
"""


def faulty(polled: Polled, chance: random.Random) -> Callable[[], Snapshot]:  # pragma: no cover  # as `main`
    """Return a function that polls the next moment, or fails now and then for a while."""
    failures = 0

    def poll() -> Snapshot:
        nonlocal failures
        polled.centre.advance(INTERVAL)
        failures = failures - 1 if failures else chance.randrange(1, 20) * (chance.random() < FAILING)
        if failures:
            raise TransportError("the network is down")
        return polled.poll()

    return poll


async def main(url: str, start: float, seed: int) -> None:  # pragma: no cover  # in processes that tests kill
    """Record from a model second on, until killed.

    Args:
        url: The history.
        start: The model second.
        seed: Determines which polls fail.
    """
    polled = Polled(PLAN, SEED)
    polled.centre.run_until(start)
    poll = faulty(polled, random.Random(seed))

    async def source() -> Snapshot:
        return poll()

    async with History(url) as history:
        watcher = StatusWatcher(source, interval=0.002, max_backoff=0.002, baseline=await history.baseline())
        async with Recorder(history, watcher), watcher:
            await asyncio.Event().wait()


class Truth:
    """The status of the same call centre at any moment, asked for in order."""

    def __init__(self) -> None:
        self._polled = Polled(PLAN, SEED)

    def at(self, moment: datetime) -> Snapshot:
        """Return the status at a moment that is not before the last one."""
        self._polled.centre.run_until((moment - MORNING).total_seconds())
        return self._polled.poll()
