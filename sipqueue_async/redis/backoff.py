"""Growing, randomised pauses between failed requests to Redis."""

from __future__ import annotations

import asyncio
import random
from typing import Final

_FIRST: Final = 0.1
_LONGEST: Final = 5.0


class Backoff:
    """Exponential backoff with jitter: each pause is half to all of a limit, in seconds, that doubles up to 5."""

    def __init__(self) -> None:
        self._limit = _FIRST

    def reset(self) -> None:
        """Start with the shortest pause again, after a success."""
        self._limit = _FIRST

    async def pause(self) -> None:
        """Sleep for the next pause."""
        await asyncio.sleep(random.uniform(self._limit / 2, self._limit))
        self._limit = min(self._limit * 2, _LONGEST)
