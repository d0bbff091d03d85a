"""HTTP servers for tests: one that speaks the platform's protocol, one that sends any bytes, and canned replies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.kit.builders import body

Answer = bytes | web.Response | Callable[[web.Request], Awaitable[web.StreamResponse]]


class Platform:
    """A platform on its own port: gives the answers in turn, and repeats the last one."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        """The form fields of each request."""
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
        await self._server.start_server()

    async def stop(self) -> None:
        """Stop listening, and close every connection."""
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("/api"))

    @property
    def services(self) -> list[str]:
        """The last part of each requested service's name, in order."""
        return [form["service"].rpartition(".")[2] for form in self.forms]


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request from a raw connection, and return its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, after = head.lower().partition(b"content-length:")
    return await reader.readexactly(int(after.split(b"\r\n")[0]))


def raw_answer(content: bytes, status: str = "200 OK") -> bytes:
    """Return an HTTP answer as raw bytes."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """A raw TCP server: each function handles one connection; the last one handles all further connections too."""

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
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Stop listening, and cancel the running handlers."""
        assert self._server is not None
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"


class CannedResponse(aiohttp.ClientResponse):
    """Passes the `stream_writer` that aiohttp 3.14 requires and aioresponses 0.7.9 does not pass (its issue 289)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, stream_writer=Mock(output_size=0), **kwargs)
