"""``sipqueue record``, and ``--db`` of the wallboard and the relay."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipqueue_async import AuthError, SeatFilter
from sipqueue_async.cli import app
from sipqueue_async.cli.commands.record import record
from sipqueue_async.cli.commands.relay import RelayTarget, relay
from sipqueue_async.cli.commands.wallboard import Site, wallboard
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.history import History
from sipqueue_async.simulator import Simulator
from tests.kit.cli import BUSY, Paper, until
from tests.kit.redis_server import RedisServer

BEGINNING, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


async def answered(url: str) -> int:
    """Return how many answered calls a history has."""
    async with History(url) as history:
        return (await history.report(BEGINNING, END, by="queue")).total.answered


async def has_begun(url: str) -> bool:
    """Return whether a history has a status."""
    async with History(url) as history:
        return await history.baseline() is not None


async def recorded(simulator: Simulator, work: Coroutine[Any, Any, None], url: str) -> None:
    """Let a command record until the history has the calls that there were, then end it."""
    start = simulator.centre.now
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(60):
        begun = False
        while not begun and not task.done():
            await asyncio.sleep(0.05)
            begun = await has_begun(url)
    for _ in range(10):
        simulator.advance(5)
        polls = simulator.server.requests
        await until(lambda polls=polls: simulator.server.requests >= polls + 2 or task.done())  # type: ignore[misc]
    async with asyncio.timeout(60):
        found = -1
        while found < simulator.truth.answered(start) and not task.done():
            await asyncio.sleep(0.05)
            found = await answered(url)
    task.cancel()
    await asyncio.wait([task])
    assert await answered(url) == simulator.truth.answered(start) > 2


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return a database that is not there yet."""
    return f"sqlite:///{tmp_path}/day.db"


async def test_what_happens_is_recorded(url: str) -> None:
    """Until the command is ended; it names the database."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        await recorded(simulator, record(History(url), client_of(simulator), paper.output(), interval=0.02), url)
    assert paper.lines == [f"recording to {url} until Ctrl-C"]


async def test_only_chosen_seats_are_recorded_until_an_error_that_a_retry_cannot_fix(url: str) -> None:
    """The error ends the command."""
    async with Simulator(BUSY, speed=0) as simulator:
        seats = SeatFilter("queue-1")
        work = record(History(url), client_of(simulator), Paper().output(), seats=seats, interval=0.02)
        task = asyncio.ensure_future(work)
        polls = simulator.server.requests
        await until(lambda: simulator.server.requests >= polls + 4)
        simulator.faults.next(ret=601, times=None)
        with pytest.raises(AuthError):
            await task
    async with History(url) as history:
        known = await history.baseline()
    assert known is not None
    assert set(known.queues) == {"queue-1"}


async def test_other_filters_than_before_are_refused(url: str) -> None:
    """Otherwise the seats that are no longer watched would be recorded as leaving."""
    async with Simulator(BUSY, speed=0) as simulator:
        await recorded(simulator, record(History(url), client_of(simulator), Paper().output(), interval=0.02), url)
        seats = SeatFilter("queue-1")
        with pytest.raises(Failure, match=r"has queue queue-2, extension .* would not be watched now"):
            await record(History(url), client_of(simulator), Paper().output(), seats=seats)


async def test_a_wallboard_records_too(url: str) -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        work = wallboard(client_of(simulator), Paper().output(), site=Site(), interval=0.02, history=History(url))
        await recorded(simulator, work, url)


async def test_a_relay_records_what_it_publishes(url: str, redis_server: RedisServer) -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        target = RelayTarget(redis=redis_server.url)
        work = relay(client_of(simulator), Paper().output(), target=target, interval=0.02, history=History(url))
        await recorded(simulator, work, url)


@pytest.mark.parametrize("command", ["record", "wallboard", "relay --redis redis://nowhere"])
def test_the_database_is_checked_before_anything_starts(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIPQUEUE_URL", "http://nowhere.example/")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "x")
    assert app.run([*command.split(), "--db", "nonsense"]) == 2
    assert "the history's URL is invalid" in capsys.readouterr().err
