"""`SipQueueClient`: one POST to the platform, and what came of it."""

from __future__ import annotations

import asyncio
import email.utils
import os
import sys
import zoneinfo
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote_plus, urlencode

import aiohttp
from yarl import URL

from sipqueue_async._wire import (
    LOGIN,
    QUEUE_STATUS,
    Body,
    SnapshotDecoder,
    body_encoding,
    decode_data,
    decode_token,
    status_fields,
    text_encoding,
)
from sipqueue_async.auth import (
    AppCredentials,
    Auth,
    FixedToken,
    RenewableToken,
    Secret,
    TokenProvider,
    TokenSource,
)
from sipqueue_async.errors import (
    ApiError,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SipQueueError,
    TransportError,
)
from sipqueue_async.models import AgentState, Snapshot

_T = TypeVar("_T")
_Answer = tuple[Body, str]
"""The body, and the encoding that its text is in."""
_Decode = Callable[[Body, str], _T]

_TOKEN_REFUSED: Final = 600
_SERVER_UNREACHED: Final = 1001
_DECODERS_KEPT: Final = 64


class SipQueueClient:
    """Asks one platform, over HTTP.

    Use it as ``async with SipQueueClient(...) as client`` or call `aclose` when done. One client serves any number of
    concurrent calls and watchers.

    Args:
        base_url: The API's one URL, ``http://`` or ``https://``.
        auth: A ready token; or `AppCredentials`, to log in with when needed; or an async function that gives a token. A
            token that the platform refuses (ret 600) is renewed once and the call repeated once; a ready token cannot
            be.
        session: An aiohttp session to use, for a proxy, a private CA or shared connections. It stays the caller's and
            is never closed. Without one the client makes its own, which keeps no cookies.
        timeout: Seconds for one whole exchange, reading the body included.
        timezone: The server's time zone, as a tzinfo or an IANA name. With it the records' times are aware, each with
            the zone's offset at that time; without it they stay naive, as sent.
        state_codes: Further codes of the record's `state`, or other meanings: {code: AgentState}.
        max_body: How many bytes of body are accepted, after decompression.
        encoding: The body's encoding, for a platform that sends GBK and does not say so in its Content-Type.

    Raises:
        TypeError: An argument is of another kind.
        ValueError: An argument makes no sense.
    """

    def __init__(
        self,
        base_url: str,
        auth: Auth,
        *,
        session: aiohttp.ClientSession | None = None,
        timeout: float = 10.0,
        timezone: tzinfo | str | None = None,
        state_codes: Mapping[int, AgentState] | None = None,
        max_body: int = 32 * 2**20,
        encoding: str | None = None,
    ) -> None:
        # First of all, so that no traceback from here on has the token among its local variables.
        wrapped = Secret(auth) if isinstance(auth, str | bytes) else auth
        del auth
        # Such a traceback also shows a client that could not be made.
        self._closed, self._url = False, URL()
        self._url = _checked_url(base_url)
        self._tokens = self._token_source(wrapped)
        self._session = session
        self._owns_session = session is None
        if not timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds, not {timeout!r}")
        self._timeout = timeout
        if max_body < 1:
            raise ValueError(f"max_body must be at least 1 byte, not {max_body!r}")
        self._max_body = max_body
        self._encoding = None if encoding is None else _checked_encoding(encoding)
        zone = _checked_zone(timezone)
        codes = _checked_codes(state_codes or {})
        self._new_decoder = partial(SnapshotDecoder, zone=zone, state_codes=codes)
        self._decoders: OrderedDict[tuple[tuple[str, str], ...], SnapshotDecoder] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client, and the session if it is the client's own. Calls made afterwards are a RuntimeError."""
        self._closed = True
        if self._owns_session and self._session is not None:
            await self._session.close()

    async def fetch_snapshot(
        self, *, queue: str | None = None, extension: str | None = None, state: AgentState | str | None = None
    ) -> Snapshot:
        """Return the status of every agent in every queue, or of those that the platform finds for the filters.

        A snapshot shares the records that did not change with the one before it of the same filters.

        Args:
            queue: Only this queue.
            extension: Only this extension.
            state: Only agents who are idle, waiting, receiving or talking: the platform can be asked for no others.

        Raises:
            ValueError: A filter is empty, or the state is another one.
            AuthError: The credentials were refused.
            SipQueueError: No good answer; its `retryable` tells whether the same call may work later.
        """
        fields = status_fields(queue, extension, state)
        decoder = self._decoder(tuple(fields.items()))

        def decode(body: Body, encoding: str) -> Snapshot:
            return decoder.decode(body, observed_at=datetime.now(UTC), encoding=encoding)

        return await self._authorized(QUEUE_STATUS, fields, decode, repeatable=True)

    async def call(self, service: str, **fields: str | int | None) -> Any:
        """Call any service of the API and return the `data` of its answer, once its envelope says that all is well.

        Args:
            service: The service's name, such as ``App.Sip_Queue.GetQueueSipStatus``.
            fields: The request's other fields, without the token; None leaves a field out.

        Raises:
            ValueError: There is no service, or a field is the client's own business.
            AuthError: The credentials were refused.
            SipQueueError: No good answer; its `retryable` tells whether the same call may work later.
        """
        if not service:
            raise ValueError("service is empty; it is a name like App.Sip_Queue.GetQueueSipStatus")
        if "token" in fields:
            raise ValueError("the client adds the token by itself")
        given = {name: str(value) for name, value in fields.items() if value is not None}
        return await self._authorized(service, given, decode_data, repeatable=False)

    def __repr__(self) -> str:
        return f"<SipQueueClient of {self._address()}{', closed' if self._closed else ''}>"

    # ---- tokens ------------------------------------------------------------------------------------------------------

    def _token_source(self, auth: Secret | AppCredentials | TokenProvider) -> TokenSource:
        if isinstance(auth, Secret):
            return FixedToken(auth)
        if isinstance(auth, AppCredentials):
            return RenewableToken(partial(self._log_in, auth))
        if callable(auth):
            return RenewableToken(partial(_provided, auth))
        raise TypeError("auth must be a token, AppCredentials or an async function that gives a token")

    async def _log_in(self, credentials: AppCredentials) -> Secret:
        def decode(body: Body, encoding: str) -> Secret:
            return Secret(decode_token(body, encoding))

        fields = {"appid": credentials.appid}
        try:
            return await self._ask(LOGIN, fields, ("accesskey", credentials.accesskey), decode, repeatable=True)
        except SipQueueError as error:
            failure = _login_failure(error)
            failure.where = error.where
            # The excerpt of a login's answer may hold the token, so an error that has one is not chained. Nor may it
            # become the context, hence the raise out here.
            failure.__cause__ = error.__cause__ if isinstance(error, type(failure)) else error
        raise failure from failure.__cause__

    async def _authorized(
        self, service: str, fields: Mapping[str, str], decode: _Decode[_T], *, repeatable: bool
    ) -> _T:
        token = await self._tokens.token()
        try:
            return await self._ask(service, fields, ("token", token), decode, repeatable=repeatable)
        except AuthError as refusal:
            if refusal.ret != _TOKEN_REFUSED:
                raise
            token = await self._renewed(service, token, refusal)
        try:
            return await self._ask(service, fields, ("token", token), decode, repeatable=repeatable)
        except AuthError as refusal:
            if refusal.ret != _TOKEN_REFUSED:
                raise
            advice = "the platform refuses a token that is fresh; the trouble is at its end, so try again later"
            again = AuthError(refusal.ret, refusal.msg, advice, retryable=True)
            again.where = refusal.where
            raise again from refusal

    async def _renewed(self, service: str, token: Secret, refusal: AuthError) -> Secret:
        try:
            return await self._tokens.renewed(token, refusal)
        except SipQueueError as error:
            error.where = error.where or self._where(service)
            raise

    # ---- one exchange ------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        service: str,
        fields: Mapping[str, str],
        secret: tuple[str, Secret],
        decode: _Decode[_T],
        *,
        repeatable: bool,
    ) -> _T:
        """Post one request and decode its answer; every SipQueueError leaves here complete and without secrets."""
        callers = sys.exception()
        try:
            answer = await self._exchange({"service": service, **fields}, secret, repeatable)
            return _decoded(decode, answer, secret[1])
        except SipQueueError as error:
            failure = error
        failure.where = self._where(service)
        _scrub(failure, secret[1])
        failure.__context__ = None
        _forget_frames(failure, callers)
        raise failure from failure.__cause__

    async def _exchange(
        self,
        fields: Mapping[str, str],
        secret: tuple[str, Secret],
        repeatable: bool,
    ) -> _Answer:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                try:
                    return await self._post(_form(fields, secret))
                except (aiohttp.ClientConnectionError, OSError) as error:
                    # The server may have closed a kept connection just as it was used again. aiohttp leaves a POST
                    # at that, because it cannot know that this one only reads.
                    if not (repeatable and _closed_by_server(error)):
                        raise
                return await self._post(_form(fields, secret))
        except TimeoutError as error:
            if limit.expired():
                reason = f"no whole answer within {self._timeout:g} s: the server is slow, silent or out of reach"
                raise TransportError(reason) from error
            raise TransportError(_transport_reason(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportError(_transport_reason(error)) from (None if _quotes_answer(error) else error)

    async def _post(self, form: aiohttp.BytesPayload) -> _Answer:
        async with self._open_session().post(
            self._url,
            data=form,
            headers={"Accept": "application/json"},
            allow_redirects=False,
            raise_for_status=False,
            # The one limit is asyncio.timeout's, around name look-up, connecting, waiting and reading together.
            timeout=aiohttp.ClientTimeout(),
        ) as response:
            if not response.ok or response.status >= 300:
                raise _status_error(response)
            return await self._read(response), self._encoding or body_encoding(response.charset)

    async def _read(self, response: aiohttp.ClientResponse) -> Body:
        chunks = _Chunks()
        while not response.content.at_eof():
            chunks.append(await response.content.readany())
            if chunks.size > self._max_body:
                raise MalformedResponse(f"the body has more than {self._max_body} bytes (max_body)")
        return chunks.joined()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError(f"{self!r} cannot be used any more")
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _decoder(self, question: tuple[tuple[str, str], ...]) -> SnapshotDecoder:
        decoder = self._decoders.pop(question, None) or self._new_decoder()
        self._decoders[question] = decoder
        if len(self._decoders) > _DECODERS_KEPT:
            self._decoders.popitem(last=False)
        return decoder

    def _address(self) -> URL:
        """Return the URL as it may be shown: its query may hold a key of its own."""
        return self._url.with_query(None).with_fragment(None)

    def _where(self, service: str) -> str:
        return f"{service} at {self._address()}"


class _Chunks:
    """What has been read of a body so far; like `Body`, it shows nothing of it."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self.size = 0

    def append(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.size += len(chunk)

    def joined(self) -> Body:
        return Body(b"".join(self._chunks))


async def _provided(provider: TokenProvider) -> Secret:
    token = Secret(await provider())
    token.check("the token that the auth function gave")
    return token


def _form(fields: Mapping[str, str], secret: tuple[str, Secret]) -> aiohttp.BytesPayload:
    """Return the urlencoded body, wrapped at once: the payload's repr shows nothing of what is in it."""
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
    """Return the seconds that a Retry-After asks for, given as such or as a date."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    # A date whose zone is "-0000" comes without one, and is UTC.
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _connect_reason(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the server's certificate is not trusted ({error.certificate_error}); for a private CA, use a session"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} cannot be resolved ({error.os_error}); check the URL"
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return f"no TLS with {error.host}:{error.port} ({error.os_error}); check the URL, and that TLS is spoken there"
    number = error.os_error.errno
    # asyncio words it with addresses; the system's own words are the ones that people know.
    words = os.strerror(number) if number else error.os_error
    return f"cannot connect to {error.host}:{error.port} ({words}); check the URL and that the server runs"


def _transport_reason(error: aiohttp.ClientError | OSError) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return _connect_reason(error)
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the answer broke off or cannot be unpacked ({type(error.__cause__ or error).__name__})"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP as it should be; check the URL"
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
    # aiohttp has its own error for what went wrong in reading and writing, and keeps the reason as the cause.
    return isinstance(error, lost) or isinstance(error.__cause__, lost)


def _login_failure(error: SipQueueError) -> SipQueueError:
    """Return what a failed login means, with nothing of the answer in it."""
    advice = "the platform refuses the login: check the appid and the accesskey"
    match error:
        case OperationFailed(code=code) if code != _SERVER_UNREACHED:
            return AuthError(200, error.message, advice if code is None else f"error {code}: {advice}")
        case AuthError(ret=ret) if ret != _TOKEN_REFUSED:
            return AuthError(ret, error.msg)
        case ApiError(ret=ret, retryable=retryable) if ret == _TOKEN_REFUSED or not retryable:
            return AuthError(ret, error.msg, advice)
        case MalformedResponse():
            return MalformedResponse(error.reason)
        case _:
            return error


def _decoded(decode: _Decode[_T], answer: _Answer, secret: Secret) -> _T:
    try:
        return decode(*answer)
    except SipQueueError as error:
        failure = error
    # What an error quotes may be cut in the middle of the secret, so it had better come from an answer without it.
    body, encoding = answer
    try:
        decode(Body(secret.scrub_bytes(body)), encoding)
    except SipQueueError as error:
        if type(error) is type(failure):
            failure = error
    raise failure


def _forget_frames(error: BaseException, callers: BaseException | None) -> None:
    """Take the frames out of an error and what led to it, but not of an error that the caller was handling before.

    They are aiohttp's and the decoder's, and of no use to a reader; what their variables hold may quote the request.
    """
    seen = {callers}
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.add(link)
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


def _scrub(error: SipQueueError, secret: Secret) -> None:
    """Take the secret out of what the server said, should it have quoted the request."""
    error.args = tuple(secret.scrub(arg) if isinstance(arg, str) else arg for arg in error.args)
    for name, value in vars(error).items():
        if isinstance(value, str):
            setattr(error, name, secret.scrub(value))


def _checked_url(base_url: str) -> URL:
    try:
        url = URL(base_url)
    except (TypeError, ValueError) as error:
        raise ValueError(f"base_url is no URL: {error}") from None
    if url.user is not None or url.password is not None:
        raise ValueError("base_url must not hold a user or a password; give them to a session of your own")
    if url.scheme not in {"http", "https"} or not url.host:
        # What is no URL may be a password that slipped into the wrong place, so it is not quoted.
        raise ValueError("base_url must be http://... or https://..., with a host")
    return url


def _checked_encoding(encoding: str) -> str:
    try:
        return text_encoding(encoding)
    except ValueError as error:
        raise ValueError(f"encoding: {error}") from None


def _checked_codes(codes: Mapping[int, AgentState]) -> dict[int, AgentState]:
    for code in codes:
        if not isinstance(code, int):
            raise TypeError(f"state_codes has {code!r} for a code, which must be an integer")
    return {code: AgentState(state) for code, state in codes.items()}


def _checked_zone(zone: tzinfo | str | None) -> tzinfo | None:
    if zone is None or isinstance(zone, tzinfo):
        return zone
    if not isinstance(zone, str):
        raise TypeError(f"timezone must be a tzinfo or a name like Asia/Shanghai, not {zone!r}")
    try:
        return zoneinfo.ZoneInfo(zone)
    # A name of a directory of zones is an OSError on some versions of Python.
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"timezone is {zone!r}, which is no name of a zone like Asia/Shanghai") from None
