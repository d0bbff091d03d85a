"""The call centre: individual promises of its behaviour."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import pytest

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import CallCentre, Outcome, Plan, Seat

pytestmark = pytest.mark.one_python

BUSY = Plan(calls_per_hour=200, talk_median=30)


def _run(plan: Plan, seconds: float, seed: int = 1) -> CallCentre:
    centre = CallCentre(plan, seed=seed)
    centre.run_until(seconds)
    return centre


def test_time_goes_where_it_is_told() -> None:
    centre = CallCentre()
    assert (centre.now, centre.local_time) == (0.0, datetime.fromisoformat("2026-01-05 08:00:00"))
    centre.run_until(0.1)
    centre.advance(89.9)
    assert (centre.now, centre.local_time) == (90.0, datetime.fromisoformat("2026-01-05 08:01:30"))
    centre.run_until(90.0)
    centre.advance(0.0)
    assert centre.now == 90.0


@pytest.mark.parametrize("moment", [9.0, math.inf, math.nan])
def test_time_does_not_go_back_or_away(moment: float) -> None:
    centre = _run(Plan(), 10)
    with pytest.raises(ValueError, match="the model is at"):
        centre.run_until(moment)
    assert centre.now == 10


def test_a_plan_is_a_plan() -> None:
    """A value of another type is a TypeError that names the argument."""
    with pytest.raises(TypeError, match="plan must be a Plan, not 'lively'"):
        CallCentre(cast("Any", "lively"))


def test_another_seed_is_another_day() -> None:
    assert _run(BUSY, 600, seed=1).truth.intervals != _run(BUSY, 600, seed=2).truth.intervals


def test_everybody_is_there_from_the_start_without_shifts() -> None:
    centre = CallCentre(Plan(queues=3, agents=30, several_queues=0.2))
    assert {seat.extension for seat in centre.seats()} == set(centre.extensions)
    assert {seat.queue for seat in centre.seats()} == set(centre.queues)
    centre.run_until(4 * 3600)
    assert len(centre.truth.sign_ins) == 30
    assert centre.truth.sign_outs == ()


def test_the_planned_share_sits_in_several_queues() -> None:
    queues: dict[str, set[str]] = defaultdict(set)
    for seat in CallCentre(Plan(queues=4, agents=40, several_queues=0.25)).seats():
        queues[seat.extension].add(seat.queue)
    assert sum(len(names) > 1 for names in queues.values()) == 10
    single = CallCentre(Plan(queues=1, agents=40, several_queues=1.0)).seats()
    assert len(single) == 40


def test_a_record_before_anything_happened() -> None:
    centre = CallCentre(Plan(queues=1, agents=1, wrap_up=7))
    assert centre.seats() == (
        Seat(
            queue="queue-1",
            extension="100001",
            name="Agent 01",
            state=AgentState.WAITING,
            state_code=1213,
            status_code=1213,
            last_changed_at=datetime.fromisoformat("2026-01-05 08:00:00"),
            wrap_up_time=7,
        ),
    )
    assert centre.seats()[0].key == SeatKey("queue-1", "100001")


def test_every_state_has_its_code_and_the_extension_its_own() -> None:
    plan = Plan(
        agents=8, calls_per_hour=150, talk_median=30, shift_hours=0.5, off_hours=0.2, breaks_per_hour=4,
        break_minutes=2, external_calls_per_hour=5, show_signed_out=True,
    )  # fmt: skip
    centre = CallCentre(plan, seed=1)
    seen: set[tuple[AgentState, int, int]] = set()
    for _ in range(3600):
        centre.advance(1)
        seen.update((seat.state, seat.state_code, seat.status_code) for seat in centre.seats())
    assert seen == {
        (AgentState.OFFLINE, 1200, 1200),
        (AgentState.IDLE, 1201, 1201),
        (AgentState.IDLE, 1201, 1202),
        (AgentState.IDLE, 1201, 1204),
        (AgentState.WAITING, 1213, 1213),
        (AgentState.RECEIVING, 1214, 1202),
        (AgentState.TALKING, 1215, 1204),
        (AgentState.PAUSED, 1217, 1217),
    }


def test_a_record_is_the_same_object_while_nothing_changes() -> None:
    centre = CallCentre(BUSY, seed=1)
    for _ in range(600):
        before = {seat.key: seat for seat in centre.seats()}
        everything = centre.seats()
        assert centre.seats() is everything
        centre.advance(0.5)
        for seat in centre.seats():
            assert seat is before[seat.key] or seat != before[seat.key]


@pytest.mark.parametrize(
    ("plan", "outcome", "answered", "missed"),
    [
        (Plan(calls_per_hour=100, refused=0, missed=0, patience=math.inf), Outcome.ANSWERED, True, False),
        (Plan(calls_per_hour=100, refused=1, missed=0, patience=math.inf), Outcome.REFUSED, False, True),
        (Plan(calls_per_hour=100, refused=0, missed=1, patience=math.inf), Outcome.MISSED, False, True),
        (Plan(calls_per_hour=100, refused=0, missed=1, patience=0.1), Outcome.ABANDONED, False, False),
    ],
)
def test_an_outcome_moves_its_counter_only(plan: Plan, outcome: Outcome, answered: bool, missed: bool) -> None:
    centre = _run(plan, 3600)
    over = [offer for offer in centre.truth.offers if offer.ended_at is not None]
    assert over
    assert {offer.outcome for offer in over} == {outcome}
    assert any(seat.calls_answered for seat in centre.seats()) is answered
    assert any(seat.no_answer_count for seat in centre.seats()) is missed


def test_a_missed_phone_rang_for_the_timeout_and_the_caller_tries_the_next() -> None:
    plan = Plan(queues=1, agents=2, opening_callers=1, calls_per_hour=0, missed=1, refused=0, patience=math.inf,
                ring_timeout=12, no_answer_pause=30)  # fmt: skip
    offers = _run(plan, 30).truth.offers
    assert [(offer.key.extension, offer.offered_at, offer.ended_at) for offer in offers] == [
        ("100001", 0.0, 12.0),
        ("100002", 12.0, 24.0),
    ]


def test_after_a_call_comes_wrap_up_then_readiness() -> None:
    plan = Plan(queues=1, agents=1, opening_callers=2, calls_per_hour=0, missed=0, refused=0, patience=math.inf,
                breaks_per_hour=0, wrap_up=9, talk_median=20, talk_sigma=0, short_calls=0)  # fmt: skip
    centre = _run(plan, 300)
    intervals = centre.truth.intervals
    assert [interval.state for interval in intervals] == ["receiving", "talking", "idle"] * 2 + ["waiting"]
    assert all(before.end == after.start for before, after in pairwise(intervals))
    for talk, idle, ready in (intervals[1:4], intervals[4:7]):
        assert idle.start == pytest.approx(talk.start + 20)
        assert ready.start == pytest.approx(idle.start + 9)


def test_without_pauses_a_phone_is_silent_between_two_offers() -> None:
    plan = Plan(queues=1, agents=1, opening_callers=1, calls_per_hour=0, refused=1, missed=0, patience=math.inf,
                breaks_per_hour=0, no_answer_pause=0)  # fmt: skip
    states = [interval.state for interval in _run(plan, 300).truth.intervals]
    assert states[:-1] == ["receiving", "waiting"] * (len(states) // 2) + ["receiving"] * (len(states) % 2 - 1)


def test_calls_too_short_for_a_poll_happen() -> None:
    offers = _run(BUSY, 4 * 3600).truth.offers
    lengths = [offer.ended_at - offer.answered_at for offer in offers if offer.answered_at and offer.ended_at]
    assert min(lengths) < 1
    assert sum(length <= 3 for length in lengths) / len(lengths) == pytest.approx(0.05, abs=0.03)


def test_agents_sign_out_and_come_back_with_their_counters() -> None:
    plan = Plan(agents=6, calls_per_hour=200, talk_median=20, shift_hours=0.2, off_hours=0.1, staggered=False)
    centre = CallCentre(plan, seed=3)
    last: dict[SeatKey, Seat] = {}
    returned = 0
    for _ in range(3600):
        centre.advance(1)
        now = {seat.key: seat for seat in centre.seats()}
        for key, seat in now.items():
            before = last.get(key, seat)
            assert seat.calls_answered >= before.calls_answered
            assert seat.no_answer_count >= before.no_answer_count
            returned += before.calls_answered > 0 and centre.truth.state_at(key, centre.now - 1) is None
        last.update(now)
    assert returned > 3
    first_out = {signing.extension: signing.at for signing in reversed(centre.truth.sign_outs)}
    assert all(at >= 720 for at in first_out.values())
    assert 720 in first_out.values()


def test_staggered_shifts_keep_a_share_of_the_agents_there() -> None:
    centre = CallCentre(Plan(agents=30, shift_hours=8, off_hours=16))
    for _ in range(24):
        assert 8 <= len({seat.extension for seat in centre.seats()}) <= 13
        centre.advance(3600)


def test_a_call_at_the_end_of_the_shift_is_finished_first() -> None:
    plan = Plan(agents=10, calls_per_hour=400, shift_hours=0.1, off_hours=0.05, wrap_up=20, breaks_per_hour=0)
    truth = _run(plan, 3600).truth
    talked_to_the_end = 0
    for signing in truth.sign_outs:
        last = [interval for interval in truth.intervals if interval.end == signing.at]
        for interval in last:
            if interval.key.extension == signing.extension and interval.state is AgentState.TALKING:
                talked_to_the_end += 1
                assert any(o.key == interval.key and o.ended_at == signing.at for o in truth.offers)
    assert talked_to_the_end > 1


def test_only_sign_in_and_breaks_move_the_change_time() -> None:
    centre = CallCentre(Plan(calls_per_hour=200, breaks_per_hour=0), seed=1)
    centre.run_until(3600)
    assert {seat.last_changed_at for seat in centre.seats()} == {centre.plan.start}
    assert centre.truth.answered() > 100


def test_external_calls_count_in_all_seats_and_not_as_queue_calls() -> None:
    plan = Plan(calls_per_hour=0, external_calls_per_hour=6, several_queues=1, talk_median=60)
    centre = _run(plan, 7200)
    calls = centre.truth.external_calls
    assert len(calls) > 50
    for seat in centre.seats():
        assert seat.external_calls_count == sum(call.extension == seat.extension for call in calls)
    assert {interval.state for interval in centre.truth.intervals} == {"waiting", "idle", "paused"}


def test_counters_fall_at_local_midnight_if_the_plan_says_so() -> None:
    start = datetime.fromisoformat("2026-01-05 23:30:00")
    centre = _run(Plan(start=start, calls_per_hour=200, counter_reset=True), 1799.9)
    assert any(seat.calls_answered for seat in centre.seats())
    centre.run_until(1800)
    assert not any(seat.calls_answered or seat.no_answer_count for seat in centre.seats())
    assert any(seat.last_answered_at for seat in centre.seats())
    centre.run_until(1800 + 86400)
    assert [centre.truth.local_time(at) for at in centre.truth.counter_resets] == [
        datetime.fromisoformat("2026-01-06 00:00:00"),
        datetime.fromisoformat("2026-01-07 00:00:00"),
    ]
    assert _run(Plan(start=start), 3600).truth.counter_resets == ()


def test_counters_can_be_reset_by_hand() -> None:
    centre = _run(BUSY, 3600)
    states = {seat.key: (seat.state, seat.last_answered_at) for seat in centre.seats()}
    centre.reset_counters()
    assert not any(seat.calls_answered or seat.no_answer_count for seat in centre.seats())
    assert {seat.key: (seat.state, seat.last_answered_at) for seat in centre.seats()} == states
    assert centre.truth.counter_resets == (3600.0,)


def test_a_queue_without_agents_offers_no_call() -> None:
    centre = _run(Plan(queues=3, agents=1, several_queues=0, calls_per_hour=100), 3600)
    assert {offer.key for offer in centre.truth.offers} == {SeatKey("queue-1", "100001")}


def test_the_longest_waiting_agent_is_offered_the_call() -> None:
    centre = _run(Plan(queues=1, agents=5, calls_per_hour=30, breaks_per_hour=0, talk_median=20), 10 * 3600)
    counts = [seat.calls_answered for seat in centre.seats()]
    assert min(counts) > 0.7 * max(counts)


def test_times_are_cut_to_the_second() -> None:
    centre = _run(BUSY, 3600)
    for seat in centre.seats():
        for moment in (seat.last_answered_at, seat.last_offered_at, seat.last_changed_at):
            assert moment is not None
            assert moment.microsecond == 0
            assert centre.plan.start <= moment <= centre.plan.start + timedelta(hours=1)
