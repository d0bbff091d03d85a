"""Connections to Redis that time out when no byte moves, and not while a large answer is still arriving."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sipqueue_async._text import plain_reason

_UNSENT: Final = 16_384
"""The most unsent bytes that the kernel buffers. A small number, so that the write buffer here shows the progress."""

_waits: Final[ContextVar[float]] = ContextVar("waits", default=0.0)


@contextmanager
def waiting(seconds: float) -> Generator[None]:
    """Add `seconds` to the timeout of the requests inside the block, for commands that make Redis wait."""
    token = _waits.set(seconds)
    try:
        yield
    finally:
        _waits.reset(token)


def connect(url: str, timeout: float) -> Redis:
    """Return a client for a URL.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        timeout: Seconds without a byte sent or received after which a request fails.

    Raises:
        ValueError: The URL is invalid. The message does not contain the password.
    """
    try:
        place = urlsplit(url)
        if place.scheme != "unix" and place.path.strip("/"):
            # redis-py would use database 0 if the number is invalid.
            int(place.path.strip("/"))
        # No timeout of redis-py: it would limit the whole answer, and up to Python 3.11 its `asyncio.wait_for` may
        # suppress a cancellation, so that closing a feed would wait for ever.
        options: dict[str, Any] = {
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": timeout,
            "socket_timeout": None,
        }
        if place.scheme != "unix":
            options["socket_keepalive"] = True
            options["socket_keepalive_options"] = _keepalive_options()
        client = Redis.from_url(url, **options)
        # Nothing else checks the URL's parameters before the first request.
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (ValueError, TypeError, exceptions.RedisError):
        # Python's message may quote a part of the password.
        raise ValueError(
            "the Redis URL must be redis://, rediss:// or unix:// with host, port and database; special characters of "
            "user and password are written as %XX"
        ) from None
    pool = client.connection_pool
    kind = pool.connection_class
    pool.connection_class = type(f"Patient{kind.__name__}", (_Patient, kind), {"patience": timeout})
    return client


def reason_of(error: Exception) -> str:
    """Return an error's text; of a connection's error, the system's words instead of Python's."""
    trouble = error.__cause__ or error.__context__
    if isinstance(error, exceptions.ConnectionError) and isinstance(trouble, OSError):
        words = plain_reason(trouble)
        return f"untrusted certificate: {words}" if isinstance(trouble, ssl.SSLCertVerificationError) else words
    return str(error) or type(error).__name__


def _keepalive_options() -> dict[int, int]:
    lowat = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    return {} if lowat is None else {lowat: _UNSENT}


class _Patient:
    """Mixin for redis-py's connections: a request fails when no byte was sent or received for `patience` seconds."""

    patience: float
    _received: Callable[[], object] | None = None

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[misc]
        reader: asyncio.StreamReader = self._reader  # type: ignore[attr-defined]
        feed_data = reader.feed_data

        def feed(data: bytes) -> None:
            feed_data(data)
            # Whether data arrives between two reads is a matter of timing.
            if self._received is not None:  # pragma: no branch
                self._received()

        setattr(reader, "feed_data", feed)  # noqa: B010  # not an override for type checkers

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        patience = self.patience + _waits.get()
        try:
            async with asyncio.timeout(patience) as limit:
                self._received = lambda: _extend(limit, self.patience)
                return await super().read_response(*arguments, **options)  # type: ignore[misc]
        except TimeoutError:
            raise exceptions.TimeoutError(f"no answer within {patience:g} s") from None
        finally:
            self._received = None

    async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
        try:
            async with asyncio.timeout(self.patience) as limit:
                timer = _Repeating(self.patience / 2, self._extend_if_sent(limit))
                try:
                    await super().send_packed_command(*arguments, **options)  # type: ignore[misc]
                finally:
                    timer.cancel()
        except TimeoutError:
            raise exceptions.TimeoutError(
                f"sending to Redis timed out: no byte accepted for {self.patience:g} s"
            ) from None

    async def disconnect(self, nowait: bool = False, **options: Any) -> None:
        writer: asyncio.StreamWriter | None = self._writer  # type: ignore[attr-defined]
        if nowait and writer is not None:
            # Merely closed, a connection stays open until its peer has read everything that was written.
            writer.transport.abort()
        await super().disconnect(nowait=nowait, **options)  # type: ignore[misc]

    def _extend_if_sent(self, limit: asyncio.Timeout) -> Callable[[], None]:
        unsent: float = math.inf

        def check() -> None:
            nonlocal unsent
            writer: asyncio.StreamWriter | None = self._writer  # type: ignore[attr-defined]
            before, unsent = unsent, 0 if writer is None else writer.transport.get_write_buffer_size()
            if unsent < before:
                _extend(limit, self.patience)

        return check


class _Repeating:
    """Calls a function every `seconds` seconds."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        self._seconds = seconds
        self._function = function
        self._timer = asyncio.get_running_loop().call_later(seconds, self._call)

    def _call(self) -> None:
        self._function()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._call)

    def cancel(self) -> None:
        """Stop calling the function."""
        self._timer.cancel()


def _extend(limit: asyncio.Timeout, seconds: float) -> None:
    # Data may arrive in the moment in which the limit expires.
    if not limit.expired():  # pragma: no branch
        limit.reschedule(asyncio.get_running_loop().time() + seconds)
