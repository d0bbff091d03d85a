"""`fetch_calls` against a real server: pages, faults, and what errors show."""

from __future__ import annotations

import logging
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from sipqueue_async import (
    AppCredentials,
    CallDirection,
    CallMethod,
    CallRecord,
    HttpStatusError,
    MalformedResponse,
    SipQueueClient,
    SipQueueError,
)
from sipqueue_async.simulator import PastCall, Plan, Simulator
from tests.kit.calls import NUMBERS, call, calls_body
from tests.kit.servers import Platform

BILLS = "App.Sip_Cdr.GetBill"
LIVELY = attrs.evolve(Plan.lively(), external_calls_per_hour=20.0)
SINCE = datetime.fromisoformat("2026-01-05 00:00:00")
DAY = timedelta(days=1)


def _client(simulator: Simulator, **options: Any) -> SipQueueClient:
    return SipQueueClient(simulator.url, AppCredentials(simulator.appid, simulator.accesskey), **options)


async def _fetch(client: SipQueueClient, **options: Any) -> list[CallRecord]:
    return [record async for record in client.fetch_calls(SINCE, SINCE + DAY, **options)]


def _essence(record: CallRecord) -> tuple[object, ...]:
    other = record.callee if record.direction is CallDirection.OUT else record.caller
    times = (record.started_at, record.answered_at, record.ended_at, record.waiting_seconds, record.talk_seconds)
    return (record.id, record.extension, record.direction, other, *times)


def _truth(call: PastCall) -> tuple[object, ...]:
    direction = CallDirection.OUT if call.outgoing else CallDirection.IN
    times = (call.started_at, call.answered_at, call.ended_at, call.waiting_seconds, call.talk_seconds)
    return (str(call.id), call.extension, direction, call.number, *times)


@pytest.mark.parametrize("loose_types", [False, True])
async def test_the_records_are_the_calls_of_the_model(loose_types: bool) -> None:
    async with Simulator(LIVELY, seed=7, speed=0, loose_types=loose_types) as simulator, _client(simulator) as client:
        simulator.advance(900)
        found = await _fetch(client, page_size=37)
        truth = simulator.centre.past_calls()
        assert len(truth) > 100
        assert sorted(map(_essence, found), key=lambda it: int(str(it[0]))) == list(map(_truth, truth))
        assert [record.problems for record in found if record.problems] == []


async def test_calls_that_end_while_pages_are_read_lose_none() -> None:
    async with Simulator(LIVELY, seed=7, speed=0) as simulator, _client(simulator) as client:
        simulator.advance(300)
        before = {str(it.id) for it in simulator.centre.past_calls()}
        found: list[str] = []
        async for record in client.fetch_calls(SINCE, SINCE + DAY, page_size=10):
            found.append(record.id)
            simulator.advance(1)
        assert len(found) == len(set(found))
        assert before < set(found) <= {str(it.id) for it in simulator.centre.past_calls()}


async def test_filters() -> None:
    async with Simulator(LIVELY, seed=7, speed=0) as simulator, _client(simulator) as client:
        simulator.advance(900)
        everything = await _fetch(client)
        outgoing = await _fetch(client, direction="out")
        assert outgoing == [it for it in everything if it.direction is CallDirection.OUT] != []
        assert await _fetch(client, method=CallMethod.DIALLED) == outgoing
        extensions = [record.extension for record in everything if record.extension][:2]
        some = await _fetch(client, extension=set(extensions))
        assert some == [it for it in everything if it.extension in extensions]


async def test_times_are_aware_with_the_clients_zone() -> None:
    async with (
        Simulator(LIVELY, seed=7, speed=0) as simulator,
        _client(simulator, timezone="Asia/Shanghai") as client,
    ):
        simulator.advance(300)
        since = SINCE.replace(tzinfo=UTC) - timedelta(hours=8)
        found = [record async for record in client.fetch_calls(since, since + DAY)]
        assert len(found) == len(simulator.centre.past_calls())
        assert {record.started_at.utcoffset() for record in found} == {timedelta(hours=8)}


async def test_the_servers_own_cursor_is_not_moved() -> None:
    async with Simulator(LIVELY, seed=7, speed=0) as simulator, _client(simulator) as client:
        simulator.advance(300)
        found = await _fetch(client)
        fields = {"starttime": f"{SINCE}", "endtime": f"{SINCE + DAY}", "itemsperpage": "1000"}
        data = await client.call(BILLS, **fields)
        assert data["result"]["totalitems"] == len(found)


async def test_a_page_asks_for_the_next_one_only_when_it_is_read(platform: Platform) -> None:
    platform.answers = [calls_body(call(1), call(2), total=4), calls_body(call(3), call(4), total=4)]
    async with SipQueueClient(platform.url, "good-token") as client:
        records = client.fetch_calls(SINCE, SINCE + DAY)
        assert platform.forms == []
        assert [(await anext(records)).id, (await anext(records)).id] == ["1", "2"]
        assert len(platform.forms) == 1
        assert [record.id async for record in records] == ["3", "4"]
    assert [form["currentpage"] for form in platform.forms] == ["1", "2"]
    assert platform.forms[0]["service"] == BILLS


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (calls_body(call(1), call(2, starttime="02079460123"), total=9), MalformedResponse),
        (calls_body(call(1))[:-40], MalformedResponse),
        (calls_body(total=9), MalformedResponse),
    ],
)
async def test_an_error_says_where_and_shows_no_number(
    platform: Platform, answer: bytes, kind: type[SipQueueError], caplog: pytest.LogCaptureFixture
) -> None:
    platform.answers = [answer]
    async with SipQueueClient(platform.url, "good-token") as client:
        with caplog.at_level(logging.DEBUG, "sipqueue_async"), pytest.raises(kind) as refused:
            await _fetch(client)
    shown = "".join(traceback.format_exception(refused.value)) + caplog.text + repr(vars(refused.value))
    assert f"({BILLS} at {platform.url})" in str(refused.value)
    assert [number for number in NUMBERS if number in shown] == []


async def test_a_fault_in_the_middle_ends_the_iteration_after_the_good_pages() -> None:
    async with Simulator(LIVELY, seed=7, speed=0) as simulator, _client(simulator) as client:
        simulator.advance(300)
        found: list[CallRecord] = []
        with pytest.raises(HttpStatusError):  # noqa: PT012  # what was found before counts too
            async for record in client.fetch_calls(SINCE, SINCE + DAY, page_size=5):
                found.append(record)
                if len(found) == 10:
                    simulator.faults.next(status=503)
        assert len(found) == 10


async def test_a_refused_token_is_renewed_between_pages() -> None:
    async with Simulator(LIVELY, seed=7, speed=0) as simulator, _client(simulator) as client:
        simulator.advance(300)
        found: list[CallRecord] = []
        async for record in client.fetch_calls(SINCE, SINCE + DAY, page_size=10):
            simulator.platform.revoke_tokens()
            found.append(record)
        assert len(found) == len(simulator.centre.past_calls())
        assert simulator.platform.logins > 2


async def test_an_invalid_argument_is_refused_before_the_first_request() -> None:
    async with SipQueueClient("http://127.0.0.1:1", "good-token") as client:
        with pytest.raises(ValueError, match="page_size"):
            client.fetch_calls(SINCE, SINCE, page_size=0)
