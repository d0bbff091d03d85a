"""The store: its keys, its requests, the permissions that they need, and how errors are translated; on a real Redis."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from sipqueue_async import FeedDown, FeedEvent, Snapshot, TransportError, diff
from sipqueue_async.redis import RedisFeed, Relay, RelayError
from sipqueue_async.redis.store import Answer, Lock, Store
from tests.kit.builders import START, agent, snapshot
from tests.kit.cable import Cable
from tests.kit.needs import find
from tests.kit.ports import free_port
from tests.kit.publications import payload_of, take
from tests.kit.redis_server import RedisServer
from tests.kit.servers import RawServer

pytestmark = pytest.mark.one_python

KEYS: Final = "~{sipqueue}:*"
_FOLLOWER: Final = "+evalsha +script|load +hmget +hvals +xrange +xread"
READER: Final = f"{_FOLLOWER} +xrevrange"
GROUP: Final = f"{_FOLLOWER} +time +hget +hset +hgetall +hdel +zadd +zrange +zrem"
RELAY: Final = "+evalsha +script|load +hincrby +set +get +del +hget +hset +hdel +xadd +xtrim +hmget +hvals"
"""The permissions that a relay needs; above, those of any reader and of a reader in a group.

No other permission is needed, except ``+select`` for a database other than 0.
"""

SECRET: Final = "a-password-that-nobody-may-see"
BEFORE, AFTER = snapshot(agent("1"), agent("2")), snapshot(agent("1", "talking"), at=2)
Work = Callable[[Store], Coroutine[Any, Any, None]]


@asynccontextmanager
async def opened(redis: str | Redis, prefix: str = "sipqueue") -> AsyncGenerator[Store]:
    """Yield a store, and close it."""
    store = Store(redis, prefix)
    try:
        yield store
    finally:
        await store.aclose()


async def published(
    store: Store,
    lock: str,
    before: Snapshot | None,
    after: Snapshot | None,
    feed: FeedEvent | None = None,
    *,
    sequence: int = 0,
) -> Answer:
    """Publish the difference between two snapshots."""
    return await store.publish(
        lock,
        payload_of(before, after, feed, sequence=sequence + 1),
        sequence=sequence,
        lease=10,
        seen=START.isoformat(),
        confirms=True,
        feed=feed,
        max_entries=1000,
        max_age=timedelta(days=1),
    )


async def leads(store: Store, owner: str = "me") -> str:
    """Take the lock, which must be free, and return it."""
    lock = await store.acquire(owner)
    assert lock.is_of(owner)
    return lock.lock


async def lead(store: Store) -> None:
    """Send every request of a relay."""
    lock = await leads(store)
    assert not (await store.acquire("other")).is_of("other")
    state = (await store.read()).state
    assert state is not None
    number = state.sequence
    assert await published(store, lock, None, BEFORE, sequence=number) is Answer.OK
    assert await published(store, lock, BEFORE, AFTER, sequence=number + 1) is Answer.OK
    assert await published(store, lock, BEFORE, AFTER, sequence=number + 1) is Answer.CONFLICT
    assert await store.renew(lock, number + 2, 10, seen=START.isoformat(), confirms=True) is Answer.OK
    await store.release("me")
    assert await store.renew(lock, number + 2, 10, confirms=True) is Answer.NOT_LEADER


async def read(store: Store) -> None:
    """Send every request of a reader."""
    whole = await store.read()
    assert whole.state is not None
    assert (whole.state.snapshot, whole.state.feed) == (AFTER, None)
    assert (whole.state.sequence, whole.state.lock) == (2, "1 me")
    assert (whole.head.lease, whole.head.seen, whole.head.confirmed) == (10, START, 3)
    assert await store.peek() == whole.head
    first, second = await store.follow("", 0.01)
    assert (first.change.after, second.change.after) == ("", first.id)
    assert first.change.seat_events == diff(None, BEFORE)
    assert second.change.seat_events == diff(BEFORE, AFTER)
    assert second.id == whole.state.entry
    assert await store.follow(second.id, 0.01) == []
    since = await store.read(first.id)
    assert (since.state, since.entries) == (None, [second])
    now = await store.read(second.id)
    assert (now.state, now.entries) == (None, [])


async def read_back(store: Store) -> None:
    """Send every request of a reader that also answers what it missed."""
    await read(store)
    first, second = await store.follow("", 0.01)
    assert await store.back(second.id) == [second, first]


async def share(store: Store) -> None:
    """Send every request of a group's consumer, with a change published after the group's start."""
    work = await take(store, "group", "me", 10)
    assert work is not None
    assert work.change.agents
    assert await take(store, "group", "other", 10) is None
    await store.touch("group", work.id, 10)
    await store.begin("group", "me", "process 2")
    assert await take(store, "group", "other", 10) == work
    await store.done("group", work.id)
    assert await take(store, "group", "other", 10) is None


async def everything(store: Store, other: Store) -> None:
    """Send every request of a relay, a reader and a group."""
    await lead(other)
    await read(store)
    assert await take(store, "group", "me", 10) is None
    lock = await leads(store)
    assert await published(store, lock, AFTER, BEFORE, sequence=2) is Answer.OK
    await share(store)
    await store.release("me")


class TestPlace:
    async def test_its_keys_begin_with_the_prefix_in_braces(self, redis_server: RedisServer) -> None:
        """All keys of one prefix are on one node of a cluster; two prefixes share no key."""
        async with opened(redis_server.url, "north") as store, redis_server.client() as client:
            await lead(store)
            await take(store, "sales", "me", 10)
            lock = await leads(store)
            await published(store, lock, AFTER, BEFORE, sequence=2)
            await take(store, "sales", "me", 10)
            assert {*await client.keys()} == {
                *("{north}:leader", "{north}:meta", "{north}:agents", "{north}:events"),
                *("{north}:group:sales", "{north}:group-seen:sales", "{north}:group-work:sales"),
                *("{north}:group-due:sales", "{north}:group-owners:sales"),
            }

    @pytest.mark.parametrize("prefix", ["", "{", "a}b", "{a}"])
    def test_a_prefix_that_would_break_them_is_refused(self, prefix: str) -> None:
        with pytest.raises(ValueError, match="prefix must be a name without braces"):
            Store("redis://127.0.0.1", prefix)

    @pytest.mark.parametrize(
        ("url", "place"),
        [
            (f"redis://user:{SECRET}@redis.example:7000/3", "redis.example:7000"),
            (f"rediss://:{SECRET}@redis.example/0", "redis.example:6379"),
            (f"unix:///run/redis.sock?password={SECRET}", "/run/redis.sock"),
            (f"redis://redis.example?password={SECRET}", "redis.example:6379"),
        ],
    )
    def test_it_says_where_it_is_without_a_secret(self, url: str, place: str) -> None:
        assert Store(url, "sipqueue").where == f"Redis at {place}, keys {{sipqueue}}:*"

    @pytest.mark.parametrize(
        "url",
        [
            f"http://user:{SECRET}@127.0.0.1",
            f"redis://user:{SECRET}/#@[127.0.0.1",
            f"redis://user:{SECRET}@127.0.0.1:{SECRET}",
            f"redis://user:{SECRET}@127.0.0.1?socket_timeout={SECRET}",
            f"redis://127.0.0.1/{SECRET}",
            SECRET,
            "",
        ],
    )
    def test_a_url_that_makes_no_sense_is_refused_without_a_word_of_it(self, url: str) -> None:
        with pytest.raises(ValueError, match="special characters of user and password are written as %XX") as refused:
            Store(url, "sipqueue")
        assert SECRET not in str(refused.value)
        assert refused.value.__suppress_context__

    @pytest.mark.needs_redis
    async def test_a_socket_of_the_machine_works(self, tmp_path: Path) -> None:
        path = Path(f"/tmp/sipqueue-{os.getpid()}.sock")
        async with (
            RedisServer(tmp_path, keeps=False, unixsocket=str(path)),
            opened(f"unix://{path}?db=2") as store,
            opened(f"unix://{path}?db=2") as other,
        ):
            await everything(store, other)
        path.unlink(missing_ok=True)


def has_tls() -> bool:
    """Return whether Redis was built with TLS: only then its error names the wrong option value."""
    said = subprocess.run([find("redis") or "false", "--port", "0", "--tls-replication", "maybe"], capture_output=True)
    return b"must be 'yes' or 'no'" in said.stdout + said.stderr


@pytest.mark.needs_redis
@pytest.mark.skipif(not has_tls(), reason="redis-server was built without TLS, or is not on this machine")
class TestTls:
    @pytest.fixture
    async def port(self, tmp_path: Path) -> AsyncIterator[int]:
        """The TLS port of a Redis; the certificate of its authority is in the folder as ca.pem."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        certificate = authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        port = free_port()
        async with RedisServer(
            tmp_path,
            keeps=False,
            tls_port=str(port),
            tls_cert_file=str(tmp_path / "cert.pem"),
            tls_key_file=str(tmp_path / "key.pem"),
            tls_ca_cert_file=str(tmp_path / "ca.pem"),
            tls_auth_clients="no",
        ):
            yield port

    async def test_an_encrypted_connection_works(self, port: int, tmp_path: Path) -> None:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path / 'ca.pem'}"
        async with opened(url) as store, opened(url) as other:
            await everything(store, other)

    async def test_an_untrusted_certificate_is_refused(self, port: int) -> None:
        async with opened(f"rediss://localhost:{port}/0") as store:
            with pytest.raises(TransportError, match=r"untrusted certificate: ") as refused:
                await store.read()
        assert isinstance(refused.value.__cause__, RedisConnectionError)


class TestClients:
    @pytest.mark.parametrize("decode_responses", [False, True])
    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_a_callers_works_and_stays_open(
        self, redis_server: RedisServer, decode_responses: bool, protocol: int
    ) -> None:
        client = Redis.from_url(redis_server.url, decode_responses=decode_responses, protocol=protocol)
        async with client, opened(client) as store:
            await everything(store, store)
            await store.aclose()
            assert client.connection_pool is not None
            assert await client.echo("still open") in {"still open", b"still open"}
            assert await _connections(redis_server) == 1

    @pytest.mark.parametrize("options", ["", "?protocol=3", "?decode_responses=True"])
    async def test_its_own_is_closed(self, redis_server: RedisServer, options: str) -> None:
        async with opened(redis_server.url + options) as store, opened(redis_server.url + options) as other:
            await everything(store, other)
            assert await _connections(redis_server) == 2
        assert await _connections(redis_server) == 0

    async def test_a_cancellation_that_the_client_loses_is_one_all_the_same(self, redis_server: RedisServer) -> None:
        """On Python 3.11 the client's `wait_for` may suppress a cancellation; `follow` still ends as cancelled."""
        is_asked = asyncio.Event()

        class Losing(Redis):
            async def xread(self, *_: Any, **__: Any) -> Any:
                is_asked.set()
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    return {}

        async with Losing.from_url(redis_server.url) as client:
            task = asyncio.create_task(Store(client, "sipqueue").follow("", 1))
            await is_asked.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    async def test_forgotten_scripts_are_sent_again(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            lock = await leads(store)
            for number in range(3):
                await client.script_flush()
                assert await published(store, lock, None, BEFORE, sequence=number) is Answer.OK
            await client.script_flush()
            assert (await store.read()).state is not None


async def _connections(server: RedisServer) -> int:
    """Return the number of connections, except the one that this request uses."""
    async with server.client() as client:
        async with asyncio.timeout(60):
            while any(each["events"] == "" for each in await client.client_list()):
                await asyncio.sleep(0.01)  # pragma: no cover
        return len(await client.client_list()) - 1


class TestPermissions:
    @pytest.fixture
    async def user(self, redis_server: RedisServer) -> AsyncIterator[Callable[[str], Coroutine[Any, Any, str]]]:
        """Return a function that creates a user with some permissions, and returns the user's URL."""
        async with redis_server.client() as client:

            async def make(rules: str, name: str = "relay") -> str:
                await client.execute_command(  # type: ignore[no-untyped-call]
                    "ACL", "SETUSER", name, "reset", "on", f">{SECRET}", *rules.split()
                )
                await client.script_flush()
                return f"redis://{name}:{SECRET}@127.0.0.1:{redis_server.port}/0"

            yield make

    async def test_a_user_needs_no_more_than_the_documentation_says(self, user: Any, redis_server: RedisServer) -> None:
        async with (
            opened(await user(f"{KEYS} {RELAY}", "relay")) as relay,
            opened(await user(f"{KEYS} {READER}", "reader")) as reader,
            opened(await user(f"{KEYS} {GROUP}", "group")) as group,
            opened(redis_server.url) as other,
        ):
            await lead(relay)
            await read_back(reader)
            await read(group)
            assert await take(group, "group", "me", 10) is None
            lock = await leads(other)
            await published(other, lock, AFTER, BEFORE, sequence=2)
            await share(group)

    def test_the_page_lists_it(self) -> None:
        """The documentation lists exactly these permissions."""
        page = (Path(__file__).parents[2] / "docs" / "relay.md").read_text(encoding="utf-8")
        for name, rules in (("relay", RELAY), ("reader", READER), ("worker", GROUP)):
            assert f"ACL SETUSER {name} on >password {KEYS} {rules}\n" in page

    @pytest.mark.needs_redis
    async def test_a_refusal_over_a_socket_of_the_machine_is_one_too(self, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        server = RedisServer(tmp_path, keeps=False, unixsocket=str(path))
        async with server, server.client() as client:
            await client.config_set("requirepass", SECRET)
            async with opened(f"unix://:{SECRET}-not@{path}") as store:
                with pytest.raises(RelayError) as told:
                    await store.read()
            await client.config_set("requirepass", "")
        assert SECRET not in str(told.value)
        assert (told.value.__cause__, told.value.__context__) == (None, None), "redis-py's frames have the password"

    def test_how_long_a_client_waits_is_heeded(self) -> None:
        """A blocking request ends before the socket timeout of the caller's client."""
        waits: dict[str | Redis, float] = {"redis://127.0.0.1": math.inf, Redis(socket_timeout=None): math.inf}
        waits |= {Redis(socket_timeout=5): 2.5, Redis(socket_timeout=1): 0.5}
        assert [Store(it, "x").longest_wait for it in waits] == list(waits.values())

    async def test_the_three_work_as_a_whole(self, user: Any) -> None:
        """A relay, a reader and a group run with the documented permissions."""

        async def source() -> Snapshot:
            return BEFORE

        async with (
            Relay(source, await user(f"{KEYS} {RELAY}", "relay")),
            RedisFeed(await user(f"{KEYS} {READER}", "reader")) as feed,
            RedisFeed(await user(f"{KEYS} {GROUP}", "group"), group="sales", consumer="1") as consumer,
        ):
            assert await feed.ready(timeout=60) == BEFORE
            assert await consumer.ready(timeout=60) == BEFORE

    @pytest.mark.parametrize(
        ("work", "rules", "command"),
        [(lead, RELAY, command) for command in RELAY.split()]
        + [(read_back, READER, command) for command in READER.split()]
        + [(share, GROUP, command) for command in GROUP.split() if command not in {"+hmget", "+hvals", "+xread"}],
    )
    async def test_it_needs_that_much(
        self, user: Any, redis_server: RedisServer, work: Work, rules: str, command: str
    ) -> None:
        """Each documented permission is necessary, and the error names the missing one."""
        if work is not lead:
            async with opened(redis_server.url) as other:
                await lead(other)
                await take(other, "group", "me", 10)
                if work is share:
                    lock = await leads(other)
                    await published(other, lock, AFTER, BEFORE, sequence=2)
        url = await user(f"{KEYS} {' '.join(set(rules.split()) - {command})}")
        async with opened(url) as store:
            with pytest.raises(
                RelayError, match=r"Redis refuses the user: .*docs/relay\.md lists the permissions"
            ) as no:
                await work(store)
        assert SECRET not in str(no.value)

    async def test_other_keys_and_other_passwords_are_refused(self, user: Any, redis_server: RedisServer) -> None:
        for url in (
            await user(f"~other:* {RELAY} {READER}", "other"),
            (await user(f"{KEYS} {READER}", "reader")).replace(SECRET, f"{SECRET}-not"),
            f"redis://nobody:{SECRET}@127.0.0.1:{redis_server.port}",
        ):
            async with opened(url) as store:
                with pytest.raises(RelayError, match="Redis refuses the user: ") as refused:
                    await store.read()
            assert not refused.value.retryable
            assert SECRET not in f"{refused.value!r} {refused.value} {refused.value.__cause__}"
            assert refused.value.where == f"Redis at 127.0.0.1:{redis_server.port}, keys {{sipqueue}}:*"

    @pytest.mark.needs_redis
    async def test_no_password_where_there_must_be_one_is_refused(self, tmp_path: Path) -> None:
        server = RedisServer(tmp_path, keeps=False)
        async with server, server.client() as client:
            await client.config_set("requirepass", SECRET)
            async with opened(server.url) as store:
                with pytest.raises(RelayError, match=r"Redis refuses the user: Authentication required"):
                    await store.read()


class TestTrouble:
    @pytest.mark.parametrize(
        ("key", "work"),
        [
            ("meta", lead),
            ("agents", lead),
            ("events", lambda store: store.follow("", 0.01)),
            ("leader", lead),
            ("leader", lambda store: store.release("me")),
        ],
    )
    async def test_keys_of_another_kind_are_refused(self, redis_server: RedisServer, key: str, work: Work) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            await lead(store)
            await client.delete(f"{{sipqueue}}:{key}")
            await client.sadd(f"{{sipqueue}}:{key}", "x")
            named = rf"WRONGTYPE .*; other data is in .*{{sipqueue}}:{key}\b.*: delete it if it is not needed, or"
            with pytest.raises(RelayError, match=f"Redis refuses the request: {named}") as refused:
                await work(store)
            assert refused.value.where == store.where

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *[("version", value) for value in ("3", "x", "1.0")],
            *[(field, "x") for field in ("sequence", "confirmed", "lease")],
            *[("seen", value) for value in ("soon", "2026-01-05T08:00:00")],
            *[("feed", value) for value in ("{", "1", "{}")],
            *[("snapshot", value) for value in ("{", "1", "{}")],
            *[(field, b"\xff") for field in ("entry", "feed", "seen", "lock")],
        ],
    )
    async def test_damage_is_refused(self, redis_server: RedisServer, field: str, value: str | bytes) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            await lead(store)
            await client.hset("{sipqueue}:meta", field, value)
            with pytest.raises(RelayError, match=r"in Redis (is damaged|has version)"):
                await store.read()

    @pytest.mark.parametrize("fields", [{"after": "", "more": "x"}, {"after": "", "update": b"\xff"}])
    async def test_damage_to_the_stream_is_refused(self, redis_server: RedisServer, fields: Any) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            await lead(store)
            assert await take(store, "group", "me", 10) is None
            state = (await store.read()).state
            assert state is not None
            await client.xadd("{sipqueue}:events", fields | {"after": state.entry})
            with pytest.raises(RelayError, match="an entry of the stream in Redis is damaged"):
                await store.follow(state.entry, 0.01)
            await client.hset("{sipqueue}:meta", "entry", "x")
            with pytest.raises(RelayError, match="in Redis is damaged"):
                await store.read(state.entry)
            with pytest.raises(RelayError, match="in Redis is damaged"):
                await take(store, "group", "me", 10)

    async def test_full_memory_passes(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            lock = await leads(store)
            await client.config_set("maxmemory", "1")
            with pytest.raises(TransportError, match=r"Redis is away: .*maxmemory"):
                await published(store, lock, None, BEFORE)
            await client.config_set("maxmemory", "0")
            assert await published(store, lock, None, BEFORE) is Answer.OK

    async def test_a_replica_that_may_not_write_passes(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            await client.execute_command(  # type: ignore[no-untyped-call]
                "REPLICAOF", "127.0.0.1", "1"
            )
            with pytest.raises(TransportError, match=r"Redis is away: .*read only replica"):
                await store.acquire("me")

    async def test_too_many_clients_pass(self, redis_server: RedisServer) -> None:
        async with redis_server.client() as client, opened(redis_server.url) as store:
            await client.config_set("maxclients", "1")
            with pytest.raises(TransportError, match="Redis is away: "):
                await store.read()

    async def test_no_answer_passes(self, redis_server: RedisServer) -> None:
        async with Cable(redis_server.port) as cable, opened(cable.url) as store:
            await lead(store)
            waiting = asyncio.ensure_future(store.follow("9999999999999-0", 4))
            await asyncio.sleep(0.05)
            cable.cut()
            with pytest.raises(TransportError, match="Redis is away: ") as away:
                await waiting
            assert away.value.retryable
            assert away.value.where == f"Redis at 127.0.0.1:{cable.port}, keys {{sipqueue}}:*"
            await read(store)
            redis_server.kill()
            with pytest.raises(TransportError, match="Redis is away: "):
                await store.read()
        async with opened(f"redis://no.such.invalid:{free_port()}") as store:
            with pytest.raises(TransportError, match="Redis is away: "):
                await store.read()

    @pytest.mark.parametrize(
        ("said", "passes"),
        [
            ("LOADING Redis is loading the dataset in memory", True),
            ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", True),
            ("CLUSTERDOWN The cluster is down", True),
            ("CLUSTERDOWN Hash slot not served", True),
            ("MASTERDOWN Link with MASTER is down", True),
            ("MISCONF Redis is configured to save RDB snapshots, but it cannot", True),
            ("NOREPLICAS Not enough good replicas to write.", True),
            ("OOM command not allowed when used memory > 'maxmemory'.", True),
            ("READONLY You can't write against a read only replica.", True),
            ("NOSCRIPT No matching script. Please use EVAL.", True),
            ("TRYAGAIN Multiple keys request during rehashing of slot", True),
            ("ASK 3999 127.0.0.1:6381", True),
            ("ERR max number of clients reached", True),
            ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", True),
            ("ERR unknown command 'EVALSHA'", False),
            ("ERR DB index is out of range", False),
            ("NOAUTH Authentication required.", False),
            ("NOPERM this user has no permissions", False),
            ("WRONGPASS invalid username-password pair", False),
        ],
    )
    async def test_an_error_of_a_temporary_state_of_redis_is_retryable(
        self, raw_server: RawServer, said: str, passes: bool
    ) -> None:
        """Errors of a temporary state are retryable `TransportError`s; others are `RelayError`s."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while asked := await reader.read(65536):
                # One read may contain several commands; each begins with a star.
                writer.write(f"-{said}\r\n".encode() * asked.count(b"*"))

        raw_server.connections = [answer]
        async with opened(f"redis://127.0.0.1:{raw_server.port}") as store:
            with pytest.raises(TransportError if passes else RelayError) as told:
                await store.follow("", 0.01)
        assert told.value.retryable == passes

    @pytest.mark.parametrize("said", ["", "-LOADING Redis is loading\r\n", "-ERR max number of clients reached\r\n"])
    async def test_a_trouble_while_logging_in_keeps_no_password(self, raw_server: RawServer, said: str) -> None:
        """The errors' frames, which contain the password, are dropped."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            writer.write(said.encode() * 3)

        raw_server.connections = [answer]
        async with opened(f"redis://:{SECRET}@127.0.0.1:{raw_server.port}") as store:
            with pytest.raises(TransportError) as told:
                await store.read()
        error: BaseException | None = told.value.__cause__
        assert error is not None
        while error is not None:
            assert error.__traceback__ is None, "redis-py's frames have the password"
            error = error.__cause__ or error.__context__


class TestFencing:
    async def test_a_late_request_of_a_deposed_relay_is_refused(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store:
            old = await store.acquire("old")
            assert old == Lock(lock="1 old", renewals="0")
            new = await store.acquire("new", stale=old)
            assert new.lock == "2 new"
            assert await published(store, new.lock, None, BEFORE) is Answer.OK
            before = await store.read()
            assert await published(store, old.lock, None, AFTER) is Answer.NOT_LEADER
            assert await published(store, old.lock, BEFORE, AFTER, sequence=1) is Answer.NOT_LEADER
            assert await store.renew(old.lock, 1, 10, confirms=True) is Answer.NOT_LEADER
            await store.release("old")
            assert (await store.acquire("third")).is_of("new"), "it released its successor's lock"
            assert await store.read() == before

    async def test_a_lock_that_was_renewed_is_not_taken(self, redis_server: RedisServer) -> None:
        """A standby takes the lock only if it has not changed for a lease."""
        async with opened(redis_server.url) as store:
            lock = await leads(store)
            seen = await store.acquire("other")
            assert seen == Lock(lock=lock, renewals="0")
            assert await store.renew(lock, 0, 10) is Answer.OK
            renewed = await store.acquire("other", stale=seen)
            assert renewed == Lock(lock=lock, renewals="1")
            assert await published(store, lock, None, BEFORE) is Answer.OK
            renewed = await store.acquire("other", stale=renewed)
            assert renewed == Lock(lock=lock, renewals="2")
            assert (await store.acquire("other", stale=renewed)).lock == "2 other"

    async def test_a_lock_of_format_1_is_renewed_by_its_time(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            await client.set("{sipqueue}:leader", "4 old", px=60_000)
            await client.hset("{sipqueue}:meta", mapping={"terms": 4, "alive": 1000})
            seen = await store.acquire("new")
            assert seen == Lock(lock="4 old", renewals="1000")
            await client.hset("{sipqueue}:meta", "alive", 2000)
            seen = await store.acquire("new", stale=seen)
            assert seen.is_of("old")
            assert (await store.acquire("new", stale=seen)).lock == "5 new"
            assert await client.ttl("{sipqueue}:leader") == -1

    async def test_an_owner_that_asks_again_gets_its_lock(self, redis_server: RedisServer) -> None:
        """A relay that asks again for its own lock gets it, and keeps the lock's expiry."""
        async with opened(redis_server.url) as store:
            lock = await store.acquire("me")
            assert await store.acquire("me") == lock
            await store.release("other")
            assert await store.acquire("other") == lock
            await store.release("me")
            assert (await store.acquire("other")).lock == "2 other"

    async def test_nothing_is_published_over_something_else(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            lock = await leads(store)
            assert await published(store, lock, None, BEFORE) is Answer.OK
            for number in (0, 2):
                assert await published(store, lock, BEFORE, AFTER, sequence=number) is Answer.CONFLICT
                assert await store.renew(lock, number, 10, confirms=True) is Answer.CONFLICT
            assert await client.xlen("{sipqueue}:events") == 1

    async def test_a_relay_that_has_not_polled_confirms_nothing(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store:
            lock = await leads(store)
            assert await store.renew(lock, 0, 10) is Answer.OK
            assert (await store.peek()).confirmed == 0
            assert await store.renew(lock, 0, 7, seen=START.isoformat(), confirms=True) is Answer.OK
            head = await store.peek()
            assert (head.confirmed, head.seen, head.lease) == (2, START, 7)


class TestStream:
    async def test_a_reader_who_is_behind_is_given_everything(self, redis_server: RedisServer) -> None:
        """A reader whose entries were trimmed gets the whole state."""
        async with opened(redis_server.url) as store, redis_server.client() as client:
            await lead(store)
            first, second = await store.follow("", 0.01)
            await client.xdel("{sipqueue}:events", second.id)
            found = await store.read(first.id)
            assert found.entries == []
            assert found.state is not None
            assert found.state.snapshot == AFTER

    async def test_it_is_trimmed_by_number_and_by_age(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store, redis_server.client() as client:
            await client.config_set("stream-node-max-entries", "1")
            lock = await leads(store)

            async def publish(number: int, entries: int, age: timedelta) -> None:
                payload = payload_of(None, BEFORE, sequence=number + 1)
                options = {"sequence": number, "lease": 10, "seen": "", "confirms": True, "feed": None}
                answer = await store.publish(lock, payload, max_entries=entries, max_age=age, **options)  # type: ignore[arg-type]
                assert answer is Answer.OK

            for number in range(20):
                await publish(number, 5, timedelta(days=1))
            assert await client.xlen("{sipqueue}:events") <= 7
            await asyncio.sleep(0.05)
            await publish(20, 100, timedelta(milliseconds=20))
            assert await client.xlen("{sipqueue}:events") <= 2

    async def test_the_feeds_condition_is_kept(self, redis_server: RedisServer) -> None:
        async with opened(redis_server.url) as store:
            lock = await leads(store)
            await published(store, lock, None, None, FeedDown(error=TransportError("away"), since=None))
            state = (await store.read()).state
            assert state is not None
            assert state.snapshot is None
            assert isinstance(state.feed, FeedDown)
            assert str(state.feed.error) == "away"
