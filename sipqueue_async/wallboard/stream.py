"""The event stream: sends each browser what changed since its last message."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from typing import Final

from aiohttp import hdrs, web

from sipqueue_async.wallboard.access import is_loopback
from sipqueue_async.wallboard.live import Live

MOST_STREAMS: Final = 256
"""The limit of open streams."""
_MOST_OF_ONE: Final = 64
"""The limit of open streams to one other machine."""

_RETRY: Final = 2000
"""Milliseconds after which a browser reconnects."""

_PATIENCE: Final = 10.0

_PIECE: Final = 32 * 1024
"""Bytes per write, which bounds how much of a message is copied for each browser."""

_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-cache",
    # A buffering proxy would hold back the events.
    "X-Accel-Buffering": "no",
}

_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)


class Streams:
    """Serves the event stream.

    The server keeps only a revision number per browser. Nothing queues up for a slow browser: it gets one shared
    message piece by piece, and after that one message with everything that has changed in the meantime.

    Args:
        live: The feed's board.
        most: The limit of open streams.
        most_of_one: The limit for one other machine. Connections from this machine are not limited separately, because
            a reverse proxy may be among them.
        patience: Seconds after which a browser that reads nothing is disconnected.
    """

    def __init__(
        self, live: Live, *, most: int = MOST_STREAMS, most_of_one: int = _MOST_OF_ONE, patience: float = _PATIENCE
    ) -> None:
        self._live = live
        self._most = most
        self._most_of_one = most_of_one
        self._patience = patience
        self._open: set[asyncio.BaseProtocol] = set()
        self._addresses: Counter[str] = Counter()

    def has(self, connection: asyncio.BaseProtocol) -> bool:
        """Return whether a connection carries a stream."""
        return connection in self._open

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Send events to one browser until it disconnects."""
        address = request.remote or ""
        too_many_of_one = self._addresses[address] >= self._most_of_one and not is_loopback(address)
        if len(self._open) >= self._most or too_many_of_one:
            raise web.HTTPServiceUnavailable(text="Too many open streams: close some pages.\n")
        self._open.add(request.protocol)
        self._addresses[address] += 1
        response = web.StreamResponse(headers=_HEADERS)
        try:
            # The browser may disconnect or stop reading.
            with suppress(ConnectionResetError, TimeoutError):
                self._set_user_timeout(request)
                await response.prepare(request)
                await self._send(request, response)
        finally:
            self._open.discard(request.protocol)
            self._addresses -= Counter([address])
        return response  # pragma: no cover  # Python 3.11 does not trace lines after a cancelled await

    def _set_user_timeout(self, request: web.Request) -> None:
        """Let the system detect a machine that is switched off: heartbeats are too small to fill the send buffer."""
        connection: socket.socket | None = request.get_extra_info("socket")
        if connection is not None and _USER_TIMEOUT is not None:
            connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(self._patience * 1000))

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        live, board = self._live, self._live.board
        sent, beat = board.revision_of(request.headers.get(hdrs.LAST_EVENT_ID)), live.last_heartbeat
        # Send a heartbeat first: behind a large message its time would arrive late.
        await self._write(request, response, _frame("beat", retry=_RETRY), live.heartbeat().encode())
        first = True
        while not live.closed:
            news = live.news
            if first or board.revision != sent:
                head = _frame("board", event_id=board.event_id)
                first, message, sent = False, board.since(sent), board.revision
                await self._write(request, response, head, message)
                # Free it while waiting.
                del message
            if live.last_heartbeat is not None and live.last_heartbeat is not beat:
                beat = live.last_heartbeat
                await self._write(request, response, _frame("beat"), beat.encode())
            await news.wait()

    async def _write(self, request: web.Request, response: web.StreamResponse, head: bytes, message: bytes) -> None:
        """Write an event with one line of data.

        Raises:
            TimeoutError: The browser did not read it; the connection is closed.
            ConnectionResetError: The browser has disconnected.
        """
        try:
            await self._drain(response, head)
            for start in range(0, len(message), _PIECE):
                await self._drain(response, message[start : start + _PIECE])
            await self._drain(response, b"\r\n\r\n")
        except TimeoutError:
            # A normal close would wait until the buffered data is read.
            if request.transport is not None:  # pragma: no branch  # it may disconnect at this moment
                request.transport.abort()
            raise

    async def _drain(self, response: web.StreamResponse, piece: bytes) -> None:
        async with asyncio.timeout(self._patience):
            await response.write(piece)


def _frame(event: str, *, event_id: str | None = None, retry: int | None = None) -> bytes:
    """Return an event up to its data."""
    lines = [f"event: {event}"]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    return ("\r\n".join(lines) + "\r\ndata: ").encode()
