"""A reader that is far behind, while the stream still has all entries."""

from __future__ import annotations

import asyncio

from sipqueue_async import Snapshot
from sipqueue_async.redis import RedisFeed, Relay
from tests.kit.builders import agent, snapshot
from tests.kit.cable import Cable
from tests.kit.redis_server import RedisServer
from tests.kit.waiting import until

_UPDATES = 130


async def test_a_reader_that_was_away_for_a_moment_is_handed_each_update(redis_server: RedisServer) -> None:
    """The entries of one read fit into the subscription's buffer, so none coalesce."""
    calls = 0
    go_on = asyncio.Event()

    async def source() -> Snapshot:
        nonlocal calls
        if calls == 1:
            await go_on.wait()
        while relay.sequence < calls:
            await asyncio.sleep(0.0005)
        calls = min(calls + 1, _UPDATES)
        return snapshot(agent(calls_answered=calls))

    relay = Relay(source, redis_server.url, interval=0.0001)
    async with asyncio.timeout(60), Cable(redis_server.port) as cable, relay, RedisFeed(cable.url) as feed:
        await feed.ready()
        updates = feed.updates()
        cable.pull()
        go_on.set()
        await until(lambda: relay.sequence == _UPDATES)
        cable.plug()
        got = [await anext(updates) for _ in range(_UPDATES - 1)]
    assert [(it.sequence, it.coalesced) for it in got] == [(number, False) for number in range(2, _UPDATES + 1)]
