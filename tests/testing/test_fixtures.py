"""The fixtures, used as in a user's tests."""

from __future__ import annotations

import asyncio

import pytest

from sipqueue_async import SipQueueClient, StateChanged, StatusWatcher
from sipqueue_async.simulator import Plan, Simulator
from sipqueue_async.testing import ScriptedSource, collect, make_agent, make_snapshot


async def test_a_bots_reaction(scripted_source: type[ScriptedSource]) -> None:
    source = scripted_source([make_snapshot(make_agent(state="waiting")), make_snapshot(make_agent(state="talking"))])
    async with StatusWatcher(source, interval=0.01) as watcher:
        (event,) = await collect(watcher.subscribe(StateChanged), until=1)
    assert (event.before, event.after) == ("waiting", "talking")


@pytest.mark.sipqueue(Plan(agents=20, queues=2), seed=1, appid="bot", token_lifetime=60.0)
async def test_the_test_moves_model_time(sipqueue_simulator: Simulator, sipqueue_client: SipQueueClient) -> None:
    assert sipqueue_simulator.appid == "bot"
    async with StatusWatcher(sipqueue_client, interval=60) as watcher:
        assert len((await watcher.ready()).queues) == 2
        before = sipqueue_simulator.centre.now
        sipqueue_simulator.advance(3600)
        await watcher.refresh()
        assert sipqueue_simulator.centre.now == before + 3600


@pytest.mark.sipqueue(speed=1000)
async def test_model_time_follows_the_clock_if_asked_to(
    sipqueue_simulator: Simulator, sipqueue_client: SipQueueClient
) -> None:
    first = await sipqueue_client.fetch_snapshot()
    await asyncio.sleep(0.01)
    second = await sipqueue_client.fetch_snapshot()
    assert first.server_time is not None
    assert second.server_time is not None
    assert second.server_time > first.server_time
