"""Plans: refused values, and derived figures."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from sipqueue_async.simulator import CallCentre, Plan


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("queues", 0, "queues must be a whole number, 1 or more, not 0"),
        ("agents", 2.0, "agents must be a whole number, 1 or more, not 2.0"),
        ("wrap_up", True, "wrap_up must be a whole number, 0 or more, not True"),
        ("opening_callers", -1, "opening_callers must be a whole number, 0 or more, not -1"),
        ("calls_per_hour", math.inf, "calls_per_hour must be a number, at least 0 and finite, not inf"),
        ("calls_per_hour", math.nan, "calls_per_hour must be a number, at least 0 and finite, not nan"),
        ("calls_per_hour", True, "calls_per_hour must be a number, at least 0 and finite, not True"),
        ("patience", 0, "patience must be a number, more than 0, not 0"),
        ("talk_median", 0.0, "talk_median must be a number, more than 0 and finite, not 0.0"),
        ("talk_sigma", 3.5, "talk_sigma must be a number, at least 0 and at most 3, not 3.5"),
        ("several_queues", 1.1, "several_queues must be a number, at least 0 and at most 1, not 1.1"),
        ("ring_timeout", 0.5, "ring_timeout must be a number, at least 1 and finite, not 0.5"),
        ("refused", -0.1, "refused must be a number, at least 0 and at most 1, not -0.1"),
        ("refused", 0.96, "refused and missed are probabilities: 0.96 + 0.05 is more than 1"),
        ("shift_hours", 0, "shift_hours must be a number, more than 0 and finite, not 0"),
        ("off_hours", "8", "off_hours must be a number, more than 0 and finite, not '8'"),
        ("start", datetime(2026, 1, 5, 8, tzinfo=UTC), "start must be a naive datetime"),
    ],
)
def test_senseless_values_are_refused_by_name(field: str, value: object, says: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(ValueError) as caught:
        Plan(**fields)
    assert says in str(caught.value)


def test_names_follow_the_documented_pattern() -> None:
    plan = Plan(queues=2, agents=3)
    assert plan.queue_names == ("queue-1", "queue-2")
    assert plan.extensions == ("100001", "100002", "100003")


@pytest.mark.one_python
def test_offered_load_is_arrivals_times_mean_duration() -> None:
    plan = Plan(queues=2, calls_per_hour=30, talk_median=60, talk_sigma=0, short_calls=0)
    assert plan.offered_load == pytest.approx(1.0)
    busy = CallCentre(Plan(queues=1, agents=60, calls_per_hour=300, patience=math.inf), seed=1)
    busy.run_until(20 * 3600)
    talked = sum((call.ended_at or busy.now) - call.answered_at for call in busy.truth.offers if call.answered_at)
    assert talked / busy.now == pytest.approx(busy.plan.offered_load, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_the_lively_plan_shows_something_within_a_second(seed: int) -> None:
    centre = CallCentre(Plan.lively(), seed=seed)
    first = centre.seats()
    centre.run_until(10)
    assert centre.seats() != first
    centre.run_until(600)
    assert len(centre.truth.intervals) / 60 > 3
