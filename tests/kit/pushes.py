"""A call centre in the loop's own time, for tests of pushes in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime

from sipqueue_async import Snapshot, TransportError
from sipqueue_async._wire import SnapshotDecoder
from sipqueue_async.simulator import CallCentre, Plan, Platform
from sipqueue_async.simulator.platform import STATUS


class TimedSource:
    """Snapshots of a call centre, or of one extension, in the loop's time; each request takes `latency` seconds.

    An answer shows the moment at which its request began: the worst case for changes during the request.
    """

    def __init__(self, plan: Plan, seed: int = 0, *, latency: float = 0.05) -> None:
        self.centre = CallCentre(plan, seed=seed)
        self.latency = latency
        self.began: list[float] = []
        """When each request began, in seconds since the first."""
        self.asked: list[str | None] = []
        """The extension of each request; None for the whole."""
        self.running = 0
        self.most_running = 0
        self.error: Exception | None = None
        """Raised instead of an answer."""
        self.failing = 0.0
        """The share of requests that fail."""
        self.absent = 0.0
        """The share of answers that lack a seat; of those about all seats never two in a row."""
        self._was_absent = False
        self._rng = random.Random(seed)
        self.platform = Platform(self.centre, tokens=["good"])
        self._decoders: defaultdict[str | None, SnapshotDecoder] = defaultdict(SnapshotDecoder)
        self._start = asyncio.get_running_loop().time()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return asyncio.get_running_loop().time() - self._start

    def catch_up(self) -> None:
        """Run the model up to the present."""
        self.centre.run_until(max(self.now, self.centre.now))

    async def fetch_snapshot(
        self, *, queue: str | None = None, extension: str | None = None, state: object = None
    ) -> Snapshot:
        """Return the snapshot of the moment of the call."""
        self.began.append(self.now)
        self.asked.append(extension)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.catch_up()
        body = self.platform.answer({"service": STATUS, "token": "good", "extnumber": extension or ""})
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        if self._rng.random() < self.failing:
            raise TransportError("no route")
        observed_at, steady_at = datetime.now(UTC), asyncio.get_running_loop().time()
        snapshot = self._decoders[extension].decode(body, observed_at=observed_at, steady_at=steady_at)
        if extension is None:
            self._was_absent = not self._was_absent and self._rng.random() < self.absent
            is_absent = self._was_absent
        else:
            is_absent = self._rng.random() < self.absent
        if not is_absent or not snapshot:
            return snapshot
        absent = self._rng.choice(list(snapshot))
        return snapshot.with_changes({absent: None}, observed_at=observed_at, steady_at=steady_at)
