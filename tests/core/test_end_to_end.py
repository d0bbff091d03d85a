"""Client and watcher against the simulator over real HTTP: reported and actual calls are equal."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from sipqueue_async import (
    AppCredentials,
    CallAnswered,
    CallMissed,
    FeedDown,
    FeedUp,
    SipQueueClient,
    StatusWatcher,
    apply,
)
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.builders import ScriptedSource, snapshot


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Run a busy call centre whose clock only a test advances."""
    async with Simulator(Plan.lively(), seed=7, speed=0) as running:
        yield running


def client_of(simulator: Simulator) -> SipQueueClient:
    """Return a client with the simulator's credentials."""
    return SipQueueClient(simulator.url, AppCredentials(simulator.appid, simulator.accesskey))


@pytest.mark.parametrize("step", [1.0, 30.0, 300.0])
async def test_reported_calls_are_the_actual_calls_at_any_interval(simulator: Simulator, step: float) -> None:
    simulator.advance(600)
    start = simulator.centre.now
    async with client_of(simulator) as client, StatusWatcher(client, interval=3600) as watcher:
        first = await watcher.ready()
        updates = watcher.updates()
        seen = first
        for _ in range(int(300 / step)):
            simulator.advance(step)
            await watcher.refresh()
        last = watcher.snapshot
    answered = missed = 0
    async for update in updates:
        seen = apply(seen, update.events)
        answered += sum(event.count for event in update.events if isinstance(event, CallAnswered))
        missed += sum(event.count for event in update.events if isinstance(event, CallMissed))
    now = simulator.centre.now
    assert (answered, missed) == (simulator.truth.answered(start, now), simulator.truth.missed(start, now))
    assert answered > 10
    assert seen == last


async def test_a_token_that_dies_costs_one_login_and_no_event(simulator: Simulator) -> None:
    async with client_of(simulator) as client, StatusWatcher(client, interval=3600) as watcher:
        await watcher.ready()
        updates = watcher.updates()
        for _ in range(3):
            simulator.platform.revoke_tokens()
            await watcher.refresh()
            await watcher.refresh()
        assert simulator.platform.logins == 4
        assert watcher.health.failures == 0
    assert [update async for update in updates] == []


async def test_logging_out_gets_a_new_token_for_the_next_call(simulator: Simulator) -> None:
    """A new token is needed to see extensions that were added since the login."""
    async with client_of(simulator) as client:
        before = await client.fetch_snapshot()
        await client.call("App.Sip_Auth.Logout")
        assert await client.fetch_snapshot() == before
        assert simulator.platform.logins == 2


async def test_an_outage_is_feed_down_then_feed_up_with_the_actual_changes(simulator: Simulator) -> None:
    async with client_of(simulator) as client, StatusWatcher(client, interval=0.05, max_backoff=0.1) as watcher:
        first = await watcher.ready()
        updates = watcher.updates()
        await simulator.stop_server()
        down = await anext(updates)
        assert [type(event) for event in down.events] == [FeedDown]
        assert down.snapshot == first
        start = simulator.centre.now
        simulator.advance(300)
        await simulator.start_server()
        up = await anext(updates)
        kinds = Counter(type(event) for event in up.events)
        assert kinds[FeedUp] == 1
        assert up.events[0].key is None
        answered = sum(event.count for event in up.events if isinstance(event, CallAnswered))
        assert answered == simulator.truth.answered(start, simulator.centre.now) > 0
        assert up.snapshot == apply(first, up.events)


async def test_a_poll_that_begins_late_says_how_late() -> None:
    async with StatusWatcher(ScriptedSource([snapshot()]), interval=0.1) as watcher:
        await watcher.ready()
        await asyncio.sleep(0)
        time.sleep(0.19)  # blocks the event loop
        polls = watcher.health.polls
        while watcher.health.polls == polls:
            await asyncio.sleep(0.001)
        assert watcher.health.last_lateness is not None
        assert watcher.health.last_lateness > 0.05


LEFT = """
    import asyncio, gc, os, sys
    from sipqueue_async import AppCredentials, SipQueueClient, StatusWatcher
    from sipqueue_async.simulator import Plan, Simulator

    def sockets():
        paths = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return sum(os.readlink(path).startswith("socket:") for path in paths if os.path.exists(path))

    async def consume(client, how):
        async with StatusWatcher(client, interval=0.01, initial=True) as watcher:
            async for event in watcher:
                if how == "break":
                    break
                if how == "exception":
                    raise LookupError
                asyncio.current_task().cancel()

    async def main(how):
        before = sockets()
        async with Simulator(Plan.lively(), seed=1, speed=10) as simulator:
            async with SipQueueClient(simulator.url, AppCredentials(simulator.appid, simulator.accesskey)) as client:
                task = asyncio.create_task(consume(client, how))
                await asyncio.wait([task])
                task.cancelled() or task.exception()
                others = asyncio.all_tasks() - {asyncio.current_task()}
                assert not [it for it in others if "sipqueue" in it.get_name()], others
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task()}, asyncio.all_tasks()
        assert sockets() == before, (sockets(), before)

    for how in "break", "exception", "cancellation":
        asyncio.run(main(how))
    gc.collect()
"""


def without_slowness(complaints: str) -> str:
    """Return a process's standard error without the warnings about slow steps, which depend on the machine."""
    return re.sub(r"^.*Executing <.*> took [\d.]+ seconds\n", "", complaints, flags=re.MULTILINE)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts sockets in /proc")
def test_leaving_the_loop_leaves_no_task_socket_or_warning_behind() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(LEFT)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, without_slowness(result.stderr)) == (0, "")
