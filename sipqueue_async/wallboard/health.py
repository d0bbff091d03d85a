"""``/healthz`` and ``/readyz``: whether the process is alive, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web

from sipqueue_async import Feed
from sipqueue_async._error_text import reason

HEALTH: Final = "/healthz"
READY: Final = "/readyz"


def unready(feed: Feed) -> str | None:
    """Return why a feed's status cannot be used; None if it is known and the feed has not ended.

    An outage after the first status is no reason: a restart does not end it, and the last status is still shown.
    """
    health = feed.health
    why = "" if health.last_error is None or health.up is not False else f": {reason(health.last_error)}"
    if health.ended:
        return f"the feed has ended{why}"
    if health.up is None or feed.snapshot is None:
        return f"the status is not known yet{why}"
    return None


def add_health(app: web.Application, feed: Feed, is_fresh: Callable[[], bool] | None = None) -> None:
    """Add ``/healthz`` and ``/readyz`` to a server.

    Args:
        app: The server.
        feed: The feed whose status the server needs.
        is_fresh: Returns whether the last good poll was recent; ``/readyz?fresh`` asks for that too.
    """

    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def ready(request: web.Request) -> web.Response:
        why = unready(feed)
        if why is None and is_fresh is not None and "fresh" in request.query and not is_fresh():
            why = "the status is stale"
        return web.Response(text="ready\n") if why is None else web.Response(status=503, text=f"not ready: {why}\n")

    app.router.add_get(HEALTH, alive)
    app.router.add_get(READY, ready)
