"""Server-sent events: to each browser what changed since it was last told."""

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
"""Streams at once."""
_MOST_OF_ONE: Final = 64
"""Streams at once to one other machine."""

_RETRY: Final = 2000
"""Milliseconds after which a browser comes back when its connection was lost."""

_PATIENCE: Final = 10.0

_PIECE: Final = 32 * 1024
"""Bytes that are written at once: hardly more of a message is ever copied for one browser."""

_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream",
    hdrs.CACHE_CONTROL: "no-cache",
    # A proxy that collects what it passes on would pass nothing on.
    "X-Accel-Buffering": "no",
}

_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)


class Streams:
    """Answers requests for the stream.

    All that is kept of a browser is the revision it has been told. While it reads slowly nothing piles up for it: it is
    written piece by piece a message that all share, and once it has read that, is told all that has changed meanwhile.

    Args:
        live: What to tell.
        most: How many streams there may be at once.
        most_of_one: How many of them may be one other machine's. This machine's own are not limited further, for a
            proxy's are among them.
        patience: Seconds for which a browser may read nothing while there is something to read.
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
        """Tell whether a stream is written to a connection."""
        return connection in self._open

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Tell one browser until it is gone."""
        address = request.remote or ""
        too_many_of_one = self._addresses[address] >= self._most_of_one and not is_loopback(address)
        if len(self._open) >= self._most or too_many_of_one:
            raise web.HTTPServiceUnavailable(text="There are too many streams: close some.\n")
        self._open.add(request.protocol)
        self._addresses[address] += 1
        response = web.StreamResponse(headers=_HEADERS)
        try:
            # The browser may have gone, or have stopped reading.
            with suppress(ConnectionResetError, TimeoutError):
                self._notice_silence(request)
                await response.prepare(request)
                await self._tell(request, response)
        finally:
            self._open.discard(request.protocol)
            self._addresses -= Counter([address])
        # It is tested, but Python 3.11 traces no line that runs after an exception was thrown into a coroutine.
        return response  # pragma: no cover

    def _notice_silence(self, request: web.Request) -> None:
        """Have the system notice a machine that was switched off: the few bytes of a beat would never fill a buffer."""
        connection: socket.socket | None = request.get_extra_info("socket")
        if connection is not None and _USER_TIMEOUT is not None:
            connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(self._patience * 1000))

    async def _tell(self, request: web.Request, response: web.StreamResponse) -> None:
        live, board = self._live, self._live.board
        told, beat = board.revision_of(request.headers.get(hdrs.LAST_EVENT_ID)), live.last_sign_of_life
        # The time first, and for itself, so that nothing delays it.
        await self._write(request, response, _frame("beat", retry=_RETRY), live.sign_of_life().encode())
        first = True
        while not live.closed:
            news = live.news
            if first or board.revision != told:
                head = _frame("board", event_id=board.event_id)
                first, message, told = False, board.since(told), board.revision
                await self._write(request, response, head, message)
                # Not to be kept while there is no news.
                del message
            if live.last_sign_of_life is not beat:
                beat = live.last_sign_of_life
                await self._write(request, response, _frame("beat"), beat.encode())
            await news.wait()

    async def _write(self, request: web.Request, response: web.StreamResponse, head: bytes, message: bytes) -> None:
        """Write an event of one line of data.

        Raises:
            TimeoutError: It was not read; the connection is closed.
            ConnectionResetError: The browser is gone.
        """
        try:
            await self._drain(response, head)
            for start in range(0, len(message), _PIECE):
                await self._drain(response, message[start : start + _PIECE])
            await self._drain(response, b"\r\n\r\n")
        except TimeoutError:
            # Otherwise it would be kept until what is buffered has been read.
            if request.transport is not None:  # pragma: no branch  # it can go in that moment
                request.transport.abort()
            raise

    async def _drain(self, response: web.StreamResponse, piece: bytes) -> None:
        async with asyncio.timeout(self._patience):
            await response.write(piece)


def _frame(event: str, *, event_id: str | None = None, retry: int | None = None) -> bytes:
    """Return the beginning of an event, up to its data."""
    lines = [f"event: {event}"]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    return ("\r\n".join(lines) + "\r\ndata: ").encode()
