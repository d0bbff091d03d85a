"""Closing a relay or reader at a bad moment: while the Redis client suppresses cancellation, or just as it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sipqueue_async import AgentState
from sipqueue_async._closing import run_uncancelled
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.redis.store import Store
from sipqueue_async.testing import collect
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.publications import Writer, take
from tests.kit.redis_server import RedisServer
from tests.kit.waiting import until


async def _deaf() -> str:
    """Return a result even though the task was cancelled in the meantime."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "ok"


async def _deaf_and_broken() -> str:
    """Raise an error after the task was cancelled."""
    await _deaf()
    raise ConnectionResetError


@pytest.mark.parametrize("answer", [_deaf, _deaf_and_broken])
async def test_a_cancellation_is_not_swallowed(answer: Callable[[], Awaitable[str]]) -> None:
    """A cancellation that arrives during a request ends the task, whatever the request's outcome."""
    task = asyncio.create_task(Store("redis://127.0.0.1:1", "x")._ask(answer(), []))
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_relay_that_is_closed_hands_on_its_lead(redis_server: RedisServer) -> None:
    """Closing releases the lock, although the relay's task is cancelled."""
    async with RedisFeed(redis_server.url) as feed, Relay(ScriptedSource([snapshot(agent())]), redis_server.url):
        await feed.ready(timeout=60)
    async with redis_server.client() as client:
        assert set(await client.keys("*")) == {f"{{sipqueue}}:{name}" for name in ("agents", "events", "meta")}


@pytest.mark.parametrize("steps", range(12))
async def test_a_reader_can_be_closed_at_any_moment(redis_server: RedisServer, steps: int) -> None:
    source = ScriptedSource([snapshot(agent(state=AgentState.WAITING)), snapshot(agent(state=AgentState.TALKING))])
    relay = Relay(source, redis_server.url, interval=0.05)
    async with asyncio.timeout(60), relay, RedisFeed(redis_server.url) as feed:
        await anext(feed.updates())
        for _ in range(steps):
            await asyncio.sleep(0)


async def test_a_cancellation_does_not_stop_closing() -> None:
    opened, closed = asyncio.Event(), asyncio.Event()

    async def close() -> None:
        await opened.wait()
        closed.set()

    task = asyncio.create_task(run_uncancelled(close))
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    opened.set()
    await asyncio.wait([task])
    assert closed.is_set()
    assert task.cancelled()


async def test_an_error_while_closing_is_raised() -> None:
    """An error while closing is raised."""

    async def close() -> None:
        raise OSError("it is stuck")

    with pytest.raises(OSError, match="it is stuck"):
        await run_uncancelled(close)


def _relay(redis: str) -> Relay:
    return Relay(ScriptedSource([snapshot(agent())]), redis)


@pytest.mark.parametrize("steps", range(2))
@pytest.mark.parametrize("make", [RedisFeed, _relay])
async def test_closing_at_the_moment_of_an_error_leaves_no_connection(
    redis_server: RedisServer, make: Callable[[str], RedisFeed | Relay], steps: int
) -> None:
    ends = make(redis_server.url)
    async with redis_server.client() as client:
        await client.set("{sipqueue}:meta", "another program's")
        async with asyncio.timeout(60), ends:
            await _close_begins(ends._store)
            for _ in range(steps):
                await asyncio.sleep(0)
        async with asyncio.timeout(60):
            while len(await client.client_list()) > 1:
                await asyncio.sleep(0.01)  # pragma: no cover


async def _close_begins(store: Store) -> None:
    """Wait until the store starts to close its connections."""
    begins = asyncio.Event()
    close = store._client.aclose

    async def telling(*arguments: bool) -> None:
        begins.set()
        await close(*arguments)

    store._client.aclose = telling  # type: ignore[method-assign]
    await begins.wait()


def _cancel_meanwhile(ends: RedisFeed | Relay, name: str) -> asyncio.Task[None]:
    """Cancel the task of a feed or relay again during its last request; return the task."""
    task, say = ends._task, getattr(ends._store, name)
    assert task is not None

    async def disturbed(*arguments: str) -> None:
        task.cancel()
        await say(*arguments)

    setattr(ends._store, name, disturbed)
    return task


async def test_a_relay_that_is_told_to_stop_twice_hands_on_its_lead(redis_server: RedisServer) -> None:
    async with asyncio.timeout(60), redis_server.client() as client, _relay(redis_server.url) as relay:
        await until(lambda: relay.leading)
        task = _cancel_meanwhile(relay, "release")
        task.cancel()
        await asyncio.wait([task])
        assert not await client.exists("{sipqueue}:leader")


async def test_a_worker_that_is_told_to_stop_twice_gives_back_what_it_has(redis_server: RedisServer) -> None:
    feed = RedisFeed(redis_server.url, group="sales", consumer="one")
    async with asyncio.timeout(60), Writer(redis_server) as writer, feed:
        await writer.publish(snapshot(agent()))
        await feed.ready()
        store = Store(feed._store._client, "sipqueue")
        assert await take(store, "sales", "two", 60) is None
        await writer.publish(snapshot(agent(state=AgentState.TALKING)))
        await collect(feed, until=1)
        assert await take(store, "sales", "two", 60) is None
        task = _cancel_meanwhile(feed, "leave")
        task.cancel()
        await asyncio.wait([task])
        assert await take(writer._store, "sales", "two", 60) is not None
