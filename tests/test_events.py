"""Events as people and programs read them."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest
from support import START, agent, snapshot

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    Event,
    FeedDown,
    FeedUp,
    Snapshot,
    TransportError,
    Update,
    diff,
)

BEFORE = agent()
TALKING = agent(state=AgentState.TALKING)


def only(old: Snapshot | None, new: Snapshot) -> Event:
    """Return the one event between two snapshots."""
    (event,) = diff(old, new)
    return event


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (only(None, snapshot(BEFORE)), "queue-1 100001 joined, waiting"),
        (only(snapshot(BEFORE), snapshot()), "queue-1 100001 left"),
        (only(snapshot(BEFORE), snapshot(agent(state=AgentState.TALKING))), "queue-1 100001 waiting → talking"),
        (
            only(snapshot(BEFORE), snapshot(agent(state=AgentState.UNKNOWN, state_code=1299))),
            "queue-1 100001 waiting → code 1299",
        ),
        (only(snapshot(BEFORE), snapshot(agent(calls_answered=1))), "queue-1 100001 answered 1 call, unseen"),
        (
            only(
                snapshot(agent(state=AgentState.TALKING)), snapshot(agent(state=AgentState.TALKING, calls_answered=2))
            ),
            "queue-1 100001 answered 2 calls",
        ),
        (only(snapshot(BEFORE), snapshot(agent(no_answer_count=3))), "queue-1 100001 missed 3 calls"),
        (
            only(snapshot(BEFORE), snapshot(agent(name="Ann", wrap_up_time=5))),
            "queue-1 100001 name: None → Ann, wrap_up_time: None → 5",
        ),
        (FeedDown(error=TransportError("away"), since=None), "feed down: away"),
        (FeedUp(observed_at=START, outage=timedelta(seconds=61.4), failures=3), "feed up after 61 s"),
    ],
)
def test_an_event_can_be_read(event: Event, words: str) -> None:
    """A log full of events is a log full of constructors."""
    assert str(event) == words


def test_an_update_can_be_read() -> None:
    """A test that waits for updates in vain shows pages of constructors for what came instead."""
    old, new = snapshot(BEFORE), snapshot(agent(state=AgentState.TALKING, calls_answered=1))
    update = Update(sequence=7, snapshot=new, previous=old, events=diff(old, new))
    words = "queue-1 100001 waiting → talking; queue-1 100001 answered 1 call"
    assert str(update) == f"update 7: {words}"
    assert str(attrs.evolve(update, coalesced=True)) == f"update 7 (coalesced): {words}"


@pytest.mark.parametrize(
    "event",
    [
        AgentJoined(key=BEFORE.key, observed_at=START, agent=BEFORE),
        AgentLeft(key=BEFORE.key, observed_at=START, previous=BEFORE),
        FeedUp(observed_at=START, outage=timedelta(0), failures=1),
        FeedDown(error=TransportError("away"), since=START),
    ],
)
def test_every_event_has_the_common_attributes(event: Event) -> None:
    """A consumer that treats all events alike meets an AttributeError."""
    assert event.observed_at == START
    seat = None if isinstance(event, FeedDown | FeedUp) else BEFORE.key
    assert (event.key, event.queue, event.extension) == (seat, seat and seat.queue, seat and seat.extension)
    assert BEFORE in (event.agent, event.previous) or (event.agent, event.previous) == (None, None)


def test_events_are_frozen() -> None:
    """A consumer changes what another one sees."""
    event = FeedUp(observed_at=START, outage=timedelta(0), failures=1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.failures = 2  # type: ignore[misc]  # the point of the test
