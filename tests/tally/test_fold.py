"""The fold, case by case: the effect of each kind of update."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from sipqueue_async import AgentLeft, AgentState, Snapshot, Update
from sipqueue_async.tally import Tally
from sipqueue_async.tally.clock import Clock
from tests.kit.builders import agent, snapshot
from tests.kit.tally import SEAT, began, calls, down, elapsed, one, seat, up, update
from tests.kit.times import moment

IDLE, WAITING, TALKING = AgentState.IDLE, AgentState.WAITING, AgentState.TALKING


def test_a_state_lasts_from_the_look_that_shows_it_to_the_one_that_shows_another() -> None:
    """Time between two snapshots belongs to the state in the earlier one, measured by the snapshots' own clock."""
    tally = Tally(one(0))
    tally.update(update(one(8), one(10, TALKING)))
    tally.update(update(one(28, TALKING), one(30, IDLE)))
    assert elapsed(tally) == {"waiting": 10, "talking": 20}
    assert elapsed(tally, 35) == {"waiting": 10, "talking": 20, "idle": 5}
    assert seat(tally).signed_in(moment(35)) == 35
    assert seat(tally).occupancy(moment(40)) == 0.5
    assert (tally.started_at, tally.observed_at) == (moment(0), moment(30))
    assert (seat(tally).key, seat(tally).state, seat(tally).agent) == (SEAT, IDLE, agent(state=IDLE))


def test_a_time_before_the_last_look_is_the_last_look() -> None:
    """Asking for an earlier moment returns the figures at the last poll."""
    tally = Tally(one(10))
    assert elapsed(tally, 5) == {}
    tally.update(update(one(18), one(20, TALKING)))
    assert elapsed(tally, 12) == elapsed(tally) == {"waiting": 10}


def test_a_time_without_a_zone_is_refused() -> None:
    """A naive datetime is a ValueError."""
    tally = Tally(one(0))
    naive = datetime(2026, 1, 5, 9)  # noqa: DTZ001  # what is to be refused
    for ask in (seat(tally).seconds, seat(tally).unseen, tally.total.seconds, tally.total.occupancy, tally.advance):
        with pytest.raises(ValueError, match="must be an aware datetime"):
            ask(naive)


def test_offline_is_not_signed_in() -> None:
    """Offline time counts neither as signed in nor in the occupancy."""
    tally = Tally(one(0, AgentState.OFFLINE))
    assert seat(tally).occupancy(moment(10)) is None
    tally.update(update(one(8, AgentState.OFFLINE), one(10, TALKING)))
    tally.update(update(one(18, TALKING), one(20, IDLE)))
    assert seat(tally).signed_in(moment(30)) == 20
    assert seat(tally).occupancy(moment(30)) == 0.5


def test_a_state_in_the_first_snapshot_has_an_approximate_beginning() -> None:
    """A state in the first snapshot has an approximate beginning; a later one is precise."""
    tally = Tally(one(0, TALKING))
    assert began(tally) == (0, True)
    tally.update(update(one(8, TALKING), one(10)))
    assert began(tally) == (10, False)


def test_who_joins_begins_then() -> None:
    """Time counts from joining; a seat in the first snapshot has an approximate beginning."""
    tally = Tally(snapshot(at=0))
    tally.update(update(snapshot(at=8), one(10)))
    assert (began(tally), elapsed(tally, 15)) == ((10, False), {"waiting": 5})
    told = Tally()
    told.update(update(None, one(10)))
    assert (began(told), elapsed(told, 15), told.started_at) == ((10, True), {"waiting": 5}, moment(10))


def test_without_a_start_it_begins_with_what_was_before_the_first_update() -> None:
    """The first update's previous snapshot is the start."""
    tally = Tally()
    assert (tally.started_at, tally.observed_at, tally.snapshot, dict(tally.seats)) == (None, None, None, {})
    tally.update(update(one(8), one(10, TALKING)))
    assert (tally.started_at, elapsed(tally, 11)) == (moment(8), {"waiting": 2, "talking": 1})


def test_an_outage_is_of_no_state() -> None:
    """The time of an outage is unseen and belongs to no state."""
    tally = Tally(one(0, TALKING))
    tally.update(down(one(10, TALKING)))
    assert (tally.feed_down is not None, elapsed(tally, 30)) == (True, {"talking": 10, "unseen": 20})
    assert (tally.total.unseen(moment(30)), tally.total.seconds(moment(30))[TALKING]) == (20, 10)
    back = one(40, TALKING)
    tally.update(Update(sequence=2, snapshot=back, previous=one(10, TALKING), events=(up(back),)))
    assert (tally.feed_down, elapsed(tally, 45)) == (None, {"talking": 15, "unseen": 30})
    assert began(tally) == (0, True)


def test_a_state_that_is_equal_after_an_outage_keeps_its_beginning() -> None:
    """A state that is equal before and after an outage keeps its beginning."""
    tally = Tally(one(0, TALKING))
    tally.update(update(one(8, TALKING), one(10)))
    tally.update(down(one(20)))
    tally.update(update(one(20), one(30, name="Anna"), up(one(30))))
    assert began(tally) == (10, False)
    assert seat(tally).agent.name == "Anna"


@pytest.mark.parametrize("after", [one(30, IDLE), one(30, calls_answered=1), one(30, no_answer_count=2)])
def test_a_state_that_changed_in_an_outage_has_an_approximate_beginning(after: Snapshot) -> None:
    """A state or counter that differs after an outage changed then, at an approximate time."""
    tally = Tally(one(0))
    tally.update(down(one(20)))
    tally.update(update(one(20), after, up(after)))
    assert began(tally) == (30, True)
    assert elapsed(tally) == {"waiting": 20, "unseen": 10}


def test_a_feed_that_is_down_from_the_start_begins_when_it_is_up() -> None:
    """If the feed is down from the start, time counts from the first snapshot."""
    tally = Tally()
    tally.update(down(None))
    assert (tally.started_at, tally.feed_down is not None) == (None, True)
    tally.advance(moment(5))
    first = one(10)
    tally.update(Update(sequence=2, snapshot=first, previous=first, events=(up(first),)))
    assert (tally.started_at, tally.feed_down, elapsed(tally, 15)) == (moment(10), None, {"waiting": 5})


def test_several_changes_in_one_began_sometime() -> None:
    """A state from a coalesced update has an approximate beginning."""
    tally = Tally(one(0))
    tally.update(update(one(0), one(60, TALKING), coalesced=True))
    assert (began(tally), elapsed(tally)) == ((60, True), {"waiting": 60})


def test_changes_seen_while_the_feed_came_up_and_went_down_again_are_not_seen_time() -> None:
    """Two coalesced outages are unseen, and so is the time between them."""
    tally = Tally(one(0))
    tally.update(down(one(10)))
    tally.update(update(one(10), one(30, TALKING), coalesced=True))
    assert (began(tally), elapsed(tally, 50)) == ((30, True), {"waiting": 10, "unseen": 40})
    assert tally.feed_down is not None


def test_a_call_between_two_polls_begins_the_state_anew() -> None:
    tally = Tally(one(0))
    tally.update(update(one(8), one(10, calls_answered=1)))
    assert (began(tally), calls(tally)) == ((10, False), (1, 0))
    tally.update(update(one(18, calls_answered=1), one(20, calls_answered=1, no_answer_count=2)))
    assert (began(tally), calls(tally)) == ((20, False), (1, 2))
    assert elapsed(tally) == {"waiting": 20}


def test_a_counter_that_lags_begins_nothing() -> None:
    """If a counter follows the state by a poll, the state does not begin again."""
    before, after = datetime(2026, 1, 5, 8), datetime(2026, 1, 5, 9)  # noqa: DTZ001  # as the platform sends them
    tally = Tally(one(0, last_answered_at=before, last_offered_at=before))
    shown = one(10, TALKING, last_answered_at=after, last_offered_at=after)
    counted = one(12, TALKING, last_answered_at=after, last_offered_at=after, calls_answered=1)
    missed = one(14, TALKING, last_answered_at=after, last_offered_at=after, calls_answered=1, no_answer_count=1)
    tally.update(update(one(8, last_answered_at=before, last_offered_at=before), shown))
    tally.update(update(shown, counted))
    tally.update(update(counted, missed))
    assert (began(tally), calls(tally)) == ((10, False), (1, 1))


def test_another_unknown_code_is_another_state() -> None:
    """A change between two unlisted codes is a change of state."""
    tally = Tally(one(0, AgentState.UNKNOWN, state_code=1299))
    tally.update(update(one(8, AgentState.UNKNOWN, state_code=1299), one(10, AgentState.UNKNOWN, state_code=1298)))
    assert (began(tally), elapsed(tally)) == ((10, False), {"unknown": 10})


def test_who_leaves_stays_in_the_figures() -> None:
    """An agent who left keeps their figures, and no further time counts."""
    tally = Tally(one(0, TALKING, calls_answered=3))
    tally.update(update(one(8, TALKING, calls_answered=3), one(10, TALKING, calls_answered=4)))
    tally.update(update(one(18), snapshot(at=20)))
    assert not seat(tally).present
    assert (began(tally), elapsed(tally, 60), calls(tally)) == ((20, False), {"talking": 20}, (1, 0))
    assert (tally.total.signed_in, sum(tally.total.agents.values()), tally.total.longest_talk()) == (0, 0, None)
    assert tally.total.seconds(moment(60))[TALKING] == 20
    assert tally.snapshot == snapshot()
    assert "left since" in repr(seat(tally))


def test_who_comes_back_goes_on() -> None:
    """An absence adds no time, and the time before it is kept."""
    tally = Tally(one(0))
    tally.update(update(one(8), snapshot(at=10)))
    tally.update(down(snapshot(at=20)))
    tally.update(update(snapshot(at=20), snapshot(agent("7"), at=30), up(snapshot(at=30))))
    tally.update(update(snapshot(agent("7"), at=40), snapshot(agent(), agent("7"), at=40)))
    assert seat(tally).present
    assert (began(tally), elapsed(tally, 45)) == ((40, False), {"waiting": 15})


def test_queues_and_their_total() -> None:
    """The figures of queues and the total are the sums of their seats; an agent has a seat in each queue."""
    first = snapshot(agent("1", TALKING), agent("1", IDLE, queue="b"), agent("2", AgentState.OFFLINE, queue="b"), at=0)
    second = snapshot(
        agent("1", IDLE, calls_answered=1), agent("1", IDLE, queue="b"), agent("2", queue="b", no_answer_count=2), at=10
    )
    tally = Tally(first)
    assert (tally.total.agents, tally.total.signed_in) == (first.counts(), 2)
    tally.update(update(first, second))
    assert set(tally.queues) == {"queue-1", "b"}
    for name, queue in tally.queues.items():
        assert (queue.name, queue.agents) == (name, second.counts(name))
        assert set(queue.seats) == {key for key in second if key.queue == name}
    queue = tally.queues["b"]
    assert (queue.signed_in, queue.calls_answered, queue.calls_missed) == (2, 0, 2)
    assert (tally.total.agents, tally.total.calls_answered, tally.total.calls_missed) == (second.counts(), 1, 2)
    assert {state for state, seconds in queue.seconds(moment(20)).items() if seconds} == {
        IDLE,
        WAITING,
        AgentState.OFFLINE,
    }
    assert (queue.seconds(moment(20))[IDLE], tally.total.seconds(moment(20))[IDLE]) == (20, 30)
    assert (tally.queues["queue-1"].occupancy(moment(20)), queue.occupancy(moment(20))) == (0.5, 0)
    assert Tally(snapshot(agent(state=AgentState.OFFLINE))).total.occupancy(moment(9)) is None


def test_the_longest_talk() -> None:
    """The longest conversation in progress is the one that began first."""

    def talking(*extensions: str, at: float) -> Snapshot:
        return snapshot(*(agent(it, TALKING if it in extensions else WAITING) for it in ("1", "2", "3")), at=at)

    tally = Tally(talking(at=0))
    assert tally.total.longest_talk() is None
    for old, new, longest in [
        (talking(at=0), talking("2", at=10), "2"),
        (talking("2", at=18), talking("2", "3", at=20), "2"),
        (talking("2", "3", at=28), talking("1", "3", at=30), "3"),
        (talking("1", "3", at=38), talking(at=40), None),
    ]:
        tally.update(update(old, new))
        for group in (tally.total, tally.queues["queue-1"]):
            found = group.longest_talk()
            assert (found and found.key.extension) == longest


def test_time_goes_on_without_a_change() -> None:
    """Polls without a change advance the time, but not while the feed is down."""
    tally = Tally(one(0))
    tally.advance(moment(10))
    tally.advance(moment(9.5))
    assert (tally.observed_at, elapsed(tally)) == (moment(10), {"waiting": 10})
    tally.update(down(one(10)))
    tally.advance(moment(20))
    assert (tally.observed_at, elapsed(tally, 20)) == (moment(10), {"waiting": 10, "unseen": 10})
    empty = Tally()
    empty.advance(moment(10))
    assert empty.observed_at is None


@pytest.mark.parametrize("step", [-54213, -3, 3, 54213])
@pytest.mark.parametrize("back", [False, True])
def test_a_step_of_the_wall_clock_is_no_time(step: float, *, back: bool) -> None:
    """Durations follow the steady clock; the start is converted with the current wall clock."""

    def at(steady: float, wall: float, state: AgentState = WAITING) -> Snapshot:
        return Snapshot(one(wall, state).values(), observed_at=moment(wall), steady_at=steady)

    tally = Tally(at(500, 0))
    tally.update(update(at(504, 4), at(505, 5 + step, TALKING)))
    assert (elapsed(tally), seat(tally).lasted()) == ({"waiting": 5}, 0)
    tally.advance(at(507, 7 + step, TALKING))
    end = 15 if back else 15 + step
    known = at(515, end, TALKING)
    tally.update(Update(sequence=2, snapshot=known, previous=known, events=down(known).events))
    assert (elapsed(tally), seat(tally).lasted()) == ({"waiting": 5, "talking": 10}, 10)
    assert (tally.observed_at, tally.started_at) == (moment(end), moment(end - 15))
    tally.update(update(known, at(520, 20, IDLE), up(at(520, 20))))
    assert elapsed(tally) == {"waiting": 5, "talking": 10, "unseen": 5}


def test_a_clock_that_is_set_back_takes_no_time_away() -> None:
    """Without a steady time, a wall clock that is set back adds no time, and time continues from there."""
    tally = Tally(one(100))
    tally.update(update(one(108), one(110, TALKING)))
    tally.update(update(one(60, TALKING), one(62, IDLE)))
    tally.update(update(one(64, IDLE), one(66)))
    assert elapsed(tally) == {"waiting": 10, "idle": 4}
    assert (tally.started_at, tally.observed_at, seat(tally).since) == (moment(52), moment(66), moment(66))


def test_calm_counts_on_after_the_clock_is_set_back() -> None:
    """Calm after a step back is seen time, even after a restart; the start is never after the end."""
    tally = Tally(one(0))
    tally.advance(moment(100))
    for second in range(-3500, 51, 10):
        tally.advance(moment(second))
    assert (tally.started_at, tally.observed_at) == (moment(-3600), moment(50))
    assert (elapsed(tally), seat(tally).lasted()) == ({"waiting": 3650}, 3650)
    tally = Tally.from_json(tally.to_json())
    for second in (-900, -800):
        tally.advance(moment(second))
    assert (tally.observed_at, elapsed(tally)) == (moment(-800), {"waiting": 3750})
    assert (tally.started_at, seat(tally).lasted()) == (moment(-800 - 3750), 3750)


def test_updates_about_what_is_known_already_change_nothing() -> None:
    """Joining and leaving events for seats whose status is already known change no figures."""
    tally = Tally(one(0, calls_answered=5))
    tally.update(update(None, one(0, calls_answered=5)))
    assert (began(tally), calls(tally), tally.total.signed_in) == ((0, True), (0, 0), 1)
    gone = AgentLeft(key=SEAT, observed_at=moment(2), previous=agent())
    for _ in range(2):
        tally.update(Update(sequence=1, snapshot=snapshot(at=2), previous=one(0), events=(gone,)))
    assert (tally.total.signed_in, elapsed(tally)) == (0, {"waiting": 2})


def test_an_update_registers_an_unknown_seat() -> None:
    """An update registers an unknown seat, and its calls count; an unknown seat's leaving is ignored."""
    tally = Tally(snapshot(at=0))
    tally.update(Update(sequence=1, snapshot=one(10), previous=one(8), events=update(one(8), snapshot(at=10)).events))
    assert (dict(tally.seats), dict(tally.queues)) == ({}, {})
    tally.update(update(one(18), one(20, TALKING, calls_answered=2)))
    assert (calls(tally), elapsed(tally, 25), tally.total.calls_answered) == ((2, 0), {"talking": 5}, 2)


def test_it_shows_itself_in_short() -> None:
    tally = Tally(one(0))
    assert "1 seats in 1 queues" in repr(tally)
    assert repr(seat(tally)) == "<SeatTally queue-1 100001, waiting since 2026-01-05T08:00:00+00:00>"
    assert repr(tally.queues["queue-1"]) == "<QueueTally queue-1, 1 signed in, 0 calls answered>"


def test_the_mappings_of_a_tally_are_read_only() -> None:
    """The mappings that a tally returns are read-only."""
    tally = Tally(one(0))
    shown: list[Any] = [tally.seats, tally.queues, tally.total.agents, tally.total.seats]
    for mapping in shown:
        with pytest.raises(TypeError):
            mapping[SEAT] = None


def test_a_clock_that_was_not_started_begins_at_no_time() -> None:
    clock = Clock()
    clock.move(moment(5))
    assert (clock.at, clock.started_at, clock.total) == (moment(5), None, 0)
