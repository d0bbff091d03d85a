"""`Relay`: watches a platform for everybody, and publishes what changes; one of several leads, the others stand by."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Final, Self, TypedDict, Unpack

from redis.asyncio import Redis, RedisCluster

from sipqueue_async import SipQueueError, StatusWatcher, TransportError
from sipqueue_async.redis.backoff import Backoff
from sipqueue_async.redis.closing import run_uncancelled
from sipqueue_async.redis.store import TIMEOUT, Lock, Store
from sipqueue_async.redis.term import LeadershipLost, Limits, Term
from sipqueue_async.watcher import Source

_log: Final = logging.getLogger("sipqueue_async")


class WatchOptions(TypedDict, total=False):
    """How a relay watches: arguments of `StatusWatcher`."""

    interval: float
    queues: Iterable[str] | None
    extensions: Iterable[str] | None
    leave_after: int
    max_backoff: float
    max_lag: float


class Relay:
    """Watches a platform and publishes each change in Redis, for any number of `RedisFeed`.

    Several relays with the same prefix share one platform: one leads, and the others stand by without asking the
    platform anything. When the leader is gone for `lease` seconds, another one goes on from what was published last, so
    that nothing is lost and nothing is told twice. While Redis is away the leader keeps watching, and publishes the
    difference afterwards.

    An async context manager: inside it the relay runs. An error that trying again does not help against ends it; `wait`
    raises it.

    Args:
        source: A `SipQueueClient`, or any async function that returns a `Snapshot`.
        redis: The URL of a Redis, or a client of `redis.asyncio` that is the caller's to close: a `Redis`, also of
            Sentinel, or a `RedisCluster`. TLS is ``rediss://``.
        prefix: What the keys begin with: one for each platform.
        lease: For how many seconds a leader may be silent before another relay takes over, by the other's own clock.
        max_entries: About how many of the last changes are kept for readers who are behind.
        max_age: For how long they are kept.
        timeout: Seconds without progress, sending or receiving, after which Redis counts as away. With a client of
            yours, the limit for a whole answer.
        watch: Arguments of `StatusWatcher`: `interval`, `queues`, `extensions`, `leave_after`, `max_backoff`,
            `max_lag`.

    Raises:
        TypeError: `redis` is neither a URL nor such a client.
        ValueError: An argument makes no sense.
    """

    def __init__(
        self,
        source: Source,
        redis: str | Redis | RedisCluster,
        *,
        prefix: str = "sipqueue",
        lease: float = 10.0,
        max_entries: int = 100_000,
        max_age: timedelta = timedelta(days=1),
        timeout: float = TIMEOUT,
        **watch: Unpack[WatchOptions],
    ) -> None:
        if not 0.1 <= lease < math.inf:
            raise ValueError(f"lease must be at least 0.1 seconds, not {lease!r}")
        if max_entries < 1 or max_age <= timedelta(0):
            raise ValueError("max_entries and max_age must be above 0")
        self._source = source
        self._watch = watch
        # They are needed each time that this relay leads.
        self._watch |= {"queues": _kept(watch.get("queues")), "extensions": _kept(watch.get("extensions"))}
        # What is wrong with these is better said now than when the relay leads for the first time.
        StatusWatcher(source, **self._watch)
        self._store = Store(redis, prefix, timeout)
        self._limits = Limits(lease=lease, max_entries=max_entries, max_age=max_age)
        self._owner = uuid.uuid4().hex
        self._term: Term | None = None
        self._stands_by = False
        # Another relay's lock as it was seen last, and since when it is so.
        self._other: Lock | None = None
        self._other_since = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def where(self) -> str:
        """Where it publishes, for people to read; no secret is in it."""
        return self._store.where

    @property
    def leading(self) -> bool:
        """Whether this relay is the one that watches and publishes, as far as it knows."""
        return self._term is not None

    @property
    def sequence(self) -> int:
        """The number of the last publication that this relay knows of, while it leads; otherwise 0."""
        return 0 if self._term is None else self._term.published.sequence

    async def wait(self) -> None:
        """Wait until the relay ends, which it does by itself only where trying again does not help.

        Raises:
            RuntimeError: The relay is not running.
            BaseException: What ended it.
        """
        if self._task is None:
            raise RuntimeError("the relay is not running: use it in 'async with'")
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a relay runs once: make a new one")
        self._task = asyncio.create_task(self._run(), name="sipqueue_async relay")
        # Whoever does not `wait` is not to be told of it by asyncio.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None  # noqa: S101  # it was entered
        self._task.cancel()
        await asyncio.wait([self._task])

    def __repr__(self) -> str:
        condition = f"leads, at {self.sequence}" if self.leading else "stands by"
        if self._task is None:
            condition = "not started"
        elif self._task.done():
            condition = "ended"
        return f"<Relay to {self._store.where}, {condition}>"

    async def _run(self) -> None:
        stack = AsyncExitStack()
        stack.push_async_callback(self._store.aclose)
        # Not only where it knows that it leads: the answer may be on its way.
        stack.push_async_callback(self._leave)
        try:
            while True:
                await self._lead(await self._stand_by())
        except Exception as error:
            _log.error("the relay ends: %s: %s", type(error).__name__, error)  # it is raised
            raise
        finally:
            await run_uncancelled(stack.aclose)

    async def _stand_by(self) -> Term:
        """Wait until this relay is the leader."""
        backoff = Backoff()
        is_away = False
        while True:
            try:
                term = await self._term_if_free()
            except TransportError as error:
                _log.log(logging.DEBUG if is_away else logging.WARNING, "the relay waits: %s", error)
                is_away = True
                # While Redis is away nobody can renew: give the leader a lease from when it is back.
                self._other = None
                await backoff.pause()
                continue
            if term is not None:
                return term
            is_away = False
            backoff.reset()
            if not self._stands_by:
                _log.info("the relay stands by: another one leads")
            self._stands_by = True
            await asyncio.sleep(self._limits.lease / 10)

    async def _term_if_free(self) -> Term | None:
        """Take the lock if it is free, or if its holder has not renewed it for a lease, by this relay's own clock."""
        now = asyncio.get_running_loop().time()
        is_stale = self._other is not None and now - self._other_since >= self._limits.lease
        lock = await self._store.acquire(self._owner, self._other if is_stale else None)
        if not lock.is_of(self._owner):
            if lock != self._other:
                self._other, self._other_since = lock, asyncio.get_running_loop().time()
            return None
        self._other = None
        term = Term(self._store, self._owner, lock.lock, self._limits)
        await term.begin()
        return term

    async def _lead(self, term: Term) -> None:
        """Watch and publish until another one leads; an error is what ended the watcher, whatever it is."""
        state = term.published
        _log.info("the relay leads (term %s), after publication %d", term.number, state.sequence)
        watcher = StatusWatcher(self._source, baseline=state.snapshot, initial=state.snapshot is None, **self._watch)
        self._stands_by, self._term = False, term
        try:
            async with watcher:
                await term.run(watcher)
        except LeadershipLost as reason:
            _log.warning("the relay stands by: %s", reason)
            self._stands_by = True
        finally:
            self._term = None

    async def _leave(self) -> None:
        """Let another one lead at once, if that can be said."""
        try:
            await self._store.release(self._owner)
        except SipQueueError as error:
            _log.debug("the lead could not be handed on: %s", error)


def _kept(names: Iterable[str] | None) -> Iterable[str] | None:
    return names if names is None or isinstance(names, str) else tuple(names)
