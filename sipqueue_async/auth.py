"""Sources of tokens: a fixed token, or one that a login or the caller's function obtains and renews."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Protocol, TypeAlias

from sipqueue_async._secrets import Secret
from sipqueue_async.errors import ApiError, AuthError, MalformedResponse, OperationFailed, SipQueueError

TOKEN_REFUSED: Final = 600
_SERVER_UNREACHED: Final = 1001


class AppCredentials:
    """An application's id and key, with which a client logs in by itself and renews its token.

    Args:
        appid: The application's id.
        accesskey: Its key. No `repr` shows it.

    Raises:
        TypeError: One of them is not a string.
        ValueError: One of them is empty, or has characters that no platform gives.
    """

    __slots__ = ("_accesskey", "_appid")

    def __init__(self, appid: str, accesskey: str) -> None:
        secret = Secret(accesskey)
        # From here on a traceback with local variables shows stars.
        del accesskey
        # Set the fields before the checks: such a traceback calls the repr of unfinished objects too.
        self._appid = appid
        self._accesskey = secret
        secret.check("the accesskey")
        if not isinstance(appid, str):
            raise TypeError("the appid must be a string")
        if not appid.strip():
            raise ValueError("the appid is empty")
        try:
            appid.encode()
        except UnicodeEncodeError:
            raise ValueError("the appid is not UTF-8 text; was it read from the right place?") from None

    @property
    def appid(self) -> str:
        """The application's id."""
        return self._appid

    @property
    def accesskey(self) -> Secret:
        """The application's key, wrapped."""
        return self._accesskey

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AppCredentials):
            return NotImplemented
        return self._appid == other._appid and self._accesskey.reveal() == other._accesskey.reveal()

    def __hash__(self) -> int:
        return hash((self._appid, self._accesskey.reveal()))

    def __repr__(self) -> str:
        return f"AppCredentials(appid={self._appid!r}, accesskey={self._accesskey!r})"


TokenProvider: TypeAlias = Callable[[], Awaitable[str]]
"""Returns a token; called again when the platform has refused the last one."""

Auth: TypeAlias = str | AppCredentials | TokenProvider
"""A fixed token, credentials to log in with, or an async function that returns a token."""


class TokenSource(Protocol):
    """Provides the token for the next request."""

    async def token(self) -> Secret:
        """Return the token to use now."""
        ...

    async def renewed(self, refused: Secret, refusal: AuthError) -> Secret:
        """Return a token that replaces the refused one.

        Raises:
            AuthError: The token cannot be renewed.
        """
        ...


class FixedToken:
    """A token that cannot be renewed."""

    def __init__(self, token: Secret) -> None:
        token.check("the token")
        self._token = token

    async def token(self) -> Secret:
        """Return the token."""
        return self._token

    async def renewed(self, refused: Secret, refusal: AuthError) -> Secret:  # noqa: ARG002  # there is only the one
        """Raise AuthError."""
        advice = (
            "the platform does not accept the token, and a ready token cannot be renewed: "
            "get a new one, or use AppCredentials to log in"
        )
        raise AuthError(refusal.ret, refusal.msg, advice) from refusal


class RenewableToken:
    """A token that is obtained when first needed and after each refusal; concurrent calls share one attempt."""

    def __init__(self, obtain: Callable[[], Awaitable[Secret]]) -> None:
        self._obtain = obtain
        self._outcome: Secret | Exception | None = None
        self._frames: TracebackType | None = None
        self._attempts = 0
        self._turn = asyncio.Lock()

    async def token(self) -> Secret:
        """Return the token, obtaining the first one."""
        return self._outcome if isinstance(self._outcome, Secret) else await self._obtain_once()

    async def renewed(self, refused: Secret, refusal: AuthError) -> Secret:  # noqa: ARG002  # a new one may do
        """Return a token newer than the refused one, which another call may have obtained already."""
        if isinstance(self._outcome, Secret) and self._outcome is not refused:
            return self._outcome
        return await self._obtain_once()

    async def _obtain_once(self) -> Secret:
        # A waiter shares the outcome, a token or an error, of an attempt that ended while it waited. A cancelled
        # attempt has no outcome, so the next waiter makes another one.
        attempts_seen = self._attempts
        async with self._turn:
            outcome = self._outcome
            if outcome is None or self._attempts == attempts_seen:
                outcome = await self._attempt()
            if isinstance(outcome, Exception):
                # Each waiter sees the frames of the attempt, not those of the other waiters.
                raise outcome.with_traceback(self._frames)
            return outcome

    async def _attempt(self) -> Secret | Exception:
        self._outcome = None
        outcome: Secret | Exception
        try:
            outcome = await self._obtain()
        except Exception as error:  # noqa: BLE001  # every waiter gets it
            outcome = error
            self._frames = error.__traceback__
        self._attempts += 1
        self._outcome = outcome
        return outcome


def login_failure(error: SipQueueError) -> SipQueueError:
    """Return the error that a failed login means, without an excerpt of the answer."""
    advice = "the platform refuses the login: check the appid and the accesskey"
    match error:
        case OperationFailed(code=code) if code != _SERVER_UNREACHED:
            return AuthError(200, error.message, advice if code is None else f"error {code}: {advice}")
        case AuthError(ret=ret) if ret != TOKEN_REFUSED:
            return AuthError(ret, error.msg)
        case ApiError(ret=ret, retryable=retryable) if ret == TOKEN_REFUSED or not retryable:
            return AuthError(ret, error.msg, advice)
        case MalformedResponse():
            return MalformedResponse(error.reason)
        case _:
            return error
