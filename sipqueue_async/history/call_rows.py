"""Call records as rows of the database, and back: pure functions that also decide which personal data is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from sipqueue_async import CallDirection, CallMethod, CallRecord
from sipqueue_async.history.call_tables import call_record
from sipqueue_async.history.encoding import original, storable
from sipqueue_async.history.figures import microseconds, moment_of
from sipqueue_async.records import FollowedCall
from sipqueue_async.records.prefixes import HIDDEN_DIGITS

Numbers: TypeAlias = Literal["none", "prefix", "full"]
"""What is kept of telephone numbers: nothing, the first four digits, or all of each."""

NUMBERS: Final[tuple[Numbers, ...]] = get_args(Numbers)
"""All of it."""

_KEPT_DIGITS: Final = 4
_SHOWN: Final = re.compile(r"\+?[0-9]*", re.ASCII)
_COLUMNS: Final = tuple(column.name for column in call_record.columns)
_TIMES: Final = ("started_at", "answered_at", "ended_at")
_TEXTS: Final = ("id", "extension", "uuid", "direction_code", "task_id", "company_code")
_INTEGERS: Final = (
    "method_code",
    "waiting_seconds",
    "talk_seconds",
    "hang_up_side_code",
    "hang_up_cause_code",
    "task_round",
)
_MORE: Final = ("recording_url", "recording_file", "recording_host", "key_press")
"""The personal data besides the numbers, which is kept only in full."""


class _Hidden(str):
    """Personal text whose `repr` hides it: drivers of databases log the values of statements at DEBUG."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def call_row(call: FollowedCall, platform_id: int, numbers: Numbers) -> tuple[Any, ...]:
    """Return a call's row, in the order of the table's columns."""
    record = call.record
    values: dict[str, Any] = {
        "platform_id": platform_id,
        "queue": _storable(call.queue),
        "direction": record.direction.value,
        "method": record.method.value,
        "caller": _hidden(_kept(record.caller, numbers)),
        "callee": _hidden(_kept(record.callee, numbers)),
        "personal": _hidden(_personal(record)) if numbers == "full" else None,
    }
    values |= {name: getattr(record, name) for name in _INTEGERS}
    values |= {name: _storable(getattr(record, name)) for name in _TEXTS}
    for name in _TIMES:
        moment: datetime | None = getattr(record, name)
        values[name] = None if moment is None else microseconds(moment)
    return tuple(values[name] for name in _COLUMNS)


def call_of(values: Iterable[Any]) -> FollowedCall:
    """Return the call of a row, with times in UTC."""
    row = dict(zip(_COLUMNS, values, strict=True))
    given = {name: row[name] for name in _INTEGERS}
    given |= {name: _original(row[name]) for name in (*_TEXTS, "caller", "callee")}
    given |= {name: None if row[name] is None else moment_of(row[name]) for name in _TIMES}
    if row["personal"] is not None:
        given |= msgspec.json.decode(original(row["personal"]))
    direction, method = CallDirection(row["direction"]), CallMethod(row["method"])
    return FollowedCall(CallRecord(direction=direction, method=method, **given), _original(row["queue"]))


def _personal(record: CallRecord) -> str | None:
    found = {name: value for name in _MORE if (value := getattr(record, name)) is not None}
    if record.own_values:
        found["own_values"] = dict(record.own_values)
    return msgspec.json.encode(found).decode() if found else None


def _kept(number: str | None, numbers: Numbers) -> str | None:
    """Return what is kept of a number: a prefix ends with an asterisk, like other masked numbers."""
    if not number or numbers == "none":
        return None
    if numbers == "full":
        return number
    match = _SHOWN.match(number)
    shown = match.group() if match is not None else ""
    is_masked = shown != number
    size = _KEPT_DIGITS + shown.startswith("+")
    return f"{shown[:size]}*" if is_masked or len(shown) >= size + HIDDEN_DIGITS else "*"


def _hidden(text: str | None) -> str | None:
    return None if text is None else _Hidden(storable(text))


def _storable(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _original(text: str | None) -> str | None:
    return None if text is None else original(text)
