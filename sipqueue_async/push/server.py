"""`PushServer`: a web server for nothing but pushes."""

from __future__ import annotations

import hmac
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from sipqueue_async.push.receiver import LARGEST_PUSH, PushReceiver

_SHORTEST_PATH: Final = 16
_GRACE: Final = 1.0


class PushServer:
    """Listens for pushes at one secret path; every other request is answered with an empty 404.

    Use it as an async context manager, inside that of the receiver.

    Args:
        receiver: Takes the pushes.
        host: The address to listen on. For TLS put a proxy in front.
        port: The port to listen on; 0 for any free one.
        path: The secret path, at least 16 characters; a sender who knows it can cause polls.

    Raises:
        ValueError: The path is too short.
    """

    def __init__(self, receiver: PushReceiver, *, path: str, host: str = "127.0.0.1", port: int = 0) -> None:
        secret = path.strip("/")
        if len(secret) < _SHORTEST_PATH:
            raise ValueError(f"the path must have at least {_SHORTEST_PATH} characters that cannot be guessed")
        self._receiver = receiver
        self._path = f"/{secret}".encode()
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

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
        # No access log: it would have the secret path.
        runner = self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
        try:
            await runner.setup()
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
        except BaseException:
            await self._stop()
            raise
        self._port = site.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:  # pragma: no branch  # it has been entered
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.path.encode(errors="surrogatepass"), self._path):
            return web.Response(status=404)
        return await self._receiver.aiohttp_handler(request)
