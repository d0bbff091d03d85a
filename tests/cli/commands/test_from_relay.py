"""``--from-relay``: the commands read from a relay instead of the platform, on a real Redis."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from sipqueue_async import SeatFilter, Snapshot
from sipqueue_async.cli.commands import top
from sipqueue_async.cli.commands.report import Form, Report
from sipqueue_async.cli.commands.status import status
from sipqueue_async.cli.commands.wallboard import Site, wallboard
from sipqueue_async.cli.commands.watch import watch
from sipqueue_async.cli.exits import UNREACHABLE, USAGE, Failure
from sipqueue_async.cli.origin import RelayOrigin, snapshot_of
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.simulator import Simulator
from sipqueue_async.tally import Tally
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.cli import BUSY, Paper, environment, sipqueue
from tests.kit.ports import free_port
from tests.kit.redis_server import RedisServer
from tests.kit.tasks import running
from tests.kit.terminal import terminal
from tests.kit.waiting import until

KNOWN = snapshot(agent("1"), agent("2"), agent("1", queue="b"))
LATER = snapshot(agent("1", "talking", calls_answered=1), agent("2"), agent("1", "talking", queue="b"), at=60)


@asynccontextmanager
async def relayed(server: RedisServer) -> AsyncGenerator[tuple[Simulator, RelayOrigin]]:
    """Run a simulated platform with a relay; yield the platform and the relay as an origin."""
    async with (
        Simulator(BUSY, speed=0) as simulator,
        client_of(simulator) as client,
        Relay(client, server.url, prefix="north", interval=0.02),
        RedisFeed(server.url, prefix="north") as feed,
    ):
        await feed.ready(timeout=60)
        yield simulator, RelayOrigin(redis=server.url, prefix="north")


async def test_watch_prints_what_the_relay_tells(redis_server: RedisServer) -> None:
    paper, chosen = Paper(terminal=True), Paper()
    async with relayed(redis_server) as (simulator, place):
        work = watch(place, paper.output(NO_COLOR="1"))
        part = watch(place, chosen.output(), seats=SeatFilter("queue-2"), as_json=True)
        async with running(work), running(part):
            await until(lambda: paper.lines == ["watching 4 seats in 2 queues; Ctrl-C ends"])
            for _ in range(10):
                simulator.advance(5)
                await asyncio.sleep(0.05)
            await until(lambda: "queue-1" in paper.text and "queue-2" in paper.text and chosen.text)
    assert {json.loads(line)["queue"] for line in chosen.lines} == {"queue-2"}


async def test_watch_goes_on_where_it_ended(redis_server: RedisServer, tmp_path: Path) -> None:
    state = StateFile(tmp_path / "state", Snapshot.from_json)
    state.save(KNOWN)
    paper = Paper()
    place = RelayOrigin(redis=redis_server.url)
    async with Relay(ScriptedSource([LATER]), redis_server.url):
        work = watch(place, paper.output(), seats=SeatFilter(extensions="1"), state_file=state, as_json=True)
        async with running(work):
            await until(lambda: len(paper.lines) >= 3)
    told = [json.loads(line) for line in paper.lines]
    kinds = [(it["event"], it.get("queue")) for it in told if not it["event"].startswith("feed")]
    assert kinds == [("state-changed", "b"), ("state-changed", "queue-1"), ("call-answered", "queue-1")]
    saved = state.load()
    assert saved is not None
    assert {key.extension for key in saved} == {"1"}


async def test_report_counts_the_calls_that_the_relay_saw(redis_server: RedisServer) -> None:
    paper = Paper()
    report = Report(paper.output(), form=Form.CSV)
    async with relayed(redis_server) as (simulator, place), RedisFeed(redis_server.url, prefix="north") as feed:
        async with running(report.watch(place)):
            await until(lambda: report.tally.started_at)
            start = simulator.centre.now
            for _ in range(10):
                simulator.advance(10)
                await asyncio.sleep(0.05)
            async with client_of(simulator) as client:
                now = await client.fetch_snapshot()
            await until(lambda: feed.snapshot == now and report.tally.snapshot == now)
        answered = simulator.truth.answered(start)
    report.print()
    rows = list(csv.DictReader(io.StringIO(paper.text)))
    assert sum(int(row["calls_answered"]) for row in rows) == answered > 3


async def test_a_report_without_a_relay_fails(redis_server: RedisServer, tmp_path: Path) -> None:
    """The command fails, and prints only the contents of the state file."""
    paper = Paper()
    state = StateFile(tmp_path / "state", Tally.from_json)
    state.save(Tally(KNOWN))
    report = Report(paper.output(), form=Form.CSV, seconds=0.5, state_file=state)
    with pytest.raises(Failure, match=r"no status came within 0\.5 s: ") as caught:
        await report.watch(RelayOrigin(redis=redis_server.url))
    report.print()
    assert (caught.value.code, len(paper.lines)) == (UNREACHABLE, 4)


async def test_a_report_does_not_count_what_a_relay_knew_before_an_outage(redis_server: RedisServer) -> None:
    paper = Paper()
    place = RelayOrigin(redis=redis_server.url)
    async with Relay(ScriptedSource([KNOWN]), redis_server.url, lease=0.2), RedisFeed(redis_server.url) as feed:
        await feed.ready(timeout=60)
    async with RedisFeed(redis_server.url) as feed:
        await until(lambda: feed.health.up is False)
    report = Report(paper.output(), form=Form.CSV, seconds=0.5)
    with pytest.raises(Failure, match=r"no status came within 0\.5 s: no relay ") as caught:
        await report.watch(place)
    report.print()
    assert (caught.value.code, paper.text) == (UNREACHABLE, "")


async def test_a_report_begins_when_it_is_started(redis_server: RedisServer) -> None:
    """The figures lack the calm time since the relay's last change."""
    paper = Paper()
    later = snapshot(*KNOWN.values(), at=600)
    report = Report(paper.output(), form=Form.CSV, seconds=3.0)
    relay = Relay(ScriptedSource([KNOWN, later]), redis_server.url, interval=0.05, lease=0.5)
    async with relay, RedisFeed(redis_server.url) as feed:
        await until(lambda: feed.health.last_good_at == later.observed_at)
        await report.watch(RelayOrigin(redis=redis_server.url))
    report.print()
    rows = list(csv.DictReader(io.StringIO(paper.text)))
    assert {row["started_at"] for row in rows} == {later.observed_at.isoformat()}
    assert {float(row["signed_in_seconds"]) for row in rows} == {0.0}


async def test_a_report_that_waited_for_a_relay_begins_when_it_came(redis_server: RedisServer) -> None:
    """The figures lack the calls during the outage."""
    paper = Paper()
    async with Relay(ScriptedSource([KNOWN]), redis_server.url, lease=0.2), RedisFeed(redis_server.url) as feed:
        await feed.ready(timeout=60)
    report = Report(paper.output(), form=Form.CSV, seconds=3)
    async with RedisFeed(redis_server.url) as feed:
        await until(lambda: feed.health.up is False)
    async with running(report.watch(RelayOrigin(redis=redis_server.url))) as watching:
        # Long enough for the report to receive the outage and the relay's earlier data.
        await asyncio.sleep(0.7)
        async with Relay(ScriptedSource([LATER]), redis_server.url, interval=0.05, lease=0.5):
            await watching
    report.print()
    rows = list(csv.DictReader(io.StringIO(paper.text)))
    assert {row["started_at"] for row in rows} == {LATER.observed_at.isoformat()}
    assert {(row["calls_answered"], float(row["unseen_seconds"])) for row in rows} == {("0", 0.0)}


async def test_status_prints_what_is_known_now(redis_server: RedisServer) -> None:
    """The time is that of the relay's last poll, not of its last change."""
    paper = Paper()
    later = snapshot(*KNOWN.values(), at=600)
    place = RelayOrigin(redis=redis_server.url)
    relay = Relay(ScriptedSource([KNOWN, later]), redis_server.url, interval=0.05, lease=0.5)
    async with relay, RedisFeed(redis_server.url) as feed:
        await until(lambda: feed.health.last_good_at == later.observed_at)
        await status(place, paper.output(), seats=SeatFilter("queue-1"), as_json=True)
        known = await snapshot_of(place)
    told = json.loads(paper.text)
    assert [(it["queue"], it["extension"]) for it in told["agents"]] == [("queue-1", "1"), ("queue-1", "2")]
    assert told["observed_at"] == later.observed_at.isoformat()
    assert (known, known.observed_at) == (later, later.observed_at)


async def test_status_does_not_wait_for_ever(redis_server: RedisServer) -> None:
    with pytest.raises(Failure, match=r"has not been read from Redis within 0\.3 s; ") as caught:
        await status(RelayOrigin(redis=redis_server.url, timeout=0.3), Paper().output())
    assert caught.value.code == UNREACHABLE


async def test_top_shows_the_truth_that_the_relay_tells(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with terminal(100, 30) as screen, relayed(redis_server) as (simulator, place):
        with os.fdopen(os.dup(screen.descriptor), "w") as stream, os.fdopen(os.dup(screen.descriptor)) as keyboard:
            monkeypatch.setattr("sys.__stdin__", keyboard)
            output = Output(stream, {"TERM": "xterm-256color"})
            async with running(top.top(place, output)) as task:
                await screen.until_shown("read from a relay")
                for _ in range(4):
                    simulator.advance(7)
                    truth = Counter((seat.queue, seat.extension, seat.state.value) for seat in simulator.centre.seats())
                    await screen.until(lambda truth=truth: shown(screen.lines) == truth)  # type: ignore[misc]
                redis_server.kill()
                await screen.until_shown("FEED DOWN since")
                screen.press("q")
                assert await asyncio.wait_for(task, 60) == 0


def shown(lines: list[str]) -> Counter[tuple[str, str, str]]:
    """Return the queue, extension and state of every seat on a screen."""
    rows = [line.split() for line in lines if line.startswith("queue-")]
    return Counter((row[0], row[1], row[4]) for row in rows if row[2] == "Agent")


async def test_a_wallboard_shows_what_the_relay_tells(redis_server: RedisServer) -> None:
    paper = Paper()
    async with (
        relayed(redis_server) as (_, place),
        running(wallboard(place, paper.output(), site=Site(), seats=SeatFilter("queue-2"))),
        aiohttp.ClientSession() as client,
    ):
        await until(lambda: paper.text.endswith("\n"))
        queues: set[str] = set()
        async with asyncio.timeout(60):
            while not queues:
                async with client.get(f"{paper.lines[0].split()[4]}api/snapshot") as answer:
                    queues = set((await answer.json())["queues"])
    assert queues == {"queue-2"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (RelayOrigin(redis="http://:a-password@127.0.0.1"), "the Redis URL must be redis://, rediss:// or unix://"),
        (RelayOrigin(redis="redis://:a-password@127.0.0.1", prefix="{}"), "prefix must be a name without braces"),
    ],
)
async def test_an_invalid_url_or_prefix_is_a_usage_error(place: RelayOrigin, message: str) -> None:
    """The message shows no password."""
    with pytest.raises(Failure, match=message) as failure:
        await watch(place, Paper().output())
    assert failure.value.code == USAGE
    assert "a-password" not in str(failure.value) + repr(place)


@pytest.mark.usefixtures("without_redis")
async def test_a_missing_extra_is_said() -> None:
    with pytest.raises(Failure, match=r"pip install 'sipqueue_async\[redis\]'"):
        await snapshot_of(RelayOrigin(redis="redis://127.0.0.1"))


async def test_it_needs_no_platform() -> None:
    """The password of Redis appears nowhere."""
    env = environment(SIPQUEUE_REDIS_URL=f"redis://:a-password@127.0.0.1:{free_port()}")
    async with sipqueue("watch", "--from-relay", env=env) as program:
        assert "no status yet: Redis is away: Connection refused (Redis at 127.0.0.1:" in (line := await program.line())
        assert "a-password" not in line
        program.send(signal.SIGTERM)
        assert await program.rest() == (143, "", "")
