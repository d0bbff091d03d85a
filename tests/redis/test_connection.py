"""Connections: a large answer may take long, but a connection that moves no data times out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from sipqueue_async import CallAnswered, Snapshot, TransportError
from sipqueue_async.redis import RedisFeed, Relay
from sipqueue_async.redis.store import Store
from tests.kit.builders import agent, snapshot
from tests.kit.cable import Cable
from tests.kit.redis_server import RedisServer
from tests.kit.waiting import PATIENCE, until

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def served(stack: AsyncExitStack, serve: Serve) -> str:
    """Serve connections, and yield the URL."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await stack.enter_async_context(await asyncio.start_server(connected, "127.0.0.1", 0, limit=4096))
    return f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _stop_answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while asked := await reader.read(65536):
        if b"XREAD" in asked or b"EVALSHA" in asked:
            writer.write(b"*1\r\n$100\r\n")
            await reader.read()
        writer.write(b"+OK\r\n" * asked.count(b"*"))


async def test_an_answer_that_stops_is_given_up() -> None:
    async with AsyncExitStack() as stack:
        store = Store(await served(stack, _stop_answering), "x", timeout=0.2)
        stack.push_async_callback(store.aclose)
        with pytest.raises(TransportError, match=r"Redis is away: no answer within 0\.5 s"):
            await store.follow("1-1", 0.3)
        with pytest.raises(TransportError, match=r"Redis is away: no answer within 0\.2 s"):
            await store.read()


async def test_a_request_that_stops_is_given_up() -> None:
    """A timed-out request closes its connection at once, even if the server never reads the request."""
    is_over = asyncio.Event()
    servers: list[asyncio.StreamWriter] = []

    async def stop_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        servers.append(writer)
        asked = await reader.read(4096)
        writer.write(b"+OK\r\n" * asked.count(b"*"))
        await is_over.wait()

    async with AsyncExitStack() as stack:
        store = Store(await served(stack, stop_reading), "x", timeout=0.2)
        stack.callback(is_over.set)
        stack.push_async_callback(store.aclose)
        with pytest.raises(TransportError, match=r"Redis is away: .*0\.2 s"):
            await store.release("x" * 2**25)
        (writer,) = servers
        async with asyncio.timeout(PATIENCE):
            while not writer.is_closing():
                writer.write(b"+OK\r\n")
                await asyncio.sleep(0.01)


SEATS = 400
RATE = 100_000


async def test_a_slow_line_takes_its_time(redis_server: RedisServer) -> None:
    """A snapshot that takes longer than `timeout` to cross a slow line still arrives, in both directions."""
    many = snapshot(*(agent(str(number), name="n" * 500) for number in range(SEATS)), at=1)

    async def source() -> Snapshot:
        return many

    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        up, down = [await enter(Cable(redis_server.port, rate=RATE)) for _ in range(2)]
        relay = await enter(Relay(source, up.url, interval=0.1, lease=3, timeout=3))
        await until(lambda: relay.leading, "it has begun to publish")
        standby = await enter(Relay(source, redis_server.url, interval=0.1, lease=3))
        feed = await enter(RedisFeed(down.url, timeout=3))
        assert await feed.ready(PATIENCE) == many
        assert (relay.leading, standby.leading) == (True, False), "the lock was lost while it published"
        assert feed.health.failures == 0


async def test_a_slow_line_and_a_change_of_leader(redis_server: RedisServer) -> None:
    """If the leader dies while readers still receive the first snapshot, no change is lost."""
    first, then = (
        snapshot(*(agent(str(number), name="n" * 500, calls_answered=calls) for number in range(SEATS)), at=calls)
        for calls in (1, 3)
    )
    views = [first, first]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        line, slow = await enter(Cable(redis_server.port)), await enter(Cable(redis_server.port, rate=RATE))

        async def one() -> Snapshot:
            return views[0]

        async def two() -> Snapshot:
            return views[1]

        leader = await enter(Relay(one, line.url, interval=0.1, lease=0.5, timeout=1))
        await until(lambda: leader.sequence, "the first one has published")
        feed = await enter(RedisFeed(slow.url, baseline=snapshot(*first.values(), at=0), timeout=1))
        updates = feed.updates()
        other = await enter(Relay(two, redis_server.url, interval=0.1, lease=0.5))
        views[1] = then
        line.pull()
        await until(lambda: other.leading, "the other one leads")
        assert await feed.ready(PATIENCE) is not None
        await until(lambda: feed.snapshot == then, "all is read")
        calls = 0
        while update := updates.get_nowait():
            calls += sum(event.count for event in update.events if isinstance(event, CallAnswered))
    assert calls == 2 * SEATS
