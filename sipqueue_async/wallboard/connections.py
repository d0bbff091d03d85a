"""Accepts connections within the limit of file descriptors, without closing open streams for new connections."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from typing import Final

from aiohttp import web

PATIENCE: Final = 10.0
"""Seconds within which a connection must send a complete request."""

_MOST: Final = 2048
"""The limit of open connections, if the system allows as many."""
_BACKLOG: Final = 128
_PAUSE: Final = 0.5
"""Seconds to wait after the system refused to accept a connection."""
_BETWEEN_WARNINGS: Final = 60.0

_log: Final = logging.getLogger("sipqueue_async")


def most_connections() -> int:
    """Return the limit of open connections: at most three quarters of the process's file descriptors."""
    if sys.platform == "win32":  # pragma: no cover  # Windows has no such limit
        return _MOST
    import resource  # noqa: PLC0415  # not on Windows

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if files == resource.RLIM_INFINITY else min(_MOST, files * 3 // 4)


class Door:
    """Listens and accepts connections.

    asyncio's servers do not limit connections, and log a traceback for each one that finds no free descriptor. Here, at
    the limit, a new connection replaces the oldest one that is not a stream.

    Args:
        stays: Returns whether a connection must not be closed for a new one.
        most: The limit of open connections.
    """

    def __init__(self, *, stays: Callable[[asyncio.BaseProtocol], bool], most: int) -> None:
        self._stays = stays
        self._most = most
        self._listeners: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._warned_at: float | None = None

    async def open(self, server: web.Server, handler: Callable[[], asyncio.Protocol], host: str, port: int) -> int:
        """Start to listen and return the port.

        Args:
            server: The server that knows the open connections.
            handler: Makes the protocol of a new connection.
            host: The address to listen on.
            port: The port to listen on; 0 for any free one.

        Raises:
            OSError: The port is in use, or the address is not one of this machine.
        """
        loop = asyncio.get_running_loop()
        # Used only to resolve the name and bind the sockets.
        bound = await loop.create_server(asyncio.Protocol, host, port, reuse_address=True, start_serving=False)
        self._listeners = [listener.dup() for listener in bound.sockets]
        bound.close()
        for listener in self._listeners:
            listener.setblocking(False)
            listener.listen(_BACKLOG)
            self._tasks.append(
                asyncio.create_task(self._accept(server, handler, listener), name="sipqueue_async wallboard: accept")
            )
        found: int = self._listeners[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop accepting connections."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for listener in self._listeners:
            listener.close()

    async def _accept(
        self, server: web.Server, handler: Callable[[], asyncio.Protocol], listener: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._warn(error)
                await asyncio.sleep(_PAUSE)
                continue
            if await self._has_room(server):
                await loop.connect_accepted_socket(handler, connection)
            else:
                connection.close()

    async def _has_room(self, server: web.Server) -> bool:
        for handler in server.connections:
            if len(server.connections) < self._most:
                break
            if handler.transport is not None and not self._stays(handler):
                handler.transport.abort()
                await asyncio.sleep(0)
        return len(server.connections) < self._most

    def _warn(self, error: OSError) -> None:
        now = asyncio.get_running_loop().time()
        if self._warned_at is None or now - self._warned_at >= _BETWEEN_WARNINGS:
            self._warned_at = now
            _log.warning("the wallboard cannot accept a connection: %s; retrying", error.strerror)
