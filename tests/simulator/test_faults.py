"""A platform with configured faults, over loopback."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from sipqueue_async import (
    ApiError,
    AppCredentials,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SipQueueClient,
    SipQueueError,
    TransportError,
)
from sipqueue_async.simulator import CallCentre, Faults, Plan, Platform, Reply, Simulator
from sipqueue_async.simulator.platform import LOGIN, STATUS


@pytest.fixture
async def client(sipqueue_client: SipQueueClient) -> SipQueueClient:
    """Yield a client that has logged in."""
    await sipqueue_client.fetch_snapshot()
    return sipqueue_client


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        pytest.param({"ret": 500, "msg": "closed"}, ApiError, "closed", id="ret"),
        pytest.param({"code": "1003"}, OperationFailed, "operation failed", id="code"),
        pytest.param({"status": 503}, HttpStatusError, "503", id="status"),
        pytest.param({"body": b"<br />\n<b>Notice</b>"}, MalformedResponse, "Notice", id="garbage"),
        pytest.param({"body": b""}, MalformedResponse, "empty", id="nothing"),
        pytest.param({"truncated": True}, TransportError, "broke off", id="truncated"),
        pytest.param({"truncated": True, "delay": 0.01}, TransportError, "broke off", id="truncated and late"),
        pytest.param({"reset": True}, TransportError, "closed the connection", id="reset"),
    ],
)
async def test_each_fault_is_what_it_says_and_passes(
    sipqueue_simulator: Simulator, client: SipQueueClient, fault: dict[str, Any], error: type[SipQueueError], says: str
) -> None:
    # The client itself retries a broken connection once.
    sipqueue_simulator.faults.next(**fault, times=None, service=STATUS)
    with pytest.raises(error, match=says):
        await client.fetch_snapshot()
    sipqueue_simulator.faults.clear()
    assert len(await client.fetch_snapshot()) > 0


async def test_a_reset_is_one_of_tcp(sipqueue_simulator: Simulator) -> None:
    """The connection ends with a TCP reset instead of being closed in order."""
    sipqueue_simulator.faults.next(reset=True)
    host, _, port = sipqueue_simulator.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: platform\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 60)
    writer.close()


async def test_a_client_that_leaves_before_its_answer_is_not_logged_as_an_error(
    sipqueue_simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    sipqueue_simulator.faults.next(delay=0.2)
    host, _, port = sipqueue_simulator.url.removeprefix("http://").partition(":")
    before = asyncio.all_tasks()
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: platform\r\n\r\n")
    async with asyncio.timeout(60):
        while sipqueue_simulator.platform.requests < 1:
            await asyncio.sleep(0.001)
        writer.close()
        await asyncio.wait(asyncio.all_tasks() - before)
    assert caplog.records == []


async def test_a_delay_is_a_right_answer_that_is_late(sipqueue_simulator: Simulator, client: SipQueueClient) -> None:
    sipqueue_simulator.faults.next(delay=0.02)
    assert len(await client.fetch_snapshot()) > 0
    sipqueue_simulator.faults.next(delay=60)
    impatient = AppCredentials(sipqueue_simulator.appid, sipqueue_simulator.accesskey)
    async with SipQueueClient(sipqueue_simulator.url, impatient, timeout=0.05) as other:
        with pytest.raises(TransportError, match=r"0\.05"):
            await other.fetch_snapshot()


async def test_who_goes_away_during_a_delay_breaks_nothing(
    sipqueue_simulator: Simulator, client: SipQueueClient
) -> None:
    faults = sipqueue_simulator.faults
    nothing_planned = repr(faults)
    for reset, truncated in [(True, False), (False, True), (False, False)]:
        faults.next(delay=0.05, reset=reset, truncated=truncated)
        fetching = asyncio.create_task(client.fetch_snapshot())
        while repr(faults) != nothing_planned:
            await asyncio.sleep(0.001)
        fetching.cancel()
    await asyncio.sleep(0.1)
    assert len(await client.fetch_snapshot()) > 0


async def test_headers_go_with_a_status(sipqueue_simulator: Simulator, client: SipQueueClient) -> None:
    sipqueue_simulator.faults.next(status=429, headers={"Retry-After": "7"})
    with pytest.raises(HttpStatusError) as caught:
        await client.fetch_snapshot()
    assert caught.value.retry_after == 7


def test_faults_befall_requests_in_turn() -> None:
    faults = Faults()
    faults.next(ret=600, service=STATUS)
    faults.next(ret=500, times=2)
    assert repr(faults) == f"<Faults: ret 600 for {STATUS}, ret 500 2 times planned>"

    def answer(service: str) -> bytes:
        return faults.reply(service, lambda: b"right").body

    assert [answer(service)[:10] for service in (LOGIN, STATUS, STATUS, STATUS)] == [
        b'{"ret":500',
        b'{"ret":600',
        b'{"ret":500',
        b"right",
    ]
    assert repr(faults) == "<Faults: none planned>"


def test_a_platform_without_a_socket_has_the_bodies() -> None:
    platform = Platform(CallCentre(Plan()), tokens=["ABCDEFG"])
    request = {"service": STATUS, "token": "ABCDEFG"}
    right = platform.answer(request)
    platform.faults.next(truncated=True)
    platform.faults.next(status=502)
    platform.faults.next(reset=True)
    assert right.startswith(platform.answer(request))
    assert platform.reply(request).status == 502
    assert platform.reply(request) == Reply(body=b"", length=0, reset=True)
    assert platform.answer(request) == right


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({}, "one of ret"),
        ({"times": 3}, "one of ret"),
        ({"ret": 500, "reset": True}, "one of ret"),
        ({"ret": 200}, "must not be 200"),
        ({"status": 200}, "400 to 599"),
        ({"status": 600}, "400 to 599"),
        ({"delay": -1.0}, "seconds"),
        ({"delay": float("inf")}, "seconds"),
        ({"ret": 500, "times": 0}, "1 or more"),
        ({"code": "1003", "msg": "closed"}, "msg .closed. needs a ret"),
    ],
)
def test_senseless_faults_are_refused(fault: dict[str, Any], says: str) -> None:
    faults = Faults()
    with pytest.raises(ValueError, match=says):
        faults.next(**fault)
    assert repr(faults) == "<Faults: none planned>"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"body": "<br>"}, "body must be bytes, not '<br>'"),
        ({"code": 1003}, "code must be str, not 1003"),
        ({"ret": 600, "times": 1.5}, "times must be int, not 1.5"),
        ({"ret": "600"}, "ret must be int, not '600'"),
        ({"status": 503, "headers": {"Retry-After": 30}}, "must be str, not ('Retry-After', 30)"),
    ],
)
def test_a_fault_of_another_type_is_refused(fault: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=re.escape(says)):
        Faults().next(**fault)


def test_the_repr_lists_planned_faults() -> None:
    faults = Faults()
    faults.next(reset=True)
    faults.next(body=b"<br>", delay=0.5, times=None)
    assert repr(faults) == "<Faults: reset, body of 4 bytes and delay 0.5 forever planned>"
