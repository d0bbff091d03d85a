"""Types of pushes: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from sipqueue_async import Snapshot, StatusWatcher
from sipqueue_async.prometheus import PushCollector
from sipqueue_async.push import PartlyPollable, Pollable, PushHealth, PushReceiver, PushRefused, PushServer
from sipqueue_async.testing import ScriptedSource, make_agent, make_snapshot


def _pollable(watcher: Pollable) -> Pollable:
    return watcher


def _partly_pollable(watcher: PartlyPollable) -> PartlyPollable:
    return watcher


async def test_a_receiver() -> None:
    async with StatusWatcher(ScriptedSource([make_snapshot(make_agent())] * 5)) as watcher:
        receiver = PushReceiver(watcher, min_interval=0.5, allow=["127.0.0.1"], whole_up_to=50)
        assert_type(await receiver.handle(b"{}", {}, remote="127.0.0.1"), bytes)
        assert_type(receiver.health, PushHealth)
        pollable = _pollable(watcher)
        assert_type(pollable.snapshot, Snapshot | None)
        assert_type(await pollable.refresh(anew=True), Snapshot | None)
        assert_type(await _partly_pollable(watcher).refresh_extensions(["100001"]), Snapshot | None)
        assert_type(await watcher.refresh_extensions(["100001"]), Snapshot)
        assert_type(watcher.health.partial_polls, int)
        assert_type(receiver.health.partial, int)
        assert_type(PushCollector(receiver), PushCollector)
        assert_type(receiver.health.taken, int)
        assert_type(receiver.health.last_push_at, datetime | None)
        assert_type(PushServer(receiver, path="a-long-random-path", timeout=15.0, max_connections=200).port, int)
        assert_type(PushRefused(404).status, int)
        assert_type(await watcher.refresh(anew=True), Snapshot)
        assert_type(await receiver.aiohttp_handler(make_mocked_request("GET", "/")), web.Response)
    async with receiver as same:
        assert_type(same, PushReceiver)
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {}

    assert_type(await receiver.asgi({"type": "http", "method": "POST"}, receive, send), None)
    assert len(sent) == 2
    assert await receive() == {}
