"""The simulator's pushes: of every call, with faults as asked for, and useful to a watcher."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sipqueue_async import AppCredentials, SipQueueClient, StatusWatcher
from sipqueue_async.push import PushReceiver, PushServer
from sipqueue_async.simulator import Plan, Pusher, PushFaults, Simulator
from tests.kit.waiting import until

PLAN = attrs.evolve(Plan.lively(), external_calls_per_hour=20.0)
PATH = "a-path-that-nobody-guesses"


async def _collect(simulator: Simulator, *, steps: int = 60, **faults: Any) -> tuple[list[dict[str, Any]], Pusher]:
    """Run the simulator step by step and return the pushes that arrive."""
    arrived: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        arrived.append(json.loads(await request.read()))
        return web.Response(body=b"1")

    app = web.Application()
    app.router.add_post("/", take)
    async with TestServer(app) as server:
        pusher = Pusher(simulator, [str(server.make_url("/"))], faults=PushFaults(**faults), every=0.001)
        async with pusher:
            for _ in range(steps):
                simulator.advance(1.0)
                await until(partial(_has_seen_all, pusher, simulator))
            await until(lambda: not pusher._deliveries)
    return arrived, pusher


def _has_seen_all(pusher: Pusher, simulator: Simulator) -> bool:
    centre = simulator.centre
    return pusher._records == len(centre.past_calls()) and pusher._calls == centre.calls()


async def test_every_call_is_pushed_when_it_rings_is_answered_and_ends() -> None:
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        simulator.advance(60)
        before = len(simulator.centre.past_calls())
        arrived, pusher = await _collect(simulator)
        ended = simulator.centre.past_calls()[before:]
    records = [push["id"] for push in arrived if "id" in push]
    assert sorted(records) == [call.id for call in ended]
    kinds = Counter(push["status"] for push in arrived if "status" in push)
    assert set(kinds) == {"ring", "answer", "disconnected"}
    assert pusher.sent == pusher.taken == len(arrived)
    assert repr(pusher) == f"<Pusher to 1 URLs, {len(arrived)} sent, {len(arrived)} taken>"


@pytest.mark.parametrize(
    ("faults", "low", "high"), [({"loss": 1.0}, 0, 0), ({"doubling": 1.0, "delay": 0.01}, 2, 2), ({"loss": 0.5}, 0, 1)]
)
async def test_faults(faults: dict[str, float], low: int, high: int) -> None:
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        simulator.advance(60)
        before = len(simulator.centre.past_calls())
        arrived, _ = await _collect(simulator, steps=20, **faults)
        numbers = [call.id for call in simulator.centre.past_calls()[before:]]
    times = Counter(push["id"] for push in arrived if "id" in push)
    assert numbers
    assert all(low <= times[number] <= high for number in numbers)


async def test_a_push_that_cannot_be_delivered_is_lost() -> None:
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        async with Pusher(simulator, ["http://127.0.0.1:1/"], every=0.001) as pusher:
            simulator.advance(30)
            await until(lambda: pusher.sent)
        assert pusher.taken == 0


async def test_a_watcher_learns_of_calls_by_pushes_alone() -> None:
    async with Simulator(PLAN, seed=7, speed=20) as simulator:
        auth = AppCredentials(simulator.appid, simulator.accesskey)
        async with SipQueueClient(simulator.url, auth) as client, StatusWatcher(client, interval=600) as watcher:
            await watcher.ready()
            async with PushReceiver(watcher, min_interval=0.05) as receiver, PushServer(receiver, path=PATH) as server:
                url = f"http://127.0.0.1:{server.port}/{PATH}"
                async with Pusher(simulator, [url]):
                    await until(lambda: receiver.health.useful >= 2)
    assert watcher.health.polls >= 3


@pytest.mark.parametrize(
    ("options", "text"),
    [({"loss": 1.1}, "loss must be"), ({"doubling": -1}, "doubling must be"), ({"delay": -1}, "delay must be")],
)
def test_an_invalid_fault_is_named(options: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        PushFaults(**options)  # type: ignore[arg-type]


def test_it_has_to_look_now_and_then() -> None:
    with pytest.raises(ValueError, match="every must be above 0 seconds, not 0"):
        Pusher(Simulator(), [], every=0)


@pytest.mark.parametrize(
    "url", ["", "foo", "127.0.0.1:8090", "ftp://x/", "http://", "http://[::1/", "http://xn--a/", "http://a..b/"]
)
def test_a_url_that_cannot_receive_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a URL must begin with http:// or https:// and name a host, which "):
        Pusher(Simulator(), [url])


async def test_a_receiver_that_hangs_holds_up_a_limited_number_of_pushes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipqueue_async.simulator.pushes._MOST_UNDER_WAY", 0)
    async with Simulator(PLAN, seed=7, speed=0) as simulator:
        arrived, pusher = await _collect(simulator, steps=5)
    assert (arrived, pusher.sent) == ([], 0)
