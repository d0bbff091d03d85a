"""Leading relays killed at random moments, one after the other, while calls go on.

`RELAY_KILLS` says how many: 50 for the full size, fewer in the gate.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from contextlib import AsyncExitStack
from typing import Final

import pytest
from redis_support import RedisServer
from relay_processes import Fleet, RelayProgram
from relay_support import (
    Office,
    Witness,
    Workers,
    check_sequences,
    group_is_done,
    group_is_there,
    published,
    reading,
    until,
)

from sipqueue_async.redis import RedisFeed

_log: Final = logging.getLogger(__name__)

KILLS: Final = int(os.environ.get("RELAY_KILLS", "3"))
LEASE: Final = 0.6
INTERVAL: Final = 0.05

pytestmark = pytest.mark.timeout(60 + 20 * KILLS)


def relay(office: Office, redis_server: RedisServer) -> RelayProgram:
    """Return a further relay."""
    return RelayProgram(office, redis_server.url, lease=LEASE, interval=INTERVAL)


async def test_leaders_are_killed(redis_server: RedisServer) -> None:
    """When a leader dies, a change is lost, told twice or made up, or no other one takes over."""
    chance = random.Random(KILLS)
    readers = [Witness(f"reader {number}") for number in range(3)]
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(Office(seed=KILLS, speed=80))
        redis = await stack.enter_async_context(redis_server.client())
        for witness in readers:
            await stack.enter_async_context(reading(RedisFeed(redis_server.url, initial=True), witness))
        workers = await stack.enter_async_context(Workers(dict.fromkeys("abc", redis_server.url)))
        relays = [relay(office, redis_server) for _ in range(3)]
        fleet = await stack.enter_async_context(Fleet(relays, redis))
        await group_is_there(redis)
        await until(lambda: all(it.known for it in readers), "all readers know what there is")
        records = await office.records()
        assert all(it.known == records for it in readers)
        group_began, first = dict(readers[0].known), await published(redis)
        office.live.start()
        for _ in range(KILLS):
            await fleet.leader()
            # In some of these moments it has only just begun, in others it has led for a while.
            await asyncio.sleep(chance.uniform(0, 2 * LEASE))
            await fleet.replace(await fleet.leader(), relay(office, redis_server))
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
        assert not witness.coalesced
        assert [it.sequence for it in witness.updates if it.sequence][-(last - first) :] == list(
            range(first + 1, last + 1)
        )
    check_sequences(group.updates, first + 1, last)
    assert len(terms) > KILLS, "a relay was killed that did not lead"
    took = time.monotonic() - began
    _log.info("%d kills, %d terms, %d publications, %.0f s", KILLS, terms[-1], last, took)
    _log.info("%s %s", readers, group)
