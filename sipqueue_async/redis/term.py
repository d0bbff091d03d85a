"""A relay's term as the leader: each publication is the difference from the last published snapshot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import attrs

from sipqueue_async import (
    AgentStatus,
    FeedDown,
    FeedEvent,
    FeedUp,
    SeatKey,
    SipQueueError,
    Snapshot,
    StatusWatcher,
    TransportError,
    Update,
    Updates,
    diff,
)
from sipqueue_async.redis.backoff import Backoff
from sipqueue_async.redis.publication import publication
from sipqueue_async.redis.store import Answer, State, Store

_log: Final = logging.getLogger("sipqueue_async")

_CONFIRMED_EVERY: Final = 0.5
"""The most seconds between two confirmations. A new reader waits for one before it trusts the data in Redis."""


class LeadershipLost(Exception):  # noqa: N818  # an outcome, which the relay handles
    """Another relay leads, or has led since this one published last."""


@attrs.frozen(kw_only=True)
class Limits:
    """How long a leader may be silent, and which entries Redis keeps for readers that are behind."""

    lease: float
    """Seconds."""
    max_entries: int
    max_age: timedelta


class Term:
    """Publishes a watcher's updates until another relay leads.

    After Redis was away or has lost the last publication, the term reads the published state and continues from there.
    If another relay has published in the meantime, the term ends: that relay may know more recent changes.

    The data in Redis may be old, so a term confirms it only after a good poll of its own.

    Args:
        store: The Redis keys to publish to.
        owner: This relay's id.
        lock: The lock that this relay has taken.
        limits: The lease, and the limits of the stream.
    """

    def __init__(self, store: Store, owner: str, lock: str, limits: Limits) -> None:
        self.lock = lock
        self._store = store
        self._owner = owner
        self._limits = limits
        self.published = State(entry="", sequence=0, lock="", snapshot=None, feed=None)
        self._known: Snapshot | None = None
        self._after_reset: Snapshot | None = None
        """The snapshot just after a reset of counters, which readers need in order to count the calls since."""
        self._feed: FeedEvent | None = None
        self._was_away = False
        """Whether Redis was away, so that the published state must be read before the next publication."""

    @property
    def number(self) -> int:
        """The term's number; terms count from 1."""
        return int(self.lock.split(" ")[0])

    async def begin(self) -> State:
        """Read the published state, to continue from it."""
        self.published = await self._read()
        self._feed = self.published.feed
        return self.published

    async def run(self, watcher: StatusWatcher) -> None:
        """Publish the watcher's updates until an error ends the term.

        Raises:
            LeadershipLost: Another relay leads.
            RelayError: Redis refuses.
            BaseException: The error that ended the watcher. Readers received it as `FeedDown` before.
        """
        updates = watcher.updates(max_pending=1)
        backoff = Backoff()
        while True:
            update = await self._next(updates, watcher)
            try:
                await self._step(watcher, update)
                backoff.reset()
            except TransportError as error:
                if watcher.health.ended:
                    # No reader can be told, so raise the error here.
                    await watcher.ready()
                _log.log(logging.DEBUG if self._was_away else logging.WARNING, "the relay cannot publish: %s", error)
                self._was_away = True
                await backoff.pause()

    async def _next(self, updates: Updates, watcher: StatusWatcher) -> Update | None:
        """Return the watcher's next update, or None when it is time to renew the lock."""
        if self._was_away:
            # Not `anext`: it would raise the error that ended the watcher before that error is published.
            return updates.get_nowait()
        # Renew more often until the first poll has ended, so that readers soon get the first confirmation.
        period = min(self._limits.lease / (3 if watcher.health.polls else 20), _CONFIRMED_EVERY)
        time = asyncio.timeout(period)
        try:
            async with time:
                return await anext(updates)
        except TimeoutError:
            if not time.expired():
                # The watcher ended with a TimeoutError of its source.
                raise
            return updates.get_nowait()

    async def _step(self, watcher: StatusWatcher, update: Update | None) -> None:
        if update is not None:
            self._learn_of_counters(update.previous)
            self._known = update.snapshot
            self._after_reset = _after_reset(update) or self._after_reset
            turns = [event for event in update.events if isinstance(event, FeedDown | FeedUp)]
            self._feed = turns[-1] if turns else self._feed
        elif watcher.health.last_good_at is not None:
            # A first poll without changes against the baseline yields no update.
            self._known = watcher.snapshot
        self._notice_recovery(watcher)
        was_away = self._was_away
        if was_away:
            await self._find_out()
        if update is not None or was_away or self._feed_turned() or self._is_first():
            answer = await self._publish(watcher, coalesced=was_away or (update is not None and update.coalesced))
        else:
            answer = await self._renew(watcher)
        self._was_away = answer is not Answer.OK

    async def _renew(self, watcher: StatusWatcher) -> Answer:
        return await self._store.renew(
            self.lock,
            self.published.sequence,
            self._limits.lease,
            seen=_seen(watcher),
            confirms=self.published.sequence > 0 and _has_polled(watcher),
        )

    def _learn_of_counters(self, previous: Snapshot | None) -> None:
        """Continue from the watcher's snapshot if it has the published records, but knows more counters.

        A counter that turns out to be 0 changes no record, so the published problems still say that it is unknown.
        """
        published = self.published.snapshot
        if previous is None or published is None or previous.problems == published.problems:
            return
        if previous == published:
            self.published = attrs.evolve(self.published, snapshot=previous)

    def _notice_recovery(self, watcher: StatusWatcher) -> None:
        """Make a `FeedUp` after an outage that began under an earlier relay: this watcher has not seen it begin."""
        snapshot = watcher.snapshot
        if watcher.health.up and isinstance(self._feed, FeedDown) and snapshot is not None:
            since = self._feed.since or snapshot.observed_at
            outage = max(timedelta(0), snapshot.observed_at - since)
            self._feed = FeedUp(observed_at=snapshot.observed_at, outage=outage, failures=1)

    def _feed_turned(self) -> bool:
        """Return whether the feed's condition differs from the published one."""
        return isinstance(self._feed, FeedDown) != isinstance(self.published.feed, FeedDown)

    def _is_first(self) -> bool:
        """Return whether the first snapshot, which may be empty, is still to be published."""
        return self._known is not None and self.published.snapshot is None

    async def _publish(self, watcher: StatusWatcher, *, coalesced: bool) -> Answer:
        """Publish the difference from the published state, if there is any; in two steps over a reset of counters."""
        answer = Answer.OK
        if self._after_reset is not None:
            answer = await self._publish_step(watcher, self._after_reset, coalesced=coalesced)
        if answer is Answer.OK:
            self._after_reset = None
            answer = await self._publish_step(watcher, self._known, coalesced=coalesced)
        return answer

    async def _publish_step(self, watcher: StatusWatcher, known: Snapshot | None, *, coalesced: bool) -> Answer:
        before = self.published
        after = before.snapshot if known is None else known
        changes = () if after is None else diff(before.snapshot, after)
        feed = self._feed if self._feed_turned() else None
        if not changes and feed is None and not self._is_first():
            return Answer.OK
        payload = publication(
            sequence=before.sequence + 1,
            previous=before.snapshot,
            snapshot=after,
            feed=feed,
            changes=changes,
            coalesced=coalesced,
        )
        async with self._renewing():
            answer = await self._store.publish(
                self.lock,
                payload,
                sequence=before.sequence,
                lease=self._limits.lease,
                seen=_seen(watcher),
                confirms=_has_polled(watcher),
                feed=feed or before.feed,
                max_entries=self._limits.max_entries,
                max_age=self._limits.max_age,
            )
        if answer is Answer.OK:
            self.published = State(
                entry="", sequence=before.sequence + 1, lock=self.lock, snapshot=after, feed=feed or before.feed
            )
        return answer

    @asynccontextmanager
    async def _renewing(self) -> AsyncGenerator[None]:
        """Renew the lock over a second connection inside the block: a large publication may take long to send."""
        task = asyncio.create_task(self._renew_for_ever(self.published.sequence), name="sipqueue_async lock")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _renew_for_ever(self, sequence: int) -> None:
        while True:
            await asyncio.sleep(self._limits.lease / 3)
            try:
                await self._store.renew(self.lock, sequence, self._limits.lease)
            except SipQueueError as error:  # pragma: no cover  # Redis fails during one publication
                _log.debug("the lock cannot be renewed: %s", error)

    async def _find_out(self) -> None:
        """Read the published state, and take the lock again if Redis has lost it.

        Raises:
            LeadershipLost: Another relay leads, or has published in the meantime.
        """
        answer = await self._store.renew(self.lock, -1, self._limits.lease)
        lock = self.lock
        if answer is Answer.NOT_LEADER:
            taken = await self._store.acquire(self._owner)
            if not taken.is_of(self._owner):
                raise LeadershipLost("another relay leads")
            lock = taken.lock
        published = await self._read()
        # Compare whole locks, not only term numbers: a Redis that lost its data counts terms from 1 again. If nothing
        # is published at all, no other relay has led.
        is_unchanged = (published.lock, published.sequence) == (self.published.lock, self.published.sequence)
        if published.lock not in {"", self.lock} and not is_unchanged:
            raise LeadershipLost("another relay has led in the meantime")
        # Replace the lock last: the comparison above needs the previous one.
        self.published, self.lock = published, lock

    async def _read(self) -> State:
        state = (await self._store.read()).state
        assert state is not None  # noqa: S101  # a request without an entry returns the whole state
        return state


def _after_reset(update: Update) -> Snapshot | None:
    """Return the snapshot between an update's two, if it has events of two steps for a seat: a reset came between."""
    before, after = update.previous, update.snapshot
    if before is None or after is None:
        return None
    between: dict[SeatKey, AgentStatus | None] = {
        event.key: event.previous
        for event in update.events
        if not isinstance(event, FeedDown | FeedUp) and event.previous is not before.get(event.key)
    }
    if not between:
        return None
    return after.with_changes(
        between,
        observed_at=after.observed_at,
        server_time=after.server_time,
        problems=after.problems,
        steady_at=after.steady_at,
    )


def _has_polled(watcher: StatusWatcher) -> bool:
    """Return whether the watcher has had a good poll: only then may the relay confirm the published state."""
    return watcher.health.last_good_at is not None


def _seen(watcher: StatusWatcher) -> str:
    seen = watcher.health.last_good_at
    return "" if seen is None else seen.isoformat()
