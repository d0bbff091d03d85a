"""A terminal taken over for a while, with another screen and keys one by one, and given back whatever happens."""

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

from sipqueue_async.cli.layout import Line

# The other screen, without a cursor; and no line that is too long for the terminal goes on in the next one, should it
# find some text wider than was thought.
_TAKE: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[0m"
_GIVE_BACK: Final = "\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
# Terminals that know it show what is between the two at once; others ignore it.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"

_PATIENCE: Final = 1.0
"""Seconds for which one thread waits for another to give the terminal back."""

_ESCAPE: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]?|O.?|[^\[O])?")
"""What keys such as the arrows send."""


class Screen:
    """A terminal's other screen.

    Args:
        output: The terminal, as a file descriptor.
        keyboard: The terminal to read keys from; None if there is none.
        colour: Whether there is to be colour, or any other style.
        encoding: What the terminal takes.
    """

    def __init__(self, output: int, keyboard: int | None, *, colour: bool, encoding: str) -> None:
        self._output = output
        self._keyboard = keyboard
        self._colours = ColorSystem.STANDARD if colour else None
        self._encoding = encoding
        self._shown: list[Line] = []
        self._spoilt = False
        """Whether there may be something on the screen that is not in `_shown`."""
        self._taken = False
        self._giving_back = threading.RLock()
        self._mode: list[int | list[bytes | int]] | None = None

    def take(self) -> None:
        """Take the terminal over, or do so anew after something else had it."""
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
        """Leave the terminal as it was found. It may be called at any moment, from any thread, and again."""
        # Where another thread is at it, it has to have finished before this one goes on to end the process; unless it
        # hangs. A signal's handler may interrupt this very thread at it, and then is not to wait.
        alone = self._giving_back.acquire(timeout=_PATIENCE)
        try:
            if self._taken:
                self._restore()
        finally:
            if alone:
                self._giving_back.release()

    def _restore(self) -> None:
        # Whoever closed the terminal does not need it back.
        with contextlib.suppress(termios.error):
            if self._mode is not None and self._keyboard is not None:
                termios.tcsetattr(self._keyboard, termios.TCSANOW, self._mode)
            # After a Ctrl-S, writing would wait for ever, and Linux lets it go on only if it was stopped from in here.
            # What waited was for the other screen.
            termios.tcflow(self._output, termios.TCOOFF)
            termios.tcflow(self._output, termios.TCOON)
            termios.tcflush(self._output, termios.TCOFLUSH)
        with contextlib.suppress(OSError):
            self._write(_GIVE_BACK)
        self._taken = False

    @property
    def size(self) -> os.terminal_size:
        """How many columns and lines there are."""
        size = os.get_terminal_size(self._output)
        # A serial line may not know.
        return os.terminal_size((size.columns or 80, size.lines or 24))

    @property
    def keyboard(self) -> int | None:
        """Where keys come from, as a file descriptor."""
        return self._keyboard

    def keys(self) -> str:
        """Return the keys that were pressed, without those that are more than a character, such as arrows.

        Raises:
            EOFError: There will be no more.
        """
        data = b""
        # Of a terminal that is gone there is an end or an error, as the system likes.
        with contextlib.suppress(OSError):
            if self._keyboard is not None:
                data = os.read(self._keyboard, 1024)
        if not data:
            raise EOFError
        return _ESCAPE.sub("", data.decode(errors="replace"))

    def forget(self) -> None:
        """Have the next picture painted in full, since the screen is not what it was."""
        self._shown = []
        self._spoilt = True

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines from the top, and nothing below them. Only what differs is written, all at once."""
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
        """Return what paints a line.

        Each text is put at its column, not after the one before: terminals differ in how wide they find some texts.
        """
        # Of those it is not known what they cover, so the line is cleared first. Others are painted over, which cannot
        # flicker.
        parts = [] if all(field.text.isascii() for field in line) else ["\x1b[2K"]
        at = 0
        for field in line:
            parts.append(f"{' ' * (field.column - at)}\x1b[{field.column + 1}G")
            parts.append(Style.parse(field.style).render(field.text, color_system=self._colours))
            at = field.column + cell_len(field.text)
        # In the last column it would take away the last character, which the cursor stays upon.
        if at < self.size.columns:
            parts.append("\x1b[K")
        return "".join(parts)

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "replace")
        while data:
            data = data[os.write(self._output, data) :]


class Session:
    """A screen among the other things of an event loop: keys, a new size, and being suspended.

    Args:
        screen: One that is taken.
        press: Is told of each key.
        changed: Is told that a new picture is needed.
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
        """Give the terminal back and stop, as Ctrl-Z asks for; here it goes on once somebody continues it."""
        self._screen.give_back()
        self._as_usual(signal.SIGTSTP)
        self._loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        self._resume()

    def _resume(self) -> None:
        self._screen.take()
        self._changed()

    def _die(self, number: signal.Signals) -> None:
        self._screen.give_back()
        self._as_usual(number)

    def _as_usual(self, number: signal.Signals) -> None:
        """Let a signal do what it does where nobody handles it."""
        self._loop.remove_signal_handler(number)
        # To this very thread, so that it has been done when this returns.
        signal.pthread_kill(threading.get_ident(), number)
