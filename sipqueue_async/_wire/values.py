"""Single values as PHP sends them: integers that may be strings, times that may be zeros, texts that may be numbers."""

from __future__ import annotations

import re
import reprlib
from datetime import datetime
from typing import Final

from sipqueue_async._wire.encoding import LOST


class Nonsense(Exception):  # noqa: N818  # not an error by itself: some fields may be nonsense
    """The reason why a value is invalid, to follow the field's name: ``is 'x', not an integer``."""


_INTEGER: Final = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_LONGEST_INTEGER: Final = 64
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}")
_INT64: Final = range(-(2**63), 2**63)


def quoted(value: object) -> str:
    """Return a short readable form of a value, with a question mark for bytes that are not text."""
    return reprlib.repr(value.replace(LOST, "?") if isinstance(value, str) else value)


def integer(value: object) -> int:
    """Return an integer that PHP sent as a number or as a decimal string."""
    if type(value) is int:
        number = value
    elif isinstance(value, str) and _INTEGER.fullmatch(value):
        # Python refuses to parse thousands of digits; such a number is out of range anyway.
        number = int(value) if len(value) <= _LONGEST_INTEGER else _INT64.stop
    else:
        raise Nonsense(f"is {quoted(value)}, not an integer")
    if number not in _INT64:
        raise Nonsense(f"is {quoted(value)}, beyond 64 bits")
    return number


def counter(value: object) -> int:
    """Return a count; 0 if it is blank, for `RecordReader` to replace."""
    if value is None or value == "":
        return 0
    number = integer(value)
    if number < 0:
        raise Nonsense(f"is {number}, and a counter cannot be negative")
    return number


def optional_integer(value: object) -> int | None:
    """Return an integer, or None if the value is blank."""
    return None if value is None or value == "" else integer(value)


def text(value: object) -> str:
    """Return a string; PHP may have sent it as a number."""
    words = str(value) if type(value) is int else value
    if not isinstance(words, str):
        raise Nonsense(f"is {quoted(value)}, not a text")
    if LOST in words:
        raise Nonsense(f"has bytes that are not text in the body's encoding: {quoted(words)}")
    return words


def optional_text(value: object) -> str | None:
    """Return a string, or None if the value is blank: missing, empty, or spaces only."""
    return None if value is None or value == "" or (isinstance(value, str) and value.isspace()) else text(value)


def identity(value: object) -> str:
    """Return a name, which is a string that is not empty."""
    words = text(value)
    if not words:
        raise Nonsense("is empty")
    return words


def naive_time(value: object) -> datetime | None:
    """Return a `YYYY-MM-DD HH:MM:SS` as a naive datetime; None for any spelling of "never"."""
    if value is None or value == "":
        return None
    # fromisoformat accepts other notations too, so check the shape first; both together are far faster than strptime.
    if isinstance(value, str) and _TIME.fullmatch(value):
        if value.startswith("0000-00-00"):
            return None
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    elif value == "0000-00-00":
        return None
    raise Nonsense(f"is {quoted(value)}, not a time like 2020-02-05 21:03:36")
