"""`Connections`: bounds how many connections a server holds, and how long each of them lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Connections:
    """A protocol factory for `loop.create_server`: wraps the connections of another one in limits.

    A server of web requests may wait for ever for headers or a body that arrive byte by byte. Here a connection ends
    after some seconds, whatever it does. When there are too many, the oldest ends, so that a new one is always served.

    Args:
        factory: Makes the server's protocols.
        most: The most connections at the same time.
        seconds: How long a connection may last.
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], *, most: int, seconds: float) -> None:
        self._factory = factory
        self._most = most
        self._seconds = seconds
        # In the order of their beginning.
        self._ends: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Limited(self._factory(), self)

    def begin(self, transport: asyncio.Transport) -> None:
        """Register a new connection."""
        if len(self._ends) >= self._most:
            next(iter(self._ends)).abort()
            self.end(next(iter(self._ends)))
        self._ends[transport] = asyncio.get_running_loop().call_later(self._seconds, transport.abort)

    def end(self, transport: asyncio.Transport) -> None:
        """Forget a connection that is closed."""
        timer = self._ends.pop(transport, None)
        if timer is not None:
            timer.cancel()


class _Limited(asyncio.Protocol):
    """Passes everything to the protocol of the server."""

    _transport: asyncio.Transport

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._connections = connections
        self._inner = inner
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # as of every stream
        self._transport = transport
        self._connections.begin(transport)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.end(self._transport)
        self._inner.connection_lost(exc)
