"""`RedisFeed`: a feed of what a relay publishes, with the interface of a local `StatusWatcher`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

import attrs
from redis.asyncio import Redis, RedisCluster

from sipqueue_async import Feed, SeatFilter, Snapshot, TransportError, Update
from sipqueue_async._arguments import check_above_zero
from sipqueue_async._closing import run_uncancelled
from sipqueue_async._json_lines import FORMAT_VERSION
from sipqueue_async._replay import Past, Place
from sipqueue_async.redis.backoff import Backoff
from sipqueue_async.redis.group import GroupWork
from sipqueue_async.redis.past import Rewind
from sipqueue_async.redis.reader_state import ReaderState
from sipqueue_async.redis.store import ENTRIES, TIMEOUT, Entry, Store

_log: Final = logging.getLogger("sipqueue_async")

_SOON: Final = 0.1
"""Seconds before the second request, while a reader waits for a relay to confirm the data in Redis."""
_SHORTEST: Final = 0.25
_LONGEST: Final = 5.0
"""After half a lease without entries a reader checks whether a relay is alive. These limit that time, in seconds."""


@attrs.frozen(kw_only=True)
class RedisFeedHealth:
    """A reader's condition."""

    up: bool | None = None
    """Whether `snapshot` is up to date; None before the first answer from Redis."""
    ended: bool = False
    """Whether the feed has ended, so that no further event comes."""
    sequence: int = 0
    """The number of the last publication that this reader applied."""
    resyncs: int = 0
    """How often entries were missing from the stream, so that the reader compared whole snapshots instead."""
    failures: int = 0
    """Failed requests to Redis since the start."""
    last_error: BaseException | None = None
    """The last error of Redis, the relay or the platform; kept after the feed has recovered."""
    last_good_at: datetime | None = None
    """The time of the relay's last good poll that this reader knows of."""


class RedisFeed(Feed):
    """The events and updates that a relay publishes. Any number of processes can read one relay.

    A reader starts from the present snapshot and continues with each change, without a gap or an overlap. `FeedDown`
    means that the status is unknown: the platform, every relay or Redis is away. A reader that was away for so long
    that Redis has dropped entries gets one update, the difference from the snapshot it saw last.

    With a `group`, the feed has one stream, which receives a share of the changes: each change goes to one consumer of
    the group. The consumer acknowledges it by asking for the next one or with `acknowledge`; otherwise another
    consumer gets it. The snapshots of these updates contain only the seats that changed; `snapshot` and `ready` work as
    without a group. Only one task may read the stream. Its feed events report what the relay published; whether Redis
    and a relay are reachable is in `health`.

    The snapshot's `observed_at` is the time of the last change. `health.last_good_at` is the time of the last poll.

    Args:
        redis: A Redis URL (``rediss://`` for TLS), or a `Redis` (Sentinel's too) or `RedisCluster` of `redis.asyncio`,
            which the caller closes.
        prefix: The relay's prefix.
        baseline: The snapshot that the first one is compared with, to resume where an earlier reader ended.
        initial: Without a baseline, whether the first snapshot yields an `AgentJoined` for each seat.
        queues: Only these of the queues that the relay watches.
        extensions: Only these of the extensions that the relay watches.
        group: The group that shares the work.
        consumer: This consumer's name, unique in the group. Changes that an earlier consumer of this name did not
            acknowledge are handed out again at once.
        claim_after: Seconds without a sign of life after which another consumer gets this one's change.
        timeout: Seconds without a byte sent or received after which Redis counts as away. With a client of the caller,
            the limit for a whole answer.

    Raises:
        TypeError: `redis` is neither a URL nor such a client.
        ValueError: An argument is invalid.
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
            raise ValueError("give both group and consumer, or neither; their names must not be empty")
        if group is not None and (initial or baseline is not None):
            raise ValueError("a group resumes by itself: initial and baseline are for readers without a group")
        seats = SeatFilter(queues, extensions)
        if group is not None and not seats.is_all:
            raise ValueError("queues and extensions are for readers without a group: filter with subscribe() instead")
        check_above_zero("claim_after", claim_after)
        self._store = Store(redis, prefix, timeout)
        self._seats = seats
        self._tag = _tag(prefix, seats)
        self._state = ReaderState(baseline, initial=initial, clock=_loop_time, seats=seats)
        if self._state.snapshot is not None:
            self._state_times.begin(self._state.snapshot.observed_at, watched=False)
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
        """The last known snapshot; before the first, the baseline."""
        return self._state.snapshot

    @property
    def health(self) -> RedisFeedHealth:
        """The reader's present condition."""
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
        """Whether the feed belongs to a group, so that other consumers receive a part of the changes."""
        return self._work_of_group is not None

    @property
    def place(self) -> Place | None:
        """How far the feed has read the relay's publications, by a name that all readers of the relay share.

        None for a feed with a group, and while the snapshot is not the published one: before the first answer, and
        while records are kept out that are older than the known ones.
        """
        state = self._state
        if self._work_of_group is not None or not state.is_as_published:
            return None
        return Place(f"{self._tag}-{state.entry}", state.is_exact)

    async def replay(self, name: str, snapshot: Snapshot, *, is_down: bool, most: int, most_events: int) -> Past | None:
        """Return the publications up to a place, as far as Redis still has them; None if there are none.

        Args:
            name: The name of a `place` of this feed.
            snapshot: The snapshot there.
            is_down: Whether the feed was down there.
            most: How many publications to return at most.
            most_events: How many events to return at most.

        Raises:
            TransportError: Redis is away.
            RelayError: Redis refuses, or the stream is damaged.
        """
        limits = {"most": most, "most_events": most_events}
        rewind = Rewind(name.removeprefix(f"{self._tag}-"), snapshot, self._seats, **limits)
        while not rewind.is_done:
            rewind.take(await self._store.back(rewind.wanted))
        return rewind.past(self._tag, is_down=is_down)

    async def acknowledge(self) -> None:
        """Acknowledge the last update that the group's stream handed out, without asking for the next.

        An update that the stream has not handed out yet is not acknowledged.

        Raises:
            RuntimeError: The feed has no group.
            TransportError: Redis is away; the update is not acknowledged.
            RelayError: Redis refuses.
        """
        if self._work_of_group is None:
            raise RuntimeError("this feed has no group: only updates of a group are acknowledged")
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
            raise RuntimeError("a feed with a group has one stream: close the other one first, or make another feed")
        return work.new_stream()

    # ---- reading -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        stack = AsyncExitStack()
        stack.push_async_callback(self._store.aclose)
        if self._work_of_group is not None:
            stack.push_async_callback(self._work_of_group.close)
            group = asyncio.create_task(self._run_group(self._work_of_group), name="sipqueue_async group")
            stack.push_async_callback(_cancel, group)
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
        except Exception as error:  # noqa: BLE001  # any error ends the streams, which raise it
            self._end(error)
            # No stream is left, so stop reading.
            assert self._task is not None  # noqa: S101  # the task that runs this
            self._task.cancel()

    async def _read_for_ever(self) -> None:
        backoff = Backoff()
        while True:
            try:
                if self._state.is_sure:
                    await self._read_once()
                    await self._follow()
                else:
                    await self._wait_for_a_confirmation()
                backoff.reset()
            except TransportError as error:
                self._failures += 1
                self._note(error, self._state.on_failure(error))
                await backoff.pause()

    async def _wait_for_a_confirmation(self) -> None:
        pause = _SOON
        while not self._state.is_sure:
            asked_at = _loop_time()
            head = await self._store.peek()
            self._state.observe(head, asked_at, is_whole=True)
            stale = (await self._store.read()).state if self._state.needs_stale_state(head) else None
            self._note(None, self._state.on_peek(head, stale))
            if not self._state.is_sure:
                await asyncio.sleep(pause)
                # A confirmation shows as a difference between two answers within two leases.
                pause = min(pause * 1.5, max(head.lease / 2, _SHORTEST), _LONGEST)

    async def _read_once(self) -> None:
        asked_at = _loop_time()
        reading = await self._store.read(self._state.entry)
        self._state.observe(reading.head, asked_at, is_whole=reading.state is not None)
        if reading.state is None:
            self._state.on_entries(asked_at, found=bool(reading.entries), is_complete=len(reading.entries) < ENTRIES)
        # If an entry does not continue from the one before, `_follow` finds that too.
        await self._take_what_follows(reading.entries)
        self._note(None, self._state.on_reading(reading))

    async def _follow(self) -> None:
        """Apply entries until none comes for half a lease, or an entry is missing."""
        while self._state.entry and self._state.is_sure:
            quiet = min(max(self._state.lease / 2, _SHORTEST), _LONGEST, self._store.longest_wait)
            asked_at = _loop_time()
            entries = await self._store.follow(self._state.entry, quiet)
            self._state.on_entries(asked_at, found=bool(entries), is_complete=len(entries) < ENTRIES)
            if not entries or not await self._take_what_follows(entries):
                return

    async def _take_what_follows(self, entries: Sequence[Entry]) -> bool:
        """Apply entries until one does not continue from the one before. Return whether all did."""
        for entry in entries:
            if entry.change.after != self._state.entry:
                return False
            self._note(None, self._state.on_entry(entry))
            # Let consumers run between entries, so that fast ones get each change as an update of its own.
            await asyncio.sleep(0)
        return True

    def _note(self, error: Exception | None, update: Update | None) -> None:
        self._last_trouble = error or self._state.trouble or self._last_trouble
        if self._state.is_undecided:
            return
        if self._state.is_up:
            self._settle()
        self._note_states(update)
        if self._work_of_group is None:
            self._publish(update)
        elif update is not None:
            self._work_of_group.notify_published()
        self._call_listeners()

    def _deliver(self, update: Update) -> bool:
        """Put an entry of the group into its stream. Return whether the stream's filter passed any of it."""
        before = self._fanout.pending
        self._publish(update)
        return self._fanout.pending > before


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _tag(prefix: str, seats: SeatFilter) -> str:
    """Return what the names of places begin with, so that a reader of other seats does not take them for its own."""
    given = [FORMAT_VERSION, prefix, *(None if it is None else sorted(it) for it in (seats.queues, seats.extensions))]
    return hashlib.blake2b(json.dumps(given).encode(), digest_size=4).hexdigest()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
