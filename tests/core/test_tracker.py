"""What is known, poll by poll."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    CallAnswered,
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
        """A restart is told as everybody joining."""
        it = tracker()
        assert it.polled(snapshot(agent()), 0.0) is None
        assert it.snapshot == snapshot(agent())

    def test_yields_everybody_with_initial(self) -> None:
        """A consumer that wants to start from events alone has no start."""
        update = tracker(initial=True).polled(snapshot(agent("1"), agent("2")), 0.0)
        assert kinds(update) == [AgentJoined, AgentJoined]
        assert update is not None
        assert (update.previous, update.snapshot, update.sequence) == (None, snapshot(agent("1"), agent("2")), 1)

    @pytest.mark.parametrize("initial", [False, True])
    def test_is_compared_with_a_baseline(self, initial: bool) -> None:
        """What happened while the program was down is lost."""
        update = tracker(snapshot(agent()), initial=initial).polled(snapshot(TALKING), 0.0)
        assert kinds(update) == [StateChanged]
        assert update is not None
        assert update.previous == snapshot(agent())

    def test_without_anybody_is_known_all_the_same(self) -> None:
        """An empty platform passes for one that was never reached."""
        it = tracker(initial=True)
        assert it.polled(snapshot(), 0.0) is None
        assert it.snapshot is not None


class TestChanges:
    def test_a_poll_without_change_is_no_update_but_is_known(self) -> None:
        """Consumers are woken for nothing, or the age of what is known is wrong."""
        it = tracker(snapshot(agent()))
        assert it.polled(snapshot(agent(), at=2), 2.0) is None
        assert it.snapshot is not None
        assert it.snapshot.observed_at == START + timedelta(seconds=2)

    def test_updates_are_numbered(self) -> None:
        """A consumer cannot tell that it missed something."""
        it = tracker(snapshot(agent()))
        numbers = [it.polled(snapshot(each, at=at), at) for at, each in enumerate([TALKING, agent(), TALKING])]
        assert [update.sequence for update in numbers if update] == [1, 2, 3]


class TestFeed:
    def test_only_the_first_failure_of_a_row_is_told(self) -> None:
        """An outage floods every consumer with one event a poll."""
        it = tracker()
        it.polled(snapshot(agent()), 0.0)
        update = it.failed(ERROR, 2.0)
        assert update is not None
        assert update.events == (FeedDown(error=ERROR, since=START),)
        assert update.snapshot is update.previous is it.snapshot
        assert it.failed(ERROR, 4.0) is None
        assert it.failures == 2

    def test_an_outage_is_told_with_what_happened_meanwhile(self) -> None:
        """Calls during an outage are lost, or nobody knows how long it was."""
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

    def test_a_failure_makes_nobody_leave(self) -> None:
        """An outage is told as everybody leaving."""
        it = tracker(snapshot(agent()), leave_after=1)
        for at in range(5):
            it.failed(ERROR, at)
        assert it.snapshot == snapshot(agent())
        assert kinds(it.polled(snapshot(agent(), at=9), 9.0)) == [FeedUp]

    def test_a_feed_that_starts_down(self) -> None:
        """A first poll that fails is silent, or its recovery claims a time that nobody knows."""
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
        """The first good poll after failures forgets to tell who is there."""
        it = tracker(initial=True)
        it.failed(ERROR, 0.0)
        assert kinds(it.polled(snapshot(agent()), 1.0)) == [FeedUp, AgentJoined]

    def test_a_wall_clock_that_steps_back_makes_no_negative_outage(self) -> None:
        """An outage lasts less than no time."""
        it = tracker(snapshot(agent(), at=100))
        it.failed(ERROR, 0.0)
        update = it.polled(snapshot(agent(), at=50), 1.0)
        assert update is not None
        assert [event.outage for event in update.events if isinstance(event, FeedUp)] == [timedelta(0)]


class TestLeaving:
    def test_one_poll_without_a_seat_is_not_believed(self) -> None:
        """A back end's one empty answer is told as everybody leaving and joining."""
        it = tracker(snapshot(agent("1"), agent("2")))
        assert it.polled(snapshot(), 0.0) is None
        assert it.snapshot == snapshot(agent("1"), agent("2"))
        assert it.polled(snapshot(agent("1"), agent("2")), 2.0) is None

    def test_the_second_in_a_row_is(self) -> None:
        """Somebody who left stays for ever."""
        it = tracker(snapshot(agent("1"), agent("2")))
        it.polled(snapshot(agent("1")), 0.0)
        update = it.polled(snapshot(agent("1"), at=2), 2.0)
        assert kinds(update) == [AgentLeft]
        assert it.snapshot == snapshot(agent("1"))

    def test_polls_must_be_in_a_row(self) -> None:
        """Absences long ago count against a seat."""
        it = tracker(snapshot(agent()))
        for at in range(5):
            assert it.polled(snapshot(), at) is None
            assert it.polled(snapshot(agent()), at) is None

    def test_failed_polls_neither_count_nor_interrupt(self) -> None:
        """A failed poll is taken for an absence, or for a presence."""
        it = tracker(snapshot(agent()), leave_after=2)
        it.polled(snapshot(), 0.0)
        it.failed(ERROR, 1.0)
        assert kinds(it.polled(snapshot(), 2.0)) == [FeedUp, AgentLeft]

    def test_calls_while_out_of_sight_are_counted(self) -> None:
        """A seat that one answer left out loses a call."""
        it = tracker(snapshot(agent()))
        it.polled(snapshot(), 0.0)
        assert kinds(it.polled(snapshot(attrs.evolve(agent(), calls_answered=1)), 2.0)) == [CallAnswered]

    def test_leave_after_one_is_at_once(self) -> None:
        """Whoever asks to be told at once is not."""
        assert kinds(tracker(snapshot(agent()), leave_after=1).polled(snapshot(), 0.0)) == [AgentLeft]

    def test_the_kept_record_is_in_the_update_that_others_cause(self) -> None:
        """A consumer's picture differs from the watcher's while a seat is out of sight."""
        old = snapshot(agent("1"), agent("2"))
        it = tracker(old)
        update = it.polled(snapshot(agent("1", AgentState.TALKING), at=2, server=2), 2.0)
        assert update is not None
        assert update.snapshot == apply(old, update.events)
        assert update.snapshot is not None
        assert update.snapshot.server_time == START + timedelta(seconds=2)


class TestStale:
    def test_an_older_answer_is_stale_until_the_third_in_a_row(self) -> None:
        """A cached answer is told as a change, or a server whose clock was set back is ignored for ever."""
        it = tracker(snapshot(agent(), server=100))
        assert [it.is_stale(snapshot(agent(), server=50)) for _ in range(5)] == [True, True, False, True, True]

    def test_a_fresh_answer_between_starts_the_count_anew(self) -> None:
        """A load balancer's slow server is believed in the end."""
        it = tracker(snapshot(agent(), server=100))
        fresh, old = snapshot(agent(), server=101), snapshot(agent(), server=99)
        assert [it.is_stale(each) for each in (old, old, fresh, old, old, fresh)] == [True, True, False] * 2

    def test_the_same_second_is_not_stale(self) -> None:
        """Polls more than once a second are dropped."""
        assert not tracker(snapshot(server=100)).is_stale(snapshot(server=100))

    def test_answers_without_a_time_cannot_be_stale(self) -> None:
        """A server that says no time is never believed."""
        it = tracker()
        it.polled(snapshot(server=100), 0.0)
        assert not it.is_stale(snapshot())
        it.polled(snapshot(), 1.0)
        assert it.is_stale(snapshot(server=99))

    def test_the_new_time_counts_once_the_step_is_believed(self) -> None:
        """After a step back of the server's clock every third poll alone is taken."""
        it = tracker(snapshot(server=100))
        for _ in range(2):
            assert it.is_stale(snapshot(server=50))
        assert not it.is_stale(snapshot(server=51))
        it.polled(snapshot(server=51), 0.0)
        assert not it.is_stale(snapshot(server=52))


class TestOldRecords:
    """Records that are older than what is known, in answers that do not look it."""

    OLD = agent(calls_answered=7, last_answered_at=datetime(2026, 1, 5, 9, 0))  # noqa: DTZ001
    NEW = agent(calls_answered=8, last_answered_at=datetime(2026, 1, 5, 9, 1))  # noqa: DTZ001

    def test_a_lagging_server_makes_no_calls_up(self) -> None:
        """One of two servers lags, and each of its answers is told as calls that there never were."""
        it = tracker(snapshot(self.OLD, server=10))
        told = [it.polled(snapshot(record, server=10), at) for at, record in enumerate([self.NEW, self.OLD] * 4)]
        assert [kinds(update) for update in told if update] == [[CallAnswered]]
        assert it.snapshot == snapshot(self.NEW)

    def test_other_changes_of_the_same_answer_are_told(self) -> None:
        """One old record hides what happens to everybody else."""
        it = tracker(snapshot(self.NEW, agent("2")))
        update = it.polled(snapshot(self.OLD, agent("2", AgentState.TALKING)), 0.0)
        assert kinds(update) == [StateChanged]
        assert it.snapshot == snapshot(self.NEW, agent("2", AgentState.TALKING))

    def test_the_third_in_a_row_is_believed(self) -> None:
        """A platform whose records were restored from a backup is not believed ever again."""
        it = tracker(snapshot(self.NEW))
        told = [it.polled(snapshot(self.OLD), at) for at in range(4)]
        assert [bool(update) for update in told] == [False, False, True, False]
        assert it.snapshot == snapshot(self.OLD)

    @pytest.mark.parametrize(
        "record",
        [
            attrs.evolve(NEW, calls_answered=2),
            attrs.evolve(NEW, calls_answered=2, last_answered_at=datetime(2026, 1, 5, 9, 30)),  # noqa: DTZ001
            attrs.evolve(NEW, calls_answered=2, last_answered_at=None),
            attrs.evolve(NEW, calls_answered=2, last_answered_at=datetime(2026, 1, 5, 8, tzinfo=UTC)),
            attrs.evolve(NEW, calls_answered=9, last_answered_at=datetime(2026, 1, 5, 8, 1)),  # noqa: DTZ001
        ],
        ids=["reset", "reset and answered", "reset with its times", "told its zone since", "clocks set back"],
    )
    def test_what_is_not_old_is_told_at_once(self, record: AgentStatus) -> None:
        """A reset, or the end of daylight saving time, holds up what happened."""
        assert kinds(tracker(snapshot(self.NEW)).polled(snapshot(record), 0.0))[0] is CallAnswered
