"""The envelope of every answer: `ret`, `msg`, `data` and `data.status`."""

from __future__ import annotations

import html
import re
import reprlib
from typing import Any, Final

import msgspec

from sipqueue_async._wire.encoding import LOST, as_utf8, excerpt, trouble, without_lone_surrogates
from sipqueue_async._wire.values import Nonsense, integer
from sipqueue_async.errors import WEB_PAGE, ApiError, AuthError, MalformedResponse, OperationFailed, SipQueueError

# A Raw holds the bytes of a value that is not parsed yet. The unions accept any JSON, so that a field of the wrong type
# does not hide the `ret` beside it; the checks below report the field.
_Scalar = str | int | float | bool | None


class Data(msgspec.Struct):
    """The fields of the envelope's `data` that all services have."""

    status: Any = 0
    desc: Any = None
    errors: Any = None
    result: list[msgspec.Raw] | dict[str, msgspec.Raw] | _Scalar = None
    rsptime: Any = None


class _Envelope(msgspec.Struct):
    ret: Any = None
    data: Data | list[msgspec.Raw] | _Scalar = None
    msg: Any = None


class _OpenEnvelope(msgspec.Struct):
    data: Any = None


_envelope_decoder: Final = msgspec.json.Decoder(_Envelope)
_open_envelope_decoder: Final = msgspec.json.Decoder(_OpenEnvelope)

_LONGEST_WORDS: Final = 1024
"""Characters that are kept of a server's message."""

# The start of the JSON after a PHP notice or other text: an object whose first key is one of the envelope.
_ENVELOPE_START: Final = re.compile(rb'\{\s*"(?:ret|data|msg)"\s*:')

# Tags of a web page; a PHP notice contains other tags.
_WEB_PAGE_START: Final = re.compile(rb"<(?:!doctype html|html|head|title|body)\b", re.IGNORECASE)
_TITLE: Final = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_LONGEST_START: Final = 1024
"""Bytes in which a page has its first tag."""
_LONGEST_HEAD: Final = 16_384
"""Bytes in which a page has its title."""
_LONGEST_TITLE: Final = 80


def decode_data(body: bytes, encoding: str = "utf-8") -> Any:
    """Return the `data` of an answer, as plain Python values.

    Raises:
        MalformedResponse: The body is not an envelope.
        ApiError: `ret` is not 200.
        OperationFailed: `data.status` is not 0.
    """
    body, start, _ = open_envelope(as_utf8(body, encoding))
    try:
        # `LOST` is internal; callers get the usual replacement character.
        return _open_envelope_decoder.decode(body[start:].replace(LOST.encode(), "\ufffd".encode())).data
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedResponse(f"data cannot be read: {trouble(error)}", excerpt(body)) from error


def open_envelope(body: bytes) -> tuple[bytes, int, Data]:
    """Check `ret` and `status`, then return the body, the offset of its envelope, and `data`.

    The returned body is the given one, with `LOST` in place of lone surrogates if it has any.
    """
    try:
        start, envelope = _parse(body)
    except MalformedResponse:
        mended = without_lone_surrogates(body)
        if mended == body:
            raise
        body = mended
        start, envelope = _parse(body)
    _check_ret(envelope, body)
    data = envelope.data
    if not isinstance(data, Data):
        raise MalformedResponse("ret is 200, but data is not an object", excerpt(body))
    _check_status(data, body)
    return body, start, data


def open_around(head: bytes, tail: bytes) -> Data | None:
    """Return the `data` of a body, without its records.

    Args:
        head: The body's bytes before the first record.
        tail: The body's bytes after the last record.

    Returns:
        None if `open_envelope` refuses the body, or if the records were not the list `result`.
    """
    # Parse with two different fillings in turn: the tail might hold a second `result`, which would replace the first.
    for filling in (b"1", b"2"):
        try:
            _, _, data = open_envelope(head + filling + tail)
        except SipQueueError:
            return None
        if data.result != [msgspec.Raw(filling)]:
            return None
    return data


def _parse(body: bytes) -> tuple[int, _Envelope]:
    try:
        return 0, _envelope_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        failure = error
    found = _ENVELOPE_START.search(body)
    if found is not None and found.start() > 0:
        try:
            return found.start(), _envelope_decoder.decode(memoryview(body)[found.start() :])
        except (msgspec.DecodeError, RecursionError) as error:
            failure = error
    if not body.strip():
        raise MalformedResponse("the body is empty")
    if _WEB_PAGE_START.search(body, 0, _LONGEST_START):
        raise MalformedResponse(_web_page(body), excerpt(body)) from failure
    raise MalformedResponse(f"not the JSON of the protocol: {trouble(failure)}", excerpt(body)) from failure


def _web_page(body: bytes) -> str:
    found = _TITLE.search(body, 0, _LONGEST_HEAD)
    title = html.unescape(found[1].decode(errors="replace")) if found else ""
    title = " ".join(title.split())[:_LONGEST_TITLE]
    return f"{WEB_PAGE}{f' (title: {title})' if title else ''}; check the URL"


def _check_ret(envelope: _Envelope, body: bytes) -> None:
    try:
        ret = integer(envelope.ret)
    except Nonsense as nonsense:
        raise MalformedResponse(f"the envelope's ret {nonsense}", excerpt(body)) from None
    if ret != 200:
        kind = AuthError if 600 <= ret <= 604 else ApiError
        raise kind(ret, _words(envelope.msg))


def _check_status(data: Data, body: bytes) -> None:
    try:
        status = integer(data.status)
    except Nonsense as nonsense:
        raise MalformedResponse(f"data.status {nonsense}", excerpt(body)) from None
    if status != 0:
        errors: dict[str, Any] = data.errors if isinstance(data.errors, dict) else {}
        try:
            code = integer(errors.get("code"))
        except Nonsense:
            code = None
        raise OperationFailed(code, _words(errors.get("codemsg")) or _words(data.desc))


def _words(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return reprlib.repr(value)
    return value[:_LONGEST_WORDS].replace(LOST, "\N{REPLACEMENT CHARACTER}")
