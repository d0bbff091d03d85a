"""Queues and extensions on the command line that the platform does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from sipqueue_async import OperationFailed, SeatFilter, SeatKey, SipQueueClient, Snapshot, TransportError
from sipqueue_async.cli.absent import Platform, describe_absent
from sipqueue_async.cli.commands.report import Report
from sipqueue_async.cli.commands.status import status
from sipqueue_async.cli.commands.wallboard import Site, wallboard
from sipqueue_async.cli.commands.watch import watch
from sipqueue_async.cli.exits import ABSENT, Failure
from sipqueue_async.cli.origin import absent_names, reporting_absent
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.simulator import Simulator
from sipqueue_async.simulator.platform import STATUS
from tests.kit.cli import BUSY, Paper, Stderr
from tests.kit.tasks import running
from tests.kit.waiting import until

A1, A2, B2 = SeatKey("a", "1"), SeatKey("a", "2"), SeatKey("b", "2")
EVERYTHING = {A1, A2, B2}
NO_QUEUE = "no queue named 'nosuch'; there are queue-1, queue-2"


@pytest.mark.parametrize(
    ("seats", "known", "everything", "sentence"),
    [
        (SeatFilter("a"), {A1, A2}, EVERYTHING, None),
        (SeatFilter("a", ["1", "2"]), {A1, A2}, EVERYTHING, None),
        (SeatFilter(["a", "b"], "1"), {A1}, EVERYTHING, None),
        (SeatFilter("x"), set(), EVERYTHING, "no queue named 'x'; there are a, b"),
        (SeatFilter("x"), set(), set(), "no queue named 'x'"),
        (SeatFilter("a,b"), set(), set(), "no queue named 'a,b'; repeat --queue for several"),
        (
            SeatFilter(None, "1,2"),
            set(),
            {A1, A2},
            "no extension named '1,2'; there are 1, 2; repeat --extension for several",
        ),
        (SeatFilter(["x", "y", "a"]), {A1, A2}, EVERYTHING, "no queues named 'x', 'y'; there are a, b"),
        (SeatFilter("x", "9"), set(), {A1}, "no queue named 'x'; there are a; no extension named '9'; there are 1"),
        (SeatFilter("x"), set(), {SeatKey("a\n b", "1")}, r"no queue named 'x'; there are a\n b"),
        (SeatFilter("b", "1"), set(), EVERYTHING, "extension '1' is only in a"),
        (
            SeatFilter(None, "x"),
            set(),
            {SeatKey("a", str(number)) for number in range(100, 115)},
            "no extension named 'x'; there are 100, 101, 102, 103, 104, 105, 106, 107, 108, 109 and 5 more",
        ),
    ],
)
def test_absent_names_are_listed_with_the_known_ones(
    seats: SeatFilter, known: set[SeatKey], everything: set[SeatKey], sentence: str | None
) -> None:
    assert describe_absent(seats, known, everything) == sentence


async def test_only_an_unknown_extension_is_an_empty_answer() -> None:
    async with Simulator(BUSY, speed=0) as simulator, client_of(simulator) as client:
        platform = Platform(client)
        assert not await platform.fetch_snapshot(extension="999")
        assert await platform.fetch_snapshot(queue="queue-1")
        simulator.faults.next(code="1002", service=STATUS)
        with pytest.raises(OperationFailed):
            await platform.fetch_snapshot(extension="100001")
        # Without the list of queues, the sentence is shorter.
        simulator.faults.next(status=404, service=STATUS)
        assert await absent_names(client, SeatFilter("nosuch"), []) == "no queue named 'nosuch'"


@pytest.mark.parametrize("as_json", [False, True])
async def test_status_prints_what_is_there_and_ends_with_a_code_of_its_own(as_json: bool) -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        paper = Paper()
        with pytest.raises(Failure, match=NO_QUEUE) as caught:
            await status(client_of(simulator), paper.output(), seats=SeatFilter("nosuch"), as_json=as_json)
        assert (caught.value.code, bool(paper.text)) == (ABSENT, as_json)
        with pytest.raises(Failure, match=NO_QUEUE):
            await status(client_of(simulator), paper.output(), seats=SeatFilter(["nosuch", "queue-1"]))
        assert "100001" in paper.text


async def test_report_ends_and_prints_no_figures() -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        paper = Paper()
        report = Report(paper.output(), seats=SeatFilter("nosuch"))
        with pytest.raises(Failure, match=NO_QUEUE) as caught:
            await report.watch(client_of(simulator))
        report.print()
        assert (caught.value.code, paper.text) == (ABSENT, "")


@pytest.mark.parametrize("command", [watch, partial(wallboard, site=Site())], ids=["watch", "wallboard"])
async def test_a_command_that_continues_says_so(
    command: Callable[..., Coroutine[Any, Any, None]], capsys: pytest.CaptureFixture[str]
) -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        work = command(client_of(simulator), Paper().output(), seats=SeatFilter(None, "999"), interval=0.02)
        stderr = Stderr(capsys)
        async with running(work) as task:
            await until(lambda: "still watching for it" in stderr.text or task.done())
            assert "no extension named '999'; there are 100001" in stderr.text
            assert not task.done()


async def test_a_first_status_that_fails_is_the_commands_to_report(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> Snapshot:
        raise TransportError("away")

    async with reporting_absent(SipQueueClient("http://127.0.0.1:9", "token"), SeatFilter("nosuch"), fail):
        await asyncio.sleep(0)
    assert capsys.readouterr().err == ""
