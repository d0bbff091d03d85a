"""The exception tree."""

from __future__ import annotations

import copy
import pickle

import pytest

from sipqueue_async import (
    ApiError,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SipQueueError,
    TransportError,
)

EVERY = [
    SipQueueError("odd"),
    TransportError("no whole answer within 10 s"),
    HttpStatusError(503, 2.5, None),
    HttpStatusError(302, None, "https://elsewhere.example/"),
    MalformedResponse("the body is empty"),
    MalformedResponse("not JSON", "<html>"),
    ApiError(500, "busy"),
    AuthError(600, "expired", "log in again", True),
    AuthError(602),
    OperationFailed(1012, "no such extension"),
    OperationFailed(None),
]


def test_the_tree_is_the_documented_one() -> None:
    """`except SipQueueError` catches everything, and an AuthError is an ApiError."""
    assert {
        cls.__base__ for cls in (TransportError, HttpStatusError, MalformedResponse, ApiError, OperationFailed)
    } == {SipQueueError}
    assert AuthError.__base__ is ApiError
    assert SipQueueError.__base__ is Exception


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (SipQueueError(), False),
        (TransportError(), True),
        (MalformedResponse("odd"), True),
        *((HttpStatusError(status), True) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
        *((HttpStatusError(status), False) for status in (301, 302, 304, 307, 400, 401, 403, 404, 405, 410, 418, 501)),
        *((ApiError(ret), True) for ret in (500, 501, 605, 700)),
        *((ApiError(ret), False) for ret in (-1, 0, 201, 400, 404, 499, 601, 602, 603, 604)),
        *((AuthError(ret), False) for ret in (200, 400, 600, 601, 602, 603, 604)),
        (AuthError(600, retryable=True), True),
        *((OperationFailed(code), True) for code in (None, 0, 1001, 1003, 1010, 1013, 1014, 9999)),
        *((OperationFailed(code), False) for code in (1002, 1011, 1012)),
    ],
)
def test_only_errors_that_may_pass_are_retryable(error: SipQueueError, retryable: bool) -> None:
    """Errors of temporary conditions are retryable, others are not."""
    assert error.retryable is retryable


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TransportError("no whole answer within 10 s"), "no whole answer within 10 s"),
        (HttpStatusError(503), "HTTP 503 Service Unavailable: try again later"),
        (HttpStatusError(503, 2.5), "HTTP 503 Service Unavailable: try again in 2.5 s"),
        (HttpStatusError(503, 34223912.0), "HTTP 503 Service Unavailable: try again in 34223912 s"),
        (HttpStatusError(404), "HTTP 404 Not Found: this URL is not the API; check the URL"),
        (HttpStatusError(403), "HTTP 403 Forbidden: check the URL, and any proxy in front of the platform"),
        (MalformedResponse("the URL answered with a web page", "<p>"), "the URL answered with a web page"),
        (HttpStatusError(599), "HTTP 599: try again later"),
        (
            HttpStatusError(302, None, "https://x.example/"),
            (
                "HTTP 302 Found: redirects are not followed; if the new address is right, use https://x.example/ "
                "as the URL"
            ),
        ),
        (MalformedResponse("the body is empty"), "malformed response: the body is empty"),
        (MalformedResponse("not JSON", "<p>"), "malformed response: not JSON; it reads '<p>'"),
        (
            ApiError(500, "busy"),
            "ret 500: the platform had an internal error; it usually passes (the server says: busy)",
        ),
        (ApiError(999), "ret 999: a code that the reference does not list"),
        (AuthError(600), "ret 600: the platform does not accept the token"),
        (AuthError(600, "bad", "log in again"), "ret 600: log in again (the server says: bad)"),
        (AuthError(602), "ret 602: this appid's authorization has expired: ask the platform's operator to renew it"),
        (OperationFailed(1012, "no"), "error 1012: the extension does not exist (the server says: no)"),
        (OperationFailed(1999), "error 1999: the operation failed"),
        (OperationFailed(None, "no"), "the operation failed, without an error code (the server says: no)"),
        (OperationFailed(None), "the operation failed, without an error code"),
    ],
)
def test_texts_say_what_happened_and_what_to_do(error: SipQueueError, text: str) -> None:
    """Each error's text says what happened and what to do, in a form that fits a log."""
    assert str(error) == error.describe() == text


@pytest.mark.parametrize("ret", [400, 500, 600, 601, 602, 603, 604])
def test_every_ret_of_the_reference_has_words(ret: int) -> None:
    """Every code in the platform's table has an explanation."""
    assert "a code that the reference does not list" not in str(ApiError(ret))


@pytest.mark.parametrize(
    "code",
    [1001, 1002, 1010, 1011, 1012, 1013, 1014, 1015, *range(1018, 1022), *range(1024, 1030), 1031, 1032, 1033, 1209],
)
def test_every_operation_code_has_words(code: int) -> None:
    """Every code in the platform's tables of failed operations has an explanation."""
    told = str(OperationFailed(code))
    assert told.startswith(f"error {code}: ")
    assert told != f"error {code}: the operation failed"


def test_an_error_ends_with_its_place() -> None:
    """If a client raised the error, its text ends with the service and the server."""
    error = ApiError(400)
    error.where = "App.Sip_Auth.Login at https://x.example/"
    assert str(error) == f"{error.describe()} (App.Sip_Auth.Login at https://x.example/)"


def test_an_excerpt_is_short() -> None:
    """A body of megabytes does not enter a log line through an error."""
    error = MalformedResponse("odd", "x" * 10_000)
    assert error.excerpt == "x" * 256
    assert len(str(error)) < 400
    assert error.args == ("odd", "x" * 256)


@pytest.mark.parametrize("remake", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", EVERY, ids=repr)
def test_errors_survive_pickling(error: SipQueueError, remake: object) -> None:
    """An error can cross processes, with its text and all attributes."""
    assert callable(remake)
    error.where = "somewhere"
    again = remake(error)
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert again.args == error.args
    assert str(again) == str(error)
    assert again.retryable is error.retryable


def test_attributes_are_the_documented_ones() -> None:
    """The attributes have the documented names."""
    http = HttpStatusError(302, 1.0, "/x")
    assert (http.status, http.retry_after, http.location) == (302, 1.0, "/x")
    malformed = MalformedResponse("odd", "<p>")
    assert (malformed.reason, malformed.excerpt) == ("odd", "<p>")
    api = AuthError(600, "no", "advice")
    assert (api.ret, api.msg, api.advice) == (600, "no", "advice")
    failed = OperationFailed(1003, "no")
    assert (failed.code, failed.message) == (1003, "no")
