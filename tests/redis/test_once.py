"""Each reader gets every event once and in order, and so does a group as a whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from sipqueue_async import FeedDown, FeedUp, SeatEvent, Snapshot, StatusWatcher, Update, diff
from sipqueue_async.redis import RedisFeed, Relay
from tests.kit.builders import ScriptedSource, snapshot
from tests.kit.redis_server import RedisServer
from tests.kit.relay import Office, Witness, Workers, check_sequences, group_is_done, group_is_there, reading
from tests.kit.waiting import PATIENCE, until

POLLS = 50


class Recorder:
    """A source that records its snapshots, and returns the next one only when the last one is published.

    Args:
        office: The call centre that it polls.
        polls: The number of polls after which nothing changes any more.
        begun: Waits until all readers and workers have started.
    """

    def __init__(self, office: Office, polls: int, begun: Callable[[], Awaitable[None]]) -> None:
        self.given: list[Snapshot] = []
        self.changes = 1
        """The number of snapshots so far that differed from their predecessor, including the first one."""
        self.relay: Relay | None = None
        self._office = office
        self._client = office.client()
        self._polls = polls
        self._begun = begun
        self._random = random.Random(1)

    @property
    def is_done(self) -> bool:
        """Whether no more changes will come."""
        return len(self.given) > self._polls

    async def __call__(self) -> Snapshot:
        """Poll once the previous change is published."""
        relay = self.relay
        assert relay is not None
        if self.given:
            await until(lambda: relay.sequence == self.changes, "what was polled is published")
            await self._begun()
        if not self.is_done:
            self._office.live.advance(self._random.uniform(0, 5))
        polled = await self._client.fetch_snapshot()
        self.changes += bool(self.given and diff(self.given[-1], polled))
        self.given.append(polled)
        return polled

    async def aclose(self) -> None:
        await self._client.aclose()


async def told_by_a_watcher(snapshots: list[Snapshot]) -> list[Update]:
    """Return the updates of a watcher that polls these snapshots directly."""
    source = ScriptedSource(snapshots)
    watcher = StatusWatcher(source, interval=0.001, initial=True)
    updates = watcher.updates()
    told: list[Update] = []
    async with watcher:
        while source.polls <= len(snapshots):
            await asyncio.sleep(0)
            while (update := updates.get_nowait()) is not None:
                told.append(update)
    return told


def seat_events(update: Update) -> tuple[SeatEvent, ...]:
    """Return an update's events about seats."""
    return tuple(event for event in update.events if not isinstance(event, FeedDown | FeedUp))


async def test_readers_are_told_what_a_watcher_on_the_spot_tells(redis_server: RedisServer) -> None:
    """Readers and a group get the same events as a watcher: each one once, and in order."""
    readers = [Witness(f"reader {number}") for number in range(3)]
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(Office(seed=3, speed=0))
        for witness in readers:
            await stack.enter_async_context(reading(RedisFeed(redis_server.url, initial=True), witness))
        workers = await stack.enter_async_context(Workers(dict.fromkeys("abc", redis_server.url), takes=0.02))
        redis = await stack.enter_async_context(redis_server.client())

        async def all_are_there() -> None:
            await group_is_there(redis)
            await until(lambda: all(it.known for it in readers), "the readers know who is there")

        source = Recorder(office, POLLS, all_are_there)
        stack.push_async_callback(source.aclose)
        relay = source.relay = Relay(source, redis_server.url, interval=0.005, lease=60)
        await stack.enter_async_context(relay)
        await until(lambda: source.is_done and relay.sequence == source.changes, "all is published")
        records = await office.records()
        await until(lambda: all(it.known == records for it in readers), "all is read")
        await group_is_done(redis)
    expected = await told_by_a_watcher(source.given)
    assert len(expected) == source.changes > POLLS / 2
    for witness in readers:
        heard = [it for it in witness.updates if it.sequence]
        assert [seat_events(it) for it in heard] == [it.events for it in expected]
        assert [it.snapshot for it in heard] == [it.snapshot for it in expected]
        witness.check(office, records)
    group = workers.together(source.given[0].items())
    check_sequences(group.updates, 2, source.changes)
    assert [it.events for it in group.updates] == [it.events for it in expected[1:]]
    group.check(office, records)
    assert sum(map(bool, workers.handed.values())) > 1, "one worker got all the work"


async def test_an_empty_call_centre_is_known_to_be_empty(redis_server: RedisServer) -> None:
    """Readers are ready even if the call centre has no seats."""
    source = ScriptedSource([snapshot()])
    async with RedisFeed(redis_server.url) as feed, Relay(source, redis_server.url, interval=0.05, lease=1) as relay:
        assert not await feed.ready(timeout=PATIENCE)
        polls = source.polls
        await until(lambda: source.polls > polls + 20, "time has passed")
        assert relay.sequence == 1, "the same is published over and over"
        assert feed.health.up
