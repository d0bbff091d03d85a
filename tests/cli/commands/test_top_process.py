"""``sipqueue top`` as a process on its own terminal: keys, signals, and the restored terminal at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.kit.cli import MAIN, Sipqueue, sipqueue
from tests.kit.terminal import GIVEN_BACK, Terminal, terminal

pytestmark = pytest.mark.one_python

# It must be the controlling terminal of the program's session, or keys would cause no signals.
OWN_TERMINAL = (
    "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    # A session's only process cannot be stopped, because no other process could resume it.
    "if (child := os.fork()):\n"
    "    os.setpgid(child, child); os.tcsetpgrp(0, child)\n"
    "    while True:\n"
    "        _, status = os.waitpid(child, os.WUNTRACED)\n"
    "        if os.WIFSTOPPED(status): print('stopped', flush=True); continue\n"
    "        code = os.waitstatus_to_exitcode(status); break\n"
    "    raise SystemExit(code if code >= 0 else 200 - code)\n"
    "os.setpgid(0, 0)\n"
)
DEMO = ("top", "--demo", "--interval", "0.2")


class Top:
    """The program on a terminal."""

    def __init__(self, terminal: Terminal, shell: Sipqueue) -> None:
        self.terminal = terminal
        self._shell = shell

    def send(self, number: signal.Signals) -> None:
        os.kill(self.terminal.foreground, number)

    async def code(self) -> int:
        """Return its exit code, or 200 plus the number of the signal that killed it."""
        return await self._shell.code()


@asynccontextmanager
async def program(*arguments: str, code: str = MAIN) -> AsyncGenerator[Top]:
    """Run the program on a terminal."""
    async with (
        terminal() as it,
        sipqueue(*arguments, code=OWN_TERMINAL + code, streams=dict.fromkeys(range(3), it.descriptor)) as shell,
    ):
        yield Top(it, shell)


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x1c", 200 + signal.SIGQUIT)])
async def test_a_key_ends_it_and_the_terminal_is_as_before(key: str, code: int) -> None:
    async with program(*DEMO) as top:
        await top.terminal.until_shown("seats in 2 queues")
        assert not top.terminal.is_as_before
        top.terminal.press(key)
        assert await top.code() == code
        await top.terminal.until(lambda: top.terminal.is_as_before)


async def test_a_hang_up_ends_it_and_the_terminal_is_as_before() -> None:
    async with program(*DEMO) as top:
        await top.terminal.until_shown("seats in 2 queues")
        top.send(signal.SIGHUP)
        assert await top.code() == 200 + signal.SIGHUP
        await top.terminal.until(lambda: top.terminal.is_as_before)


async def test_an_impatient_second_signal_does_no_harm() -> None:
    """The terminal is restored before the second signal ends the process at once."""
    stuck = (
        "import os, time; from sipqueue_async.cli.terminal import app\n"
        "def compose(*rest):\n"
        "    os.write(1, b'stuck'); time.sleep(600)\n"
        "app.compose = compose\n"
    )
    async with program(*DEMO, code=stuck + MAIN) as top:
        await top.terminal.until_shown("stuck")
        top.terminal.press("\x03")
        await asyncio.sleep(0.2)
        top.terminal.press("\x03")
        assert await top.code() == 130
        await top.terminal.until(lambda: top.terminal.is_as_before)


async def test_a_bug_gives_the_terminal_back_before_its_traceback() -> None:
    broken = (
        "from sipqueue_async.cli.terminal import app\n"
        "def compose(*rest): raise ZeroDivisionError\n"
        "app.compose = compose\n"
    )
    async with program(*DEMO, code=broken + MAIN) as top:
        assert await top.code() == 1
        await top.terminal.until_shown("ZeroDivisionError")
        assert termios.tcgetattr(top.terminal.descriptor) == top.terminal.mode


async def test_it_can_be_suspended_and_goes_on() -> None:
    """Ctrl-Z restores the terminal, and fg shows the board again."""
    async with program(*DEMO) as top:
        await top.terminal.until_shown("seats in 2 queues")
        top.terminal.press("\x1a")
        await top.terminal.until_shown("stopped")
        assert termios.tcgetattr(top.terminal.descriptor) == top.terminal.mode
        assert top.terminal.shown.count(GIVEN_BACK) == 1
        top.send(signal.SIGCONT)
        await top.terminal.until(lambda: "stopped" not in top.terminal.text and "q quit" in top.terminal.text)
        assert termios.tcgetattr(top.terminal.descriptor) != top.terminal.mode
        top.terminal.press("q")
        assert await top.code() == 0
        await top.terminal.until(lambda: top.terminal.is_as_before)


async def test_ends_on_a_terminal_whose_output_is_stopped() -> None:
    """SIGTERM works even after Ctrl-S stopped the terminal's output."""
    async with program(*DEMO) as top:
        await top.terminal.until_shown("seats in 2 queues")
        top.terminal.press("\x13")
        await asyncio.sleep(1)
        top.send(signal.SIGTERM)
        assert await top.code() == 143
        await top.terminal.until(lambda: top.terminal.is_as_before)


async def test_without_a_keyboard_it_runs_until_a_signal() -> None:
    async with terminal() as it, sipqueue(*DEMO, streams={1: it.descriptor}) as top:
        await it.until_shown("seats in 2 queues")
        top.send(signal.SIGINT)
        assert await top.code() == 130
        await it.until(lambda: it.is_as_before)
