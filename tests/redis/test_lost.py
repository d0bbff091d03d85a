"""Redis restarts with older data or none, and relays reconnect to a Redis with newer data."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
from redis.asyncio import Redis

from sipqueue_async import AgentJoined, AgentLeft, CallAnswered, FeedHealth, Snapshot, TransportError
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.testing import collect
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.cable import Cable
from tests.kit.redis_server import RedisServer
from tests.kit.relay import (
    KEYS,
    Witness,
    copy_of,
    group_is_done,
    group_is_there,
    more_published,
    published,
    put_back,
    reading,
)
from tests.kit.relay_scene import Scene
from tests.kit.waiting import PATIENCE, until

AWAY: Final = 1.5
"""Seconds until a silent Redis counts as away."""

pytestmark = [
    pytest.mark.needs_redis,
    pytest.mark.timeout(120),
    pytest.mark.one_python,
]


class Views:
    """A source that repeats one snapshot until the test sets the next."""

    def __init__(self, first: Snapshot) -> None:
        self.view = first
        self.is_stuck = False
        self.polls = self.stuck = 0
        self._for_ever = asyncio.Event()

    async def __call__(self) -> Snapshot:
        """Return the snapshot, or block forever if stuck."""
        self.polls += 1
        if self.is_stuck:
            self.stuck += 1
            await self._for_ever.wait()
        return self.view


async def test_redis_loses_everything(tmp_path: Path) -> None:
    """Readers report every call once after Redis restarts empty."""
    async with RedisServer(tmp_path, keeps=False) as server, Scene(server, seed=1) as scene:
        for _ in range(2):
            await more_published(scene.redis, 5)
            server.kill()
            await server.start()
        await more_published(scene.redis, 5)
        await scene.settle()
        # Redis lost the group's position too, so the group starts again.
        await group_is_done(scene.redis)


async def test_redis_loses_everything_while_nothing_happens(redis_server: RedisServer) -> None:
    """A relay publishes everything again even if nothing has changed since it became the leader."""
    source = ScriptedSource([snapshot(agent())])
    witness = Witness("a reader")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server.client())
        await stack.enter_async_context(reading(RedisFeed(redis_server.url, initial=True), witness))
        async with Relay(source, redis_server.url, interval=0.05, lease=0.5, timeout=AWAY):
            await until(lambda: witness.known and witness.is_up, "the first relay is heard")
        polls = source.polls
        await stack.enter_async_context(Relay(source, redis_server.url, interval=0.05, lease=0.5, timeout=AWAY))
        await until(lambda: source.polls > polls + 2, "the second one leads")
        turns = witness.turns
        await put_back(redis, {})
        await until(lambda: witness.turns >= turns + 2 and witness.is_up, "it has published everything")
    assert len(witness.events) == 1


async def test_redis_comes_back_with_older_data(tmp_path: Path) -> None:
    """Readers report every call once after Redis restarts with an older copy of its data."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    data.mkdir()
    async with RedisServer(data) as server, Scene(server, seed=2, claim_after=2) as scene:
        await more_published(scene.redis, 5)
        server.kill()
        shutil.copytree(data, copy)
        await server.start()
        await more_published(scene.redis, 20)
        server.kill()
        shutil.rmtree(data)
        shutil.copytree(copy, data)
        await server.start()
        await more_published(scene.redis, 5)
        await scene.settle()
        # Entries that were claimed at the time of the copy are claimed again, even if they were acknowledged
        # afterwards.
        await group_is_done(scene.redis)


async def test_older_data_is_not_believed(redis_server: RedisServer) -> None:
    """A reader that finds older data in Redis goes down, and keeps its snapshot until a relay publishes again."""
    source = Views(snapshot(agent(calls_answered=7), at=7))
    witness = Witness("a reader")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(redis_server.url))
        cable = await stack.enter_async_context(Cable(redis_server.port))
        relay = await stack.enter_async_context(Relay(source, cable.url, interval=0.05, lease=60, timeout=AWAY))
        await until(lambda: relay.sequence == 1, "the first snapshot is published")
        feed = RedisFeed(redis_server.url, initial=True)
        await stack.enter_async_context(reading(feed, witness))
        await until(lambda: witness.known, "it is read")
        older = await copy_of(redis)
        source.view = snapshot(agent(calls_answered=9), at=9)
        await until(lambda: witness.answered.total() == 2, "the second one is read")
        cable.pull()
        await put_back(redis, older)
        await until(lambda: not witness.is_up, "the reader has noticed")
        looks: list[FeedHealth] = []
        feed.add_listener(looks.append)
        await until(lambda: len(looks) > 3, "it has looked again")
        assert "lost" in str(feed.health.last_error)
        assert witness.answered.total() == 2
        cable.plug()
        source.view = snapshot(agent(calls_answered=10), at=10)
        await until(lambda: witness.is_up, "the relay has told the rest")
    assert witness.answered.total() == 3


async def test_nothing_is_known_in_redis_while_the_platform_is_away(redis_server: RedisServer) -> None:
    """A reader with a baseline gets the difference once a relay that started during an outage reaches the platform."""
    known = snapshot(agent("1", calls_answered=7), agent("2"), at=7)
    source = ScriptedSource([TransportError("away"), snapshot(agent("1", calls_answered=9), agent("3"), at=9)])
    feed = RedisFeed(redis_server.url, baseline=known)
    events = feed.subscribe(CallAnswered, AgentJoined, AgentLeft)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(feed)
        await stack.enter_async_context(Relay(source, redis_server.url, interval=0.5, leave_after=1))
        told = await collect(events, until=3)
    assert [(event.kind, event.extension) for event in told] == [
        ("call-answered", "1"),
        ("agent-left", "2"),
        ("agent-joined", "3"),
    ]
    assert isinstance(told[0], CallAnswered)
    assert told[0].count == 2
    assert feed.snapshot is not None
    assert set(feed.snapshot.values()) == {agent("1", calls_answered=9), agent("3")}


@pytest.mark.parametrize("terms", ["0", "50"])
async def test_a_relay_that_was_cut_off_polls_before_it_publishes(redis_server: RedisServer, terms: str) -> None:
    """A relay that was cut off polls again before it publishes, even if Redis restarts the numbering of terms."""
    before, now = (snapshot(agent(calls_answered=calls), at=calls) for calls in (7, 9))
    old, new = Views(before), Views(now)
    witness = Witness("a reader")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server.client())
        await redis.hset(f"{KEYS}:meta", "terms", terms)
        cable = await stack.enter_async_context(Cable(redis_server.port))
        await stack.enter_async_context(reading(RedisFeed(redis_server.url, initial=True), witness))
        cut_off = await stack.enter_async_context(Relay(old, cable.url, interval=0.05, lease=0.5, timeout=AWAY))
        await until(lambda: witness.known, "the first relay is heard")
        old.is_stuck = True
        await until(lambda: old.stuck, "its source hangs")
        cable.pull()
        await redis.flushall()
        async with Relay(new, redis_server.url, interval=0.05, lease=0.5, timeout=AWAY):
            await until(lambda: witness.answered.total() == 2, "the second one is heard")
        polls, old.view, old.is_stuck = old.polls, now, False
        cable.plug()
        await until(lambda: old.polls > polls and cut_off.sequence, "the first one leads again, and asks anew")
        last = await published(redis)
    assert last == 1, "what was known better was published over"
    assert witness.answered.total() == 2


async def test_a_publication_that_arrives_late(redis_server: RedisServer) -> None:
    """Redis refuses a publication of an earlier term."""
    first, late, now = (snapshot(agent(calls_answered=calls), at=calls) for calls in (7, 8, 9))
    old, new = Views(first), Views(now)
    witness = Witness("a reader")
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server.client())
        cable = await stack.enter_async_context(Cable(redis_server.port))
        await stack.enter_async_context(reading(RedisFeed(redis_server.url, initial=True), witness))
        relay = await stack.enter_async_context(Relay(old, cable.url, interval=0.05, lease=1, timeout=AWAY))
        await until(lambda: witness.known, "the first relay is heard")
        cable.pull()
        old.view = late
        await stack.enter_async_context(Relay(new, redis_server.url, interval=0.05, lease=1, timeout=AWAY))
        await until(lambda: witness.answered.total() == 2, "the second one is heard")
        cable.plug()
        await until(lambda: not relay.leading, "the first one finds out")
        entries = await redis.xlen(f"{KEYS}:events")
    assert entries == 2
    assert witness.answered.total() == 2


async def test_leaving_while_redis_is_gone(redis_server: RedisServer) -> None:
    """Feeds and relays close without an error while Redis is down."""
    source = ScriptedSource([snapshot(agent()), snapshot(agent(calls_answered=1))])
    async with AsyncExitStack() as stack:
        feed = await stack.enter_async_context(RedisFeed(redis_server.url))
        worker = await stack.enter_async_context(RedisFeed(redis_server.url, group="crew", consumer="one"))
        updates = worker.updates()
        taking = asyncio.create_task(anext(updates))
        redis = await stack.enter_async_context(redis_server.client())
        relay = await stack.enter_async_context(Relay(source, redis_server.url, interval=0.5, lease=60))
        await feed.ready(PATIENCE)
        await group_is_there(redis)
        assert (await taking).sequence == 2
        redis_server.kill()
        await until(lambda: feed.health.up is False, "Redis is away")
        async with asyncio.timeout(PATIENCE):
            await stack.aclose()
    assert "ended" in repr(relay)
    with pytest.raises(StopAsyncIteration):
        await anext(updates)
