"""The tracker's snapshot and updates, poll by poll."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
import pytest

from sipqueue_async import (
    AgentChanged,
    AgentJoined,
    AgentLeft,
    AgentState,
    CallAnswered,
    CallMissed,
    FeedDown,
    FeedUp,
    Snapshot,
    StateChanged,
    TransportError,
    Update,
    apply,
)
from sipqueue_async._tracker import Tracker
from tests.kit.builders import START, agent, snapshot

TALKING = agent(state=AgentState.TALKING)
LATER = datetime(2026, 1, 5, 9, 5)  # noqa: DTZ001
ERROR = TransportError("away")


def tracker(baseline: Snapshot | None = None, *, initial: bool = False, leave_after: int = 2) -> Tracker:
    """Return a tracker with the watcher's defaults."""
    return Tracker(baseline, initial=initial, leave_after=leave_after)


def kinds(update: Update | None) -> list[type]:
    """Return the classes of an update's events."""
    assert update is not None
    return [type(event) for event in update.events]


class TestFirstPoll:
    def test_yields_nothing_by_default(self) -> None:
        it = tracker()
        assert it.polled(snapshot(agent()), 0.0) is None
        assert it.snapshot == snapshot(agent())

    def test_yields_everybody_with_initial(self) -> None:
        update = tracker(initial=True).polled(snapshot(agent("1"), agent("2")), 0.0)
        assert kinds(update) == [AgentJoined, AgentJoined]
        assert update is not None
        assert (update.previous, update.snapshot, update.sequence) == (None, snapshot(agent("1"), agent("2")), 1)

    @pytest.mark.parametrize("initial", [False, True])
    def test_is_compared_with_a_baseline(self, initial: bool) -> None:
        update = tracker(snapshot(agent()), initial=initial).polled(snapshot(TALKING), 0.0)
        assert kinds(update) == [StateChanged]
        assert update is not None
        assert update.previous == snapshot(agent())

    def test_an_empty_first_poll_gives_a_snapshot_and_no_update(self) -> None:
        it = tracker(initial=True)
        assert it.polled(snapshot(), 0.0) is None
        assert it.snapshot is not None


class TestChanges:
    def test_a_poll_without_change_is_no_update_but_is_known(self) -> None:
        it = tracker(snapshot(agent()))
        assert it.polled(snapshot(agent(), at=2), 2.0) is None
        assert it.snapshot is not None
        assert it.snapshot.observed_at == START + timedelta(seconds=2)

    def test_updates_are_numbered(self) -> None:
        it = tracker(snapshot(agent()))
        numbers = [it.polled(snapshot(each, at=at), at) for at, each in enumerate([TALKING, agent(), TALKING])]
        assert [update.sequence for update in numbers if update] == [1, 2, 3]


class TestFeed:
    def test_only_the_first_failure_of_a_row_is_told(self) -> None:
        it = tracker()
        it.polled(snapshot(agent()), 0.0)
        update = it.failed(ERROR, 2.0)
        assert update is not None
        assert update.events == (FeedDown(error=ERROR, since=START),)
        assert update.snapshot is update.previous is it.snapshot
        assert it.failed(ERROR, 4.0) is None
        assert it.failures == 2

    def test_an_outage_is_told_with_what_happened_meanwhile(self) -> None:
        it = tracker(snapshot(agent()))
        it.failed(ERROR, 2.0)
        it.failed(ERROR, 5.0)
        update = it.polled(snapshot(attrs.evolve(agent(), calls_answered=3), at=60), 60.0)
        assert kinds(update) == [FeedUp, CallAnswered]
        assert update is not None
        assert update.events[0] == FeedUp(
            observed_at=START + timedelta(seconds=60), outage=timedelta(seconds=60), failures=2
        )
        assert it.failures == 0

    def test_no_agent_leaves_because_of_a_failure(self) -> None:
        it = tracker(snapshot(agent()), leave_after=1)
        for at in range(5):
            it.failed(ERROR, at)
        assert it.snapshot == snapshot(agent())
        assert kinds(it.polled(snapshot(agent(), at=9), 9.0)) == [FeedUp]

    def test_a_feed_that_starts_down(self) -> None:
        it = tracker()
        down = it.failed(ERROR, 10.0)
        assert down is not None
        assert (down.events, down.snapshot, down.previous) == ((FeedDown(error=ERROR, since=None),), None, None)
        (event,) = down.events
        assert event.observed_at is None
        up = it.polled(snapshot(agent(), at=100), 13.0)
        assert up is not None
        assert up.events == (
            FeedUp(observed_at=START + timedelta(seconds=100), outage=timedelta(seconds=3), failures=1),
        )
        assert up.previous == up.snapshot == snapshot(agent())

    def test_a_feed_that_starts_down_with_initial(self) -> None:
        it = tracker(initial=True)
        it.failed(ERROR, 0.0)
        assert kinds(it.polled(snapshot(agent()), 1.0)) == [FeedUp, AgentJoined]

    def test_an_outage_lasts_as_long_by_the_steady_clock(self) -> None:
        it = tracker(Snapshot([agent()], observed_at=START, steady_at=100.0))
        it.failed(ERROR, 101.0)
        update = it.polled(Snapshot([agent()], observed_at=START + timedelta(hours=1), steady_at=102.5), 102.5)
        assert update is not None
        assert [event.outage for event in update.events if isinstance(event, FeedUp)] == [timedelta(seconds=2.5)]

    def test_a_wall_clock_that_steps_back_makes_no_negative_outage(self) -> None:
        it = tracker(snapshot(agent(), at=100))
        it.failed(ERROR, 0.0)
        update = it.polled(snapshot(agent(), at=50), 1.0)
        assert update is not None
        assert [event.outage for event in update.events if isinstance(event, FeedUp)] == [timedelta(0)]


class TestLeaving:
    def test_one_poll_without_a_seat_is_not_believed(self) -> None:
        it = tracker(snapshot(agent("1"), agent("2")))
        assert it.polled(snapshot(), 0.0) is None
        assert it.snapshot == snapshot(agent("1"), agent("2"))
        assert it.polled(snapshot(agent("1"), agent("2")), 2.0) is None

    def test_the_second_in_a_row_is(self) -> None:
        it = tracker(snapshot(agent("1"), agent("2")))
        it.polled(snapshot(agent("1")), 0.0)
        update = it.polled(snapshot(agent("1"), at=2), 2.0)
        assert kinds(update) == [AgentLeft]
        assert it.snapshot == snapshot(agent("1"))

    def test_polls_must_be_in_a_row(self) -> None:
        it = tracker(snapshot(agent()))
        for at in range(5):
            assert it.polled(snapshot(), at) is None
            assert it.polled(snapshot(agent()), at) is None

    def test_a_stale_answer_that_shows_a_seat_interrupts_the_row(self) -> None:
        times = [START + timedelta(seconds=at) for at in (10, 5)]
        newer, older = (Snapshot(observed_at=START, server_time=time) for time in times)
        it = tracker(snapshot(agent()))
        for at in range(5):
            assert not it.is_stale(newer)
            assert it.polled(newer, at) is None
            assert it.is_stale(older.with_changes({agent().key: agent()}, observed_at=START, server_time=times[1]))

    def test_failed_polls_neither_count_nor_interrupt(self) -> None:
        it = tracker(snapshot(agent()), leave_after=2)
        it.polled(snapshot(), 0.0)
        it.failed(ERROR, 1.0)
        assert kinds(it.polled(snapshot(), 2.0)) == [FeedUp, AgentLeft]

    def test_calls_while_out_of_sight_are_counted(self) -> None:
        it = tracker(snapshot(agent()))
        it.polled(snapshot(), 0.0)
        assert kinds(it.polled(snapshot(attrs.evolve(agent(), calls_answered=1)), 2.0)) == [CallAnswered]

    def test_leave_after_one_is_at_once(self) -> None:
        assert kinds(tracker(snapshot(agent()), leave_after=1).polled(snapshot(), 0.0)) == [AgentLeft]

    def test_the_kept_record_is_in_the_update_that_others_cause(self) -> None:
        old = snapshot(agent("1"), agent("2"))
        it = tracker(old)
        update = it.polled(snapshot(agent("1", AgentState.TALKING), at=2, server=2), 2.0)
        assert update is not None
        assert update.snapshot == apply(old, update.events)
        assert update.snapshot is not None
        assert update.snapshot.server_time == START + timedelta(seconds=2)


class TestStale:
    def test_an_older_answer_is_stale_until_the_third_in_a_row(self) -> None:
        it = tracker(snapshot(agent(), server=100))
        assert [it.is_stale(snapshot(agent(), server=50)) for _ in range(5)] == [True, True, False, True, True]

    def test_a_fresh_answer_between_starts_the_count_anew(self) -> None:
        it = tracker(snapshot(agent(), server=100))
        fresh, old = snapshot(agent(), server=101), snapshot(agent(), server=99)
        assert [it.is_stale(each) for each in (old, old, fresh, old, old, fresh)] == [True, True, False] * 2

    def test_the_same_second_is_not_stale(self) -> None:
        assert not tracker(snapshot(server=100)).is_stale(snapshot(server=100))

    def test_answers_without_a_time_cannot_be_stale(self) -> None:
        it = tracker()
        it.polled(snapshot(server=100), 0.0)
        assert not it.is_stale(snapshot())
        it.polled(snapshot(), 1.0)
        assert it.is_stale(snapshot(server=99))

    def test_the_new_time_counts_once_the_step_is_believed(self) -> None:
        it = tracker(snapshot(server=100))
        for _ in range(2):
            assert it.is_stale(snapshot(server=50))
        assert not it.is_stale(snapshot(server=51))
        it.polled(snapshot(server=51), 0.0)
        assert not it.is_stale(snapshot(server=52))


class TestHeldBack:
    """Answers that are older than the known snapshot. test_high_water.py tests the rules themselves."""

    OLD = agent(calls_answered=7, last_answered_at=datetime(2026, 1, 5, 9, 0))  # noqa: DTZ001
    NEW = agent(calls_answered=8, last_answered_at=datetime(2026, 1, 5, 9, 1))  # noqa: DTZ001

    def test_a_lagging_back_end_adds_no_calls(self) -> None:
        it = tracker(snapshot(self.OLD, server=10))
        told = [it.polled(snapshot(record, server=10), at) for at, record in enumerate([self.NEW, self.OLD] * 4)]
        assert [kinds(update) for update in told if update] == [[CallAnswered]]
        assert it.snapshot == snapshot(self.NEW)
        assert (it.answers_held_back, it.records_held_back, it.is_held_back) == (4, 0, True)

    def test_it_neither_ends_an_outage_nor_sets_the_servers_time(self) -> None:
        it = tracker(snapshot(self.NEW, server=10))
        it.failed(ERROR, 1.0)
        assert it.polled(snapshot(self.OLD, at=2, server=20), 2.0) is None
        assert it.failures == 1
        assert not it.is_stale(snapshot(self.NEW, server=11))
        assert kinds(it.polled(snapshot(self.NEW, at=4, server=11), 4.0)) == [FeedUp]

    def test_calls_after_a_reset_are_counted_from_it(self) -> None:
        """A call that rings at midnight is missed after the reset, although its offer's time is already known."""
        known = agent(no_answer_count=3, last_offered_at=LATER, state=AgentState.RECEIVING)
        it = tracker(snapshot(known))
        reset = attrs.evolve(known, no_answer_count=0)
        missed = attrs.evolve(known, no_answer_count=1, state=AgentState.WAITING, state_code=1213)
        updates = [it.polled(snapshot(reset, at=2), 2.0), *(it.polled(snapshot(missed, at=at), at) for at in (4, 62))]
        assert updates[:2] == [None, None]
        assert kinds(updates[2]) == [AgentChanged, StateChanged, CallMissed]
        assert updates[2] is not None
        assert updates[2].previous is not None
        assert apply(updates[2].previous, updates[2].events) == snapshot(missed)
