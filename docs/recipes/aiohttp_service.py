# python docs/recipes/aiohttp_service.py
"""An aiohttp.web service: the queues as JSON, every event on WebSockets, and a health check.

HOST and PORT are the address to listen on (127.0.0.1 and 8080). Needs only this library.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from aiohttp import WSCloseCode, web

from sipqueue_async import SipQueueError, StatusWatcher

INTERVAL = float(os.environ.get("SIPQUEUE_INTERVAL", "2"))
FRESH = timedelta(seconds=max(30.0, 5 * INTERVAL))

WATCHER = web.AppKey("watcher", StatusWatcher)
SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])

routes = web.RouteTableDef()


async def watching(app: web.Application) -> AsyncIterator[None]:
    """Run the watcher as long as the service runs."""
    async with StatusWatcher.from_env(interval=INTERVAL) as watcher:
        app[WATCHER] = watcher
        yield


async def close_sockets(app: web.Application) -> None:
    for socket in app[SOCKETS].copy():
        await socket.close(code=WSCloseCode.GOING_AWAY)


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    """Answer 503 if the last successful poll is too old or the watcher has ended."""
    known = request.app[WATCHER].health
    fresh = (
        known.last_good_at is not None
        and datetime.now(UTC) - known.last_good_at < FRESH
        and not known.ended
    )
    last_good_at = known.last_good_at and known.last_good_at.isoformat()
    body = {"status": "fresh" if fresh else "stale", "last_good_at": last_good_at}
    return web.json_response(body, status=200 if fresh else 503)


@routes.get("/queues")
async def queues(request: web.Request) -> web.Response:
    """Count the agents of each queue by state."""
    snapshot = request.app[WATCHER].snapshot
    counts = (
        {} if snapshot is None else {queue: snapshot.counts(queue) for queue in snapshot.queues}
    )
    return web.json_response(counts)


@routes.get("/events")
async def events(request: web.Request) -> web.WebSocketResponse:
    """Send every event to one client. A slow client gets coalesced updates and delays no other."""
    updates = request.app[WATCHER].updates()
    socket = web.WebSocketResponse(heartbeat=30)
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)

    async def send() -> None:
        # A permanent error, such as refused credentials, ends the watcher; /health then answers
        # 503.
        with suppress(SipQueueError):
            async for update in updates:
                for event in update.events:
                    await socket.send_json({**event.to_dict(), "text": str(event)})
        await socket.close(code=WSCloseCode.INTERNAL_ERROR)

    sender = asyncio.create_task(send())
    try:
        async for _ in socket:
            pass
    finally:
        request.app[SOCKETS].discard(socket)
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
    return socket


def make_app() -> web.Application:
    app = web.Application()
    app[SOCKETS] = set()
    app.add_routes(routes)
    app.cleanup_ctx.append(watching)
    app.on_shutdown.append(close_sockets)
    return app


if __name__ == "__main__":
    # run_app shuts down cleanly on SIGTERM and Ctrl-C.
    web.run_app(
        make_app(),
        host=os.environ.get("HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8080")),
    )
