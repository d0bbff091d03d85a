"""The call centre: laws for every plan and every seed, computed here from the ground truth."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import attrs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import CallCentre, Outcome, Plan
from tests.kit.plans import durations, eventful, plans, play, played, seeds

pytestmark = pytest.mark.one_python

IN_A_QUEUE_CALL = {AgentState.RECEIVING, AgentState.TALKING}
law = settings(suppress_health_check=[HealthCheck.too_slow])


def _periods(centre: CallCentre) -> dict[str, list[tuple[float, float | None]]]:
    """Return each extension's times from sign-in to sign-out; an open one ends with None."""
    found: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
    ends: dict[str, list[float]] = defaultdict(list)
    for signing in centre.truth.sign_outs:
        ends[signing.extension].append(signing.at)
    for at, extension in centre.truth.sign_ins:
        left = ends[extension]
        found[extension].append((at, left.pop(0) if left else None))
    assert not any(ends.values())
    return found


def _keys(centre: CallCentre) -> set[SeatKey]:
    return {interval.key for interval in centre.truth.intervals}


@law
@given(played)
@example(play(eventful, 1, 1800))
@example(play(attrs.evolve(eventful, show_signed_out=True), 1, 1800))
def test_intervals_tile_the_time_signed_in(centre: CallCentre) -> None:
    """A seat's history has neither gaps nor overlaps within a shift."""
    periods = _periods(centre)
    assert {key.extension for key in _keys(centre)} >= set(periods)
    for key in _keys(centre):
        history = centre.truth.intervals_of(key)
        assert all(
            before.end is not None and before.start < before.end <= after.start for before, after in pairwise(history)
        )
        assert all(before.state != after.state for before, after in pairwise(history) if before.end == after.start)
        shown = [interval for interval in history if interval.state is not AgentState.OFFLINE]
        blocks: list[tuple[float, float | None]] = []
        for interval in shown:
            if blocks and blocks[-1][1] == interval.start:
                blocks[-1] = (blocks[-1][0], interval.end)
            else:
                blocks.append((interval.start, interval.end))
        assert blocks == periods[key.extension]
        if centre.plan.show_signed_out:
            assert history[0].start == 0
            assert all(before.end == after.start for before, after in pairwise(history))
            assert history[-1].end is None
        else:
            assert shown == list(history)


@law
@given(played)
@example(play(eventful, 1, 1800))
@example(play(attrs.evolve(eventful, show_signed_out=True), 1, 1800))
def test_every_offer_is_one_ringing_and_every_answer_one_call(centre: CallCentre) -> None:
    ringing = [(i.start, i.end, i.key) for i in centre.truth.intervals if i.state is AgentState.RECEIVING]
    talking = [(i.start, i.end, i.key) for i in centre.truth.intervals if i.state is AgentState.TALKING]
    offers = centre.truth.offers
    assert sorted(ringing, key=repr) == sorted(
        ((o.offered_at, o.ended_at if o.answered_at is None else o.answered_at, o.key) for o in offers), key=repr
    )
    assert sorted(talking, key=repr) == sorted(
        ((o.answered_at, o.ended_at, o.key) for o in offers if o.answered_at is not None), key=repr
    )
    for offer in offers:
        assert (offer.outcome is Outcome.ANSWERED) == (offer.answered_at is not None)
        assert (offer.outcome is None) == (offer.answered_at is None and offer.ended_at is None)


@law
@given(played)
@example(play(eventful, 1, 1800))
@example(play(attrs.evolve(eventful, show_signed_out=True), 1, 1800))
def test_an_agent_has_one_call_at_a_time(centre: CallCentre) -> None:
    offers = sorted(centre.truth.offers, key=lambda offer: (offer.key.extension, offer.offered_at))
    for before, after in pairwise(offers):
        if before.key.extension == after.key.extension:
            assert before.ended_at is not None
            assert before.ended_at <= after.offered_at
    moments = [offer.offered_at for offer in centre.truth.offers]
    assert moments == sorted(moments)


@law
@example(eventful, 1, [(600, False), (600, True), (600, True)])
@given(plans, seeds, st.lists(st.tuples(st.floats(0, 600), st.booleans()), min_size=1, max_size=6))
def test_counters_equal_the_outcomes_since_the_last_reset(
    plan: Plan, seed: int, steps: list[tuple[float, bool]]
) -> None:
    centre = CallCentre(plan, seed=seed)
    for seconds, reset in steps:
        if reset:
            centre.reset_counters()
        centre.advance(seconds)
        since = max(centre.truth.counter_resets, default=0.0)
        answered: dict[SeatKey, int] = defaultdict(int)
        missed: dict[SeatKey, int] = defaultdict(int)
        outside: dict[str, int] = defaultdict(int)
        for offer in centre.truth.offers:
            answered[offer.key] += offer.answered_at is not None and offer.answered_at > since
            lost = offer.outcome in {Outcome.REFUSED, Outcome.MISSED}
            missed[offer.key] += lost and offer.ended_at is not None and offer.ended_at > since
        for call in centre.truth.external_calls:
            outside[call.extension] += call.started_at > since
        for seat in centre.seats():
            assert seat.calls_answered == answered[seat.key]
            assert seat.no_answer_count == missed[seat.key]
            assert seat.external_calls_count == outside[seat.extension]
        assert sum(answered.values()) == centre.truth.answered(since)
        assert sum(missed.values()) == centre.truth.missed(since)


@law
@example(eventful, 1, 1800, [200] * 7)
@given(plans, seeds, durations, st.lists(st.floats(0, 200), max_size=30))
def test_stepping_and_looking_change_nothing(plan: Plan, seed: int, seconds: float, steps: list[float]) -> None:
    """The same seed gives the same run, no matter how the model is stepped or read."""
    straight, stepped = CallCentre(plan, seed=seed), CallCentre(plan, seed=seed)
    straight.run_until(seconds)
    for step in steps:
        stepped.run_until(min(stepped.now + step, seconds))
        stepped.seats()
    stepped.run_until(seconds)
    for name in ("intervals", "offers", "sign_ins", "sign_outs", "counter_resets", "external_calls"):
        assert getattr(straight.truth, name) == getattr(stepped.truth, name)
    assert straight.seats() == stepped.seats()


@law
@example(eventful, 1, [600] * 3)
@given(plans, seeds, st.lists(st.floats(0, 300), min_size=1, max_size=8))
def test_the_records_show_the_truth(plan: Plan, seed: int, steps: list[float]) -> None:
    centre = CallCentre(plan, seed=seed)
    for step in steps:
        centre.advance(step)
        truth, now = centre.truth, centre.now
        seats = {seat.key: seat for seat in centre.seats()}
        assert {key: seat.state for key, seat in seats.items()} == {
            key: state for key in _keys(centre) if (state := truth.state_at(key, now)) is not None
        }
        assert list(seats) == sorted(seats)
        for key, seat in seats.items():
            signed_out = {at for at, extension in truth.sign_outs if extension == key.extension}
            breaks = [interval for interval in truth.intervals_of(key) if interval.state is AgentState.PAUSED]
            changes = [at for at, extension in truth.sign_ins if extension == key.extension]
            changes += [interval.start for interval in breaks]
            changes += [
                interval.end for interval in breaks if interval.end is not None and interval.end not in signed_out
            ]
            offers = [offer for offer in truth.offers if offer.key == key]
            for shown, moments in (
                (seat.last_changed_at, changes),
                (seat.last_offered_at, [offer.offered_at for offer in offers]),
                (seat.last_answered_at, [offer.answered_at for offer in offers if offer.answered_at is not None]),
            ):
                latest = truth.local_time(max(moments)).replace(microsecond=0) if moments else None
                assert shown == latest


@law
@given(played)
@example(play(eventful, 1, 1800))
@example(play(attrs.evolve(eventful, show_signed_out=True), 1, 1800))
def test_a_call_shows_in_one_seat_and_the_agents_others_are_idle(centre: CallCentre) -> None:
    seats_of: dict[str, list[SeatKey]] = defaultdict(list)
    for key in _keys(centre):
        seats_of[key.extension].append(key)
    for interval in centre.truth.intervals:
        if interval.state in IN_A_QUEUE_CALL:
            others = [key for key in seats_of[interval.key.extension] if key != interval.key]
            assert {centre.truth.state_at(key, interval.start) for key in others} <= {AgentState.IDLE}
