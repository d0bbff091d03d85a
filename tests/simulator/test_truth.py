"""Ground truth: the recorded history of any moment."""

from __future__ import annotations

from datetime import datetime

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import ExternalCall, GroundTruth, Offer, Outcome, Signing, StateInterval
from sipqueue_async.simulator.truth import TruthRecorder

START = datetime.fromisoformat("2026-01-05 08:00:00")
SEAT = SeatKey("queue-1", "100001")
OTHER = SeatKey("queue-2", "100002")


def test_intervals_begin_where_the_one_before_ends() -> None:
    truth = TruthRecorder(START)
    truth.show(SEAT, AgentState.WAITING, 0.0)
    truth.show(OTHER, AgentState.PAUSED, 1.0)
    truth.show(SEAT, AgentState.RECEIVING, 2.5)
    truth.show(SEAT, None, 4.0)
    assert truth.intervals_of(SEAT) == (
        StateInterval(SEAT, AgentState.WAITING, 0.0, 2.5),
        StateInterval(SEAT, AgentState.RECEIVING, 2.5, 4.0),
    )
    assert truth.intervals == (
        StateInterval(SEAT, AgentState.WAITING, 0.0, 2.5),
        StateInterval(OTHER, AgentState.PAUSED, 1.0, None),
        StateInterval(SEAT, AgentState.RECEIVING, 2.5, 4.0),
    )
    assert truth.intervals_of(("queue-9", "1")) == ()


def test_a_state_that_took_no_time_leaves_no_trace() -> None:
    """The truth contains only states that could have been observed."""
    truth = TruthRecorder(START)
    truth.show(SEAT, AgentState.IDLE, 0.0)
    truth.show(SEAT, AgentState.IDLE, 1.0)
    truth.show(SEAT, AgentState.WAITING, 2.0)
    truth.show(SEAT, AgentState.IDLE, 2.0)
    assert truth.intervals_of(SEAT) == (StateInterval(SEAT, AgentState.IDLE, 0.0, None),)
    truth.show(SEAT, AgentState.WAITING, 3.0)
    truth.show(SEAT, AgentState.PAUSED, 3.0)
    assert truth.intervals_of(SEAT) == (
        StateInterval(SEAT, AgentState.IDLE, 0.0, 3.0),
        StateInterval(SEAT, AgentState.PAUSED, 3.0, None),
    )
    truth.show(OTHER, AgentState.WAITING, 3.0)
    truth.show(OTHER, None, 3.0)
    truth.show(OTHER, None, 4.0)
    assert truth.intervals_of(OTHER) == ()


def test_state_at_counts_the_start_in_and_the_end_out() -> None:
    truth = TruthRecorder(START)
    truth.show(SEAT, AgentState.WAITING, 1.0)
    truth.show(SEAT, AgentState.TALKING, 2.0)
    truth.show(SEAT, None, 3.0)
    truth.show(SEAT, AgentState.PAUSED, 5.0)
    asked = [0.5, 1.0, 1.9, 2.0, 2.9, 3.0, 4.9, 5.0, 99.0]
    told = [None, "waiting", "waiting", "talking", "talking", None, None, "paused", "paused"]
    assert [truth.state_at(("queue-1", "100001"), moment) for moment in asked] == told
    assert truth.state_at(OTHER, 1.0) is None


def _with_offers() -> GroundTruth:
    truth = TruthRecorder(START)
    for key, offered_at, outcome in (
        (SEAT, 10.0, Outcome.ANSWERED),
        (SEAT, 20.0, Outcome.REFUSED),
        (OTHER, 30.0, Outcome.MISSED),
        (OTHER, 40.0, Outcome.ABANDONED),
        (OTHER, 50.0, Outcome.ANSWERED),
    ):
        number = truth.offer(key, offered_at)
        if outcome is Outcome.ANSWERED:
            truth.answer(number, offered_at + 1)
        truth.end(number, outcome, offered_at + 5)
    truth.answer(truth.offer(SEAT, 60.0), 61.0)
    truth.offer(OTHER, 70.0)
    return truth


def test_offers_are_kept_with_their_outcome() -> None:
    offers = _with_offers().offers
    assert offers[0] == Offer(key=SEAT, offered_at=10.0, outcome=Outcome.ANSWERED, answered_at=11.0, ended_at=15.0)
    assert offers[1] == Offer(key=SEAT, offered_at=20.0, outcome=Outcome.REFUSED, ended_at=25.0)
    assert offers[-2] == Offer(key=SEAT, offered_at=60.0, outcome=Outcome.ANSWERED, answered_at=61.0)
    assert offers[-1] == Offer(key=OTHER, offered_at=70.0)


def test_answers_and_misses_are_counted_by_time_queue_and_extension() -> None:
    truth = _with_offers()
    assert (truth.answered(), truth.missed()) == (3, 2)
    assert [truth.answered(11.0), truth.answered(0.0, 11.0), truth.answered(until=10.9)] == [2, 1, 0]
    assert [truth.missed(25.0), truth.missed(0.0, 25.0), truth.missed(until=24.9)] == [1, 1, 0]
    assert [truth.answered(queue="queue-1"), truth.missed(queue="queue-1")] == [2, 1]
    assert [truth.answered(extension="100002"), truth.missed(extension="100002")] == [1, 1]
    assert truth.answered(queue="queue-1", extension="100002") == 0


def test_other_happenings_are_kept_with_their_time() -> None:
    truth = TruthRecorder(START)
    truth.sign_in("100001", 1.0)
    first = truth.external_call("100001", 2.0)
    truth.external_call("100002", 3.0)
    truth.end_external_call(first, 4.0)
    truth.reset_counters(5.0)
    truth.sign_out("100001", 6.0)
    assert truth.sign_ins == (Signing(1.0, "100001"),)
    assert truth.sign_outs == (Signing(6.0, "100001"),)
    assert truth.counter_resets == (5.0,)
    assert truth.external_calls == (ExternalCall("100001", 2.0, 4.0), ExternalCall("100002", 3.0, None))


def test_model_seconds_become_the_servers_local_time() -> None:
    truth = GroundTruth(START)
    assert truth.start == START
    assert truth.local_time(90.25) == datetime.fromisoformat("2026-01-05 08:01:30.250")
