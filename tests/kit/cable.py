"""A network between a client and a server that a test can cut."""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Self

_PIECE = 2**14


class Cable:
    """A network between a client and a server. It can break connections, or go silent like a pulled cable.

    Args:
        port: The server's port on loopback.
        rate: Maximum bytes per second, in each direction of a connection.
    """

    def __init__(self, port: int, rate: float = math.inf) -> None:
        self._server_port = port
        self._rate = rate
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None] | None] = set()
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self.port = 0

    @property
    def url(self) -> str:
        """The URL that reaches the server through this cable."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def _limit(self) -> int:
        # A slow line buffers little.
        return 2**16 if self._rate == math.inf else _PIECE

    def _listener(self) -> socket.socket:
        listener = socket.socket()
        if self._rate != math.inf:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
        listener.bind(("127.0.0.1", 0))
        return listener

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_PIECE):
            await self._is_whole.wait()
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(len(chunk) / self._rate)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port, limit=self._limit)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        self._connections.add(asyncio.current_task())
        ways = [asyncio.create_task(self._carry(reader, back)), asyncio.create_task(self._carry(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, back):
                self._writers.discard(end)
                end.close()

    def pull(self) -> None:
        """Stop forwarding data, without closing any connection."""
        self._is_whole.clear()

    def plug(self) -> None:
        """Forward data again, including the data that was held back."""
        self._is_whole.set()

    def cut(self) -> None:
        """Break all connections; new ones work."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, sock=self._listener())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self.plug()
        await asyncio.wait([asyncio.create_task(asyncio.sleep(0)), *filter(None, self._connections)])
