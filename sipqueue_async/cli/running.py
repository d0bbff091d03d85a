"""Runs a command's coroutine until it ends or a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import attrs

from sipqueue_async._running import StopSignals
from sipqueue_async.cli.exits import writes_json
from sipqueue_async.cli.logs import log_on_stderr

Work = Callable[[], Coroutine[Any, Any, int | None]]
"""Makes a command's coroutine, which returns the exit code; None is 0."""


@attrs.frozen
class Job:
    """A command's coroutine, and what is printed after it."""

    work: Work
    conclude: Callable[[], None]
    """Prints the results, however the work ended. Only a second signal limits the time it takes."""


PATIENCE: Final = 2.0
"""Seconds that a command has to end after a signal."""


def run(job: Work | Job) -> int:
    """Run a command and return its exit code: its own, or 128 + the number of the signal that ended it.

    SIGINT and SIGTERM cancel the coroutine. A second signal ends the process at once, and so does a timeout: otherwise
    a full pipe whose reader does not read, or a name lookup that hangs in its thread, would keep the process alive. A
    job's conclusion has no timeout, because its reader may be a person with a pager.
    """
    # Without a handler Python would print the library's warnings too; the commands report them in their own words.
    logging.getLogger("sipqueue_async").addHandler(logging.NullHandler())
    deadline = _Deadline()
    # A program that collects logs wants the library's own words too.
    log = log_on_stderr() if writes_json() else nullcontext()
    with log, StopSignals(first=deadline.start, leave=leave) as signals:
        try:
            with asyncio.Runner() as runner:
                code = runner.run(signals.supervise((job.work if isinstance(job, Job) else job)()))
        finally:
            deadline.cancel()
            try:
                if isinstance(job, Job):
                    job.conclude()
            finally:
                deadline.cancel()
    return code or 0 if signals.number is None else 128 + signals.number


_restores: Final[list[Callable[[], None]]] = []


@contextmanager
def restoring(restore: Callable[[], None]) -> Generator[None]:
    """Call `restore` at the end of the block, and also if the process ends at once.

    Args:
        restore: May be called from another thread, between any two bytecodes, and more than once.
    """
    _restores.append(restore)
    try:
        yield
    finally:
        _restores.remove(restore)
        restore()


def leave(code: int) -> None:
    """End the process at once."""
    for restore in _restores:
        restore()
    os._exit(code)


class _Deadline:
    """Ends the process if the command takes too long after a signal."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def start(self, number: int) -> None:
        self._timer = threading.Timer(PATIENCE, leave, (128 + number,))
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
