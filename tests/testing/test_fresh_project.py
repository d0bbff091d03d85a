"""The tests of a user's bot: run here, and by `nox -s package` in a project that has installed the wheel.

They do not depend on this project's settings: tests are marked for pytest-asyncio's strict mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from sipqueue_async import FeedDown, FeedUp, SipQueueClient, StateChanged, StatusWatcher, TransportError
from sipqueue_async.simulator import Plan, Simulator
from sipqueue_async.testing import ScriptedSource, collect, make_agent, make_snapshot


async def announce(watcher: StatusWatcher, say: Callable[[str], None]) -> None:
    """The bot: report each change of state until the watcher ends."""
    async for event in watcher.subscribe(StateChanged):
        say(f"{event.extension} is {event.after}")


@pytest.mark.asyncio
async def test_a_bot_announces_a_call(scripted_source: type[ScriptedSource]) -> None:
    source = scripted_source([make_snapshot(make_agent(state="waiting")), make_snapshot(make_agent(state="talking"))])
    said: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.TaskGroup() as group, StatusWatcher(source, interval=0.01) as watcher:
        group.create_task(announce(watcher, said.put_nowait))
        assert await said.get() == "100001 is talking"


@pytest.mark.asyncio
async def test_an_outage_is_scripted(scripted_source: type[ScriptedSource]) -> None:
    source = scripted_source([make_snapshot(at=0), TransportError("no route to host"), make_snapshot(at=60)])
    async with StatusWatcher(source, interval=0.01) as watcher:
        down, up = await collect(watcher, until=FeedUp)
    assert isinstance(down, FeedDown)
    assert isinstance(up, FeedUp)
    assert up.outage == timedelta(minutes=1)


@pytest.mark.asyncio
@pytest.mark.sipqueue(Plan(agents=20, queues=2), seed=1)
async def test_an_hour_passes(sipqueue_simulator: Simulator, sipqueue_client: SipQueueClient) -> None:
    """The simulator advances by an hour without waiting."""
    async with StatusWatcher(sipqueue_client, interval=60) as watcher:
        await watcher.ready()
        sipqueue_simulator.advance(3600)
        await watcher.refresh()
        assert await collect(watcher, until=StateChanged)


@pytest.mark.asyncio
async def test_the_platform_is_away(sipqueue_simulator: Simulator, sipqueue_client: SipQueueClient) -> None:
    sipqueue_simulator.faults.next(status=503)
    async with StatusWatcher(sipqueue_client, interval=0.01) as watcher:
        assert [type(event) for event in await collect(watcher, until=2)] == [FeedDown, FeedUp]
