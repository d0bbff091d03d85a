"""``sipqueue report``, run in the tests' own process against a simulator."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipqueue_async import AuthError, SeatFilter, SipQueueClient
from sipqueue_async.cli.commands import report as report_command
from sipqueue_async.cli.commands.report import Form, Report
from sipqueue_async.cli.exits import UNREACHABLE, USAGE, Failure
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.simulator import Simulator
from sipqueue_async.tally import Tally
from tests.kit.builders import agent, snapshot
from tests.kit.cli import BUSY, Paper, until
from tests.kit.servers import RawServer


def state_in(directory: Path) -> StateFile[Tally]:
    """Return a state file."""
    return StateFile(directory / "state", Tally.from_json)


@asynccontextmanager
async def watching(
    simulator: Simulator, paper: Paper, **options: Any
) -> AsyncGenerator[tuple[Report, asyncio.Future[None]]]:
    """Run the command until the block ends, which begins after the first poll; then let it conclude."""
    options = {"interval": 0.02, "form": Form.CSV, **options}
    report = Report(paper.output(NO_COLOR="1"), **options)
    polls = simulator.server.requests
    task = asyncio.ensure_future(report.watch(client_of(simulator)))
    # A login, a poll, and another poll: when that is asked for, the first one's answer has been dealt with.
    await until(lambda: simulator.server.requests >= polls + 3 or task.done())
    try:
        yield report, task
    finally:
        task.cancel()
        await asyncio.wait([task])
        report.print()


async def polled(simulator: Simulator) -> None:
    """Wait until what the simulator shows now has been seen."""
    polls = simulator.server.requests
    await until(lambda: simulator.server.requests >= polls + 2)


def rows(paper: Paper) -> list[dict[str, str]]:
    """Return the lines of the CSV."""
    return list(csv.DictReader(io.StringIO(paper.text)))


def answered(paper: Paper) -> int:
    """Return how many calls were answered, by the CSV."""
    return sum(int(row["calls_answered"]) for row in rows(paper))


async def test_it_prints_the_calls_there_were() -> None:
    """The day's figures are others than the day's."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper):
        start = simulator.centre.now
        for _ in range(20):
            simulator.advance(5)
            await polled(simulator)
        assert paper.text == ""
    assert answered(paper) == simulator.truth.answered(start) > 5
    assert all(0 < float(row["signed_in_seconds"]) < 60 for row in rows(paper))
    assert len(rows(paper)) == 4


@pytest.mark.parametrize(("form", "first"), [(Form.TABLE, "queue    extension"), (Form.JSON, '{"v":1,"started_at":"')])
async def test_it_prints_in_the_form_asked_for(form: Form, first: str) -> None:
    """An option for the form does nothing."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, form=form):
        pass
    assert paper.lines[0].startswith(first)


async def test_only_what_was_chosen_is_watched() -> None:
    """--queue or --extension let others into the figures."""
    paper = Paper()
    seats = SeatFilter("queue-1", ["100003", "100004"])
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, seats=seats):
        pass
    assert [row["extension"] for row in rows(paper)] == ["100003"]


async def test_a_terminal_is_told_that_all_is_well() -> None:
    """Who waits for a report cannot tell it from a hung program; or a program that reads it is told as well."""
    for form, told in [(Form.TABLE, True), (Form.CSV, False)]:
        paper = Paper(terminal=True)
        async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, form=form):
            await polled(simulator)
            assert paper.lines == ["watching 4 seats in 2 queues; Ctrl-C prints the report"] * told


async def test_trouble_is_told_beside_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """An outage looks like calm, ends the program, spoils the CSV, or counts for a state."""
    paper = Paper()
    said = ""
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper):
        await simulator.stop_server()

        def told(words: str) -> bool:
            nonlocal said
            said += capsys.readouterr().err
            return words in said

        await until(lambda: told("feed down since "))
        await simulator.start_server()
        await until(lambda: told("feed up after "))
    assert all(line.startswith("sipqueue: ") for line in said.splitlines())
    assert all(float(row["unseen_seconds"]) > 0 for row in rows(paper))


async def test_it_stops_after_some_seconds() -> None:
    """--seconds does not end it, or ends it with an error."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        report = Report(paper.output(), form=Form.CSV, interval=0.02, seconds=1.5)
        await report.watch(client_of(simulator))
    report.print()
    assert len(rows(paper)) == 4


async def test_a_platform_that_never_answers_is_no_empty_day(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads the figures takes an unreachable platform for a day without agents."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        await simulator.stop_server()
        report = Report(paper.output(), form=Form.CSV, interval=0.02, seconds=1.0)
        with pytest.raises(Failure, match=r"no status came within 1 s: .*cannot connect") as caught:
            await report.watch(client_of(simulator))
    report.print()
    assert (caught.value.code, paper.text) == (UNREACHABLE, "")
    assert "feed down from the start" in capsys.readouterr().err


async def test_a_platform_that_does_not_answer_again_is_told_beside_the_figures(tmp_path: Path) -> None:
    """Old figures look like new ones, or are not printed at all."""
    paper = Paper()
    state = state_in(tmp_path)
    state.save(Tally(snapshot(agent())))
    async with Simulator(BUSY, speed=0) as simulator:
        await simulator.stop_server()
        report = Report(paper.output(), form=Form.CSV, interval=0.02, seconds=0.1, state_file=state)
        with pytest.raises(Failure, match="no status came") as caught:
            await report.watch(client_of(simulator))
    report.print()
    assert (caught.value.code, len(rows(paper))) == (UNREACHABLE, 1)


async def test_a_silent_platform_is_told(raw_server: RawServer) -> None:
    """A platform that takes longer than the time given ends it with an error that says nothing."""

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    raw_server.connections = [silent]
    report = Report(Paper().output(), interval=0.02, seconds=0.1)
    with pytest.raises(Failure, match=r"within 0.1 s: it is silent"):
        await report.watch(SipQueueClient(raw_server.url, "token"))


async def test_withdrawn_credentials_end_it_with_the_figures_so_far(tmp_path: Path) -> None:
    """Whoever changes a password in the afternoon loses the day."""
    paper = Paper()
    state = state_in(tmp_path)
    async with Simulator(BUSY, speed=0) as simulator:
        start = simulator.centre.now
        async with watching(simulator, paper, state_file=state) as (_, task):
            simulator.advance(60)
            await polled(simulator)
            simulator.server.refuse(602, times=None)
            await until(task.done)
            with pytest.raises(AuthError):
                task.result()
    assert answered(paper) == simulator.truth.answered(start) > 2
    saved = state.load()
    assert saved is not None
    assert saved.total.calls_answered == answered(paper)


async def test_credentials_that_never_worked_are_refused_without_figures() -> None:
    """Wrong credentials give an empty report."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.server.refuse(602, times=None)
        report = Report(paper.output(), interval=0.02)
        with pytest.raises(AuthError):
            await report.watch(client_of(simulator))
    report.print()
    assert paper.text == ""


async def test_it_goes_on_with_the_same_day(tmp_path: Path) -> None:
    """After a restart calls are missing, also those answered meanwhile, or the time away counts for a state."""
    first, second, third = Paper(), Paper(), Paper()
    state = state_in(tmp_path)
    async with Simulator(BUSY, speed=0) as simulator:
        start = simulator.centre.now
        async with watching(simulator, first, state_file=state):
            simulator.advance(60)
            await polled(simulator)
        simulator.advance(60)
        await asyncio.sleep(0.2)
        async with watching(simulator, second, state_file=state):
            await polled(simulator)
        assert answered(first) < answered(second) == simulator.truth.answered(start)
        assert all(float(row["unseen_seconds"]) > 0.2 for row in rows(second))
        assert rows(second)[0]["started_at"] == rows(first)[0]["started_at"]
        # And once more, in a calm.
        async with watching(simulator, third, state_file=state):
            await polled(simulator)
    assert answered(third) == answered(second)
    assert all(float(row["unseen_seconds"]) < 30 for row in rows(third))


async def test_what_is_saved_is_printed_without_a_platform(tmp_path: Path) -> None:
    """Who wants yesterday's figures has to poll the platform, or is shown others."""
    paper, again = Paper(), Paper()
    state = state_in(tmp_path)
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, state_file=state):
        simulator.advance(20)
        await polled(simulator)
    report = Report(again.output(), form=Form.CSV, state_file=state)
    await report.load_saved()
    report.print()
    assert again.text == paper.text
    with pytest.raises(Failure, match="there is nothing saved") as caught:
        await Report(again.output(), state_file=StateFile(tmp_path / "none", Tally.from_json)).load_saved()
    assert caught.value.code == USAGE


async def test_it_is_saved_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut in the evening takes the whole day, or a calm one is saved at its end only."""
    monkeypatch.setattr(report_command, "SAVE_EVERY", 0.05)
    state = state_in(tmp_path)
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, Paper(), state_file=state):
        first = state.load()
        assert first is not None

        def later() -> bool:
            saved = state.load()
            assert saved is not None
            assert saved.observed_at is not None
            assert first.observed_at is not None
            return saved.observed_at > first.observed_at + timedelta(seconds=0.2)

        await until(later)


async def test_a_file_of_other_filters_is_refused(tmp_path: Path) -> None:
    """Agents whom nobody watches any more go on to be counted as waiting, for ever."""
    state = state_in(tmp_path)
    state.save(Tally(snapshot(agent())))
    async with Simulator(BUSY, speed=0) as simulator:
        for seats in SeatFilter("queue-2"), SeatFilter(extensions="100002"):
            report = Report(Paper().output(), state_file=state, seats=seats)
            with pytest.raises(Failure, match="queue queue-1, extension 100001, which would not be watched") as caught:
                await report.watch(client_of(simulator))
            assert caught.value.code == USAGE


async def test_another_days_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Today's figures are added to yesterday's, and nobody knows."""
    state = state_in(tmp_path)
    for began, told in [(datetime(2026, 1, 5, 12, tzinfo=UTC), True), (datetime.now(UTC), False)]:
        state.save(Tally(snapshot(agent(queue="queue-1"), at=(began - snapshot().observed_at).total_seconds())))
        async with Simulator(BUSY, speed=0) as simulator, watching(simulator, Paper(), state_file=state):
            pass
        assert ("warning: the tally of the state file began on 2026-01-05" in capsys.readouterr().err) is told


async def test_a_full_disk_ends_it_with_the_figures(tmp_path: Path) -> None:
    """A state file that cannot be written takes the figures with it."""

    class Full(StateFile[Tally]):
        def save(self, state: Tally) -> None:
            raise Failure("the disk is full", 1)

    paper = Paper()
    full = Full(tmp_path / "state", Tally.from_json)
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, state_file=full) as (_, task):
        await until(task.done)
        with pytest.raises(Failure, match="full"):
            task.result()
    assert len(rows(paper)) == 4


async def test_a_demonstration_is_of_the_centres_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demonstration shows seconds of this machine's, or its calls are made up."""
    monkeypatch.setattr(report_command, "DEMO_SPEED", 600.0)
    paper = Paper()
    report = Report(paper.output(), form=Form.CSV, interval=6.0, seconds=300.0)
    await report.watch_demo(0)
    report.print()
    assert answered(paper) > 0
    assert all(float(row["signed_in_seconds"]) > 20 for row in rows(paper))
    assert rows(paper)[0]["started_at"].startswith("2026-01-05T08:00:0")
