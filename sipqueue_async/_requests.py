"""`Requests`: the one path of all requests: adds the token, renews a refused one, and keeps secrets out of errors."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

import aiohttp
from yarl import URL

from sipqueue_async._exchange import Answer, Exchange
from sipqueue_async._secrets import Secret, forget_frames, scrub
from sipqueue_async._wire import LOGIN, Body, decode_token
from sipqueue_async.auth import (
    TOKEN_REFUSED,
    AppCredentials,
    FixedToken,
    RenewableToken,
    TokenProvider,
    TokenSource,
    login_failure,
)
from sipqueue_async.errors import (
    ApiError,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    SipQueueError,
    TransportError,
)

_log: Final = logging.getLogger("sipqueue_async")

_T = TypeVar("_T")
Decode = Callable[[Answer], _T]


class Requests:
    """Sends authorized requests to one platform; the arguments are `SipQueueClient`'s."""

    def __init__(
        self,
        base_url: str,
        auth: Secret | AppCredentials | TokenProvider,
        *,
        session: aiohttp.ClientSession | None,
        timeout: float,
        max_body: int,
        encoding: str | None,
    ) -> None:
        self._exchange = Exchange(base_url, session=session, timeout=timeout, max_body=max_body, encoding=encoding)
        self._tokens = self._token_source(auth)
        _warn_of_weakness(auth)

    @property
    def address(self) -> URL:
        """The URL without its query, which may contain a key."""
        return self._exchange.address

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._exchange.closed

    async def aclose(self) -> None:
        """Close the session, unless it is the caller's."""
        await self._exchange.aclose()

    def where(self, service: str) -> str:
        """Return the service and the server, for errors."""
        return f"{service} at {self._exchange.address}"

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

    async def authorized(
        self,
        service: str,
        fields: Mapping[str, str],
        decode: Decode[_T],
        *,
        repeatable: bool,
        acts: bool = False,
    ) -> _T:
        """Send a request with the token and return the decoded answer.

        A refused token (ret 600) is renewed once and the request repeated once: the platform has not acted on it.

        Args:
            service: The service.
            fields: Its fields, without the token.
            decode: Decodes an answer.
            repeatable: Whether the request may be sent again when the connection breaks before an answer.
            acts: Whether it is a command: an error then says if the command may have been executed.

        Raises:
            SipQueueError: There is no good answer.
        """
        token = await self._tokens.token()
        try:
            return await self._ask(service, fields, ("token", token), decode, repeatable=repeatable, acts=acts)
        except AuthError as refusal:
            if refusal.ret != TOKEN_REFUSED:
                raise
            token = await self._renewed(service, token, refusal)
        try:
            return await self._ask(service, fields, ("token", token), decode, repeatable=repeatable, acts=acts)
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
            error.where = error.where or self.where(service)
            raise

    async def _ask(
        self,
        service: str,
        fields: Mapping[str, str],
        secret: tuple[str, Secret],
        decode: Decode[_T],
        *,
        repeatable: bool,
        acts: bool = False,
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
        failure.where = self.where(service)
        if acts and _may_have_acted(failure):
            failure.in_doubt, failure.retryable = True, False
        scrub(failure, secrets)
        failure.__context__ = None
        forget_frames(failure, callers)
        raise failure from failure.__cause__


async def _provided(provider: TokenProvider) -> Secret:
    token = Secret(await provider())
    token.check("the token that the auth function gave")
    return token


def _decoded(decode: Decode[_T], answer: Answer, secrets: Iterable[Secret]) -> _T:
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


def _may_have_acted(error: SipQueueError) -> bool:
    """Return whether a request that failed with this error may have been executed."""
    match error:
        case TransportError():
            # Without a connection nothing was sent.
            return not isinstance(error.__cause__, aiohttp.ClientConnectorError)
        case HttpStatusError(status=status):
            return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT
        case MalformedResponse():
            return True
        case ApiError(ret=ret):
            return ret >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, AuthError)
        case _:
            return False


def _warn_of_weakness(auth: Secret | AppCredentials | TokenProvider) -> None:
    warning = None
    if isinstance(auth, Secret):
        warning = auth.weakness("the token")
    elif isinstance(auth, AppCredentials):
        warning = auth.accesskey.weakness("the accesskey")
    if warning:
        _log.warning("%s", warning)
