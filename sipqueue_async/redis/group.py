"""A group's shared work: each change goes to one of its consumers, and is kept until that one has dealt with it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Final

import attrs

from sipqueue_async import SipQueueError, TransportError, Update
from sipqueue_async.redis.backoff import Backoff
from sipqueue_async.redis.publication import Change, with_feed
from sipqueue_async.redis.store import Store, Superseded

_log: Final = logging.getLogger("sipqueue_async")

_LOOK_AGAIN: Final = 1.0
"""Seconds after which a consumer looks for work that others have let go of."""


@attrs.frozen
class _InHand:
    entry: str
    taker: int
    """Which of the feed's streams, one after the other, it was given to."""


class GroupWork:
    """One consumer's part in the work of a group: takes the next when it is asked for, and so knows what is done.

    Args:
        store: Where the work is.
        group: The group.
        consumer: This consumer's name in it.
        claim: Seconds without a sign of life after which others may have what a consumer has taken.
        deliver: Gives an update to the consumer, and tells whether anything of it was wanted.
        is_listened_to: Tells whether the stream that is given the work is still there.
    """

    def __init__(
        self,
        store: Store,
        *,
        group: str,
        consumer: str,
        claim: float,
        deliver: Callable[[Update], bool],
        is_listened_to: Callable[[], bool],
    ) -> None:
        self._store = store
        self._group = group
        self._consumer = consumer
        self._claim = claim
        self._deliver = deliver
        self._is_listened_to = is_listened_to
        self._asked = asyncio.Event()
        self._news = asyncio.Event()
        self._taker = 0
        self._in_hand: _InHand | None = None
        # After a failure nobody knows whether something was taken; at the start an earlier process may have left some.
        self._is_unsure = True
        self._has_begun = False
        """Whether the group has."""
        # What is on its way to Redis for long may do harm after all has begun anew, so that it says what it belongs to.
        self._process = uuid.uuid4().hex
        self._attempts = 0

    def next_taker(self) -> Callable[[], None]:
        """Return what a new stream's consumer calls when it has dealt with all that it was given."""
        self._taker += 1
        taker = self._taker

        def asked() -> None:
            if taker == self._taker:
                self._asked.set()

        return asked

    def tell_news(self) -> None:
        """Take note that something was published."""
        self._news.set()

    async def run(self) -> None:
        """Hand out work for ever."""
        backoff = Backoff()
        while True:
            try:
                if self._is_unsure and self._in_hand is None:
                    await self._begin()
                if not self._has_begun and self._in_hand is None:
                    # Whoever asks later is to be told of what happens after the first publication.
                    await self._begin_with_news()
                elif await self._wait_to_be_asked():
                    await self._settle_hand()
                    await self._hand_out()
                backoff.reset()
            except TransportError as error:
                _log.debug("a group's work cannot be reached: %s", error)
                self._is_unsure = True
                await backoff.pause()
            except Superseded:
                _log.warning("consumer %r of group %r has begun elsewhere too, or anew", self._consumer, self._group)
                self._is_unsure = True
                await backoff.pause()

    async def _wait_to_be_asked(self) -> bool:
        """Return whether the consumer asks for work; until then, keep what it has from others."""
        try:
            async with asyncio.timeout(self._claim / 3):
                await self._asked.wait()
        except TimeoutError:
            if self._in_hand is not None and self._is_listened_to():
                await self._store.touch(self._group, self._in_hand.entry, self._claim)
            return False
        if not self._is_listened_to():
            # Whoever asked is gone.
            self._asked.clear()
            return False
        return True

    async def _settle_hand(self) -> None:
        """Put away what was taken before: as done, if whoever asks now had been given it."""
        if self._in_hand is not None and self._in_hand.taker == self._taker:
            await self.acknowledge()
        if self._in_hand is not None or self._is_unsure:
            await self._begin()

    async def _begin(self) -> None:
        """Begin anew: what was taken and is not done is anybody's."""
        self._attempts += 1
        self._has_begun = await self._store.begin(self._group, self._consumer, self._attempt)
        self._in_hand, self._is_unsure = None, False

    async def _begin_with_news(self) -> None:
        """Begin as soon as something was published."""
        await self._wait_for_news()
        self._news.clear()
        await self._begin()

    async def _wait_for_news(self) -> None:
        """Wait until something was published, or others may have let go of work."""
        try:
            async with asyncio.timeout(_LOOK_AGAIN):
                await self._news.wait()
        except TimeoutError:
            pass

    @property
    def _attempt(self) -> str:
        return f"{self._process} {self._attempts}"

    async def _hand_out(self) -> None:
        self._news.clear()
        entry = await self._store.take(self._group, self._consumer, self._attempt, self._claim)
        if entry is None:
            await self._wait_for_news()
            return
        self._asked.clear()
        was_wanted = self._deliver(_update(entry.change))
        if not self._is_listened_to():
            await self._begin()
            return
        self._in_hand = _InHand(entry.id, self._taker)
        if not was_wanted:
            self._asked.set()

    async def close(self) -> None:
        """Let others have what was not done, at once, if that can be said."""
        try:
            await self._store.leave(self._group, self._consumer, self._process)
            self._in_hand = None
        except SipQueueError as error:
            _log.debug("a group's work could not be given back: %s", error)

    async def acknowledge(self) -> None:
        """Say that what was handed out last is done, without asking for more."""
        done = self._in_hand
        if done is not None:
            await self._store.done(self._group, done.entry)
            # Only now: what could not be said is said again. Meanwhile the next may have been asked for.
            self._in_hand = None if self._in_hand is done else self._in_hand


def _update(change: Change) -> Update:
    return Update(
        sequence=change.sequence,
        snapshot=change.after_snapshot,
        previous=change.before_snapshot,
        events=with_feed(change.feed, change.seat_events),
        coalesced=change.coalesced,
    )
