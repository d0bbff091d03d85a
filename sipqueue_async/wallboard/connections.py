"""Lets connections in: no more than there are descriptors for, and never at the cost of those who watch."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from typing import Final

from aiohttp import web

PATIENCE: Final = 10.0
"""Seconds that a connection gets to send a whole request."""

_MOST: Final = 1024
"""Connections at once, where the system allows that many."""
_BACKLOG: Final = 128
_PAUSE: Final = 0.5
"""Seconds until the next attempt when the system gives no further connection."""
_BETWEEN_COMPLAINTS: Final = 60.0

_log: Final = logging.getLogger("sipqueue_async")


def most_connections() -> int:
    """Return how many connections there may be at once: three of four files that the process may open, at most."""
    if sys.platform == "win32":  # pragma: no cover  # there is no such limit
        return _MOST
    import resource  # noqa: PLC0415  # not everywhere

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if files == resource.RLIM_INFINITY else min(_MOST, files * 3 // 4)


class Door:
    """Accepts connections.

    It does so itself, because asyncio's servers know no limit, and write a traceback for every connection that there
    was no descriptor for. Where there are too many, the oldest one that is not to stay makes room.

    Args:
        stays: Tells whether a connection is not to be closed for another's sake.
        most: How many connections there may be at once.
    """

    def __init__(self, *, stays: Callable[[asyncio.BaseProtocol], bool], most: int) -> None:
        self._stays = stays
        self._most = most
        self._listeners: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._complained_at: float | None = None

    async def open(self, server: web.Server, handler: Callable[[], asyncio.Protocol], host: str, port: int) -> int:
        """Begin to listen; return the port.

        Args:
            server: The server that knows the open connections.
            handler: Makes the protocol of a new connection.
            host: The address to listen on.
            port: The port to listen on; 0 for any free one.

        Raises:
            OSError: The port is taken, or the address is not of this machine.
        """
        loop = asyncio.get_running_loop()
        # Looks the name up and binds, which is all that is wanted of it.
        bound = await loop.create_server(asyncio.Protocol, host, port, reuse_address=True, start_serving=False)
        self._listeners = [listener.dup() for listener in bound.sockets]
        bound.close()
        for listener in self._listeners:
            listener.setblocking(False)
            listener.listen(_BACKLOG)
            self._tasks.append(
                asyncio.create_task(self._let_in(server, handler, listener), name="sipqueue_async wallboard's door")
            )
        found: int = self._listeners[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Let nobody in any more."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for listener in self._listeners:
            listener.close()

    async def _let_in(
        self, server: web.Server, handler: Callable[[], asyncio.Protocol], listener: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._complain(error)
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

    def _complain(self, error: OSError) -> None:
        now = asyncio.get_running_loop().time()
        if self._complained_at is None or now - self._complained_at >= _BETWEEN_COMPLAINTS:
            self._complained_at = now
            _log.warning("the wallboard cannot take a connection: %s; trying again", error.strerror)
