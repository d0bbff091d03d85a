"""`PushReceiver`: takes pushes from any web framework, and makes a watcher poll."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias, runtime_checkable

import attrs
from aiohttp import web

from sipqueue_async import Snapshot, StatusWatcher, diff
from sipqueue_async._backoff import backoff
from sipqueue_async.push.agenda import WHOLE, Agenda

LARGEST_PUSH: Final = 64 * 1024
"""The largest accepted body, in bytes."""
_END: Final = "endtime"
"""A field of a call's record, and of no other push."""
_TAKEN: Final = b"1"
"""What the platform expects as the answer to a push that was taken."""
_LONGEST_PAUSE: Final = 60.0
_READ_TIMEOUT: Final = 10.0
_TICK: Final = 0.001
"""A timer of less than the clock's resolution may not advance it."""
_EXTENSION: Final = "extnumber"

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_Message: TypeAlias = MutableMapping[str, Any]


class PushRefused(Exception):  # noqa: N818  # a public name of the contract
    """A push that was not taken. Nothing of it is in the text.

    Args:
        status: The HTTP status to answer with, and nothing else: 400 for a body that is not JSON of the expected form,
            403 for an address that is not allowed, 404 for another path or method, 408 for a body that does not arrive,
            413 for one that is too long, 429 for too many at once.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"push refused with HTTP status {self.status}"


@attrs.frozen(kw_only=True)
class PushHealth:
    """Totals of a receiver since its creation."""

    taken: int = 0
    """Pushes that were taken."""
    refused: int = 0
    """Pushes that were refused: malformed, too long, too many, or from an address that is not allowed."""
    polls: int = 0
    """Polls that pushes caused, successful or failed."""
    partial: int = 0
    """Those of them that asked for one extension only."""
    useful: int = 0
    """Polls that pushes caused and that found a change."""
    failures: int = 0
    """Polls that pushes caused and that failed."""
    last_push_at: datetime | None = None
    """When the last push was taken (aware)."""


@runtime_checkable
class Pollable(Protocol):
    """What pushes can cause to poll: a `StatusWatcher`, or a `Relay`, which polls while it leads."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The last good snapshot, if there is one."""
        ...

    async def refresh(self, *, anew: bool = False) -> Snapshot | None:
        """Poll now and return the snapshot; None if it is not the one that polls."""
        ...


@runtime_checkable
class PartlyPollable(Pollable, Protocol):
    """What can also poll single extensions: a `StatusWatcher` or a `Relay`. Of others, pushes poll the whole status."""

    async def refresh_extensions(self, extensions: Iterable[str]) -> Snapshot | None:
        """Poll the seats of these extensions now, and return the snapshot of all; None if it is not what polls."""
        ...


class PushReceiver:
    """Makes a watcher poll when the platform pushes that something happened.

    ``async with receiver`` starts its task; leave it before the watcher. Pushes only say when and where to look, so
    lost, repeated, late and forged pushes change the time of events and nothing else. However many pushes arrive, there
    is at most one poll of the receiver each `min_interval`, and a push during a poll causes another one after it,
    because the answer may be older than the push.

    If the snapshot has more than `whole_up_to` seats, a poll asks for one of the extensions that the pushes name. Then
    there is at most one poll of each extension in `min_interval`, and eight of them together, one after another. The
    whole status is polled if a push names no extension of the snapshot, if they name more, and in a flood.

    After failed polls the receiver waits longer between polls, up to a minute. The watcher's own schedule goes on.

    Args:
        watcher: The watcher, or a `Relay`.
        min_interval: The least seconds between the starts of two polls that pushes cause.
        allow: Addresses or networks that may push, such as ``"192.0.2.7"`` or ``"192.0.2.0/24"``; by default all.
            Behind a proxy the address is the proxy's.
        max_rate: More pushes than this in a second are refused unread (429); they still count as a hint.
        whole_up_to: Up to this number of seats, poll the whole status each time. A seat has about 350 bytes.
        on_record: Called for each push that is, or may be, the record of a finished call: `CallFeed.look`. It gets
            nothing of the push.

    Raises:
        TypeError: `watcher` cannot be made to poll.
        ValueError: An argument is invalid.
    """

    def __init__(
        self,
        watcher: Pollable,
        *,
        min_interval: float = 0.5,
        allow: str | Iterable[str] = (),
        max_rate: int = 200,
        whole_up_to: int = 50,
        on_record: Callable[[], object] | None = None,
    ) -> None:
        if not isinstance(watcher, Pollable):
            raise TypeError(f"watcher must be a StatusWatcher or a Relay, not {type(watcher).__name__}")
        if not 0 < min_interval < math.inf:
            raise ValueError(f"min_interval must be above 0 seconds, not {min_interval!r}")
        if max_rate < 1:
            raise ValueError(f"max_rate must be at least 1 push a second, not {max_rate!r}")
        if whole_up_to < 0:
            raise ValueError(f"whole_up_to must be 0 seats or more, not {whole_up_to!r}")
        self._watcher = watcher
        self._parts = watcher if isinstance(watcher, PartlyPollable) else None
        self._min_interval = min_interval
        self._agenda = Agenda(min_interval, whole_up_to)
        self._allowed = _networks(allow)
        self._max_rate = max_rate
        self._on_record = on_record
        self._second = -math.inf
        self._in_second = 0
        # Whether there were too many pushes in the second before.
        self._was_flooded = False
        self._asked = asyncio.Event()
        self._health = PushHealth()
        self._task: asyncio.Task[None] | None = None

    @property
    def health(self) -> PushHealth:
        """Pushes taken and refused, and the polls that they caused."""
        return self._health

    def __repr__(self) -> str:
        condition = "running" if self._task is not None and not self._task.done() else "not running"
        return f"<PushReceiver, {condition}, {self._health.taken} taken, {self._health.refused} refused>"

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a receiver runs once; make a new one")
        self._task = asyncio.create_task(self._work(), name="sipqueue push receiver")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:  # pragma: no branch  # it has been entered
            self._task.cancel()
            await asyncio.wait([self._task])

    # ---- pushes ------------------------------------------------------------------------------------------------------

    async def handle(
        self, body: bytes, headers: Mapping[str, str] | None = None, *, remote: str | None = None
    ) -> bytes:
        """Take a push and return the body of the answer, which is sent with HTTP status 200. It never waits for a poll.

        Args:
            body: The body of the request.
            headers: Its headers. None of them is used at present.
            remote: The sender's IP address, for `allow`.

        Raises:
            PushRefused: The push is not taken: answer with its `status` and an empty body.
        """
        del headers
        self._admit(remote)
        return self._take(body)

    def _take(self, body: bytes) -> bytes:
        if len(body) > LARGEST_PUSH:
            raise self._refusal(413)
        parts = _parts(body)
        if parts is None:
            raise self._refusal(400)
        names = [WHOLE] if self._was_flooded else [part.get(_EXTENSION) for part in parts]
        self._ask(names, is_record=any(_END in part for part in parts))
        self._health = attrs.evolve(self._health, taken=self._health.taken + 1, last_push_at=datetime.now(UTC))
        return _TAKEN

    async def aiohttp_handler(self, request: web.Request) -> web.Response:
        """Take a push from aiohttp: ``app.router.add_post("/a-long-random-path", receiver.aiohttp_handler)``."""
        parts: list[bytes] = []

        async def read() -> bytes:
            while sum(map(len, parts)) <= LARGEST_PUSH and not request.content.at_eof():
                parts.append(await request.content.readany())
            return b"".join(parts)

        try:
            return web.Response(body=await self._taken(read, request.method, request.remote))
        except PushRefused as refusal:
            return web.Response(status=refusal.status)

    async def asgi(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        """Take a push as an ASGI application, to mount at a long random path.

        Raises:
            ValueError: It is not an HTTP request.
        """
        if scope["type"] != "http":
            raise ValueError(f"a push receiver serves http, not {scope['type']}")
        client = scope.get("client")

        async def read() -> bytes:
            body, more = b"", True
            while more and len(body) <= LARGEST_PUSH:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            return body

        status, answer = 200, b""
        try:
            answer = await self._taken(read, scope["method"], client[0] if client else None)
        except PushRefused as refusal:
            status = refusal.status
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})

    async def _taken(self, read: Callable[[], Awaitable[bytes]], method: str, remote: str | None) -> bytes:
        if method != "POST":
            raise self._refusal(404)
        self._admit(remote)
        try:
            async with asyncio.timeout(_READ_TIMEOUT):
                body = await read()
        except (TimeoutError, ConnectionError):
            raise self._refusal(408) from None
        except web.RequestPayloadError:
            raise self._refusal(400) from None
        return self._take(body)

    def _admit(self, remote: str | None) -> None:
        if self._allowed and not _is_within(remote, self._allowed):
            raise self._refusal(403)
        second = math.floor(asyncio.get_running_loop().time())
        if second != self._second:
            self._was_flooded = second == self._second + 1 and self._in_second > self._max_rate
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > self._max_rate:
            # Some may be genuine, and all of them share one poll.
            self._ask([WHOLE], is_record=True)
            raise self._refusal(429)

    def _ask(self, names: Iterable[object], *, is_record: bool) -> None:
        if self._agenda.add(names):
            self._asked.set()
        if is_record and self._on_record is not None:
            self._on_record()

    def _refusal(self, status: int) -> PushRefused:
        self._health = attrs.evolve(self._health, refused=self._health.refused + 1)
        return PushRefused(status)

    # ---- polls -------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            name = await self._next()
            began = loop.time()
            self._agenda.begin(name, began)
            before, wholes = self._watcher.snapshot, self._whole_polls
            try:
                after = await self._poll(name)
            except Exception:  # noqa: BLE001  # the watcher reports it to its consumers
                if isinstance(self._watcher, StatusWatcher) and self._watcher.health.ended:
                    return
                failures += 1
                self._count(name, failed=True)
                longest = max(_LONGEST_PAUSE, self._min_interval)
                self._agenda.wait_until(began + backoff(failures, 2 * self._min_interval, longest))
            else:
                failures = 0
                if self._whole_polls != wholes:
                    # Of an extension too, while the watcher polls only the whole.
                    self._agenda.whole_began(began)
                if after is not None:
                    self._count(name, useful=before is not None and bool(diff(before, after)))

    async def _next(self) -> str:
        """Wait until a poll may begin, and return what it asks for."""
        loop = asyncio.get_running_loop()
        while True:
            self._asked.clear()
            if self._agenda.is_empty:
                await self._asked.wait()
            known = None if self._parts is None else self._watcher.snapshot
            now = loop.time()
            when, name = self._agenda.next(now, known)
            if when <= now:
                return name
            # A push that arrives meanwhile may name an extension that can be polled at once.
            timer = loop.call_later(max(_TICK, when - now), self._asked.set)
            await self._asked.wait()
            timer.cancel()

    @property
    def _whole_polls(self) -> int:
        """How often the watcher has polled the whole status; always 0 for objects of other libraries."""
        return getattr(self._watcher, "_whole_polls", 0)

    async def _poll(self, name: str) -> Snapshot | None:
        if name != WHOLE and self._parts is not None:
            return await self._parts.refresh_extensions([name])
        return await self._watcher.refresh(anew=True)

    def _count(self, name: str, *, failed: bool = False, useful: bool = False) -> None:
        health = self._health
        self._health = attrs.evolve(
            health,
            polls=health.polls + 1,
            partial=health.partial + (name != WHOLE),
            failures=health.failures + failed,
            useful=health.useful + useful,
        )


def _parts(body: bytes) -> list[Mapping[str, Any]] | None:
    """Return the objects of a push, or None if it is not one."""
    try:
        # Names may be in GBK; they are not used.
        push = json.loads(body.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    parts = push if isinstance(push, list) else [push]
    return parts if all(isinstance(part, dict) for part in parts) else None


def _networks(addresses: str | Iterable[str]) -> tuple[_Network, ...]:
    if isinstance(addresses, str):
        addresses = [addresses]
    try:
        return tuple(ipaddress.ip_network(address) for address in addresses)
    except ValueError as error:
        raise ValueError(f"allow must contain IP addresses or networks: {error}") from None


def _is_within(remote: str | None, networks: Iterable[_Network]) -> bool:
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return False
    # A server that listens on IPv6 sees IPv4 addresses in this form.
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)
