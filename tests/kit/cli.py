"""Helpers for the command line's tests: a stand-in for standard output, and the program in a process."""

from __future__ import annotations

import asyncio
import atexit
import io
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from pkgutil import iter_modules

import pytest

from sipqueue_async.cli import commands as commands_package
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.preloaded import Preloaded, Program
from tests.kit.waiting import PATIENCE

MAIN = "from sipqueue_async.cli import main; raise SystemExit(main())"

BUSY = Plan(
    agents=4,
    queues=2,
    several_queues=0.0,
    opening_callers=6,
    calls_per_hour=600.0,
    talk_median=20.0,
    answer_delay=2.0,
    breaks_per_hour=0.0,
)
"""A plan in which something changes every few seconds."""


class Paper(io.TextIOWrapper):
    """A standard output that tests can read."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        self._bytes = io.BytesIO()
        self._terminal = terminal
        super().__init__(self._bytes, encoding=encoding)

    def isatty(self) -> bool:
        """Return whether it claims to be a terminal."""
        return self._terminal

    @property
    def text(self) -> str:
        """The printed text."""
        return self._bytes.getvalue().decode(self.encoding)

    @property
    def lines(self) -> list[str]:
        """The printed lines."""
        return self.text.splitlines()

    def output(self, **environ: str) -> Output:
        """Return an output that prints to this stream."""
        return Output(self, environ)


class Stderr:
    """The standard error of the tests' own process so far, while a command runs in it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    @property
    def text(self) -> str:
        """Everything that was printed."""
        self._text += self._capsys.readouterr().err
        return self._text


def environment(simulator: Simulator | None = None, **more: str) -> dict[str, str]:
    """Return a process environment whose only settings are these settings of the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIPQUEUE_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        kept.pop(name, None)
    if simulator is not None:
        kept |= {
            "SIPQUEUE_URL": simulator.url,
            "SIPQUEUE_APPID": simulator.appid,
            "SIPQUEUE_ACCESSKEY": simulator.accesskey,
        }
    return kept | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | more


class Sipqueue:
    """A running `sipqueue` process."""

    def __init__(self, program: Program) -> None:
        self.program = program

    async def line(self) -> str:
        """Return the next line of its standard output; fail if there is none."""
        async with asyncio.timeout(PATIENCE):
            line = await self.program.stdout.readline()
        assert line, f"the program has ended: {await self.rest()}"
        return line.decode().rstrip("\n")

    async def line_with(self, text: str) -> str:
        """Return the next line that contains `text`."""
        line = await self.line()
        while text not in line:
            line = await self.line()
        return line

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.program.send_signal(number)

    async def code(self) -> int:
        """Wait for its exit, and return the exit code: negative for a signal."""
        async with asyncio.timeout(PATIENCE):
            return await self.program.wait()

    async def rest(self) -> tuple[int, str, str]:
        """Wait for its exit; return the exit code and the unread stdout and stderr."""
        async with asyncio.timeout(PATIENCE):
            out, err = await asyncio.gather(self.program.stdout.read(), self.program.stderr.read())
        return await self.code(), out.decode(), err.decode()


@cache
def _python() -> Preloaded:
    """Yield the interpreter that forks the program; it exits after the tests."""
    commands = [f"sipqueue_async.cli.commands.{it.name}" for it in iter_modules(commands_package.__path__)]
    python = Preloaded("sipqueue_async.cli.app", *commands, "sipqueue_async.redis", options=()).__enter__()
    atexit.register(python.__exit__)
    return python


@asynccontextmanager
async def sipqueue(
    *arguments: str, env: Mapping[str, str] | None = None, code: str = MAIN, streams: Mapping[int, int] | None = None
) -> AsyncGenerator[Sipqueue]:
    """Run the program, or other code in its place; kill it at the end if it still runs.

    Its environment has no settings unless `env` is given. Descriptors in `streams` replace its standard streams.
    """
    variables = {**(environment() if env is None else env), "PYTHONUNBUFFERED": ""}
    program = await _python().start(code, Path(__file__).parent, variables, arguments=arguments, streams=streams)
    try:
        yield Sipqueue(program)
    finally:
        await program.kill()
