"""Closing a relay or a reader at a moment at which Redis's client does not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis_support import RedisServer
from support import ScriptedSource, agent, snapshot

from sipqueue_async import AgentState, TransportError
from sipqueue_async.redis import RedisFeed, Relay, _store
from sipqueue_async.redis._store import Store


async def _deaf() -> str:
    """Answer all the same, though the task is cancelled meanwhile."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "ok"


async def _deaf_and_broken() -> str:
    """Fail while the task is cancelled."""
    await _deaf()
    raise ConnectionResetError


@pytest.mark.parametrize("answer", [_deaf, _deaf_and_broken])
async def test_a_cancellation_is_not_swallowed(answer: Callable[[], Awaitable[str]]) -> None:
    """A feed that is closed while its client writes, or fails to, goes on for ever, and so does the program."""
    task = asyncio.create_task(Store("redis://127.0.0.1:1", "x")._ask(answer(), []))
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_relay_that_is_closed_hands_on_its_lead(redis_server: RedisServer) -> None:
    """What is to be said after a cancellation is taken for cancelled too."""
    async with RedisFeed(redis_server.url) as feed, Relay(ScriptedSource([snapshot(agent())]), redis_server.url):
        await feed.ready(timeout=10)
    async with redis_server.client() as client:
        assert set(await client.keys("*")) == {f"{{sipqueue}}:{name}" for name in ("agents", "events", "meta")}


async def test_an_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that stands still is never said to be away."""
    monkeypatch.setattr(_store, "_PATIENCE", 0.01)
    with pytest.raises(TransportError, match=r"Redis is away: no answer within 0\.01 s"):
        await Store("redis://127.0.0.1:1", "x")._ask(asyncio.sleep(10), [])


@pytest.mark.parametrize("steps", range(12))
async def test_a_reader_can_be_closed_at_any_moment(redis_server: RedisServer, steps: int) -> None:
    """Leaving the feed as soon as something was heard hangs."""
    source = ScriptedSource([snapshot(agent(state=AgentState.WAITING)), snapshot(agent(state=AgentState.TALKING))])
    relay = Relay(source, redis_server.url, interval=0.05)
    async with asyncio.timeout(20), relay, RedisFeed(redis_server.url) as feed:
        await anext(feed.updates())
        for _ in range(steps):
            await asyncio.sleep(0)
