"""A Unix terminal in full-screen mode, beyond what Textual does: standard output, and restoration in all cases."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final, TextIO

from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from sipqueue_async.cli import running

_GIVE_BACK: Final = (
    "\x1b[?2026l\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?2048l\x1b[<u\x1b[?1004l"
    "\x1b[0m\x1b[?7h\x1b[?1049l\x1b[?25h"
)
"""Undoes what Textual does to a terminal, for a process that ends at once."""

_DEADLY: Final = (signal.SIGHUP, signal.SIGQUIT)


def driver_for(output: TextIO) -> type[Driver]:
    """Return a driver that writes to standard output, as the other commands do; Textual's own writes to stderr."""

    class StdoutDriver(LinuxDriver):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._file: Any = output

    return StdoutDriver


@contextlib.contextmanager
def restored_in_an_emergency(output: TextIO, is_taken: Callable[[], bool]) -> Generator[None]:
    """Restore the terminal also if the process ends at once: by a second signal, a hang-up or SIGQUIT.

    Args:
        output: The terminal.
        is_taken: Tells whether it is in full-screen mode.
    """
    keyboard = sys.__stdin__.fileno() if sys.__stdin__ is not None else -1
    set_back: Callable[[], object] = bool
    """Sets the keyboard's mode back, or does nothing if standard input is not a terminal."""
    with contextlib.suppress(termios.error):
        set_back = partial(termios.tcsetattr, keyboard, termios.TCSANOW, termios.tcgetattr(keyboard))

    def restore() -> None:
        # A terminal that was closed cannot be restored.
        with contextlib.suppress(termios.error, OSError):
            if is_taken():
                os.write(output.fileno(), _GIVE_BACK.encode())
            set_back()

    def die(number: signal.Signals) -> None:
        restore()
        loop.remove_signal_handler(number)
        os.kill(os.getpid(), number)

    loop = asyncio.get_running_loop()
    for number in _DEADLY:
        loop.add_signal_handler(number, die, number)
    try:
        with running.restoring(restore):
            yield
    finally:
        for number in _DEADLY:
            loop.remove_signal_handler(number)
