"""A group's work when workers die, are slow, or are started again."""

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
from tests.kit.redis_server import Cable, RedisServer
from tests.kit.relay import KEYS, PATIENCE, group_is_done, group_is_there, patient, published
from tests.kit.relay_processes import ReaderProgram

pytestmark = pytest.mark.one_python

CLAIM: Final = 1.5
AGES: Final = 300.0
"""A time after which work is given to another one that no test waits for."""


KEPT: Final = 5
"""How many changes the stream has."""


class Counter:
    """A source in which one call more is answered each time that it is told so."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> Snapshot:
        """Give what there is."""
        return snapshot(agent(calls_answered=self.calls), at=self.calls)


class Shop:
    """A relay whose source waits to be told, and a client of its Redis."""

    def __init__(self, server: RedisServer, redis: Redis) -> None:
        self.url = server.url
        self.server = server
        self.redis = redis
        self.source = Counter()

    def worker(self, name: str, claim_after: float = CLAIM) -> ReaderProgram:
        """Return a worker."""
        return ReaderProgram(self.url, consumer=name, claim_after=claim_after)

    async def change(self, number: int = 1) -> None:
        """Let something happen so often, and be published each time."""
        for _ in range(number):
            last = await published(self.redis)
            self.source.calls += 1
            async with asyncio.timeout(PATIENCE):
                while await published(self.redis) == last:
                    await asyncio.sleep(0.01)


@pytest.fixture
async def shop(redis_server: RedisServer) -> AsyncIterator[Shop]:
    """A group, which has begun, and no worker."""
    async with patient(redis_server.url) as redis:
        shop = Shop(redis_server, redis)
        await redis.config_set("stream-node-max-entries", "1")
        async with Relay(shop.source, redis_server.url, interval=0.02, max_entries=KEPT):
            async with shop.worker("first of all"):
                await group_is_there(redis)
            yield shop


async def test_a_worker_is_killed(shop: Shop) -> None:
    """What a dead worker was at is lost, or handed out while it may still be at it, or what it had done is repeated."""
    async with AsyncExitStack() as stack:
        dead = await stack.enter_async_context(shop.worker("dead"))
        await shop.change(3)
        assert (await dead.update()).sequence == 2
        dead.ask()
        assert (await dead.update()).sequence == 3
        taken = time.monotonic()
        await dead.kill()
        other = await stack.enter_async_context(shop.worker("other"))
        handed: dict[int, float] = {}
        for _ in range(2):
            update = await other.update()
            handed[update.sequence] = time.monotonic()
            assert answered(update) == 1
            other.ask()
        await group_is_done(shop.redis)
    assert handed.keys() == {3, 4}
    assert handed[3] - taken > CLAIM / 2, "it could still have been at work"


async def test_a_worker_is_started_again(shop: Shop) -> None:
    """A worker that comes back waits for what it had been at before, or never gets it."""
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(shop.worker("the same", AGES))
        await shop.change(2)
        assert (await worker.update()).sequence == 2
        await worker.kill()
        worker = await stack.enter_async_context(shop.worker("the same", AGES))
        assert (await worker.update()).sequence == 2
        worker.ask()
        assert (await worker.update()).sequence == 3
        worker.ask()
        await group_is_done(shop.redis)


async def test_work_is_done_when_the_next_is_asked_for(shop: Shop) -> None:
    """Work counts as done while a worker is still at it, or does not when it asks for the next."""
    async with shop.worker("the same", AGES) as worker:
        await shop.change(2)
        await worker.update()
        assert await shop.redis.hlen(f"{KEYS}:group-work:crew") == 1
        worker.ask()
        await worker.update()
        assert await shop.redis.hlen(f"{KEYS}:group-work:crew") == 1
        await worker.kill()
    async with shop.worker("the same", AGES) as worker:
        assert (await worker.update()).sequence == 3
        await worker.acknowledge()
        assert not await shop.redis.hlen(f"{KEYS}:group-work:crew")
        await worker.kill()
    await shop.change()
    async with shop.worker("the same", AGES) as worker:
        assert (await worker.update()).sequence == 4


async def test_a_slow_worker_keeps_its_work(shop: Shop) -> None:
    """Work that takes longer than a dead worker is waited for is handed out twice."""
    async with shop.worker("slow") as slow, shop.worker("idle") as idle:
        await shop.change()
        takers = [asyncio.create_task(slow.update()), asyncio.create_task(idle.update())]
        done, waiting = await asyncio.wait(takers, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        assert len(done) == 1
        await asyncio.sleep(2.5 * CLAIM)
        assert not any(task.done() for task in waiting), "somebody else was given it too"
        for task in waiting:
            task.cancel()


async def test_a_frozen_worker_loses_its_work(shop: Shop) -> None:
    """What a worker that hangs was at is nobody's for ever."""
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
    """Who was told that Redis does not know of it, and says it again, is not heard: the work is handed out twice."""
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
            while await shop.redis.hlen(f"{KEYS}:group-work:crew"):
                # A connection from before may still have to be found broken.
                with contextlib.suppress(TransportError):
                    await feed.acknowledge()


async def test_a_worker_leaves(shop: Shop) -> None:
    """What a worker had not done when it left is waited for, as if it could still come to it."""
    await shop.change(2)
    async with RedisFeed(shop.url, group="crew", consumer="leaves", claim_after=AGES) as leaves:
        assert (await anext(leaves.updates())).sequence == 2
    async with RedisFeed(shop.url, group="crew", consumer="stays", claim_after=AGES) as stays:
        updates = stays.updates()
        assert [update.sequence for update in await collect(updates, until=2, timeout=PATIENCE)] == [2, 3]


async def test_a_group_falls_behind_what_is_kept(shop: Shop) -> None:
    """A group that was away for too long loses calls or counts them twice, or loses what a worker had taken before."""
    async with shop.worker("slow", AGES) as slow:
        await shop.change(2)
        assert (await slow.update()).sequence == 2
        await shop.change(3 * KEPT)
        async with RedisFeed(shop.url, group="crew", consumer="quick", claim_after=AGES) as quick:
            updates = quick.updates()
            difference = await anext(updates)
            await shop.change()
            next_one = await anext(updates)
        last = shop.source.calls + 1
        assert (difference.sequence, next_one.sequence) == (last - 1, last)
        assert difference.coalesced
        assert [answered(it) for it in (difference, next_one)] == [3 * KEPT + 1, 1]
        await slow.kill()
    async with RedisFeed(shop.url, group="crew", consumer="slow", claim_after=AGES) as slow_again:
        told = await collect(slow_again.updates(), until=2, timeout=PATIENCE)
    assert [update.sequence for update in told] == [2, last]
    assert [answered(it) for it in told] == [1, 1]


def answered(update: Update) -> int:
    """Return the calls of an update, which has nothing else."""
    return sum(event.count for event in update.events if isinstance(event, CallAnswered))
