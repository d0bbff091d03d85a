"""A recipe as its reader runs it, by the command at its top, and the platform that it is pointed at."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shlex
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Self

import attrs

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import Plan, PlatformServer, Seat

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "recipes"
PATIENCE = 30.0
"""Seconds for anything that a recipe is to do. It takes one or two."""

TROUBLE = ("Traceback", "never awaited", "was destroyed", "Unclosed", "unclosed", "never retrieved")
"""What no program says that ends in good order."""

_CODES = {AgentState.WAITING: 1213, AgentState.TALKING: 1215, AgentState.PAUSED: 1217}


class Floor:
    """A call centre that is what the test says."""

    extensions = ("100001", "100002")

    def __init__(self) -> None:
        self._seats: dict[SeatKey, Seat] = {}
        self.put(AgentState.WAITING, "100001")
        self.put(AgentState.WAITING, "100002", queue="queue-2")

    @property
    def local_time(self) -> datetime:
        """The same for ever: an answer as old as the last one is good."""
        return Plan().start

    def seats(self) -> tuple[Seat, ...]:
        """Return the records."""
        return tuple(self._seats.values())

    def put(
        self,
        state: AgentState,
        extension: str = "100001",
        *,
        queue: str = "queue-1",
        answered: int = 0,
        name: str = "=Agent",
    ) -> None:
        """Put an agent into a state."""
        code = _CODES[state]
        seat = Seat(
            queue=queue,
            extension=extension,
            name=name,
            state=state,
            state_code=code,
            status_code=code,
            calls_answered=answered,
        )
        self._seats[seat.key] = seat


@attrs.frozen
class Stage:
    """A platform that shows a floor."""

    floor: Floor
    server: PlatformServer

    @property
    def variables(self) -> dict[str, str]:
        """What leads a recipe to it."""
        return {
            "SIPQUEUE_URL": self.server.url,
            "SIPQUEUE_APPID": self.server.appid,
            "SIPQUEUE_ACCESSKEY": self.server.accesskey,
            "SIPQUEUE_INTERVAL": "0.05",
        }


@asynccontextmanager
async def stage() -> AsyncGenerator[Stage]:
    """Serve a floor."""
    floor = Floor()
    async with PlatformServer(floor) as server:
        yield Stage(floor, server)


def command_of(recipe: str) -> list[str]:
    """Return the command at the top of a recipe."""
    first = (RECIPES / recipe).read_text(encoding="utf-8").splitlines()[0]
    return shlex.split(first.removeprefix("# "))


def load(recipe: str) -> ModuleType:
    """Import a recipe, for what it works out without a platform."""
    spec = importlib.util.spec_from_file_location(recipe.removesuffix(".py"), RECIPES / recipe)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Recipe:
    """A recipe that runs, in a process of its own, until the block is left; then it must end in good order.

    Args:
        name: Its file's name.
        variables: Its settings.
        end: The signal that ends it.
    """

    def __init__(self, name: str, variables: dict[str, str], *, end: signal.Signals = signal.SIGTERM) -> None:
        self._command = command_of(name)
        # "python" is the interpreter of the tests. Warnings are errors in the recipe and in the library; what other
        # libraries warn of is shown and is their business.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        strict = {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "default,error:::__main__,error:::sipqueue_async"}
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", "PATH": path, **strict, **variables}
        self._end = end
        self._changed = asyncio.Event()
        self.lines: list[str] = []
        self.errors: list[str] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._env,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = asyncio.gather(
            self._read(self._process.stdout, self.lines), self._read(self._process.stderr, self.errors)
        )
        return self

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        async for line in stream:
            lines.append(line.decode().rstrip())
            self._changed.set()
        self._changed.set()

    async def until(self, text: str) -> str:
        """Wait for a line of output that has a text in it, and return the line."""

        def found() -> str | None:
            return next((line for line in [*self.lines, *self.errors] if text in line), None)

        async with asyncio.timeout(PATIENCE):
            while (line := found()) is None:
                assert not self._readers.done(), "\n".join(self.errors)
                self._changed.clear()
                await self._changed.wait()
        return line

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert not self._readers.done(), "\n".join(self.errors)
                await asyncio.sleep(0.02)

    async def __aexit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(self._end if kind is None else signal.SIGKILL)
        try:
            async with asyncio.timeout(PATIENCE):
                code = await self._process.wait()
                await self._readers
        finally:
            with suppress(ProcessLookupError):
                self._process.kill()
        said = "\n".join(self.errors)
        assert kind is not None or (code == 0 and not any(sign in said for sign in TROUBLE)), (
            f"exit code {code}\n{said}"
        )
