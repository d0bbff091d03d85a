"""Growing, randomised pauses between failed requests to Redis."""

from __future__ import annotations

import asyncio
from typing import Final

from sipqueue_async._backoff import backoff, jittered

_FIRST: Final = 0.1
_LONGEST: Final = 5.0


class Backoff:
    """Exponential backoff with jitter: each pause is half to all of a limit, in seconds, that doubles up to 5."""

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        """Start with the shortest pause again, after a success."""
        self._failures = 0

    async def pause(self) -> None:
        """Sleep for the next pause."""
        self._failures += 1
        await asyncio.sleep(jittered(backoff(self._failures, _FIRST, _LONGEST)))
