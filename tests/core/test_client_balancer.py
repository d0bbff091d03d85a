"""The client behind a load balancer: it stays with one server as long as that server works."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import aiohttp
import pytest
from aiohttp import web

from sipqueue_async import CallAnswered, CallMissed, Event, HttpStatusError, SipQueueClient, Snapshot, StatusWatcher
from sipqueue_async._exchange import _OwnSessions
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.builders import body, record
from tests.kit.haproxy import balanced
from tests.kit.servers import Platform


def cookies(platform: Platform) -> list[str | None]:
    """Return the Cookie header of each request."""
    return [request.headers.get("Cookie") for request in platform.requests]


def setting(*values: str) -> web.Response:
    """Return a successful answer that sets cookies."""
    answer = web.Response(body=body(record()))
    for value in values:
        answer.headers.add("Set-Cookie", value)
    return answer


async def test_the_api_hosts_cookies_are_sent_back(platform: Platform) -> None:
    """A cookie is returned unchanged and replaced by a newer one; other hosts' cookies are not stored."""
    platform.answers = [
        setting("AWSALB=a/b+c==; Path=/", "OTHER=1; Domain=elsewhere.example", "HERE=2; Path=/elsewhere"),
        setting("AWSALB=d"),
        body(record()),
    ]
    async with SipQueueClient(platform.url, "t0ken") as client:
        for _ in range(4):
            await client.fetch_snapshot()
    assert cookies(platform) == [None, "AWSALB=a/b+c==", "AWSALB=d", "AWSALB=d"]
    platform.requests.clear()
    async with SipQueueClient(platform.url, "t0ken") as client:
        await client.fetch_snapshot()
    assert cookies(platform) == [None]


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_callers_session_has_its_own_policy(platform: Platform, keeps: bool) -> None:
    """The cookie policy of a caller's session stays in force, even after failures."""
    platform.answers = [setting("SERVERID=a"), web.Response(status=503), setting()]
    jar = aiohttp.CookieJar(unsafe=True) if keeps else aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        client = SipQueueClient(platform.url, "t0ken", session=session)
        await client.fetch_snapshot()
        with pytest.raises(HttpStatusError):
            await client.fetch_snapshot()
        await client.fetch_snapshot()
    assert cookies(platform) == [None, *(["SERVERID=a"] * 2 if keeps else [None] * 2)]


async def test_after_a_failure_the_balancer_chooses_again(platform: Platform) -> None:
    """A cookie that led to a failing server is not sent again."""
    platform.answers = [setting("SERVERID=a"), web.Response(status=503), setting()]
    async with SipQueueClient(platform.url, "t0ken") as client:
        await client.fetch_snapshot()
        with pytest.raises(HttpStatusError):
            await client.fetch_snapshot()
        await client.fetch_snapshot()
    assert cookies(platform) == [None, "SERVERID=a", None]


def test_a_client_that_asked_nothing_has_no_cookies_to_forget() -> None:
    sessions = _OwnSessions()
    sessions.forget_cookies()
    assert sessions.secrets() == []


async def test_cookies_do_not_pile_up(platform: Platform) -> None:
    """If a server sets a new cookie with each answer, the number of cookies stays bounded."""

    async def answer(request: web.Request) -> web.Response:
        return setting(f"session{len(platform.requests)}=1")

    platform.answers = [answer]
    async with SipQueueClient(platform.url, "t0ken") as client:
        for _ in range(40):
            await client.fetch_snapshot()
    assert max(len((sent or "").split(";")) for sent in cookies(platform)) == 16


async def test_one_connection_is_preferred(platform: Platform) -> None:
    """After concurrent calls, sequential calls all use the same connection, the first one."""
    together = asyncio.Barrier(6)
    ports: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        if "queuename" in platform.forms[-1]:
            await together.wait()
        return web.Response(body=body(record()))

    platform.answers = [answer]
    async with SipQueueClient(platform.url, "t0ken") as client:
        await client.fetch_snapshot()
        await asyncio.gather(*(client.fetch_snapshot(queue=f"q{number}") for number in range(6)))
        for _ in range(5):
            await client.fetch_snapshot()
    assert len(set(ports)) == 6
    assert set(ports[7:]) == {ports[0]}


# ---- with a real balancer --------------------------------------------------------------------------------------------

TOKEN = "known-to-both"
LAG = 10.0
"""Seconds of model time by which the second server lags."""


class Pair:
    """Two servers of one platform behind a balancer; the second one lags."""

    def __init__(self, folder: Path) -> None:
        plan = Plan(agents=20, queues=2)
        self.ahead, self.behind = (Simulator(plan, seed=1, speed=0, tokens=[TOKEN]) for _ in range(2))
        self.url = ""
        self._folder = folder
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for simulator in (self.ahead, self.behind):
            await self._stack.enter_async_context(simulator)
        ports = [simulator.server.port for simulator in (self.ahead, self.behind)]
        self.url = await self._stack.enter_async_context(balanced(ports, self._folder))
        self.ahead.advance(LAG)
        self.advance(7200)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def advance(self, seconds: float) -> None:
        """Advance both servers' time."""
        self.ahead.advance(seconds)
        self.behind.advance(seconds)

    async def answering(self, snapshot: Snapshot) -> Simulator:
        """Return the server that produced the latest snapshot."""
        async with SipQueueClient(self.ahead.url, TOKEN) as client:
            newest = await client.fetch_snapshot()
        return self.ahead if snapshot.server_time == newest.server_time else self.behind


def calls(simulator: Simulator) -> tuple[int, int]:
    """Return the number of answered and of missed calls so far."""
    return simulator.truth.answered(), simulator.truth.missed()


@pytest.mark.needs_haproxy
@pytest.mark.parametrize("own_session", [True, False])
async def test_a_lagging_server_is_not_mixed_in(tmp_path: Path, own_session: bool) -> None:
    """With the client's own session all polls reach one server; a session without cookies alternates between both."""
    async with (
        Pair(tmp_path) as pair,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        SipQueueClient(pair.url, TOKEN, session=None if own_session else session) as client,
    ):
        times = {(await client.fetch_snapshot()).server_time for _ in range(8)}
    assert len(times) == (1 if own_session else 2)


@pytest.mark.needs_haproxy
@pytest.mark.parametrize("dies", ["the one that answers", "the other one"])
async def test_a_server_that_dies_is_replaced(tmp_path: Path, dies: str) -> None:
    """The other server takes over without a failed poll, and the reported calls stay exact."""
    async with (
        Pair(tmp_path) as pair,
        SipQueueClient(pair.url, TOKEN) as client,
        StatusWatcher(client, interval=3600) as watcher,
    ):
        first = await pair.answering(await watcher.ready())
        other = pair.behind if first is pair.ahead else pair.ahead
        doomed, last = (first, other) if dies == "the one that answers" else (other, first)
        before = calls(first)
        updates = watcher.updates()
        events: list[Event] = []
        for step in range(20):
            if step == 10:
                await doomed.stop_server()
            pair.advance(60)
            await watcher.refresh()
            update = updates.get_nowait()
            events += update.events if update else ()
        answered = sum(event.count for event in events if isinstance(event, CallAnswered))
        missed = sum(event.count for event in events if isinstance(event, CallMissed))
        after = calls(last)
        assert (answered, missed) == (after[0] - before[0], after[1] - before[1])
        assert answered > 10
        assert watcher.health.failures == 0
        assert watcher.health.stale_polls == 0


async def test_closing_that_is_cancelled_leaves_no_session_open(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = _OwnSessions()
    # Requests that overlap use two sessions.
    async with sessions.borrow() as first, sessions.borrow() as second:
        pass
    close = aiohttp.ClientSession.close

    async def cancelled(session: aiohttp.ClientSession) -> None:
        await close(session)
        if session is first:
            raise asyncio.CancelledError

    monkeypatch.setattr(aiohttp.ClientSession, "close", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await sessions.aclose()
    assert first.closed
    assert second.closed
