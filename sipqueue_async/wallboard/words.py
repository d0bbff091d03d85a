"""What may be told of an error on a screen: never the platform's own words, which may repeat what it was sent."""

from __future__ import annotations

from sipqueue_async import (
    ApiError,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SipQueueError,
    TransportError,
)


def reason(error: BaseException) -> str:
    """Return what may be told of an error: what the library knows of its own, and of another one its class."""
    plain = _plain(error)
    where = error.where if isinstance(error, SipQueueError) else None
    return f"{where}: {plain}" if where else plain


def _plain(error: BaseException) -> str:
    match error:
        case AuthError():
            known: SipQueueError = AuthError(error.ret, advice=error.advice)
        case ApiError():
            known = ApiError(error.ret)
        case OperationFailed():
            known = OperationFailed(error.code)
        case HttpStatusError():
            known = HttpStatusError(error.status, error.retry_after)
        case MalformedResponse():
            known = MalformedResponse("the program that shows this was told more")
        case TransportError():
            known = error
        case _:
            return type(error).__name__
    return known.describe()
