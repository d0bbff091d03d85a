"""Publications of a relay, for the tests of readers."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from sipqueue_async import FeedEvent, Snapshot, TransportError, diff
from sipqueue_async.redis.publication import Change, Publication, publication, read_change
from sipqueue_async.redis.store import Answer, Entry, Store
from tests.kit.redis_server import RedisServer


def payload_of(
    before: Snapshot | None,
    after: Snapshot | None,
    feed: FeedEvent | None = None,
    *,
    sequence: int = 8,
    coalesced: bool = False,
) -> Publication:
    """Return the publication for the difference between two snapshots."""
    changes = () if after is None else diff(before, after)
    return publication(
        sequence=sequence, previous=before, snapshot=after, feed=feed, changes=changes, coalesced=coalesced
    )


def fields_of(payload: Publication, after: str = "7-0", confirmed: int = 1) -> dict[str, str]:
    """Return the fields of a stream entry, as the publishing script writes them."""
    fields = {"after": after, "confirmed": str(confirmed), "update": payload.update}
    return fields | {"seats": payload.seats, "was": payload.was, "now": payload.now}


def change_of(
    before: Snapshot | None,
    after: Snapshot | None,
    feed: FeedEvent | None = None,
    *,
    sequence: int = 8,
    coalesced: bool = False,
    follows: str = "7-0",
    confirmed: int = 1,
) -> Change:
    """Return the change that a reader decodes from the publication of two snapshots' difference."""
    payload = payload_of(before, after, feed, sequence=sequence, coalesced=coalesced)
    return read_change(fields_of(payload, after=follows, confirmed=confirmed))


class Writer:
    """A relay whose publications a test writes. Like a real one, it keeps confirming the last one.

    Args:
        server: The Redis to publish on.
        lease: Duration of the lead's lease in seconds.
    """

    def __init__(self, server: RedisServer, lease: float = 60) -> None:
        self._store = Store(server.url, "sipqueue")
        self._lease = lease
        self._task: asyncio.Task[None] | None = None
        self.lock = ""
        self.known: Snapshot | None = None
        self.sequence = 0

    async def __aenter__(self) -> Writer:
        self.lock = (await self._store.acquire("test")).lock
        assert self.lock.endswith(" test")
        self._task = asyncio.create_task(self._confirm())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._store.aclose()

    async def _confirm(self) -> None:
        while True:
            await asyncio.sleep(min(0.05, self._lease / 3))
            with contextlib.suppress(TransportError):
                await self._store.renew(self.lock, self.sequence, self._lease, confirms=self.sequence > 0)

    async def publish(self, after: Snapshot | None, feed: FeedEvent | None = None) -> None:
        """Publish the next change."""
        answer = await self._store.publish(
            self.lock,
            payload_of(self.known, after, feed, sequence=self.sequence + 1),
            sequence=self.sequence,
            lease=self._lease,
            seen="" if after is None else after.observed_at.isoformat(),
            confirms=True,
            feed=feed,
            max_entries=1000,
            max_age=timedelta(days=1),
        )
        assert answer is Answer.OK
        self.known, self.sequence = after, self.sequence + 1


async def take(store: Store, group: str, consumer: str, claim: float) -> Entry | None:
    """Begin as a new consumer of the group, and take an entry."""
    await store.begin(group, consumer, "process 1")
    return await store.take(group, consumer, "process 1", claim)
