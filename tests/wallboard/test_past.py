"""The history's endpoints: they send what the history reports, and refuse the rest in plain words."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from yarl import URL

from sipqueue_async.history import Figures, History
from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard, answers, past
from sipqueue_async.wallboard.guard import HEADERS
from tests.kit.openapi import validator
from tests.kit.recorded_wall import EIGHT, recorded_wall
from tests.kit.wallboard_stage import KEY, Stage, wallboard_of

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2026, 1, 5, tzinfo=BERLIN)
DAY = (MIDNIGHT, MIDNIGHT + timedelta(days=1))
HISTORY_PATHS = ["/day", "/agents/100001", "/api/day", "/api/agents/100001"]


def agrees(sent: Mapping[str, Any], figures: Figures) -> bool:
    """Whether figures were sent exactly."""
    names = ("answered", "hidden", "missed", "answer_rate", "talk_seconds", "mean_talk_seconds", "occupancy")
    same = all(sent[name] == getattr(figures, name) for name in (*names, "signed_in_seconds", "unseen_seconds"))
    return same and sent["seconds"] == {state.value: it for state, it in figures.seconds.items()}


def at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, BERLIN)


async def get(url: str, status: int = 200, **options: Any) -> Any:
    async with aiohttp.ClientSession() as client, client.get(url, allow_redirects=False, **options) as answer:
        assert answer.status == status
        assert answer.headers.items() >= HEADERS.items()
        return await (answer.json() if answer.content_type == "application/json" else answer.text())


async def test_figures_by_the_hour_equal_the_reports(tmp_path: Path) -> None:
    async with recorded_wall(tmp_path) as wall:
        await wall.play(5000)
        lost = wall.stage.now()
        await wall.lose(400)
        await wall.play(600)
        for queue in (None, "queue-1"):
            sent = await get(f"{wall.url}api/day?zone=Europe/Berlin{f'&queue={queue}' if queue else ''}")
            report = await wall.history.report(*DAY, by="hour", zone=BERLIN, queue=queue)
            found = {it["label"]: it["figures"] for it in sent["hours"] if it["figures"]}
            assert list(found) == [row.label[-5:] for row in report.rows] == ["09:00", "10:00"]
            assert all(agrees(found[row.label[-5:]], row.figures) for row in report.rows)
            assert agrees(sent["total"], report.total)
            assert sent["total"]["answered"] > 10
            by_agent = await wall.history.report(*DAY, by="agent", zone=BERLIN, queue=queue)
            assert [(it["queue"], it["key"]) for it in sent["agents"]] == [(it.queue, it.label) for it in by_agent.rows]
            pairs = zip(sent["agents"], by_agent.rows, strict=True)
            assert all(agrees(one["figures"], other.figures) for one, other in pairs)
            assert [it["key"] for it in sent["queues"]] == ["queue-1", "queue-2"]
        (outage,) = sent["outages"]
        assert (at(outage["began_at"]), at(outage["ended_at"])) == (
            lost,
            lost + timedelta(seconds=400),
        )
        assert [at(it) for it in sent["recorded"]] == [EIGHT, wall.stage.now()]
        assert (sent["date"], sent["today"], sent["zone"], sent["removed"]) == (
            "2026-01-05",
            "2026-01-05",
            "Europe/Berlin",
            None,
        )


async def test_an_agents_day_is_that_of_the_history(tmp_path: Path) -> None:
    async with recorded_wall(tmp_path, names={"100001": "\x1bname"}) as wall:
        await wall.play(3000)
        found = await wall.history.report(*DAY, by="agent", zone=BERLIN)
        # One agent is in both queues.
        extension = next(row.label for row in found.rows if row.queue == "queue-2" and row.label != "100001")
        for chosen in ("100001", extension):
            sent = await get(f"{wall.url}api/agents/{chosen}?zone=Europe/Berlin&date=2026-01-05")
            intervals = [it async for it in wall.history.intervals(*DAY, extension=chosen)]
            assert sorted(
                (seat["queue"], at(began), at(ended), state)
                for seat in sent["seats"]
                for began, ended, state, _ in seat["intervals"]
            ) == sorted((it.key.queue, it.began_at, it.ended_at, it.state.value) for it in intervals)
            calls = [it async for it in wall.history.calls(*DAY, extension=chosen)]
            assert [(at(it["at"]), it["outcome"], it["count"]) for it in sent["calls"]] == [
                (it.at, it.outcome, it.count) for it in calls
            ]
            rows = [row for row in found.rows if row.extension == chosen]
            assert all(agrees(one["figures"], row.figures) for one, row in zip(sent["seats"], rows, strict=True))
            assert (sent["left_out"], sent["removed"]) == (0, None)
        assert (await get(f"{wall.url}api/agents/100001?date=2026-01-05"))["name"] == r"\x1bname"


async def test_answers_are_as_described(tmp_path: Path) -> None:
    async with recorded_wall(tmp_path) as wall:
        await wall.play(1200)
        await wall.lose(60)
        for is_up in (True, False):
            if not is_up:
                await wall.stage.fail("no route to the platform")
            for path, schema in (("day", "Day"), ("agents/100001", "AgentDay")):
                described = validator(schema)
                described.validate(await get(f"{wall.url}api/{path}"))
                described.validate(await get(f"{wall.url}api/{path}?date=2026-01-01"))


async def test_the_feeds_condition_is_that_of_the_moment_though_the_figures_are_kept(tmp_path: Path) -> None:
    async with recorded_wall(tmp_path, beat=1000.0) as wall:
        url = f"{wall.url}api/day?zone=Europe/Berlin"
        await wall.play(600)
        up = {"up": True, "since": None, "offset": None, "error": None}
        assert (await get(url))["feed"] == up
        since = wall.stage.now()
        await wall.stage.fail("Connection refused")
        sent = await get(f"{url}&lang=en")
        assert sent["feed"] == {"up": False, "since": sent["now"], "offset": 3600, "error": "Connection refused"}
        assert at(sent["feed"]["since"]) == since
        assert (await get(f"{url}&lang=zh"))["feed"]["error"] == "连接被拒绝"
        await wall.stage.recover()
        assert (await get(url))["feed"] == up


async def test_a_feed_that_was_never_up_is_not_called_up(tmp_path: Path) -> None:
    stage = Stage(start=EIGHT)
    async with (
        History(f"sqlite:///{tmp_path}/day.db") as history,
        Wallboard(stage.watcher, history=history, clock=stage.now) as wallboard,
    ):
        url = f"{wallboard.url}api/day?zone=UTC"
        assert (await get(url))["feed"] == {"up": None, "since": None, "offset": None, "error": None}
        async with stage.watcher:
            stage.failure = "no route to the platform"
            await stage.fail("no route to the platform")
            sent = await get(f"{url}&lang=en")
            assert sent["feed"] == {"up": False, "since": None, "offset": None, "error": "no route to the platform"}


async def test_unknown_agents_and_days_have_nothing(tmp_path: Path) -> None:
    async with recorded_wall(tmp_path) as wall:
        await wall.play(10)
        sent = await get(f"{wall.url}api/agents/%3Cb%3E?zone=UTC")
        assert (sent["extension"], sent["name"], sent["seats"], sent["calls"]) == ("<b>", None, [], [])
        sent = await get(f"{wall.url}api/day?zone=UTC&date=2020-01-01")
        assert (sent["recorded"], sent["agents"], sent["queues"]) == (None, [], [])
        assert {it["figures"] for it in sent["hours"]} == {None}
        assert "no such parameter" in await get(f"{wall.url}api/agents/1?queue=a", 400)


async def test_long_days_are_cut_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "MOST_ROWS", 1)
    async with recorded_wall(tmp_path) as wall:
        await wall.play(1800)
        sent = await get(f"{wall.url}api/agents/100001?zone=UTC")
        intervals = [it async for it in wall.history.intervals(*DAY, extension="100001")]
        calls = [it async for it in wall.history.calls(*DAY, extension="100001")]
        shown = sum(len(seat["intervals"]) for seat in sent["seats"]) + len(sent["calls"])
        assert sent["left_out"] == len(intervals) + len(calls) - shown > 2


async def test_a_day_whose_hours_were_removed_keeps_its_figures(tmp_path: Path) -> None:
    # Midnight is at 10:00 UTC.
    zone = ZoneInfo("Pacific/Honolulu")
    async with recorded_wall(tmp_path, start=EIGHT + timedelta(minutes=30)) as wall:
        await wall.play(9600)
        midnight = EIGHT + timedelta(hours=2)
        total = (await wall.history.report(midnight - timedelta(days=1), midnight, by="day", zone=zone)).total
        assert (await wall.history.prune(timedelta(0), zone=zone)).days == 1
        sent = await get(f"{wall.url}api/day?zone=Pacific/Honolulu&date=2026-01-04")
        assert sent["removed"] == "hours"
        assert (sent["total"]["answered"], sent["total"]["missed"]) == (total.answered, total.missed)
        sent = await get(f"{wall.url}api/agents/100001?zone=Pacific/Honolulu&date=2026-01-04")
        assert (sent["name"], sent["removed"]) == ("Agent 01", "hours")
        assert sent["seats"][0]["figures"]["answered"] > 0
        sent = await get(f"{wall.url}api/day?zone=UTC")
        assert (sent["removed"], sent["agents"]) == ("zone", [])
        assert (await get(f"{wall.url}api/agents/100001?zone=UTC"))["removed"] == "zone"


async def test_without_a_history_the_pages_are_not_found_and_not_linked() -> None:
    async with wallboard_of(Stage(Plan(agents=1))) as wallboard:
        for path in HISTORY_PATHS:
            assert "--db sqlite:///day.db" in await get(f"{wallboard.url}{path[1:]}", 404)
        assert 'href="day"' not in await get(wallboard.url)


async def test_with_a_history_the_pages_are_linked(tmp_path: Path) -> None:
    async with recorded_wall(tmp_path) as wall:
        assert 'href="day"' in await get(wall.url)
        for path in ("day", "agents/100001", "agents/nobody"):
            assert "<!doctype html>" in await get(f"{wall.url}{path}")


async def test_a_failing_database_is_logged_once_and_the_page_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sipqueue_async.wallboard")
    async with recorded_wall(tmp_path) as wall:
        await wall.play(10)
        with closing(sqlite3.connect(tmp_path / "day.db")) as database, database:
            database.execute("ALTER TABLE hourly RENAME TO elsewhere")
        for _ in range(2):
            assert "cannot be read" in await get(f"{wall.url}api/day", 503)
        assert sum("cannot read the history" in it for it in caplog.messages) == 1
        with closing(sqlite3.connect(tmp_path / "day.db")) as database, database:
            database.execute("ALTER TABLE elsewhere RENAME TO hourly")
        await get(f"{wall.url}api/day")


async def test_too_many_requests_are_refused_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_WAITING", 0)
    async with (
        recorded_wall(tmp_path) as wall,
        aiohttp.ClientSession(wall.url) as client,
        client.get("/api/day") as answer,
    ):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


async def test_the_login_leads_back_to_the_page(tmp_path: Path) -> None:
    cases = {
        "/day?date=2026-01-05": "login?date=2026-01-05&to=day",
        "/day": "login?to=day",
        "/agents/1%2F2?theme=dark": "../login?theme=dark&to=agents/1%2F2",
        "/?queue=a": "login?queue=a",
    }
    back = {
        "?date=2026-01-05&to=day": "./day?date=2026-01-05",
        "?to=agents/1%2F2": "./agents/1%2F2",
        "?queue=a": "./?queue=a",
        "?to=//evil.example": "./",
        "?to=agents/..//evil&a=b": "./?a=b",
    }
    async with recorded_wall(tmp_path, key=KEY) as wall, aiohttp.ClientSession(wall.url) as client:
        for path in HISTORY_PATHS[2:]:
            await get(f"{wall.url}{path[1:]}", 401)
        for path, login in cases.items():
            async with client.get(URL(path, encoded=True), allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, login)
        for query, page in back.items():
            form = {"key": KEY}
            async with client.post(URL(f"/login{query}", encoded=True), data=form, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, page)


async def test_an_abandoned_request_leaves_the_history_usable(tmp_path: Path) -> None:
    async with recorded_wall(tmp_path) as wall:
        await wall.play(600)
        tasks = [asyncio.ensure_future(get(f"{wall.url}api/day?zone=UTC&date=2026-01-0{day}")) for day in range(1, 9)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(it, dict) for it in outcomes[1::2]] == [True] * 4
