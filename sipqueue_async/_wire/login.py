"""The login service, which returns a token for an appid and an access key."""

from __future__ import annotations

from typing import Final

from sipqueue_async._wire.envelope import decode_data
from sipqueue_async.errors import MalformedResponse

LOGIN: Final = "App.Sip_Auth.Login"


def decode_token(body: bytes, encoding: str = "utf-8") -> str:
    """Return the token of a login's answer.

    Raises:
        MalformedResponse: The body is not an envelope, or has no token.
        ApiError: `ret` is not 200.
        OperationFailed: `data.status` is not 0.
    """
    result = decode_data(body, encoding).get("result")
    token = result.get("token") if isinstance(result, dict) else None
    if not isinstance(token, str) or not token:
        raise MalformedResponse("the login's answer has no token in data.result")
    return token
