"""`Wallboard`: the web server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

from aiohttp import web

from sipqueue_async import Feed
from sipqueue_async._arguments import check_at_least
from sipqueue_async._language import LANGUAGES
from sipqueue_async._server_log import server_log
from sipqueue_async._whole_feed import check_whole_feed
from sipqueue_async.alerts import RulesFile
from sipqueue_async.push import PushReceiver
from sipqueue_async.wallboard.access import Access, HostNames, is_loopback
from sipqueue_async.wallboard.api import EVENTS, Api
from sipqueue_async.wallboard.connections import PATIENCE, Door, most_connections
from sipqueue_async.wallboard.events import MOST_READERS, EventStreams
from sipqueue_async.wallboard.guard import Guard, RequestHandler, set_headers
from sipqueue_async.wallboard.journal import KEEP, Journal
from sipqueue_async.wallboard.languages import speaks
from sipqueue_async.wallboard.live import BEAT, STALE_AFTER, Live, utc_now
from sipqueue_async.wallboard.pages import Pages
from sipqueue_async.wallboard.stream import MOST_STREAMS, Streams
from sipqueue_async.wallboard.thresholds import Thresholds

if TYPE_CHECKING:
    from sipqueue_async.history import History
    from sipqueue_async.wallboard.board import Board
    from sipqueue_async.wallboard.past import Past

_GRACE: Final = 0.5
"""Seconds for which a stopping server waits for running requests."""

_LARGEST_FORM: Final = 4096
"""Bytes; the login form is the only form."""

_log: Final = server_log("wallboard")


class Wallboard:
    """Serves a page that shows the queues and agents of a watcher or another feed, live.

    Use it as an async context manager, or call `start` and `stop`; it runs once. You start and stop the feed. Metrics
    count from when the wallboard is made, so make it before you start the feed.

    Example::

        async with SipQueueClient(url, auth) as client:
            watcher = StatusWatcher(client)
            async with Wallboard(watcher, port=8088) as wallboard, watcher:
                print(wallboard.url)
                await wallboard.wait()

    Args:
        watcher: The feed to show: a `StatusWatcher`, or a `RedisFeed` that reads from a relay.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        key: The access key, at least 12 characters. Required unless `host` is a loopback address.
        host_names: Further names by which browsers reach the wallboard, such as a reverse proxy's. Requests for other
            names are refused.
        events_key: A second key, at least 12 characters, that opens only ``/api/events`` and ``/api/snapshot`` and
            their description, for programs that read.
        events_kept: How many updates ``/api/events`` keeps for programs that reconnect.
        stale_after: Seconds after the last good poll from which the status counts as stale, and ``/readyz?fresh``
            answers 503. A relay's reader confirms the status every 5 seconds, so use at least 10 for one.
        beat: Seconds between heartbeats, by which browsers notice a dead connection, and between the requests of pages
            that show the present day's history.
        clock: The time now (aware), on the clock of the snapshots' `observed_at`; by default this machine's, which
            `SipQueueClient` uses. The clock of a relay on another machine should agree with it.
        title: The heading of the pages; by default "Wallboard" in their language.
        language: ``en`` or ``zh``: the language of pages whose address does not name one with ``?lang=``; by default
            the first of the two that the browser prefers.
        thresholds: When agents and queues stand out, on pages whose address says nothing else.
        rules: Rules from `sipqueue_async.alerts.read_rules`. The page shows the alerts that they raise, in the page's
            language.
        pushes: The receiver of the feed's pushes, whose counts ``/metrics`` shows. You start and stop it.
        history: An open history of the same platform. The pages ``/day`` and ``/agents/<extension>`` show it; without
            one they are not found.

    Raises:
        TypeError: `events_kept` is not a number, or the watcher is not a feed.
        ValueError: A key is too short, or missing but required; the events key is the access key, or given without
            one; `events_kept` is below 1; there is no such language; one of `host_names` is no host name; or the feed
            shares its changes with a group, so that most changes would be missing.
    """

    def __init__(
        self,
        watcher: Feed,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str | None = None,
        host_names: Iterable[str] = (),
        events_key: str | None = None,
        events_kept: int = KEEP,
        stale_after: float = STALE_AFTER,
        beat: float = BEAT,
        clock: Callable[[], datetime] = utc_now,
        title: str | None = None,
        language: str | None = None,
        thresholds: Thresholds = Thresholds(),  # noqa: B008  # it is immutable
        rules: RulesFile | None = None,
        pushes: PushReceiver | None = None,
        history: History | None = None,
    ) -> None:
        if key is None and not is_loopback(host):
            raise ValueError(f"other machines can reach {host}, so an access key is required")
        check_whole_feed("watcher", watcher)
        check_at_least("events_kept", events_kept, 1, "update")
        if language is not None and language not in LANGUAGES:
            raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, not {language!r}")
        self._access = None if key is None else Access(key)
        self._readers = _readers(key, events_key)
        self._names = HostNames(host, host_names)
        self._title = title
        self._thresholds = thresholds
        self._language = language
        self._host = host
        self._port = port
        self._live = Live(watcher, clock=clock, beat=beat, stale_after=stale_after, rules=rules)
        self._api = Api(self._live, pushes)
        self._journal = Journal(watcher, keep=events_kept)
        self._past = None if history is None else _past_of(history, clock, self._live.board, beat)
        most = most_connections()
        # A quarter is left for short requests.
        self._streams = Streams(self._live, most=min(MOST_STREAMS, most * 3 // 8))
        self._events = EventStreams(self._live, self._journal, most=min(MOST_READERS, most * 3 // 8))
        self._door = Door(stays=lambda it: self._streams.has(it) or self._events.has(it), most=most)
        self._runner: web.AppRunner | None = None
        self._following: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on; 0 before the system has chosen one."""
        return self._port

    @property
    def url(self) -> str:
        """The page's URL on this machine."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/"

    async def wait(self) -> None:
        """Wait until the feed ends.

        Raises:
            RuntimeError: The wallboard is not running.
            BaseException: The error that ended the feed, if it failed.
        """
        if self._following is None:
            raise RuntimeError("the wallboard is not running: use it in 'async with'")
        await asyncio.shield(self._following)

    async def start(self) -> None:
        """Start to listen and to follow the feed.

        Raises:
            RuntimeError: It was started before.
            OSError: The port is in use, or the address is not one of this machine.
        """
        if self._runner is not None:
            raise RuntimeError("a wallboard can be started once: make a new one")
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
            await self._close(runner)
            raise
        self._beating = asyncio.create_task(self._live.send_heartbeats(), name="sipqueue_async wallboard: heartbeats")
        self._following = asyncio.create_task(self._live.run(), name="sipqueue_async wallboard")

    async def stop(self) -> None:
        """Stop listening and close every stream. Does nothing if it is not running."""
        if self._runner is None or self._following is None or self._beating is None:
            return
        self._following.cancel()
        self._beating.cancel()
        self._api.close()
        self._journal.close()
        try:
            await self._close(self._runner)
        finally:
            # `wait` and the feed itself report an error that ended the feed.
            await asyncio.wait([self._following, self._beating])

    async def _close(self, runner: web.AppRunner) -> None:
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
        guard = Guard(self._access, self._names, self._readers)
        app = web.Application(middlewares=[speaks(self._language), guard.middleware], client_max_size=_LARGEST_FORM)
        app.on_response_prepare.append(set_headers)
        app.on_shutdown.append(self._end_streams)
        Pages(
            self._access,
            guard,
            patience=PATIENCE,
            title=self._title,
            thresholds=self._thresholds,
            has_history=self._past is not None,
        ).add_to(app)
        self._api.add_to(app)
        if self._past is not None:
            self._past.add_to(app)
        # A HEAD request would wait for the end of the stream.
        app.router.add_get("/events", self._streams.handle, allow_head=False)
        app.router.add_get(EVENTS, self._events.handle, allow_head=False)
        return app

    async def _end_streams(self, _app: web.Application) -> None:
        self._live.close()

    def __repr__(self) -> str:
        return f"<Wallboard on {self._host} port {self._port}>"


def _readers(key: str | None, events_key: str | None) -> Access | None:
    if events_key is None:
        return None
    if key is None:
        raise ValueError("an events key needs an access key beside it: without one, everything is open")
    if events_key == key:
        raise ValueError("the events key is the access key: use another one")
    return Access(events_key, noun="events key")


def _past_of(history: History, clock: Callable[[], datetime], board: Board, every: float) -> Past:
    # Imported lazily: the wallboard does not require the extra.
    from sipqueue_async.wallboard.past import Past  # noqa: PLC0415

    return Past(history, clock, board, every=every)
