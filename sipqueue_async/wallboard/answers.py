"""Serializes the queries of the history, and caches each answer for a few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

KEPT_FOR: Final = 3.0
"""Seconds for which an answer is cached."""
MOST_WAITING: Final = 32
"""How many requests may wait for the history."""
_MOST_KEPT: Final = 32


class BusyError(Exception):
    """Too many requests wait for the history."""


class Answers:
    """Limits the cost of browsers: a query takes up to a second, and blocks the event loop for a part of it.

    Args:
        kept_for: Seconds for which an answer is cached.
    """

    def __init__(self, kept_for: float = KEPT_FOR) -> None:
        self._kept_for = kept_for
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._kept: dict[Hashable, tuple[float, bytes]] = {}

    async def get(self, question: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the answer to a question: a recent one, or a new one.

        Raises:
            BusyError: Too many requests wait.
        """
        if self._waiting >= MOST_WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._lock:
                now = asyncio.get_running_loop().time()
                self._kept = {key: it for key, it in self._kept.items() if it[0] > now}
                kept = self._kept.get(question)
                if kept is not None:
                    return kept[1]
                answer = await make()
                if len(self._kept) >= _MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[question] = asyncio.get_running_loop().time() + self._kept_for, answer
                return answer
        finally:
            self._waiting -= 1
