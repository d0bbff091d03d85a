"""How feeds and relays let go of what they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def run_uncancelled(close: Callable[[], Awaitable[None]]) -> None:
    """Close something to the end, also where this task is cancelled meanwhile; that has its turn afterwards.

    What ends by itself is often closed by its owner just then, which cancels it a second time.

    Args:
        close: Comes to an end by itself.
    """
    closing = asyncio.ensure_future(close())
    cancelled: asyncio.CancelledError | None = None
    while not closing.done():
        try:
            await asyncio.wait([closing])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    closing.result()
