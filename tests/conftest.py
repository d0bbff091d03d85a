"""Fixtures and hooks of all tests: the event loop of each test, and the servers for clients."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import async_solipsism
import pytest
from aioresponses import aioresponses
from hypothesis import settings

from tests.kit import relay_processes
from tests.kit.needs import COMPONENTS, find
from tests.kit.preloaded import Preloaded
from tests.kit.redis_server import RedisServer
from tests.kit.servers import CannedResponse, Platform, RawServer

# The same few examples every time, so that every run covers the same lines. `nox -s endurance` searches with many more.
# No deadline: the duration of one example depends on the machine.
settings.register_profile("gate", settings(), deadline=None, max_examples=25, stateful_step_count=30, derandomize=True)
settings.register_profile("endurance", settings(), deadline=None, max_examples=1000)
settings.load_profile("gate")

# Coverage is measured in the processes that tests run in, and not in those that they start.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_START", None)

# The tests, and the programs that they start, read no settings file of the person who runs them.
os.environ["XDG_CONFIG_HOME"] = os.devnull

# pytest-xdist passes the terminal's width to its workers, and what the command prints depends on it.
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)

# Tests started in the background ignore Ctrl-C, and programs that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _skip_if_a_process_starts(event: str, _: tuple[object, ...]) -> None:  # pragma: no cover  # in quick runs only
    """Skip the running test when it starts a process: quick runs have no time for those."""
    if event == "subprocess.Popen":
        pytest.skip("starts a process; not in a quick run")


@functools.cache
def _watch_for_processes() -> None:  # pragma: no cover  # in quick runs only
    sys.addaudithook(_skip_if_a_process_starts)


def pytest_runtest_setup() -> None:
    """Watch for processes in a quick run: only from here on, since xdist starts its workers before."""
    if os.environ.get("SIPQUEUE_TESTS_QUICK"):  # pragma: no cover  # in quick runs only
        _watch_for_processes()


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marks."""
    config.addinivalue_line("markers", "virtual_time: the loop's clock jumps to the next thing to do; no real network")
    config.addinivalue_line("markers", "one_python: long, and about something else than Python; run on one interpreter")
    for component in COMPONENTS.values():
        config.addinivalue_line("markers", f"{component.marker}: skipped where {component.program} is missing")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that need a component through a fixture as those that say so; skip them where it is missing."""
    for component in COMPONENTS.values():
        skip = pytest.mark.skip(reason=component.reason)
        is_missing = find(component.name) is None
        for item in items:
            if component.marker in getattr(item, "fixturenames", ()):
                item.add_marker(component.marker)
            if is_missing and item.get_closest_marker(component.marker):  # pragma: no cover  # on some machines only
                item.add_marker(skip)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give tests that are marked `virtual_time` a loop that never waits."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": async_solipsism.EventLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def needs_redis() -> None:
    """Skip the test where Redis is missing."""


@pytest.fixture(scope="session")
def needs_chromium() -> None:
    """Skip the test where Chromium is missing."""


@pytest.fixture(scope="session")
def needs_haproxy() -> None:
    """Skip the test where HAProxy is missing."""


@pytest.fixture(scope="session")
def shared_redis(needs_redis: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests of a process; a test asks for `redis_server`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
async def redis_server(shared_redis: RedisServer) -> RedisServer:
    """A real Redis, empty and with its first settings; a test may kill, freeze or change it."""
    await shared_redis.reset()
    return shared_redis


@pytest.fixture(scope="session")
def relay_python() -> Iterator[Preloaded]:
    """One interpreter that starts relays and readers as processes."""
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
    """A server that sends a test's own bytes."""
    server = RawServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def canned() -> Iterator[Callable[..., None]]:
    """Return a function that has the next POST to a URL answered without any network."""
    with aioresponses() as replies:

        def reply(url: str, **answer: Any) -> None:
            replies.post(url, response_class=CannedResponse, **answer)

        yield reply
