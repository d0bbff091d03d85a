"""A wallboard of a simulated call centre whose history a recorder writes at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from sipqueue_async.history import History, Recorder
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard
from tests.kit.wallboard_stage import Stage, wallboard_of

BUSY = Plan(agents=4, queues=2, calls_per_hour=90, several_queues=0.5, breaks_per_hour=2.0, opening_callers=2)
EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)


@attrs.frozen
class RecordedWall:
    """The wallboard, its call centre and its history."""

    wallboard: Wallboard
    stage: Stage
    history: History
    recorder: Recorder

    @property
    def url(self) -> str:
        """The wallboard's URL."""
        return self.wallboard.url

    async def play(self, seconds: float) -> None:
        """Advance the time until something changes at the end, and wait until that is recorded.

        Otherwise the record could still grow: a recorder notes only now and then that nothing has changed.
        """
        await self.stage.play(seconds, step=10)
        while True:
            while self.recorder.pending:
                await asyncio.sleep(0.001)
            known = await self.history.baseline()
            if known is not None and known.observed_at == self.stage.now():
                return
            await self.stage.play(10, step=10)

    async def lose(self, seconds: float) -> None:
        """Have an outage of the platform."""
        await self.stage.fail("no route to the platform")
        self.stage.centre.advance(seconds)
        await self.stage.recover()


@asynccontextmanager
async def recorded_wall(
    directory: Path,
    *,
    plan: Plan = BUSY,
    start: datetime = EIGHT,
    names: Mapping[str, str] | None = None,
    **options: Any,
) -> AsyncGenerator[RecordedWall]:
    """Serve and record a call centre in which nothing has happened yet."""
    stage = Stage(plan, seed=3, start=start, names=names)
    async with (
        History(f"sqlite:///{directory}/day.db") as history,
        Recorder(history, stage.watcher, max_pending=100_000) as recorder,
        wallboard_of(stage, history=history, **{"beat": 0.3, **options}) as wallboard,
    ):
        yield RecordedWall(wallboard, stage, history, recorder)
