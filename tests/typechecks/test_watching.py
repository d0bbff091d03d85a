"""Types of watchers and events: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import assert_never, assert_type

import pytest

from sipqueue_async import (
    AgentChanged,
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedEvent,
    FeedHealth,
    FeedUp,
    HighWater,
    SeatEvent,
    SeatFilter,
    SeatKey,
    Snapshot,
    StateChanged,
    StateSince,
    StatusWatcher,
    Subscription,
    TransportError,
    Update,
    Updates,
    WatcherHealth,
    apply,
    diff,
    run,
)
from sipqueue_async.testing import ScriptedSource, collect
from tests.kit.builders import agent, snapshot


def stages() -> list[Snapshot]:
    """Return snapshots whose differences contain every kind of seat event."""
    talking = agent(state=AgentState.TALKING, calls_answered=1, no_answer_count=1)
    named = agent(state=AgentState.TALKING, calls_answered=1, no_answer_count=1, name="王小明")
    return [
        snapshot(agent(), agent("100002"), at=0),
        snapshot(talking, agent("100003"), at=2),
        snapshot(named, agent("100003"), at=4),
    ]


@pytest.fixture
async def watcher() -> AsyncIterator[StatusWatcher]:
    """Run a watcher."""
    async with StatusWatcher(ScriptedSource(stages()), interval=0.01) as watcher:
        yield watcher


async def test_a_subscription_is_to_what_was_asked_for(watcher: StatusWatcher) -> None:
    assert_type(watcher.subscribe(), Subscription[Event])
    assert_type(watcher.subscribe(StateChanged), Subscription[StateChanged])
    assert_type(watcher.subscribe(StateChanged, CallMissed), Subscription[StateChanged | CallMissed])
    three = watcher.subscribe(StateChanged, CallAnswered, CallMissed, queue="queue-1", extension="1", max_pending=1)
    assert_type(three, Subscription[StateChanged | CallAnswered | CallMissed])
    four = watcher.subscribe(StateChanged, CallMissed, FeedDown, FeedUp)
    assert_type(four, Subscription[StateChanged | CallMissed | FeedDown | FeedUp])
    five = watcher.subscribe(StateChanged, CallAnswered, CallMissed, FeedDown, FeedUp)
    assert_type(five, Subscription[Event])
    assert_type(three.pending, int)
    assert_type(three.close(), None)
    with three as same:
        assert_type(same, Subscription[StateChanged | CallAnswered | CallMissed])
    assert_type(watcher.subscribe(StateChanged, queues=["queue-1"], extensions="1"), Subscription[StateChanged])
    event = await anext(watcher.subscribe(StateChanged))
    assert_type(event, StateChanged)
    assert_type(event.after, AgentState)
    # Type checkers print the union differently, but the events have its type.
    feed: Subscription[FeedDown | FeedUp] | Subscription[Event] = watcher.subscribe(FeedEvent)
    assert feed.pending == 0


async def test_waiting_for_an_event(watcher: StatusWatcher) -> None:
    async def calls() -> None:
        assert_type(
            await watcher.wait_for(CallAnswered, CallMissed, where=lambda event: event.count > 0),
            CallAnswered | CallMissed,
        )

    call = asyncio.create_task(calls())
    more = asyncio.create_task(watcher.wait_for(StateChanged, CallMissed, AgentLeft, extensions=["100001"]))
    event = await watcher.wait_for(StateChanged, queue="queue-1", timeout=30)
    assert_type(event, StateChanged)
    await call
    assert_type(await more, Event)
    assert_type(watcher.state_since(event.key), StateSince)
    assert_type(event.begins_state, bool)
    assert not watcher.state_since(event.key).approximate


async def test_streams_are_of_events_and_of_updates(watcher: StatusWatcher) -> None:
    assert_type(aiter(watcher), Subscription[Event])
    updates, changes = watcher.updates(max_pending=8), watcher.subscribe(StateChanged)
    assert_type(updates, Updates)
    assert_type(updates.get_nowait(), Update | None)
    update = await anext(updates)
    assert_type(update, Update)
    assert_type(update.events, tuple[Event, ...])
    assert_type(update.snapshot, Snapshot | None)
    assert_type(update.previous, Snapshot | None)
    assert_type(update.sequence, int)
    assert_type(update.coalesced, bool)
    assert_type(await collect(changes, until=1), list[StateChanged])
    assert_type(await collect(updates, until=lambda it: assert_type(it, Update)), list[Update])
    assert update.events


async def test_a_watchers_own_calls(watcher: StatusWatcher) -> None:
    assert_type(await watcher.ready(timeout=5), Snapshot)
    assert_type(await watcher.refresh(), Snapshot)
    assert_type(watcher.snapshot, Snapshot | None)
    assert_type(watcher.health, WatcherHealth)
    assert_type(watcher.health.up, bool | None)
    assert_type(watcher.health.last_error, BaseException | None)
    assert_type(watcher.add_listener(lambda health: assert_type(health, WatcherHealth)), Callable[[], None])
    with pytest.warns(DeprecationWarning, match="add_listener"):
        assert_type(watcher.on_poll(lambda health: assert_type(health, WatcherHealth)), Callable[[], None])
    with pytest.warns(DeprecationWarning, match="add_listener"):
        assert_type(watcher.on_look(lambda health: assert_type(health, FeedHealth)), Callable[[], None])
    with pytest.warns(DeprecationWarning, match="get_nowait"):
        assert_type(watcher.updates().take(), Update | None)


def test_high_water() -> None:
    one, two, _ = stages()
    high_water = HighWater(max_lag=30, baseline=one)
    assert_type(high_water.accept(two), tuple[Snapshot, ...])
    assert_type(high_water.accept_part(two), tuple[Snapshot, ...])
    assert_type(high_water.note_present(two), None)
    assert_type(high_water.snapshot, Snapshot | None)
    assert_type(high_water.records_held_back, int)
    assert_type(high_water.answers_held_back, int)


def test_a_filter_of_seats() -> None:
    one, two, _ = stages()
    seats = SeatFilter(["sales"], extensions=None)
    assert_type(seats.queues, frozenset[str] | None)
    assert_type(seats.extensions, frozenset[str] | None)
    assert_type(seats.queue, str | None)
    assert_type(seats.extension, str | None)
    assert_type(seats.is_all, bool)
    assert_type(seats.admits(("sales", "1")), bool)
    assert_type(seats.apply(one), Snapshot)
    assert_type(two.seconds_since(one), float)
    assert_type(two.steady_at, float | None)


def everything() -> list[Event]:
    """Return an event of each class."""
    one, two, three = stages()
    seats = [*diff(one, two), *diff(two, three)]
    down = FeedDown(error=TransportError("no"), since=None)
    return [*seats, down, FeedUp(observed_at=one.observed_at, outage=timedelta(0), failures=1)]


def told(event: Event) -> str:
    """Return the name of an event's class; the match covers all classes."""
    match event:
        case AgentJoined():
            assert_type(event.agent, AgentStatus)
            assert_type(event.previous, None)
        case AgentLeft():
            assert_type(event.agent, None)
            assert_type(event.previous, AgentStatus)
        case StateChanged(before=before, after=after, occurred_at=occurred_at):
            assert_type(before, AgentState)
            assert_type(after, AgentState)
            assert_type(occurred_at, datetime | None)
        case CallAnswered(count=count, hidden=hidden):
            assert_type(count, int)
            assert_type(hidden, bool)
            assert_type(event.answered_at, datetime | None)
        case CallMissed(count=count):
            assert_type(count, int)
            assert_type(event.offered_at, datetime | None)
        case AgentChanged(fields=fields):
            assert_type(fields, frozenset[str])
        case FeedDown(error=error, since=since):
            assert_type(error, BaseException)
            assert_type(since, datetime | None)
        case FeedUp(outage=outage, failures=failures):
            assert_type(outage, timedelta)
            assert_type(failures, int)
        case _:
            assert_never(event)
    assert_type(event.key, SeatKey | None)
    assert_type(event.queue, str | None)
    assert_type(event.agent, AgentStatus | None)
    return type(event).__name__


def test_a_match_over_all_events_is_exhaustive() -> None:
    assert {told(event) for event in everything()} == {
        "AgentJoined",
        "AgentLeft",
        "StateChanged",
        "CallAnswered",
        "CallMissed",
        "AgentChanged",
        "FeedDown",
        "FeedUp",
    }


def test_unions_can_be_told_apart() -> None:
    for event in everything():
        if isinstance(event, FeedDown | FeedUp):
            assert_type(event, FeedEvent)
            assert_type(event.key, None)
        else:
            assert_type(event, SeatEvent)
            assert_type(event.key, SeatKey)
            assert_type(event.queue, str)


def test_the_pure_functions() -> None:
    one, two, _ = stages()
    assert_type(diff(None, one), tuple[SeatEvent, ...])
    assert_type(apply(one, diff(one, two)), Snapshot)
    assert apply(one, diff(one, two)) == two


def test_run_returns_what_main_returns_or_none() -> None:
    async def main() -> int:
        return 5

    assert assert_type(run(main()), int | None) == 5
