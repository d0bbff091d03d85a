"""The event stream: first the full state, then changes, with bounded memory for slow browsers."""

from __future__ import annotations

import asyncio
import json
import socket
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sipqueue_async import StatusWatcher
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard
from sipqueue_async.wallboard import sse as stream_module
from sipqueue_async.wallboard.board import Board
from sipqueue_async.wallboard.live import Live
from sipqueue_async.wallboard.stream import Streams
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.tasks import running
from tests.kit.waiting import until
from tests.kit.wallboard_stage import NEVER, Flood, Stage, ended_wallboard, wallboard_of

PLAN = Plan(agents=12, queues=2, calls_per_hour=240.0, opening_callers=3)


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of a stream: each one's fields, with decoded data."""
    fields: dict[str, Any] = {}
    async for line in answer.content:  # pragma: no branch  # no stream here ends by itself
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name:
            fields[name] = value
        else:
            yield {**fields, "data": json.loads(fields["data"])}
            fields = {}


@asynccontextmanager
async def stream_of(url: str, **headers: str) -> AsyncGenerator[AsyncIterator[dict[str, Any]]]:
    """Open a stream."""
    async with aiohttp.ClientSession() as client, client.get(f"{url}events", headers=headers) as answer:
        assert answer.status == 200
        yield events(answer)


async def next_of(stream: AsyncIterator[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the next event of a kind."""
    async with asyncio.timeout(60):
        while (event := await anext(stream)).get("event") != kind:
            pass
    return event


async def test_a_stream_begins_with_everything_and_then_has_only_changes() -> None:
    stage = Stage(PLAN)
    async with wallboard_of(stage) as wallboard, stream_of(wallboard.url) as stream:
        beat = await anext(stream)
        assert (beat["event"], beat["retry"]) == ("beat", "2000")
        at = stage.now().timestamp() * 1000
        assert beat["data"] == {"now": at, "clock": at, "every": 5.0}
        first = await next_of(stream, "board")
        known = stage.watcher.snapshot
        assert known is not None
        assert first["data"]["full"] is True
        assert len(first["data"]["seats"]) == len(known)
        now = known
        while now == known:
            await stage.play(2)
            now = stage.watcher.snapshot or known
        changed = {(key.queue, key.extension) for key, seat in now.items() if seat != known[key]}
        second = await next_of(stream, "board")
        assert second["data"]["full"] is False
        assert {(seat["queue"], seat["extension"]) for seat in second["data"]["seats"]} == changed


async def test_a_reconnecting_browser_gets_what_it_missed() -> None:
    stage = Stage(PLAN)
    async with wallboard_of(stage) as wallboard:
        async with stream_of(wallboard.url) as stream:
            first = await next_of(stream, "board")
        await stage.play(30)
        async with stream_of(wallboard.url, **{"Last-Event-ID": first["id"]}) as stream:
            second = await next_of(stream, "board")
            assert second["data"]["full"] is False
            assert second["data"]["seats"]
            assert second["id"] != first["id"]
        async with stream_of(wallboard.url, **{"Last-Event-ID": "of-another-run"}) as stream:
            assert (await next_of(stream, "board"))["data"]["full"] is True


async def test_heartbeats_come_while_nothing_changes() -> None:
    stage = Stage(Plan(agents=2))
    async with wallboard_of(stage, beat=0.05) as wallboard, stream_of(wallboard.url) as stream:
        await next_of(stream, "board")
        stage.centre.advance(60)
        beats = [await next_of(stream, "beat") for _ in range(3)]
        at = stage.now().timestamp() * 1000
        assert beats[-1]["data"] == {"now": at, "clock": at, "every": 0.05}


async def test_the_number_of_streams_is_limited() -> None:
    async with _served(Live(Stage(PLAN).watcher, stale_after=30), most=2) as url, aiohttp.ClientSession() as client:
        first, second = await client.get(url), await client.get(url)
        async with client.get(url) as third:
            assert third.status == 503
        first.close()
        async with asyncio.timeout(60):
            while (again := await client.get(url)).status == 503:
                again.close()
                await asyncio.sleep(0.01)
        assert again.status == 200
        for answer in (second, again):
            answer.close()


@asynccontextmanager
async def _served(live: Live, **options: Any) -> AsyncGenerator[str]:
    app = web.Application()
    app.router.add_get("/events", Streams(live, **options).handle, allow_head=False)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}/events"
    finally:
        live.close()
        await runner.cleanup()


@pytest.mark.one_python
async def test_nothing_queues_up_for_a_slow_browser_and_it_gets_the_newest() -> None:
    flood = Flood(agents=200, letters=2000, renames=True)
    live = Live(flood.watcher, stale_after=30)
    async with flood.watcher, _served(live, patience=300.0) as url, running(live.run()):
        await flood.watcher.ready()
        reader, writer = await _slow_reader(url)
        sent = _calls(live.board, "since")
        for _ in range(60):
            await flood.watcher.refresh()
            await asyncio.sleep(0.01)
        # 60 updates of 400 kB each happened, but the server sent only as much as the sockets buffered.
        assert len(sent) < 40
        assert len(live.board._messages) <= 1
        newest = f"{flood.number} x".encode()
        async with asyncio.timeout(60):
            rest = b""
            while newest not in rest:
                rest = rest[-100:] + await reader.read(65536)
        writer.close()


@pytest.mark.parametrize("by", ["the system", "the program"])
async def test_a_browser_that_stops_reading_is_disconnected(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "the program":
        monkeypatch.setattr(stream_module, "_USER_TIMEOUT", None)
    flood = Flood(agents=200, letters=2000, renames=True)
    live = Live(flood.watcher, stale_after=30)
    async with flood.watcher, _served(live, patience=0.2, most=1) as url, running(live.run()):
        await flood.watcher.ready()
        _, writer = await _slow_reader(url)
        async with aiohttp.ClientSession() as client, asyncio.timeout(60):
            while True:
                await flood.watcher.refresh()
                async with client.get(url) as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.02)
        writer.close()


async def _slow_reader(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    port = int(url.split(":")[2].partition("/")[0])
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
    writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return reader, writer


def _calls(board: Board, method: str) -> list[int]:
    """Start recording the calls of a board's method; return the list of their revisions."""
    revisions: list[int] = []
    original = getattr(board, method)

    def recorded(revision: int) -> Any:
        revisions.append(revision)
        return original(revision)

    setattr(board, method, recorded)
    return revisions


async def test_many_browsers_share_one_message() -> None:
    stage = Stage(PLAN)
    live = Live(stage.watcher, stale_after=30)
    async with stage.watcher, _served(live) as url, running(live.run()), aiohttp.ClientSession() as client:
        await stage.watcher.ready()
        answers = [await client.get(url) for _ in range(10)]
        streams = [events(answer) for answer in answers]
        for stream in streams:
            await next_of(stream, "board")
        made = _calls(live.board, "_since")
        before = live.board.revision
        while live.board.revision == before:
            await stage.play(2)
            await asyncio.sleep(0)
        ids = {(await next_of(stream, "board"))["id"] for stream in streams}
        assert made == [before]
        assert ids == {live.board.event_id}
        for answer in answers:
            answer.close()


@pytest.mark.parametrize("method", ["HEAD", "POST"])
async def test_only_get_opens_a_stream(method: str) -> None:
    async with (
        wallboard_of(Stage(PLAN)) as wallboard,
        aiohttp.ClientSession() as client,
        client.request(method, f"{wallboard.url}events") as answer,
    ):
        assert answer.status == 405


async def test_a_board_on_a_running_watcher_shows_its_status_at_once() -> None:
    stage = Stage(PLAN)
    async with stage.watcher:
        await stage.watcher.ready()
        live = Live(stage.watcher, stale_after=30)
        async with running(live.run()):
            await asyncio.sleep(0)
            assert live.board.tally.total.signed_in == len(stage.watcher.snapshot or ())
            assert live.is_fresh
        await stage.fail("away")
        late = Live(stage.watcher, stale_after=30)
        async with running(late.run()):
            await asyncio.sleep(0)
            assert late.board.tally.total.signed_in == len(stage.watcher.snapshot or ())
            assert late.board.tally.feed_down is not None
            assert not late.is_fresh
            await stage.recover()
            await asyncio.sleep(0)
            assert late.board.down is None
    never = Stage(PLAN)
    async with never.watcher:
        await never.fail("never there")
        late = Live(never.watcher, stale_after=30)
        assert json.loads(late.board.since(0))["feed"] == {"up": False, "since": None, "error": "never there"}


async def test_a_baseline_is_shown_once_a_poll_confirmed_it() -> None:
    known = snapshot(agent())
    watcher = StatusWatcher(ScriptedSource([known]), interval=NEVER, baseline=known)
    live = Live(watcher, stale_after=30)
    async with running(live.run()):
        await asyncio.sleep(0)
        assert json.loads(live.board.since(0))["seats"] == []
        async with watcher:
            await watcher.ready(timeout=60)
            await asyncio.sleep(0)
            assert len(json.loads(live.board.since(0))["seats"]) == 1


async def test_an_empty_call_centre_is_up() -> None:
    watcher = StatusWatcher(ScriptedSource([snapshot()]), interval=NEVER)
    live = Live(watcher, stale_after=30)
    async with watcher, running(live.run()):
        await watcher.ready()
        await asyncio.sleep(0)
        assert live.board.has_begun
        assert json.loads(live.board.since(0))["feed"]["up"] is True


async def test_a_closed_watcher_is_shown_and_streams_stay_open() -> None:
    stage = Stage(PLAN)
    async with Wallboard(stage.watcher, beat=0.05, clock=stage.now) as wallboard, stream_of(wallboard.url) as stream:
        async with stage.watcher:
            await stage.watcher.ready()
            while not (await next_of(stream, "board"))["data"]["feed"]["up"]:
                pass
        told = await next_of(stream, "board")
        assert told["data"]["feed"] == {
            "up": False,
            "since": stage.now().timestamp() * 1000,
            "error": "the program no longer asks the platform",
        }
        for _ in range(3):
            assert (await anext(stream))["event"] == "beat"
        async with aiohttp.ClientSession() as client, client.get(f"{wallboard.url}api/snapshot") as answer:
            down = (await answer.json())["feed_down"]
        assert down == {"since": stage.now().isoformat(), "error": "the program no longer asks the platform"}


async def test_the_error_that_ended_the_watcher_is_shown() -> None:
    async with ended_wallboard() as wallboard:
        async with stream_of(wallboard.url) as stream:
            feed = (await next_of(stream, "board"))["data"]["feed"]
        assert feed["up"] is False
        assert "601" in feed["error"]
        assert "secret" not in feed["error"]


async def test_streams_of_one_other_machine_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(PLAN)
    live = Live(stage.watcher, stale_after=30)
    async with stage.watcher, _served(live, most_of_one=1) as url, aiohttp.ClientSession() as client:
        first, second = await client.get(url), await client.get(url)
        assert (first.status, second.status) == (200, 200)
        second.close()
        monkeypatch.setattr(stream_module, "is_loopback", lambda _: False)
        async with asyncio.timeout(60), client.get(url) as refused:
            assert refused.status == 503
        first.close()
        async with asyncio.timeout(60):
            while (again := await client.get(url)).status != 200:
                again.close()
                await asyncio.sleep(0.01)
        again.close()


@pytest.mark.one_python
async def test_a_hundred_browsers_that_read_nothing_share_one_message() -> None:
    flood = Flood(agents=200, letters=2000, renames=True)
    live = Live(flood.watcher, stale_after=30)
    async with flood.watcher, _served(live, patience=300.0) as url, running(live.run()):
        await flood.watcher.ready()
        await asyncio.sleep(0)
        size = len(live.board.since(0))
        assert size > 400_000
        tracemalloc.start()
        try:
            sent = _calls(live.board, "since")
            writers = [(await _slow_reader(url))[1] for _ in range(100)]
            await until(lambda: len(sent) >= 100)
            await asyncio.sleep(0.1)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 100 * size / 2
        for writer in writers:
            writer.close()


async def test_streams_work_without_tcp_user_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_USER_TIMEOUT", None)
    stage = Stage(PLAN)
    async with wallboard_of(stage) as wallboard, stream_of(wallboard.url) as stream:
        assert (await anext(stream))["event"] == "beat"
