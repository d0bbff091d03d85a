"""Leading relays that are killed at random moments, one after the other, while calls go on.

`RELAY_KILLS` sets the number of kills: 50 for the full size, fewer in the gate.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Final

import pytest

from sipqueue_async import Update
from sipqueue_async.redis import RedisFeed, Relay
from tests.kit.preloaded import Preloaded
from tests.kit.redis_server import RedisServer
from tests.kit.relay import (
    Office,
    Witness,
    Workers,
    check_sequences,
    group_is_done,
    group_is_there,
    published,
    reading,
    together,
)
from tests.kit.relay_processes import Fleet, ReaderProgram, RelayProgram
from tests.kit.waiting import until

_log: Final = logging.getLogger(__name__)

KILLS: Final = int(os.environ.get("RELAY_KILLS", "3"))
LEASE: Final = 0.6
INTERVAL: Final = 0.05

pytestmark = [pytest.mark.timeout(60 + 20 * KILLS), pytest.mark.one_python]


def relay(relay_python: Preloaded, office: Office, redis_server: RedisServer) -> RelayProgram:
    """Return another relay."""
    return RelayProgram(relay_python, office, redis_server.url, lease=LEASE, interval=INTERVAL)


async def take_over(fleet: Fleet) -> None:
    """Freeze the leader until another relay leads."""
    frozen = await fleet.leader()
    frozen.freeze()
    await fleet.leader(but=frozen)
    frozen.thaw()


async def test_leaders_are_killed(redis_server: RedisServer, relay_python: Preloaded) -> None:
    """When a leader dies or freezes, another one takes over, and every change is reported once."""
    chance = random.Random(KILLS)
    readers = [Witness(f"reader {number}") for number in range(3)]
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(Office(seed=KILLS, speed=80))
        redis = await stack.enter_async_context(redis_server.client())
        for witness in readers:
            await stack.enter_async_context(reading(RedisFeed(redis_server.url, initial=True), witness))
        workers = await stack.enter_async_context(Workers(dict.fromkeys("abc", redis_server.url)))
        relays = [relay(relay_python, office, redis_server) for _ in range(3)]
        fleet = await stack.enter_async_context(Fleet(relays, redis))
        await group_is_there(redis)
        await until(lambda: all(it.known for it in readers), "all readers know what there is")
        records = await office.records()
        assert all(it.known == records for it in readers)
        group_began, first = dict(readers[0].known), await published(redis)
        office.live.start()
        for number in range(KILLS):
            if number % 3 == 1:
                await take_over(fleet)
            await fleet.leader()
            # Sometimes the leader has only just begun, sometimes it has led for a while.
            await asyncio.sleep(chance.uniform(0, 2 * LEASE))
            await fleet.replace(await fleet.leader(), relay(relay_python, office, redis_server))
        await fleet.leader()
        office.live.stop()
        records = await office.records()
        await until(lambda: all(it.known == records for it in readers), f"all is read: {readers}")
        await group_is_done(redis)
        last = await published(redis)
        terms = sorted(term for it in fleet.all for term in it.terms)
    group = workers.together(group_began.items())
    for witness in (*readers, group):
        witness.check(office, records)
    for witness in readers:
        # A reader reports the absence of a relay in its own update, which repeats the previous number.
        numbers = list(dict.fromkeys(it.sequence for it in witness.updates))
        assert numbers[first - last :] == list(range(first + 1, last + 1))
        assert witness.events == readers[0].events
    check_sequences(group.updates, first + 1, last)
    assert len(terms) > KILLS, "a relay was killed that did not lead"
    took = time.monotonic() - began
    _log.info("%d kills, %d terms, %d publications, %.0f s", KILLS, terms[-1], last, took)
    _log.info("%s %s", readers, group)


class Crew:
    """Workers in processes that are killed after a while and replaced.

    Args:
        python: The interpreter that forks them.
        url: The URL of Redis.
        kills: The number of workers to kill.
    """

    def __init__(self, python: Preloaded, url: str, kills: int) -> None:
        self._python = python
        self.handed: list[Update] = []
        self.in_hand = Counter[int]()
        """How often a worker was killed that had, or may have had, an entry to acknowledge; by its sequence number."""
        self._url = url
        self._kills = kills
        self._chance = random.Random(kills)

    async def work(self, name: str) -> None:
        """Work as one consumer, and sometimes as a second one, until enough workers were killed."""
        while self.in_hand.total() < self._kills:
            consumer = self._chance.choice([name, f"{name} again"])
            async with ReaderProgram(self._python, self._url, consumer=consumer, claim_after=1.5) as worker:
                for _ in range(self._chance.randint(0, 8)):
                    await self._take(worker)
                    worker.ask()
                last = await self._take(worker)
                # If the worker dies while it acknowledges, the entry may be acknowledged or not.
                self._chance.choice([worker.ask, worker.freeze])()
                self.in_hand[last.sequence] += 1
                await asyncio.sleep(self._chance.uniform(0, 0.01))

    async def _take(self, worker: ReaderProgram) -> Update:
        update = await worker.update()
        self.handed.append(update)
        await asyncio.sleep(self._chance.uniform(0, 0.05))
        return update


async def test_workers_are_killed(redis_server: RedisServer, relay_python: Preloaded) -> None:
    """When a worker dies, its unacknowledged entry goes to another one; no other entry is handed out twice."""
    crew, reader = Crew(relay_python, redis_server.url, KILLS), Witness("a reader")
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(Office(seed=KILLS))
        redis = await stack.enter_async_context(redis_server.client())
        client = await stack.enter_async_context(office.client())
        await stack.enter_async_context(Relay(client, redis_server.url, interval=INTERVAL))
        await stack.enter_async_context(reading(RedisFeed(redis_server.url, initial=True), reader))
        async with Workers({"first of all": redis_server.url}):
            await group_is_there(redis)
        group_began, first = await office.records(), await published(redis)
        office.live.start()
        await asyncio.gather(*map(crew.work, "abc"))
        office.live.stop()
        records = await office.records()
        last_workers = await stack.enter_async_context(Workers({"last of all": redis_server.url}))
        await until(lambda: reader.known == records, "all is published")
        last = await published(redis)
        await group_is_done(redis)
    handed = [*crew.handed, *last_workers.handed["last of all"]]
    group = together({it.sequence: it for it in handed}.values(), group_began.items())
    group.check(office, records)
    check_sequences(group.updates, first + 1, last)
    twice = Counter(update.sequence for update in handed) - Counter(range(first + 1, last + 1))
    assert twice <= crew.in_hand
    took = time.monotonic() - began
    _log.info("%d workers died, %d works handed out again, %.0f s: %s", KILLS, twice.total(), took, group)
