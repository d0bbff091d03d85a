"""`diff` and `apply`: each row of the event table, case by case. The laws are in test_laws.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
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
    FeedUp,
    FieldProblem,
    SeatKey,
    StateChanged,
    TransportError,
    apply,
    diff,
)
from tests.kit.builders import START, agent, snapshot

EARLIER = datetime(2026, 1, 5, 9, 0, 0)  # noqa: DTZ001
LATER = datetime(2026, 1, 5, 9, 5, 0)  # noqa: DTZ001


def changes(before: AgentStatus, after: AgentStatus) -> tuple[Event, ...]:
    """Return the events between two records of one seat."""
    return diff(snapshot(before), snapshot(after, at=2))


def timed(field: str, moment: datetime, state: AgentState = AgentState.WAITING) -> AgentStatus:
    """Return a record with one of its times set."""
    fields: dict[str, Any] = {field: moment}
    return agent(state=state, **fields)


def told(events: tuple[Event, ...]) -> list[str]:
    """Return the events' kinds with their details."""
    return [type(event).__name__ for event in events]


# A change of state covers these fields; a changed queue or extension is another seat.
TOLD_WITH_A_STATE = {
    "queue",
    "extension",
    "state",
    "state_code",
    "status_code",
    "last_answered_at",
    "last_offered_at",
    "last_changed_at",
}


class TestSeats:
    def test_from_nothing_everybody_joins(self) -> None:
        """Without an old snapshot, every seat joins, in the order of the seats."""
        first, second = agent("2"), agent("1", queue="queue-2")
        new = snapshot(second, first)
        assert diff(None, new) == (
            AgentJoined(key=SeatKey("queue-1", "2"), observed_at=START, agent=first),
            AgentJoined(key=SeatKey("queue-2", "1"), observed_at=START, agent=second),
        )

    def test_a_new_seat_joined(self) -> None:
        (event,) = diff(snapshot(agent("1")), snapshot(agent("1"), agent("2"), at=2))
        assert isinstance(event, AgentJoined)
        assert (event.agent, event.previous) == (agent("2"), None)
        assert (event.queue, event.extension) == ("queue-1", "2")
        assert event.observed_at == START + timedelta(seconds=2)

    def test_a_missing_seat_left(self) -> None:
        (event,) = diff(snapshot(agent("1"), agent("2")), snapshot(agent("1"), at=2))
        assert isinstance(event, AgentLeft)
        assert (event.agent, event.previous, event.key) == (None, agent("2"), ("queue-1", "2"))

    def test_the_same_extension_in_two_queues_is_two_seats(self) -> None:
        old = snapshot(agent("1"), agent("1", queue="queue-2"))
        new = snapshot(agent("1"), agent("1", AgentState.TALKING, queue="queue-2"))
        assert [event.key for event in diff(old, new)] == [("queue-2", "1")]

    def test_events_come_by_queue_then_extension_then_kind(self) -> None:
        busy = agent("1", AgentState.TALKING, queue="b", calls_answered=1, no_answer_count=1, name="new")
        old = snapshot(agent("1", queue="b"), agent("9", queue="a"))
        new = snapshot(busy, agent("2", queue="b"), agent("3", queue="a"))
        events = diff(old, new)
        assert [(event.key, type(event)) for event in events] == [
            (("a", "3"), AgentJoined),
            (("a", "9"), AgentLeft),
            (("b", "1"), StateChanged),
            (("b", "1"), CallAnswered),
            (("b", "1"), CallMissed),
            (("b", "1"), AgentChanged),
            (("b", "2"), AgentJoined),
        ]


class TestStateChanged:
    def test_says_before_after_and_both_records(self) -> None:
        before, after = agent(), agent(state=AgentState.PAUSED)
        (event,) = changes(before, after)
        assert isinstance(event, StateChanged)
        assert (event.before, event.after) == (AgentState.WAITING, AgentState.PAUSED)
        assert (event.previous, event.agent) == (before, after)
        assert event.occurred_at is None

    def test_two_unknown_codes_differ(self) -> None:
        """A change between two unlisted codes is a change of state."""
        before = agent(state=AgentState.UNKNOWN)
        (event,) = changes(before, attrs.evolve(before, state_code=1299))
        assert isinstance(event, StateChanged)
        assert (event.before, event.after) == (AgentState.UNKNOWN, AgentState.UNKNOWN)

    def test_another_code_of_the_same_state_is_no_change_of_state(self) -> None:
        """The platform has two codes for some states, such as 1202 and 1214."""
        before = agent(state=AgentState.RECEIVING)
        assert [
            e.fields for e in changes(before, attrs.evolve(before, state_code=1202)) if isinstance(e, AgentChanged)
        ] == [{"state_code"}]

    @pytest.mark.parametrize(
        ("state", "field"), [(AgentState.TALKING, "last_answered_at"), (AgentState.RECEIVING, "last_offered_at")]
    )
    def test_occurred_at_is_the_records_new_time(self, state: AgentState, field: str) -> None:
        (event,) = changes(timed(field, EARLIER), timed(field, LATER, state))
        assert isinstance(event, StateChanged)
        assert event.occurred_at == LATER

    @pytest.mark.parametrize(
        ("state", "field"), [(AgentState.TALKING, "last_answered_at"), (AgentState.RECEIVING, "last_offered_at")]
    )
    def test_a_time_that_is_not_new_tells_nothing(self, state: AgentState, field: str) -> None:
        """Without a new time, the time of an earlier call is not reported for this change."""
        (event,) = changes(timed(field, EARLIER), timed(field, EARLIER, state))
        assert isinstance(event, StateChanged)
        assert event.occurred_at is None


class TestCallAnswered:
    def test_counts_what_the_counter_grew_by(self) -> None:
        """Calls that began and ended between two polls are counted."""
        (event,) = changes(agent(calls_answered=3), agent(calls_answered=5, last_answered_at=LATER))
        assert isinstance(event, CallAnswered)
        assert (event.count, event.answered_at, event.hidden) == (2, LATER, True)

    @pytest.mark.parametrize(
        ("before", "after", "count"),
        [
            ({"last_answered_at": EARLIER}, {"last_answered_at": LATER}, 2),
            ({"last_answered_at": EARLIER}, {"last_answered_at": EARLIER}, 0),
            ({"last_answered_at": LATER}, {"last_answered_at": EARLIER}, 0),
            ({"last_answered_at": EARLIER}, {}, 0),
            ({}, {"last_answered_at": LATER}, 2),
            ({}, {}, 2),
            ({"last_offered_at": EARLIER}, {"last_offered_at": LATER}, 2),
            ({"last_answered_at": EARLIER}, {"last_answered_at": EARLIER, "last_offered_at": LATER}, 0),
            ({"last_answered_at": EARLIER}, {"last_answered_at": LATER.replace(tzinfo=UTC)}, 2),
            ({"last_answered_at": LATER.replace(tzinfo=UTC)}, {"last_answered_at": LATER}, 0),
        ],
        ids=[
            *(
                "later",
                "same",
                "earlier",
                "gone",
                "new",
                "never sent",
                "answers never timed",
                "another call's is later",
            ),
            *("later, and its zone known", "the same, its zone unknown"),
        ],
    )
    def test_a_counter_that_fell_counts_its_value_with_a_later_call_time_only(
        self, before: dict[str, Any], after: dict[str, Any], count: int
    ) -> None:
        events = changes(agent(calls_answered=7, **before), agent(calls_answered=2, **after))
        assert sum(event.count for event in events if isinstance(event, CallAnswered)) == count
        named = frozenset[str]().union(*(event.fields for event in events if isinstance(event, AgentChanged)))
        assert ("calls_answered" in named) is (count == 0)

    def test_a_reset_to_zero_is_no_call(self) -> None:
        """A counter set to 0 is an `AgentChanged`, not a call."""
        (event,) = changes(agent(calls_answered=7, no_answer_count=3), agent())
        assert isinstance(event, AgentChanged)
        assert event.fields == {"calls_answered", "no_answer_count"}

    @pytest.mark.parametrize(
        ("before", "after", "hidden"),
        [
            (agent(), agent(state=AgentState.TALKING, calls_answered=1, last_answered_at=LATER), False),
            (agent(state=AgentState.RECEIVING), agent(calls_answered=1, last_answered_at=LATER), True),
            (
                agent(state=AgentState.TALKING, last_answered_at=EARLIER),
                agent(calls_answered=1, last_answered_at=LATER),
                True,
            ),
            (
                agent(state=AgentState.TALKING, last_answered_at=LATER),
                agent(calls_answered=1, last_answered_at=LATER),
                False,
            ),
            (agent(state=AgentState.TALKING), agent(calls_answered=1), True),
        ],
        ids=[
            "talking now",
            "never seen talking",
            "seen in the call before",
            "counted at its end",
            "no times to tell by",
        ],
    )
    def test_hidden_says_whether_a_snapshot_showed_the_call(
        self, before: AgentStatus, after: AgentStatus, hidden: bool
    ) -> None:
        assert [event.hidden for event in changes(before, after) if isinstance(event, CallAnswered)] == [hidden]

    @pytest.mark.parametrize(
        ("before", "after", "hidden_count"),
        [
            (agent(), agent(state=AgentState.TALKING, calls_answered=3, last_answered_at=LATER), 2),
            (agent(), agent(calls_answered=3, last_answered_at=LATER), 3),
            (agent(), agent(state=AgentState.TALKING, calls_answered=3), 2),
            (
                agent(external_calls_count=4),
                agent(state=AgentState.TALKING, calls_answered=1, last_answered_at=LATER, external_calls_count=5),
                1,
            ),
            (
                agent(state=AgentState.TALKING, last_answered_at=EARLIER),
                agent(state=AgentState.TALKING, calls_answered=2, last_answered_at=LATER),
                1,
            ),
            (
                agent(last_answered_at=EARLIER),
                agent(state=AgentState.TALKING, calls_answered=1, last_answered_at=EARLIER),
                1,
            ),
        ],
        ids=[
            *("the last one is shown", "none is shown", "no times", "perhaps in a call outside", "counted at the end"),
            "in a call outside, the other one counted at its end",
        ],
    )
    def test_hidden_count_says_how_many_no_snapshot_showed(
        self, before: AgentStatus, after: AgentStatus, hidden_count: int
    ) -> None:
        (event,) = (event for event in changes(before, after) if isinstance(event, CallAnswered))
        assert (event.hidden_count, event.hidden) == (hidden_count, hidden_count > 0)

    def test_hidden_alone_means_all_of_them(self) -> None:
        """Programs that create events themselves may omit `hidden_count`."""
        (event,) = (it for it in changes(agent(), agent(calls_answered=3)) if isinstance(it, CallAnswered))
        arguments: dict[str, Any] = {
            "key": event.key,
            "observed_at": START,
            "agent": event.agent,
            "previous": event.previous,
        }
        made = [CallAnswered(**arguments, count=3, hidden=hidden) for hidden in (True, False)]
        assert [it.hidden_count for it in made] == [3, 0]

    def test_a_call_outside_the_queue_has_not_the_time_of_one_of_the_queue(self) -> None:
        after = agent(state=AgentState.TALKING, calls_answered=1, last_answered_at=LATER, external_calls_count=1)
        (event, *_) = changes(agent(external_calls_count=0), after)
        assert isinstance(event, StateChanged)
        assert event.occurred_at is None


class TestAnotherPerson:
    """A changed name whose counters do not continue: these are another person's statistics."""

    ANN = agent(name="Ann", calls_answered=3, no_answer_count=1, last_answered_at=EARLIER, last_offered_at=EARLIER)

    @pytest.mark.parametrize(
        "fields",
        [
            {"calls_answered": 6, "last_answered_at": LATER},
            {"calls_answered": 2, "last_answered_at": LATER},
            {"calls_answered": 4, "no_answer_count": 7, "last_offered_at": LATER},
            {"calls_answered": 4, "last_answered_at": None},
            {"calls_answered": 4, "last_answered_at": EARLIER - timedelta(minutes=1)},
        ],
    )
    def test_has_no_calls_told_but_the_fields_named(self, fields: dict[str, Any]) -> None:
        (event,) = changes(self.ANN, attrs.evolve(self.ANN, name="Bob", **fields))
        assert isinstance(event, AgentChanged)
        assert event.fields == {"name", *fields}

    @pytest.mark.parametrize(
        ("name", "fields", "counts"),
        [
            ("Bob", {"calls_answered": 4, "last_answered_at": LATER}, [1]),
            ("Bob", {"calls_answered": 4, "no_answer_count": 2, "last_answered_at": LATER}, [1, 1]),
            ("Bob", {"no_answer_count": 2}, [1]),
            (None, {"calls_answered": 9, "last_answered_at": LATER}, [6]),
        ],
        ids=["one call", "one of each", "a miss has its offer's time", "a name left out"],
    )
    def test_a_rename_in_passing_loses_no_call(
        self, name: str | None, fields: dict[str, Any], counts: list[int]
    ) -> None:
        events = changes(self.ANN, attrs.evolve(self.ANN, name=name, **fields))
        assert [event.count for event in events if isinstance(event, CallAnswered | CallMissed)] == counts
        assert [event.fields for event in events if isinstance(event, AgentChanged)] == [{"name"}]

    def test_may_come_after_a_record_without_a_name(self) -> None:
        new: dict[str, Any] = {"name": "Bob", "calls_answered": 9, "last_answered_at": LATER}
        (event,) = changes(attrs.evolve(self.ANN, name=None), attrs.evolve(self.ANN, **new))
        assert isinstance(event, AgentChanged)
        assert event.fields == {*new}

    def test_a_counter_that_was_unknown_is_no_evidence_of_another_person(self) -> None:
        old = snapshot(
            attrs.evolve(self.ANN, no_answer_count=0),
            problems=[FieldProblem(*self.ANN.key, "noanswercount", "missing")],
        )
        new = attrs.evolve(self.ANN, name="Bob", calls_answered=4, no_answer_count=9, last_answered_at=LATER)
        told = diff(old, snapshot(new))
        assert [type(event) for event in told] == [CallAnswered, AgentChanged]


@pytest.mark.parametrize("field", ["callsanswered", "noanswercount"])
def test_a_counter_that_the_platform_never_sent_tells_no_calls(field: str) -> None:
    grown = agent(calls_answered=5, no_answer_count=5)
    told = {}
    for carried in (False, True):
        problems = [FieldProblem("queue-1", "100001", field, "is missing", carried)]
        events = diff(snapshot(agent(), problems=problems), snapshot(grown))
        told[carried] = [type(event) for event in events]
    expected = {"callsanswered": [CallMissed, AgentChanged], "noanswercount": [CallAnswered, AgentChanged]}
    assert told == {False: expected[field], True: [CallAnswered, CallMissed]}


class TestCallMissed:
    def test_counts_what_the_counter_grew_by(self) -> None:
        """Offers that were missed between two polls are counted."""
        (event,) = changes(agent(no_answer_count=1), agent(no_answer_count=4, last_offered_at=LATER))
        assert isinstance(event, CallMissed)
        assert (event.count, event.offered_at) == (3, LATER)


class TestAgentChanged:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", "Agent 02"),
            ("status_code", 1202),
            ("last_answered_at", LATER),
            ("last_offered_at", LATER),
            ("last_changed_at", LATER),
            ("external_calls_count", 1),
            ("wrap_up_time", 5),
            ("max_no_answer", 3),
        ],
    )
    def test_any_other_field_is_named(self, field: str, value: Any) -> None:
        (event,) = changes(agent(), attrs.evolve(agent(), **{field: value}))
        assert isinstance(event, AgentChanged)
        assert event.fields == {field}

    def test_names_only_what_no_other_event_told(self) -> None:
        """A call has no second event for its times, and a rename at the same time has exactly one."""
        before = agent(name="old")
        after = agent(
            state=AgentState.TALKING,
            name="new",
            calls_answered=1,
            last_answered_at=LATER,
            last_offered_at=EARLIER,
            last_changed_at=EARLIER,
        )
        events = changes(before, after)
        assert told(events) == ["StateChanged", "CallAnswered", "AgentChanged"]
        assert [event.fields for event in events if isinstance(event, AgentChanged)] == [{"name"}]

    @pytest.mark.parametrize("field", sorted({it.name for it in attrs.fields(AgentStatus)} - TOLD_WITH_A_STATE))
    def test_no_other_field_hides_behind_a_state(self, field: str) -> None:
        """Every other changed field is reported beside a change of state."""
        old: dict[str, Any] = {field: "old" if field == "name" else 5}
        # A counter that decreased to 0 was reset, so no call is reported.
        new: dict[str, Any] = {field: None if field == "name" else 0}
        before = agent(**old)
        after = attrs.evolve(before, state=AgentState.TALKING, **new)
        events = changes(before, after)
        assert told(events) == ["StateChanged", "AgentChanged"]
        assert [event.fields for event in events if isinstance(event, AgentChanged)] == [{field}]

    def test_a_missed_call_speaks_for_its_offer_not_for_an_answer(self) -> None:
        events = changes(agent(), agent(no_answer_count=1, last_offered_at=LATER, last_answered_at=LATER))
        assert told(events) == ["CallMissed", "AgentChanged"]
        assert [event.fields for event in events if isinstance(event, AgentChanged)] == [{"last_answered_at"}]


class TestApply:
    def test_nothing_happened(self) -> None:
        """Without events, `apply` returns the snapshot itself."""
        before = snapshot(agent())
        assert apply(before, ()) is before

    def test_events_of_the_feed_change_no_record(self) -> None:
        before = snapshot(agent())
        down = FeedDown(error=TransportError("away"), since=START)
        up = FeedUp(observed_at=START, outage=timedelta(0), failures=1)
        assert apply(before, (down, up)) is before

    def test_is_observed_when_the_last_event_was(self) -> None:
        old, new = snapshot(agent("1"), agent("2")), snapshot(agent("1", AgentState.TALKING), agent("3"), at=9)
        result = apply(old, diff(old, new))
        assert result == new
        assert result.observed_at == new.observed_at

    def test_leaves_the_snapshot_it_started_from_alone(self) -> None:
        old = snapshot(agent("1"))
        apply(old, diff(old, snapshot(agent("2"))))
        assert dict(old) == {("queue-1", "1"): agent("1")}

    def test_an_absent_seat_may_leave_again(self) -> None:
        left = diff(snapshot(agent("1")), snapshot())
        assert apply(snapshot(agent("2")), left) == snapshot(agent("2"))

    def test_needs_something_to_start_from(self) -> None:
        with pytest.raises(ValueError, match="nothing to apply"):
            apply(None, ())
