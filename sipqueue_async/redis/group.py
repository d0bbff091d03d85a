"""Consumer groups: each change goes to one consumer of the group, and is kept until that consumer acknowledges it."""

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

_RECHECK_EVERY: Final = 1.0
"""Seconds between two checks for entries whose claim by another consumer has expired."""


@attrs.frozen
class _Claimed:
    """The entry that this consumer works on."""

    entry: str
    stream: int
    """The number of the stream that received it."""


class GroupWork:
    """One consumer's share of a group's entries.

    It claims the next entry only when its stream asks for one, and acknowledges the one before.

    Args:
        store: The Redis keys of the relay and of the group.
        group: The group's name.
        consumer: This consumer's name, unique in the group.
        claim: Seconds without a sign of life after which another consumer may claim this one's entry.
        deliver: Puts an update into the stream; returns whether the stream's filter passed any of it.
        is_listened_to: Returns whether the stream is still open.
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
        self._published = asyncio.Event()
        self._stream = 0
        self._claimed: _Claimed | None = None
        # Redis may hold claims that this object does not know: of an earlier process, or after a lost answer.
        self._must_restart = True
        self._group_exists = False
        # Each request names its process and attempt, so that Redis can ignore one that arrives after a later attempt.
        self._process = uuid.uuid4().hex
        self._attempts = 0

    def new_stream(self) -> Callable[[], None]:
        """Register a new stream. It calls the returned function when its consumer asks for the next entry."""
        self._stream += 1
        stream = self._stream

        def asked() -> None:
            if stream == self._stream:
                self._asked.set()

        return asked

    def notify_published(self) -> None:
        """Wake the consumer, because the relay has published something."""
        self._published.set()

    async def run(self) -> None:
        """Hand out entries until cancelled."""
        backoff = Backoff()
        while True:
            try:
                if self._must_restart and self._claimed is None:
                    await self._restart()
                if not self._group_exists and self._claimed is None:
                    # A group starts at the first publication, before its consumers ask for anything.
                    await self._restart_once_published()
                elif await self._wait_to_be_asked():
                    await self._finish_claimed()
                    await self._hand_out()
                backoff.reset()
            except TransportError as error:
                _log.debug("a group's work cannot be reached: %s", error)
                self._must_restart = True
                await backoff.pause()
            except Superseded:
                _log.warning(
                    "consumer %r of group %r has started again, here or in another process: give each process its own "
                    "consumer name",
                    self._consumer,
                    self._group,
                )
                self._must_restart = True
                await backoff.pause()

    async def _wait_to_be_asked(self) -> bool:
        """Wait up to a third of `claim` for the stream to ask. Return whether it did; if not, extend the claim."""
        try:
            async with asyncio.timeout(self._claim / 3):
                await self._asked.wait()
        except TimeoutError:
            if self._claimed is not None and self._is_listened_to():
                await self._store.touch(self._group, self._claimed.entry, self._claim)
            return False
        if not self._is_listened_to():
            # The stream that asked has been closed.
            self._asked.clear()
            return False
        return True

    async def _finish_claimed(self) -> None:
        """Acknowledge the claimed entry if the present stream received it; release it if an earlier stream did."""
        if self._claimed is not None and self._claimed.stream == self._stream:
            await self.acknowledge()
        if self._claimed is not None or self._must_restart:
            await self._restart()

    async def _restart(self) -> None:
        """Start a new attempt: unacknowledged entries of earlier attempts become available to every consumer."""
        self._attempts += 1
        self._group_exists = await self._store.begin(self._group, self._consumer, self._attempt)
        self._claimed, self._must_restart = None, False

    async def _restart_once_published(self) -> None:
        await self._wait_for_publication()
        self._published.clear()
        await self._restart()

    async def _wait_for_publication(self) -> None:
        """Wait for a publication, or until it is time to check for expired claims."""
        try:
            async with asyncio.timeout(_RECHECK_EVERY):
                await self._published.wait()
        except TimeoutError:
            pass

    @property
    def _attempt(self) -> str:
        return f"{self._process} {self._attempts}"

    async def _hand_out(self) -> None:
        self._published.clear()
        entry = await self._store.take(self._group, self._consumer, self._attempt, self._claim)
        if entry is None:
            await self._wait_for_publication()
            return
        self._asked.clear()
        was_wanted = self._deliver(_update(entry.change))
        if not self._is_listened_to():
            await self._restart()
            return
        self._claimed = _Claimed(entry.id, self._stream)
        if not was_wanted:
            self._asked.set()

    async def close(self) -> None:
        """Release the claimed entry, so that another consumer gets it at once. A failure is only logged."""
        try:
            await self._store.leave(self._group, self._consumer, self._process)
            self._claimed = None
        except SipQueueError as error:
            _log.debug("a group's work could not be given back: %s", error)

    async def acknowledge(self) -> None:
        """Acknowledge the claimed entry, without asking for the next.

        Raises:
            TransportError: Redis cannot be reached.
            RelayError: Redis refuses.
        """
        done = self._claimed
        if done is not None:
            await self._store.done(self._group, done.entry)
            # Clear it only after success, so that a failed acknowledgement is repeated. Another entry may have been
            # claimed during the request.
            self._claimed = None if self._claimed is done else self._claimed


def _update(change: Change) -> Update:
    return Update(
        sequence=change.sequence,
        snapshot=change.after_snapshot,
        previous=change.before_snapshot,
        events=with_feed(change.feed, change.seat_events),
        coalesced=change.coalesced,
    )
