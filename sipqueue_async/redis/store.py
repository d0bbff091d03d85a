"""One platform's place in Redis: its keys, what can be done there, and what the errors mean."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, cast
from urllib.parse import urlsplit

import attrs
from redis import exceptions
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff

from sipqueue_async import FeedEvent, Snapshot, TransportError
from sipqueue_async.redis import scripts
from sipqueue_async.redis.publication import (
    VERSION,
    Change,
    RelayError,
    Words,
    check_version,
    feed_words,
    read_change,
    read_feed,
    read_snapshot,
    read_time,
    read_work,
    reading,
)

_PATIENCE: Final = 5.0
"""Seconds that Redis has for an answer, apart from the time that it was asked to wait for something to happen."""
_ENTRIES: Final = 64
"""How many entries are read at once, at most: as many as wait in a stream of a feed unless it is told otherwise, so
that a consumer is handed each of them also where its reader was far behind."""

# Redis says these of itself, and they pass; what else it answers with an error stays as it is until somebody mends it.
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
    # Whoever was waiting for something when a master became a replica is told so.
    "UNBLOCKED",
)
_PASSING_ERRORS: Final = (
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterError,
    exceptions.TryAgainError,
    exceptions.AskError,
    # It was restarted between being given a script and being asked to run it.
    exceptions.NoScriptError,
)
_REFUSED: Final = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
    exceptions.NoPermissionError,
)
# A script is refused in the words of Redis 7.0, or in those of later ones.
_IN_SCRIPTS: Final = ("The user executing the script can't", "ACL failure in script")
_REFUSALS: Final = ("NOAUTH", "NOPERM", "WRONGPASS", *_IN_SCRIPTS)


class Superseded(Exception):  # noqa: N818  # an outcome, which the consumer handles
    """Another attempt of the same consumer has begun: another process has its name, or Redis has lost its own."""


class Answer(StrEnum):
    """What a relay is told."""

    OK = "ok"
    NOT_LEADER = "not_leader"
    """It does not lead any more."""
    CONFLICT = "conflict"
    """What is published is not what it published last."""


@attrs.frozen(kw_only=True)
class Entry:
    """One entry of the stream."""

    id: str
    change: Change


@attrs.frozen(kw_only=True)
class State:
    """Everything that is published, at one moment."""

    entry: str
    """The last entry of the stream that is in it; none before the first."""
    sequence: int
    lock: str
    """Which relay, and in which of its turns of leading, has published it; none before the first."""
    snapshot: Snapshot | None
    feed: FeedEvent | None
    """The last event about the feed."""


@attrs.frozen(kw_only=True)
class Reading:
    """What a reader finds."""

    now: int
    """The time by Redis's clock, in ms; like the next one."""
    alive: int
    """When a relay has last confirmed that what is published is how things are."""
    lease: float
    """For how many seconds a relay leads from there on without a further word."""
    seen: datetime | None
    """The time of the relay's last good poll by then; None before there was one."""
    entries: Sequence[Entry]
    """What comes after the entry that was asked for."""
    state: State | None
    """Everything, where the stream does not go on from that entry."""


class Store:
    """A platform's keys in one Redis.

    Args:
        redis: A URL (``redis://``, ``rediss://`` or ``unix://``), or a client of the caller's, which is not closed.
        prefix: What the keys begin with, in braces: the same for a platform's relays and all of their readers.

    Raises:
        TypeError: It is neither a URL nor a client of ``redis.asyncio``.
        ValueError: The URL or the prefix makes no sense; the message holds no password.
    """

    def __init__(self, redis: str | Redis | RedisCluster, prefix: str) -> None:
        if not isinstance(redis, str | Redis | RedisCluster):
            raise TypeError(
                f"redis must be a URL, or a Redis or RedisCluster of redis.asyncio, not {type(redis).__name__}"
            )
        if not prefix or set(prefix) & set("{}"):
            raise ValueError(f"prefix must be a name without braces, not {prefix!r}")
        self._is_own = isinstance(redis, str)
        self._client = _connect(redis) if isinstance(redis, str) else redis
        self._place = _place(self._client)
        self._prefix = f"{{{prefix}}}"
        self._leader, self._meta, self._agents, self._events = map(self._key, ("leader", "meta", "agents", "events"))

    def _key(self, *names: str) -> str:
        return ":".join((self._prefix, *names))

    def _group_keys(self, group: str, *kinds: str) -> list[str]:
        # The name comes last, so that no group's name makes a key of another one's.
        return [self._key(kind, group) for kind in kinds]

    @property
    def longest_wait(self) -> float:
        """For how many seconds Redis can be asked to wait for something, for the client does not wait for ever."""
        timeout = _options(self._client).get("socket_timeout", _PATIENCE)
        return math.inf if timeout is None else timeout / 2

    @property
    def where(self) -> str:
        """Where this is, for people to read, without a secret."""
        return f"Redis at {self._place}, keys {self._prefix}:*"

    # ---- for relays --------------------------------------------------------------------------------------------------

    async def acquire(self, owner: str, lease: float) -> str | None:
        """Take the lead, if nobody else has it, and return the lock."""
        term = await self._run(scripts.ACQUIRE, [self._leader, self._meta], owner, _ms(lease))
        return f"{term} {owner}" if term else None

    async def release(self, owner: str) -> None:
        """Leave the lead to another one, also where it was taken without the owner's having heard of that."""
        await self._run(scripts.RELEASE, [self._leader], owner)

    async def renew(self, lock: str, sequence: int, lease: float, *, seen: str, is_current: bool) -> Answer:
        """Go on leading, and say that what was published is how things are, if it is."""
        keys = [self._leader, self._meta]
        return Answer(_text(await self._run(scripts.RENEW, keys, lock, sequence, _ms(lease), seen, int(is_current))))

    async def publish(
        self,
        lock: str,
        said: Words,
        *,
        sequence: int,
        lease: float,
        seen: str,
        feed: FeedEvent | None,
        max_entries: int,
        max_age: timedelta,
    ) -> Answer:
        """Publish what comes after the publication of a number, in one step."""
        keys = [self._leader, self._meta, self._agents, self._events]
        limits = (max_entries, _ms(max_age.total_seconds()))
        arguments = (said.snapshot, feed_words(feed), said.update, said.seats, said.was, said.now)
        return Answer(
            _text(
                await self._run(
                    scripts.PUBLISH, keys, lock, sequence, _ms(lease), seen, VERSION, sequence + 1, *arguments, *limits
                )
            )
        )

    # ---- for readers -------------------------------------------------------------------------------------------------

    async def read(self, entry: str = "") -> Reading:
        """Return what comes after an entry, or everything as it is."""
        keys = [self._meta, self._agents, self._events]
        found = await self._run(scripts.READ, keys, entry, _ENTRIES)
        with reading("what is known"):
            return _reading(*found)

    async def follow(self, entry: str, seconds: float) -> list[Entry]:
        """Return what comes after an entry as soon as there is something; nothing, once so much time has passed."""
        streams: Any = {self._events: entry or "0-0"}
        found: Any = await self._ask(
            cast("Awaitable[Any]", self._client.xread(streams, count=_ENTRIES, block=_ms(seconds))),
            [self._events],
            seconds,
        )
        # By the version of the protocol, a dict or a list of pairs.
        pages = found.values() if isinstance(found, dict) else [entries for _, entries in found or ()]
        with reading("an entry of the stream"):
            return [_entry(*it) for page in pages for it in _flat(page)]

    # ---- for groups --------------------------------------------------------------------------------------------------

    async def begin(self, group: str, consumer: str, attempt: str) -> bool:
        """Let a consumer begin anew: what it has taken before and not done is anybody's.

        Returns whether the group has begun, which it cannot before anything was published.

        Args:
            group: Whose work it shares.
            consumer: Its name.
            attempt: Whose attempt it is, and its number, which grows.
        """
        keys = [*self._group_keys(group, "group", "group-due", "group-owners"), self._meta, self._agents]
        return bool(await self._run(scripts.BEGIN, [*keys, *self._group_keys(group, "group-seen")], consumer, attempt))

    async def leave(self, group: str, consumer: str, process: str) -> None:
        """Let others have what a consumer's process has taken and not done, for it takes no more.

        Args:
            group: Whose work it shares.
            consumer: Its name.
            process: Whose attempts of that name end.
        """
        keys = self._group_keys(group, "group", "group-due", "group-owners")
        await self._run(scripts.LEAVE, keys, consumer, process)

    async def take(self, group: str, consumer: str, attempt: str, claim: float) -> Entry | None:
        """Take the group's next work, if there is any: a change that nobody of it has been handed yet.

        Raises:
            Superseded: A later attempt of this consumer has begun.
        """
        kinds = ("group", "group-seen", "group-work", "group-due", "group-owners")
        keys = [self._meta, self._agents, self._events, *self._group_keys(group, *kinds)]
        found = await self._run(scripts.TAKE, keys, consumer, attempt, _ms(claim))
        if found is None:
            raise Superseded(consumer)
        with reading("a group's work"):
            return Entry(id=_text(found[0]), change=read_work(_text(found[1]))) if found else None

    async def done(self, group: str, entry: str) -> None:
        """Say that a work is done."""
        keys = self._group_keys(group, "group-work", "group-due", "group-owners")
        await self._run(scripts.DONE, keys, entry)

    async def touch(self, group: str, entry: str, claim: float) -> None:
        """Say that a work is still being done."""
        await self._run(scripts.TOUCH, self._group_keys(group, "group-due"), entry, _ms(claim))

    # ---- the connection ----------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close the connections, if they are its own."""
        if self._is_own:
            await self._client.aclose()

    async def _run(self, script: str, keys: Sequence[str], *arguments: object) -> Any:
        registered = self._client.register_script(script)
        values: list[Any] = list(arguments)
        return await self._ask(cast("Awaitable[Any]", registered(keys=list(keys), args=values)), keys)

    async def _ask(self, answer: Awaitable[Any], keys: Sequence[str], waits: float = 0.0) -> Any:
        patience = _PATIENCE + waits
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # this is a coroutine
        cancelled = task.cancelling()
        time = asyncio.timeout(patience)
        failure: TransportError | RelayError | None = None
        found: Any = None
        try:
            async with time:
                found = await answer
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
            said = f"no answer within {patience:g} s" if time.expired() else str(error) or type(error).__name__
            failure = self._translated(error, said, keys)
            # Where the user was refused, or is logging in, redis-py's frames have the password.
            failure.__cause__ = None if isinstance(failure, RelayError) else _without_frames(error)
        if task.cancelling() > cancelled:
            # A caller's client may have swallowed it, also where it failed; see `_connect`.
            raise asyncio.CancelledError
        if failure is not None:
            # Not while the other one is handled, which would be its context.
            raise failure
        return found

    def _translated(self, error: Exception, said: str, keys: Sequence[str]) -> TransportError | RelayError:
        translated: TransportError | RelayError
        # Over a socket of the machine, and with a cluster, redis-py wraps it.
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


def _connect(url: str) -> Redis:
    try:
        place = urlsplit(url)
        # The client would take it for database 0.
        if place.scheme != "unix" and place.path.strip("/"):
            int(place.path.strip("/"))
        # A script that was sent twice does no harm, but what has failed is better said at once. Answers are waited for
        # in `_ask`: with a timeout of its own the client writes in an `asyncio.wait_for`, which up to Python 3.11
        # swallows a cancellation that comes when it is just done, and whoever closes a feed would wait for ever.
        return Redis.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=_PATIENCE,
            socket_timeout=None,
        )
    except ValueError:
        # What Python says of it may quote a part of the password.
        raise ValueError(
            "the Redis URL must be redis://, rediss:// or unix:// with host, port and database; special characters of "
            "user and password are written as %XX"
        ) from None


def _options(client: Redis | RedisCluster) -> Mapping[str, Any]:
    """Return what a client gives to its connections."""
    return client.connection_kwargs if isinstance(client, RedisCluster) else client.connection_pool.connection_kwargs


def _place(client: Redis | RedisCluster) -> str:
    if isinstance(client, RedisCluster):
        return f"the cluster of {', '.join(client.nodes_manager.startup_nodes)}"
    if isinstance(client.connection_pool, SentinelConnectionPool):
        return f"Sentinel's {client.connection_pool.service_name}"
    known = _options(client)
    return known.get("path") or f"{known.get('host', 'localhost')}:{known.get('port', 6379)}"


def _without_frames(error: BaseException) -> BaseException:
    """Return an error without the local variables of those who raised it, and what led to it."""
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
    return "; it has to be version 7 or later" if "unknown" in said or "syntax" in said else ""


def _reading(
    now: int, meta: Sequence[object], entries: Iterable[Any], agents: Iterable[object] | None = None
) -> Reading:
    version, sequence, lock, last, moment, feed, seen, alive, lease = map(_text, meta)
    if version:
        check_version(int(version) if version.isdecimal() else version)
    state = None
    if agents is not None:
        state = State(
            entry=last,
            sequence=int(sequence or 0),
            lock=lock,
            snapshot=read_snapshot(moment or "null", map(_text, agents)),
            feed=read_feed(json.loads(feed or "null")),
        )
    return Reading(
        now=now,
        alive=int(alive or 0),
        lease=int(lease or 0) / 1000,
        seen=read_time(seen) if seen else None,
        entries=[_entry(*it) for it in entries],
        state=state,
    )


def _entry(entry: object, fields: Any) -> Entry:
    if not isinstance(fields, Mapping):
        fields = dict(zip(fields[::2], fields[1::2], strict=True))
    return Entry(id=_text(entry), change=read_change({_text(name): _text(value) for name, value in fields.items()}))


def _flat(page: Any) -> Any:
    """Return a page's entries, which one version of the protocol puts into one list more."""
    return page[0] if page and isinstance(page[0], list) else page


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _text(value: object) -> str:
    return "" if value is None else value.decode() if isinstance(value, bytes) else str(value)
