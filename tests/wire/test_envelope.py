"""The answer's envelope."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sipqueue_async import ApiError, AuthError, MalformedResponse, OperationFailed
from sipqueue_async._wire import decode_data, decode_token
from tests.kit.builders import envelope, error_body, failure_body


def _body(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_data_is_given_as_it_is() -> None:
    """`data` of other services reaches the caller complete, as plain values."""
    result = [{"a": 1, "b": [1.5, None, True], "c": {"d": "张三"}}]
    assert decode_data(_body(envelope(result))) == envelope(result)["data"]


def test_strings_for_integers_are_fine_in_the_envelope() -> None:
    """An envelope may have decimal strings for `ret` and `status`."""
    assert decode_data(b'{"ret": "200", "data": {"status": "0"}, "msg": ""}') == {"status": "0"}


@pytest.mark.parametrize(
    "prefix",
    [
        b"\xef\xbb\xbf",
        b"\n\n  ",
        b"<br />\n<b>Notice</b>:  Undefined index: x in <b>/var/www/a.php</b> on line <b>3</b><br />\n",
        b"Warning: array(1) { [0]=> } in a.php\n",
        b'\xef\xbb\xbfNotice: {"a": 1}\n',
        "注意：".encode("gbk"),
    ],
)
def test_text_before_the_json_is_skipped(prefix: bytes) -> None:
    """A byte order mark, blanks and PHP's notices before the JSON are skipped."""
    assert decode_data(prefix + _body(envelope([1])))["result"] == [1]
    with pytest.raises(ApiError, match="ret 400"):
        decode_data(prefix + error_body(400))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b" \r\n", "the body is empty"),
        (b"\xef\xbb\xbf", "the body is empty"),
        (b"<html><body>Bad gateway</body></html>", "the URL answered with a web page; check the URL"),
        (
            b"\xef\xbb\xbf<!DOCTYPE html>\n<Title lang=x>\n Log &amp;\n in</title>",
            "the URL answered with a web page (title: Log & in); check the URL",
        ),
        (b"<title>" + b"x" * 100 + b"</title>", f"(title: {'x' * 80}); check"),
        (b"<br />\n<b>Warning</b>: no JSON", "not the JSON of the protocol"),
        (b"[]", "not the JSON of the protocol"),
        (b"null", "not the JSON of the protocol"),
        (b'"ret"', "not the JSON of the protocol"),
        (b'{"ret": 200, "data": {"status": 0}} trailing', "not the JSON of the protocol"),
        (b'Notice: x {"ret": 200, "data": {', "not the JSON of the protocol"),
        (b'{"ret": NaN}', "not the JSON of the protocol"),
        (b'{"ret": 1e999}', "not the JSON of the protocol"),
        (b'{"ret": ' + b"9" * 5000 + b"}", "not the JSON of the protocol"),
        (b"[" * 100_000, "not the JSON of the protocol"),
        (b'{"data":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "not the JSON of the protocol"),
        (b'x {"data":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", "not the JSON of the protocol"),
        (b"{}", "the envelope's ret is None, not an integer"),
        (b'{"ret": "ok"}', "the envelope's ret is 'ok', not an integer"),
        (b'{"ret": 200.0}', "the envelope's ret is 200.0, not an integer"),
        (b'{"ret": true}', "the envelope's ret is True, not an integer"),
        (b'{"ret": 200, "data": []}', "data is not an object"),
        (b'{"ret": 200, "data": null}', "data is not an object"),
        (b'{"ret": 200, "data": "x"}', "data is not an object"),
        (b'{"ret": 200}', "data is not an object"),
        (b'{"ret": 200, "data": {"status": null}}', "data.status is None, not an integer"),
        (b'{"ret": 200, "data": {"status": "x"}}', "data.status is 'x', not an integer"),
    ],
)
def test_a_body_without_an_envelope_is_refused(body: bytes, words: str) -> None:
    """A body without the protocol's envelope is a MalformedResponse with the reason and an excerpt."""
    with pytest.raises(MalformedResponse) as refusal:
        decode_data(body)
    assert words in refusal.value.reason
    assert len(refusal.value.excerpt) <= 256
    assert bool(refusal.value.excerpt) == ("empty" not in words)


def test_nesting_that_the_envelope_skips_is_refused_all_the_same() -> None:
    """A million nested arrays in an unused field are an error, not a crash."""
    nested = b"[" * 1_000_000 + b"]" * 1_000_000
    for body in (
        b'{"ret": 200, "data": {"status": 0, "x": %s}}' % nested,
        b'{"ret": 200, "data": {"status": 0, "result": [%s]}}' % nested,
        b'{"ret": 200, "data": {"status": 0, "result": {"a": %s}}}' % nested,
    ):
        with pytest.raises(MalformedResponse):
            decode_data(body)


def test_data_that_only_looks_right_from_outside_is_refused() -> None:
    """Data that the check of the envelope skips is still validated before a caller gets it."""
    with pytest.raises(MalformedResponse, match="data cannot be read"):
        decode_data(b'{"ret": 200, "data": {"status": 0, "result": [1e999]}}')


@pytest.mark.parametrize("ret", [0, -1, 201, 400, 500, 599, 605, "400"])
def test_another_ret_is_an_api_error(ret: Any) -> None:
    """Any `ret` except 200 is an ApiError with the code and the server's message."""
    with pytest.raises(ApiError) as refusal:
        decode_data(error_body(ret, "没有"))
    assert type(refusal.value) is ApiError
    assert (refusal.value.ret, refusal.value.msg) == (int(ret), "没有")


@pytest.mark.parametrize("ret", [600, 601, 602, 603, 604])
def test_refused_authorization_is_an_auth_error(ret: int) -> None:
    """A `ret` of 600 to 604 is an AuthError, the kind of error that ends a watcher."""
    with pytest.raises(AuthError) as refusal:
        decode_data(error_body(ret))
    assert refusal.value.ret == ret
    assert not refusal.value.retryable


@pytest.mark.parametrize(
    "data", ["[]", "{}", "null", '""', "false", "1.5", '"x"', '{"status": "x", "result": {"a": 1}}']
)
def test_an_error_is_read_whatever_its_data(data: str) -> None:
    """The `ret` is reported whatever form of an empty `data` PHP sends."""
    with pytest.raises(ApiError, match="ret 500"):
        decode_data(f'{{"ret": 500, "data": {data}, "msg": null}}'.encode())


@pytest.mark.parametrize(("msg", "words"), [("null", ""), ('"no"', "no"), ("5", "5"), ("[1]", "[1]"), ("{}", "{}")])
def test_a_msg_of_any_type_is_words(msg: str, words: str) -> None:
    """A `msg` that is not a string does not hide its error."""
    with pytest.raises(ApiError) as refusal:
        decode_data(f'{{"ret": 500, "msg": {msg}}}'.encode())
    assert refusal.value.msg == words


def test_an_undecodable_message_is_readable() -> None:
    """Text in an undeclared encoding is shown with the standard replacement character."""
    with pytest.raises(ApiError) as refusal:
        decode_data(b'{"ret": 500, "msg": "a\xff"}')
    assert refusal.value.msg == "a\N{REPLACEMENT CHARACTER}"
    with pytest.raises(ApiError) as refusal:
        decode_data('{"ret": 500, "msg": "没有"}'.encode("gbk"), "gb18030")
    assert refusal.value.msg == "没有"


def test_a_failed_operation_has_the_codes_number() -> None:
    """The code of an OperationFailed is a number, although the platform sends a string."""
    for code in ("1003", 1003):
        with pytest.raises(OperationFailed) as refusal:
            decode_data(failure_body(code, "没有"))
        assert (refusal.value.code, refusal.value.message) == (1003, "没有")


@pytest.mark.parametrize("errors", [None, [], {}, "", {"code": None}, {"code": "x"}, {"code": ""}, {"code": [1]}])
def test_a_failed_operation_without_a_code(errors: Any) -> None:
    """Without a code, the error's code is None, and the platform's description is the message."""
    with pytest.raises(OperationFailed) as refusal:
        decode_data(_body({"ret": 200, "data": {"status": 1, "desc": "failed", "errors": errors}}))
    assert (refusal.value.code, refusal.value.message) == (None, "failed")


def test_the_token_of_a_login() -> None:
    """A login's token is found where the platform puts it."""
    assert decode_token(_body(envelope({"token": "t1", "companycode": "c"}))) == "t1"
    assert decode_token(_body(envelope({"token": "t1"})).decode().encode("utf-16"), "utf-16") == "t1"


@pytest.mark.parametrize(
    "result", [None, [], {}, "", "t1", ["t1"], {"token": ""}, {"token": None}, {"token": 5}, {"x": "t1"}]
)
def test_a_login_without_a_token(result: Any) -> None:
    """A login's answer without a token is refused, and no part of it is quoted."""
    with pytest.raises(MalformedResponse, match="has no token") as refusal:
        decode_token(_body(envelope(result)))
    assert refusal.value.excerpt == ""


def test_lost_bytes_are_shown_as_everybody_shows_them() -> None:
    """Undecodable bytes are shown as the standard replacement character."""
    assert decode_data(b'{"ret": 200, "data": {"status": 0, "name": "a\xff"}, "msg": ""}')["name"] == "a\ufffd"
