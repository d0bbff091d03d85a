"""Sends one message to one destination over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver

from sipqueue_async import __version__
from sipqueue_async._text import plain_reason
from sipqueue_async.cli.forwarding.addresses import Admits, NotAllowedError, checked_sockets, is_public
from sipqueue_async.cli.forwarding.answers import Answer, Outcome, judge
from sipqueue_async.cli.forwarding.destinations import Target
from sipqueue_async.cli.forwarding.lookups import Lookups

MOST_READ: Final = 4096
"""Bytes of an answer's body that are read at most."""
_BODY_TIMEOUT: Final = 1.0
"""Seconds for reading them."""


class Sender:
    """One destination's connection. It follows no redirect, keeps no cookie and uses no proxy.

    Args:
        target: The destination.
        resolver: Looks names up; by default the system.
        admits: Which addresses it may connect to; by default public ones, and all if the file allows private ones.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self,
        target: Target,
        *,
        resolver: AbstractResolver | None = None,
        admits: Admits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._target = target
        self._clock = clock
        allowed: Admits = (lambda _: True) if target.webhook.allow_private else is_public
        connector = aiohttp.TCPConnector(
            limit=1,
            resolver=resolver or Lookups(),
            socket_factory=checked_sockets(allowed if admits is None else admits),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=MOST_READ,
            timeout=aiohttp.ClientTimeout(),
            headers={"User-Agent": f"sipqueue/{__version__}", "Content-Type": "application/json"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(self, identity: str, body: bytes) -> Answer:
        """Send a message once, and return what became of it. No reason quotes the URL or the answer."""
        timeout = self._target.webhook.timeout
        headers = self._target.signer.headers(identity, int(self._clock()), body)
        try:
            async with asyncio.timeout(timeout):
                response = await self._session.post(self._target.url, data=body, headers=headers, allow_redirects=False)
        except TimeoutError:
            return Answer(Outcome.FAILED, f"it did not answer within {timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(Outcome.FAILED, _reason(error))
        # The status decides, whatever happens to the body.
        async with response:
            await _read_some(response)
        return judge(response.status, response.headers.get("Retry-After"), self._clock())


async def _read_some(response: aiohttp.ClientResponse) -> None:
    """Read a short body, so that the connection can be used again; otherwise close it."""
    left = MOST_READ
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_BODY_TIMEOUT):
            while left > 0:
                if not (chunk := await response.content.read(left)):
                    return
                left -= len(chunk)
    response.close()


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return _why_not_connected(error)
    if isinstance(error, aiohttp.InvalidURL):
        return "its URL is not valid"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return "it closed the connection without an answer"
    return "it sent an answer that is not valid HTTP"


def _why_not_connected(error: aiohttp.ClientConnectorError) -> str:
    cause: Any = error.os_error
    if isinstance(cause, NotAllowedError):
        return str(cause)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(cause, ssl.SSLCertVerificationError):
        # Its text may contain the host's name, which is secret as a part of the URL.
        return "TLS failed: its certificate is not valid for this destination"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {plain_reason(cause)}"
    return f"it cannot be reached: {plain_reason(cause)}"
