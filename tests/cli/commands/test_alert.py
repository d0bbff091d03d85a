"""``sipqueue alert``, run in the tests' own process against a simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sipqueue_async import AgentState, AuthError, SeatFilter, SeatKey, StatusWatcher
from sipqueue_async.alerts import AlertState, Available, FeedSilent, RulesFile, SignedOut, StateLasts
from sipqueue_async.cli import app
from sipqueue_async.cli.commands import alert as module
from sipqueue_async.cli.commands.alert import alert, alert_demo, state_file_of
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.rules import demo_rules
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.simulator import Simulator
from sipqueue_async.testing import ScriptedSource
from tests.kit.builders import agent, snapshot
from tests.kit.cli import BUSY, Paper
from tests.kit.tasks import cancel_later, running
from tests.kit.waiting import until

TALKS = RulesFile(rules=(StateLasts("talks", AgentState.TALKING, longer_than=0),))


@asynccontextmanager
async def alerting(
    simulator: Simulator, paper: Paper, rules: RulesFile = TALKS, **options: Any
) -> AsyncGenerator[asyncio.Future[None]]:
    """Run the command until the block ends."""
    options = {"interval": 0.02, **options}
    async with running(alert(client_of(simulator), paper.output(NO_COLOR="1"), rules, **options)) as task:
        yield task


async def polled(simulator: Simulator) -> None:
    """Wait until the command has evaluated an answer to a request made after this call."""
    requests = simulator.server.requests
    await until(lambda: simulator.server.requests >= requests + 3)


async def talking(simulator: Simulator) -> set[SeatKey]:
    """Return the seats that are in a call."""
    async with client_of(simulator) as client:
        snapshot = await client.fetch_snapshot()
    return {key for key, agent in snapshot.items() if agent.state is AgentState.TALKING}


def seats(paper: Paper, words: str) -> list[SeatKey]:
    """Return the seats in the printed alerts with these words, in a stable order."""
    found = [line.partition("(")[2].partition(")") for line in paper.lines if words in line]
    return sorted(SeatKey(rest.split()[1].rstrip(":"), extension) for extension, _, rest in found)


async def test_each_call_is_printed_once_when_it_lasts_and_once_when_it_ends_across_restarts(tmp_path: Path) -> None:
    state = state_file_of(tmp_path / "state", TALKS)
    before, after = Paper(), Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.advance(10)
        first = await talking(simulator)
        assert first
        async with alerting(simulator, before, state_file=state):
            await until(lambda: len(before.lines) == len(first))
        simulator.advance(600)
        async with alerting(simulator, after, state_file=state):
            await polled(simulator)
    assert seats(before, "has been talking") == sorted(first)
    assert set(seats(after, ": over after")) <= first
    assert len(seats(after, ": over after")) == len(set(seats(after, ": over after"))) > 0


async def test_a_restart_repeats_nothing(tmp_path: Path) -> None:
    state = state_file_of(tmp_path / "state", TALKS)
    paper, again = Paper(), Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.advance(10)
        async with alerting(simulator, paper, state_file=state):
            await until(lambda: paper.text)
        async with alerting(simulator, again, state_file=state):
            await polled(simulator)
    saved = state.load()
    assert saved is not None
    assert (again.text, saved.alerts.standing) == ("", len(paper.lines))


async def test_a_dry_run_leaves_the_state_file_as_it_is(tmp_path: Path) -> None:
    """It may run beside the program that uses the file."""
    state, paper = state_file_of(tmp_path / "state", TALKS), Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.advance(10)
        async with alerting(simulator, paper, state_file=state):
            await until(lambda: paper.text)
            simulator.advance(600)
            dry = Paper()
            async with alerting(simulator, dry, state_file=state_file_of(tmp_path / "state", TALKS), saves=False):
                await until(lambda: ": over after" in dry.text)
        kept = (tmp_path / "state").read_bytes()
        async with alerting(simulator, dry, state_file=state, saves=False):
            await polled(simulator)
        assert (tmp_path / "state").read_bytes() == kept


async def test_a_state_file_that_another_run_uses_is_refused(tmp_path: Path) -> None:
    state, paper = state_file_of(tmp_path / "state", TALKS), Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.advance(10)
        async with alerting(simulator, paper, state_file=state):
            await until(lambda: paper.text)
            with pytest.raises(Failure, match="is in use by process"):
                await alert(client_of(simulator), Paper().output(), TALKS, state_file=state)


async def test_alerts_about_seats_that_the_options_leave_out_now_clear(tmp_path: Path) -> None:
    few = RulesFile(rules=(Available("few", fewer_than=99),))
    paper, only = Paper(), SeatFilter("queue-1")
    async with Simulator(BUSY, speed=0) as simulator:
        async with alerting(simulator, paper, few, state_file=state_file_of(tmp_path / "state", few)):
            await until(lambda: len(paper.lines) == 2)
        state = state_file_of(tmp_path / "state", few, only)
        async with alerting(simulator, paper, few, state_file=state, seats=only):
            await until(lambda: len(paper.lines) == 3)
    assert paper.lines[2].partition(" ")[2].startswith("queue-2: no longer watched, after ")


async def test_alerts_of_a_rule_that_was_renamed_clear_after_a_restart(tmp_path: Path) -> None:
    old, new = (RulesFile(rules=(Available(name, fewer_than=99, per="all"),)) for name in ("few", "too-few"))
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        async with alerting(simulator, paper, old, state_file=state_file_of(tmp_path / "state", old)):
            await until(lambda: len(paper.lines) == 1)
        async with alerting(simulator, paper, new, state_file=state_file_of(tmp_path / "state", new)):
            await until(lambda: len(paper.lines) == 3)
    cleared, raised = (line.partition(" ")[2] for line in paper.lines[1:])
    assert cleared.endswith(", because the rules have changed (few)")
    assert raised.startswith("All queues: ")


async def test_time_without_alerts_is_saved_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash, the outage begins at the last save."""
    monkeypatch.setattr(module, "SAVE_EVERY", 0.01)
    quiet = RulesFile(rules=(FeedSilent("away", lasting=60),))
    state = state_file_of(tmp_path / "state", quiet)
    async with Simulator(BUSY, speed=0) as simulator, alerting(simulator, Paper(), quiet, state_file=state):
        await until((tmp_path / "state").exists)


async def test_the_language_is_that_of_the_file_and_refused_credentials_end_it() -> None:
    rules = RulesFile(rules=(FeedSilent("away", lasting=0),), language="zh")
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.server.refuse(601, times=None)
        async with alerting(simulator, paper, rules) as task:
            await until(task.done)
            with pytest.raises(AuthError):
                task.result()
    assert [line[9:] for line in paper.lines] == ["无法连接平台，已持续 0 秒"]


class Jammed(Output):
    """An output that fails for every line."""

    def wrapped(self, text: object, indent: int = 0) -> None:
        """Raise the error of a closed pipe."""
        raise BrokenPipeError


async def test_an_alert_that_could_not_be_printed_is_not_saved(tmp_path: Path) -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.advance(10)
        with pytest.raises(BrokenPipeError):
            await alert(
                client_of(simulator), Jammed(Paper(), {}), TALKS, state_file=state_file_of(tmp_path / "state", TALKS)
            )
    assert not (tmp_path / "state").exists()


async def test_names_that_do_not_exist_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    paper = Paper(terminal=True)
    rules = RulesFile(rules=(Available("few", fewer_than=1, lasting=60, seats=SeatFilter("queue-9", "100001")),))
    async with Simulator(BUSY, speed=0) as simulator, alerting(simulator, paper, rules):
        await until(lambda: paper.text)
    assert paper.lines == ["watching 4 seats by 1 rule; Ctrl-C ends"]
    assert capsys.readouterr().err == (
        "sipqueue: no queue named 'queue-9'; there are queue-1, queue-2; still watching for it\n"
    )


@pytest.mark.parametrize(
    ("rule", "watched", "message"),
    [
        (Available("few", fewer_than=1, seats=SeatFilter("a")), SeatFilter("b"), "queue 'a', which --queue leaves"),
        (SignedOut("out", extensions="1"), SeatFilter(extensions="2"), "extension '1', which --extension leaves"),
    ],
)
async def test_a_rule_about_seats_that_the_options_leave_out_is_refused(
    rule: Available | SignedOut, watched: SeatFilter, message: str
) -> None:
    with pytest.raises(Failure, match=message):
        await alert_demo(Demonstration(), Paper().output(), RulesFile(rules=(rule,)), seats=watched)


async def test_a_demonstration_is_watched_in_its_own_time() -> None:
    rules = RulesFile(rules=(StateLasts("talks", AgentState.TALKING, longer_than=60),))
    paper = Paper()
    async with running(alert_demo(Demonstration(speed=600.0), paper.output(), rules, interval=20)):
        await until(lambda: "has been talking for 1 min" in paper.text)


def test_a_demonstration_has_rules_of_its_own_and_says_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["alert", "--demo", "--check"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("the rules are valid: long-talk, long-break, nobody-free")
    path = Path(err.partition("the built-in ones of ")[2].strip())
    assert path.read_text(encoding="utf-8").startswith("# The rules of")
    assert app.run(["alert", "--check"]) == 2
    assert "Missing option '--rules'" in capsys.readouterr().err


async def test_the_built_in_rules_raise_alerts_within_an_hour_of_the_demonstration() -> None:
    paper = Paper()
    async with running(alert_demo(Demonstration(speed=3600.0), paper.output(), demo_rules(), interval=20)):
        await until(lambda: len({line.split()[-1] for line in paper.lines if ": over after" in line}) > 1)


def test_check_only_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It needs no settings of the platform."""
    path = tmp_path / "rules.toml"
    path.write_text('[rules.away]\nkind = "feed-silent"\n', encoding="utf-8")
    assert app.run(["alert", "--rules", str(path), "--check"]) == 0
    assert capsys.readouterr().out == "the rules are valid: away\n"
    path.write_text('[rules.f]\nkind = "state-lasts"\nstates = "idle"\nlonger_than = "1 s"\nextensions = "1"', "utf-8")
    assert app.run(["alert", "--rules", str(path), "--check", "--extension", "2"]) == 2
    assert "which --extension leaves out" in capsys.readouterr().err
    path.write_text("language = 1", encoding="utf-8")
    assert app.run(["alert", "--rules", str(path), "--check"]) == 2
    err = capsys.readouterr().err
    assert err == f"sipqueue: {path}: language: write a text in quotes, not 1\n"


@pytest.mark.virtual_time
@pytest.mark.parametrize("steps", range(6))
async def test_a_cancellation_at_any_moment_saves_what_was_printed(steps: int, tmp_path: Path) -> None:
    """`steps` is the number of event loop iterations between a poll with an alert and the cancellation."""
    state, paper = state_file_of(tmp_path / "state", TALKS), Paper()
    snapshots = [snapshot(agent()), snapshot(agent(state=AgentState.TALKING))]
    async with StatusWatcher(ScriptedSource(snapshots), interval=1) as watcher:
        run = module.Run(watcher, module.Progress(AlertState(TALKS.rules)), paper.output(), TALKS, state_file=state)
        task = asyncio.ensure_future(run.run(asyncio.sleep(0)))
        await watcher.ready()
        watcher.add_listener(lambda _: cancel_later(task, steps))
        await asyncio.wait([task])
    saved = state.load()
    assert saved is not None
    assert saved.alerts.standing == len(paper.lines)
