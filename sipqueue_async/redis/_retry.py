"""Tasks that talk to Redis: how long they wait before they ask again, and how they are ended."""

from __future__ import annotations

import asyncio
import random
from typing import Final

_FIRST: Final = 0.1
_LONGEST: Final = 5.0
_FOR_CLEANING_UP: Final = 1.0


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task that talks to Redis, and wait for its end.

    More than once, if need be: where redis-py sends under `asyncio.wait_for`, Python 3.11 may drop a cancellation.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_FOR_CLEANING_UP)


class Backoff:
    """Pauses that grow with each failure, drawn at random below their limit so that many clients spread out."""

    def __init__(self) -> None:
        self._limit = _FIRST

    def reset(self) -> None:
        """Begin with short pauses again: it works."""
        self._limit = _FIRST

    async def pause(self) -> None:
        """Wait."""
        await asyncio.sleep(random.uniform(self._limit / 2, self._limit))
        self._limit = min(self._limit * 2, _LONGEST)
