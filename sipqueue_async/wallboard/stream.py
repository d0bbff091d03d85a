"""The event stream: sends each browser what changed since its last message."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from sipqueue_async.wallboard.live import Live
from sipqueue_async.wallboard.sse import PATIENCE, RETRY, Send, ServerSentEvents, Sink

MOST_STREAMS: Final = 256
"""The limit of open streams."""
_MOST_OF_ONE: Final = 64
"""The limit of open streams to one other machine."""
_END: Final = b"\r\n\r\n"


class Streams(ServerSentEvents):
    """Serves the page's stream.

    The server keeps only a revision number per browser. Nothing queues up for a slow browser: it gets one shared
    message piece by piece, and after that one message with everything that has changed in the meantime.

    Args:
        live: The feed's board.
        most: The limit of open streams.
        most_of_one: The limit for one other machine.
        patience: Seconds after which a browser that reads nothing is disconnected.
    """

    def __init__(
        self, live: Live, *, most: int = MOST_STREAMS, most_of_one: int = _MOST_OF_ONE, patience: float = PATIENCE
    ) -> None:
        super().__init__(most=most, most_of_one=most_of_one, patience=patience)
        self._live = live

    def _accept(self, request: web.Request) -> Send:  # noqa: ARG002  # it needs no more than the headers
        return self._send

    async def _send(self, request: web.Request, sink: Sink) -> None:
        live, board = self._live, self._live.board
        sent, beat = board.revision_of(request.headers.get(hdrs.LAST_EVENT_ID)), live.last_heartbeat
        # Send a heartbeat first: behind a large message its time would arrive late.
        await sink.write((_frame("beat", retry=RETRY), live.heartbeat().encode(), _END))
        first = True
        while not live.closed:
            news = live.news
            if first or board.revision != sent:
                head = _frame("board", event_id=board.event_id)
                first, message, sent = False, board.since(sent), board.revision
                await sink.write((head, message, _END))
                # Free it while waiting.
                del message
            if live.last_heartbeat is not None and live.last_heartbeat is not beat:
                beat = live.last_heartbeat
                await sink.write((_frame("beat"), beat.encode(), _END))
            await news.wait()


def _frame(event: str, *, event_id: str | None = None, retry: int | None = None) -> bytes:
    """Return an event up to its data."""
    lines = [f"event: {event}"]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    return ("\r\n".join(lines) + "\r\ndata: ").encode()
