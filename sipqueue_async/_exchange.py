"""One HTTP exchange: posts a form, returns the body of the answer."""

from __future__ import annotations

import asyncio
import email.utils
import math
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote_plus, urlencode

import aiohttp
from yarl import URL

from sipqueue_async._arguments import check_above_zero, check_at_least
from sipqueue_async._secrets import Secret
from sipqueue_async._text import is_host_name, plain_reason
from sipqueue_async._wire import body_encoding, text_encoding
from sipqueue_async.errors import HttpStatusError, MalformedResponse, TransportError

_COOKIES_KEPT: Final = 16
# Seconds: as long as common servers keep an idle connection open, and less than common firewalls allow.
_KEEP_ALIVE: Final = 75.0


class Answer:
    """The body of an answer, with a `repr` that shows its size only: it may quote the request.

    Args:
        encoding: The body's encoding.
        parts: The body.
    """

    def __init__(self, encoding: str, parts: Iterable[bytes] = ()) -> None:
        self.encoding = encoding
        self._parts = list(parts)
        self.size = sum(map(len, self._parts))

    def append(self, part: bytes) -> None:
        """Add a received part."""
        self._parts.append(part)
        self.size += len(part)

    def body(self) -> bytes:
        """Return the whole body."""
        return b"".join(self._parts)

    def __repr__(self) -> str:
        return f"<answer of {self.size} bytes>"


class Exchange:
    """Posts to one URL, through the caller's session or one of its own; the arguments are `SipQueueClient`'s."""

    def __init__(
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession | None,
        timeout: float,
        max_body: int,
        encoding: str | None,
    ) -> None:
        self._url = _checked_url(base_url)
        if session is not None and not callable(getattr(session, "post", None)):
            raise TypeError(f"session must be an aiohttp.ClientSession, not {type(session).__name__}")
        check_above_zero("timeout", timeout)
        check_at_least("max_body", max_body, 1, "byte")
        self._sessions = _OwnSessions() if session is None else _CallersSession(session)
        self._timeout = timeout
        self._max_body = max_body
        self._encoding = None if encoding is None else _checked_encoding(encoding)
        self._closed = False

    @property
    def address(self) -> URL:
        """The URL without its query, which may contain a key."""
        return self._url.with_query(None).with_fragment(None)

    @property
    def closed(self) -> bool:
        """Whether the exchange was closed."""
        return self._closed

    def secrets(self) -> list[Secret]:
        """Return the values of the cookies: an answer may quote them, and errors must not show them."""
        return self._sessions.secrets()

    def change_back_end(self) -> None:
        """Forget the cookies by which a load balancer assigns a server, so that it chooses again."""
        self._sessions.forget_cookies()

    async def aclose(self) -> None:
        """Close the session, unless it is the caller's."""
        self._closed = True
        await self._sessions.aclose()

    async def post(self, fields: Mapping[str, str], secret: tuple[str, Secret], *, repeatable: bool) -> Answer:
        """Post a form and return the answer's body.

        Args:
            fields: The form's fields.
            secret: One more field, whose value must not appear in errors.
            repeatable: Whether it may be sent again when the connection breaks before an answer.

        Raises:
            TransportError: No complete answer arrived.
            HttpStatusError: The status is not 2xx.
            MalformedResponse: The body is too long.
        """
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                try:
                    return await self._post(_form(fields, secret))
                except (aiohttp.ClientConnectionError, OSError) as error:
                    # The server may have closed a kept connection just as it was used again. aiohttp does not retry
                    # a POST, because it cannot know that this one only reads.
                    if not (repeatable and _closed_by_server(error)):
                        raise
                return await self._post(_form(fields, secret))
        except asyncio.CancelledError as error:
            # The local variables of aiohttp's frames show cookies.
            error.__traceback__ = None
            raise
        except TimeoutError as error:
            if limit.expired():
                reason = f"no whole answer within {self._timeout:g} s: the server is slow, silent or out of reach"
                raise TransportError(reason) from error
            raise TransportError(_transport_reason(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(_transport_reason(error)) from (None if _quotes_answer(error) else error)

    async def _post(self, form: aiohttp.BytesPayload) -> Answer:
        if self._closed:
            raise RuntimeError(f"the client of {self.address} is closed and cannot be used any more")
        async with (
            self._sessions.borrow() as session,
            session.post(
                self._url,
                data=form,
                headers={"Accept": "application/json"},
                allow_redirects=False,
                raise_for_status=False,
                # asyncio.timeout is the one limit: around name look-up, connecting, waiting and reading together.
                timeout=aiohttp.ClientTimeout(),
            ) as response,
        ):
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                raise _status_error(response)
            answer = Answer(self._encoding or body_encoding(response.charset))
            while not response.content.at_eof():
                answer.append(await response.content.readany())
                if answer.size > self._max_body:
                    raise MalformedResponse(f"the body has more than {self._max_body} bytes (max_body)")
            return answer


class _OwnSessions:
    """A client's own sessions: made when first needed, closed with the client.

    Behind a load balancer, consecutive polls should be answered by the same server, because another one may lag behind
    it. Balancers tell clients apart by a cookie or by the connection. So the sessions share the cookies of the API's
    host, in memory, and the first session has a single connection, kept alive. Requests that overlap it use the second.
    """

    def __init__(self) -> None:
        self._cookies: aiohttp.CookieJar | None = None
        self._first: aiohttp.ClientSession | None = None
        self._second: aiohttp.ClientSession | None = None
        self._first_is_busy = False

    @asynccontextmanager
    async def borrow(self) -> AsyncGenerator[aiohttp.ClientSession]:
        """Lend a session for one request."""
        if self._cookies is None:
            # Redirects are not followed, so only the API's host sets and receives cookies; it may be an IP address.
            # Send values back unchanged, without the quotes that aiohttp would add.
            self._cookies = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
        if self._first_is_busy:
            if self._second is None:
                self._second = aiohttp.ClientSession(cookie_jar=self._cookies)
            yield self._second
        else:
            if self._first is None:
                connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=_KEEP_ALIVE)
                self._first = aiohttp.ClientSession(connector=connector, cookie_jar=self._cookies)
            self._first_is_busy = True
            try:
                yield self._first
            finally:
                self._first_is_busy = False
        if len(self._cookies) > _COOKIES_KEPT:
            self._cookies.clear()

    def secrets(self) -> list[Secret]:
        return [Secret(cookie.value) for cookie in self._cookies or ()]

    def forget_cookies(self) -> None:
        if self._cookies is not None:
            self._cookies.clear()

    async def aclose(self) -> None:
        try:
            if self._first is not None:
                await self._first.close()
        finally:
            # Also if closing the first one was cancelled.
            if self._second is not None:
                await self._second.close()


class _CallersSession:
    """The caller's session, whose cookies and connections are the caller's business."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @asynccontextmanager
    async def borrow(self) -> AsyncGenerator[aiohttp.ClientSession]:
        yield self._session

    def secrets(self) -> list[Secret]:
        return []

    def forget_cookies(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing: the caller closes it."""


def _form(fields: Mapping[str, str], secret: tuple[str, Secret]) -> aiohttp.BytesPayload:
    """Return the urlencoded body as a payload, whose `repr` does not show the secret."""
    public = urlencode(fields)
    return aiohttp.BytesPayload(
        f"{public}&{secret[0]}={quote_plus(secret[1].reveal())}".encode(),
        content_type="application/x-www-form-urlencoded",
    )


def _status_error(response: aiohttp.ClientResponse) -> HttpStatusError:
    return HttpStatusError(
        response.status, _retry_after(response.headers.get("Retry-After")), response.headers.get("Location")
    )


def _retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After asks for; the header holds seconds or a date."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    # The parser returns a naive datetime for the zone "-0000", which means UTC.
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return float(max(0, math.ceil((moment - datetime.now(UTC)).total_seconds())))


def _connect_reason(error: aiohttp.ClientConnectorError) -> str:
    words = plain_reason(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the server's certificate is not trusted ({words}); for a private CA, use a session"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} cannot be resolved ({words}); check the URL"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"no TLS with {error.host}:{error.port} ({words}); check that the URL is right and uses TLS"
    return f"cannot connect to {error.host}:{error.port} ({words}); check the URL and that the server runs"


def _transport_reason(error: aiohttp.ClientError | OSError) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return _connect_reason(error)
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the answer broke off or cannot be unpacked ({type(error.__cause__ or error).__name__})"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not valid HTTP; check the URL"
    if _closed_by_server(error):
        return "the server closed the connection without a whole answer"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _quotes_answer(error: aiohttp.ClientError | OSError) -> bool:
    """Return whether the error's text may hold a piece of the answer, which may quote the request and its secret."""
    return isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError | aiohttp.ServerDisconnectedError)


def _closed_by_server(error: aiohttp.ClientError | OSError) -> bool:
    if isinstance(error, aiohttp.ClientConnectorError):
        return False
    lost = (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError)
    # aiohttp wraps errors of reading and writing, with the original as the cause.
    return isinstance(error, lost) or isinstance(error.__cause__, lost)


def _checked_url(base_url: str) -> URL:
    if not isinstance(base_url, str | URL):
        raise TypeError(f"base_url must be a string, not {type(base_url).__name__}")
    try:
        url = URL(base_url)
    except ValueError as error:
        raise ValueError(f"base_url is not a URL: {error}") from None
    if url.user is not None or url.password is not None:
        raise ValueError("base_url must not hold a user or a password; give them to a session of your own")
    # It may be a password in the wrong place, so do not quote it.
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise ValueError("base_url must begin with http:// or https:// and name a host")
    if not is_host_name(url.raw_host):
        raise ValueError("base_url has a host name that is not valid")
    return url


def _checked_encoding(encoding: str) -> str:
    try:
        return text_encoding(encoding)
    except ValueError as error:
        raise ValueError(f"encoding: {error}") from None
