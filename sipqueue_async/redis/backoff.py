"""How long to wait before Redis is asked again."""

from __future__ import annotations

import asyncio
import random
from typing import Final

_FIRST: Final = 0.1
_LONGEST: Final = 5.0


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
