"""``sipqueue forward``, run in the tests' own process against a simulator and a receiver."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sipqueue_async import AgentState, AuthError, SeatFilter, StatusWatcher
from sipqueue_async.cli import app
from sipqueue_async.cli.commands.forward import Run, forward, print_dead_letters, print_events, try_out
from sipqueue_async.cli.exits import FAILED, UNREACHABLE, Failure
from sipqueue_async.cli.forwarding.answers import Answer, Outcome
from sipqueue_async.cli.forwarding.destinations import Target, Webhook
from sipqueue_async.cli.forwarding.forwarder import Forwarder
from sipqueue_async.cli.forwarding.store import Store
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.simulator import Simulator
from sipqueue_async.testing import ScriptedSource
from tests.kit.builders import agent, snapshot
from tests.kit.cli import BUSY, Paper, Stderr, environment, sipqueue
from tests.kit.forwarding import SECRET, Receiver, has_begun, receiving, target
from tests.kit.tasks import cancel_later, running
from tests.kit.waiting import until


@asynccontextmanager
async def forwarding(
    simulator: Simulator, state_file: Path, *targets: Target, paper: Paper | None = None
) -> AsyncGenerator[asyncio.Future[None]]:
    """Run the command until the block ends."""
    output = (paper or Paper()).output(NO_COLOR="1")
    work = forward(client_of(simulator), output, targets, state_file=state_file, interval=0.02)
    async with running(work) as task:
        yield task


async def test_changes_while_the_command_or_the_receiver_was_down_arrive_in_order(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with Simulator(BUSY, speed=0) as simulator, receiving() as receiver:
        chosen = target(receiver.url(), events=frozenset({"state-changed"}))
        async with client_of(simulator) as client:
            first = await client.fetch_snapshot()
        async with forwarding(simulator, state, chosen):
            await until(lambda: has_begun(state))
            receiver.answer = lambda _: 503
            simulator.advance(30)
            await until(lambda: receiver.received)
        simulator.advance(30)
        receiver.answer = lambda _: 204
        async with forwarding(simulator, state, chosen):
            async with client_of(simulator) as client:
                last = await client.fetch_snapshot()
            expected = {key: agent.state for key, agent in last.items() if agent.state is not first[key].state}

            def states() -> dict[Any, Any]:
                present = {key: agent.state for key, agent in first.items()}
                for event in receiver.events:
                    key = event["queue"], event["extension"]
                    assert event["before"] == present[key]  # type: ignore[index]
                    present[key] = event["after"]  # type: ignore[index]
                return {key: it for key, it in present.items() if it != first[key].state}

            await until(lambda: states() == expected)
    assert {event["event"] for event in receiver.events} == {"state-changed"}
    assert len({identity for identity, _ in receiver.received}) == len(receiver.events)


async def test_on_a_terminal_it_says_that_it_has_begun_and_names_that_do_not_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paper = Paper(terminal=True)
    webhook = Webhook(name="crm", url="https://crm.example/", secret_from="X", seats=SeatFilter("queue-9"))
    strange = target()
    strange = Target(webhook=webhook, url=strange.url, signer=strange.signer)
    async with Simulator(BUSY, speed=0) as simulator, forwarding(simulator, tmp_path / "state", strange, paper=paper):
        await until(lambda: paper.text)
        stderr = Stderr(capsys)
        await until(lambda: stderr.text.endswith("\n"))
    assert paper.lines == ["forwarding the events of 4 seats; Ctrl-C ends"]
    assert stderr.text == "sipqueue: no queue named 'queue-9'; there are queue-1, queue-2; still watching for it\n"


async def test_refused_credentials_end_it_and_the_file_keeps_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Simulator(BUSY, speed=0) as simulator, receiving() as receiver:
        receiver.answer = lambda _: 503
        async with forwarding(simulator, tmp_path / "state", target(receiver.url())) as task:
            await until(lambda: has_begun(tmp_path / "state"))
            simulator.server.refuse(601, times=None)
            await until(task.done)
            with pytest.raises(AuthError):
                task.result()
        simulator.server.refuse(601, times=None)
        async with forwarding(simulator, tmp_path / "new", target(receiver.url())) as task:
            await until(task.done)
    assert "sipqueue: 1 event not delivered yet; the state file keeps them" in capsys.readouterr().err
    with Store(tmp_path / "state") as store:
        first = store.first("crm")
        assert first is not None
        assert json.loads(first.body)["event"] == "feed-down"


async def test_an_outage_over_a_restart_begins_and_ends_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with Simulator(BUSY, speed=0) as simulator, receiving() as receiver:
        chosen = target(receiver.url(), events=frozenset({"feed-down", "feed-up"}))
        async with forwarding(simulator, state, chosen):
            await until(lambda: has_begun(state))
            simulator.server.refuse(605, times=None)
            await until(lambda: receiver.received)
        async with forwarding(simulator, state, chosen):
            before = simulator.server.requests
            await until(lambda: simulator.server.requests > before)
        simulator.server.relent()
        async with forwarding(simulator, state, chosen):
            await until(lambda: len(receiver.events) > 1)
    assert [event["event"] for event in receiver.events] == ["feed-down", "feed-up"]


@contextmanager
def files_no_longer_than(size: int) -> Generator[None]:
    """Let writes to files fail beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


async def test_a_full_disk_ends_it_and_nothing_is_lost(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with Simulator(BUSY, speed=0) as simulator, receiving() as receiver:
        chosen = target(receiver.url(), events=frozenset({"call-answered"}))
        async with client_of(simulator) as client:
            first = await client.fetch_snapshot()
        async with forwarding(simulator, state, chosen) as task:
            await until(lambda: has_begun(state))
            size = max(path.stat().st_size for path in tmp_path.iterdir())
            with files_no_longer_than(size):

                def is_done() -> bool:
                    simulator.advance(10)
                    return task.done()

                await until(is_done)
            with pytest.raises(Failure, match="cannot be written") as caught:
                task.result()
            assert caught.value.code == FAILED
        async with forwarding(simulator, state, chosen):
            async with client_of(simulator) as client:
                last = await client.fetch_snapshot()
            calls = sum(it.calls_answered for it in last.values()) - sum(it.calls_answered for it in first.values())
            assert calls > 0
            await until(lambda: sum(event["count"] for event in receiver.events) == calls)


@pytest.mark.virtual_time
@pytest.mark.parametrize("steps", range(6))
async def test_a_cancellation_at_any_moment_keeps_each_event_once(steps: int, tmp_path: Path) -> None:
    """`steps` is the number of event loop iterations between a poll with an event and the cancellation."""

    async def send(_identity: str, _body: bytes) -> Answer:
        return Answer(Outcome.FAILED, "away")

    snapshots = [snapshot(agent()), snapshot(agent(state=AgentState.TALKING))]
    with Store(tmp_path / "state") as store:
        forwarder = Forwarder(store, {target(events=frozenset({"state-changed"})): send})
        async with StatusWatcher(ScriptedSource(snapshots), interval=1) as watcher:
            task = asyncio.ensure_future(Run(watcher, forwarder, Paper().output()).run())
            await watcher.ready()
            watcher.add_listener(lambda _: cancel_later(task, steps))
            await asyncio.wait([task])
        saved = store.snapshot()
        assert saved is not None
        (now,) = saved.values()
        assert store.pending() == (1 if now.state is AgentState.TALKING else 0) == 1


async def test_a_dry_run_prints_what_each_destination_would_get() -> None:
    paper = Paper()
    webhooks = [target(name=name, events=frozenset({kind})).webhook for name, kind in NAMES.items()]
    async with (
        Simulator(BUSY, speed=0) as simulator,
        running(print_events(client_of(simulator), paper.output(), webhooks, interval=0.02)),
    ):
        await until(lambda: simulator.server.requests > 2)
        simulator.advance(60)
        await until(lambda: {line.split()[0] for line in paper.lines} == {*NAMES})
    for line in paper.lines:
        name, _, event = line.partition(" ")
        assert json.loads(event)["event"] == NAMES[name]


NAMES = {"a": "state-changed", "b": "call-answered"}


async def test_a_trial_sends_a_signed_test_event_and_says_who_accepted_it() -> None:
    paper = Paper()
    async with receiving() as receiver:
        bad = Receiver()
        bad.answer = lambda _: 404
        async with bad.serving():
            await try_out([target(receiver.url())], paper.output())
            with pytest.raises(Failure, match="not delivered to 'old'") as caught:
                await try_out([target(receiver.url()), target(bad.url(), name="old")], paper.output())
    assert caught.value.code == UNREACHABLE
    assert paper.lines == ["crm: delivered", "crm: delivered", "old: it answered with the HTTP status 404"]
    assert {event["event"] for _, event in receiver.received} == {"test"}


async def test_dead_letters_are_printed_with_the_signed_body(tmp_path: Path) -> None:
    paper = Paper()
    with Store(tmp_path / "state") as store:
        store.keep(None, [("crm", "msg_1", b'{"v":1}')], 0.0)
        store.bury("crm", "it answered with the HTTP status 400", 60.5)
        await print_dead_letters(tmp_path / "state", paper.output())
    assert [json.loads(line) for line in paper.lines] == [
        {
            "destination": "crm",
            "id": "msg_1",
            "kept_at": "1970-01-01T00:00:00+00:00",
            "died_at": "1970-01-01T00:01:00.500000+00:00",
            "reason": "it answered with the HTTP status 400",
            "body": '{"v":1}',
        }
    ]


def test_the_options_lead_where_they_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "forward.toml"
    path.write_text('[destinations.crm]\nurl_from = "CRM_URL"\nsecret_from = "CRM_SECRET"\n', encoding="utf-8")
    rules = ["forward", "--rules", str(path)]
    monkeypatch.setenv("SIPQUEUE_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "good-token")
    monkeypatch.delenv("CRM_URL", raising=False)
    assert app.run(["forward"]) == 2
    assert "Missing option '--rules'" in capsys.readouterr().err
    assert app.run(["forward", "--dead-letters"]) == 2
    assert "Missing option '--state-file'" in capsys.readouterr().err
    assert app.run(["forward", "--dead-letters", "--state-file", str(tmp_path / "none")]) == 2
    assert "there is no state file" in capsys.readouterr().err
    assert app.run([*rules, "--check"]) == 2
    assert capsys.readouterr().err == "sipqueue: the destination 'crm' has no URL: set CRM_URL\n"
    assert app.run([*rules, "--check", "--dry-run"]) == 0
    monkeypatch.setenv("CRM_URL", "https://crm.example/")
    monkeypatch.setenv("CRM_SECRET", SECRET)
    assert app.run([*rules, "--check"]) == 0
    assert capsys.readouterr().out == "the destinations are valid: crm\n" * 2
    assert app.run(rules) == 2
    assert "Missing option '--state-file'" in capsys.readouterr().err
    assert app.run([*rules, "--state-file", str(tmp_path / "a" / "b")]) == 2
    assert "its directory does not exist; create it first" in capsys.readouterr().err
    found = app.cli.main([*rules, "--dry-run"], standalone_mode=False)
    assert (found.func, [it.name for it in found.args[2]]) == (print_events, ["crm"])
    found = app.cli.main([*rules, "--try"], standalone_mode=False)
    assert (found.func, [it.name for it in found.args[0]]) == (try_out, ["crm"])
    monkeypatch.setenv("CRM_URL", "https://127.0.0.1/")
    assert app.run([*rules, "--try"]) == 2
    assert "has an address that is not public" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--try", "--dry-run"])
async def test_the_program_sends_and_prints_in_a_process(option: str, tmp_path: Path) -> None:
    async with Simulator(BUSY, speed=20) as simulator, receiving() as receiver:
        path = tmp_path / "forward.toml"
        path.write_text(
            f'[destinations.crm]\nurl = "{receiver.url()}"\nsecret_from = "HOOK"\nallow_private = true\n', "utf-8"
        )
        path.chmod(0o600)
        line = ("forward", "--rules", str(path), option, "--interval", "0.1")
        async with sipqueue(*line, env=environment(simulator, HOOK=SECRET)) as program:
            assert (await program.line()).startswith("crm: delivered" if option == "--try" else 'crm {"v":1,')
