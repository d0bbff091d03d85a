"""A relay's time of leading: every publication is the difference from what was published last."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Final

import attrs

from sipqueue_async import (
    FeedDown,
    FeedEvent,
    FeedUp,
    Snapshot,
    StatusWatcher,
    TransportError,
    Update,
    Updates,
    diff,
)
from sipqueue_async.redis.backoff import Backoff
from sipqueue_async.redis.publication import words
from sipqueue_async.redis.store import Answer, State, Store

_log: Final = logging.getLogger("sipqueue_async")


class LeadershipLost(Exception):  # noqa: N818  # an outcome, which the relay handles
    """Another relay leads, or has led meanwhile."""


@attrs.frozen(kw_only=True)
class Limits:
    """How long a lead lasts by itself, and what is kept for readers who are behind."""

    lease: float
    max_entries: int
    max_age: timedelta


class Term:
    """Publishes what a watcher tells for as long as nobody else leads.

    When Redis was away, and when it has lost what was published last, this asks what is published now and goes on from
    there; it leads on with the same watcher unless somebody else has published meanwhile, who may know better.

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
        """Whether what is published has to be asked for first."""

    @property
    def number(self) -> int:
        """How many times there has been a lead, this one included."""
        return int(self.lock.split(" ")[0])

    async def begin(self) -> State:
        """Return what is published, to go on from."""
        self.published = await self._read()
        self._feed = self.published.feed
        return self.published

    async def run(self, watcher: StatusWatcher) -> None:
        """Publish for ever.

        Raises:
            LeadershipLost: Somebody else leads.
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
                    # Nobody can be told of it; this raises it.
                    await watcher.ready()
                _log.log(logging.DEBUG if self._was_away else logging.WARNING, "the relay cannot publish: %s", error)
                self._was_away = True
                await backoff.pause()

    async def _next(self, updates: Updates, watcher: StatusWatcher) -> Update | None:
        """Return the watcher's next update, or None when it is time to say that all is as it was."""
        if self._was_away:
            # Not the watcher's end: what led to it has to be published first.
            return updates.get_nowait()
        # Until the first poll has ended there is nothing to confirm; soon after it, there is.
        period = self._limits.lease / (3 if watcher.health.polls else 20)
        time = asyncio.timeout(period)
        try:
            async with time:
                return await anext(updates)
        except TimeoutError:
            if not time.expired():
                # It is what ended the watcher.
                raise
            return updates.get_nowait()

    async def _step(self, watcher: StatusWatcher, update: Update | None) -> None:
        if update is not None:
            self._known = update.snapshot
            self._feed = next((it for it in update.events if isinstance(it, FeedDown | FeedUp)), self._feed)
        elif self._known is None and watcher.health.last_good_at is not None:
            # No update tells of a first poll that found nobody.
            self._known = watcher.snapshot
        self._notice_recovery(watcher)
        was_away = self._was_away
        if was_away:
            await self._find_out()
        if update is not None or was_away or self._feed_turned() or self._is_first():
            answer = await self._publish(watcher, coalesced=was_away or (update is not None and update.coalesced))
        else:
            is_current = self.published.sequence > 0 and _has_an_answer(watcher)
            answer = await self._store.renew(
                self.lock, self.published.sequence, self._limits.lease, seen=_seen(watcher), is_current=is_current
            )
        self._was_away = answer is not Answer.OK

    def _notice_recovery(self, watcher: StatusWatcher) -> None:
        """Say that the platform is back, where it was away for an earlier relay: this watcher knows nothing of that."""
        snapshot = watcher.snapshot
        if watcher.health.up and isinstance(self._feed, FeedDown) and snapshot is not None:
            since = self._feed.since or snapshot.observed_at
            outage = max(timedelta(0), snapshot.observed_at - since)
            self._feed = FeedUp(observed_at=snapshot.observed_at, outage=outage, failures=1)

    def _feed_turned(self) -> bool:
        """Tell whether the feed's condition is another one than is published."""
        return isinstance(self._feed, FeedDown) != isinstance(self.published.feed, FeedDown)

    def _is_first(self) -> bool:
        """Tell whether something is known now, be it that nobody is there, and nothing is published."""
        return self._known is not None and self.published.snapshot is None

    async def _publish(self, watcher: StatusWatcher, *, coalesced: bool) -> Answer:
        """Publish the difference from what is published, if there is one."""
        before = self.published
        after = before.snapshot if self._known is None else self._known
        changes = () if after is None else diff(before.snapshot, after)
        feed = self._feed if self._feed_turned() else None
        if not changes and feed is None and not self._is_first():
            return Answer.OK
        said = words(sequence=before.sequence + 1, snapshot=after, feed=feed, changes=changes, coalesced=coalesced)
        answer = await self._store.publish(
            self.lock,
            said,
            sequence=before.sequence,
            lease=self._limits.lease,
            seen=_seen(watcher),
            feed=feed or before.feed,
            max_entries=self._limits.max_entries,
            max_age=self._limits.max_age,
        )
        if answer is Answer.OK:
            self.published = State(
                entry="", sequence=before.sequence + 1, lock=self.lock, snapshot=after, feed=feed or before.feed
            )
        return answer

    async def _find_out(self) -> None:
        """Ask what is published, and take the lead again if it was lost for want of a word.

        Raises:
            LeadershipLost: Another relay leads, or has published meanwhile.
        """
        answer = await self._store.renew(self.lock, -1, self._limits.lease, seen="", is_current=False)
        lock = self.lock
        if answer is Answer.NOT_LEADER:
            taken = await self._store.acquire(self._owner, self._limits.lease)
            if taken is None:
                raise LeadershipLost("another one leads")
            lock = taken
        published = await self._read()
        # Not by the number of a lead: a Redis that has lost them counts anew. With nothing published at all,
        # nobody knows better.
        is_as_it_was = (published.lock, published.sequence) == (self.published.lock, self.published.sequence)
        if published.lock not in {"", self.lock} and not is_as_it_was:
            raise LeadershipLost("another one has led meanwhile")
        # Only now: as long as nobody has looked, what was published last is from under the lock before.
        self.published, self.lock = published, lock

    async def _read(self) -> State:
        state = (await self._store.read()).state
        assert state is not None  # noqa: S101  # everything was asked for
        return state


def _has_an_answer(watcher: StatusWatcher) -> bool:
    """Tell whether a watcher knows how things are, or that the platform is away; a stale answer tells neither."""
    return watcher.health.last_good_at is not None or watcher.health.failures > 0


def _seen(watcher: StatusWatcher) -> str:
    seen = watcher.health.last_good_at
    return "" if seen is None else seen.isoformat()
