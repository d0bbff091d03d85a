"""Comparing the ages of two records of a seat. test_high_water.py tests which records are then accepted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentState
from sipqueue_async._evidence import is_at_zero, may_be_older
from tests.kit.builders import agent

T1, T2, T3 = (datetime(2026, 1, 5, 9, minute) for minute in (1, 2, 3))  # noqa: DTZ001
REPLACED = agent(calls_answered=7, no_answer_count=7, last_answered_at=T2, last_offered_at=T2, last_changed_at=T2)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        # The counters that belong to an earlier call time are lower, or the same if that call was not counted.
        ({"last_answered_at": T1, "calls_answered": 6}, True),
        ({"last_answered_at": T1}, True),
        ({"calls_answered": 5, "last_answered_at": None}, True),
        ({"last_answered_at": T1, "calls_answered": 8}, False),
        ({"last_answered_at": T3, "calls_answered": 8}, True),
        ({"last_answered_at": T3}, True),
        ({"last_answered_at": T3, "calls_answered": 6}, False),
        # The call of that time, counted when it ends.
        ({"calls_answered": 6}, True),
        ({"calls_answered": 5}, False),
        # Before a reset, either all times of a record are earlier or all are later.
        ({"last_answered_at": T3, "last_offered_at": T1}, False),
        ({"last_answered_at": T3, "last_offered_at": T1, "last_changed_at": T3}, False),
    ],
)
def test_a_record_that_may_be_from_before_a_reset(fields: dict[str, Any], expected: bool) -> None:
    assert may_be_older(REPLACED, attrs.evolve(REPLACED, **fields), ()) is expected


def test_a_counter_left_out_is_no_evidence_of_a_reset() -> None:
    record = attrs.evolve(REPLACED, calls_answered=0)
    assert not may_be_older(REPLACED, record, ())
    assert may_be_older(REPLACED, record, ("calls_answered",))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"calls_answered": 0, "no_answer_count": 0}, True),
        ({}, False),
        ({"calls_answered": 0}, False),
        ({"calls_answered": 0, "no_answer_count": 0, "last_answered_at": T1}, False),
        ({"calls_answered": 0, "no_answer_count": 0, "state": AgentState.TALKING}, False),
    ],
)
def test_counters_at_zero_with_the_known_times_show_a_reset(fields: dict[str, Any], expected: bool) -> None:
    assert is_at_zero(attrs.evolve(REPLACED, **fields), REPLACED) is expected
