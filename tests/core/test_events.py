"""The texts and the JSON of events."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tests.kit.builders import START, agent, snapshot
from tests.kit.strategies import snapshots

BEFORE = agent()
TALKING = agent(state=AgentState.TALKING)


def only(old: Snapshot | None, new: Snapshot) -> Event:
    """Return the single event between two snapshots."""
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
        (only(snapshot(BEFORE), snapshot(agent(calls_answered=1))), "queue-1 100001 answered 1 call, hidden"),
        (
            only(
                snapshot(agent(state=AgentState.TALKING)), snapshot(agent(state=AgentState.TALKING, calls_answered=2))
            ),
            "queue-1 100001 answered 2 calls, 1 hidden",
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
    assert str(event) == words


def test_an_update_can_be_read() -> None:
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
    assert event.observed_at == START
    seat = None if isinstance(event, FeedDown | FeedUp) else BEFORE.key
    assert (event.key, event.queue, event.extension) == (seat, seat and seat.queue, seat and seat.extension)
    assert BEFORE in (event.agent, event.previous) or (event.agent, event.previous) == (None, None)


def test_events_are_frozen() -> None:
    event = FeedUp(observed_at=START, outage=timedelta(0), failures=1)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.failures = 2  # type: ignore[misc]  # the point of the test


class TestJson:
    """Events as JSON, for programs in other languages and for the command line's readers."""

    def test_every_class_has_a_name_of_its_own(self) -> None:
        kinds = [kind.kind for kind in get_args(Event)]
        assert kinds == [
            *("agent-joined", "agent-left", "state-changed", "call-answered", "call-missed", "agent-changed"),
            *("feed-down", "feed-up"),
        ]

    @given(before=st.none() | snapshots(), after=snapshots())
    def test_json_can_hold_whatever_happens_to_a_seat(self, before: Snapshot | None, after: Snapshot) -> None:
        for event in diff(before, after):
            written = json.loads(json.dumps(event.to_dict()))
            assert written == event.to_dict()
            assert (written["event"], written["queue"], written["extension"]) == (event.kind, *event.key)
            assert written["observed_at"] == event.observed_at.isoformat()

    def test_each_has_what_it_is_about(self) -> None:
        """The JSON contains everything that the Python object contains."""
        seat = {"queue": "queue-1", "extension": "100001", "name": None, "observed_at": START.isoformat()}
        at = datetime(2026, 1, 5, 9, tzinfo=UTC)
        joined = only(None, snapshot(BEFORE)).to_dict()
        assert joined == {"event": "agent-joined", **seat, "agent": BEFORE.to_dict()}
        left = only(snapshot(BEFORE), snapshot()).to_dict()
        assert left == {"event": "agent-left", **seat, "previous": BEFORE.to_dict()}
        talking = agent(state=AgentState.TALKING, calls_answered=2, last_answered_at=at)
        changed, answered = (event.to_dict() for event in diff(snapshot(BEFORE), snapshot(talking)))
        own = {"before": "waiting", "after": "talking", "before_code": 1213, "after_code": 1215}
        assert changed == {"event": "state-changed", **seat, **own, "occurred_at": at.isoformat()}
        own_of_call = {"count": 2, "answered_at": at.isoformat(), "hidden": True, "hidden_count": 1}
        assert answered == {"event": "call-answered", **seat, **own_of_call}
        missed = only(snapshot(BEFORE), snapshot(agent(no_answer_count=3))).to_dict()
        assert missed == {"event": "call-missed", **seat, "count": 3, "offered_at": None}
        renamed = only(snapshot(BEFORE), snapshot(agent(name="Ann"))).to_dict()
        changes = {"name": {"before": None, "after": "Ann"}}
        assert renamed == {"event": "agent-changed", **seat, "name": "Ann", "changes": changes}

    def test_the_feeds_have_why_and_how_long(self) -> None:
        down = FeedDown(error=TransportError("away"), since=START)
        since = START.isoformat()
        why = {"error": "away", "error_type": "TransportError"}
        assert down.to_dict() == {"event": "feed-down", "observed_at": since, "since": since, **why}
        assert attrs.evolve(down, since=None).to_dict()["since"] is None
        up = FeedUp(observed_at=START, outage=timedelta(seconds=61.5), failures=3)
        assert up.to_dict() == {"event": "feed-up", "observed_at": since, "outage": 61.5, "failures": 3}


def test_leaving_begins_no_state() -> None:
    (left,) = diff(snapshot(BEFORE), snapshot())
    assert not left.begins_state
