"""``sipqueue report``, run in the tests' own process against a simulator."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipqueue_async import AuthError, SeatFilter, Snapshot, StatusWatcher, TransportError
from sipqueue_async.cli.commands import report as report_command
from sipqueue_async.cli.commands.report import Form, Report
from sipqueue_async.cli.exits import UNREACHABLE, USAGE, Failure
from sipqueue_async.cli.origin import RelayOrigin
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.simulator import Simulator
from sipqueue_async.tally import Tally
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.cli import BUSY, Paper, Stderr
from tests.kit.tasks import running
from tests.kit.waiting import until


def state_in(directory: Path) -> StateFile[Tally]:
    """Return a state file."""
    return StateFile(directory / "state", Tally.from_json)


@asynccontextmanager
async def watching(
    simulator: Simulator, paper: Paper, **options: Any
) -> AsyncGenerator[tuple[Report, asyncio.Future[None]]]:
    """Run the command until the block ends, and print the report; the block begins after the first poll."""
    options = {"interval": 0.02, "form": Form.CSV, **options}
    report = Report(paper.output(NO_COLOR="1"), **options)
    polls = simulator.server.requests
    try:
        async with running(report.watch(client_of(simulator))) as task:
            # A login, a poll, and a second poll: its request shows that the first answer has been processed.
            await until(lambda: simulator.server.requests >= polls + 3 or task.done())
            yield report, task
    finally:
        report.print()


async def polled(simulator: Simulator) -> None:
    """Wait until the command has polled the simulator's current status."""
    polls = simulator.server.requests
    await until(lambda: simulator.server.requests >= polls + 2)


def rows(paper: Paper) -> list[dict[str, str]]:
    """Return the rows of the CSV."""
    return list(csv.DictReader(io.StringIO(paper.text)))


def answered(paper: Paper) -> int:
    """Return the number of answered calls in the CSV."""
    return sum(int(row["calls_answered"]) for row in rows(paper))


async def test_it_prints_the_calls_there_were() -> None:
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


@pytest.mark.parametrize(
    ("form", "first"),
    [
        (Form.TABLE, "queue    extension"),
        (Form.JSON, '{"v":1,"started_at":"'),
        (Form.CSV_WITH_BOM, "\N{BYTE ORDER MARK}queue,extension,name,"),
    ],
)
async def test_it_prints_in_the_form_asked_for(form: Form, first: str) -> None:
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, form=form):
        pass
    assert paper.lines[0].startswith(first)


async def test_only_what_was_chosen_is_watched() -> None:
    paper = Paper()
    seats = SeatFilter("queue-1", ["100003", "100004"])
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, seats=seats):
        pass
    assert [row["extension"] for row in rows(paper)] == ["100003"]


async def test_a_terminal_shows_that_the_command_watches() -> None:
    """The line is printed only to a terminal, not to programs that read the figures."""
    for form, told in [(Form.TABLE, True), (Form.CSV, False)]:
        paper = Paper(terminal=True)
        async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper, form=form):
            await polled(simulator)
            assert paper.lines == ["watching 4 seats in 2 queues; Ctrl-C prints the report"] * told


async def test_trouble_is_told_beside_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """An outage is reported on stderr, waited out, and counted as unseen."""
    paper = Paper()
    stderr = Stderr(capsys)
    async with Simulator(BUSY, speed=0) as simulator, watching(simulator, paper):
        await simulator.stop_server()
        await until(lambda: "feed down since " in stderr.text)
        await simulator.start_server()
        await until(lambda: "feed up after " in stderr.text)
    assert all(line.startswith("sipqueue: ") for line in stderr.text.splitlines())
    assert all(float(row["unseen_seconds"]) > 0 for row in rows(paper))


AWAY = TransportError("no route to host")
NOWHERE = RelayOrigin(redis="redis://nowhere")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that replaces the platform by a source."""

    def replace(source: Callable[[], Coroutine[Any, Any, Snapshot]]) -> None:
        @asynccontextmanager
        async def feed_of(
            _: object, *, interval: float, seats: SeatFilter, baseline: Snapshot | None
        ) -> AsyncGenerator[StatusWatcher]:
            yield StatusWatcher(source, interval=interval, queues=seats.queues, baseline=baseline)

        monkeypatch.setattr(report_command, "feed_of", feed_of)

    return replace


@pytest.mark.virtual_time
class TestTime:
    async def test_it_stops_after_some_seconds(self, script: Callable[..., None]) -> None:
        paper = Paper()
        script(ScriptedSource([snapshot(agent(), at=at) for at in range(0, 60, 2)]))
        report = Report(paper.output(), form=Form.CSV, seconds=9)
        began = asyncio.get_running_loop().time()
        await report.watch(NOWHERE)
        report.print()
        assert asyncio.get_running_loop().time() - began == pytest.approx(9)
        assert [row["signed_in_seconds"] for row in rows(paper)] == ["10.000"]

    @pytest.mark.parametrize("is_resumed", [False, True])
    async def test_without_an_answer_it_fails_and_prints_only_saved_figures(
        self, script: Callable[..., None], is_resumed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paper = Paper()
        state = state_in(tmp_path)
        if is_resumed:
            state.save(Tally(snapshot(agent())))
        script(ScriptedSource([AWAY]))
        report = Report(paper.output(), form=Form.CSV, seconds=1, state_file=state)
        with pytest.raises(Failure, match=r"no status came within 1 s: no route to host") as caught:
            await report.watch(NOWHERE)
        report.print()
        assert (caught.value.code, len(rows(paper))) == (UNREACHABLE, int(is_resumed))
        assert ("no status yet" in capsys.readouterr().err) != is_resumed

    async def test_a_silent_platform_is_named_as_the_reason(self, script: Callable[..., None]) -> None:
        async def silent() -> Snapshot:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

        script(silent)
        with pytest.raises(Failure, match=r"within 0.1 s: it is silent"):
            await Report(Paper().output(), seconds=0.1).watch(NOWHERE)

    async def test_it_is_saved_every_ten_seconds(self, script: Callable[..., None], tmp_path: Path) -> None:
        """The file is saved even while nothing changes."""
        state = state_in(tmp_path)
        script(ScriptedSource([snapshot(agent(), at=at) for at in range(0, 60, 3)]))
        async with running(Report(Paper().output(), interval=3, state_file=state).watch(NOWHERE)):
            for seconds, expected in ((1, 0), (10, 9), (10, 18)):
                await asyncio.sleep(seconds)
                saved = state.load()
                assert saved is not None
                assert saved.observed_at == START + timedelta(seconds=expected)


async def test_withdrawn_credentials_end_it_with_the_figures_so_far(tmp_path: Path) -> None:
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
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.server.refuse(602, times=None)
        report = Report(paper.output(), interval=0.02)
        with pytest.raises(AuthError):
            await report.watch(client_of(simulator))
    report.print()
    assert paper.text == ""


async def test_it_goes_on_with_the_same_day(tmp_path: Path) -> None:
    """Calls during the restart count, and the time away is unseen."""
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
        # Restart again while nothing changes.
        async with watching(simulator, third, state_file=state):
            await polled(simulator)
    assert answered(third) == answered(second)
    assert all(float(row["unseen_seconds"]) < 30 for row in rows(third))


async def test_saved_figures_are_printed_without_a_platform(tmp_path: Path) -> None:
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


async def test_a_file_of_other_filters_is_refused(tmp_path: Path) -> None:
    state = state_in(tmp_path)
    state.save(Tally(snapshot(agent())))
    async with Simulator(BUSY, speed=0) as simulator:
        for seats in SeatFilter("queue-2"), SeatFilter(extensions="100002"):
            report = Report(Paper().output(), state_file=state, seats=seats)
            with pytest.raises(Failure, match="queue queue-1, extension 100001, which would not be watched") as caught:
                await report.watch(client_of(simulator))
            assert caught.value.code == USAGE


async def test_another_days_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = state_in(tmp_path)
    for began, told in [(datetime(2026, 1, 5, 12, tzinfo=UTC), True), (datetime.now(UTC), False)]:
        state.save(Tally(snapshot(agent(queue="queue-1"), at=(began - snapshot().observed_at).total_seconds())))
        async with Simulator(BUSY, speed=0) as simulator, watching(simulator, Paper(), state_file=state):
            pass
        assert ("warning: the tally of the state file began on 2026-01-05" in capsys.readouterr().err) is told


async def test_a_full_disk_ends_it_with_the_figures(tmp_path: Path) -> None:

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


async def test_a_demonstration_counts_the_centres_time() -> None:
    paper = Paper()
    report = Report(paper.output(), form=Form.CSV, interval=6.0)
    async with running(report.watch_demo(Demonstration(speed=600.0))) as task:
        await until(lambda: report.tally.total.calls_answered or task.done())
    report.print()
    assert answered(paper) > 0
    assert rows(paper)[0]["started_at"].startswith("2026-01-05T08:0")


async def test_a_demonstration_stops_after_seconds_of_its_time() -> None:
    report = Report(Paper().output(), interval=6.0, seconds=300.0)
    # The platform cannot answer within a third of a millisecond.
    with pytest.raises(Failure, match="no status came within 300 s"):
        await report.watch_demo(Demonstration(speed=1e6))
