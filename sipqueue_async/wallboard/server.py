"""`Wallboard`: the server of the page, and what may be asked of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError

from sipqueue_async import Feed
from sipqueue_async.wallboard.access import Access, HostNames, is_loopback
from sipqueue_async.wallboard.api import Api
from sipqueue_async.wallboard.connections import PATIENCE, Door, most_connections
from sipqueue_async.wallboard.guard import Guard, RequestHandler, set_headers
from sipqueue_async.wallboard.live import BEAT, STALE_AFTER, Live, utc_now
from sipqueue_async.wallboard.pages import Pages
from sipqueue_async.wallboard.stream import MOST_STREAMS, Streams

_GRACE: Final = 0.5
"""Seconds that a request under way gets to finish when the server stops."""

_LARGEST_FORM: Final = 4096
"""Bytes; the only form is that of the access key."""

_log: Final = logging.getLogger("sipqueue_async.wallboard")


class _Faults(logging.Filter):
    """Keeps back what others send that is no HTTP: anybody could fill a disk with it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_log.addFilter(_Faults())


class Wallboard:
    """Serves a page that shows what a watcher or another feed knows, and changes as that does.

    Used as an async context manager, or by `start` and `stop`, once. The feed is the caller's. Metrics count from when
    the wallboard is made, so that is best done before the feed is started.

    Example::

        async with SipQueueClient(url, auth) as client:
            watcher = StatusWatcher(client)
            async with Wallboard(watcher, port=8088) as wallboard, watcher:
                print(wallboard.url)
                await wallboard.wait()

    Args:
        watcher: Whose knowledge to show: a `StatusWatcher`, or a `RedisFeed` that reads what a relay publishes.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        key: The access key, at least 12 characters, that one has to know to see anything; needed where `host` is not
            an address of this machine alone.
        host_names: Names, beside `host` itself, by which browsers reach the wallboard: that of a reverse proxy, for
            instance. Requests for other names are refused.
        stale_after: Seconds without a good poll after which ``/healthz`` answers 503; of a feed that is no watcher, for
            which it has been down. A reader looks every 5 seconds, so fewer than 10 are too few for one.
        beat: Seconds between the signs of life by which browsers notice that a connection is dead.
        clock: The time now (aware), on the clock of the snapshots' `observed_at`; by default this machine's, which is
            the one that a `SipQueueClient` uses. That of a relay on another machine should agree with it.

    Raises:
        ValueError: The key is too short, or is missing where it is needed; or the feed shares its changes with a group,
            so that most of them would be missing.
    """

    def __init__(
        self,
        watcher: Feed,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str | None = None,
        host_names: Iterable[str] = (),
        stale_after: float = STALE_AFTER,
        beat: float = BEAT,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        if key is None and not is_loopback(host):
            raise ValueError(f"others can reach {host}, so an access key is needed")
        if watcher.is_shared:
            raise ValueError("a feed with a group has a part of the changes only: give one without")
        self._access = None if key is None else Access(key)
        self._names = HostNames(host, host_names)
        self._host = host
        self._port = port
        self._live = Live(watcher, clock=clock, beat=beat, stale_after=stale_after)
        self._api = Api(self._live)
        most = most_connections()
        # What asks and goes has some room left beside those who stay.
        self._streams = Streams(self._live, most=min(MOST_STREAMS, most * 3 // 4))
        self._door = Door(stays=self._streams.has, most=most)
        self._runner: web.AppRunner | None = None
        self._following: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on; 0 as long as the system has not yet chosen one."""
        return self._port

    @property
    def url(self) -> str:
        """The page's address, as seen from this machine."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    async def wait(self) -> None:
        """Wait until the feed ends.

        Raises:
            RuntimeError: The wallboard does not run.
            BaseException: Whatever ended the feed, if it failed.
        """
        if self._following is None:
            raise RuntimeError("the wallboard does not run: use it in 'async with'")
        await asyncio.shield(self._following)

    async def start(self) -> None:
        """Begin to listen, and to follow the feed.

        Raises:
            RuntimeError: It was started already.
            OSError: The port is taken, or the address is not of this machine.
        """
        if self._runner is not None:
            raise RuntimeError("a wallboard runs once: make a new one")
        # Where a browser is gone, so is the handler of its request. No access log: nobody asked for one.
        settings: dict[str, Any] = {
            "access_log": None,
            "logger": _log,
            "keepalive_timeout": PATIENCE,
            "auto_decompress": False,
        }
        runner = web.AppRunner(self._app(), shutdown_timeout=_GRACE, handler_cancellation=True, **settings)
        self._runner = runner
        try:
            await runner.setup()
            server = cast("web.Server", runner.server)
            handler = partial(RequestHandler, server, loop=asyncio.get_running_loop(), **settings)
            self._port = await self._door.open(server, handler, self._host, self._port)
        except BaseException:
            await self._shut(runner)
            raise
        self._beating = asyncio.create_task(self._live.give_signs_of_life(), name="sipqueue_async wallboard's beat")
        self._following = asyncio.create_task(self._live.run(), name="sipqueue_async wallboard")

    async def stop(self) -> None:
        """Stop listening, and let every browser go; nothing happens if it does not listen."""
        if self._runner is None or self._following is None or self._beating is None:
            return
        self._following.cancel()
        self._beating.cancel()
        self._api.close()
        try:
            await self._shut(self._runner)
        finally:
            # What ended the feed is told by `wait`, and by the feed.
            await asyncio.wait([self._following, self._beating])

    async def _shut(self, runner: web.AppRunner) -> None:
        await self._door.close()
        await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def _app(self) -> web.Application:
        guard = Guard(self._access, self._names)
        app = web.Application(middlewares=[guard.middleware], client_max_size=_LARGEST_FORM)
        app.on_response_prepare.append(set_headers)
        app.on_shutdown.append(self._dismiss)
        Pages(self._access, guard, patience=PATIENCE).add_to(app)
        self._api.add_to(app)
        # A browser's HEAD would wait for the stream's end.
        app.router.add_get("/events", self._streams.handle, allow_head=False)
        return app

    async def _dismiss(self, _app: web.Application) -> None:
        self._live.close()

    def __repr__(self) -> str:
        return f"<Wallboard on {self._host} port {self._port}>"
