"""Fixtures and hooks of all tests: the event loop of each test, and servers for clients."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import async_solipsism
import coverage
import pytest
from aioresponses import aioresponses
from hypothesis import HealthCheck, settings

from tests.kit import relay_processes
from tests.kit.needs import COMPONENTS, find
from tests.kit.postgres_server import PostgresServer
from tests.kit.preloaded import Preloaded
from tests.kit.redis_server import RedisServer
from tests.kit.servers import CannedResponse, Platform, RawServer

# The same few examples in every run, so that every run covers the same lines; `nox -s endurance` searches with many.
# No deadline, and no limit for the making of examples: both take as long as the machine needs.
base = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("gate", base, max_examples=25, stateful_step_count=30, derandomize=True)
settings.register_profile("others", settings.get_profile("gate"), max_examples=5, stateful_step_count=10)
settings.register_profile("endurance", base, max_examples=1000)
settings.load_profile("gate")

# Coverage is measured in the test processes, not in the processes that they start.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_START", None)

# Tests, and the programs that they start, must not read the developer's settings file.
os.environ["XDG_CONFIG_HOME"] = os.devnull

# Text for people is in the system's language.
os.environ["LC_ALL"] = "C.UTF-8"

# pytest-xdist passes the terminal's width to its workers, and the command's output depends on it.
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)

# Background processes ignore Ctrl-C, and programs that the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _skip_if_a_process_starts(event: str, _: tuple[object, ...]) -> None:  # pragma: no cover  # in quick runs only
    """Skip the running test when it starts a process: quick runs have no time for processes."""
    if event == "subprocess.Popen":
        pytest.skip("starts a process; not in a quick run")


@functools.cache
def _watch_for_processes() -> None:  # pragma: no cover  # in quick runs only
    sys.addaudithook(_skip_if_a_process_starts)


TRACER = sys.gettrace()
"""Coverage's trace function in a measured run."""


def _trace_again() -> None:
    """Restore coverage's trace function: a switch of greenlets, in which SQLAlchemy runs, may have removed it."""
    if TRACER is not None:  # pragma: no branch  # in measured runs only
        sys.settrace(TRACER)


def pytest_runtest_setup() -> None:
    """Restore the trace function. In a quick run, watch for processes, but not before xdist has started its workers."""
    _trace_again()
    if os.environ.get("SIPQUEUE_TESTS_QUICK"):  # pragma: no cover  # in quick runs only
        _watch_for_processes()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Save what was measured: xdist kills a worker that needs more than 10 s to exit, as on a busy machine."""
    measurement = coverage.Coverage.current()
    if measurement is not None:  # pragma: no branch  # in measured runs only
        measurement.save()


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "virtual_time: the loop's clock jumps to the next thing to do; no real network")
    config.addinivalue_line(
        "markers", "one_python: long, and the same in every version of Python; run on one interpreter"
    )
    for component in COMPONENTS.values():
        config.addinivalue_line("markers", f"{component.marker}: skipped where {component.program} is missing")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests whose fixtures need a component like those with the marker; skip them if it is missing."""
    for component in COMPONENTS.values():
        skip = pytest.mark.skip(reason=component.reason)
        is_missing = find(component.name) is None
        for item in items:
            if component.marker in getattr(item, "fixturenames", ()):
                item.add_marker(component.marker)
            if is_missing and item.get_closest_marker(component.marker):  # pragma: no cover  # on some machines only
                item.add_marker(skip)
    _put_long_files_first(items)


def _put_long_files_first(items: list[pytest.Item]) -> None:
    """Order by files: those whose tests are marked as long, or start programs, come before the many quick ones."""
    long = {"one_python", *(component.marker for component in COMPONENTS.values())}
    files = {item.path for item in items if any(mark.name in long for mark in item.iter_markers())}
    items.sort(key=lambda item: item.path not in files)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give tests marked `virtual_time` a loop that never waits."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": async_solipsism.EventLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def needs_redis() -> None:
    """Request Redis; the test is skipped where it is missing."""


@pytest.fixture(scope="session")
def needs_chromium() -> None:
    """Request Chromium; the test is skipped where it is missing."""


@pytest.fixture(scope="session")
def needs_postgres() -> None:
    """Request PostgreSQL; the test is skipped where it is missing."""


@pytest.fixture(scope="session")
def shared_redis(needs_redis: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests of a process; tests use it through `redis_server`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
async def redis_server(shared_redis: RedisServer) -> RedisServer:
    """A real Redis, empty and with its initial settings; a test may kill, freeze or change it."""
    await shared_redis.reset()
    return shared_redis


@pytest.fixture(scope="session")
def shared_postgres(needs_postgres: None) -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of a process; tests use it through `postgres_server`."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def postgres_server(shared_postgres: PostgresServer) -> PostgresServer:
    """A running PostgreSQL; `database` creates an empty database. A test may stop and kill it."""
    shared_postgres.start()
    return shared_postgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
def history_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database; a test runs once for each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    server: PostgresServer = request.getfixturevalue("shared_postgres")
    server.start()
    return server.database()


@pytest.fixture(scope="session")
def relay_python() -> Iterator[Preloaded]:
    """One interpreter that forks relays and readers."""
    with Preloaded(*relay_processes.MODULES, options=()) as python:
        yield python


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform without agents until a test adds some."""
    platform = Platform()
    await platform.start()
    yield platform
    await platform.stop()


@pytest.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    """A server that sends bytes that the test chooses."""
    server = RawServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def canned() -> Iterator[Callable[..., None]]:
    """Return a function that answers the next POST to a URL without any network."""
    with aioresponses() as replies:

        def reply(url: str, **answer: Any) -> None:
            replies.post(url, response_class=CannedResponse, **answer)

        yield reply
