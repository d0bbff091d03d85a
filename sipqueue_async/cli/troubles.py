"""The troubles of a demonstration: each kind that a wallboard shows comes within a minute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import attrs

from sipqueue_async import AgentState
from sipqueue_async.simulator import Simulator

EVERY: Final = 300.0
"""Seconds after which the troubles come again."""

_STEPS: Final = 50
"""How often, while agents are signed out, their calls are ended."""


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


async def signed_out(simulator: Simulator, seconds: float, *, every_queue: bool) -> None:
    """Sign all agents of the last queue, or of every queue, out for a time."""
    centre = simulator.centre
    queues: Collection[str] = centre.queues if every_queue else centre.queues[-1:]
    simulator.catch_up()
    seats = [seat.key for seat in centre.seats() if seat.queue in queues]
    for queue, extension in seats:
        centre.sign_out(queue, extension)
    for _ in range(_STEPS):
        # An agent in a call would stay until its end.
        for seat in centre.seats():
            if seat.queue in queues and seat.state is AgentState.TALKING:
                centre.hang_up(seat.extension)
        await asyncio.sleep(seconds / _STEPS)
        simulator.catch_up()
    for queue, extension in seats:
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
    Trouble(1.0, 36.0, long_break),
    Trouble(12.0, 14.0, partial(signed_out, every_queue=False)),
    Trouble(30.0, 8.0, outage),
    Trouble(44.0, 14.0, partial(signed_out, every_queue=True)),
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
