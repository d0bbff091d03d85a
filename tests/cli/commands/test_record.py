"""``sipqueue record``, and ``--db`` of the wallboard and the relay."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import attrs
import pytest
from sqlalchemy import text

from sipqueue_async import AppCredentials, AuthError, SeatFilter, SipQueueClient, Update, diff
from sipqueue_async.cli import app
from sipqueue_async.cli.call_recording import CallPlan
from sipqueue_async.cli.commands.record import record
from sipqueue_async.cli.commands.relay import RelayTarget, relay
from sipqueue_async.cli.commands.wallboard import Site, wallboard
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.pushing import PushAddress
from sipqueue_async.cli.simulation import client_of
from sipqueue_async.history import History, Recorder
from sipqueue_async.history.batch import Batch, Writer
from sipqueue_async.history.history import store_of
from sipqueue_async.history.store import Store
from sipqueue_async.records import FollowedCall
from sipqueue_async.simulator import Simulator
from tests.kit.cli import BUSY, Paper, Stderr
from tests.kit.ports import free_port
from tests.kit.redis_server import RedisServer
from tests.kit.simulated_updates import GivenFeed
from tests.kit.tasks import running
from tests.kit.waiting import until

ZONE = ZoneInfo("Asia/Shanghai")
PUSH = b'{"id": 7, "endtime": "2026-01-05 09:10:00"}'
BEGINNING, END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


async def answered(url: str) -> int:
    """Return how many answered calls a history has."""
    async with History(url) as history:
        return (await history.report(BEGINNING, END, by="queue")).total.answered


async def calls_in(url: str) -> list[FollowedCall]:
    """Return the call records of a history."""
    async with History(url) as history:
        return [call async for call in history.call_records(BEGINNING, END)]


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


async def test_events_are_recorded_until_the_command_ends(url: str) -> None:
    """The command names the database and records until it is ended."""
    paper = Paper()
    async with Simulator(BUSY, speed=0) as simulator:
        await recorded(simulator, record(History(url), client_of(simulator), paper.output(), interval=0.02), url)
    assert paper.lines == [f"recording to {url} until Ctrl-C"]


async def test_calls_are_recorded_with_their_queues(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A push makes the command look at once; a later run continues, and an error that stays ends it."""
    plan = CallPlan(since=datetime(2026, 1, 5, tzinfo=ZONE), numbers="prefix")
    push = PushAddress("127.0.0.1", free_port(), "a-path-that-nobody-guesses")
    async with Simulator(attrs.evolve(BUSY, patience=20.0), speed=0) as simulator:
        auth = AppCredentials(simulator.appid, simulator.accesskey)

        def work() -> Coroutine[Any, Any, None]:
            client = SipQueueClient(simulator.url, auth, timezone=ZONE)
            return record(History(url), client, Paper().output(), interval=0.02, push=push, calls=plan)

        async with running(work()) as task:
            while not await has_begun(url):
                assert not task.done(), task
                await asyncio.sleep(0.05)
            for _ in range(20):
                simulator.advance(5)
                polls = simulator.server.requests
                await until(lambda polls=polls: simulator.server.requests >= polls + 2)  # type: ignore[misc]
            past = simulator.centre.past_calls()
            async with asyncio.timeout(60), aiohttp.ClientSession() as session:
                while len(await calls_in(url)) < len(past):
                    async with session.post(f"http://127.0.0.1:{push.port}/{push.path}", data=PUSH) as answer:
                        assert await answer.read() == b"1"
                    await asyncio.sleep(0.2)
        simulator.faults.next(ret=601, times=None, service="App.Sip_Cdr.GetBill")
        with pytest.raises(AuthError):
            await work()
    found = {int(call.record.id): call for call in await calls_in(url)}
    assert found.keys() == {call.id for call in past}
    answered = [call for call in past if call.answered_at is not None]
    assert {it.id: found[it.id].queue for it in answered} == {it.id: it.queue for it in answered}
    assert {call.record.caller for call in found.values()} == {"0207*"}
    given = ["report", "--db", url, "--calls", "--since", "2026-01-05", "--by", "queue", "--json"]
    assert await asyncio.to_thread(app.run, given) == 0
    report = json.loads(capsys.readouterr().out)
    assert {row["queue"]: row["answered"] for row in report["rows"]} == {
        None: 0,
        **Counter(it.queue for it in answered),
    }
    assert report["total"]["offered"] == len(past)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--numbers full", "--numbers needs --calls"),
        ("--calls-since today", "--calls-since needs --calls"),
        ("--calls", "the server's time zone is needed: use --timezone"),
        ("--calls --timezone UTC --calls-since soon", "--calls-since 'soon' is not a time"),
        ("--calls --from-relay", "--from-relay and --calls do not go together"),
    ],
)
def test_wrong_options_for_calls(
    arguments: str, words: str, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIPQUEUE_URL", "http://nowhere.example/")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "x")
    monkeypatch.delenv("SIPQUEUE_TIMEZONE", raising=False)
    assert app.run(["record", "--db", url, *arguments.split()]) == 2
    assert words in capsys.readouterr().err


def test_the_first_run_begins_today_or_where_it_is_told(
    url: str, work: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIPQUEUE_URL", "http://nowhere.example/")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "x")
    base = ["record", "--db", url, "--timezone", "Asia/Shanghai"]
    assert app.run(base) == 0
    assert app.run([*base, "--calls"]) == 0
    assert app.run([*base, "--calls", "--calls-since", "2026-01-05", "--numbers", "full"]) == 0
    nothing, today, chosen = (job.keywords["calls"] for job in work)
    assert nothing is None
    assert today.numbers == "none"
    assert today.since.time() == time()
    assert timedelta(0) <= datetime.now(ZONE) - today.since < timedelta(days=2)
    assert chosen == CallPlan(since=datetime(2026, 1, 5, tzinfo=ZONE), numbers="full")


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


async def test_a_wallboard_says_what_hinders_recording(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    stderr = Stderr(capsys)
    async with Simulator(BUSY, speed=0) as simulator:
        work = wallboard(client_of(simulator), Paper().output(), site=Site(), interval=0.02, history=History(url))
        async with running(work), History(url) as other:
            await until_recorded(store_of(other))
            async with store_of(other).database.writing() as connection:
                await connection.execute(text("ALTER TABLE event RENAME TO lost"))
            simulator.advance(60)
            await until(lambda: "sipqueue: recording failed; it is retried: the history" in stderr.text)
            async with store_of(other).database.writing() as connection:
                await connection.execute(text("ALTER TABLE lost RENAME TO event"))
            await until(lambda: "sipqueue: recording works again, after" in stderr.text)


async def test_a_wallboard_says_that_recording_has_ended(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    stderr = Stderr(capsys)
    async with Simulator(BUSY, speed=0) as simulator:
        work = wallboard(client_of(simulator), Paper().output(), site=Site(), interval=0.02, history=History(url))
        async with running(work), History(url) as other:
            store = store_of(other)
            await until_recorded(store)
            async with store.database.reading() as connection:
                last = await store.last_at(connection)
            assert last is not None
            row = (store.platform_id, last + 5, 0, 1, 6, 2, 0, 0, 0, 1, None, None, None)
            await Writer(store).write(Batch(after=last, events=[row]))
            simulator.advance(60)
            await until(lambda: "sipqueue: recording has ended: the history" in stderr.text)
    assert "let only one record a platform" in stderr.text


async def until_recorded(store: Store) -> None:
    """Wait until the first status is in a database."""
    async with asyncio.timeout(60):
        while await store.recorded_until() is None:
            await asyncio.sleep(0.01)


async def test_a_relay_records_what_it_publishes(url: str, redis_server: RedisServer) -> None:
    async with Simulator(BUSY, speed=0) as simulator:
        target = RelayTarget(redis=redis_server.url)
        work = relay(client_of(simulator), Paper().output(), target=target, interval=0.02, history=History(url))
        await recorded(simulator, work, url)


async def test_of_two_relays_the_leading_one_records(
    url: str, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The other continues the record when it leads, and a relay goes on after another program has written."""
    async with Simulator(BUSY, speed=0) as simulator, History(url) as history:
        start = simulator.centre.now
        target = RelayTarget(redis=redis_server.url, lease=0.5)

        def start_relay() -> asyncio.Task[None]:
            work = relay(client_of(simulator), Paper().output(), target=target, interval=0.02, history=History(url))
            return asyncio.ensure_future(work)

        async def goes_on() -> None:
            for _ in range(6):
                simulator.advance(5)
                polls = simulator.server.requests
                await until(lambda polls=polls: simulator.server.requests >= polls + 2)  # type: ignore[misc]
            async with asyncio.timeout(60):
                while await answered(url) < simulator.truth.answered(start):
                    await asyncio.sleep(0.02)

        first = start_relay()
        async with asyncio.timeout(60):
            while not await has_begun(url):
                await asyncio.sleep(0.02)
        second = start_relay()
        await goes_on()
        first.cancel()
        await asyncio.wait([first])
        await goes_on()
        assert "recording" not in caplog.text
        await write_beside(history)
        await goes_on()
        assert "recording begins anew: the history" in caplog.text
        second.cancel()
        await asyncio.wait([second])
        assert await answered(url) == simulator.truth.answered(start) > 2
        updates = [it async for it in history.updates(BEGINNING, END)]
    assert all(after.previous == before.snapshot for before, after in pairwise(updates))


async def write_beside(history: History) -> None:
    """Write a change as another program."""
    known = await history.baseline()
    assert known is not None
    key, agent = next(iter(known.items()))
    at = known.observed_at + timedelta(seconds=1)
    changed = known.with_changes({key: attrs.evolve(agent, wrap_up_time=99)}, observed_at=at)
    feed = GivenFeed()
    feed.give(known)
    async with Recorder(history, feed) as recorder, feed:
        feed.give(changed, Update(sequence=1, snapshot=changed, previous=known, events=diff(known, changed)))
        await until(lambda: not recorder.pending)


@pytest.mark.parametrize("command", ["record", "wallboard", "relay --redis redis://nowhere"])
def test_the_database_is_checked_before_anything_starts(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIPQUEUE_URL", "http://nowhere.example/")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "x")
    assert app.run([*command.split(), "--db", "nonsense"]) == 2
    assert "the history's URL is invalid" in capsys.readouterr().err
