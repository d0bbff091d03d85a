"""What a relay would say, for tests of what reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from sipqueue_async import FeedEvent, Snapshot, diff
from sipqueue_async.redis.publication import Change, Words, read_change, words
from sipqueue_async.redis.store import Answer, Entry, Store
from tests.kit.redis_server import RedisServer


def publication(
    before: Snapshot | None,
    after: Snapshot | None,
    feed: FeedEvent | None = None,
    *,
    sequence: int = 8,
    coalesced: bool = False,
) -> Words:
    """Return the words for what lies between two snapshots."""
    changes = () if after is None else diff(before, after)
    return words(sequence=sequence, snapshot=after, feed=feed, changes=changes, coalesced=coalesced)


def fields_of(said: Words, after: str = "7-0") -> dict[str, str]:
    """Return the fields of an entry of the stream, as the script that publishes writes them."""
    return {"after": after, "update": said.update, "seats": said.seats, "was": said.was, "now": said.now}


def change_of(
    before: Snapshot | None,
    after: Snapshot | None,
    feed: FeedEvent | None = None,
    *,
    sequence: int = 8,
    coalesced: bool = False,
    follows: str = "7-0",
) -> Change:
    """Return what a reader reads of what lies between two snapshots."""
    return read_change(
        fields_of(publication(before, after, feed, sequence=sequence, coalesced=coalesced), after=follows)
    )


class Writer:
    """A relay whose every word is a test's."""

    def __init__(self, server: RedisServer, lease: float = 60) -> None:
        self._store = Store(server.url, "sipqueue")
        self._lease = lease
        self.lock = ""
        self.known: Snapshot | None = None
        self.sequence = 0

    async def __aenter__(self) -> Writer:
        lock = await self._store.acquire("test", self._lease)
        assert lock is not None
        self.lock = lock
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._store.aclose()

    async def publish(self, after: Snapshot | None, feed: FeedEvent | None = None) -> None:
        """Publish what comes next."""
        answer = await self._store.publish(
            self.lock,
            publication(self.known, after, feed, sequence=self.sequence + 1),
            sequence=self.sequence,
            lease=self._lease,
            seen="" if after is None else after.observed_at.isoformat(),
            feed=feed,
            max_entries=1000,
            max_age=timedelta(days=1),
        )
        assert answer is Answer.OK
        self.known, self.sequence = after, self.sequence + 1


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def take(store: Store, group: str, consumer: str, claim: float) -> Entry | None:
    """Take a group's work as a consumer does that has just begun."""
    await store.begin(group, consumer, "process 1")
    return await store.take(group, consumer, "process 1", claim)
