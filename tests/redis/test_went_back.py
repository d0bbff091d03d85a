"""Redis returns to older data or its clock steps back while the platform or a leader is away: calls stay exact."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final, Self

import pytest
from redis.asyncio import Redis

from sipqueue_async.redis import RedisFeed, Relay
from tests.kit.cable import Cable
from tests.kit.redis_server import RedisServer
from tests.kit.relay import KEYS, Office, Witness, copy_of, more_published, put_back, reading
from tests.kit.waiting import PATIENCE, until

LEASE: Final = 0.6

pytestmark = [pytest.mark.needs_redis, pytest.mark.one_python, pytest.mark.timeout(180)]


class Stage:
    """A call centre with calls in progress, two relays on cables, and two readers."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.office = Office(seed=16, speed=80)
        self.witnesses = [Witness("reader 1"), Witness("reader 2")]
        self.feeds: list[RedisFeed] = []
        self.cables: list[Cable] = []
        self.relays: list[Relay] = []
        self.redis: Redis
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            await enter(self.office)
            # Without `decode_responses`, so that it can copy keys.
            self.redis = await enter(Redis.from_url(self.server.url))
            for witness in self.witnesses:
                feed = RedisFeed(self.server.url, initial=True, timeout=1.5)
                self.feeds.append(await enter(reading(feed, witness)))
            for _ in range(2):
                self.cables.append(await enter(Cable(self.server.port)))
                options: dict[str, Any] = {"interval": 0.05, "max_backoff": 0.3, "lease": LEASE, "timeout": 1.5}
                relay = Relay(await enter(self.office.client()), self.cables[-1].url, **options)
                self.relays.append(await enter(relay))
                await until(lambda: self.relays[0].leading, "the first one leads")
            await until(lambda: all(it.known for it in self.witnesses), "the readers know who is there")
            self.office.live.start()
            await more_published(self.redis, 5)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *details: Any) -> None:
        for cable in self.cables:
            cable.plug()
        await self._stack.__aexit__(*details)

    async def says(self, feed: bytes) -> None:
        """Wait until Redis has this event about the feed."""
        async with asyncio.timeout(PATIENCE):
            while feed not in (await self.redis.hget(f"{KEYS}:meta", "feed") or b""):
                await asyncio.sleep(0.01)

    async def looks(self, number: int) -> None:
        """Wait until each reader has asked Redis this many times."""
        counts = [0] * len(self.feeds)
        for place, feed in enumerate(self.feeds):

            def count(_: object, place: int = place) -> None:
                counts[place] += 1

            feed.add_listener(count)
        await until(lambda: min(counts) >= number, "the readers look")

    async def check(self) -> None:
        """Stop the call centre's time, and compare the readers' reports with the ground truth."""
        self.office.live.stop()
        records = await self.office.records()
        await until(
            lambda: all(it.known == records and it.is_up for it in self.witnesses), f"all is read: {self.witnesses}", 60
        )
        for witness in self.witnesses:
            witness.check(self.office, records)


@pytest.fixture
async def stage(redis_server: RedisServer) -> AsyncIterator[Stage]:
    """A stage after its first publications."""
    async with Stage(redis_server) as stage:
        yield stage


@pytest.mark.parametrize("dies", [True, False], ids=["the leader dies", "both live"])
async def test_older_data_while_the_platform_is_away(stage: Stage, dies: bool) -> None:
    """A relay does not confirm the data that it finds in Redis before its first good poll."""
    older = await copy_of(stage.redis)
    await more_published(stage.redis, 15)
    await stage.office.server.stop()
    if dies:
        stage.cables[0].pull()
    await put_back(stage.redis, older)
    await stage.says(b"feed-down")
    await stage.looks(5)
    told = [(it.answered.total(), it.missed.total()) for it in stage.witnesses]
    async with RedisFeed(stage.server.url) as fresh:
        with pytest.raises(TimeoutError):
            await fresh.ready(timeout=1)
    assert [(it.answered.total(), it.missed.total()) for it in stage.witnesses] == told
    await stage.office.server.start()
    stage.cables[0].plug()
    await stage.check()


async def test_older_data_and_readers_that_were_away(stage: Stage) -> None:
    """A leader is killed and Redis returns to older data, while one reader's connection is broken."""
    older = await copy_of(stage.redis)
    await more_published(stage.redis, 15)
    stage.cables[0].pull()
    stage.server.freeze()
    await until(lambda: not any(it.is_up for it in stage.witnesses), "the readers have noticed")
    stage.server.thaw()
    await put_back(stage.redis, older)
    await until(lambda: stage.relays[1].leading, "the other one leads")
    stage.cables[0].plug()
    await more_published(stage.redis, 5)
    await stage.check()


async def step(redis: Redis) -> None:
    """Step Redis's clock an hour forward and back. After that, Redis numbers entries as if its clock stood still."""
    last, _ = await redis.time()
    await redis.execute_command("XSETID", f"{KEYS}:events", f"{(last + 3600) * 1000}-0")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("is_away", [False, True], ids=["the platform there", "the platform away"])
async def test_the_clock_steps_as_the_leader_dies(stage: Stage, is_away: bool) -> None:
    """Leadership and reading do not depend on Redis's clock; no script even asks for the time."""
    await step(stage.redis)
    assert await stage.redis.ttl(f"{KEYS}:leader") == -1, "the lock has no expiry, which a clock could move"
    stage.cables[0].pull()
    if is_away:
        await stage.office.server.stop()
    await until(lambda: stage.relays[1].leading, "the other one leads")
    if is_away:
        await stage.says(b"feed-down")
        await stage.office.server.start()
    await more_published(stage.redis, 3)
    stage.cables[0].plug()
    await stage.check()


async def test_old_data_is_not_up_to_date(stage: Stage) -> None:
    """Once all relays are dead, neither an existing reader nor a new one treats the data as current."""
    await step(stage.redis)
    for cable in stage.cables:
        cable.pull()
    await until(lambda: not any(it.is_up for it in stage.witnesses), "the readers have noticed")
    async with RedisFeed(stage.server.url) as fresh:
        with pytest.raises(TimeoutError, match="no relay"):
            await fresh.ready(timeout=3 * LEASE)
        await until(lambda: fresh.health.up is False, "the new reader has noticed too")
    for cable in stage.cables:
        cable.plug()
    await stage.check()
