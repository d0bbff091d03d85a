"""What pytest is told about these tests: which event loop each of them runs on, and the servers that clients ask."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import async_solipsism
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aioresponses import aioresponses
from hypothesis import settings
from redis_support import PROGRAM, RedisServer
from support import body

# How long one example takes says something about the machine only.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")


# Coverage is measured in the processes that tests run in, and not in those that they start.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_START", None)

# Where the tests were started in the background, Ctrl-C is ignored; programs that they start would go on ignoring it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marks."""
    config.addinivalue_line("markers", "virtual_time: the loop's clock jumps to the next thing to do; no real network")
    config.addinivalue_line("markers", "one_python: long, and about something else than Python; run on one interpreter")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give tests that are marked `virtual_time` a loop that never waits."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": async_solipsism.EventLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A real Redis of the test's own; where the program is missing, the test is skipped."""
    assert PROGRAM or pytest.skip("redis-server is not on this machine")
    async with RedisServer(tmp_path) as server:
        yield server


Answer = bytes | web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]


class Platform:
    """A platform on a port of its own: gives one answer a request, the last one over and over."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        """The fields of each request."""
        self.requests: list[web.Request] = []
        self.answers: list[Answer] = [body()]
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(app)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, bytes):
            return web.Response(body=answer, content_type="application/json")
        return answer if isinstance(answer, web.Response) else await answer(request)

    async def start(self) -> None:
        """Listen."""
        await self._server.start_server()

    async def stop(self) -> None:
        """Stop listening, and close every connection."""
        await self._server.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._server.make_url("/api"))

    @property
    def services(self) -> list[str]:
        """The last part of the name of each service that was asked for."""
        return [form["service"].rpartition(".")[2] for form in self.forms]


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform that shows nobody until it is told otherwise."""
    platform = Platform()
    await platform.start()
    yield platform
    await platform.stop()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request from a raw connection, and return its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, after = head.lower().partition(b"content-length:")
    return await reader.readexactly(int(after.split(b"\r\n")[0]))


def raw_answer(content: bytes, status: str = "200 OK") -> bytes:
    """Return an HTTP answer, byte for byte."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """A server of bytes: each connection is handled by the next function, the last one over and over."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.accepted = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = self.connections[min(self.accepted, len(self.connections) - 1)]
        self.accepted += 1
        try:
            await connection(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Stop listening, and end what is under way."""
        assert self._server is not None
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    @property
    def url(self) -> str:
        """Where it is."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api"


@pytest.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    """A server that speaks whatever bytes a test wants."""
    server = RawServer()
    await server.start()
    yield server
    await server.stop()


class CannedResponse(aiohttp.ClientResponse):
    """What aioresponses 0.7.9 needs on aiohttp 3.14: it does not know of `stream_writer` yet (its issue 289)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, stream_writer=Mock(output_size=0), **kwargs)


@pytest.fixture
def canned() -> Iterator[Callable[..., None]]:
    """Return a function that has the next POST to a URL answered without any network."""
    with aioresponses() as replies:

        def reply(url: str, **answer: Any) -> None:
            replies.post(url, response_class=CannedResponse, **answer)

        yield reply
