"""A call centre in the loop's own time, for tests of pushes in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sipqueue_async import Snapshot
from sipqueue_async._wire import SnapshotDecoder
from sipqueue_async.simulator import CallCentre, Plan, Platform
from sipqueue_async.simulator.platform import STATUS


class TimedSource:
    """Snapshots of a call centre whose time is the loop's; each request takes `latency` seconds.

    The answer is of the moment at which a request begins, the worst case for what happens during it.
    """

    def __init__(self, plan: Plan, seed: int = 0, *, latency: float = 0.05) -> None:
        self.centre = CallCentre(plan, seed=seed)
        self.latency = latency
        self.began: list[float] = []
        """When each request began, in seconds since the first."""
        self.running = 0
        self.most_running = 0
        self.error: Exception | None = None
        """Raised instead of an answer."""
        self._platform = Platform(self.centre, tokens=["good"])
        self._decoder = SnapshotDecoder()
        self._start = asyncio.get_running_loop().time()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return asyncio.get_running_loop().time() - self._start

    def catch_up(self) -> None:
        """Run the model up to the present."""
        self.centre.run_until(max(self.now, self.centre.now))

    async def __call__(self) -> Snapshot:
        """Return the snapshot of the moment of the call."""
        self.began.append(self.now)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.catch_up()
        body = self._platform.answer({"service": STATUS, "token": "good"})
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        observed_at, steady_at = datetime.now(UTC), asyncio.get_running_loop().time()
        return self._decoder.decode(body, observed_at=observed_at, steady_at=steady_at)
