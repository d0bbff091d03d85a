"""A terminal in full-screen mode: its alternate screen, its keys, and its restoration in all cases."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import termios
import threading
import tty
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from sipqueue_async.cli.terminal.layout import Line

# The alternate screen, without cursor and without line wrapping: a terminal may draw some text wider than computed.
_TAKE: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[0m"
_GIVE_BACK: Final = "\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
# Synchronized output: terminals that support it draw what is in between at once; others ignore it.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"

_PATIENCE: Final = 1.0
"""Seconds that one thread waits for another to restore the terminal."""

_ESCAPE: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]?|O.?|[^\[O])?")
"""The sequences that keys such as the arrows send."""


class Screen:
    """A terminal's alternate screen.

    Args:
        output: The terminal's file descriptor.
        keyboard: The file descriptor to read keys from; None if there is none.
        colour: Whether to use colours and other styles.
        encoding: The terminal's encoding.
    """

    def __init__(self, output: int, keyboard: int | None, *, colour: bool, encoding: str) -> None:
        self._output = output
        self._keyboard = keyboard
        self._colours = ColorSystem.STANDARD if colour else None
        self._encoding = encoding
        self._shown: list[Line] = []
        self._spoilt = False
        """Whether the screen may hold something that is not in `_shown`."""
        self._taken = False
        self._giving_back = threading.RLock()
        self._mode: list[int | list[bytes | int]] | None = None

    def take(self) -> None:
        """Switch to the alternate screen and to single keys; also after another program has used the terminal."""
        with contextlib.suppress(termios.error):
            if self._keyboard is not None:
                if not self._taken:
                    self._mode = termios.tcgetattr(self._keyboard)
                self._taken = True
                tty.setcbreak(self._keyboard, termios.TCSANOW)
        self._taken = True
        self.forget()
        self._write(_TAKE)

    def give_back(self) -> None:
        """Restore the terminal as it was. It may be called at any moment, from any thread, and repeatedly."""
        # Wait until another thread that is restoring it has finished, before this one ends the process; with a timeout,
        # because it may hang. The lock is reentrant: a signal handler may interrupt this thread here.
        alone = self._giving_back.acquire(timeout=_PATIENCE)
        try:
            if self._taken:
                self._restore()
        finally:
            if alone:
                self._giving_back.release()

    def _restore(self) -> None:
        # A terminal that was closed cannot be restored.
        with contextlib.suppress(termios.error):
            if self._mode is not None and self._keyboard is not None:
                termios.tcsetattr(self._keyboard, termios.TCSANOW, self._mode)
            # After Ctrl-S a write would block without end. Linux resumes output here only if it was stopped from here.
            # The blocked output is for the alternate screen, so it is discarded.
            termios.tcflow(self._output, termios.TCOOFF)
            termios.tcflow(self._output, termios.TCOON)
            termios.tcflush(self._output, termios.TCOFLUSH)
        with contextlib.suppress(OSError):
            self._write(_GIVE_BACK)
        self._taken = False

    @property
    def size(self) -> os.terminal_size:
        """The number of columns and lines."""
        size = os.get_terminal_size(self._output)
        # A serial line may report 0.
        return os.terminal_size((size.columns or 80, size.lines or 24))

    @property
    def keyboard(self) -> int | None:
        """The file descriptor to read keys from."""
        return self._keyboard

    def keys(self) -> str:
        """Return the keys that were pressed, without those that send a sequence, such as arrows.

        Raises:
            EOFError: The terminal is gone.
        """
        data = b""
        # Systems report a terminal that is gone as end of file or as an error.
        with contextlib.suppress(OSError):
            if self._keyboard is not None:
                data = os.read(self._keyboard, 1024)
        if not data:
            raise EOFError
        return _ESCAPE.sub("", data.decode(errors="replace"))

    def forget(self) -> None:
        """Paint the next picture in full, because the screen's content is unknown."""
        self._shown = []
        self._spoilt = True

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines and nothing below them. Only lines that changed are written, in one call."""
        empty: Line = ()
        changes = ["\x1b[2J"] if self._spoilt else []
        self._spoilt = False
        for index in range(max(len(lines), len(self._shown))):
            line = lines[index] if index < len(lines) else empty
            if line != (self._shown[index] if index < len(self._shown) else empty):
                changes.append(f"\x1b[{index + 1};1H{self._rendered(line)}")
        self._shown = list(lines)
        if changes:
            self._write(_BEGIN + "".join(changes) + _END)

    def _rendered(self, line: Line) -> str:
        """Return the sequences that paint a line.

        Each text is positioned at its own column, because terminals disagree on the width of some texts.
        """
        # Their width is uncertain, so such a line is cleared first. An ASCII line is overwritten, which cannot flicker.
        parts = [] if all(field.text.isascii() for field in line) else ["\x1b[2K"]
        at = 0
        for field in line:
            parts.append(f"{' ' * (field.column - at)}\x1b[{field.column + 1}G")
            parts.append(Style.parse(field.style).render(field.text, color_system=self._colours))
            at = field.column + cell_len(field.text)
        # After the last column the cursor stays on the last character, which this would erase.
        if at < self.size.columns:
            parts.append("\x1b[K")
        return "".join(parts)

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "replace")
        while data:
            data = data[os.write(self._output, data) :]


class Session:
    """Connects a screen to the event loop: keys, changes of size, suspension and resumption.

    Args:
        screen: A screen in full-screen mode.
        press: Called with each key.
        changed: Called when a new picture is needed.
    """

    def __init__(self, screen: Screen, *, press: Callable[[str], None], changed: Callable[[], None]) -> None:
        self._screen = screen
        self._press = press
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGWINCH: self._resize,
            signal.SIGTSTP: self._suspend,
            signal.SIGCONT: self._resume,
            signal.SIGHUP: partial(self._die, signal.SIGHUP),
            signal.SIGQUIT: partial(self._die, signal.SIGQUIT),
        }

    def __enter__(self) -> Self:
        if self._screen.keyboard is not None:
            self._loop.add_reader(self._screen.keyboard, self._read)
        for number, handler in self._handlers.items():
            self._loop.add_signal_handler(number, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in self._handlers:
            self._loop.remove_signal_handler(number)
        self._forget_keyboard()

    def _forget_keyboard(self) -> None:
        if self._screen.keyboard is not None:
            self._loop.remove_reader(self._screen.keyboard)

    def _read(self) -> None:
        try:
            keys = self._screen.keys()
        except EOFError:
            self._forget_keyboard()
            return
        for key in keys:
            self._press(key)

    def _resize(self) -> None:
        self._screen.forget()
        self._changed()

    def _suspend(self) -> None:
        """Restore the terminal and stop the process, as Ctrl-Z asks; continue here after SIGCONT."""
        self._screen.give_back()
        self._do_default(signal.SIGTSTP)
        self._loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        self._resume()

    def _resume(self) -> None:
        self._screen.take()
        self._changed()

    def _die(self, number: signal.Signals) -> None:
        self._screen.give_back()
        self._do_default(number)

    def _do_default(self, number: signal.Signals) -> None:
        """Perform a signal's default action."""
        self._loop.remove_signal_handler(number)
        # Sent to this thread, so that it has taken effect when this returns.
        signal.pthread_kill(threading.get_ident(), number)
