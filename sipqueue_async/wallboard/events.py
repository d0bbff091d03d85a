"""``/api/events``: the feed's events for programs, as server-sent events that can be resumed."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Final

from aiohttp import hdrs, web

from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async.wallboard.journal import Journal
from sipqueue_async.wallboard.live import Live
from sipqueue_async.wallboard.reader import Reader, Wanted
from sipqueue_async.wallboard.sse import PATIENCE, RETRY, Send, ServerSentEvents, Sink

MOST_READERS: Final = 1024
"""The limit of programs that read the events."""
_MOST_OF_ONE: Final = 256
"""The limit of readers on one other machine."""
_CATCH_UP: Final = 2.0
"""Seconds to wait for what another wallboard of the same relay has already sent to a reader."""
_OPENING: Final = f"retry: {RETRY}\n\n".encode()


class EventStreams(ServerSentEvents):
    """Serves the events of a feed.

    Args:
        live: The feed's board, which wakes the streams.
        journal: The feed's last updates.
        most: The limit of open streams.
        most_of_one: The limit for one other machine.
        patience: Seconds after which a reader that reads nothing is disconnected.
    """

    def __init__(
        self,
        live: Live,
        journal: Journal,
        *,
        most: int = MOST_READERS,
        most_of_one: int = _MOST_OF_ONE,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(most=most, most_of_one=most_of_one, patience=patience)
        self._live = live
        self._journal = journal

    def _accept(self, request: web.Request) -> Send:
        try:
            wanted = Wanted.of(request.query.items())
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        return partial(self._send, Reader(self._journal, wanted, request.headers.get(hdrs.LAST_EVENT_ID) or None))

    async def _send(self, reader: Reader, _request: web.Request, sink: Sink) -> None:
        live, beat = self._live, self._live.last_heartbeat
        has_ended = has_resumed = False
        # Send something at once: some proxies hold back the headers until then.
        await sink.write((_OPENING,))
        while not live.closed:
            news = live.news
            if not has_resumed and self._journal.has_begun:
                has_resumed = True
                await self._prepare(reader)
                continue
            while (part := reader.next()) is not None:
                await sink.write(part)
            if live.why_ended is not None and not has_ended:
                has_ended = True
                await sink.write((_end(live.why_ended),))
            if live.last_heartbeat is not beat:
                beat = live.last_heartbeat
                await sink.write((_beat(reader.event_id),))
            await news.wait()

    async def _prepare(self, reader: Reader) -> None:
        """Let the journal know the reader's position, if another wallboard or an earlier run has given it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP):
                while reader.is_ahead and not self._live.closed:
                    await self._live.news.wait()
        if reader.needs_past:
            await self._journal.recall()


def _end(why: str) -> bytes:
    data = json_line({"v": FORMAT_VERSION, "event": "feed-ended", "error": why})
    return f"event: feed-ended\ndata: {data}\n\n".encode()


def _beat(event_id: str | None) -> bytes:
    # Without data, a client takes the id and reports no event. So the id stays recent while a filter admits nothing.
    return b": beat\n\n" if event_id is None else f": beat\nid: {event_id}\n\n".encode()
