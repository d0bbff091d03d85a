"""A relay's term as the leader: every publication is the difference from what was published last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import attrs

from sipqueue_async import (
    FeedDown,
    FeedEvent,
    FeedUp,
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
"""The most seconds between two confirmations: a new reader waits for one before it believes what Redis holds."""


class LeadershipLost(Exception):  # noqa: N818  # an outcome, which the relay handles
    """Another relay leads, or has led in the meantime."""


@attrs.frozen(kw_only=True)
class Limits:
    """How long a leader may be silent, and what is kept for readers that are behind."""

    lease: float
    max_entries: int
    max_age: timedelta


class Term:
    """Publishes a watcher's updates until another relay leads.

    After Redis was away, or has lost the last publication, this reads what is published now and continues from there;
    it goes on with the same watcher unless another relay has published meanwhile, which may know better.

    What Redis holds may be old, so a term confirms it only after a good poll of its own.

    Args:
        store: Where to publish.
        owner: This relay's name.
        lock: The lock that was taken.
        limits: See there.
    """

    def __init__(self, store: Store, owner: str, lock: str, limits: Limits) -> None:
        self.lock = lock
        self._store = store
        self._owner = owner
        self._limits = limits
        self.published = State(entry="", sequence=0, lock="", snapshot=None, feed=None)
        self._known: Snapshot | None = None
        self._feed: FeedEvent | None = None
        self._was_away = False
        """Whether what is published has to be read first."""

    @property
    def number(self) -> int:
        """The number of the term: how many there have been, this one included."""
        return int(self.lock.split(" ")[0])

    async def begin(self) -> State:
        """Return what is published, to continue from."""
        self.published = await self._read()
        self._feed = self.published.feed
        return self.published

    async def run(self, watcher: StatusWatcher) -> None:
        """Publish for ever.

        Raises:
            LeadershipLost: Another relay leads.
            RelayError: Redis refuses.
            BaseException: What ended the watcher; it was published as `FeedDown` before.
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
            # Not `anext`, which would raise the watcher's end: what led to it has to be published first.
            return updates.get_nowait()
        # Nothing can be confirmed until the first poll has ended, and then it should be soon.
        period = min(self._limits.lease / (3 if watcher.health.polls else 20), _CONFIRMED_EVERY)
        time = asyncio.timeout(period)
        try:
            async with time:
                return await anext(updates)
        except TimeoutError:
            if not time.expired():
                # A TimeoutError that ended the watcher.
                raise
            return updates.get_nowait()

    async def _step(self, watcher: StatusWatcher, update: Update | None) -> None:
        if update is not None:
            self._known = update.snapshot
            turns = [event for event in update.events if isinstance(event, FeedDown | FeedUp)]
            self._feed = turns[-1] if turns else self._feed
        elif watcher.health.last_good_at is not None:
            # A first poll that finds nothing changed is no update.
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

    def _notice_recovery(self, watcher: StatusWatcher) -> None:
        """Publish `FeedUp` after an outage that began under an earlier relay, of which this watcher knows nothing."""
        snapshot = watcher.snapshot
        if watcher.health.up and isinstance(self._feed, FeedDown) and snapshot is not None:
            since = self._feed.since or snapshot.observed_at
            outage = max(timedelta(0), snapshot.observed_at - since)
            self._feed = FeedUp(observed_at=snapshot.observed_at, outage=outage, failures=1)

    def _feed_turned(self) -> bool:
        """Return whether the feed's condition differs from the published one."""
        return isinstance(self._feed, FeedDown) != isinstance(self.published.feed, FeedDown)

    def _is_first(self) -> bool:
        """Return whether there is a first snapshot to publish, even an empty one."""
        return self._known is not None and self.published.snapshot is None

    async def _publish(self, watcher: StatusWatcher, *, coalesced: bool) -> Answer:
        """Publish the difference from what is published, if there is any."""
        before = self.published
        after = before.snapshot if self._known is None else self._known
        changes = () if after is None else diff(before.snapshot, after)
        feed = self._feed if self._feed_turned() else None
        if not changes and feed is None and not self._is_first():
            return Answer.OK
        payload = publication(
            sequence=before.sequence + 1, snapshot=after, feed=feed, changes=changes, coalesced=coalesced
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
        """Keep the lock, over another connection, while a large publication crosses a slow line."""
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
            except SipQueueError as error:
                _log.debug("the lock cannot be renewed: %s", error)

    async def _find_out(self) -> None:
        """Read what is published, and take the lock again if Redis has lost it.

        Raises:
            LeadershipLost: Another relay leads, or has published meanwhile.
        """
        answer = await self._store.renew(self.lock, -1, self._limits.lease)
        lock = self.lock
        if answer is Answer.NOT_LEADER:
            taken = await self._store.acquire(self._owner)
            if not taken.is_of(self._owner):
                raise LeadershipLost("another one leads")
            lock = taken.lock
        published = await self._read()
        # Compare whole locks, not only numbers: a Redis that lost its data counts terms from 1 again. If nothing is
        # published at all, no relay knows better.
        is_unchanged = (published.lock, published.sequence) == (self.published.lock, self.published.sequence)
        if published.lock not in {"", self.lock} and not is_unchanged:
            raise LeadershipLost("another one has led meanwhile")
        # Only now: until this was read, the last publication carries the previous lock.
        self.published, self.lock = published, lock

    async def _read(self) -> State:
        state = (await self._store.read()).state
        assert state is not None  # noqa: S101  # everything was asked for
        return state


def _has_polled(watcher: StatusWatcher) -> bool:
    """Return whether a watcher has had a good poll, so that it can confirm what is published."""
    return watcher.health.last_good_at is not None


def _seen(watcher: StatusWatcher) -> str:
    seen = watcher.health.last_good_at
    return "" if seen is None else seen.isoformat()
