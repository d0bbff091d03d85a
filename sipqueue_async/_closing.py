"""Closing what feeds, relays and histories hold, in spite of a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def run_uncancelled(close: Callable[[], Awaitable[None]]) -> None:
    """Run `close` to its end, even if this task is cancelled meanwhile; re-raise the cancellation afterwards.

    A feed that has failed closes itself. Its owner often closes it at the same moment, which cancels the task.

    Args:
        close: Must return by itself: nothing can interrupt it.
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
