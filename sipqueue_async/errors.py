"""The exception tree: what can go wrong in a call, and whether to retry."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

_EXCERPT_LENGTH: Final = 256

RET_MEANINGS: Final = {
    400: "the platform calls the request illegal, generally because of an invalid parameter",
    500: "the platform had an internal error; it usually passes",
    600: "the platform does not accept the token",
    601: "this appid is not authorized: ask the platform's operator to authorize it",
    602: "this appid's authorization has expired: ask the platform's operator to renew it",
    603: "the module is not licensed: ask the platform's operator for a licence",
    604: "this machine's IP address is not authorized: ask the platform's operator to allow it",
}
"""The meanings of the envelope's `ret` codes."""

OPERATION_MEANINGS: Final = {
    1001: "the platform could not reach a server of its own; it usually passes",
    1002: "abnormal operation, usually a failed check of a parameter",
    1003: "the operation failed",
    1010: "extension exception: it may be new, and a new extension shows up only under a new token",
    1011: "the extension is not owned by this company",
    1012: "the extension does not exist",
    1013: "the extension is disabled",
    1014: "the extension is not registered",
    1015: "the extension is not in a call",
    1018: "the number is enabled",
    1019: "the number is disabled",
    1020: "the number does not exist",
    1021: "the number is not owned by this company",
    1024: "the task does not exist",
    1025: "the task has not begun",
    1026: "the task is under way",
    1027: "the task is paused",
    1028: "the task has ended",
    1029: "the file does not exist",
    1031: "the strategy is wrong",
    1032: "the strategy does not allow it",
    1033: "no resource is free",
    1209: "a rating needs a call under way",
}
"""The meanings of a failed operation's codes."""

WEB_PAGE: Final = "the URL answered with a web page"
"""How the reason of a `MalformedResponse` begins if the answer is HTML."""

_FATAL_RETS: Final = frozenset({601, 602, 603, 604})
_LASTING_OPERATION_FAILURES: Final = frozenset({1002, 1011, 1012})
_NOT_THE_API: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_PASSING_HTTP_REFUSALS: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


class SipQueueError(Exception):
    """Base class of all errors that the network or the platform causes.

    The text says what happened, what to do about it, and where; it never contains a token or an access key.
    """

    retryable: bool = False
    """Whether the same call may succeed later without a change by the caller."""
    wrong_url: bool = False
    """Whether the answer looks like that of another server than the API: a web page, or HTTP 404, 405 or 501.

    Before its first good answer a watcher ends with such an error; after it, the error is an outage.
    """
    in_doubt: bool = False
    """Whether the request was a command that may have been executed, although no answer says so.

    It is then not retryable. Look at the status before you send the command again.
    """
    where: str | None = None
    """The service and the server of the request, if a client made it."""

    def describe(self) -> str:
        """Return what happened and what to do, without `where`."""
        return " ".join(str(arg) for arg in self.args)

    def __str__(self) -> str:
        doubt = "; the command may have been executed, so check the status before you repeat it"
        text = f"{self.describe()}{doubt if self.in_doubt else ''}"
        return f"{text} ({self.where})" if self.where else text


class TransportError(SipQueueError):
    """No complete answer arrived: connecting failed, the connection broke, or the timeout passed. Retryable."""

    retryable = True


class HttpStatusError(SipQueueError):
    """The answer's HTTP status was not 2xx: a proxy, a redirect (never followed), or a wrong URL.

    Retryable for 408, 425, 429 and 5xx except 501.

    Args:
        status: The HTTP status.
        retry_after: Seconds that the server asked to wait (its ``Retry-After``), if it did.
        location: Where a redirect points to.
    """

    def __init__(self, status: int, retry_after: float | None = None, location: str | None = None) -> None:
        super().__init__(status, retry_after, location)
        self.status = status
        self.retry_after = retry_after
        self.location = location
        self.wrong_url = status in _NOT_THE_API
        self.retryable = not self.wrong_url and (
            status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING_HTTP_REFUSALS
        )

    def describe(self) -> str:
        """Return the status with its name, and what to do about it."""
        try:
            name = f"HTTP {self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            name = f"HTTP {self.status}"
        if self.wrong_url:
            return f"{name}: this URL is not the API; check the URL"
        if self.location is not None:
            return f"{name}: redirects are not followed; if the new address is right, use {self.location} as the URL"
        if self.retry_after is not None:
            return f"{name}: try again in {self.retry_after:.15g} s"
        if self.retryable:
            return f"{name}: try again later"
        return f"{name}: check the URL, and any proxy in front of the platform"


class MalformedResponse(SipQueueError):  # noqa: N818  # a public name of the contract
    """The answer violates the protocol and was refused as a whole. Retryable.

    Args:
        reason: What is wrong. For a record it names the queue, the extension and the field.
        excerpt: The beginning of the answer, or the record; at most 256 characters are kept.
    """

    retryable = True

    def __init__(self, reason: str, excerpt: str = "") -> None:
        excerpt = excerpt[:_EXCERPT_LENGTH]
        super().__init__(reason, excerpt)
        self.reason = reason
        self.excerpt = excerpt
        self.wrong_url = reason.startswith(WEB_PAGE)

    def describe(self) -> str:
        """Return the reason and the excerpt; of a web page the reason only, which has its title."""
        if self.wrong_url:
            return self.reason
        described = f"malformed response: {self.reason}"
        return f"{described}; it reads {self.excerpt!r}" if self.excerpt else described


class ApiError(SipQueueError):
    """The envelope's `ret` is not 200. Retryable from 500 on, but not 601 to 604.

    Args:
        ret: The code.
        msg: The server's message.
    """

    def __init__(self, ret: int, msg: str = "") -> None:
        super().__init__(ret, msg)
        self.ret = ret
        self.msg = msg
        self.retryable = ret >= HTTPStatus.INTERNAL_SERVER_ERROR and ret not in _FATAL_RETS

    def describe(self) -> str:
        """Return the code's meaning and the server's message."""
        return _with_message(
            f"ret {self.ret}: {RET_MEANINGS.get(self.ret, 'a code that the reference does not list')}", self.msg
        )


class AuthError(ApiError):
    """The platform refuses the credentials: 601 to 604, a refused login, or a token that stays refused.

    Not retryable, except for a 600 right after a fresh login, which is the server's fault.

    Args:
        ret: The code; 200 for a login that was refused as an operation.
        msg: The server's message.
        advice: What to do, if `ret` alone does not determine it.
        retryable: Whether it is the server's fault.
    """

    def __init__(self, ret: int, msg: str = "", advice: str | None = None, retryable: bool = False) -> None:
        super().__init__(ret, msg)
        self.args = (ret, msg, advice, retryable)
        self.advice = advice
        self.retryable = retryable

    def describe(self) -> str:
        """Return what was refused, what to do, and the server's message."""
        if self.advice is None:
            return super().describe()
        # A login that was refused as an operation has the ret of a success: leave it out.
        return _with_message(self.advice if self.ret == HTTPStatus.OK else f"ret {self.ret}: {self.advice}", self.msg)


class OperationFailed(SipQueueError):  # noqa: N818  # a public name of the contract
    """The envelope was valid and the operation failed (`data.status` is not 0).

    Not retryable for 1002, 1011 and 1012, which need another request; retryable for all others.

    Args:
        code: The code, or None if the server sent none.
        message: The server's message.
    """

    def __init__(self, code: int | None, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retryable = code not in _LASTING_OPERATION_FAILURES

    def describe(self) -> str:
        """Return the code's meaning and the server's message."""
        if self.code is None:
            return _with_message("the operation failed, without an error code", self.message)
        return _with_message(
            f"error {self.code}: {OPERATION_MEANINGS.get(self.code, 'the operation failed')}", self.message
        )


def _with_message(what: str, message: str) -> str:
    return f"{what} (the server says: {message})" if message else what
