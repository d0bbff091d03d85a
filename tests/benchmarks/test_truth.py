"""The truth benchmark at a small size: a watcher's reports are true at any interval and despite faults."""

from __future__ import annotations

import asyncio
import logging
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import async_solipsism
import attrs
import pytest

from sipqueue_async import AgentState
from tests.benchmarks import truth
from tests.benchmarks.truth_check import Check, Result, Truth
from tests.benchmarks.truth_report import BEGIN, END, picture, tables
from tests.benchmarks.truth_run import Scenario, play, run_scenario, scenarios, watch
from tests.benchmarks.truth_watch import ToldCalls, WatcherRun

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
STEADY, SHIFTS, FAULTS, EVERYTHING = scenarios(0.5, 40, 2)


@pytest.fixture(scope="module")
def shifts() -> tuple[Truth, WatcherRun]:
    """Return a run in which agents sign in and out: the ground truth, and the watcher's reports."""
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(play(SHIFTS, 20, 1))


def tampered(run: WatcherRun, **told: Any) -> WatcherRun:
    """Return a run with other reports."""
    copy = object.__new__(WatcherRun)
    copy.__dict__ = {**run.__dict__, "told": attrs.evolve(run.told, **told)}
    return copy


@pytest.mark.virtual_time
@pytest.mark.parametrize("interval", [3.0, 10.0, 60.0, 300.0])
async def test_every_call_of_agents_who_stay_is_told(interval: float) -> None:
    """Every call is reported once, and no event is false."""
    result = await watch(STEADY, interval, 1)
    assert result.exact
    assert result.answered.told == result.answered.true > 100
    assert result.missed.told == result.missed.true > 5
    assert (result.joined, result.left, result.false_events) == (0, 0, 0)


@pytest.mark.virtual_time
async def test_changes_are_told_as_soon_and_as_precisely_as_polling_can() -> None:
    """The median delay is within half an interval, and `occurred_at` is right to the second."""
    result = await watch(STEADY, 5, 1)
    assert result.delay_median < result.delay_limit
    assert result.delay_p99 < 5.1
    assert 0 < result.occurred_error < 1
    assert 0.3 < result.occurred_share < 0.7
    assert 0.8 * result.changes_true < result.changes_told < result.changes_true


@pytest.mark.virtual_time
@pytest.mark.parametrize("interval", [5.0, 60.0])
async def test_only_the_calls_around_a_leaving_are_lost(interval: float) -> None:
    """Each call that two records can show is reported, and so is each joining and leaving."""
    result = await watch(SHIFTS, interval, 1)
    assert result.exact
    assert result.answered.lost_reset == result.missed.lost_reset == 0
    assert result.joined > 100
    assert result.left > 100


@pytest.mark.virtual_time
@pytest.mark.parametrize("interval", [3.0, 30.0])
async def test_faults_take_nothing_but_what_a_reset_takes(interval: float) -> None:
    """Only counter resets cost calls: the other faults lose no call, and no fault leads to a false event."""
    result = await watch(FAULTS, interval, 1)
    assert result.exact
    assert result.answered.lost_away == result.missed.lost_away == 0
    assert 0 < result.answered.lost_reset < 0.1 * result.answered.true
    assert (result.joined, result.left, result.false_events) == (0, 0, 0)
    assert result.failures > 0.04 * result.polls
    assert result.plain_false_events > 0


@pytest.mark.virtual_time
async def test_everything_at_once() -> None:
    """The watcher stays exact when all faults and shift changes are combined."""
    truth, run = await play(EVERYTHING, 10, 1)
    result = Check(truth, run).result()
    assert result.exact
    assert result.answered.lost_away > 0
    assert result.answered.lost_reset > 0
    assert result.dropped > 0
    assert run.platform.logins > 20


@pytest.mark.virtual_time
async def test_a_run_is_settled_by_its_seed() -> None:
    """The same seed gives the same result; another seed gives another one."""
    first, again, other = [await watch(FAULTS, 60, seed) for seed in (1, 1, 2)]
    assert first == again != other


def test_the_check_finds_calls_that_were_not_told(shifts: tuple[Truth, WatcherRun]) -> None:
    """A run with an unreported call is not exact."""
    truth, run = shifts
    assert Check(truth, run).result().exact
    for kind in ("answered", "missed"):
        result = Check(truth, tampered(run, **{kind: getattr(run.told, kind)[1:]})).result()
        assert not result.exact
        assert result.false_events == 0


def test_the_check_finds_calls_that_did_not_happen(shifts: tuple[Truth, WatcherRun]) -> None:
    """A made-up call is detected, even if another seat lost one and the sum is right."""
    truth, run = shifts
    first, *others = run.told.answered
    doubled = ToldCalls(first.key, first.poll, first.count + 1)
    result = Check(truth, tampered(run, answered=[doubled, *others])).result()
    assert not result.exact
    assert result.false_events == 1
    moved = [attrs.evolve(others[0], key=first.key), first, *others[1:]]
    assert Check(truth, tampered(run, answered=moved)).result().answered.wrong_seats == 2


def test_the_check_finds_states_that_were_not_held(shifts: tuple[Truth, WatcherRun]) -> None:
    """A reported change from or to a state that the seat was not in is a false event."""
    truth, run = shifts
    first, *others = run.told.changes
    for wrong in (attrs.evolve(first, before=AgentState.OFFLINE), attrs.evolve(first, after=AgentState.OFFLINE)):
        assert Check(truth, tampered(run, changes=[wrong, *others])).result().false_events == 1


def test_the_check_finds_people_who_did_not_join_or_leave(shifts: tuple[Truth, WatcherRun]) -> None:
    """A false or a missing report of a joining or leaving is detected."""
    truth, run = shifts
    for kind in ("joined", "left"):
        told = getattr(run.told, kind)
        # An agent who has just joined cannot join again, and cannot leave at once.
        later = attrs.evolve(run.told.joined[0], poll=run.told.joined[0].poll + 1)
        assert Check(truth, tampered(run, **{kind: [*told, later]})).result().false_events == 1
        assert Check(truth, tampered(run, **{kind: told[1:]})).result().presence_wrong == 1


def test_the_program_writes_tables_and_picture_and_fails_if_the_watcher_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A small run replaces the text between the page's marks; an inexact result is named and fails the run."""
    page = ROOT / "docs" / "accuracy.md"
    shutil.copy(page, tmp_path)
    command = [
        "--hours",
        "0.3",
        "--agents",
        "8",
        "--queues",
        "2",
        "--intervals",
        "30",
        "10",
        "--lags",
        "0",
        "--jobs",
        "1",
    ]
    results: dict[tuple[Scenario, float, int], Result] = {}

    def run_once(*asked: Any) -> Result:
        results[asked] = results.get(asked) or run_scenario(*asked)
        return results[asked]

    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(truth, "run_scenario", run_once)
    assert truth.main([*command, "--write", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    before, after = page.read_text("utf-8"), (tmp_path / "accuracy.md").read_text("utf-8")
    assert after.partition(BEGIN)[0] == before.partition(BEGIN)[0]
    assert after.partition(END)[2] == before.partition(END)[2]
    assert "| 10 s |" in after
    assert all(line in printed for line in after.partition(BEGIN)[2].partition(END)[0].splitlines())
    assert ElementTree.parse(tmp_path / "_static" / "accuracy.svg").getroot().tag.endswith("svg")
    asked = next(it for it in results if it[0].name == "shifts" and it[1] == 30)
    results[asked] = attrs.evolve(results[asked], false_events=1)
    assert truth.main(command) == 1
    assert capsys.readouterr().out.endswith("Not exact: shifts at 30 s\n")


def test_the_full_run_uses_several_cores() -> None:
    with truth._pool(2) as pool:
        assert isinstance(pool, ProcessPoolExecutor)


@pytest.mark.virtual_time
async def test_a_run_in_which_nothing_happens_has_tables_and_a_picture() -> None:
    """A run that is shorter than its polling interval has figures of zero."""
    nothing = await watch(attrs.evolve(STEADY, duration=5.0), 60, 1)
    assert nothing.exact
    assert "| 60 s | 0 | 0 | 0 |" in tables({"steady": [nothing]})
    assert picture([nothing])
