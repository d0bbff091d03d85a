"""`PlatformServer`: an HTTP server for a `Platform`."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, Unpack

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from sipqueue_async._server_log import server_log
from sipqueue_async.simulator.faults import Reply
from sipqueue_async.simulator.platform import Platform, PlatformOptions
from sipqueue_async.simulator.seats import Centre

_GRACE: Final = 0.05
"""Seconds that a stopping server waits for requests under way (0 would mean no limit)."""


class PlatformServer(Platform):
    """A `Platform` that listens on a port. Any path will do, and so will POST and GET, urlencoded and multipart forms.

    Use it as an async context manager, or call `start` and `stop`, any number of times; it keeps its port. Tokens,
    counts and planned faults survive a stop.

    Args:
        centre: The call centre.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        options: The keyword arguments of `Platform`.
    """

    def __init__(
        self, centre: Centre, *, host: str = "127.0.0.1", port: int = 0, **options: Unpack[PlatformOptions]
    ) -> None:
        super().__init__(centre, **options)
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port, which stays the same after a stop; 0 until the system has chosen one."""
        return self._port

    @property
    def url(self) -> str:
        """The one URL of the API.

        Raises:
            RuntimeError: The port is not known before the first start.
        """
        if not self._port:
            raise RuntimeError("the server has no port before it is started")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Start listening.

        Raises:
            RuntimeError: The server is already listening.
            OSError: The port is taken, or this machine does not have the address.
        """
        if self._runner is not None:
            raise RuntimeError("the server is already started")
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle, allow_head=False)
        app.router.add_post("/{path:.*}", self._handle)
        # No access log: a token or an access key may be in the query.
        runner = self._runner = web.AppRunner(
            app, access_log=None, logger=server_log("simulator"), shutdown_timeout=_GRACE
        )
        try:
            await runner.setup()
            site = web.TCPSite(runner, self._host, self._port, reuse_address=True)
            await site.start()
        except BaseException:
            await self.stop()
            raise
        self._port = site.port

    async def stop(self) -> None:
        """Stop listening and drop every open connection. Does nothing if the server is not listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<PlatformServer on {self._host} port {self._port}{'' if self._runner else ', stopped'}>"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            reply = self.reply(await _fields(request))
        except (ValueError, LookupError, RuntimeError, HttpProcessingError) as error:
            reply = Reply.good(self.reject(f"the form cannot be read: {type(error).__name__}"))
        return await _send(request, reply)


async def _send(request: web.Request, reply: Reply) -> web.StreamResponse:
    if reply.delay:
        await asyncio.sleep(reply.delay)
    headers = {"Content-Type": "application/json; charset=utf-8", **reply.headers}
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = reply.length
    # There is no transport if the client closed the connection meanwhile.
    transport = request.transport
    if reply.reset and transport is not None:
        reset_connection(transport)
        return response
    # A client may leave at any time; aiohttp would log a traceback.
    with suppress(ConnectionResetError):
        await response.prepare(request)
        await response.write(reply.body)
    if len(reply.body) < reply.length and transport is not None:
        transport.close()
    return response


def reset_connection(transport: asyncio.WriteTransport) -> None:
    """Close a connection with a TCP reset."""
    # SO_LINGER with a time of 0 makes the kernel send a reset.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _fields(request: web.Request) -> Mapping[str, str]:
    """Return the fields as PHP's ``$_REQUEST`` has them: the last of one name, and the body's over the query's."""
    fields = dict(request.query)
    for name, value in (await request.post()).items():
        # Leave out files. aiohttp returns a part whose type is not text as bytes.
        if isinstance(value, str):
            fields[name] = value
        elif isinstance(value, bytes | bytearray):
            fields[name] = value.decode()
    return fields
