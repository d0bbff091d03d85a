"""With any damaged data in Redis, a reader raises `RelayError` or waits; it never fails in another way."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from sipqueue_async import SipQueueError
from sipqueue_async.redis import RedisFeed, RelayError
from sipqueue_async.redis.scripts import ACQUIRE, OLD_REDIS
from sipqueue_async.redis.store import Store
from tests.kit.builders import START, agent, snapshot
from tests.kit.publications import payload_of
from tests.kit.redis_server import RedisServer

READERS: Final = 130
FIELDS: Final = ("version", "sequence", "lock", "entry", "snapshot", "feed", "seen", "lease", "confirmed")
VALUES: Final = (
    *("", "x", "-1", "1e999", "9" * 400, "null", "{}", "[]", "{", "true", '"x"', "\ud800".encode("utf-8", "replace")),
    *(b"\xff", "0-0", "7", "7-", "1 me", "soon", "2026-01-05T08:00:00", '{"event":"feed-up"}', '{"observed_at":1}'),
)


async def spoiled(redis: Redis, prefix: str, chance: random.Random) -> None:
    """Write a publication into Redis, with one damaged or missing field in `meta`."""
    said = payload_of(None, snapshot(agent()))
    entry: Any = await redis.xadd(f"{{{prefix}}}:events", {"after": "", "confirmed": 5, "update": said.update})
    meta: dict[str, Any] = {
        "version": 2,
        "sequence": 8,
        "lock": "1 me",
        "entry": entry,
        "snapshot": said.snapshot,
        "feed": "null",
        "seen": START.isoformat(),
        "lease": 10_000,
        "confirmed": 5,
    }
    field = chance.choice(FIELDS)
    value = chance.choice((None, *VALUES))
    del meta[field]
    if value is not None:
        meta[field] = value
    await redis.hset(f"{{{prefix}}}:meta", mapping=dict[Any, Any](meta))
    await redis.hset(f"{{{prefix}}}:agents", said.seats, said.now)


async def test_readers_of_damaged_data(redis_server: RedisServer) -> None:
    """Damaged data raises `RelayError`; readable data is read."""
    chance = random.Random(16)

    some = asyncio.Semaphore(16)

    async def outcome(number: int) -> str:
        async with some:
            return await read(number)

    async def read(number: int) -> str:
        prefix = f"fuzz-{number}"
        await spoiled(redis, prefix, chance)
        async with RedisFeed(redis, prefix=prefix) as feed:
            ready = asyncio.ensure_future(feed.ready())
            while not ready.done() and feed.health.last_error is None:
                await asyncio.sleep(0.02)
            if not ready.done():
                # The reader waits for a confirmation.
                await redis.hset(f"{{{prefix}}}:meta", "confirmed", "100")
                await asyncio.wait([ready], timeout=1)
            if not ready.done():
                ready.cancel()
                return "waits"
        try:
            return str(len(ready.result()))
        except RelayError:
            return "refused"

    async with Redis.from_url(redis_server.url, socket_timeout=None) as redis:
        outcomes = await asyncio.gather(*map(outcome, range(READERS)))
    assert set(outcomes) >= {"1", "refused"}
    assert outcomes.count("refused") > READERS / 3


async def test_a_password_that_was_added_is_a_refusal(redis_server: RedisServer) -> None:
    """Without a login, Redis answers a large request with a protocol error that does not mention passwords."""
    async with redis_server.client() as client:
        store = Store(redis_server.url, "x")
        await store.read()
        await client.config_set("requirepass", "x")
        await client.client_kill_filter(_type="normal", skipme=True)
        for request in (store.read(), store.release("x" * 20_000), store.begin("x", "x" * 20_000, "x")):
            with pytest.raises(SipQueueError) as told:
                await request
            assert "Redis refuses the user" in str(told.value) or "away" in str(told.value)
        with pytest.raises(RelayError, match="Redis refuses the user"):
            await store.release("x" * 20_000)
        await store.aclose()


async def test_an_old_redis_is_refused(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis before version 7 has no `redis.REDIS_VERSION` in scripts."""
    async with Redis.from_url(redis_server.url) as client:
        store = Store(client, "x")
        old = "local redis = {call = redis.call, error_reply = redis.error_reply}\n"
        register = client.register_script
        monkeypatch.setattr(client, "register_script", lambda script: register(old + script))
        with pytest.raises(RelayError, match=OLD_REDIS) as told:
            await store.acquire("me")
    assert not told.value.retryable


def test_the_arguments_of_a_script_are_named() -> None:
    assert ACQUIRE.ordered({"stale_renewals": "2", "owner": "me", "stale_lock": "1"}) == ["me", "1", "2"]
    with pytest.raises(TypeError, match="the script takes owner, stale_lock, stale_renewals, not owner"):
        ACQUIRE.ordered({"owner": "me"})
