"""``sipqueue calls``, ``queues`` and ``agent``."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import attrs
import pytest

from sipqueue_async import (
    AgentState,
    AppCredentials,
    CallDirection,
    OperationFailed,
    SipQueueClient,
    StatusWatcher,
)
from sipqueue_async.cli import app
from sipqueue_async.cli.call_figures import Counting
from sipqueue_async.cli.commands import agent, calls, queues
from sipqueue_async.cli.commands.agent import Action
from sipqueue_async.cli.commands.calls import Wanted
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.history import History, Recorder
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.builders import body
from tests.kit.cli import BUSY, Paper
from tests.kit.servers import Platform

PLAN = attrs.evolve(Plan.lively(), external_calls_per_hour=20.0)
SINCE = datetime.fromisoformat("2026-01-05 00:00:00")
ALL = Wanted(since=SINCE, until=SINCE + timedelta(days=1))


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the server and a token; nothing else."""
    monkeypatch.setenv("SIPQUEUE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "good-token")
    monkeypatch.delenv("SIPQUEUE_TIMEZONE", raising=False)
    monkeypatch.delenv("SIPQUEUE_DB", raising=False)


# ---- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numbers", [False, True])
async def test_calls_are_a_table_with_numbers_only_on_request(numbers: bool) -> None:
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        simulator.advance(300)
        paper, truth = Paper(), simulator.centre.past_calls()
        await calls.calls(client_of(simulator), paper.output(), ALL, numbers=numbers)
    assert len(paper.lines) == len(truth) + 3
    assert paper.lines[0].split()[:4] == ["started", "way", "extension", "caller" if numbers else "waited"]
    assert ("02079460" in paper.text) is numbers
    assert "not answered" in paper.text
    assert paper.lines[-1] == f"{len(truth)} calls, {sum(it.answered_at is not None for it in truth)} answered"


async def test_calls_are_lines_of_json() -> None:
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        simulator.advance(300)
        paper, truth = Paper(), simulator.centre.past_calls()
        extension = next(it.extension for it in truth if it.outgoing)
        wanted = attrs.evolve(ALL, direction=CallDirection.OUT, extensions=frozenset({str(extension)}))
        await calls.calls(client_of(simulator), paper.output(), wanted, as_json=True)
    records = [json.loads(line) for line in paper.lines]
    assert {(record["v"], record["extension"], record["direction"]) for record in records} == {(1, extension, "out")}
    assert "02079460" not in paper.text


@pytest.mark.parametrize("by", [None, "hour", "day", "extension"])
async def test_figures_of_the_calls_and_of_each_group(by: str | None) -> None:
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        simulator.advance(900)
        truth = [it for it in simulator.centre.past_calls() if not it.outgoing]
        answered = sum(it.answered_at is not None for it in truth)
        paper, lines = Paper(), Paper()
        await calls.print_figures(client_of(simulator), paper.output(), ALL, by=by)
        counting = Counting(within=5)
        await calls.print_figures(client_of(simulator), lines.output(), ALL, by=by, counting=counting, as_json=True)
    found = [json.loads(line) for line in lines.lines]
    assert (found[-1]["offered"], found[-1]["answered"], found[-1]["within"]) == (len(truth), answered, 5)
    groups = {it.extension or "none" for it in truth} if by == "extension" else set(range(by is not None))
    assert len(found) == len(groups) + 1
    total = next(line.split() for line in paper.lines if line.startswith("total"))
    assert total[1:4] == [str(len(truth)), str(answered), str(len(truth) - answered)]
    assert paper.lines[-1] == "in time: answered within 20 s, of all offered calls"


async def test_figures_without_a_call() -> None:
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        paper = Paper()
        await calls.print_figures(client_of(simulator), paper.output(), ALL)
    assert next(line.split() for line in paper.lines if line.startswith("total")) == ["total", "0", "0", "0"]


async def test_figures_by_prefix_show_no_whole_number() -> None:
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        simulator.advance(900)
        numbers = [it.number for it in simulator.centre.past_calls() if not it.outgoing]
        paper = Paper()
        await calls.print_figures(client_of(simulator), paper.output(), ALL, by="prefix", as_json=True)
    found = {it["prefix"]: it["offered"] for it in map(json.loads, paper.lines)}
    assert found == {**Counter(number[:3] for number in numbers), "total": len(numbers)}


async def test_figures_by_queue_are_those_of_the_model_or_not_known(tmp_path: Path) -> None:
    """The events of a history tell the queues; a call that none of them is about counts apart."""
    async with Simulator(attrs.evolve(BUSY, patience=20.0), seed=7, speed=0) as simulator:
        auth = AppCredentials(simulator.appid, simulator.accesskey)
        zone = ZoneInfo("Asia/Shanghai")
        client = SipQueueClient(simulator.url, auth, timezone=zone)
        history = History(f"sqlite:///{tmp_path}/day.db")
        async with client, history:
            watcher = StatusWatcher(client, interval=86400)
            async with Recorder(history, watcher), watcher:
                await watcher.ready()
                for _ in range(100):
                    simulator.advance(3)
                    await watcher.refresh(anew=True)
        truth = [it for it in simulator.centre.past_calls() if not it.outgoing]
        wanted = Wanted(since=SINCE.replace(tzinfo=zone), until=datetime.now(zone))
        table, lines = Paper(), Paper()
        for paper, as_json in ((table, False), (lines, True)):
            client = SipQueueClient(simulator.url, auth, timezone=zone)
            await calls.print_figures(client, paper.output(), wanted, by="queue", history=history, as_json=as_json)
    found = {it["queue"]: (it["offered"], it["answered"]) for it in map(json.loads, lines.lines)}
    expected = Counter(it.queue for it in truth if it.answered_at is not None)
    assert min(expected.values()) > 5
    missed = len(truth) - expected.total()
    assert found == {
        **{queue: (count, count) for queue, count in expected.items()},
        None: (missed, 0),
        "total": (len(truth), expected.total()),
    }
    assert any(line.startswith("not known") for line in table.lines)


def test_options_of_figures_arrive(work: list[Any], tmp_path: Path) -> None:
    assert app.run(["calls", "--figures", "--by", "hour", "--within", "30", "--wrap-up", "10"]) == 0
    counting = Counting(within=30, wrap_up=10)
    assert work[0].keywords == {"by": "hour", "counting": counting, "history": None, "as_json": False}
    assert app.run(["calls", "--figures", "--by", "prefix", "--prefix-digits", "4"]) == 0
    assert app.run(["calls", "--figures", "--by", "prefix", "--number-prefix", "02", "--number-prefix", "138"]) == 0
    assert [job.keywords["counting"].prefixes for job in work[1:]] == [4, ("02", "138")]
    line = ["calls", "--figures", "--by", "queue", "--db", f"sqlite:///{tmp_path}/day.db", "--timezone", "UTC"]
    assert app.run(line) == 0
    assert isinstance(work[-1].keywords["history"], History)


async def test_no_calls_are_said_so() -> None:
    async with Simulator(PLAN, speed=0) as simulator:
        paper = Paper()
        await calls.calls(client_of(simulator), paper.output(), ALL)
    assert paper.lines == ["0 calls, 0 answered, from 2026-01-05 00:00 to 2026-01-06 00:00 by the server's clock"]


def test_the_options_of_calls_arrive(work: list[partial[Any]]) -> None:
    assert app.run(["calls", "--since", "2026-01-05", "--timezone", "Asia/Shanghai", "--numbers"]) == 0
    assert app.run(["calls", "--since", "2026-01-05", "--until", "2026-01-06 00:00", "--json"]) == 0
    line = "calls --since 2026-01-05T00:00:00Z --until 2026-01-05T08:00 --timezone UTC --direction in --extension 7"
    assert app.run(line.split()) == 0
    assert app.run(["calls"]) == 0
    assert app.run(["calls", "--since", "2026-01-05 09:00"]) == 0
    day, closed, aware, today, open_ended = (job.args[2] for job in work)
    assert timedelta(0) <= datetime.now() - today.since < timedelta(days=2)  # noqa: DTZ005  # as the server's clock
    assert today.until - today.since == timedelta(days=1)
    assert (day.since.tzinfo, day.since.replace(tzinfo=None)) == (ZoneInfo("Asia/Shanghai"), SINCE)
    assert day.until - day.since == timedelta(days=1)
    assert open_ended.until > datetime.now() + timedelta(days=1)  # noqa: DTZ005  # wherever the server is
    assert closed == ALL
    assert (aware.direction, aware.extensions) == (CallDirection.IN, {"7"})
    assert aware.until - aware.since == timedelta(hours=8)
    assert [job.keywords for job in work][:2] == [
        {"numbers": True, "as_json": False},
        {"numbers": False, "as_json": True},
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("calls --since soon", "--since 'soon' is not a time: give one such as yesterday"),
        ("calls --since 2026-01-05 --until 2026-01-03", "is before --since,"),
        ("calls --since 2026-01-05T00:00Z", "--since has a time zone; name the server's with --timezone"),
        ("calls --by hour", "--by needs --figures"),
        ("calls --db sqlite:///day.db", "--db needs --figures"),
        ("calls --figures --numbers", "--figures and --numbers do not go together"),
        ("calls --figures --by hour --db sqlite:///day.db", "--db needs --by queue"),
        ("calls --figures --by queue --db sqlite:///day.db", "the server's time zone is needed: use --timezone"),
        ("calls --figures --by queue --timezone UTC", "no database given: use --db"),
        ("calls --figures --within inf", "it must be 0 or more, not inf"),
        ("calls --figures --wrap-up -1", "it must be 0 or more, not -1"),
        ("calls --within 30", "--within needs --figures"),
        ("calls --figures --by day --prefix-digits 3", "--prefix-digits needs --by prefix"),
        ("calls --figures --number-prefix 138", "--number-prefix needs --by prefix"),
        ("calls --figures --by prefix --prefix-digits 8", "a prefix has from 1 to 7 digits, not 8"),
        ("calls --figures --by prefix --number-prefix x", "a prefix has from 1 to 7 digits"),
        (
            "calls --figures --by prefix --number-prefix 1 --prefix-digits 3",
            "--prefix-digits and --number-prefix do not go together",
        ),
        ("agent sign-in 7", "sign-in needs --queue"),
        ("agent hang-up 7 --queue q", "hang-up takes no --queue"),
        ("agent pause 7 --queue=", "--queue cannot be empty"),
        ("agent pause 7,8", "EXTENSION must name one extension"),
        ("agent dance 7", "'dance' is not one of"),
    ],
)
def test_wrong_usage(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(line.split()) == 2
    assert words in capsys.readouterr().err


# ---- queues ----------------------------------------------------------------------------------------------------------


async def test_queues_are_a_table_or_json(work: list[partial[Any]]) -> None:
    async with Simulator(Plan(queues=2), speed=0) as simulator:
        table, document = Paper(), Paper()
        await queues.queues(client_of(simulator), table.output())
        await queues.queues(client_of(simulator), document.output(), as_json=True)
    assert [line.split()[:3] for line in table.lines[1:]] == [
        ["queue-1", "longest", "idle"],
        ["queue-2", "longest", "idle"],
    ]
    assert [queue["name"] for queue in json.loads(document.text)["queues"]] == ["queue-1", "queue-2"]
    assert app.run(["queues", "--json"]) == 0
    assert work[0].keywords == {"as_json": True}


async def test_queues_of_unknown_kinds(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.answers = [body(), body({"queuename": "q", "strategy": 99})]
    for expected in (["no queues"], ["queue  strategy  longest wait  without agents  remark", "q      code 99"]):
        paper = Paper()
        monkeypatch.setenv("SIPQUEUE_URL", platform.url)
        job: Any = app.cli.main(["queues"], standalone_mode=False)
        await queues.queues(job.args[0], paper.output())
        assert [line.rstrip() for line in paper.lines] == expected


# ---- agent -----------------------------------------------------------------------------------------------------------


async def test_each_action_acts() -> None:
    async with Simulator(Plan(agents=2, calls_per_hour=0.0, breaks_per_hour=0.0), speed=0) as simulator:
        paper = Paper()

        async def do(action: Action, queue: str | None = None) -> AgentState | None:
            await agent.act(client_of(simulator), paper.output(), action, "100001", queue)
            return next((seat.state for seat in simulator.centre.seats() if seat.extension == "100001"), None)

        assert await do(Action.PAUSE) is AgentState.PAUSED
        assert await do(Action.RESUME) is AgentState.WAITING
        assert await do(Action.SIGN_OUT, "queue-1") is None
        assert await do(Action.SIGN_IN, "queue-1") is AgentState.WAITING
        with pytest.raises(OperationFailed):
            await do(Action.HANG_UP)
    assert paper.lines == [
        "pause: 100001, done",
        "resume: 100001, done",
        "sign-out: 100001 in queue-1, done",
        "sign-in: 100001 in queue-1, done",
    ]


async def test_a_command_that_is_stopped_before_its_answer_is_in_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    arrived = asyncio.Event()

    class Silent(SipQueueClient):
        async def hang_up(self, extension: str) -> None:
            arrived.set()
            await asyncio.Event().wait()

    client = Silent("http://127.0.0.1:9", "token")
    task = asyncio.ensure_future(agent.act(client, Paper().output(), Action.HANG_UP, "100001", None))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    said = "no answer came; the command may have been executed, so check the status before you repeat it"
    assert capsys.readouterr().err == f"sipqueue: {said}\n"


def test_it_acts_without_asking_on_request(work: list[partial[Any]]) -> None:
    assert app.run(["agent", "pause", "100001", "--yes"]) == 0
    assert work[0].args[2:] == (Action.PAUSE, "100001", None)


def test_without_a_terminal_it_cannot_ask(
    work: list[partial[Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert app.run(["agent", "pause", "100001"]) == 2
    assert "use --yes to act without asking" in capsys.readouterr().err
    assert work == []


@pytest.mark.parametrize("agrees", [True, False])
def test_it_asks_on_a_terminal(agrees: bool, work: list[partial[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    confirm = Mock(return_value=agrees)
    monkeypatch.setattr("sys.stdin", Mock(isatty=lambda: True))
    monkeypatch.setattr("click.confirm", confirm)
    assert app.run(["agent", "sign-out", "100001", "--queue", "queue-1"]) == (0 if agrees else 1)
    confirm.assert_called_once_with("Sign 100001 out of queue-1?", err=True)
    assert len(work) == agrees
