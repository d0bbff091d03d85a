"""``sipqueue demo``."""

from __future__ import annotations

import asyncio

import pytest

from sipqueue_async import diff
from sipqueue_async.cli.commands.demo import Comparison, EventCounts, demo
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.cli import Paper
from tests.kit.waiting import until


async def test_it_stops_and_what_it_reported_is_true() -> None:
    paper = Paper()
    assert await demo(paper.output(), Demonstration(speed=200.0), seconds=1.0, interval=0.1) == 0
    assert any("queue-1 100001 " in line and " → " in line for line in paper.lines)
    rows = {line.split()[0]: line.split()[1:] for line in paper.lines if line.startswith(("answered", "missed"))}
    assert rows["answered"][0] == rows["answered"][1] != "0"
    assert rows["missed"][0] == rows["missed"][1]
    assert "Every call was reported, and no other." in paper.text
    assert "began and ended between two polls" in paper.text


async def test_interrupted_it_sums_up_and_passes_the_interruption_on() -> None:
    paper = Paper(terminal=True)
    task = asyncio.ensure_future(demo(paper.output(NO_COLOR="1"), seconds=0, interval=0.05))
    await until(lambda: "talking" in paper.text)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert paper.lines[0].startswith("a simulated call centre at http://127.0.0.1:")
    assert "Every call was reported, and no other." in paper.text


async def test_a_report_that_differs_from_the_truth_says_so() -> None:
    paper = Paper()
    comparison = Comparison(polls=1, counts=EventCounts(answered=1), true_answered=2, true_missed=0, span=1.0)
    assert not comparison.exact
    comparison.print(paper.output())
    assert "The report differs from the truth" in paper.text
    assert Comparison(polls=1, counts=EventCounts(missed=1), true_answered=0, true_missed=1, span=1.0).exact


async def test_the_first_event_comes_within_a_second() -> None:
    """One second is ten seconds of the simulated centre."""
    async with Simulator(Plan.lively(), speed=0) as simulator, client_of(simulator) as client:
        before = await client.fetch_snapshot()
        simulator.advance(10)
        assert diff(before, await client.fetch_snapshot())
