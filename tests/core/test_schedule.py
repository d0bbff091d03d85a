"""The times of polls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async._schedule import Schedule, StaggerSlots, stagger_delay

intervals = st.floats(0.01, 300)


@given(interval=intervals, start=st.floats(0, 1e6), polls=st.lists(st.floats(0, 0.9), min_size=1, max_size=50))
def test_the_rate_does_not_drift(interval: float, start: float, polls: list[float]) -> None:
    schedule = Schedule(start, interval=interval, max_backoff=60)
    due = start
    for taken in polls:
        due = schedule.after_success(due, due + taken * interval)
    assert due == pytest.approx(start + len(polls) * interval)


@given(interval=intervals, stalls=st.lists(st.floats(0, 1000), min_size=1, max_size=20))
def test_no_burst_after_a_stall(interval: float, stalls: list[float]) -> None:
    schedule = Schedule(0.0, interval=interval, max_backoff=60)
    due = 0.0
    for stall in stalls:
        now = due + stall
        previous, due = due, schedule.after_success(due, now)
        assert due > previous
        assert due >= now - interval * 0.002
        assert due - now <= interval * 1.002


def test_a_poll_that_ends_just_when_the_next_is_due_is_followed_at_once() -> None:
    schedule = Schedule(0.0, interval=0.1, max_backoff=60)
    assert schedule.after_success(0.1 + 0.1, 0.1 + 0.1 + 0.1) == pytest.approx(0.3)


def test_a_timer_that_fires_early_repeats_no_slot() -> None:
    schedule = Schedule(0.0, interval=0.01, max_backoff=60)
    assert schedule.after_success(0.05 - 1e-9, 0.05) == pytest.approx(0.06)


@given(began=st.floats(0, 100), taken=st.floats(0, 5))
def test_a_poll_between_two_slots_moves_none(began: float, taken: float) -> None:
    schedule = Schedule(0.0, interval=10.0, max_backoff=60)
    due = schedule.after_success(began, began + taken)
    assert due % 10 == pytest.approx(0, abs=1e-9)
    assert began < due <= began + max(10, taken + 10) + 0.02


@given(failures=st.integers(1, 2000), interval=intervals, max_backoff=st.floats(0.01, 600))
def test_the_pause_grows_to_its_limit_and_no_further(failures: int, interval: float, max_backoff: float) -> None:
    schedule = Schedule(0.0, interval=interval, max_backoff=max_backoff)
    pause = schedule.after_failure(5.0, failures) - 5.0
    assert 0 <= pause <= max(interval, min(max_backoff, interval * 2.0 ** min(failures - 1, 64))) + 1e-9


def test_pauses_spread_over_the_whole_range() -> None:
    schedule = Schedule(0.0, interval=1.0, max_backoff=60)
    pauses = [schedule.after_failure(0.0, 4) for _ in range(1000)]
    assert min(pauses) < 1
    assert 7 < max(pauses) <= 8


def test_the_server_may_ask_for_a_longer_pause() -> None:
    schedule = Schedule(0.0, interval=1.0, max_backoff=60)
    assert schedule.after_failure(10.0, 1, at_least=30.0) == 40.0


def test_slots_are_the_lowest_that_are_free() -> None:
    slots = StaggerSlots()
    assert [slots.acquire() for _ in range(4)] == [0, 1, 2, 3]
    slots.release(2)
    slots.release(0)
    assert [slots.acquire() for _ in range(3)] == [0, 2, 4]


@pytest.mark.parametrize("interval", [0.5, 1, 2, 5, 60])
def test_a_thousand_watchers_do_not_poll_at_once(interval: float) -> None:
    starts = sorted(stagger_delay(slot, interval) for slot in range(1000))
    assert starts[0] == 0
    assert starts[-1] < interval
    for start in starts:
        together = sum(start <= other < start + 0.01 for other in starts)
        assert together <= max(2, 2.2 * 1000 * 0.01 / interval)


def test_a_few_watchers_hardly_wait() -> None:
    assert stagger_delay(0, 2) == 0
    assert stagger_delay(9, 2) < 0.06
