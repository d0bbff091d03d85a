"""Queues, registrations and commands against real servers: what acts is never sent twice in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
from aiohttp import web

from sipqueue_async import (
    AgentState,
    AppCredentials,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    QueueStrategy,
    SipQueueClient,
    SipQueueError,
    TransportError,
)
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.builders import body, envelope, error_body, failure_body
from tests.kit.servers import Platform, RawServer, read_request

QUIET = Plan(agents=4, queues=2, several_queues=1.0, calls_per_hour=0.0, breaks_per_hour=0.0)
FIRST = "100001"
Command = Callable[[SipQueueClient], Awaitable[None]]
COMMANDS: dict[str, Command] = {
    "SipSignIn": lambda client: client.sign_in("queue-1", FIRST),
    "SipSignOut": lambda client: client.sign_out("queue-1", FIRST),
    "SetSeatsStatus": lambda client: client.pause(FIRST),
    "HangupCall": lambda client: client.hang_up(FIRST),
}


def _client(simulator: Simulator) -> SipQueueClient:
    return SipQueueClient(simulator.url, AppCredentials(simulator.appid, simulator.accesskey))


async def _states(client: SipQueueClient) -> dict[str, AgentState]:
    snapshot = await client.fetch_snapshot(extension=FIRST)
    return {queue: agent.state for (queue, _), agent in snapshot.items()}


async def test_commands_change_what_the_next_snapshot_shows() -> None:
    waiting = dict.fromkeys(("queue-1", "queue-2"), AgentState.WAITING)
    async with Simulator(QUIET, speed=0) as simulator, _client(simulator) as client:
        await client.pause(FIRST)
        assert await _states(client) == dict.fromkeys(waiting, AgentState.PAUSED)
        await client.resume(FIRST, queue="queue-2")
        assert await _states(client) == waiting
        await client.sign_out("queue-1", FIRST)
        assert await _states(client) == {"queue-2": AgentState.WAITING}
        await client.sign_in("queue-1", FIRST)
        assert await _states(client) == waiting
        with pytest.raises(OperationFailed, match="error 1015: the extension is not in a call"):
            await client.hang_up(FIRST)


async def test_hanging_up_ends_a_call() -> None:
    async with Simulator(Plan.lively(), speed=0) as simulator, _client(simulator) as client:
        simulator.advance(60)
        extension = next(it for it, call in simulator.centre.calls().items() if call.answered_at)
        await client.hang_up(extension)
        assert extension not in simulator.centre.calls()


async def test_the_operators_name_goes_with_a_command(platform: Platform) -> None:
    async with SipQueueClient(platform.url, "good-token") as client:
        await client.sign_in("q", "1", crmid="a")
        await client.sign_out("q", "1", crmid="b")
        await client.pause("1", queue="q", crmid="c")
        await client.resume("1")
    seat = {"queuename": "q", "extnumber": "1", "token": "good-token"}
    assert platform.forms == [
        {"service": "App.Sip_Queue.SipSignIn", **seat, "crmid": "a"},
        {"service": "App.Sip_Queue.SipSignOut", **seat, "crmid": "b"},
        {"service": "App.Sip_Queue.SetSeatsStatus", **seat, "crmid": "c", "settype": "1"},
        {"service": "App.Sip_Queue.SetSeatsStatus", "extnumber": "1", "token": "good-token", "settype": "2"},
    ]


async def test_queues_and_registrations() -> None:
    async with Simulator(QUIET, speed=0) as simulator, _client(simulator) as client:
        queues = await client.queues()
        assert [queue.name for queue in queues] == ["queue-1", "queue-2"]
        assert queues[0].strategy is QueueStrategy.LONGEST_IDLE
        assert await client.queues("queue-2") == queues[1:]
        found = await client.registrations([FIRST, "9"])
        assert {name: it.is_registered for name, it in found.items()} == {FIRST: True, "9": False}
        with pytest.raises(ValueError, match="queue is empty"):
            await client.queues("")
        with pytest.raises(TypeError, match="several"):
            await client.registrations(FIRST)


# ---- what acts is never repeated in doubt ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_refused_token_is_renewed_and_the_command_repeated(platform: Platform, name: str) -> None:
    platform.answers = [error_body(600), body()]
    tokens = iter(["old-token", "new-token"])

    async def provide() -> str:
        return next(tokens)

    async with SipQueueClient(platform.url, provide) as client:
        await COMMANDS[name](client)
    assert platform.services == [name, name]
    assert [form["token"] for form in platform.forms] == ["old-token", "new-token"]


async def _silent(_: web.Request) -> web.StreamResponse:
    return await asyncio.Future[web.StreamResponse]()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (b"<html>", MalformedResponse, (True, False)),
        (502, HttpStatusError, (True, False)),
        (408, HttpStatusError, (True, False)),
        (429, HttpStatusError, (False, True)),
        (403, HttpStatusError, (False, False)),
        (error_body(500), SipQueueError, (True, False)),
        (error_body(400), SipQueueError, (False, False)),
        (error_body(604), AuthError, (False, False)),
        (failure_body(1003), OperationFailed, (False, True)),
        (failure_body(1012), OperationFailed, (False, False)),
        (_silent, TransportError, (True, False)),
    ],
    # The address in the text of a function differs between processes.
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_a_command_is_sent_once(
    platform: Platform, name: str, answer: Any, kind: type[SipQueueError], told: tuple[bool, bool]
) -> None:
    in_doubt, retryable = told
    platform.answers = [web.Response(status=answer) if isinstance(answer, int) else answer]
    async with SipQueueClient(platform.url, "good-token", timeout=1 if answer is _silent else 10) as client:
        with pytest.raises(kind) as failed:
            await COMMANDS[name](client)
    assert platform.services == [name]
    assert (failed.value.in_doubt, failed.value.retryable) == (in_doubt, retryable)
    doubt = "; the command may have been executed, so check the status before you repeat it ("
    assert (doubt in str(failed.value)) is in_doubt


async def test_a_broken_connection_leaves_a_command_in_doubt(raw_server: RawServer) -> None:
    """A query is sent again."""

    async def break_off(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)

    raw_server.connections = [break_off]
    async with SipQueueClient(raw_server.url, "good-token") as client:
        with pytest.raises(TransportError) as failed:
            await client.hang_up(FIRST)
        assert (failed.value.in_doubt, raw_server.accepted) == (True, 1)
        with pytest.raises(TransportError) as failed:
            await client.queues()
    assert (failed.value.in_doubt, raw_server.accepted) == (False, 3)


async def test_without_a_connection_nothing_was_sent() -> None:
    async with SipQueueClient("http://127.0.0.1:1", "good-token") as client:
        with pytest.raises(TransportError) as failed:
            await client.pause(FIRST)
    assert (failed.value.in_doubt, failed.value.retryable) == (False, True)


async def test_a_failed_login_leaves_no_command_in_doubt(platform: Platform) -> None:
    platform.answers = [web.Response(status=502)]
    async with SipQueueClient(platform.url, AppCredentials("demo", "some-key")) as client:
        with pytest.raises(HttpStatusError) as failed:
            await client.pause(FIRST)
    assert (failed.value.in_doubt, platform.services) == (False, ["Login"])


async def test_a_command_leaves_the_counters_of_a_watch_alone() -> None:
    """A seat that a command signs out and in again has the counters it had."""
    plan = attrs.evolve(Plan.lively(), shift_hours=None)
    async with Simulator(plan, speed=0) as simulator, _client(simulator) as client:
        simulator.advance(300)
        key = next(seat.key for seat in simulator.centre.seats() if seat.calls_answered)
        before = (await client.fetch_snapshot())[key].calls_answered
        await client.sign_out(*key)
        await client.sign_in(*key)
        assert (await client.fetch_snapshot())[key].calls_answered == before


async def test_an_envelope_without_a_result_is_a_success(platform: Platform) -> None:
    platform.answers = [str(envelope("")).replace("'", '"').encode()]
    async with SipQueueClient(platform.url, "good-token") as client:
        await client.pause(FIRST)
    assert len(platform.forms) == 1
