"""The watcher's hook: a function that is called after every poll, and takes what the poll brought."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sipqueue_async import AgentState, AuthError, StatusWatcher, TransportError, Update, WatcherHealth
from tests.kit.builders import ScriptedSource, agent, snapshot

ERROR = TransportError("away")
TALKING = agent(state=AgentState.TALKING)

pytestmark = pytest.mark.virtual_time


async def test_is_called_after_every_poll_with_the_health_of_that_moment() -> None:
    """Whoever keeps statistics of polls misses some, or sees the figures of another one."""
    told: list[WatcherHealth] = []
    source = ScriptedSource(
        [snapshot(server=9), ERROR, snapshot(server=1), snapshot(server=10), AuthError(601)], takes=0.25
    )
    watcher = StatusWatcher(source, interval=1)
    watcher.on_poll(told.append)
    async with watcher:
        with pytest.raises(AuthError):
            async for _ in watcher:
                pass
    assert [health.polls for health in told] == [1, 2, 3, 4, 5]
    assert [health.up for health in told] == [True, False, False, True, False]
    assert [health.stale_polls for health in told] == [0, 0, 1, 1, 1]
    assert [type(health.last_error) for health in told[1:]] == [TransportError] * 3 + [AuthError]
    assert [health.last_duration for health in told] == pytest.approx([0.25] * 5)


async def test_what_the_poll_brought_is_there_already() -> None:
    """A callback that takes updates is a poll behind, or has to wait."""
    watcher = StatusWatcher(ScriptedSource([snapshot(agent()), snapshot(TALKING), ERROR, snapshot(TALKING)]))
    updates = watcher.updates(max_pending=1)
    taken: list[Update | None] = []
    watcher.on_poll(lambda _: taken.append(updates.take()))
    async with watcher:
        await asyncio.sleep(60)
    kinds = [None if update is None else [type(event).__name__ for event in update.events] for update in taken[:5]]
    assert kinds == [None, ["StateChanged"], ["FeedDown"], ["FeedUp"], None]
    assert not any(update.coalesced for update in taken if update)
    assert updates.take() is None, "the end is no error for whoever does not wait"


async def test_a_callback_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a callback ends the watcher, keeps the other callbacks from being called, or goes unseen."""
    told: list[WatcherHealth] = []

    def fail(health: WatcherHealth) -> None:
        raise ZeroDivisionError

    watcher = StatusWatcher(ScriptedSource([snapshot()]), interval=1)
    watcher.on_poll(fail)
    watcher.on_poll(told.append)
    async with watcher:
        await asyncio.sleep(1.5)
    assert len(told) == 2
    assert [(record.levelno, record.exc_info is not None) for record in caplog.records] == [(logging.ERROR, True)] * 2


async def test_can_be_removed_also_from_within_and_more_than_once() -> None:
    """A callback cannot be got rid of, or takes another one of the same function with it."""
    told: list[int] = []

    def once(health: WatcherHealth) -> None:
        told.append(health.polls)
        remove_first()

    watcher = StatusWatcher(ScriptedSource([snapshot()]), interval=1)
    remove_first, remove_second = watcher.on_poll(once), watcher.on_poll(once)
    async with watcher:
        await asyncio.sleep(2.5)
        assert told == [1, 1, 2, 3]
        remove_second()
        remove_second()
        await asyncio.sleep(2)
    assert told == [1, 1, 2, 3]
