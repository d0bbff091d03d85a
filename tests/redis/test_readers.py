"""What a relay publishes, as its readers are told it: on a real Redis."""

from __future__ import annotations

from sipqueue_async import AgentState, StateChanged
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.testing import collect
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.redis_server import RedisServer


async def test_a_change_reaches_a_reader(redis_server: RedisServer) -> None:
    waiting, talking = agent(state=AgentState.WAITING), agent(state=AgentState.TALKING)
    source = ScriptedSource([snapshot(waiting), snapshot(waiting), snapshot(talking)])
    async with RedisFeed(redis_server.url) as feed, Relay(source, redis_server.url, interval=0.2):
        await feed.ready(timeout=5)
        (event,) = await collect(feed.subscribe(StateChanged), until=1)
    assert event.after is AgentState.TALKING
