"""Waiting for what a test expects, with a limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Final

PATIENCE: Final = 60.0
"""Timeout in seconds for any expected event, even on a busy machine."""


async def until(condition: Callable[[], object], what: str = "the expected event", patience: float = PATIENCE) -> None:
    """Wait until a condition holds, or what it returns and has to be awaited."""
    time = asyncio.get_running_loop().time
    end = time() + patience
    while not (await found if isawaitable(found := condition()) else found):
        assert time() < end, f"not within {patience:g} s: {what}"
        await asyncio.sleep(0.01)
