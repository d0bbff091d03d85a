"""A call centre in model time, controlled by a test, with a watcher and a wallboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from sipqueue_async import AgentStatus, Snapshot, StatusWatcher, TransportError
from sipqueue_async.simulator import CallCentre, Plan
from sipqueue_async.wallboard import Wallboard

NEVER = 100_000.0
"""A polling interval with which a watcher polls only when refreshed."""


class Stage:
    """A call centre in model time: source of a watcher and clock of a wallboard.

    Args:
        plan: Size and traffic.
        seed: Seed of what happens.
        names: Names for some extensions.
        start: The moment of model second 0.
    """

    def __init__(
        self,
        plan: Plan | None = None,
        *,
        seed: int = 0,
        names: Mapping[str, str] | None = None,
        start: datetime = datetime(2026, 1, 5, 8, tzinfo=UTC),
    ) -> None:
        self.centre = CallCentre(plan, seed=seed)
        self.failure: str | None = None
        """The error of all polls; None while they work."""
        self.names = dict(names or {})
        """Names of extensions, which may be changed."""
        self._start = start
        self.watcher = StatusWatcher(self, interval=NEVER)

    def now(self) -> datetime:
        """Return the time in the call centre."""
        return self._start + timedelta(seconds=self.centre.now)

    async def __call__(self) -> Snapshot:
        """Return the present snapshot."""
        if self.failure is not None:
            raise TransportError(self.failure)
        return Snapshot(map(self._record, self.centre.seats()), observed_at=self.now())

    def _record(self, seat: object) -> AgentStatus:
        assert attrs.has(type(seat))
        fields: dict[str, Any] = {name: getattr(seat, name) for name in _FIELDS}
        fields["name"] = self.names.get(fields["extension"], fields["name"])
        return AgentStatus(**fields)

    async def play(self, seconds: float, *, step: float = 2.0) -> None:
        """Let time pass, with a poll at each step."""
        for _ in range(round(seconds / step)):
            self.centre.advance(step)
            await self.watcher.refresh()

    async def fail(self, reason: str) -> None:
        """Let this and all following polls fail."""
        self.failure = reason
        (outcome,) = await asyncio.gather(self.watcher.refresh(), return_exceptions=True)
        assert isinstance(outcome, TransportError)

    async def recover(self) -> None:
        """Let polls work again."""
        self.failure = None
        await self.watcher.refresh()


_FIELDS = tuple(field.name for field in attrs.fields(AgentStatus))


@asynccontextmanager
async def wallboard_of(stage: Stage, **options: Any) -> AsyncGenerator[Wallboard]:
    """Serve a stage."""
    clock: Callable[[], datetime] = stage.now
    async with stage.watcher, Wallboard(stage.watcher, clock=clock, **options) as wallboard:
        await stage.watcher.ready(timeout=60)
        yield wallboard
