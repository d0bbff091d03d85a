"""Server-sent events: to each browser what changed since it was last told."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from sipqueue_async.wallboard.live import Live

_MOST: Final = 256
"""Streams at once."""

_RETRY: Final = 2000
"""Milliseconds after which a browser comes back when its connection was lost."""

_PATIENCE: Final = 30.0


class Streams:
    """Answers requests for the stream.

    All that is kept of a browser is the revision it has been told. While it reads slowly nothing piles up for it: once
    it has read, it is told all that has changed meanwhile.

    Args:
        live: What to tell.
        most: How many streams there may be at once.
        patience: Seconds for which a browser may read nothing while there is something to read.
    """

    def __init__(self, live: Live, *, most: int = _MOST, patience: float = _PATIENCE) -> None:
        self._live = live
        self._most = most
        self._patience = patience
        self._open = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Tell one browser until it is gone."""
        if self._open >= self._most:
            raise web.HTTPServiceUnavailable(text="There are too many streams: close some.\n")
        self._open += 1
        response = EventSourceResponse(send_timeout=self._patience)
        try:
            # The browser may have gone, or have stopped reading.
            with suppress(ConnectionResetError, TimeoutError):
                await response.prepare(request)
                async with response:
                    await self._tell(response)
        finally:
            self._open -= 1
        # It is tested, but Python 3.11 traces no line that runs after an exception was thrown into a coroutine.
        return response  # pragma: no cover

    async def _tell(self, response: EventSourceResponse) -> None:
        live, board = self._live, self._live.board
        # The time first, and for itself, so that nothing delays it.
        await response.send(live.sign_of_life(), event="beat", retry=_RETRY)
        told, beat = board.revision_of(response.last_event_id), live.last_sign_of_life
        first = True
        while not live.closed:
            news = live.news
            if first or board.revision != told:
                first, message, told = False, board.since(told), board.revision
                await response.send(message, event="board", id=board.event_id)
            if live.last_sign_of_life is not beat:
                beat = live.last_sign_of_life
                await response.send(beat, event="beat")
            await news.wait()
