"""Runs a program's coroutine until it ends or until SIGINT or SIGTERM ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar

from sipqueue_async._text import harmless
from sipqueue_async.settings import SettingsError

T = TypeVar("T")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_BAD_SETTINGS: Final = 2
"""The exit code, as for the command line."""


def run(main: Coroutine[Any, Any, T]) -> T | None:
    """Run a program's main coroutine, as `asyncio.run` does, and end quietly on SIGINT (Ctrl-C) and SIGTERM.

    It also ends quietly if the reader of standard output ends, as in ``python program.py | head``. What the program
    prints afterwards is discarded.

    The first signal cancels `main` once, so that every ``async with`` is left properly; the second ends the process at
    once with exit code 128 + the signal's number. Both signals work even if the process was started with SIGINT
    ignored, as shell scripts start background programs. In a thread other than the main one no signal is handled.

    If a setting is missing or invalid (`SettingsError`), it prints the error as one line to standard error, and the
    program exits with code 2, as the command line does.

    Args:
        main: The coroutine to run, such as ``main()``.

    Returns:
        What `main` returned, or None if a signal or the end of the reader ended it. A program that ends after `run`
        therefore exits with 0, as process supervisors and container runtimes expect after SIGTERM.

    Raises:
        SystemExit: A setting is missing or invalid.
        BaseException: The error that `main` raises.
    """
    result = None
    try:
        with StopSignals() as signals, asyncio.Runner() as runner:
            result = runner.run(signals.supervise(main))
        # A program may have replaced or closed standard output, or have none.
        with contextlib.suppress(AttributeError, ValueError):
            sys.stdout.flush()
    except SettingsError as error:
        print(f"settings: {harmless(' '.join(str(error).split()))}", file=sys.stderr)  # noqa: T201  # the program's last line
        raise SystemExit(_BAD_SETTINGS) from None
    except (BrokenPipeError, BaseExceptionGroup) as error:
        if not _is_broken_pipe(error) or not _stdout_lost_its_reader():
            raise
        # The interpreter flushes standard output at exit, which would fail once more.
        with open(os.devnull, "wb") as devnull:  # noqa: PTH123  # a descriptor is needed, and no path
            os.dup2(devnull.fileno(), sys.stdout.fileno())
    return result


def _is_broken_pipe(error: BaseException) -> bool:
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, BaseExceptionGroup) and error.split(BrokenPipeError)[1] is None
    )


def _stdout_lost_its_reader() -> bool:
    # Windows has no poll; a replaced standard output may have no descriptor.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    return False


class StopSignals:
    """Handles SIGINT and SIGTERM while it is entered: the first cancels the supervised coroutine, the second exits.

    Args:
        first: Called with the first signal's number, before the cancellation.
        leave: Ends the process with an exit code, at the second signal.
    """

    def __init__(
        self, *, first: Callable[[int], None] | None = None, leave: Callable[[int], None] | None = None
    ) -> None:
        self.number: int | None = None
        """The first signal's number; None before it."""
        self._first = first
        self._leave = leave
        self._cancel: Callable[[], None] | None = None
        self._replaced: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Python allows signal handlers in the main thread only.
        if threading.current_thread() is threading.main_thread():
            # Not loop.add_signal_handler: Windows lacks it, and its handlers wait for a loop that may be blocked.
            self._replaced = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._replaced.items():
            # None stands for a handler that was not installed from Python and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None:
            (self._leave or os._exit)(128 + number)
            return
        self.number = number
        if self._first is not None:
            self._first(number)
        if self._cancel is not None:
            self._cancel()

    async def supervise(self, main: Coroutine[Any, Any, T]) -> T | None:
        """Return the coroutine's result, or None if a signal cancelled it or came before it could start."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine of asyncio runs in a task

        def cancel() -> None:
            # A handler runs between any two bytecodes, the loop's own included, so it calls the loop as threads do.
            loop.call_soon_threadsafe(task.cancel)

        self._cancel = cancel
        try:
            if self.number is not None:
                main.close()
                return None
            return await main
        except asyncio.CancelledError:
            if self.number is None:
                raise
            return None
        finally:
            self._cancel = None
