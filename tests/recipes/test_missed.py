"""The recipe that posts missed calls: at once after a push, each once, numbers masked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web

from sipqueue_async import CallDirection, CallMethod, CallRecord
from sipqueue_async.records import CallCursor, FollowedCall
from sipqueue_async.simulator import PastCall, Plan, Simulator
from tests.kit.http import serving
from tests.kit.preloaded import Preloaded
from tests.kit.recipes import Recipe, load, preloaded

pytestmark = [pytest.mark.one_python, pytest.mark.timeout(180)]

SECRET = "a-path-that-nobody-guesses"
PLAN = attrs.evolve(Plan.lively(), patience=10.0)
PUSH = b'{"id": 7, "disnumber": "02079460000", "endtime": "2026-01-05 09:10:00"}'


@pytest.fixture(scope="module")
def python() -> Iterator[Preloaded]:
    with preloaded("aiohttp.web", "sipqueue_async.push", "sipqueue_async.records") as it:
        yield it


class Robot:
    """A group robot: collects what is posted, and refuses the first message twice."""

    def __init__(self) -> None:
        self.posts: list[str] = []
        self.url = ""
        self._answers: list[Any] = [web.Response(status=502), {"errcode": 45009}]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve inside the block."""
        async with serving(self._take) as port:
            self.url = f"http://127.0.0.1:{port}/robot"
            yield

    async def _take(self, request: web.Request) -> web.StreamResponse:
        answer = self._answers.pop(0) if self._answers else None
        if isinstance(answer, web.Response):
            return answer
        if answer is None:
            self.posts.append((await request.json())["text"]["content"])
        return web.json_response(answer or {"errcode": 0})


async def test_missed_calls_are_posted_at_a_push_and_once_through_a_restart(python: Preloaded, tmp_path: Path) -> None:
    """The bot asks by itself only every minute, and once at its start."""
    robot, file = Robot(), tmp_path / "missed.json"
    async with robot.running(), Simulator(PLAN, seed=2, speed=0) as simulator:
        file.write_bytes(CallCursor(since=simulator.centre.local_time).to_json())
        settings = {
            "SIPQUEUE_URL": simulator.url,
            "SIPQUEUE_APPID": simulator.appid,
            "SIPQUEUE_ACCESSKEY": simulator.accesskey,
            "SIPQUEUE_INTERVAL": "600",
            "SIPQUEUE_PUSH": SECRET,
            "MISSED_URL": robot.url,
            "MISSED_PORT": "0",
            "MISSED_FILE": str(file),
            "MISSED_RETRY": "0.05",
        }
        for numbers in ("", "full"):
            before = len(robot.posts)
            async with Recipe(python, "missed_calls.py", settings | {"MISSED_NUMBERS": numbers}) as recipe:
                port = (await recipe.until("listening for pushes on port")).split()[-1]
                await recipe.wait_for(lambda: simulator.server.requests >= 2)
                while len(_missed(simulator)) < before + 3:
                    simulator.advance(10)
                url = f"http://127.0.0.1:{port}/{SECRET}"
                async with aiohttp.ClientSession() as session, session.post(url, data=PUSH) as answer:
                    assert await answer.read() == b"1"
                await recipe.wait_for(
                    lambda: _ids(_past(simulator)) <= CallCursor.from_json(file.read_bytes()).known.keys()
                )
            assert sorted(robot.posts[before:]) == sorted(_text(it, numbers) for it in _missed(simulator)[before:])
            assert SECRET not in "\n".join([*recipe.lines, *recipe.errors])


def test_the_first_run_starts_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start is in the platform's time zone if that is known, and otherwise naive."""
    monkeypatch.setenv("MISSED_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("MISSED_FILE", str(tmp_path / "missed.json"))
    recipe = load("missed_calls.py")
    assert recipe.start(None).tzinfo is None
    assert recipe.start("Asia/Shanghai").utcoffset() == timedelta(hours=8)


@pytest.mark.parametrize(
    ("number", "shown"),
    [("02079460123", "020****0123"), ("8610086", "****86"), ("0246801357", "****57"), (None, "unknown number")],
)
def test_most_digits_of_a_number_stay_hidden(
    number: str | None, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISSED_URL", "http://127.0.0.1:9/")
    began = datetime.fromisoformat("2026-01-05 09:00:00")
    record = CallRecord(id="1", direction=CallDirection.IN, method=CallMethod.GROUP, started_at=began, caller=number)
    assert load("missed_calls.py").describe(FollowedCall(record)) == f"missed call: {shown} at 09:00:00"


def _past(simulator: Simulator) -> tuple[PastCall, ...]:
    return simulator.centre.past_calls()


def _missed(simulator: Simulator) -> list[PastCall]:
    return [it for it in _past(simulator) if it.answered_at is None and not it.outgoing]


def _ids(calls: Iterable[PastCall]) -> set[str]:
    return {str(call.id) for call in calls}


def _text(call: PastCall, numbers: str) -> str:
    number = call.number if numbers else f"{call.number[:3]}****{call.number[-4:]}"
    return f"missed call: {number} at {call.started_at:%H:%M:%S}, waited {call.waiting_seconds} s"
