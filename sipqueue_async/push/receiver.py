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

LARGEST_PUSH: Final = 64 * 1024
"""The largest accepted body, in bytes."""
_END: Final = "endtime"
"""A field of a call's record, and of no other push."""
_TAKEN: Final = b"1"
"""What the platform expects as the answer to a push that was taken."""
_LONGEST_PAUSE: Final = 60.0
_READ_TIMEOUT: Final = 10.0
_MOST_DOUBLINGS: Final = 16

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


class PushReceiver:
    """Makes a watcher poll when the platform pushes that something happened.

    ``async with receiver`` starts its task; leave it before the watcher. Pushes only say when to look: no value of them
    is used, so lost, repeated, late and forged pushes change the time of events and nothing else. However many pushes
    arrive, there is at most one poll of the receiver each `min_interval`, and a push during a poll causes another one
    after it, because the answer may be older than the push.

    After failed polls the receiver waits longer between polls, up to a minute. The watcher's own schedule goes on.

    Args:
        watcher: The watcher, or a `Relay`.
        min_interval: The least seconds between the starts of two polls that pushes cause.
        allow: Addresses or networks that may push, such as ``"192.0.2.7"`` or ``"192.0.2.0/24"``; by default all.
            Behind a proxy the address is the proxy's.
        max_rate: More pushes than this in a second are refused unread (429); they still count as a hint.
        on_record: Called for each push that is, or may be, the record of a finished call: `CallFeed.look`. It gets
            nothing of the push.

    Raises:
        ValueError: An argument is invalid.
    """

    def __init__(
        self,
        watcher: Pollable,
        *,
        min_interval: float = 0.5,
        allow: str | Iterable[str] = (),
        max_rate: int = 200,
        on_record: Callable[[], object] | None = None,
    ) -> None:
        if not 0 < min_interval < math.inf:
            raise ValueError(f"min_interval must be above 0 seconds, not {min_interval!r}")
        if max_rate < 1:
            raise ValueError(f"max_rate must be at least 1 push a second, not {max_rate!r}")
        self._watcher = watcher
        self._min_interval = min_interval
        self._allowed = _networks(allow)
        self._max_rate = max_rate
        self._on_record = on_record
        self._second = -math.inf
        self._in_second = 0
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
        self._ask(is_record=any(_END in part for part in parts))
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
        except TimeoutError:
            raise self._refusal(408) from None
        return self._take(body)

    def _admit(self, remote: str | None) -> None:
        if self._allowed and not _is_within(remote, self._allowed):
            raise self._refusal(403)
        second = math.floor(asyncio.get_running_loop().time())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > self._max_rate:
            # Some may be genuine, and all of them share one poll.
            self._ask(is_record=True)
            raise self._refusal(429)

    def _ask(self, *, is_record: bool) -> None:
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
            await self._asked.wait()
            self._asked.clear()
            began = loop.time()
            before = self._watcher.snapshot
            try:
                after = await self._watcher.refresh(anew=True)
            except Exception:  # noqa: BLE001  # the watcher reports it to its consumers
                if isinstance(self._watcher, StatusWatcher) and self._watcher.health.ended:
                    return
                failures += 1
                self._count(failed=True)
            else:
                failures = 0
                if after is not None:
                    self._count(useful=before is not None and bool(diff(before, after)))
            longest = max(_LONGEST_PAUSE, self._min_interval)
            pause = min(longest, self._min_interval * 2 ** min(failures, _MOST_DOUBLINGS))
            await asyncio.sleep(max(0.0, began + pause - loop.time()))

    def _count(self, *, failed: bool = False, useful: bool = False) -> None:
        health = self._health
        self._health = attrs.evolve(
            health, polls=health.polls + 1, failures=health.failures + failed, useful=health.useful + useful
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
