"""`PushReceiver`: what is taken, what is refused, and how many polls pushes cause."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from sipqueue_async import CallAnswered, StateChanged, StatusWatcher, TransportError
from sipqueue_async.push import PushReceiver, PushRefused
from sipqueue_async.simulator import Plan
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.pushes import TimedSource

pytestmark = pytest.mark.virtual_time

NUMBER = "02079460123"
PUSH = json.dumps({"type": "call", "status": "ring", "extnumber": "100001", "caller": NUMBER}).encode()
LIVELY = Plan.lively()


@asynccontextmanager
async def receiving(
    *, interval: float = 60.0, **options: Any
) -> AsyncGenerator[tuple[PushReceiver, StatusWatcher, TimedSource]]:
    """Yield a receiver that has a watcher which has polled once."""
    source = TimedSource(LIVELY)
    async with StatusWatcher(source, interval=interval) as watcher:
        await watcher.ready()
        async with PushReceiver(watcher, **options) as receiver:
            yield receiver, watcher, source


async def test_a_push_makes_the_watcher_poll_at_once() -> None:
    async with receiving() as (receiver, watcher, source):
        await asyncio.sleep(10)
        asked = source.now
        assert await receiver.handle(PUSH, {"Content-Type": "application/json"}) == b"1"
        await asyncio.sleep(0.2)
        assert source.began[1] == pytest.approx(asked)
        assert watcher.health.polls == 2
        health = receiver.health
        assert (health.taken, health.refused, health.polls, health.useful) == (1, 0, 1, 1)
        assert health.last_push_at is not None


async def test_a_poll_without_a_change_is_not_useful() -> None:
    source = ScriptedSource([snapshot(agent())] * 3)
    async with StatusWatcher(source, interval=60) as watcher, PushReceiver(watcher) as receiver:
        await watcher.ready()
        await receiver.handle(PUSH)
        await asyncio.sleep(1)
        assert (receiver.health.polls, receiver.health.useful) == (1, 0)


async def test_a_push_during_a_poll_causes_another_after_it() -> None:
    """The answer under way may be older than what the push tells."""
    async with receiving() as (receiver, _, source):
        source.latency = 2.0
        await receiver.handle(PUSH)
        await asyncio.sleep(1.0)
        await receiver.handle(PUSH)
        await asyncio.sleep(10)
        assert len(source.began) == 3
        assert source.began[2] == pytest.approx(source.began[1] + 2.0)
        assert source.most_running == 1


async def test_a_push_during_a_scheduled_poll_causes_another_after_it() -> None:
    async with receiving(interval=10.0) as (receiver, _, source):
        source.latency = 2.0
        await asyncio.sleep(11 - source.now)
        assert source.running == 1
        await receiver.handle(PUSH)
        await asyncio.sleep(3)
        assert len(source.began) == 3
        assert source.began[2] == pytest.approx(source.began[1] + 2.0)


async def _flood(receiver: PushReceiver, extensions: Sequence[str], seconds: float) -> int:
    """Send 10,000 forged pushes a second, each of which names an extension; return how many were refused."""
    refused: list[int] = []
    for _ in range(round(seconds * 1000)):
        for number in range(10):
            try:
                await receiver.handle(json.dumps({"type": "call", "extnumber": extensions[number]}).encode())
            except PushRefused as refusal:
                refused.append(refusal.status)
        await asyncio.sleep(0.001)
    assert set(refused) == {429}
    return len(refused)


@pytest.mark.parametrize("whole_up_to", [0, 50])
async def test_a_flood_causes_one_poll_of_the_whole_each_min_interval(whole_up_to: int) -> None:
    """At most one poll of an extension precedes them."""
    async with receiving(interval=1000.0, max_rate=100, whole_up_to=whole_up_to) as (receiver, _, source):
        assert await _flood(receiver, source.centre.extensions, 2.0) > 19_000
        wholes = [at for at, asked in zip(source.began, source.asked, strict=True) if asked is None][1:]
        assert len(wholes) <= 5
        assert min(later - earlier for earlier, later in pairwise(wholes)) >= 0.5 - 1e-6
        assert len(source.began) - len(wholes) - 1 <= (whole_up_to == 0)


async def test_a_flood_delays_no_regular_poll() -> None:
    async with receiving(interval=0.3, whole_up_to=0) as (receiver, watcher, source):
        lateness: list[float | None] = []
        watcher.add_listener(lambda health: lateness.append(health.last_lateness))
        await _flood(receiver, source.centre.extensions, 1.2)
        # Polls do not overlap, so a regular one may wait for the one under way.
        assert max(late or 0.0 for late in lateness) <= source.latency + 0.001
        assert len(lateness) >= 4


async def test_above_a_number_of_seats_only_the_named_extensions_are_polled() -> None:
    async with receiving(whole_up_to=5) as (receiver, watcher, source):
        first, second, third = source.centre.extensions[:3]
        await asyncio.sleep(5)
        for extension in (second, first, second):
            await receiver.handle(json.dumps({"type": "call", "extnumber": extension}).encode())
        await receiver.handle(json.dumps({"endtime": "2026-01-05 09:00:00", "extnumber": third}).encode())
        await asyncio.sleep(5)
        assert source.asked == [None, second, first, third]
        assert source.most_running == 1
        assert (receiver.health.polls, receiver.health.partial) == (3, 3)
        assert (watcher.health.polls, watcher.health.partial_polls) == (1, 3)
        await receiver.handle(b'{"type": "call"}')
        await asyncio.sleep(1)
        assert source.asked == [None, second, first, third, None]
        assert (receiver.health.polls, receiver.health.partial) == (4, 3)


async def test_while_only_the_whole_is_polled_pushes_of_many_extensions_cause_one_poll_each_min_interval() -> None:
    async with receiving(whole_up_to=0, interval=1000.0) as (receiver, watcher, source):
        # The answer shows no such extension, so the watcher asks for no other one for a while.
        await watcher.refresh_extensions(["unknown"])
        before = len(source.began)
        for _ in range(50):
            for extension in source.centre.extensions[:7]:
                await receiver.handle(json.dumps({"type": "call", "extnumber": extension}).encode())
            await asyncio.sleep(0.1)
        assert set(source.asked[before:]) == {None}
        assert 8 <= len(source.began) - before <= 11
        assert min(later - earlier for earlier, later in pairwise(source.began[before:])) >= 0.5 - 1e-6


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"x", 400),
        (b"7", 400),
        (b"[7]", 400),
        (b"[" * 60_000, 400),
        (b"[" + PUSH, 400),
        (b" " * 65_537, 413),
        (PUSH, None),
        (b"[" + PUSH + b"," + PUSH + b"]", None),
        ('{"seatsname": "王"}'.encode("gbk"), None),
    ],
    ids=range(10),
)
async def test_a_malformed_push_is_refused_without_a_word(
    body: bytes, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with receiving() as (receiver, _, source):
            if status is None:
                assert await receiver.handle(body) == b"1"
            else:
                with pytest.raises(PushRefused) as refused:
                    await receiver.handle(body)
                assert refused.value.status == status
                assert str(refused.value) == f"push refused with HTTP status {status}"
            await asyncio.sleep(1)
            assert len(source.began) == (2 if status is None else 1)
    assert NUMBER not in caplog.text


@pytest.mark.parametrize(
    ("allow", "remote", "is_allowed"),
    [
        ((), None, True),
        (("192.0.2.7",), "192.0.2.7", True),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        (("192.0.2.7", "2001:db8::/32"), "2001:db8::1", True),
        (("192.0.2.7",), "192.0.2.8", False),
        (("192.0.2.7",), None, False),
        (("192.0.2.7",), "unknown", False),
    ],
)
async def test_an_allow_list(allow: Any, remote: str | None, is_allowed: bool) -> None:
    async with receiving(allow=allow) as (receiver, _, _source):
        if is_allowed:
            assert await receiver.handle(PUSH, remote=remote)
        else:
            with pytest.raises(PushRefused) as refused:
                await receiver.handle(PUSH, remote=remote)
            assert refused.value.status == 403


async def test_failed_polls_are_repeated_ever_more_slowly() -> None:
    async with receiving(interval=10_000.0) as (receiver, watcher, source):
        source.error = TransportError("no route")
        before = len(source.began)
        for _ in range(100):
            await receiver.handle(PUSH)
            await asyncio.sleep(1)
        assert 5 <= receiver.health.failures <= len(source.began) - before < 50
        source.error = None
        await receiver.handle(PUSH)
        await asyncio.sleep(120)
        assert watcher.health.up


async def test_the_receiver_outlives_its_watcher_quietly() -> None:
    source = ScriptedSource([snapshot(agent()), ValueError("broken")])
    async with StatusWatcher(source, interval=60) as watcher, PushReceiver(watcher) as receiver:
        await watcher.ready()
        await receiver.handle(PUSH)
        await asyncio.sleep(1)
        assert await receiver.handle(PUSH) == b"1"
        assert repr(receiver) == "<PushReceiver, not running, 2 taken, 0 refused>"
        with pytest.raises(ValueError, match="broken"):
            await watcher.refresh()


async def test_pushes_to_a_standby_count_no_poll() -> None:
    class StandBy:
        snapshot = None
        asked = 0

        async def refresh(self, *, anew: bool = False) -> None:
            self.asked += 1

    relay = StandBy()
    async with PushReceiver(relay, whole_up_to=0) as receiver:
        await receiver.handle(PUSH)
        await asyncio.sleep(1)
    assert (relay.asked, receiver.health.polls, receiver.health.failures) == (1, 0, 0)


async def test_a_receiver_runs_once() -> None:
    source = ScriptedSource([snapshot(agent())])
    watcher = StatusWatcher(source)
    receiver = PushReceiver(watcher)
    async with watcher:
        async with receiver:
            assert repr(receiver) == "<PushReceiver, running, 0 taken, 0 refused>"
        with pytest.raises(RuntimeError, match="a receiver runs once"):
            await receiver.__aenter__()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"min_interval": 0}, "min_interval must be above 0 seconds, not 0"),
        ({"whole_up_to": -1}, "whole_up_to must be 0 seats or more, not -1"),
        ({"max_rate": 0}, "max_rate must be at least 1 push a second, not 0"),
        ({"allow": ["platform"]}, "allow must contain IP addresses or networks: 'platform'"),
    ],
)
async def test_an_invalid_argument_is_named(options: dict[str, Any], text: str) -> None:
    watcher = StatusWatcher(ScriptedSource([snapshot()]))
    with pytest.raises(ValueError, match=text):
        PushReceiver(watcher, **options)
    with pytest.raises(TypeError, match="watcher must be a StatusWatcher or a Relay, not list"):
        PushReceiver([], **options)  # type: ignore[arg-type]


# ---- ASGI ------------------------------------------------------------------------------------------------------------


async def _ask(
    receiver: PushReceiver, *parts: bytes, method: str = "POST", client: Any = ("192.0.2.7", 9), begun: bytes = b""
) -> Any:
    """Return status and body of the answer; a request that is only begun never ends."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in (parts or (begun,))]
    messages[-1]["more_body"] = bool(begun)
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    await receiver.asgi({"type": "http", "method": method, "client": client}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_an_asgi_application() -> None:
    async with receiving(allow=["192.0.2.7"]) as (receiver, _, _source):
        assert await _ask(receiver, PUSH[:9], PUSH[9:]) == (200, b"1")
        assert await _ask(receiver, b"x") == (400, b"")
        assert await _ask(receiver, b" " * 60_000, b" " * 60_000, PUSH) == (413, b"")
        assert await _ask(receiver, PUSH, method="GET") == (404, b"")
        assert await _ask(receiver, PUSH, client=None) == (403, b"")
        with pytest.raises(ValueError, match="serves http, not websocket"):
            await receiver.asgi({"type": "websocket"}, *[None] * 2)  # type: ignore[arg-type]


async def test_a_body_that_never_arrives_is_given_up() -> None:
    async with receiving() as (receiver, _, _source):
        assert await asyncio.create_task(_ask(receiver, begun=PUSH[:9])) == (408, b"")


# ---- the watcher's part ----------------------------------------------------------------------------------------------


async def test_a_refresh_anew_waits_for_a_poll_of_its_own() -> None:
    source = TimedSource(LIVELY, latency=1.0)
    async with StatusWatcher(source, interval=60) as watcher:
        first, joined, anew = await asyncio.gather(
            watcher.ready(), watcher.refresh(), _after(0.5, watcher.refresh(anew=True))
        )
        assert first is joined
        assert len(source.began) == 2
        assert anew is watcher.snapshot


async def _after(seconds: float, work: Any) -> Any:
    await asyncio.sleep(seconds)
    return await work


async def test_a_watcher_that_closes_ends_a_refresh_anew() -> None:
    source = TimedSource(LIVELY, latency=1.0)
    async with StatusWatcher(source, interval=60) as watcher:
        task = asyncio.create_task(_after(0.5, watcher.refresh(anew=True)))
        await asyncio.sleep(0.6)
    with pytest.raises(RuntimeError, match="closed"):
        await task


async def test_events_are_those_of_polls() -> None:
    """The content of a push is ignored."""
    source = ScriptedSource([snapshot(agent()), snapshot(agent(state="talking", calls_answered=1))])
    async with StatusWatcher(source, interval=60) as watcher, PushReceiver(watcher) as receiver:
        await watcher.ready()
        stream = watcher.subscribe(StateChanged, CallAnswered)
        await receiver.handle(b'{"extnumber": "999", "status": "disconnected", "calls": 700}')
        assert [type(await anext(stream)) for _ in range(2)] == [StateChanged, CallAnswered]
