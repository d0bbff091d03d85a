"""Error descriptions for other people. They contain no text of the platform, which may echo credentials or names."""

from __future__ import annotations

from sipqueue_async.errors import (
    WEB_PAGE,
    ApiError,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SipQueueError,
    TransportError,
)


def reason(error: BaseException) -> str:
    """Return the library's own description of an error, without the URL; of other errors only the class name."""
    match error:
        case AuthError():
            known: SipQueueError = AuthError(error.ret, advice=error.advice)
        case ApiError():
            known = ApiError(error.ret)
        case OperationFailed():
            known = OperationFailed(error.code)
        case HttpStatusError():
            known = HttpStatusError(error.status, error.retry_after)
        case MalformedResponse(wrong_url=True):
            known = MalformedResponse(f"{WEB_PAGE}; check the URL")
        case MalformedResponse():
            known = MalformedResponse("the program's log says more")
        case TransportError():
            known = error
        case _:
            return type(error).__name__
    return known.describe()
