"""`RedisFeed`: what a relay publishes, read as if it were watched here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

import attrs
from redis.asyncio import Redis, RedisCluster

from sipqueue_async import Feed, SeatFilter, Snapshot, TransportError, Update
from sipqueue_async.redis.backoff import Backoff
from sipqueue_async.redis.closing import run_uncancelled
from sipqueue_async.redis.group import GroupWork
from sipqueue_async.redis.reader_state import ReaderState
from sipqueue_async.redis.store import ENTRIES, TIMEOUT, Entry, Store

_log: Final = logging.getLogger("sipqueue_async")

_SOON: Final = 0.1
"""Seconds between two looks while a reader waits for a relay to confirm what Redis holds."""
_SHORTEST: Final = 0.25
_LONGEST: Final = 5.0
"""After half a lease without entries a reader looks whether a relay is there, but after no fewer and no more seconds
than these."""


@attrs.frozen(kw_only=True)
class RedisFeedHealth:
    """How a reader's reading goes."""

    up: bool | None = None
    """Whether what is known is how things are; None before anything was read."""
    ended: bool = False
    """Whether there will be nothing further."""
    sequence: int = 0
    """The number of the last publication that was taken."""
    resyncs: int = 0
    """How often the stream did not go on from where this reader was, so that it took the difference instead."""
    failures: int = 0
    """Attempts to read that failed."""
    last_error: BaseException | None = None
    """Why the last failed attempt failed, or what else was wrong last; also if all has been well since."""
    last_good_at: datetime | None = None
    """The relay's last good poll, as far as is known here."""


class RedisFeed(Feed):
    """The events and updates of a relay, as of a local `StatusWatcher`, for any number of processes.

    It begins with what is known now and goes on with what changes, without a gap and without an overlap. `FeedDown`
    says that nothing is known: because the platform, the relays or Redis are away. When the stream does not go on from
    where this reader was, since it was away for too long, it is handed the difference to what it saw last.

    With a `group`, its one stream has a part of the changes: each goes to one of the group's consumers, and if that one
    does not say that it is done, by asking for the next or by `acknowledge`, to another one. The snapshots of these
    updates have the seats that changed, and no others. `snapshot` and `ready` are as without a group. The stream is one
    task's alone, and tells of the feed only what the relay does; `health` says whether Redis and a relay are there.

    The snapshot's `observed_at` is that of the last change; `health.last_good_at` says as of when nothing else has.

    Args:
        redis: The URL of a Redis, or a client of `redis.asyncio` that is the caller's to close: a `Redis`, also of
            Sentinel, or a `RedisCluster`. TLS is ``rediss://``.
        prefix: What the relay's keys begin with.
        baseline: The snapshot to compare with at first, to go on where an earlier reader ended.
        initial: Whether, without a baseline, there is an `AgentJoined` for everybody at first.
        queues: Read only these queues of what the relay watches.
        extensions: Read only these extensions; likewise.
        group: The group to share the work with.
        consumer: This consumer's name, which no other one of the group has; what an earlier one of this name had not
            done is handed out again at once.
        claim_after: Seconds without a sign of life after which the work of one consumer is given to another.
        timeout: Seconds without progress, sending or receiving, after which Redis counts as away. With a client of
            yours, the limit for a whole answer.

    Raises:
        TypeError: `redis` is neither a URL nor such a client.
        ValueError: An argument makes no sense.
    """

    _what_is_missing = "the status has not been read from Redis"

    def __init__(
        self,
        redis: str | Redis | RedisCluster,
        *,
        prefix: str = "sipqueue",
        baseline: Snapshot | None = None,
        initial: bool = False,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        group: str | None = None,
        consumer: str | None = None,
        claim_after: float = 60.0,
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__()
        if (group is None) != (consumer is None) or "" in {group, consumer}:
            raise ValueError("a group needs a consumer and a consumer a group, each with a name of at least one letter")
        if group is not None and (initial or baseline is not None):
            raise ValueError("a group knows where it is: initial and baseline are for readers without a group")
        seats = SeatFilter(queues, extensions)
        if group is not None and not seats.is_all:
            raise ValueError("queues and extensions are for readers without a group: subscribe to what is wanted of it")
        if not 0 < claim_after < float("inf"):
            raise ValueError(f"claim_after must be above 0 seconds, not {claim_after!r}")
        self._store = Store(redis, prefix, timeout)
        self._state = ReaderState(baseline, initial=initial, clock=_loop_time, seats=seats)
        self._failures = 0
        self._last_trouble: BaseException | None = None
        self._has_failed = False
        self._work_of_group: GroupWork | None = None
        if group is not None and consumer is not None:
            self._work_of_group = GroupWork(
                self._store,
                group=group,
                consumer=consumer,
                claim=claim_after,
                deliver=self._deliver,
                is_listened_to=lambda: self._fanout.has_listeners,
            )
        else:
            self._stream = self.subscribe()

    @property
    def snapshot(self) -> Snapshot | None:
        """What is known; before anything is, the baseline."""
        return self._state.snapshot

    @property
    def health(self) -> RedisFeedHealth:
        """How the reading goes."""
        state = self._state
        return RedisFeedHealth(
            up=None if state.is_undecided and not self._has_failed else state.is_up and not self._has_failed,
            ended=self._fanout.ended,
            sequence=state.sequence,
            resyncs=state.resyncs,
            failures=self._failures,
            last_error=self._last_trouble,
            last_good_at=state.seen,
        )

    @property
    def is_shared(self) -> bool:
        """Whether it has a group, whose other consumers are given the rest of the changes."""
        return self._work_of_group is not None

    async def acknowledge(self) -> None:
        """Say that the update that the group's stream handed out last is done, all of it, without asking for more.

        An update that still waits to be taken is not.

        Raises:
            RuntimeError: The feed has no group.
            TransportError: Redis is away, and does not know it.
            RelayError: Redis refuses.
        """
        if self._work_of_group is None:
            raise RuntimeError("only the work of a group is acknowledged")
        if not self._fanout.pending:
            await self._work_of_group.acknowledge()

    def __repr__(self) -> str:
        condition = {None: "not read yet", True: "up", False: "down"}[self.health.up]
        if self.health.ended:
            condition = f"ended, was {condition}"
        return f"<RedisFeed of {self._store.where}, {condition}, at {self._state.sequence}>"

    def _when_asked(self) -> Callable[[], None] | None:
        work = self._work_of_group
        if work is None:
            return None
        if self._fanout.has_listeners:
            raise RuntimeError(
                "the work of a group goes to one stream; close the other one first, or make another feed"
            )
        return work.next_taker()

    # ---- reading -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        stack = AsyncExitStack()
        stack.push_async_callback(self._store.aclose)
        if self._work_of_group is not None:
            stack.push_async_callback(self._work_of_group.close)
            group = asyncio.create_task(self._run_group(self._work_of_group), name="sipqueue_async group")
            stack.push_async_callback(_cancelled, group)
        try:
            await self._read_for_ever()
        finally:
            await run_uncancelled(stack.aclose)

    def _end(self, error: BaseException | None) -> bool:
        is_the_end = super()._end(error)
        if is_the_end and error is not None:
            self._has_failed, self._last_trouble = True, error
        return is_the_end

    async def _run_group(self, work: GroupWork) -> None:
        try:
            await work.run()
        except Exception as error:  # noqa: BLE001  # whatever it is, the streams are to end with it
            self._end(error)
            # There is nothing left to read for.
            assert self._task is not None  # noqa: S101  # this runs within it
            self._task.cancel()

    async def _read_for_ever(self) -> None:
        backoff = Backoff()
        while True:
            try:
                if self._state.is_sure:
                    await self._look()
                    await self._follow()
                else:
                    await self._wait_for_a_confirmation()
                backoff.reset()
            except TransportError as error:
                self._failures += 1
                self._note(error, self._state.failed(error))
                await backoff.pause()

    async def _wait_for_a_confirmation(self) -> None:
        pause = _SOON
        while not self._state.is_sure:
            asked_at = _loop_time()
            head = await self._store.peek()
            self._state.observe(head, asked_at, is_whole=True)
            old = (await self._store.read()).state if self._state.lacks_the_old(head) else None
            self._note(None, self._state.peeked(head, old))
            if not self._state.is_sure:
                await asyncio.sleep(pause)
                # Two looks within two leases are needed to see a relay at work.
                pause = min(pause * 1.5, max(head.lease / 2, _SHORTEST), _LONGEST)

    async def _look(self) -> None:
        asked_at = _loop_time()
        reading = await self._store.read(self._state.entry)
        self._state.observe(reading.head, asked_at, is_whole=reading.state is not None)
        if reading.state is None:
            self._state.received(asked_at, found=bool(reading.entries), is_complete=len(reading.entries) < ENTRIES)
        # If they do not continue from here, following the stream finds that too.
        await self._take_what_follows(reading.entries)
        self._note(None, self._state.looked(reading))

    async def _follow(self) -> None:
        """Apply entries until there are none for a while, or the stream does not continue from here."""
        while self._state.entry and self._state.is_sure:
            quiet = min(max(self._state.lease / 2, _SHORTEST), _LONGEST, self._store.longest_wait)
            asked_at = _loop_time()
            entries = await self._store.follow(self._state.entry, quiet)
            self._state.received(asked_at, found=bool(entries), is_complete=len(entries) < ENTRIES)
            if not entries or not await self._take_what_follows(entries):
                return

    async def _take_what_follows(self, entries: Sequence[Entry]) -> bool:
        """Apply entries as long as each continues from the one before, and return whether all do."""
        for entry in entries:
            if entry.change.after != self._state.entry:
                return False
            self._note(None, self._state.took(entry))
            # There may be many at once: let a consumer that keeps up take each change by itself.
            await asyncio.sleep(0)
        return True

    def _note(self, error: Exception | None, update: Update | None) -> None:
        self._last_trouble = error or self._state.trouble or self._last_trouble
        if self._state.is_undecided:
            return
        if self._state.is_up:
            self._settle()
        if self._work_of_group is None:
            self._publish(update)
        elif update is not None:
            self._work_of_group.tell_news()
        self._call_listeners()

    def _deliver(self, update: Update) -> bool:
        """Give a part of the group's work to its stream, and tell whether anything of it was wanted."""
        before = self._fanout.pending
        self._publish(update)
        return self._fanout.pending > before


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
