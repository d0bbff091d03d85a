"""`collect`: gathers the events of a watcher."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Union

import pytest

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AuthError,
    CallAnswered,
    FeedDown,
    FeedUp,
    StateChanged,
    StatusWatcher,
    TransportError,
)
from sipqueue_async.testing import ScriptedSource, collect, make_agent, make_snapshot

pytestmark = pytest.mark.virtual_time


def day() -> ScriptedSource:
    """Return a source with a call and an outage."""
    return ScriptedSource(
        [
            make_snapshot(make_agent(), at=0),
            make_snapshot(make_agent(state="talking", calls_answered=1), at=2),
            TransportError("no route"),
            make_snapshot(make_agent(calls_answered=1), at=6),
        ]
    )


async def test_as_many_as_asked_for() -> None:
    async with StatusWatcher(day()) as watcher:
        assert [str(it) for it in await collect(watcher, until=2)] == [
            "queue-1 100001 waiting → talking",
            "queue-1 100001 answered 1 call",
        ]
        assert [type(it) for it in await collect(watcher, until=3, timeout=30)] == [FeedDown, FeedUp, StateChanged]


async def test_until_one_of_a_class() -> None:
    async with StatusWatcher(day()) as watcher:
        assert [type(it) for it in await collect(watcher, until=FeedDown)] == [StateChanged, CallAnswered, FeedDown]
        assert [type(it) for it in await collect(watcher, until=AgentLeft | FeedUp, timeout=30)] == [FeedUp]
    spelled_out: Any = Union[AgentLeft, FeedUp]  # noqa: UP007  # some do
    async with StatusWatcher(day()) as watcher:
        assert isinstance((await collect(watcher, until=spelled_out, timeout=30))[-1], FeedUp)


async def test_until_something_is_true() -> None:
    async with StatusWatcher(day()) as watcher:
        updates = await collect(watcher.updates(), until=lambda update: len(update.events) == 1)
        assert [len(update.events) for update in updates] == [2, 1]


async def test_for_a_time() -> None:
    async with StatusWatcher(ScriptedSource([make_snapshot(make_agent())])) as watcher:
        begun = asyncio.get_running_loop().time()
        # Use a separate task: Python 3.11 does not trace a task that a timeout resumes.
        assert await asyncio.create_task(collect(watcher, until=timedelta(seconds=60))) == []
        assert asyncio.get_running_loop().time() - begun == pytest.approx(60)
    async with StatusWatcher(day()) as watcher:
        assert len(await collect(watcher, until=timedelta(seconds=3))) == 2


async def test_a_timeout_shows_the_collected_events() -> None:
    async with StatusWatcher(day()) as watcher:
        with pytest.raises(TimeoutError) as caught:
            await collect(watcher.subscribe(StateChanged, CallAnswered), until=AgentJoined, timeout=4)
        assert str(caught.value) == (
            "not within 4 s from <Subscription to StateChanged, CallAnswered, 0 pending>: 2 collected\n"
            "  queue-1 100001 waiting → talking\n"
            "  queue-1 100001 answered 1 call"
        )
    async with StatusWatcher(ScriptedSource([make_snapshot()])) as watcher:
        with pytest.raises(
            TimeoutError, match=r"not within 5 s from <StatusWatcher .*, up, 3 polls>: nothing was collected"
        ):
            await collect(watcher, until=1)


async def test_a_stream_that_ends_before_is_told() -> None:
    async with StatusWatcher(day()) as watcher:
        stream = watcher.subscribe()
        await collect(stream, until=2)
    with pytest.raises(
        RuntimeError, match="<Subscription to everything, 0 pending, ended> ended before: nothing was collected"
    ):
        await collect(stream, until=1)
    assert await collect(stream, until=timedelta(seconds=1)) == []


@pytest.mark.parametrize("error", [AuthError(601, "no"), TimeoutError("of its own")], ids=repr)
async def test_the_error_that_ends_the_watcher_is_raised(error: Exception) -> None:
    async with StatusWatcher(ScriptedSource([make_snapshot(), error])) as watcher:
        with pytest.raises(type(error)) as caught:
            await collect(watcher, until=2)
        assert caught.value is error


async def test_less_than_one_is_refused() -> None:
    async with StatusWatcher(day()) as watcher:
        with pytest.raises(ValueError, match="until must be 1 or more, not 0"):
            await collect(watcher, until=0)
        with pytest.raises(ValueError, match="until must be a time of 0 or more"):
            await collect(watcher, until=timedelta(seconds=-1))


@pytest.mark.parametrize("until", [None, True, 1.5, "FeedDown", (FeedDown, FeedUp), asyncio.sleep])
async def test_an_invalid_condition_is_refused_at_once(until: Any) -> None:
    async with StatusWatcher(ScriptedSource([make_snapshot()])) as watcher:
        with pytest.raises(
            TypeError, match="until must be a number, a class or union of some, a function or a timedelta"
        ):
            await collect(watcher, until=until)
