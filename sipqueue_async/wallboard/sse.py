"""`ServerSentEvents`: the common base of the streams: limits, headers, and writing to browsers that may not read."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final, TypeAlias

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from sipqueue_async.wallboard.access import is_loopback

RETRY: Final = 2000
"""Milliseconds after which a browser reconnects."""

PATIENCE: Final = 10.0
"""Seconds after which a browser that reads nothing is disconnected."""

_PIECE: Final = 16 * 1024
"""Bytes per write, which bounds how much of a message is copied for each browser."""

_BUFFER: Final = 16 * 1024
"""Bytes that wait in the program for a browser before a write has to wait."""

_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-cache",
    # A buffering proxy would hold back the events.
    "X-Accel-Buffering": "no",
}

_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)


class Sink:
    """Writes to one reader, which may read slowly or not at all.

    Args:
        request: The reader's request.
        writer: The writer of the answer.
        patience: Seconds after which a reader that reads nothing is disconnected.
    """

    def __init__(self, request: web.Request, writer: AbstractStreamWriter, patience: float) -> None:
        self._request = request
        self._writer = writer
        self._patience = patience

    async def write(self, messages: Iterable[bytes]) -> None:
        """Write messages; only a piece of them is copied at a time, so readers can share large ones.

        Raises:
            TimeoutError: The reader did not read them; the connection is closed.
            ConnectionResetError: The reader has disconnected.
        """
        try:
            for piece in _pieces(messages):
                async with asyncio.timeout(self._patience):
                    await self._writer.write(piece)
                    # `write` itself waits only after 64 kB.
                    await self._writer.drain()
        except TimeoutError:
            # A normal close would wait until the buffered data is read.
            if self._request.transport is not None:  # pragma: no branch  # it may disconnect at this moment
                self._request.transport.abort()
            raise


def _pieces(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Join small messages and cut large ones."""
    buffer = bytearray()
    for message in messages:
        for start in range(0, len(message), _PIECE):
            buffer += message[start : start + _PIECE]
            if len(buffer) >= _PIECE:
                yield bytes(buffer)
                buffer.clear()
    if buffer:
        yield bytes(buffer)


Send: TypeAlias = Callable[[web.Request, Sink], Awaitable[None]]
"""Sends events until the server closes or the reader disconnects."""


class ServerSentEvents(ABC):
    """Serves a stream of events.

    Args:
        most: The limit of open streams.
        most_of_one: The limit for one other machine. Connections from this machine are not limited separately, because
            a reverse proxy may be among them.
        patience: Seconds after which a reader that reads nothing is disconnected.
    """

    def __init__(self, *, most: int, most_of_one: int, patience: float) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._patience = patience
        self._open: set[asyncio.BaseProtocol] = set()
        self._addresses: Counter[str] = Counter()

    def has(self, connection: asyncio.BaseProtocol) -> bool:
        """Return whether a connection carries a stream."""
        return connection in self._open

    @abstractmethod
    def _accept(self, request: web.Request) -> Send:
        """Return what sends the events of a request.

        Raises:
            web.HTTPBadRequest: The request is invalid.
        """

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Send events to one reader until it disconnects."""
        send = self._accept(request)
        address = request.remote or ""
        too_many_of_one = self._addresses[address] >= self._most_of_one and not is_loopback(address)
        if len(self._open) >= self._most or too_many_of_one:
            raise web.HTTPServiceUnavailable(text="Too many open streams: close some pages or programs.\n")
        self._open.add(request.protocol)
        self._addresses[address] += 1
        response = web.StreamResponse(headers=_HEADERS)
        try:
            # The reader may disconnect or stop reading.
            with suppress(ConnectionResetError, TimeoutError):
                self._bound(request)
                writer = await response.prepare(request)
                assert writer is not None  # noqa: S101  # only a response that was prepared before has none
                await send(request, Sink(request, writer, self._patience))
        finally:
            self._open.discard(request.protocol)
            self._addresses -= Counter([address])
        return response  # pragma: no cover  # Python 3.11 does not trace lines after a cancelled await

    def _bound(self, request: web.Request) -> None:
        """Bound the memory for a reader, and how long it may be away."""
        if request.transport is not None:  # pragma: no branch  # it may disconnect at this moment
            request.transport.set_write_buffer_limits(_BUFFER)
        connection: socket.socket | None = request.get_extra_info("socket")
        if connection is not None and _USER_TIMEOUT is not None:
            # The system detects a machine that is switched off: heartbeats are too small to fill the send buffer.
            connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(self._patience * 1000))
