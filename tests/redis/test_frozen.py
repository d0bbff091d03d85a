"""Readers and leaders that freeze for a while, and readers that start late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

import pytest

from sipqueue_async import AgentStatus, SeatKey
from sipqueue_async.redis import RedisFeed, Relay
from tests.kit.preloaded import Preloaded
from tests.kit.redis_server import RedisServer
from tests.kit.relay import KEYS, Office, Witness, more_published, published, reading
from tests.kit.relay_processes import Fleet, ReaderProgram, RelayProgram
from tests.kit.waiting import PATIENCE, until

pytestmark = pytest.mark.one_python

LEASE: Final = 0.5
TAKEOVERS: Final = 2
BEHIND: Final = 130
"""More entries than a reader fetches in two requests of 64."""


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """A call centre whose time starts when the test says so."""
    async with Office(seed=7, speed=200) as office:
        yield office


async def hear_until(reader: ReaderProgram, witness: Witness, records: dict[SeatKey, AgentStatus]) -> None:
    """Pass a reader process's updates to a witness until the witness has these records."""
    async with asyncio.timeout(PATIENCE):
        while witness.known != records:
            witness.hear(await reader.update())


@pytest.mark.parametrize(("entries", "seconds"), [(5, 3600), (100_000, 0.2)])
async def test_a_reader_frozen_for_longer_than_anything_is_kept(
    redis_server: RedisServer, relay_python: Preloaded, office: Office, entries: int, seconds: float
) -> None:
    """A reader frozen for longer than the stream keeps entries gets one difference that includes each call once."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server.client())
        await redis.config_set("stream-node-max-entries", "1")
        client = await stack.enter_async_context(office.client())
        kept = timedelta(seconds=seconds)
        relay = Relay(client, redis_server.url, interval=0.02, max_entries=entries, max_age=kept)
        await stack.enter_async_context(relay)
        reader = await stack.enter_async_context(ReaderProgram(relay_python, redis_server.url))
        witness = Witness("the frozen reader")
        await hear_until(reader, witness, await office.records())
        office.live.start()
        await more_published(redis, 3)
        reader.freeze()
        await more_published(redis, 40)
        assert await redis.xlen(f"{KEYS}:events") < 40
        reader.thaw()
        await more_published(redis, 3)
        office.live.stop()
        records = await office.records()
        await hear_until(reader, witness, records)
    witness.check(office, records)
    assert any(it.coalesced for it in witness.updates), "nothing was missed: it was not frozen for long enough"


async def test_a_reader_frozen_for_less(redis_server: RedisServer, relay_python: Preloaded, office: Office) -> None:
    """A reader that falls behind gets each change separately, as long as the stream still has them."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server.client())
        client = await stack.enter_async_context(office.client())
        await stack.enter_async_context(Relay(client, redis_server.url, interval=0.01))
        reader = await stack.enter_async_context(ReaderProgram(relay_python, redis_server.url))
        witness = Witness("the frozen reader")
        await hear_until(reader, witness, await office.records())
        office.live.start()
        reader.freeze()
        await more_published(redis, BEHIND)
        reader.thaw()
        office.live.stop()
        records = await office.records()
        await hear_until(reader, witness, records)
        last = await published(redis)
    witness.check(office, records)
    assert [it.sequence for it in witness.updates][-BEHIND:] == list(range(last - BEHIND + 1, last + 1))


async def test_a_reader_that_comes_late(redis_server: RedisServer, office: Office) -> None:
    """A reader that starts late gets the current state at once, and then each change once."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server.client())
        client = await stack.enter_async_context(office.client())
        await stack.enter_async_context(Relay(client, redis_server.url, interval=0.02))
        office.live.start()
        await more_published(redis, 20)
        witness = Witness("the late reader")
        feed = RedisFeed(redis_server.url, initial=True)
        await stack.enter_async_context(reading(feed, witness))
        await feed.ready(PATIENCE)
        began = feed.health.sequence
        await more_published(redis, 20)
        office.live.stop()
        records = await office.records()
        await until(lambda: witness.known == records, "all is read")
        last = await published(redis)
    witness.check(office, records)
    assert [it.sequence for it in witness.updates] == list(range(began, last + 1))


async def test_a_leader_frozen_while_another_one_takes_over(
    redis_server: RedisServer, relay_python: Preloaded, office: Office
) -> None:
    """Redis refuses the publications of a frozen, replaced leader, so readers report each call once."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server.client())
        witness = Witness("a reader")
        await stack.enter_async_context(reading(RedisFeed(redis_server.url, initial=True), witness))
        relays = [RelayProgram(relay_python, office, redis_server.url, lease=LEASE, interval=0.01) for _ in range(2)]
        fleet = await stack.enter_async_context(Fleet(relays, redis))
        await fleet.leader()
        office.live.start()
        for _ in range(TAKEOVERS):
            # The leader polls continuously, so a request is under way whenever it freezes.
            frozen = await fleet.leader()
            await more_published(redis, 2)
            frozen.freeze()
            await fleet.leader(but=frozen)
            await more_published(redis, 2)
            frozen.thaw()
            await more_published(redis, 5)
        office.live.stop()
        records = await office.records()
        await until(lambda: witness.known == records and witness.is_up, "all is read")
        terms = sorted(term for it in relays for term in it.terms)
    witness.check(office, records)
    assert terms == list(range(1, terms[-1] + 1)), "two relays led at once"
    assert terms[-1] > TAKEOVERS
