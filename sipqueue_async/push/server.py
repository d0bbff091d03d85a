"""`PushServer`: a web server for nothing but pushes."""

from __future__ import annotations

import asyncio
import hmac
import math
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from sipqueue_async._server_log import server_log
from sipqueue_async.push.connections import Connections
from sipqueue_async.push.receiver import LARGEST_PUSH, PushReceiver

_SHORTEST_PATH: Final = 16
_GRACE: Final = 1.0


class PushServer:
    """Listens for pushes at one secret path; every other request is answered with an empty 404.

    Use it as an async context manager, inside that of the receiver. A connection serves one request. However slowly its
    bytes arrive, it is closed after `timeout`; and when there are `max_connections`, a new one closes the oldest.

    Args:
        receiver: Takes the pushes.
        host: The address to listen on. For TLS put a proxy in front.
        port: The port to listen on; 0 for any free one.
        path: The secret path, at least 16 characters; a sender who knows it can cause polls.
        timeout: How many seconds a connection may last.
        max_connections: The most connections at the same time.

    Raises:
        ValueError: The path is too short, or another argument is out of range.
    """

    def __init__(
        self,
        receiver: PushReceiver,
        *,
        path: str,
        host: str = "127.0.0.1",
        port: int = 0,
        timeout: float = 15.0,
        max_connections: int = 200,
    ) -> None:
        secret = path.strip("/")
        if len(secret) < _SHORTEST_PATH:
            raise ValueError(f"the path must have at least {_SHORTEST_PATH} characters that cannot be guessed")
        if not 0 < timeout < math.inf:
            raise ValueError(f"timeout must be above 0 seconds, not {timeout!r}")
        if max_connections < 1:
            raise ValueError(f"max_connections must be at least 1, not {max_connections!r}")
        self._receiver = receiver
        self._path = f"/{secret}".encode()
        self._host = host
        self._port = port
        self._timeout = timeout
        self._max_connections = max_connections
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port listened on; 0 before the system has chosen one."""
        return self._port

    def __repr__(self) -> str:
        return f"<PushServer on {self._host} port {self._port}{'' if self._runner else ', stopped'}>"

    async def __aenter__(self) -> Self:
        """Start listening.

        Raises:
            OSError: The port is taken, or this machine does not have the address.
        """
        app = web.Application(client_max_size=LARGEST_PUSH)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # No access log: it would have the secret path. The platform does not compress pushes.
        runner = self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=server_log("push"),
            shutdown_timeout=_GRACE,
            auto_decompress=False,
            lingering_time=_GRACE,
        )
        try:
            await runner.setup()
            assert runner.server is not None  # noqa: S101  # `setup` makes it
            protocols = Connections(runner.server, most=self._max_connections, seconds=self._timeout)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(protocols, self._host, self._port)
        except BaseException:
            await self._stop()
            raise
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        runner, self._runner = self._runner, None
        if runner is not None:  # pragma: no branch  # it has been entered
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        response = web.Response(status=404)
        if hmac.compare_digest(request.path.encode(errors="surrogatepass"), self._path):
            response = await self._receiver.aiohttp_handler(request)
        # A connection serves one request, so that none can be kept open for nothing.
        response.force_close()
        return response
