"""The truth benchmark's part about lagging back ends, at a small size."""

from __future__ import annotations

import pytest

from sipqueue_async import AgentState
from tests.benchmarks.truth_lag import Case, LagRun

pytestmark = [pytest.mark.one_python, pytest.mark.virtual_time]


async def test_the_comparison_finds_calls_that_were_made_up_or_lost() -> None:
    """A made-up or lost call at one seat is detected, even if the sum is right."""
    run = LagRun(Case(interval=10, behind=0, hours=0.1), 1)
    await run.play()
    result = run.result()
    assert (result.made_up, result.lost, result.false_changes) == (0, 0, 0)
    assert result.true > 150
    first = run.told.pop(0)
    assert (run.result().made_up, run.result().lost) == (0, first.number)
    other = next(call for call in run.told if call.calls != first.calls)
    run.told.append(run.told[-1]._replace(calls=other.calls, number=2))
    assert (run.result().made_up, run.result().lost) == (2, first.number)


async def test_the_comparison_finds_changes_that_did_not_happen() -> None:
    """A reported state that the seat did not enter counts as false each time it is reported."""
    run = LagRun(Case(interval=10, behind=0, hours=0.05), 1)
    await run.play()
    run.changes.append(run.changes[-1]._replace(after=AgentState.UNKNOWN))
    assert run.result().false_changes == 1
