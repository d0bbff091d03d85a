"""A terminal for tests: a pty, and an emulator whose screen tests can read."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pyte

from tests.kit.waiting import PATIENCE

TAKEN, GIVEN_BACK = b"\x1b[?1049h", b"\x1b[?1049l"
"""The sequences that enter the alternate screen and leave it."""


class Terminal:
    """A terminal, its screen and its keyboard."""

    def __init__(self, columns: int, lines: int) -> None:
        self._controller, self.descriptor = pty.openpty()
        self._emulated = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._emulated)
        self._news = asyncio.Event()
        self.shown = b""
        """All bytes that programs wrote to the terminal."""
        self.resize(columns, lines)
        self.mode = termios.tcgetattr(self.descriptor)
        """The terminal's initial mode."""

    def resize(self, columns: int, lines: int) -> None:
        """Change the terminal's size. Programs notice only after a SIGWINCH."""
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._emulated.resize(lines, columns)

    def start(self) -> None:
        """Start displaying the written bytes."""
        asyncio.get_running_loop().add_reader(self._controller, self._read)

    def _read(self) -> None:
        data = os.read(self._controller, 65536)
        self.shown += data
        self._stream.feed(data)
        self._news.set()

    @property
    def foreground(self) -> int:
        """The process group that Ctrl-C interrupts."""
        return os.tcgetpgrp(self._controller)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._controller, keys.encode())

    @property
    def lines(self) -> list[str]:
        """The visible lines, without trailing spaces."""
        return [line.rstrip() for line in self._emulated.display]

    @property
    def text(self) -> str:
        """The visible text."""
        return "\n".join(self.lines)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition on the screen holds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        assert condition(), f"this is what is shown:\n{self.text}"

    async def until_shown(self, text: str) -> None:
        """Wait until the screen shows a text."""
        await self.until(lambda: text in self.text)

    @property
    def is_as_before(self) -> bool:
        """Whether a program restored the mode, the cursor and the previous screen."""
        same_mode = termios.tcgetattr(self.descriptor) == self.mode
        is_left = self.shown.rfind(GIVEN_BACK) > self.shown.rfind(TAKEN)
        return same_mode and not self._emulated.cursor.hidden and is_left

    def close(self) -> None:
        """Close the pty."""
        asyncio.get_running_loop().remove_reader(self._controller)
        for descriptor in (self._controller, self.descriptor):
            with contextlib.suppress(OSError):
                os.close(descriptor)


@asynccontextmanager
async def terminal(columns: int = 80, lines: int = 24) -> AsyncGenerator[Terminal]:
    """Open a terminal for the length of the block."""
    it = Terminal(columns, lines)
    it.start()
    try:
        yield it
    finally:
        it.close()
