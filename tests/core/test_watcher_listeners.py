"""Listeners of a feed, which a watcher calls after every poll."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sipqueue_async import AgentState, AuthError, StatusWatcher, TransportError, Update, WatcherHealth
from tests.kit.builders import ScriptedSource, agent, snapshot

ERROR = TransportError("away")
TALKING = agent(state=AgentState.TALKING)

pytestmark = pytest.mark.virtual_time


async def test_is_called_after_every_poll_with_its_health() -> None:
    told: list[WatcherHealth] = []
    source = ScriptedSource(
        [snapshot(server=9), ERROR, snapshot(server=1), snapshot(server=10), AuthError(601)], takes=0.25
    )
    watcher = StatusWatcher(source, interval=1)
    watcher.add_listener(told.append)
    async with watcher:
        with pytest.raises(AuthError):
            async for _ in watcher:
                pass
    assert [health.polls for health in told] == [1, 2, 3, 4, 5]
    assert [health.up for health in told] == [True, False, False, True, False]
    assert [health.stale_polls for health in told] == [0, 0, 1, 1, 1]
    assert [type(health.last_error) for health in told[1:]] == [TransportError] * 3 + [AuthError]
    assert [health.last_duration for health in told] == pytest.approx([0.25] * 5)


async def test_streams_have_what_the_poll_brought() -> None:
    watcher = StatusWatcher(ScriptedSource([snapshot(agent()), snapshot(TALKING), ERROR, snapshot(TALKING)]))
    updates = watcher.updates(max_pending=1)
    taken: list[Update | None] = []
    watcher.add_listener(lambda _: taken.append(updates.get_nowait()))
    async with watcher:
        await asyncio.sleep(60)
    kinds = [None if update is None else [type(event).__name__ for event in update.events] for update in taken[:5]]
    assert kinds == [None, ["StateChanged"], ["FeedDown"], ["FeedUp"], None]
    assert not any(update.coalesced for update in taken if update)
    assert updates.get_nowait() is None, "the end is no error for whoever does not wait"


async def test_a_listener_that_fails_changes_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """The exception is logged; the watcher and the other listeners continue."""
    told: list[WatcherHealth] = []

    def fail(health: WatcherHealth) -> None:
        raise ZeroDivisionError

    watcher = StatusWatcher(ScriptedSource([snapshot()]), interval=1)
    watcher.add_listener(fail)
    watcher.add_listener(told.append)
    async with watcher:
        await asyncio.sleep(1.5)
    assert len(told) == 2
    assert [(record.levelno, record.exc_info is not None) for record in caplog.records] == [(logging.ERROR, True)] * 2


async def test_can_be_removed_from_within_and_more_than_once() -> None:
    told: list[int] = []

    def once(health: WatcherHealth) -> None:
        told.append(health.polls)
        remove_first()

    watcher = StatusWatcher(ScriptedSource([snapshot()]), interval=1)
    remove_first, remove_second = watcher.add_listener(once), watcher.add_listener(once)
    async with watcher:
        await asyncio.sleep(2.5)
        assert told == [1, 1, 2, 3]
        remove_second()
        remove_second()
        await asyncio.sleep(2)
    assert told == [1, 1, 2, 3]


async def test_the_old_names_work_and_warn() -> None:
    watcher = StatusWatcher(ScriptedSource([snapshot(agent()), snapshot(TALKING)]), interval=1)
    updates = watcher.updates()
    told: list[bool | None] = []
    with pytest.warns(DeprecationWarning, match="use add_listener"):
        watcher.on_poll(lambda health: told.append(health.up))
    with pytest.warns(DeprecationWarning, match="use add_listener"):
        watcher.on_look(lambda health: told.append(health.up))
    async with watcher:
        await asyncio.sleep(1.5)
        with pytest.warns(DeprecationWarning, match=r"use Updates\.get_nowait"):
            assert updates.take() is not None
    assert told == [True] * 4
