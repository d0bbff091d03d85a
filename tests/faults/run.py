"""Runs the fault matrix: records how a client and a watcher react to each fault, and what they log."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import cache

import attrs

from sipqueue_async import Event, FeedUp, SipQueueClient, SipQueueError, Snapshot, StatusWatcher
from tests.faults.catalogue import FAULTS
from tests.faults.server import LOGIN, TOKEN, FaultServer, credentials, records_later
from tests.faults.ways import HANG_TIMEOUT, TIMEOUT, Fault
from tests.kit.threads import in_new_thread

INTERVAL = 0.02
"""The watchers' interval and maximum pause, in seconds."""

_AT_ONCE = 24


@attrs.frozen(kw_only=True)
class Asked:
    """The outcome of one call."""

    outcome: Snapshot | SipQueueError
    sound: Snapshot
    """The snapshot of the same platform without the fault."""
    url: str
    paths: list[str]
    """The requests that the server received."""


@attrs.define(kw_only=True)
class Poll:
    """One poll of a watcher, in the loop's time."""

    began: float
    ended: float = 0.0
    outcome: Snapshot | BaseException | None = None


@attrs.frozen(kw_only=True)
class Watched:
    """A watcher's reports about a platform before, during and after a fault."""

    told: list[Event]
    """All events."""
    told_of_fault: list[Event]
    """The events that the fault caused."""
    before: Snapshot
    during: Snapshot
    """The watcher's snapshot at the end of the fault."""
    after: Snapshot
    """The watcher's last snapshot."""
    polls: list[Poll]
    mended_at: float
    """The loop's time at which the fault was removed."""
    stale: int
    """The number of polls dropped as stale."""
    end: BaseException | None
    """The error that ended the watcher, or None."""
    reprs: list[str]
    """The reprs of all objects that a user can get."""


class Recorder:
    """A source that records its polls."""

    def __init__(self, client: SipQueueClient, server: FaultServer, fault: Fault) -> None:
        self.client = client
        self.polls: list[Poll] = []
        self.polling = asyncio.Lock()
        """The lock that is held during a poll."""
        self._has_polled = asyncio.Event()
        self._server = server
        self._fault = fault

    async def __call__(self) -> Snapshot:
        """Poll once, and record it."""
        async with self.polling:
            return await self._poll()

    async def _poll(self) -> Snapshot:
        loop = asyncio.get_running_loop()
        if not self._fault.hangs:
            # The server must send its remaining bytes before the next poll, even on a busy machine.
            await self._server.idle()
            await asyncio.sleep(0.001)
        poll = Poll(began=loop.time())
        try:
            poll.outcome = await self.client.fetch_snapshot()
        except BaseException as error:
            poll.outcome = error
            raise
        else:
            return poll.outcome
        finally:
            poll.ended = loop.time()
            self.polls.append(poll)
            self._has_polled.set()

    async def wait_for(self, count: int, *, since: float) -> None:
        """Wait until this many polls that began after `since` have ended."""
        while sum(poll.began >= since for poll in self.polls) < count:
            self._has_polled.clear()
            await self._has_polled.wait()


@asynccontextmanager
async def _client(
    server: FaultServer, fault: Fault, *, logs_in: bool, timeout: float
) -> AsyncGenerator[SipQueueClient, None]:
    """Return a client of the server."""
    session = server.session()
    auth = credentials() if logs_in else TOKEN
    client = SipQueueClient(server.url, auth, session=session, timeout=timeout, encoding=fault.encoding)
    del auth
    try:
        async with client:
            yield client
    finally:
        if session is not None:
            await session.close()
        # A closing connection needs a few more iterations of the loop.
        await asyncio.sleep(0.01)


async def ask(fault: Fault, *, at_login: bool = False) -> Asked:
    """Send one request to a faulty platform. With `at_login`, the fault affects the login."""
    _speed_up()
    async with FaultServer(fault.link, fault.encoding or "utf-8") as server:
        async with _client(server, fault, logs_in=False, timeout=TIMEOUT) as client:
            sound = await client.fetch_snapshot()
        async with _client(server, fault, logs_in=fault.logs_in or at_login, timeout=fault.timeout) as client:
            await fault.start(server)
            if at_login:
                server.move_fault(LOGIN)
            server.paths.clear()
            try:
                outcome: Snapshot | SipQueueError = await client.fetch_snapshot()
            except SipQueueError as error:
                outcome = error
    return Asked(outcome=outcome, sound=sound, url=server.url, paths=server.paths)


async def watch(fault: Fault) -> Watched:
    """Watch a platform that works, is faulty for some polls, and then works again and has news."""
    loop = _speed_up()
    told: list[Event] = []
    told_of_fault: list[Event] = []
    end: BaseException | None = None
    async with (
        FaultServer(fault.link, fault.encoding or "utf-8") as server,
        _client(server, fault, logs_in=fault.logs_in, timeout=TIMEOUT) as client,
        _client(server, fault, logs_in=fault.logs_in, timeout=HANG_TIMEOUT) as hasty_client,
    ):
        source = Recorder(client, server, fault)
        async with StatusWatcher(source, interval=INTERVAL, max_backoff=INTERVAL) as watcher:
            updates = watcher.updates()
            before = during = await watcher.ready()
            # Switch clients between two polls: with the long timeout, a poll without an answer would take a minute.
            async with source.polling:
                await fault.start(server)
                # Use the short timeout only if nothing else ends a poll, because a busy machine may be slow at any
                # time.
                source.client = hasty_client if fault.hangs else client
            if fault.goes_on:
                await source.wait_for(fault.polls, since=loop.time())
                during = _known(watcher)
                server.records = records_later()
                await server.mend()
                source.client = client
                # A fault lasts until its last bytes have arrived, unless they never arrive.
                if not fault.hangs:
                    await server.idle()
            mended_at = loop.time()
            try:
                has_news = False
                while not has_news:
                    update = await anext(updates)
                    told += update.events
                    has_news = len(update.snapshot or ()) == len(records_later())
                    told_of_fault += (it for it in update.events if not has_news or isinstance(it, FeedUp))
            except SipQueueError as error:
                end = error
            things = (client, credentials(), watcher, watcher.health, updates, watcher.snapshot, told)
            return Watched(
                told=told,
                told_of_fault=told_of_fault,
                before=before,
                during=during,
                after=_known(watcher),
                polls=source.polls,
                mended_at=mended_at,
                stale=watcher.health.stale_polls,
                end=end,
                reprs=[repr(it) for it in things],
            )


def _speed_up() -> asyncio.AbstractEventLoop:
    """Return a loop without debug mode, which would record a stack for every callback and dominate the run time."""
    loop = asyncio.get_running_loop()
    loop.set_debug(False)
    return loop


def _known(watcher: StatusWatcher) -> Snapshot:
    assert watcher.snapshot is not None
    return watcher.snapshot


# ---- the whole matrix --------------------------------------------------------------------------------------------


@attrs.frozen
class MatrixRun:
    """The results of a run of the whole matrix."""

    asked: dict[str, Asked]
    """The results of calls, by the fault's name."""
    asked_at_login: dict[str, Asked]
    watched: dict[str, Watched]
    said: list[str]
    """All log records."""


@cache
def run_matrix() -> MatrixRun:
    """Run every fault for a call, for a login and for a watcher, several at once. A second run gives equal results."""
    said: list[str] = []
    with listening(said):
        return in_new_thread(lambda: asyncio.run(_run_all(said)))


async def _run_all(said: list[str]) -> MatrixRun:
    run = MatrixRun({}, {}, {}, said)
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def run_one(fault: Fault) -> None:
        async with at_once:
            run.asked[fault.name] = await ask(fault)
            run.asked_at_login[fault.name] = await ask(fault, at_login=True)
            run.watched[fault.name] = await watch(fault)

    async with asyncio.TaskGroup() as tasks:
        for fault in FAULTS:
            tasks.create_task(run_one(fault))
    return run


class _Ear(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said += [self.format(record), repr(vars(record))]
        if record.exc_info and record.exc_info[1]:
            self._said += shown(record.exc_info[1])


@contextmanager
def listening(said: list[str]) -> Generator[None, None, None]:
    """Collect the log records of every logger, at DEBUG."""
    loggers = [logging.getLogger(name) for name in ("", "sipqueue_async", "aiohttp", "asyncio")]
    levels = [it.level for it in loggers]
    ear = _Ear(said)
    loggers[0].addHandler(ear)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        loggers[0].removeHandler(ear)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def shown(error: BaseException) -> list[str]:
    """Return every representation of an error and its causes that a user may see."""
    texts: list[str] = []
    links, seen = [error], set[int]()
    while links:
        link = links.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        texts += [str(link), repr(link), repr(link.args), repr(vars(link))]
        texts += traceback.TracebackException.from_exception(link, capture_locals=True).format()
        # Include the links that a traceback omits.
        links += [it for it in (link.__cause__, link.__context__) if it is not None]
    return texts
