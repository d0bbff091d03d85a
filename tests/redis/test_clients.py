"""Redis clients passed by the caller: for a cluster and for Sentinel, which work, and others, which are refused."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import Sentinel

from sipqueue_async import CallAnswered, Snapshot, Subscription, TransportError
from sipqueue_async.redis import RedisFeed, Relay, RelayError
from sipqueue_async.redis.store import Store
from tests.kit.builders import agent, snapshot
from tests.kit.needs import program
from tests.kit.ports import free_port
from tests.kit.redis_server import RedisServer
from tests.kit.servers import RawServer
from tests.kit.waiting import PATIENCE, until

pytestmark = pytest.mark.one_python

BEFORE, AFTER = 3, 7
"""The numbers of answered calls before and after each test's failure."""


class Calls:
    """A source with a settable number of answered calls."""

    answered = 0

    async def __call__(self) -> Snapshot:
        """Return the current snapshot."""
        return snapshot(agent(calls_answered=self.answered), at=self.answered)


async def told(answered: Subscription[CallAnswered], number: int) -> int:
    """Return how many answered calls a feed has reported, once there are at least `number`."""
    count = 0
    async with asyncio.timeout(PATIENCE):
        while count < number:
            count += (await anext(answered)).count
    return count


async def check_each_call_is_told_once(
    client: Callable[[], Redis | RedisCluster], trouble: Callable[[], Awaitable[None]]
) -> None:
    """Check that a reader and a group report each call once, before and after a failure."""
    source = Calls()
    async with (
        client() as relays,
        client() as readers,
        client() as workers,
        RedisFeed(readers) as reader,
        RedisFeed(workers, group="crew", consumer="one") as worker,
        Relay(source, relays, interval=0.05, lease=1) as relay,
    ):
        await reader.ready(timeout=PATIENCE)
        await until(lambda: _group_has_begun(workers))
        streams = [feed.subscribe(CallAnswered) for feed in (reader, worker)]
        source.answered = BEFORE
        for stream in streams:
            assert await told(stream, BEFORE) == BEFORE
        await worker.acknowledge()
        await trouble()
        source.answered = AFTER
        for stream in streams:
            assert await told(stream, AFTER - BEFORE) == AFTER - BEFORE
        assert relay.leading


async def _group_has_begun(client: Redis | RedisCluster) -> bool:
    return bool(await client.hexists("{sipqueue}:group:crew", "entry"))


# ---- cluster ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def cluster(needs_redis: None, tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A cluster of one node that serves all slots."""
    cluster = RedisServer(tmp_path, cluster_enabled="yes", cluster_port=str(free_port()))
    async with cluster as server, server.client() as client:
        await client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]

        async def is_whole() -> bool:
            info: Any = await client.execute_command("CLUSTER INFO")  # type: ignore[no-untyped-call]
            return bool(info["cluster_state"] == "ok")

        await until(is_whole)
        yield server


async def test_a_cluster_works(cluster: RedisServer) -> None:
    """Readers report every call once, even if the cluster's node restarts."""

    async def restart() -> None:
        cluster.kill()
        await cluster.start()

    await check_each_call_is_told_once(lambda: RedisCluster.from_url(cluster.url), restart)


async def test_errors_of_a_cluster_are_those_of_the_relay(cluster: RedisServer) -> None:
    """A wrong password is a `RelayError` that does not show it; a cluster that is down is a `TransportError`."""
    async with cluster.client() as client:
        await client.config_set("requirepass", "right")
        refused = RedisCluster.from_url(cluster.url.replace("//", "//:secret@"))
        with pytest.raises(RelayError, match="Redis refuses the user: ") as told_so:
            await Store(refused, "x").read()
        assert "secret" not in str(told_so.value)
        assert (told_so.value.__cause__, told_so.value.__context__) == (None, None), (
            "redis-py's frames have the password"
        )
        await client.config_set("requirepass", "")
    cluster.kill()
    away = RedisCluster.from_url(cluster.url)
    with pytest.raises(TransportError, match=rf"^Redis is away.*Redis at the cluster of 127.0.0.1:{cluster.port}, "):
        await Store(away, "x").read()


async def test_a_user_of_a_cluster_needs_no_more_than_the_page_says(cluster: RedisServer) -> None:
    page = (Path(__file__).parents[2] / "docs" / "relay.md").read_text(encoding="utf-8")
    (line,) = [it for it in page.splitlines() if it.startswith("ACL SETUSER relay")]
    (more,) = [it.strip("`.") for it in page.split() if it.startswith("`+cluster|slots")]
    assert f"`{more} +command`" in page
    async with cluster.client() as client:
        await client.execute_command(*line.split(), more, "+command")  # type: ignore[no-untyped-call]
    url = cluster.url.replace("//", "//relay:password@")
    async with RedisCluster.from_url(url) as user, Relay(Calls(), user) as relay:
        await until(lambda: _has_published(relay))


async def _has_published(relay: Relay) -> bool:
    return relay.sequence > 0


async def test_a_node_that_does_not_have_the_keys_says_what_to_do(raw_server: RawServer) -> None:
    """If the caller gives one node's URL, the error tells them to pass a `RedisCluster`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65536):
            writer.write(b"-MOVED 3999 127.0.0.1:6381\r\n" * asked.count(b"*"))

    raw_server.connections = [answer]
    store = Store(f"redis://127.0.0.1:{raw_server.port}", "x")
    with pytest.raises(TransportError, match=r"3999 127\.0\.0\.1:6381; this node of a cluster does not"):
        await store.follow("", 0.01)
    await store.aclose()


# ---- Sentinel --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def watched(master: RedisServer, folder: Path) -> AsyncGenerator[Sentinel]:
    """Run a sentinel that watches a master, and yield a client."""
    port, settings = free_port(), folder / "sentinel.conf"
    settings.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {master.port} 1\n")
    process = subprocess.Popen([program("redis"), str(settings), "--sentinel"], stdout=subprocess.DEVNULL)
    sentinel = Sentinel([("127.0.0.1", port)])  # type: ignore[no-untyped-call]
    try:
        yield sentinel
    finally:
        for each in sentinel.sentinels:
            await each.aclose()
        process.kill()
        process.wait()


async def test_sentinel_works(redis_server: RedisServer, tmp_path: Path) -> None:
    """Readers report every call once, even after a failover."""
    (tmp_path / "replica").mkdir()
    replica = RedisServer(tmp_path / "replica", replicaof=f"127.0.0.1 {redis_server.port}")
    async with replica, watched(redis_server, tmp_path) as sentinel:

        async def knows_the_replica() -> bool:
            return bool(await sentinel.discover_slaves("main"))

        async def has_failed_over() -> bool:
            return bool((await sentinel.discover_master("main"))[1] == replica.port)

        async def fail_over() -> None:
            await sentinel.sentinels[0].execute_command("SENTINEL FAILOVER", "main")  # type: ignore[no-untyped-call]
            await until(has_failed_over)

        await until(knows_the_replica)
        await check_each_call_is_told_once(lambda: sentinel.master_for("main"), fail_over)


# ---- any client ------------------------------------------------------------------------------------------------------


def test_they_say_where_they_are() -> None:
    sentinel = Sentinel([("127.0.0.1", 1)])  # type: ignore[no-untyped-call]
    master: Redis = sentinel.master_for("main", socket_timeout=3)
    assert Store(master, "x").where == "Redis at Sentinel's main, keys {x}:*"
    cluster = RedisCluster(host="127.0.0.1", port=7000, password="secret", socket_timeout=4)
    assert Store(cluster, "x").where == "Redis at the cluster of 127.0.0.1:7000, keys {x}:*"
    assert [Store(it, "x").longest_wait for it in (master, cluster)] == [1.5, 2]


@pytest.mark.parametrize("client", [redis.Redis(), b"redis://127.0.0.1", None])
def test_others_are_refused(client: Any) -> None:
    """A client that is not from `redis.asyncio` raises a `TypeError`."""
    with pytest.raises(
        TypeError,
        match=r"a URL, or a Redis or RedisCluster of redis\.asyncio, not (Redis|bytes|NoneType)$",
    ):
        Relay(Calls(), client)
    with pytest.raises(TypeError, match=r"redis must be a URL"):
        RedisFeed(client)
