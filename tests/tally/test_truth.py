"""The tally compared with the ground truth: hours of a simulated call centre, with an outage and a restart."""

from __future__ import annotations

import asyncio

import async_solipsism
import pytest

from sipqueue_async import AgentState
from sipqueue_async.tally import Tally
from tests.kit.tally_run import END, OUTAGE, RESTART, TallyRun

pytestmark = pytest.mark.one_python


@pytest.fixture(scope="module", params=[10.0, 20.0])
def run(request: pytest.FixtureRequest) -> TallyRun:
    """Return a run at a given polling interval."""

    async def watch() -> TallyRun:
        found = TallyRun(request.param, seed=3)
        await found.run()
        return found

    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(watch())


@pytest.mark.parametrize("which", ["fast", "slow"])
def test_every_call_is_counted_at_its_seat(run: TallyRun, which: str) -> None:
    tally: Tally = getattr(run, which)
    since, until = run.looks[0].at, run.looks[-1].at
    for (queue, extension), seat in tally.seats.items():
        assert seat.calls_answered == run.truth.answered(since, until, queue=queue, extension=extension)
        assert seat.calls_missed == run.truth.missed(since, until, queue=queue, extension=extension)
    assert tally.total.calls_answered == run.truth.answered(since, until) > 200
    assert tally.total.calls_missed == run.truth.missed(since, until) > 10
    assert run.coalesced > 5


def test_time_is_what_the_polls_show(run: TallyRun) -> None:
    for key, seat in run.fast.seats.items():
        assert seat.seconds() == pytest.approx(run.shown(key), abs=0.01)
        assert seat.unseen() == pytest.approx(run.unseen(), abs=0.01)


def test_time_is_true_to_an_interval_for_each_change(run: TallyRun) -> None:
    """Each change of state causes an error in time of at most one polling interval."""
    longest = run.interval + 1.0  # plus the duration of a request
    apart = 0.0
    for key, seat in run.fast.seats.items():
        for state, (true, pieces) in run.true(key).items():
            assert abs(seat.seconds()[state] - true) <= pieces * longest
            apart += abs(seat.seconds()[state] - true)
    seen = sum(run.fast.total.seconds().values())
    assert 0 < apart < 0.05 * seen
    assert run.fast.total.seconds()[AgentState.OFFLINE] > 0.1 * seen


def test_unseen_time_belongs_to_no_state(run: TallyRun) -> None:
    """The time of an outage or a restart belongs to no state and counts as unseen."""
    away = OUTAGE[1] - OUTAGE[0] + RESTART[1] - RESTART[0]
    watched = run.looks[-1].at - run.looks[0].at
    for seat in run.fast.seats.values():
        # Some other polls fail too, and after an outage the watcher retries only at intervals.
        assert away < seat.unseen() < away + 0.2 * END
        assert sum(seat.seconds().values()) + seat.unseen() == pytest.approx(watched, abs=0.01)
