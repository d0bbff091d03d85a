"""The keys of one relay prefix in Redis: the operations on them, and the translation of Redis's errors."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, cast

import attrs
from redis import exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from sipqueue_async import FeedDown, FeedEvent, Snapshot, TransportError
from sipqueue_async._arguments import check_above_zero
from sipqueue_async.redis import scripts
from sipqueue_async.redis.connection import connect, reason_of, waiting
from sipqueue_async.redis.publication import (
    VERSION,
    Change,
    Publication,
    RelayError,
    check_version,
    feed_to_json,
    read_change,
    read_feed,
    read_snapshot,
    read_time,
    read_work,
    reading,
)
from sipqueue_async.redis.scripts import OLD_REDIS, Script

TIMEOUT: Final = 5.0
"""The default for the seconds without progress after which Redis counts as away."""
ENTRIES: Final = 64
"""The most entries read at once: no more than a subscription holds by default, so that the entries of a reader that was
behind are not coalesced."""

_ENTRY: Final = re.compile(r"\d+-\d+")

# Errors about a temporary state of the server. Other errors last until an operator mends the cause.
_PASSING: Final = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    # The end of a blocked request when its master becomes a replica.
    "UNBLOCKED",
)
_PASSING_ERRORS: Final = (
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterError,
    exceptions.TryAgainError,
    exceptions.AskError,
    # Redis restarted after it had received the script and before it ran it.
    exceptions.NoScriptError,
)
_REFUSED: Final = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.NoPermissionError,
)
# The wording of Redis 7.0, and of later versions, for a forbidden command inside a script.
_IN_SCRIPTS: Final = ("The user executing the script can't", "ACL failure in script")
_REFUSALS: Final = (
    "NOAUTH",
    "NOPERM",
    "WRONGPASS",
    # Redis closes an unauthenticated connection that sends a large request.
    "Protocol error: unauthenticated",
    "ERR Protocol error: unauthenticated",
    *_IN_SCRIPTS,
)


class Superseded(Exception):  # noqa: N818  # an outcome, which the consumer handles
    """Redis knows another attempt of this consumer: another process uses its name, or Redis lost this attempt."""


class Answer(StrEnum):
    """Redis's answer to a relay."""

    OK = "ok"
    NOT_LEADER = "not_leader"
    """The relay does not hold the lock."""
    CONFLICT = "conflict"
    """The last publication in Redis is not the one that the request builds on."""


@attrs.frozen(kw_only=True)
class Lock:
    """The lock and the number of renewals. A lock whose number has not changed for a lease is free to take."""

    lock: str
    renewals: str

    def is_of(self, owner: str) -> bool:
        """Return whether the relay `owner` holds it."""
        return self.lock.partition(" ")[2] == owner


@attrs.frozen(kw_only=True)
class Entry:
    """One entry of the stream."""

    id: str
    change: Change


@attrs.frozen(kw_only=True)
class State:
    """The whole published state at one moment."""

    entry: str
    """The id of the last entry that the state includes; empty before the first."""
    sequence: int
    lock: str
    """The lock of the relay that published it, which names the term and the relay; empty before the first."""
    snapshot: Snapshot | None
    feed: FeedEvent | None
    """The last feed event."""


@attrs.frozen(kw_only=True)
class Head:
    """The counters and the feed's condition, without any records."""

    confirmed: int
    """Grows whenever a relay confirms that the last publication is up to date; 0 before the first confirmation."""
    renewals: int
    """How often relays have renewed the lock. Grows while a relay is alive, even if it cannot confirm anything."""
    lease: float
    """Seconds for which a relay may be silent."""
    seen: datetime | None
    """The time of the relay's last good poll; None before the first."""
    feed: FeedEvent | None
    """The last feed event."""


@attrs.frozen(kw_only=True)
class Reading:
    """An answer to a reader: the entries after the one it knows, or the whole state."""

    head: Head
    entries: Sequence[Entry]
    """The entries after the requested one."""
    state: State | None
    """The whole state, if entries after the requested one are missing from the stream; otherwise None."""


class Store:
    """The keys of one prefix in one Redis.

    Args:
        redis: A URL (``redis://``, ``rediss://`` or ``unix://``), or a client of the caller, which stays open.
        prefix: The prefix of the keys, without its braces: the same for a platform's relays and their readers.
        timeout: Seconds without a byte sent or received after which Redis counts as away. With a client of the caller,
            the limit for a whole answer.

    Raises:
        TypeError: `redis` is neither a URL nor a client of ``redis.asyncio``.
        ValueError: The URL, the prefix or the timeout is invalid. The message does not contain the password.
    """

    def __init__(self, redis: str | Redis | RedisCluster, prefix: str, timeout: float = TIMEOUT) -> None:
        if not isinstance(redis, str | Redis | RedisCluster):
            raise TypeError(
                f"redis must be a URL, or a Redis or RedisCluster of redis.asyncio, not {type(redis).__name__}"
            )
        if not prefix or set(prefix) & set("{}"):
            raise ValueError(f"prefix must be a name without braces, not {prefix!r}")
        check_above_zero("timeout", timeout)
        self._is_own = isinstance(redis, str)
        self._client = connect(redis, timeout) if isinstance(redis, str) else redis
        self._server = _server(self._client)
        self._timeout = timeout
        self._prefix = f"{{{prefix}}}"
        self._leader, self._meta, self._agents, self._events = map(self._key, ("leader", "meta", "agents", "events"))

    def _key(self, *names: str) -> str:
        return ":".join((self._prefix, *names))

    def _group_keys(self, group: str) -> dict[str, str]:
        # The group's name comes last, so that the keys of two groups never coincide.
        kinds = {"seen": "group-seen", "work": "group-work", "due": "group-due", "owners": "group-owners"}
        return {"group": self._key("group", group)} | {name: self._key(kind, group) for name, kind in kinds.items()}

    @property
    def longest_wait(self) -> float:
        """The most seconds that a request may block in Redis: half of the timeout that the caller's client has."""
        timeout = _options(self._client).get("socket_timeout", TIMEOUT)
        return math.inf if timeout is None else timeout / 2

    @property
    def where(self) -> str:
        """The server and the keys, for messages; without the password."""
        return f"Redis at {self._server}, keys {self._prefix}:*"

    # ---- for relays --------------------------------------------------------------------------------------------------

    async def acquire(self, owner: str, stale: Lock | None = None) -> Lock:
        """Take the lock if it is free. Return the lock afterwards, which another relay may hold.

        Args:
            owner: The id of the relay that asks.
            stale: The lock that the relay has seen unchanged for a whole lease. If it is still unchanged, it is free.
        """
        lock, renewals = await self._run(
            scripts.ACQUIRE,
            {},
            owner=owner,
            stale_lock="" if stale is None else stale.lock,
            stale_renewals="" if stale is None else stale.renewals,
        )
        return Lock(lock=_text(lock), renewals=_text(renewals))

    async def release(self, owner: str) -> None:
        """Release the relay's lock, if it holds it. The relay need not know the lock: the answer may have been lost."""
        await self._run(scripts.RELEASE, {}, owner=owner)

    async def renew(self, lock: str, sequence: int, lease: float, *, seen: str = "", confirms: bool = False) -> Answer:
        """Renew the lock; with `confirms`, also confirm that publication `sequence` is up to date."""
        answer = await self._run(
            scripts.RENEW, {}, lock=lock, sequence=sequence, lease=_ms(lease), seen=seen, confirms=int(confirms)
        )
        return Answer(_text(answer))

    async def publish(
        self,
        lock: str,
        payload: Publication,
        *,
        sequence: int,
        lease: float,
        seen: str,
        confirms: bool,
        feed: FeedEvent | None,
        max_entries: int,
        max_age: timedelta,
    ) -> Answer:
        """Publish the successor of publication `sequence`, in one atomic step."""
        answer = await self._run(
            scripts.PUBLISH,
            {},
            lock=lock,
            sequence=sequence,
            lease=_ms(lease),
            seen=seen,
            confirms=int(confirms),
            version=VERSION,
            new_sequence=sequence + 1,
            feed=feed_to_json(feed),
            max_entries=max_entries,
            max_age=_ms(max_age.total_seconds()),
            **attrs.asdict(payload),
        )
        return Answer(_text(answer))

    # ---- for readers -------------------------------------------------------------------------------------------------

    async def peek(self) -> Head:
        """Return the counters and the feed's condition, a small answer."""
        asked = cast("Awaitable[Any]", self._client.hmget(self._meta, list(_HEAD)))
        with reading("what is published"):
            return _head(await self._ask(asked, [self._meta]))

    async def read(self, entry: str = "") -> Reading:
        """Return the entries after `entry`; the whole state if some are missing, or if `entry` is empty."""
        found = await self._run(scripts.READ, {}, last=entry, count=ENTRIES)
        with reading("what is published"):
            return _reading(*found)

    async def follow(self, entry: str, seconds: float) -> list[Entry]:
        """Wait up to `seconds` for entries after `entry`, and return them."""
        streams: Any = {self._events: entry or "0-0"}
        asked = cast("Awaitable[Any]", self._client.xread(streams, count=ENTRIES, block=_ms(seconds)))
        found: Any = await self._ask(asked, [self._events], seconds)
        # RESP3 answers with a dict, RESP2 with a list of pairs.
        pages = found.values() if isinstance(found, dict) else [entries for _, entries in found or ()]
        with reading("an entry of the stream"):
            return [_entry(*it) for page in pages for it in _flat(page)]

    async def back(self, entry: str) -> list[Entry]:
        """Return an entry and the ones before it, the newest first."""
        asked = cast("Awaitable[Any]", self._client.xrevrange(self._events, entry, "-", count=ENTRIES))
        found: Any = await self._ask(asked, [self._events])
        with reading("an entry of the stream"):
            return [_entry(*it) for it in found]

    # ---- for groups --------------------------------------------------------------------------------------------------

    async def begin(self, group: str, consumer: str, attempt: str) -> bool:
        """Start an attempt of a consumer. Its unacknowledged entries become available to every consumer.

        Returns whether the group exists: it starts at the first publication.

        Args:
            group: The group.
            consumer: The consumer's name.
            attempt: The process and the attempt's number, which grows.
        """
        return bool(await self._run(scripts.BEGIN, self._group_keys(group), consumer=consumer, attempt=attempt))

    async def leave(self, group: str, consumer: str, process: str) -> None:
        """End a consumer's process. Its unacknowledged entries become available, and its late requests get nothing."""
        await self._run(scripts.LEAVE, self._group_keys(group), consumer=consumer, process=process)

    async def take(self, group: str, consumer: str, attempt: str, claim: float) -> Entry | None:
        """Claim the group's next entry, one that no consumer works on; None if there is none.

        Raises:
            Superseded: Redis knows another attempt of this consumer.
        """
        keys = self._group_keys(group)
        found = await self._run(scripts.TAKE, keys, consumer=consumer, attempt=attempt, claim=_ms(claim))
        if found is None:
            raise Superseded(consumer)
        with reading("a group's work"):
            return Entry(id=_text(found[0]), change=read_work(_text(found[1]))) if found else None

    async def done(self, group: str, entry: str) -> None:
        """Acknowledge an entry."""
        await self._run(scripts.DONE, self._group_keys(group), entry=entry)

    async def touch(self, group: str, entry: str, claim: float) -> None:
        """Extend the claim to an entry by `claim` seconds from now."""
        await self._run(scripts.TOUCH, self._group_keys(group), entry=entry, claim=_ms(claim))

    # ---- the connection ----------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close the connections, unless the client is the caller's."""
        if self._is_own:
            await self._client.aclose()

    async def _run(self, script: Script, group_keys: Mapping[str, str], **arguments: str | int) -> Any:
        known = {
            "leader": self._leader,
            "meta": self._meta,
            "agents": self._agents,
            "events": self._events,
            **group_keys,
        }
        keys = [known[name] for name in script.keys]
        registered = self._client.register_script(script.text)
        values: list[Any] = script.ordered(arguments)
        return await self._ask(cast("Awaitable[Any]", registered(keys=list(keys), args=values)), keys)

    async def _ask(self, answer: Awaitable[Any], keys: Sequence[str], waits: float = 0.0) -> Any:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # this is a coroutine
        cancelled = task.cancelling()
        patience = self._timeout + waits
        limit = asyncio.timeout(None if self._is_own else patience)
        failure: TransportError | RelayError | None = None
        found: Any = None
        try:
            async with limit:
                with waiting(waits) if self._is_own else nullcontext():
                    found = await answer
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
            said = f"no answer within {patience:g} s" if limit.expired() else reason_of(error)
            failure = self._translated(error, said, keys)
            # redis-py's frames hold the password while it logs in.
            failure.__cause__ = None if isinstance(failure, RelayError) else _without_frames(error)
        if task.cancelling() > cancelled:
            # A caller's client may have suppressed the cancellation, or failed because of it; see `connect`.
            raise asyncio.CancelledError
        if failure is not None:
            # Raised outside the except block so that no context is chained.
            raise failure
        return found

    def _translated(self, error: Exception, said: str, keys: Sequence[str]) -> TransportError | RelayError:
        translated: TransportError | RelayError
        # On a Unix socket and with a cluster, redis-py wraps the error of a refused login.
        if isinstance(error, _REFUSED) or isinstance(error.__cause__, _REFUSED) or said.startswith(_REFUSALS):
            translated = RelayError(f"Redis refuses the user: {said}; docs/relay.md lists the permissions it needs")
        elif isinstance(error, exceptions.ResponseError) and not _passes(error, said):
            translated = RelayError(f"Redis refuses the request: {said}{_advice(said, keys)}")
        else:
            moved = "; this node of a cluster does not have the keys: pass a RedisCluster as the client"
            translated = TransportError(
                f"Redis is away: {said}{moved if isinstance(error, exceptions.MovedError) else ''}"
            )
        translated.where = self.where
        return translated


def _options(client: Redis | RedisCluster) -> Mapping[str, Any]:
    """Return the options of a client's connections."""
    return client.connection_kwargs if isinstance(client, RedisCluster) else client.connection_pool.connection_kwargs


def _server(client: Redis | RedisCluster) -> str:
    if isinstance(client, RedisCluster):
        return f"the cluster of {', '.join(client.nodes_manager.startup_nodes)}"
    if isinstance(client.connection_pool, SentinelConnectionPool):
        return f"Sentinel's {client.connection_pool.service_name}"
    known = _options(client)
    return known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}"


def _without_frames(error: BaseException) -> BaseException:
    """Remove the tracebacks, and with them local variables, from an error and its causes."""
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None and link.__traceback__ is not None:
            link.__traceback__ = None
            links += link.__cause__, link.__context__
    return error


def _passes(error: Exception, said: str) -> bool:
    return isinstance(error, _PASSING_ERRORS) or said.startswith(_PASSING) or "max number of clients" in said


def _advice(said: str, keys: Sequence[str]) -> str:
    if said.startswith("WRONGTYPE"):
        return f"; other data is in {' or '.join(keys)}: delete it if it is not needed, or choose another prefix"
    return f"; {OLD_REDIS}" if "unknown" in said or "syntax" in said else ""


_HEAD: Final = ("version", "confirmed", "renewals", "alive", "lease", "seen", "feed")


def _head(fields: Iterable[object]) -> Head:
    version, confirmed, renewals, alive, lease, seen, feed = map(_text, fields)
    if version:
        check_version(int(version) if version.isdecimal() else version)
    return Head(
        # Format 1 has the time of the confirmation instead, in ms.
        confirmed=int(confirmed or alive or 0),
        renewals=int(renewals or alive or 0),
        lease=int(lease or 0) / 1000,
        seen=read_time(seen) if seen else None,
        feed=read_feed(json.loads(feed or "null")),
    )


def _reading(
    head: Sequence[object],
    published: Sequence[object],
    entries: Iterable[Any],
    agents: Iterable[object] | None = None,
) -> Reading:
    known = _head(head)
    return Reading(
        head=known,
        entries=[_entry(*it) for it in entries],
        state=None if agents is None else _state(known, published, map(_text, agents)),
    )


def _state(head: Head, published: Iterable[object], agents: Iterable[str]) -> State:
    sequence, lock, entry, moment = map(_text, published)
    if entry and _ENTRY.fullmatch(entry) is None:
        raise ValueError(f"{entry!r} is not the id of a stream entry")
    snapshot = read_snapshot(moment or "null", agents)
    if entry and snapshot is None and not isinstance(head.feed, FeedDown):
        raise ValueError("there is no snapshot")
    return State(entry=entry, sequence=int(sequence or 0), lock=lock, snapshot=snapshot, feed=head.feed)


def _entry(entry: object, fields: Any) -> Entry:
    if not isinstance(fields, Mapping):
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(id=_text(entry), change=read_change({_text(name): _text(value) for name, value in fields.items()}))


def _flat(page: Any) -> Any:
    """Return a page's entries, which RESP3 nests in one more list."""
    return page[0] if page and isinstance(page[0], list) else page


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _text(value: object) -> str:
    return "" if value is None else value.decode() if isinstance(value, bytes) else str(value)
