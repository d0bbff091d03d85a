"""Call records: the fields of a request for one page of them, and the decoding of its answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Final, TypeVar

import attrs
import msgspec

from sipqueue_async._wire.commands import extension_list
from sipqueue_async._wire.encoding import as_utf8, trouble
from sipqueue_async._wire.envelope import open_envelope
from sipqueue_async._wire.fields import Fields, natural
from sipqueue_async._wire.records import UNREADABLE, decode_record
from sipqueue_async._wire.times import local_range, server_time
from sipqueue_async._wire.values import Nonsense, identity, quoted
from sipqueue_async.calls import (
    DIRECTION_CODES,
    METHOD_CODES,
    CallDirection,
    CallMethod,
    CallRecord,
)
from sipqueue_async.errors import ApiError, MalformedResponse, OperationFailed

CALL_RECORDS: Final = "App.Sip_Cdr.GetBill"

_T = TypeVar("_T")

_LONG_NUMBER: Final = re.compile(r"\+?[0-9](?:[ ()*-]*[0-9]){6,}", re.ASCII)
_ALL: Final = "3"
"""The `syncflag` that leaves the server's own cursor alone. 1, the default, moves it, so a crash would lose records."""
_DIRECTION_FILTERS: Final = {CallDirection.IN: "1", CallDirection.OUT: "2"}
_METHOD_FILTERS: Final = {method: str(code) for code, method in METHOD_CODES.items()}
_LARGEST_PAGE: Final = 1000
_OWN_VALUES: Final = ("userid", "crmid", "memberid", "chengshudu", "ext", "customuuid")


@attrs.frozen
class CallPage:
    """One page of the answer."""

    records: tuple[CallRecord, ...]
    """Its records, in the server's order."""
    total: int | None
    """How many records all pages have together, or None if the server does not say."""


def call_fields(
    since: datetime,
    until: datetime,
    zone: tzinfo | None,
    *,
    direction: CallDirection | str | None = None,
    method: CallMethod | str | None = None,
    extension: str | Iterable[str] | None = None,
    page_size: int = 500,
) -> dict[str, str]:
    """Return the request's fields for the records of a range of time, without the number of the page.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is invalid.
    """
    if type(page_size) is not int:
        raise TypeError(f"page_size must be a whole number, not {page_size!r}")
    if not 1 <= page_size <= _LARGEST_PAGE:
        raise ValueError(f"page_size must be from 1 to {_LARGEST_PAGE}, not {page_size}")
    start, end = local_range(since, until, zone)
    fields = {"starttime": start, "endtime": end, "syncflag": _ALL, "itemsperpage": str(page_size)}
    if direction is not None:
        fields["direction"] = _filter("direction", CallDirection(direction), _DIRECTION_FILTERS)
    if method is not None:
        fields["callmethod"] = _filter("method", CallMethod(method), _METHOD_FILTERS)
    if extension is not None:
        fields["extnumber"] = ",".join(extension_list([extension] if isinstance(extension, str) else extension))
    return fields


def _filter(name: str, value: _T, codes: Mapping[_T, str]) -> str:
    code = codes.get(value)
    if code is None:
        raise ValueError(f"the platform cannot filter by the {name} {value}, only by {', '.join(map(str, codes))}")
    return code


def decode_calls(body: bytes, zone: tzinfo | None, encoding: str = "utf-8") -> CallPage:
    """Return the records of an answer's body.

    Its errors quote nothing of the body, which has telephone numbers, except for the server's message without long
    numbers.

    Raises:
        MalformedResponse: The body violates the protocol; the reason names a record and its field.
        ApiError: `ret` is not 200.
        OperationFailed: `data.status` is not 0.
    """
    try:
        return _page(body, zone, encoding)
    except MalformedResponse as error:
        failure = MalformedResponse(error.reason)
    except (ApiError, OperationFailed) as error:
        _mask(error)
        raise
    # Raised outside the except block so that no context is chained: it has an excerpt of the body.
    raise failure


def _mask(error: ApiError | OperationFailed) -> None:
    """Mask what may be a telephone number in the server's message."""
    error.args = tuple(_LONG_NUMBER.sub("***", it) if isinstance(it, str) else it for it in error.args)
    if isinstance(error, ApiError):
        error.msg = _LONG_NUMBER.sub("***", error.msg)
    else:
        error.message = _LONG_NUMBER.sub("***", error.message)


def _page(body: bytes, zone: tzinfo | None, encoding: str) -> CallPage:
    _, _, data = open_envelope(as_utf8(body, encoding))
    result = data.result
    if result is None or result in ("", []):
        return CallPage((), 0)
    if isinstance(result, list):
        records: Iterable[msgspec.Raw] = result
        total = None
    elif isinstance(result, dict):
        total = _total(result)
        records = _list_in(result, total)
    else:
        raise MalformedResponse("data.result is neither an object nor a list of call records")
    return CallPage(tuple(_record(bytes(raw), place, zone) for place, raw in enumerate(records, 1)), total)


def _total(result: Mapping[str, msgspec.Raw]) -> int | None:
    raw = result.get("totalitems")
    try:
        return None if raw is None else natural(decode_record(bytes(raw)))
    except (Nonsense, *UNREADABLE):
        raise MalformedResponse("data.result: totalitems is not a count") from None


def _list_in(result: Mapping[str, msgspec.Raw], total: int | None) -> Iterable[msgspec.Raw]:
    """Return the one list that an object has. The platform's pages do not give its name."""
    # PHP writes an array with gaps in its indexes as an object with the indexes as names.
    if result and all(name.isdecimal() for name in result):
        return result.values()
    lists = [_elements(raw) for name, raw in result.items() if name != "totalitems"]
    found = [elements for elements in lists if elements is not None]
    filled = [elements for elements in found if elements]
    if len(filled) > 1:
        raise MalformedResponse(f"data.result has {len(filled)} lists; one of call records was expected")
    if not found and total:
        raise MalformedResponse(f"data.result has no list of call records, though totalitems is {total}")
    return filled[0] if filled else ()


def _elements(raw: msgspec.Raw) -> list[msgspec.Raw] | None:
    """Return the elements of a list, or of an object that stands for one; None for anything else."""
    text = bytes(raw)
    if text[:1] == b"[":
        return msgspec.json.decode(text, type=list[msgspec.Raw])
    if text in {b"null", b'""'}:
        return []
    if text[:1] != b"{":
        return None
    fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    if "id" in fields:
        return [raw]
    return list(fields.values()) if all(name.isdecimal() for name in fields) else None


def _record(text: bytes, place: int, zone: tzinfo | None) -> CallRecord:
    try:
        fields = decode_record(text)
    except UNREADABLE as error:
        raise MalformedResponse(f"call record {place} of the page cannot be read: {trouble(error)}") from None
    if not isinstance(fields, dict):
        raise MalformedResponse(f"call record {place} of the page is not an object")
    try:
        number = identity(fields.get("id"))
    except Nonsense:
        raise MalformedResponse(f"call record {place} of the page: id is missing or not a text") from None

    def time(value: object) -> datetime | None:
        return server_time(value, zone)

    read = Fields(fields)
    started_at = read.may(("starttime",), time, "a time like 2020-02-05 21:03:36")
    if started_at is None:
        reason = read.problems[0].reason if read.problems else "is missing"
        raise MalformedResponse(f"call record {quoted(number)}: starttime {reason}")
    direction_code, direction = _direction(read)
    method_code = read.integer("callmethod")
    own = {name: value for name in _OWN_VALUES if (value := read.text(name)) is not None}
    return CallRecord(
        id=number,
        uuid=read.text("uuid"),
        direction=direction,
        direction_code=direction_code,
        method=METHOD_CODES.get(method_code or 0, CallMethod.UNKNOWN),
        method_code=method_code,
        caller=read.text("disnumber"),
        callee=read.text("destnumber"),
        extension=read.text("extnumber"),
        started_at=started_at,
        answered_at=read.may(("answertime",), time, "a time"),
        ended_at=read.may(("endtime",), time, "a time"),
        waiting_seconds=read.seconds("duration"),
        talk_seconds=read.seconds("billsec"),
        hang_up_side_code=read.integer("hangupdirection"),
        hang_up_cause_code=read.integer("hangupcause"),
        recording_url=read.text("recordurl"),
        recording_file=read.text("recordfilename"),
        recording_host=read.text("downloadip"),
        key_press=read.text("userkey"),
        task_id=read.text("taskid"),
        task_round=read.integer("round"),
        company_code=read.text("companycode"),
        own_values=own,
        problems=tuple(read.problems),
    )


def _direction(read: Fields) -> tuple[str | None, CallDirection]:
    """Return the word for the direction and its meaning. The platform calls the field `direction` or `type`."""
    words = [word for name in ("direction", "type") if (word := read.text(name)) is not None]
    for word in words:
        if word in DIRECTION_CODES:
            return word, DIRECTION_CODES[word]
    return (words[0] if words else None), CallDirection.UNKNOWN
