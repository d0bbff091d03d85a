"""`SipQueueClient`: requests to the platform and their answers."""

from __future__ import annotations

import asyncio
import logging
import sys
import zoneinfo
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp

from sipqueue_async._exchange import Answer, Exchange
from sipqueue_async._secrets import Secret, forget_frames, scrub
from sipqueue_async._wire import (
    CALL_RECORDS,
    LOGIN,
    QUEUE_STATUS,
    Body,
    CallPage,
    CallPaging,
    Decoder,
    Service,
    call_fields,
    decode_calls,
    decode_data,
    decode_token,
    status_fields,
)
from sipqueue_async._wire import Settings as WireSettings
from sipqueue_async.auth import (
    TOKEN_REFUSED,
    AppCredentials,
    Auth,
    FixedToken,
    RenewableToken,
    TokenProvider,
    TokenSource,
    login_failure,
)
from sipqueue_async.calls import CallDirection, CallMethod, CallRecord
from sipqueue_async.errors import AuthError, SipQueueError
from sipqueue_async.models import AgentState, Snapshot
from sipqueue_async.settings import Settings

_log: Final = logging.getLogger("sipqueue_async")

_T = TypeVar("_T")
_Decode = Callable[[Answer], _T]

_DECODERS_KEPT: Final = 64


class SipQueueClient:
    """A client of one platform's HTTP API.

    Use it as ``async with SipQueueClient(...) as client`` or call `aclose` when done. One client serves any number of
    concurrent calls and watchers.

    Args:
        base_url: The API's one URL, ``http://`` or ``https://``.
        auth: A fixed token; or `AppCredentials`, to log in with when needed; or an async function that returns a token.
            If the platform refuses the token (ret 600), it is renewed once and the call repeated once; a fixed token
            cannot be renewed.
        session: An aiohttp session to use, for a proxy, a private CA or shared connections. The client never closes
            it. Without one the client makes its own, which keeps the cookies of the API's host in memory: load
            balancers use them to answer a client from the same server each time.
        timeout: Seconds for one whole exchange, reading the body included.
        timezone: The server's time zone, as a tzinfo or an IANA name. With it the records' times are aware, each with
            the zone's offset at that time; without it they stay naive, as sent.
        state_codes: Additional codes of the record's `state`, or other meanings of known ones: {code: AgentState}.
        max_body: The longest accepted body in bytes, after decompression.
        encoding: The body's encoding, for a platform that sends GBK and does not say so in its Content-Type.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is invalid.
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
        # First, so that no traceback with local variables shows the token.
        wrapped = Secret(auth) if isinstance(auth, str | bytes) else auth
        del auth
        self._exchange = Exchange(base_url, session=session, timeout=timeout, max_body=max_body, encoding=encoding)
        self._tokens = self._token_source(wrapped)
        _warn_of_weakness(wrapped)
        self._settings = WireSettings(_checked_zone(timezone), _checked_codes(state_codes or {}))
        self._decoders: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], Decoder[Any]] = OrderedDict()

    @classmethod
    def from_env(
        cls,
        settings: Settings | None = None,
        *,
        session: aiohttp.ClientSession | None = None,
        state_codes: Mapping[int, AgentState] | None = None,
        max_body: int = 32 * 2**20,
    ) -> Self:
        """Return a client for the platform that the environment, or the settings file, names.

        Args:
            settings: Other settings than those of ``Settings.load()``, which describes the variables and the file.
            session: As for the class.
            state_codes: As for the class.
            max_body: As for the class.

        Raises:
            SettingsError: A setting is missing or invalid; the text says which one, and where it comes from.
        """
        known = Settings.load() if settings is None else settings
        if not isinstance(known, Settings):
            raise TypeError(f"settings must be Settings, such as Settings.load(path), not {type(known).__name__}")
        if known.file_warning:
            _log.warning("%s", known.file_warning)
        url, auth = known.required_url(), known.auth()
        given: dict[str, Any] = {"timeout": known.timeout, "timezone": known.timezone, "encoding": known.encoding}
        options = {name: value for name, value in given.items() if value is not None}
        try:
            return cls(url, auth, session=session, state_codes=state_codes, max_body=max_body, **options)
        except ValueError as error:
            raise known.blame(error) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client, and the session if it is the client's own. Later calls raise RuntimeError."""
        await self._exchange.aclose()

    async def fetch_snapshot(
        self, *, queue: str | None = None, extension: str | None = None, state: AgentState | str | None = None
    ) -> Snapshot:
        """Return the status of every agent in every queue, or of those that match the filters.

        Unchanged records are shared with the last snapshot of the same filters.

        Args:
            queue: Only this queue.
            extension: Only this extension.
            state: Only agents who are idle, waiting, receiving or talking; the platform cannot filter by other states.

        Raises:
            ValueError: A filter is empty, or the platform cannot filter by the state.
            AuthError: The credentials were refused.
            SipQueueError: No good answer; its `retryable` tells whether the same call may succeed later.
        """
        return await self._fetch(QUEUE_STATUS, status_fields(queue, extension, state))

    def fetch_calls(
        self,
        since: datetime,
        until: datetime,
        *,
        direction: CallDirection | str | None = None,
        method: CallMethod | str | None = None,
        extension: str | Iterable[str] | None = None,
        page_size: int = 500,
    ) -> AsyncIterator[CallRecord]:
        """Return an iterator of the records of finished calls that were dialled in a range of time.

        It asks for one page at a time, and gives every record once, in the server's order, which is that of the
        platform's pages. If calls end meanwhile, it reads the pages again to find them too. The platform's own mark of
        what was asked before is neither used nor changed.

        Args:
            since: The earliest time of dialling: aware if the client knows the server's `timezone`, otherwise naive
                and in the server's local time.
            until: The latest.
            direction: Only incoming or only outgoing calls.
            method: Only calls made in this way.
            extension: Only calls of this extension, or of these.
            page_size: Records in one answer, 1 to 1000.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: An argument is invalid.
            AuthError: While iterating: the credentials were refused.
            SipQueueError: While iterating: no good answer. Begin again; the records so far are good. Its text quotes
                nothing of the records, since they contain telephone numbers.
        """
        fields = call_fields(
            since,
            until,
            self._settings.zone,
            direction=direction,
            method=method,
            extension=extension,
            page_size=page_size,
        )
        return self._call_pages(fields)

    async def call(self, service: str, **fields: str | int | None) -> Any:
        """Call any service of the API, check the envelope of its answer, and return its `data`.

        Args:
            service: The service's name, such as ``App.Sip_Queue.GetQueueSipStatus``.
            fields: The request's other fields, without the token; None leaves a field out.

        Raises:
            ValueError: `service` is empty, or a field is one that the client sets.
            AuthError: The credentials were refused.
            SipQueueError: No good answer; its `retryable` tells whether the same call may succeed later.
        """
        if not service:
            raise ValueError("service is empty; it is a name like App.Sip_Queue.GetQueueSipStatus")
        if "token" in fields:
            raise ValueError("the client adds the token by itself")
        given = {name: str(value) for name, value in fields.items() if value is not None}

        def decode(answer: Answer) -> Any:
            return decode_data(answer.body(), answer.encoding)

        return await self._authorized(service, given, decode, repeatable=False)

    def __repr__(self) -> str:
        # A traceback with local variables may show an unfinished client.
        if "_exchange" not in vars(self):
            return "<SipQueueClient, not initialized>"
        return f"<SipQueueClient of {self._exchange.address}{', closed' if self._exchange.closed else ''}>"

    # ---- polled services ---------------------------------------------------------------------------------------------

    async def _fetch(self, service: Service[_T], fields: Mapping[str, str]) -> _T:
        """Poll a service. Each service and set of fields has a decoder of its own; the last used ones are kept."""
        question = (service.name, tuple(fields.items()))
        if question not in self._decoders:
            self._decoders[question] = service.new_decoder(self._settings)
        self._decoders.move_to_end(question)
        decoder: Decoder[_T] = self._decoders[question]
        if len(self._decoders) > _DECODERS_KEPT:
            self._decoders.popitem(last=False)

        def decode(answer: Answer) -> _T:
            now, steady_now = datetime.now(UTC), asyncio.get_running_loop().time()
            return decoder.decode(answer.body(), observed_at=now, steady_at=steady_now, encoding=answer.encoding)

        return await self._authorized(service.name, fields, decode, repeatable=True)

    # ---- pages ------------------------------------------------------------------------------------------------------

    async def _call_pages(self, fields: Mapping[str, str]) -> AsyncIterator[CallRecord]:
        def decode(answer: Answer) -> CallPage:
            return decode_calls(answer.body(), self._settings.zone, answer.encoding)

        paging = CallPaging()
        while paging.page is not None:
            asked = {**fields, "currentpage": str(paging.page)}
            page = await self._authorized(CALL_RECORDS, asked, decode, repeatable=True)
            try:
                news = paging.take(page)
            except SipQueueError as error:
                error.where = self._where(CALL_RECORDS)
                raise
            for record in news:
                yield record

    # ---- tokens ------------------------------------------------------------------------------------------------------

    def _token_source(self, auth: Secret | AppCredentials | TokenProvider) -> TokenSource:
        if isinstance(auth, Secret):
            return FixedToken(auth)
        if isinstance(auth, AppCredentials):
            return RenewableToken(partial(self._log_in, auth))
        if callable(auth):
            return RenewableToken(partial(_provided, auth))
        raise TypeError("auth must be a token, AppCredentials or an async function that returns a token")

    async def _log_in(self, credentials: AppCredentials) -> Secret:
        def decode(answer: Answer) -> Secret:
            return Secret(decode_token(Body(answer.body()), answer.encoding))

        fields = {"appid": credentials.appid}
        try:
            return await self._ask(LOGIN, fields, ("accesskey", credentials.accesskey), decode, repeatable=True)
        except SipQueueError as error:
            failure = login_failure(error)
            failure.where = error.where
            # The excerpt of a login's answer may contain the token, so do not chain an error with one. Raised outside
            # the except block so that it does not become the context.
            failure.__cause__ = error.__cause__ if isinstance(error, type(failure)) else error
        raise failure from failure.__cause__

    async def _authorized(
        self, service: str, fields: Mapping[str, str], decode: _Decode[_T], *, repeatable: bool
    ) -> _T:
        token = await self._tokens.token()
        try:
            return await self._ask(service, fields, ("token", token), decode, repeatable=repeatable)
        except AuthError as refusal:
            if refusal.ret != TOKEN_REFUSED:
                raise
            token = await self._renewed(service, token, refusal)
        try:
            return await self._ask(service, fields, ("token", token), decode, repeatable=repeatable)
        except AuthError as refusal:
            if refusal.ret != TOKEN_REFUSED:
                raise
            advice = "the platform refuses a fresh token; the fault is the platform's, so try again later"
            again = AuthError(refusal.ret, refusal.msg, advice, retryable=True)
            again.where = refusal.where
            raise again from refusal

    async def _renewed(self, service: str, token: Secret, refusal: AuthError) -> Secret:
        try:
            return await self._tokens.renewed(token, refusal)
        except SipQueueError as error:
            error.where = error.where or self._where(service)
            raise

    # ---- questions and answers ---------------------------------------------------------------------------------------

    async def _ask(
        self,
        service: str,
        fields: Mapping[str, str],
        secret: tuple[str, Secret],
        decode: _Decode[_T],
        *,
        repeatable: bool,
    ) -> _T:
        """Post one request and decode its answer; a SipQueueError raised here names the service and has no secrets."""
        callers = sys.exception()
        secrets = [secret[1], *self._exchange.secrets()]
        try:
            answer = await self._exchange.post({"service": service, **fields}, secret, repeatable=repeatable)
            return _decoded(decode, answer, secrets)
        except SipQueueError as error:
            failure = error
        if failure.retryable or failure.wrong_url:
            self._exchange.change_back_end()
        failure.where = self._where(service)
        scrub(failure, secrets)
        failure.__context__ = None
        forget_frames(failure, callers)
        raise failure from failure.__cause__

    def _where(self, service: str) -> str:
        return f"{service} at {self._exchange.address}"


async def _provided(provider: TokenProvider) -> Secret:
    token = Secret(await provider())
    token.check("the token that the auth function gave")
    return token


def _decoded(decode: _Decode[_T], answer: Answer, secrets: Iterable[Secret]) -> _T:
    try:
        return decode(answer)
    except SipQueueError as error:
        failure = error
    # An excerpt could cut a secret in half, so redact before truncating: decode again without the secrets.
    body = answer.body()
    for secret in secrets:
        body = secret.scrub_bytes(body)
    try:
        decode(Answer(answer.encoding, [body]))
    except SipQueueError as error:
        if type(error) is type(failure):
            failure = error
    raise failure


def _warn_of_weakness(auth: Secret | AppCredentials | TokenProvider) -> None:
    warning = None
    if isinstance(auth, Secret):
        warning = auth.weakness("the token")
    elif isinstance(auth, AppCredentials):
        warning = auth.accesskey.weakness("the accesskey")
    if warning:
        _log.warning("%s", warning)


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
    # Some versions of Python raise OSError for the name of a directory of zones.
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"timezone is {zone!r}, which is no name of a zone like Asia/Shanghai") from None
