"""`Relay`: polls a platform and publishes each change. Of several relays one leads, and the others stand by."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Final, Self, TypedDict, Unpack

from redis.asyncio import Redis, RedisCluster

from sipqueue_async import SipQueueError, Snapshot, StatusWatcher, TransportError
from sipqueue_async._arguments import check_at_least
from sipqueue_async._closing import run_uncancelled
from sipqueue_async.redis.backoff import Backoff
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
    """Polls a platform and publishes each change in Redis, for any number of `RedisFeed`.

    Relays with the same prefix work for one platform: one leads, and the others stand by without polling. When the
    leader has been silent for `lease` seconds, another relay continues from the last publication, so that no change is
    lost or published twice. While Redis is away the leader keeps polling, and publishes the difference afterwards.

    An async context manager: the relay runs inside the block. An error that a retry cannot mend ends the relay, and
    `wait` raises it.

    Args:
        source: A `SipQueueClient`, or any async function that returns a `Snapshot`.
        redis: A Redis URL (``rediss://`` for TLS), or a `Redis` (Sentinel's too) or `RedisCluster` of `redis.asyncio`,
            which the caller closes.
        prefix: The prefix of the keys: one per platform, given to its readers too.
        lease: Seconds of silence after which another relay takes over, measured by the other relay's monotonic clock.
        max_entries: About how many changes Redis keeps for readers that are behind.
        max_age: How long Redis keeps them.
        timeout: Seconds without a byte sent or received after which Redis counts as away. With a client of the caller,
            the limit for a whole answer.
        watch: Arguments of `StatusWatcher`: `interval`, `queues`, `extensions`, `leave_after`, `max_backoff`,
            `max_lag`.

    Raises:
        TypeError: `redis` is neither a URL nor such a client.
        ValueError: An argument is invalid.
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
        check_at_least("lease", lease, 0.1, "second")
        if max_entries < 1 or max_age <= timedelta(0):
            raise ValueError("max_entries and max_age must be above 0")
        self._source = source
        self._watch = watch
        # Keep the names as tuples: each term needs them, and an iterator can be read only once.
        self._watch |= {"queues": _reusable(watch.get("queues")), "extensions": _reusable(watch.get("extensions"))}
        # Check the arguments now, and not only when the relay leads for the first time.
        StatusWatcher(source, **self._watch)
        self._store = Store(redis, prefix, timeout)
        self._limits = Limits(lease=lease, max_entries=max_entries, max_age=max_age)
        self._owner = uuid.uuid4().hex
        self._term: Term | None = None
        self._watcher: StatusWatcher | None = None
        self._stands_by = False
        # Another relay's lock as last seen, and the loop's time since when it has not changed.
        self._other: Lock | None = None
        self._other_since = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def where(self) -> str:
        """The server and the keys, for messages; without the password."""
        return self._store.where

    @property
    def leading(self) -> bool:
        """Whether this relay polls and publishes. A relay that was cut off may not know yet that another one leads."""
        return self._term is not None

    @property
    def sequence(self) -> int:
        """The number of the last publication that this relay knows of; 0 while it does not lead."""
        return 0 if self._term is None else self._term.published.sequence

    @property
    def snapshot(self) -> Snapshot | None:
        """The last status of the platform; None while this relay does not lead."""
        return None if self._watcher is None else self._watcher.snapshot

    @property
    def _whole_polls(self) -> int:
        return 0 if self._watcher is None else self._watcher.health.polls

    async def refresh(self, *, anew: bool = False) -> Snapshot | None:
        """Poll now if this relay leads, and return the snapshot; None if it stands by.

        Args:
            anew: If a poll is under way, poll again after it: its answer may be older than this call.

        Raises:
            BaseException: The error of the poll.
        """
        try:
            return None if self._watcher is None else await self._watcher.refresh(anew=anew)
        except RuntimeError:
            # Its watcher ended meanwhile: another relay leads, or `wait` raises the error.
            return None

    async def refresh_extensions(self, extensions: Iterable[str]) -> Snapshot | None:
        """Poll the seats of these extensions now if this relay leads, as `StatusWatcher.refresh_extensions` does.

        Returns None if it stands by.

        Raises:
            ValueError: There is no extension, or an empty one.
            BaseException: The error of the poll.
        """
        try:
            return None if self._watcher is None else await self._watcher.refresh_extensions(extensions)
        except RuntimeError:
            # As for `refresh`.
            return None

    async def wait(self) -> None:
        """Wait until the relay ends. By itself it ends only with an error that a retry cannot mend.

        Raises:
            RuntimeError: The relay was not started.
            BaseException: The error that ended the relay.
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
        # Retrieve the exception, or asyncio would log it for programs that do not call `wait`.
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
        # Release the lock even if this relay does not know that it leads: the answer to `acquire` may have been lost.
        stack.push_async_callback(self._leave)
        try:
            while True:
                await self._lead(await self._stand_by())
        except Exception as error:
            _log.error("the relay ends: %s: %s", type(error).__name__, error)  # re-raised, so no traceback here
            raise
        finally:
            await run_uncancelled(stack.aclose)

    async def _stand_by(self) -> Term:
        """Wait until this relay leads."""
        backoff = Backoff()
        is_away = False
        while True:
            try:
                term = await self._term_if_free()
            except TransportError as error:
                _log.log(logging.DEBUG if is_away else logging.WARNING, "the relay waits: %s", error)
                is_away = True
                # The leader cannot renew while Redis is away: allow it a whole lease once Redis is back.
                self._other = None
                await backoff.pause()
                continue
            if term is not None:
                return term
            is_away = False
            backoff.reset()
            if not self._stands_by:
                _log.info("the relay stands by: another relay leads")
            self._stands_by = True
            await asyncio.sleep(self._limits.lease / 10)

    async def _term_if_free(self) -> Term | None:
        """Take the lock if it is free or was not renewed for a lease, by this relay's clock; None if it is held."""
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
        """Poll and publish until another relay leads. An error that ends the watcher is raised."""
        state = term.published
        _log.info("the relay leads (term %s), after publication %d", term.number, state.sequence)
        watcher = StatusWatcher(self._source, baseline=state.snapshot, initial=state.snapshot is None, **self._watch)
        self._stands_by, self._term = False, term
        try:
            async with watcher:
                self._watcher = watcher
                await term.run(watcher)
        except LeadershipLost as reason:
            _log.warning("the relay stands by: %s", reason)
            self._stands_by = True
        finally:
            self._watcher = self._term = None

    async def _leave(self) -> None:
        """Release the lock, so that another relay leads at once. A failure is only logged."""
        try:
            await self._store.release(self._owner)
        except SipQueueError as error:
            _log.debug("the relay could not release its lock: %s", error)


def _reusable(names: Iterable[str] | None) -> Iterable[str] | None:
    return names if names is None or isinstance(names, str) else tuple(names)
