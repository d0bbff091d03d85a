"""Tasks that a test starts and cancels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(work: Any) -> AsyncGenerator[asyncio.Future[Any]]:
    """Run a coroutine as a task until the block ends, then cancel it."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def cancel_later(task: asyncio.Future[Any], iterations: int) -> None:
    """Cancel a task after so many iterations of the event loop."""
    if iterations:
        asyncio.get_running_loop().call_soon(cancel_later, task, iterations - 1)
    else:
        task.cancel()
