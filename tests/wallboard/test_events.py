"""``/api/events`` over HTTP: no event lost or doubled, bounded memory, and the described format."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tracemalloc
from typing import Any

import aiohttp
import pytest
from openapi_spec_validator import validate

from sipqueue_async import AgentState, Event, Snapshot, StatusWatcher, TransportError
from sipqueue_async._json_lines import KINDS, event_json
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard
from sipqueue_async.wallboard.api import description
from sipqueue_async.wallboard.places import Position
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.openapi import validator
from tests.kit.sse import Reader
from tests.kit.waiting import until
from tests.kit.wallboard_stage import NEVER, Flood, Stage, ended_wallboard, wallboard_of

PLAN = Plan(agents=12, queues=2, calls_per_hour=240.0, opening_callers=3)
READERS = int(os.environ.get("EVENTS_READERS", "40"))
"""How many programs do not read."""
KILLS = 100


async def test_a_program_killed_and_resumed_a_hundred_times_loses_and_doubles_nothing() -> None:
    """It is killed at any byte of the stream, and continues with the last id it received."""
    dice = random.Random(22)
    stage = Stage(PLAN)
    received: list[str] = []
    # Frequent heartbeats, so that a reader never waits long for its next bytes.
    async with wallboard_of(stage, beat=0.01) as wallboard:
        updates = stage.watcher.updates(max_pending=100_000)
        async with Reader(wallboard.port) as reader:
            last_event_id = (await reader.next()).last_event_id
        for _ in range(KILLS):
            async with Reader(wallboard.port, last_event_id=last_event_id) as reader:
                await stage.play(dice.choice([0, 4, 20]))
                for _ in range(dice.randint(1, 12)):
                    messages = await reader.read(dice.randint(1, 900))
                    assert messages is not None
                    received += [json.dumps(it.data) for it in messages]
                last_event_id = reader.parser.last_event_id
        await stage.play(20)
        happened: list[Event] = []
        while update := updates.get_nowait():
            happened += update.events
        async with Reader(wallboard.port, last_event_id=last_event_id) as reader:
            while len(received) < len(happened):
                received.append(json.dumps((await reader.next()).data))
    assert len(happened) > KILLS
    assert received == [json.dumps(json.loads(event_json(event))) for event in happened]


async def test_a_server_that_stops_ends_the_streams() -> None:
    stage = Stage(PLAN)
    async with stage.watcher, Wallboard(stage.watcher) as wallboard, Reader(wallboard.port) as reader:
        assert (await reader.next()).event == "snapshot"
        await wallboard.stop()
        assert await reader.read() is None


async def test_a_restarted_server_starts_anew() -> None:
    stage = Stage(PLAN)
    async with wallboard_of(stage) as wallboard, Reader(wallboard.port) as reader:
        first = await reader.next()
    async with stage_again(stage) as wallboard, Reader(wallboard.port, last_event_id=first.last_event_id) as reader:
        assert (await reader.next()).data["reason"] == "restarted"


def stage_again(stage: Stage) -> Any:
    """Serve the same call centre again, as a restarted program does."""
    stage.watcher = StatusWatcher(stage, interval=NEVER)
    return wallboard_of(stage)


async def test_the_headers_suit_proxies_and_browsers() -> None:
    async with wallboard_of(Stage(PLAN)) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        async with client.get("/api/events") as answer:
            assert answer.status == 200
            assert answer.headers["X-Accel-Buffering"] == "no"
            assert answer.headers["Cache-Control"] == "no-cache"
            assert await answer.content.readline() == b"retry: 2000\n"
        for method, status in {"HEAD": 405, "POST": 405}.items():
            async with client.request(method, "/api/events") as answer:
                assert answer.status == status
        async with client.get("/api/events?event=agent-lost") as answer:
            assert (answer.status, await answer.text()) == (400, f"unknown event; there are: {', '.join(KINDS)}\n")


async def test_heartbeats_keep_the_id_recent_while_a_filter_admits_nothing() -> None:
    stage = Stage(PLAN)
    async with wallboard_of(stage, beat=0.05, events_kept=2) as wallboard:
        async with Reader(wallboard.port, "/api/events?queue=none") as reader:
            start = await reader.next()
            assert start.data["absent_queues"] == ["none"]
            await stage.play(60)
            while reader.parser.last_event_id != wallboard._journal.id_of(wallboard._journal.end):
                assert await reader.read() == []
            assert reader.parser.last_event_id != start.last_event_id
            assert reader.parser.comments
            last = reader.parser.last_event_id
        async with Reader(wallboard.port, "/api/events?queue=none", last) as reader:
            while not reader.parser.comments:
                assert await reader.read() == []


async def test_before_the_first_status_only_heartbeats_come() -> None:
    stage = Stage(PLAN)
    async with Wallboard(stage.watcher, beat=0.05) as wallboard, Reader(wallboard.port) as reader:
        while not reader.parser.comments:
            assert await reader.read() == []
        assert reader.parser.last_event_id == ""
        async with stage.watcher:
            assert (await reader.next()).event == "snapshot"


async def test_the_end_of_the_feed_is_told_once_and_the_stream_stays_open() -> None:
    async with ended_wallboard() as wallboard, Reader(wallboard.port) as reader:
        assert (await reader.next()).event == "snapshot"
        end = await reader.next()
        assert end.event == "feed-ended"
        assert "601" in end.data["error"]
        assert "secret" not in end.data["error"]
        for _ in range(3):
            assert await reader.read() == []


@pytest.mark.one_python
async def test_many_programs_that_do_not_read_cost_bounded_memory() -> None:
    """Each holds at most what the sockets buffer; when one reads again, it gets every call."""
    flood = Flood(agents=50, letters=4000)
    wallboard = Wallboard(flood.watcher, events_kept=5)
    wallboard._events._most, wallboard._events._patience, wallboard._door._most = READERS, 300.0, 2 * READERS
    async with wallboard, flood.watcher:
        await flood.watcher.ready()
        readers = [Reader(wallboard.port, buffer=4096) for _ in range(READERS)]
        tracemalloc.start()
        try:
            for it in readers:
                await it.connect()
            await until(lambda: len(wallboard._events._open) == READERS)
            for _ in range(30):
                await flood.watcher.refresh()
                await asyncio.sleep(0)
            await asyncio.sleep(0.1)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Every update is more than 200 kB a reader, so all of them would be 6 MB.
        assert held < READERS * 100_000 + 10_000_000
        calls, it = 0, readers[0]
        at = 0
        while at < flood.number:
            message = await it.next()
            if message.event == "snapshot":
                at = message.data["agents"][0]["calls_answered"]
            elif message.event == "call-answered" and message.data["extension"] == "0":
                at += message.data["count"]
                calls += 1
                assert message.data.get("coalesced") in {None, True}
        assert at == flood.number
        assert calls < 30
        for it in readers:
            it.cut()


async def test_a_program_that_stops_reading_is_disconnected() -> None:
    flood = Flood(agents=50, letters=4000)
    wallboard = Wallboard(flood.watcher)
    wallboard._events._patience = 0.2
    async with wallboard, flood.watcher:
        await flood.watcher.ready()
        async with Reader(wallboard.port, buffer=4096):
            await until(lambda: wallboard._events._open)
            async with asyncio.timeout(60):
                while wallboard._events._open:
                    await flood.watcher.refresh()
                    await asyncio.sleep(0.02)


# ---- the description -------------------------------------------------------------------------------------------------


def test_the_description_is_valid_openapi() -> None:
    document = json.loads(description())
    validate(document)
    (event,) = [it for it in document["paths"]["/api/events"]["get"]["parameters"] if it["name"] == "event"]
    assert event["schema"]["items"]["enum"] == list(KINDS)


async def test_the_description_matches_the_real_answers() -> None:
    """Every kind of event, and every answer, has exactly the described fields."""
    others = [agent(str(it)) for it in range(3, 9)]
    before = agent("1", calls_answered=1, no_answer_count=0, wrap_up_time=1)
    after = agent("1", calls_answered=2, no_answer_count=1, wrap_up_time=5, state=AgentState.TALKING)
    script: list[Snapshot | BaseException] = [
        snapshot(before, agent("2"), *others),
        TransportError("away"),
        snapshot(after, agent("9"), *others, at=1),
    ]
    script.append(snapshot(after, agent("9"), *others, at=2))
    watcher = StatusWatcher(ScriptedSource(script), interval=NEVER, leave_after=1)
    schema = validator("Event")
    async with Wallboard(watcher) as wallboard, watcher:
        first = await watcher.ready()
        async with Reader(wallboard.port) as reader:
            messages = [await reader.next()]
            for _ in range(3):
                await asyncio.gather(watcher.refresh(), return_exceptions=True)
            while {message.event for message in messages} != {"snapshot", *KINDS}:
                messages.append(await reader.next())
        merged = wallboard._journal.coalesced(Position(0, 0), first, was_down=True)
        for data in [*(message.data for message in messages), *map(json.loads, merged.lines)]:
            schema.validate(data)
            assert data["event"] in KINDS or data["event"] == "snapshot"
        async with aiohttp.ClientSession(wallboard.url) as client:
            async with client.get("/api/snapshot") as answer:
                validator("Status").validate(await answer.json())
            async with client.get("/api/openapi.json") as answer:
                assert answer.content_type == "application/json"
                assert await answer.read() == description()
            described = json.loads(description())["paths"]
            served = {it.resource.canonical for it in wallboard._app().router.routes() if it.resource is not None}
            assert set(described) == {it for it in served if it.startswith("/api/")} | {
                "/metrics", "/healthz", "/readyz",
            }  # fmt: skip
