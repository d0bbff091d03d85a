"""The troubles of a demonstration: each kind that a wallboard shows comes within a minute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import attrs

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import Simulator

EVERY: Final = 300.0
"""Seconds after which the troubles come again."""

_STEPS: Final = 50
"""How often, in each half of the time, calls of those who left are ended."""


@attrs.frozen
class Trouble:
    """What goes wrong, and when; in seconds."""

    at: float
    lasts: float
    happen: Callable[[Simulator, float], Awaitable[None]]


async def outage(simulator: Simulator, seconds: float) -> None:
    """Let all requests fail."""
    simulator.faults.next(reset=True, times=None)
    await asyncio.sleep(seconds)
    simulator.faults.clear()


async def all_leave(simulator: Simulator, seconds: float) -> None:
    """Sign the agents of the last queue out, then all others, and all in again at the end.

    No agent signs in meanwhile: if an agent has just joined and is missing, a watcher waits for a minute (`max_lag`)
    before it reports that the agent left.
    """
    centre = simulator.centre
    left: list[SeatKey] = []
    for queues in (centre.queues[-1:], centre.queues):
        simulator.catch_up()
        leaving = [seat.key for seat in centre.seats() if seat.queue in queues and seat.key not in left]
        for queue, extension in leaving:
            centre.sign_out(queue, extension)
        left += leaving
        for _ in range(_STEPS):
            # An agent in a call would stay until its end.
            for seat in centre.seats():
                if seat.key in left and seat.state is AgentState.TALKING:
                    centre.hang_up(seat.extension)
            await asyncio.sleep(seconds / 2 / _STEPS)
            simulator.catch_up()
    for queue, extension in left:
        centre.sign_in(queue, extension)


async def long_break(simulator: Simulator, seconds: float) -> None:
    """Pause the first agent."""
    extension = simulator.centre.extensions[0]
    simulator.catch_up()
    simulator.centre.pause(extension)
    await asyncio.sleep(seconds)
    simulator.catch_up()
    simulator.centre.resume(extension)


TROUBLES: Final = (
    Trouble(1.0, 34.0, long_break),
    Trouble(18.0, 24.0, all_leave),
    Trouble(48.0, 8.0, outage),
)
"""An agent who talks for too long, or a phone that rings for too long, comes by itself."""


@asynccontextmanager
async def troubled(simulator: Simulator, *, pace: float = 1.0) -> AsyncGenerator[None]:
    """Let the troubles happen to a running simulator inside the block.

    Args:
        simulator: The simulator.
        pace: How many times as fast as planned they come and go.
    """

    async def repeat(trouble: Trouble) -> None:
        await asyncio.sleep(trouble.at / pace)
        while True:
            await trouble.happen(simulator, trouble.lasts / pace)
            await asyncio.sleep((EVERY - trouble.lasts) / pace)

    tasks = [asyncio.create_task(repeat(trouble)) for trouble in TROUBLES]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
