"""One platform's keys in Redis: what can be done with them, and what Redis's errors mean."""

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
from sipqueue_async.redis import scripts
from sipqueue_async.redis.connection import connect, waiting
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
"""Seconds without progress after which Redis counts as away, unless the caller says otherwise."""
ENTRIES: Final = 64
"""The most entries that are read at once: as many as a feed's stream holds by default, so that a consumer gets each of
them even if its reader was far behind."""

_ENTRY: Final = re.compile(r"\d+-\d+")

# Errors about the state of the server, which pass. Others last until somebody repairs the cause.
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
    # A blocked request ends with it when its master becomes a replica.
    "UNBLOCKED",
)
_PASSING_ERRORS: Final = (
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterError,
    exceptions.TryAgainError,
    exceptions.AskError,
    # Redis was restarted between receiving a script and being asked to run it.
    exceptions.NoScriptError,
)
_REFUSED: Final = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.NoPermissionError,
)
# How Redis 7.0 and later versions refuse a command inside a script.
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
    """Another attempt of the same consumer has begun: another process uses its name, or Redis lost this attempt."""


class Answer(StrEnum):
    """Redis's answer to a relay."""

    OK = "ok"
    NOT_LEADER = "not_leader"
    """The relay does not hold the lock any more."""
    CONFLICT = "conflict"
    """Redis does not hold the publication that the relay's request builds on."""


@attrs.frozen(kw_only=True)
class Lock:
    """The lock, and how often it was renewed: a lock whose number stands still for a lease is free to take."""

    lock: str
    renewals: str

    def is_of(self, owner: str) -> bool:
        """Return whether a relay holds it."""
        return self.lock.partition(" ")[2] == owner


@attrs.frozen(kw_only=True)
class Entry:
    """One entry of the stream."""

    id: str
    change: Change


@attrs.frozen(kw_only=True)
class State:
    """Everything that is published, at one moment."""

    entry: str
    """The id of the last entry in it; empty before the first."""
    sequence: int
    lock: str
    """The lock under which it was published: which relay, in which of its terms; empty before the first."""
    snapshot: Snapshot | None
    feed: FeedEvent | None
    """The last event about the feed."""


@attrs.frozen(kw_only=True)
class Head:
    """What Redis holds about the publications as a whole."""

    confirmed: int
    """A number that grows whenever a relay confirms that the last publication is up to date; 0 before the first."""
    renewals: int
    """How often relays have renewed their locks: it grows as long as one is there, whatever it can confirm."""
    lease: float
    """Seconds for which a relay may be silent."""
    seen: datetime | None
    """The time of the relay's last good poll; None before there was one."""
    feed: FeedEvent | None
    """The last event about the feed."""


@attrs.frozen(kw_only=True)
class Reading:
    """What a reader finds."""

    head: Head
    entries: Sequence[Entry]
    """The entries after the requested one."""
    state: State | None
    """The whole state, where the stream does not continue from the requested entry."""


class Store:
    """A platform's keys in one Redis.

    Args:
        redis: A URL (``redis://``, ``rediss://`` or ``unix://``), or a client of the caller's, which is not closed.
        prefix: The prefix of the keys, without its braces: the same for a platform's relays and all of their readers.
        timeout: Seconds without progress after which Redis counts as away. With a client of the caller's, which
            shows no progress, they are the limit for a whole answer.

    Raises:
        TypeError: `redis` is neither a URL nor a client of ``redis.asyncio``.
        ValueError: The URL, the prefix or the timeout makes no sense; the message holds no password.
    """

    def __init__(self, redis: str | Redis | RedisCluster, prefix: str, timeout: float = TIMEOUT) -> None:
        if not isinstance(redis, str | Redis | RedisCluster):
            raise TypeError(
                f"redis must be a URL, or a Redis or RedisCluster of redis.asyncio, not {type(redis).__name__}"
            )
        if not prefix or set(prefix) & set("{}"):
            raise ValueError(f"prefix must be a name without braces, not {prefix!r}")
        if not 0 < timeout < math.inf:
            raise ValueError(f"timeout must be above 0 seconds, not {timeout!r}")
        self._is_own = isinstance(redis, str)
        self._client = connect(redis, timeout) if isinstance(redis, str) else redis
        self._server = _server(self._client)
        self._timeout = timeout
        self._prefix = f"{{{prefix}}}"
        self._leader, self._meta, self._agents, self._events = map(self._key, ("leader", "meta", "agents", "events"))

    def _key(self, *names: str) -> str:
        return ":".join((self._prefix, *names))

    def _group_keys(self, group: str) -> dict[str, str]:
        # The group's name comes last, so that no name makes a key of another group.
        kinds = {"seen": "group-seen", "work": "group-work", "due": "group-due", "owners": "group-owners"}
        return {"group": self._key("group", group)} | {name: self._key(kind, group) for name, kind in kinds.items()}

    @property
    def longest_wait(self) -> float:
        """The most seconds for which Redis can be asked to wait: a caller's client may have a timeout of its own."""
        timeout = _options(self._client).get("socket_timeout", TIMEOUT)
        return math.inf if timeout is None else timeout / 2

    @property
    def where(self) -> str:
        """Where this is, for people to read; without secrets."""
        return f"Redis at {self._server}, keys {self._prefix}:*"

    # ---- for relays --------------------------------------------------------------------------------------------------

    async def acquire(self, owner: str, stale: Lock | None = None) -> Lock:
        """Take the lock if it is free; return the lock, whoever holds it then.

        Args:
            owner: The relay that asks.
            stale: What the relay has seen of the lock for a whole lease: if it is still so, the lock is free.
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
        """Release the relay's lock, also one that it took without hearing of it."""
        await self._run(scripts.RELEASE, {}, owner=owner)

    async def renew(self, lock: str, sequence: int, lease: float, *, seen: str = "", confirms: bool = False) -> Answer:
        """Renew the lock and, if the relay can tell, confirm that publication `sequence` is up to date."""
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
        """Publish what comes after publication `sequence`, in one step."""
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
        """Return what Redis holds about the publications as a whole, which is little."""
        asked = cast("Awaitable[Any]", self._client.hmget(self._meta, list(_HEAD)))
        with reading("what is published"):
            return _head(await self._ask(asked, [self._meta]))

    async def read(self, entry: str = "") -> Reading:
        """Return the entries after an entry, or the whole state where the stream does not continue from it."""
        found = await self._run(scripts.READ, {}, last=entry, count=ENTRIES)
        with reading("what is published"):
            return _reading(*found)

    async def follow(self, entry: str, seconds: float) -> list[Entry]:
        """Return the entries after an entry as soon as there are any; none after so many seconds."""
        streams: Any = {self._events: entry or "0-0"}
        asked = cast("Awaitable[Any]", self._client.xread(streams, count=ENTRIES, block=_ms(seconds)))
        found: Any = await self._ask(asked, [self._events], seconds)
        # By the version of the protocol, a dict or a list of pairs.
        pages = found.values() if isinstance(found, dict) else [entries for _, entries in found or ()]
        with reading("an entry of the stream"):
            return [_entry(*it) for page in pages for it in _flat(page)]

    # ---- for groups --------------------------------------------------------------------------------------------------

    async def begin(self, group: str, consumer: str, attempt: str) -> bool:
        """Start an attempt of a consumer: what it took before and has not done becomes available to all.

        Returns whether the group has started, which it cannot before the first publication.

        Args:
            group: The group.
            consumer: The consumer's name.
            attempt: The process, and the attempt's number, which grows.
        """
        return bool(await self._run(scripts.BEGIN, self._group_keys(group), consumer=consumer, attempt=attempt))

    async def leave(self, group: str, consumer: str, process: str) -> None:
        """End a consumer's process: what it took and has not done becomes available to all, and it takes no more."""
        await self._run(scripts.LEAVE, self._group_keys(group), consumer=consumer, process=process)

    async def take(self, group: str, consumer: str, attempt: str, claim: float) -> Entry | None:
        """Take the group's next work, if there is any: a change that no consumer of it has.

        Raises:
            Superseded: A later attempt of this consumer has begun.
        """
        keys = self._group_keys(group)
        found = await self._run(scripts.TAKE, keys, consumer=consumer, attempt=attempt, claim=_ms(claim))
        if found is None:
            raise Superseded(consumer)
        with reading("a group's work"):
            return Entry(id=_text(found[0]), change=read_work(_text(found[1]))) if found else None

    async def done(self, group: str, entry: str) -> None:
        """Acknowledge a work."""
        await self._run(scripts.DONE, self._group_keys(group), entry=entry)

    async def touch(self, group: str, entry: str, claim: float) -> None:
        """Say that a work is still being done."""
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
            said = f"no answer within {patience:g} s" if limit.expired() else str(error) or type(error).__name__
            failure = self._translated(error, said, keys)
            # Where the user was refused, or is logging in, redis-py's frames hold the password.
            failure.__cause__ = None if isinstance(failure, RelayError) else _without_frames(error)
        if task.cancelling() > cancelled:
            # A caller's client may have swallowed the cancellation, or failed because of it; see `connect`.
            raise asyncio.CancelledError
        if failure is not None:
            # Raised outside the except block so that no context is chained.
            raise failure
        return found

    def _translated(self, error: Exception, said: str, keys: Sequence[str]) -> TransportError | RelayError:
        translated: TransportError | RelayError
        # Over a Unix socket, and with a cluster, redis-py wraps a refusal.
        if isinstance(error, _REFUSED) or isinstance(error.__cause__, _REFUSED) or said.startswith(_REFUSALS):
            translated = RelayError(f"Redis refuses the user: {said}; docs/relay.md lists what it must be allowed")
        elif isinstance(error, exceptions.ResponseError) and not _passes(error, said):
            translated = RelayError(f"Redis cannot do what is needed: {said}{_advice(said, keys)}")
        else:
            moved = "; this node of a cluster does not have the keys: give a RedisCluster as the client"
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
    """Return an error without the local variables of the frames that raised it and its causes."""
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
        return f"; something else is in {' or '.join(keys)}: delete it if nobody needs it, or choose another prefix"
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
        raise ValueError(f"{entry!r} is no entry of a stream")
    snapshot = read_snapshot(moment or "null", agents)
    if entry and snapshot is None and not isinstance(head.feed, FeedDown):
        raise ValueError("there is no snapshot")
    return State(entry=entry, sequence=int(sequence or 0), lock=lock, snapshot=snapshot, feed=head.feed)


def _entry(entry: object, fields: Any) -> Entry:
    if not isinstance(fields, Mapping):
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(id=_text(entry), change=read_change({_text(name): _text(value) for name, value in fields.items()}))


def _flat(page: Any) -> Any:
    """Return a page's entries, which one version of the protocol nests in one more list."""
    return page[0] if page and isinstance(page[0], list) else page


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _text(value: object) -> str:
    return "" if value is None else value.decode() if isinstance(value, bytes) else str(value)
