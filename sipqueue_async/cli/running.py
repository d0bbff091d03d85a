"""Runs a command's coroutine until it ends or a signal ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import attrs

Work = Callable[[], Coroutine[Any, Any, int | None]]
"""Makes a command's coroutine, which returns the exit code; None is 0."""


@attrs.frozen
class Job:
    """Work with something to say at its end."""

    work: Work
    conclude: Callable[[], None]
    """Prints what the work came to, however it ended; it may take its time, until a second signal."""


PATIENCE: Final = 2.0
"""Seconds that a command has to end after a signal."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def run(job: Work | Job) -> int:
    """Run a command and return its exit code: its own, or 128 + the number of the signal that ended it.

    SIGINT and SIGTERM cancel the coroutine. A second signal ends the process at once, and so does time: nothing else
    would help where the reader of a full pipe does not read, or where a name look-up goes on in its thread. A job's
    conclusion has all the time it needs, for who reads it may be a person with a pager.
    """
    job = job if isinstance(job, Job) else Job(job, _nothing)
    stop = _Stop()
    handlers = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        with asyncio.Runner() as runner:
            code = runner.run(stop.supervise(job.work))
    finally:
        stop.relax()
        try:
            job.conclude()
        finally:
            stop.relax()
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return code


_restores: Final[list[Callable[[], None]]] = []


@contextmanager
def restoring(restore: Callable[[], None]) -> Generator[None]:
    """Have something put back at the end, also where the process ends at once.

    Args:
        restore: What does so. It may be called from another thread, in the middle of anything, and more than once.
    """
    _restores.append(restore)
    try:
        yield
    finally:
        _restores.remove(restore)
        restore()


def _leave(code: int) -> None:
    """End the process at once."""
    for restore in _restores:
        restore()
    os._exit(code)


class _Stop:
    """The signals' handler, and what it knows."""

    def __init__(self) -> None:
        self._code: int | None = None
        self._cancel: Callable[[], None] = _nothing
        self._last_resort: threading.Timer | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        code = 128 + number
        if self._code is not None:
            _leave(code)
        self._code = code
        self._last_resort = threading.Timer(PATIENCE, _leave, (code,))
        self._last_resort.daemon = True
        self._last_resort.start()
        self._cancel()

    async def supervise(self, work: Work) -> int:
        """Run the coroutine, unless a signal came before."""
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work())
        self._cancel = lambda: _cancel_soon(loop, task)
        if self._code is not None:
            task.cancel()
        try:
            code = await task
        except asyncio.CancelledError:
            if self._code is None:
                raise
        else:
            self._code = self._code or code or 0
        finally:
            self._cancel = _nothing
        return self._code

    def relax(self) -> None:
        """Call the last resort off: nothing hangs."""
        if self._last_resort is not None:
            self._last_resort.cancel()


def _nothing() -> None:
    """Stand in for what there is nothing to do for."""


def _cancel_soon(loop: asyncio.AbstractEventLoop, task: asyncio.Future[int | None]) -> None:
    # A signal's handler runs between any two instructions, also of the loop's own.
    loop.call_soon_threadsafe(task.cancel)
