"""``sipqueue status``."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest
from rich.cells import cell_len
from rich.text import Text

from sipqueue_async import AgentState, AppCredentials, SeatFilter, SipQueueClient
from sipqueue_async.cli.commands.status import status
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.simulator import Plan, Platform, Simulator
from sipqueue_async.simulator.platform import STATUS
from tests.kit.cli import BUSY, Paper


async def test_a_table_in_a_pipe_is_plain_and_whole() -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        simulator.advance(60)
        paper = Paper()
        await status(client_of(simulator), paper.output())
    assert " ".join(paper.lines[0].split()) == "queue extension name state answered missed last answer last offer"
    rows = [line.split()[:2] for line in paper.lines[1:5]]
    assert rows == [["queue-1", "100001"], ["queue-1", "100003"], ["queue-2", "100002"], ["queue-2", "100004"]]
    assert "4 seats in 2 queues: " in paper.lines[-2]
    assert "last answer and last offer are the server's" in paper.lines[-1]
    assert paper.text.isascii()


async def test_a_terminal_gets_colours_and_no_line_too_wide() -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        paper = Paper(terminal=True)
        await status(client_of(simulator), paper.output(TERM="xterm-256color"))
    assert "\x1b[" in paper.text
    assert "last answer" in paper.text
    assert "last offer" not in paper.lines[0]
    assert max(map(cell_len, (Text.from_ansi(line).plain for line in paper.lines))) <= 80


async def test_times_are_this_machines_where_the_servers_zone_is_known() -> None:
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        credentials = AppCredentials(simulator.appid, simulator.accesskey)
        await status(SipQueueClient(simulator.url, credentials, timezone="Asia/Shanghai"), paper.output())
    assert paper.lines[-1].startswith("times are in this machine's time zone (")


async def test_filters_choose_and_combine() -> None:

    async def seats(
        queues: list[str] | None = None, extensions: list[str] | None = None, states: Collection[AgentState] = ()
    ) -> list[str]:
        paper = Paper()
        seats = SeatFilter(queues, extensions)
        await status(client_of(simulator), paper.output(), seats=seats, states=states, as_json=True)
        return [agent["extension"] for agent in json.loads(paper.text)["agents"]]

    async with Simulator(BUSY, speed=0) as simulator:
        assert await seats() == ["100001", "100003", "100002", "100004"]
        assert await seats(["queue-2"]) == ["100002", "100004"]
        assert await seats(["queue-1", "queue-2"], ["100004"]) == ["100004"]
        assert await seats(extensions=["100001", "100002"]) == ["100001", "100002"]
        receiving = await seats(states=frozenset({AgentState.RECEIVING, AgentState.TALKING}))
        waiting = await seats(states=frozenset(AgentState) - {AgentState.RECEIVING, AgentState.TALKING})
        assert sorted(receiving + waiting) == ["100001", "100002", "100003", "100004"]
        assert receiving


async def test_json_is_one_documented_object() -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        paper = Paper()
        await status(client_of(simulator), paper.output(), as_json=True)
    assert len(paper.lines) == 1
    document = json.loads(paper.text)
    assert set(document) == {"v", "observed_at", "server_time", "agents", "problems"}
    assert document["v"] == 1
    assert document["agents"][0]["last_changed_at"] == "2026-01-05T08:00:00"


async def test_nobody_is_told_in_words() -> None:
    """An empty call centre has a sentence instead of a table."""
    plan = Plan(agents=1, queues=1, calls_per_hour=0, breaks_per_hour=0, shift_hours=1, off_hours=1)
    async with Simulator(plan, speed=0) as simulator:
        simulator.advance(3700)
        paper = Paper()
        await status(client_of(simulator), paper.output())
    assert paper.lines[0].endswith(" no agents")


async def test_fields_without_sense_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    """The warning on stderr names queue, extension and field."""
    async with Simulator(BUSY, speed=0) as simulator:
        right = Platform(simulator.centre, tokens=["ABCDEFG"]).answer({"service": STATUS, "token": "ABCDEFG"})
        ten = right.replace(b'"wrapuptime":10', b'"wrapuptime":"ten"', 1)
        simulator.faults.next(body=ten.replace(b'"rsptime":', b'"rsptime":"x","r":'), service=STATUS)
        await status(client_of(simulator), Paper().output())
    warnings = capsys.readouterr().err.splitlines()
    assert all(line.startswith("sipqueue: warning: ") for line in warnings)
    assert any("wrapuptime of queue queue-1, extension 100001 was left out" in line for line in warnings)
    assert any("rsptime was left out" in line for line in warnings)
