"""Runs blocking calls in threads of their own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(work: Callable[[], T], name: str) -> T:
    """Return the result of a blocking call. After a cancellation the thread is left to itself.

    Not `asyncio.to_thread`: its few threads are shared, so slow destinations would delay others, and the program could
    not end while one hangs.

    Args:
        work: The call.
        name: The thread's name.

    Raises:
        Exception: The error of the call.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(settle: Callable[[], None]) -> None:
        if not future.done():
            settle()

    def run() -> None:
        try:
            settle = partial(future.set_result, work())
        except Exception as error:  # noqa: BLE001  # the caller gets it
            settle = partial(future.set_exception, error)
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, settle)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await future
