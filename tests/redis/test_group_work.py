"""A group's work when workers die, are slow, or restart."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

import pytest
from redis.asyncio import Redis

from sipqueue_async import CallAnswered, Snapshot, TransportError, Update
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.testing import collect
from tests.kit.builders import agent, snapshot
from tests.kit.cable import Cable
from tests.kit.preloaded import Preloaded
from tests.kit.redis_server import RedisServer
from tests.kit.relay import KEYS, group_is_done, group_is_there, patient, published
from tests.kit.relay_processes import ReaderProgram
from tests.kit.waiting import PATIENCE

pytestmark = pytest.mark.one_python

CLAIM: Final = 1.5
AGES: Final = 300.0
"""A claim timeout that never expires within a test."""


KEPT: Final = 5
"""The number of entries that the stream keeps."""


class Counter:
    """A source whose next snapshot has one more answered call whenever `calls` was increased."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> Snapshot:
        """Return the current snapshot."""
        return snapshot(agent(calls_answered=self.calls), at=self.calls)


class Shop:
    """A relay whose source changes only when the test says so, and a client of its Redis."""

    def __init__(self, server: RedisServer, redis: Redis, python: Preloaded) -> None:
        self.url = server.url
        self.server = server
        self.redis = redis
        self.source = Counter()
        self._python = python

    def worker(self, name: str, claim_after: float = CLAIM) -> ReaderProgram:
        """Return a worker in a separate process."""
        return ReaderProgram(self._python, self.url, consumer=name, claim_after=claim_after)

    def feed(self, name: str, claim_after: float = AGES) -> RedisFeed:
        """Return a worker in this process."""
        return RedisFeed(self.url, group="crew", consumer=name, claim_after=claim_after)

    async def change(self, number: int = 1) -> None:
        """Make some changes, and wait until each one is published."""
        for _ in range(number):
            last = await published(self.redis)
            self.source.calls += 1
            async with asyncio.timeout(PATIENCE):
                while await published(self.redis) == last:
                    await asyncio.sleep(0.01)

    async def work(self) -> int:
        """Return the number of entries that are claimed but not acknowledged."""
        return await self.redis.hlen(f"{KEYS}:group-work:crew")


@pytest.fixture
async def shop(redis_server: RedisServer, relay_python: Preloaded) -> AsyncIterator[Shop]:
    """A started group without workers."""
    async with patient(redis_server.url) as redis:
        shop = Shop(redis_server, redis, relay_python)
        await redis.config_set("stream-node-max-entries", "1")
        async with Relay(shop.source, redis_server.url, interval=0.02, max_entries=KEPT):
            async with shop.feed("first of all"):
                await group_is_there(redis)
            yield shop


async def test_work_of_a_killed_worker_goes_to_another_once_its_claim_expires(shop: Shop) -> None:
    async with AsyncExitStack() as stack:
        dead = await stack.enter_async_context(shop.worker("dead"))
        await shop.change(3)
        assert (await dead.update()).sequence == 2
        dead.ask()
        assert (await dead.update()).sequence == 3
        taken = time.monotonic()
        await dead.kill()
        other = (await stack.enter_async_context(shop.feed("other", CLAIM))).updates()
        handed: dict[int, float] = {}
        for _ in range(2):
            async with asyncio.timeout(PATIENCE):
                update = await anext(other)
            handed[update.sequence] = time.monotonic()
            assert answered(update) == 1
    assert handed.keys() == {3, 4}
    assert handed[3] - taken > CLAIM / 2, "it could still have been at work"


async def test_a_worker_that_starts_again_gets_what_it_had_not_acknowledged(shop: Shop) -> None:
    """A restarted worker gets its last entry again unless it asked for the next one or called `acknowledge`."""
    async with shop.worker("the same", AGES) as worker:
        await shop.change(2)
        assert (await worker.update()).sequence == 2
        assert await shop.work() == 1
    async with shop.worker("the same", AGES) as worker:
        assert (await worker.update()).sequence == 2
        worker.ask()
        assert (await worker.update()).sequence == 3
        assert await shop.work() == 1
    async with shop.worker("the same", AGES) as worker:
        assert (await worker.update()).sequence == 3
        await worker.acknowledge()
        assert not await shop.work()
    await shop.change()
    async with shop.worker("the same", AGES) as worker:
        assert (await worker.update()).sequence == 4


async def test_a_frozen_worker_loses_its_work(shop: Shop) -> None:
    """Another worker gets the entry; after the thaw, the frozen worker goes on with new entries."""
    async with shop.worker("frozen") as frozen:
        await shop.change()
        assert (await frozen.update()).sequence == 2
        frozen.freeze()
        async with shop.worker("idle") as idle:
            assert (await idle.update()).sequence == 2
            idle.ask()
            await group_is_done(shop.redis)
            frozen.thaw()
            frozen.ask()
            await shop.change(2)
            assert {(await frozen.update()).sequence, (await idle.update()).sequence} == {3, 4}


async def test_acknowledging_again_after_a_failure(shop: Shop) -> None:
    """If an acknowledgement does not reach Redis, the worker can repeat it."""
    async with AsyncExitStack() as stack:
        cable = await stack.enter_async_context(Cable(shop.server.port))
        feed = RedisFeed(cable.url, group="crew", consumer="careful", claim_after=AGES)
        await stack.enter_async_context(feed)
        await shop.change()
        update = await anext(feed.updates())
        assert update.sequence == 2
        shop.server.kill()
        with pytest.raises(TransportError):
            await feed.acknowledge()
        await shop.server.start()
        async with asyncio.timeout(PATIENCE):
            while await shop.work():
                # The first request may still find the old, broken connection.
                with contextlib.suppress(TransportError):
                    await feed.acknowledge()


async def test_a_group_that_falls_behind_what_is_kept_gets_the_difference(shop: Shop) -> None:
    """The difference includes each call once, and a worker still gets the entries that it had claimed before."""
    async with shop.worker("slow", AGES) as slow:
        await shop.change(2)
        assert (await slow.update()).sequence == 2
        await shop.change(3 * KEPT)
        async with shop.feed("quick") as quick:
            updates = quick.updates()
            difference = await anext(updates)
            await shop.change()
            next_one = await anext(updates)
        last = shop.source.calls + 1
        assert (difference.sequence, next_one.sequence) == (last - 1, last)
        assert difference.coalesced
        assert [answered(it) for it in (difference, next_one)] == [3 * KEPT + 1, 1]
    async with shop.feed("slow") as slow_again:
        told = await collect(slow_again.updates(), until=2, timeout=PATIENCE)
    assert [update.sequence for update in told] == [2, last]
    assert [answered(it) for it in told] == [1, 1]


def answered(update: Update) -> int:
    """Return the answered calls of an update that has no other events."""
    return sum(event.count for event in update.events if isinstance(event, CallAnswered))
