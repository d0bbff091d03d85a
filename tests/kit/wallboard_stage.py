"""A call centre in model time, controlled by a test, with a watcher and a wallboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentStatus, AuthError, Snapshot, StatusWatcher, TransportError
from sipqueue_async.simulator import CallCentre, Plan
from sipqueue_async.wallboard import Wallboard
from tests.kit.builders import agent, snapshot

KEY = "a key for the tests"
"""The access key of a wallboard that asks for one."""

NEVER = 100_000.0
"""A polling interval so long that a watcher polls only when refreshed."""


class Stage:
    """A call centre in model time: source of a watcher and clock of a wallboard.

    Args:
        plan: Size and traffic.
        seed: Seed of its events.
        names: Names for some extensions.
        start: The time of model second 0.
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
        """The error that every poll raises; None while polls succeed."""
        self.names = dict(names or {})
        """The names of some extensions; tests may change them."""
        self._start = start
        self.watcher = StatusWatcher(self, interval=NEVER)

    def now(self) -> datetime:
        """Return the current time in the call centre."""
        return self._start + timedelta(seconds=self.centre.now)

    async def __call__(self) -> Snapshot:
        """Return the current snapshot."""
        if self.failure is not None:
            raise TransportError(self.failure)
        return Snapshot(map(self._record, self.centre.seats()), observed_at=self.now())

    def _record(self, seat: object) -> AgentStatus:
        assert attrs.has(type(seat))
        fields: dict[str, Any] = {name: getattr(seat, name) for name in _FIELDS}
        fields["name"] = self.names.get(fields["extension"], fields["name"])
        return AgentStatus(**fields)

    async def play(self, seconds: float, *, step: float = 2.0) -> None:
        """Advance the time, with a poll at each step."""
        for _ in range(round(seconds / step)):
            self.centre.advance(step)
            await self.watcher.refresh()

    async def fail(self, reason: str) -> None:
        """Fail this and all following polls."""
        self.failure = reason
        (outcome,) = await asyncio.gather(self.watcher.refresh(), return_exceptions=True)
        assert isinstance(outcome, TransportError)

    async def recover(self) -> None:
        """Let polls succeed again."""
        self.failure = None
        await self.watcher.refresh()


class Flood:
    """A call centre of agents with long names, who each answer a call, or get another name, before every poll.

    Args:
        agents: The number of agents.
        letters: The length of each name.
        renames: Whether the names change, and not the numbers of calls.
    """

    def __init__(self, *, agents: int, letters: int, renames: bool = False) -> None:
        self.number = 0
        """The number of polls so far."""
        self.watcher = StatusWatcher(self, interval=NEVER)
        self._agents = agents
        self._letters = letters
        self._renames = renames

    async def __call__(self) -> Snapshot:
        """Return the next snapshot."""
        self.number += 1
        name = (f"{self.number} " if self._renames else "").ljust(self._letters, "x")
        calls = 0 if self._renames else self.number
        return snapshot(
            *(agent(str(it), name=name, calls_answered=calls) for it in range(self._agents)), at=self.number
        )


_FIELDS = tuple(field.name for field in attrs.fields(AgentStatus))


@asynccontextmanager
async def wallboard_of(stage: Stage, **options: Any) -> AsyncGenerator[Wallboard]:
    """Serve a stage."""
    clock: Callable[[], datetime] = stage.now
    async with stage.watcher, Wallboard(stage.watcher, clock=clock, **options) as wallboard:
        await stage.watcher.ready(timeout=60)
        yield wallboard


@asynccontextmanager
async def ended_wallboard() -> AsyncGenerator[Wallboard]:
    """Yield a wallboard whose watcher has ended with an error that quotes a secret."""

    async def refuse() -> Snapshot:
        raise AuthError(601, "appid=secret")

    watcher = StatusWatcher(refuse)
    async with Wallboard(watcher, beat=0.05) as wallboard, watcher:
        with pytest.raises(AuthError):
            await wallboard.wait()
        yield wallboard
