"""Running recipes, and the platform that they poll."""

from __future__ import annotations

import asyncio
import importlib.util
import shlex
import signal
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Self

import attrs

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import Plan, PlatformServer, Seat
from tests.kit.preloaded import Preloaded
from tests.kit.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "recipes"

TROUBLE = ("Traceback", "never awaited", "was destroyed", "Unclosed", "unclosed", "never retrieved")
"""Text that a cleanly ended program does not write to standard error."""

_CODES = {AgentState.WAITING: 1213, AgentState.TALKING: 1215, AgentState.PAUSED: 1217}


class Floor:
    """A call centre whose seats the test sets."""

    extensions = ("100001", "100002")

    def __init__(self) -> None:
        self._seats: dict[SeatKey, Seat] = {}
        self.put(AgentState.WAITING, "100001")
        self.put(AgentState.WAITING, "100002", queue="queue-2")

    @property
    def local_time(self) -> datetime:
        """A fixed time: a watcher accepts an answer with the same time as the last one."""
        return Plan().start

    def seats(self) -> tuple[Seat, ...]:
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
        """Set an agent's state."""
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
    """A platform that serves a floor."""

    floor: Floor
    server: PlatformServer

    @property
    def variables(self) -> dict[str, str]:
        """The settings that make a recipe poll this platform."""
        return {
            "SIPQUEUE_URL": self.server.url,
            "SIPQUEUE_APPID": self.server.appid,
            "SIPQUEUE_ACCESSKEY": self.server.accesskey,
            "SIPQUEUE_INTERVAL": "0.05",
        }


@asynccontextmanager
async def stage() -> AsyncGenerator[Stage]:
    """Serve a new floor."""
    floor = Floor()
    async with PlatformServer(floor) as server:
        yield Stage(floor, server)


def command_of(recipe: str) -> list[str]:
    """Return the command in a recipe's first lines."""
    first = (RECIPES / recipe).read_text(encoding="utf-8").splitlines()[0]
    return shlex.split(first.removeprefix("# "))


def load(recipe: str) -> ModuleType:
    """Import a recipe so that a test can call its functions."""
    spec = importlib.util.spec_from_file_location(recipe.removesuffix(".py"), RECIPES / recipe)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def preloaded(*modules: str) -> Preloaded:
    """Return an interpreter for recipes that raises the library's and the recipes' warnings as errors."""
    options = ("-W", "default", "-W", "error:::__main__", "-W", "error:::sipqueue_async")
    return Preloaded("sipqueue_async", "sipqueue_async.tally", *modules, options=options)


class Recipe:
    """A recipe that runs for the length of the block; then a signal must end it with exit code 0 and a clean stderr.

    Args:
        python: The interpreter that forks it.
        name: Name of its file.
        variables: Settings, as environment variables.
        end: The signal that ends it.
    """

    def __init__(
        self, python: Preloaded, name: str, variables: Mapping[str, str], *, end: signal.Signals = signal.SIGTERM
    ) -> None:
        self._python = python
        self._path = RECIPES / name
        self._variables = variables
        self._end = end
        self._changed = asyncio.Event()
        self.lines: list[str] = []
        self.errors: list[str] = []

    async def __aenter__(self) -> Self:
        code = self._path.read_text(encoding="utf-8")
        self._program = await self._python.start(code, ROOT, self._variables, name=str(self._path))
        self._readers = asyncio.gather(
            self._read(self._program.stdout, self.lines), self._read(self._program.stderr, self.errors)
        )
        return self

    async def _read(self, stream: asyncio.StreamReader, lines: list[str]) -> None:
        async for line in stream:
            lines.append(line.decode().rstrip())
            self._changed.set()
        self._changed.set()

    async def until(self, text: str) -> str:
        """Wait for a line of output that contains a text, and return it."""

        def found() -> str | None:
            return next((line for line in [*self.lines, *self.errors] if text in line), None)

        async with asyncio.timeout(PATIENCE):
            while (line := found()) is None:
                assert not self._readers.done(), "\n".join(self.errors)
                self._changed.clear()
                await self._changed.wait()
        return line

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert not self._readers.done(), "\n".join(self.errors)
                await asyncio.sleep(0.01)

    async def polls(self, server: PlatformServer, count: int = 3) -> None:
        """Wait for more requests to the platform."""
        asked = server.requests
        await self.wait_for(lambda: server.requests >= asked + count)

    async def __aexit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        self._program.send_signal(self._end if kind is None else signal.SIGKILL)
        try:
            async with asyncio.timeout(PATIENCE):
                code = await self._program.wait()
                await self._readers
        finally:
            self._program.send_signal(signal.SIGKILL)
        complaints = "\n".join(self.errors)
        assert kind is not None or (code == 0 and not any(sign in complaints for sign in TROUBLE)), (
            f"exit code {code}\n{complaints}"
        )
