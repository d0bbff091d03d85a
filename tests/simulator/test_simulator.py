"""Model and server together: model time follows the clock, even across restarts."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import aiohttp
import pytest

from sipqueue_async.simulator import CallCentre, LiveCentre, Plan, Platform, Simulator
from tests.kit.times import Clock

STATUS = "App.Sip_Queue.GetQueueSipStatus"
BUSY = Plan(calls_per_hour=200, talk_median=30)


async def _poll(simulator: Simulator) -> dict[str, Any]:
    fields = {"service": STATUS, "token": "T"}
    async with aiohttp.ClientSession() as session, session.post(simulator.url, data=fields) as response:
        answer: dict[str, Any] = await response.json()
    assert answer["ret"] == 200
    data: dict[str, Any] = answer["data"]
    return data


def test_a_live_centre_follows_the_clock_at_its_speed() -> None:
    clock = Clock()
    live = LiveCentre(CallCentre(BUSY, seed=1), speed=60, clock=clock)
    reference = CallCentre(BUSY, seed=1)
    clock.now += 5
    assert live.local_time == reference.local_time
    live.start()
    for _ in range(20):
        clock.now += 0.5
        reference.advance(30)
        assert live.seats() == reference.seats()
        assert live.local_time == reference.local_time
    live.stop()
    clock.now += 100
    assert live.local_time == reference.local_time
    assert live.extensions == reference.extensions
    live.start()
    clock.now += 1
    reference.advance(60)
    assert live.seats() == reference.seats()


def test_a_live_centre_can_skip_time() -> None:
    clock = Clock()
    centre = CallCentre()
    live = LiveCentre(centre, speed=2, clock=clock)
    live.advance(10)
    assert centre.now == 10
    live.start()
    clock.now += 1
    live.advance(100)
    assert centre.now == 112
    clock.now += 1
    live.catch_up()
    assert centre.now == 114


def test_a_live_centre_waits_for_the_clock_when_the_model_is_ahead() -> None:
    clock = Clock()
    centre = CallCentre()
    live = LiveCentre(centre, clock=clock)
    live.start()
    centre.advance(10)
    clock.now += 4
    live.catch_up()
    assert centre.now == 10
    clock.now += 8
    live.catch_up()
    assert centre.now == 12


@pytest.mark.parametrize("speed", [-1.0, math.inf, math.nan])
def test_a_senseless_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be"):
        Simulator(speed=speed)


@pytest.mark.virtual_time
@pytest.mark.one_python
async def test_a_day_passes_in_virtual_time_without_a_socket() -> None:
    live = LiveCentre(CallCentre(BUSY), speed=10, clock=asyncio.get_running_loop().time)
    platform = Platform(live, tokens=["T"])
    live.start()
    for _ in range(24):
        await asyncio.sleep(360)
    answer = json.loads(platform.answer({"service": STATUS, "token": "T"}))
    assert sum(record["callsanswered"] for record in answer["data"]["result"]) > 1000


async def test_a_stepped_simulator_stands_still_between_the_steps() -> None:
    async with Simulator(BUSY, seed=1, speed=0, tokens=["T"]) as simulator:
        first = await _poll(simulator)
        await asyncio.sleep(0.02)
        assert await _poll(simulator) == first
        simulator.advance(600)
        assert simulator.centre.now == 600
        later = await _poll(simulator)
    assert later["rsptime"] == first["rsptime"] + 600
    assert sum(record["callsanswered"] for record in later["result"]) == simulator.truth.answered()
    assert simulator.truth is simulator.centre.truth


async def test_a_running_simulator_shows_what_the_truth_says() -> None:
    async with Simulator(BUSY, seed=1, speed=2000, tokens=["T"]) as simulator:
        await asyncio.sleep(0.1)
        data = await _poll(simulator)
        assert simulator.centre.now >= 200
        truth, now = simulator.truth, simulator.centre.now
        for record in data["result"]:
            key = (record["queuename"], record["extnumber"])
            assert record["callsanswered"] <= truth.answered(queue=key[0], extension=key[1])
            assert truth.state_at(key, now) is not None
        await asyncio.sleep(0.01)
        simulator.catch_up()
        assert simulator.centre.now > now


async def test_the_model_goes_on_while_the_server_is_down() -> None:
    async with Simulator(BUSY, seed=1, speed=2000, tokens=["T"]) as simulator:
        url = simulator.url
        before = await _poll(simulator)
        await simulator.stop_server()
        with pytest.raises(aiohttp.ClientConnectionError):
            await _poll(simulator)
        await asyncio.sleep(0.05)
        await simulator.start_server()
        assert simulator.url == url
        assert (await _poll(simulator))["rsptime"] >= before["rsptime"] + 100


async def test_a_simulator_can_be_entered_again_and_leaves_nothing() -> None:
    simulator = Simulator(BUSY, speed=1000, tokens=["T"])
    async with simulator:
        await asyncio.sleep(0.01)
        url = simulator.url
    left_at = simulator.centre.now
    assert left_at >= 10
    assert len(asyncio.all_tasks()) == 1
    await asyncio.sleep(0.01)
    simulator.catch_up()
    assert simulator.centre.now == left_at
    async with simulator:
        assert simulator.url == url
        await _poll(simulator)
    assert simulator.centre.now > left_at


async def test_the_simulator_hands_out_what_a_client_needs() -> None:
    async with Simulator(speed=0, appid="me", accesskey="very-secret", token_lifetime=5) as simulator:
        assert (simulator.appid, simulator.accesskey) == ("me", "very-secret")
        assert simulator.platform is simulator.server
        login = {"service": "App.Sip_Auth.Login", "appid": "me", "accesskey": "very-secret"}
        assert json.loads(simulator.platform.answer(login))["data"]["status"] == 0
        assert (
            repr(simulator)
            == f"<Simulator at model second 0.0, <PlatformServer on 127.0.0.1 port {simulator.server.port}>>"
        )
