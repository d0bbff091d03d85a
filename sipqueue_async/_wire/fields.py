"""The fields of a record that may be missing, and the list of records in an answer's `result`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from sipqueue_async._wire.envelope import Data
from sipqueue_async._wire.values import Nonsense, optional_integer, optional_text
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.models import FieldProblem

_T = TypeVar("_T")


class Fields:
    """Reads the fields of one record, and collects the problems of those that may be missing."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self.problems: list[FieldProblem] = []

    def may(self, names: tuple[str, ...], read: Callable[[Any], _T | None], meant: str) -> _T | None:
        """Return the first of these fields that has a value, or None."""
        for name in names:
            try:
                value = read(self._fields.get(name))
            except Nonsense:
                # The reason must not quote the value: any field may hold a telephone number.
                self.problems.append(FieldProblem(None, None, name, f"is not {meant}"))
                continue
            if value is not None:
                return value
        return None

    def text(self, *names: str) -> str | None:
        """Return a text, or None."""
        return self.may(names, optional_text, "a text")

    def integer(self, *names: str) -> int | None:
        """Return an integer, or None."""
        return self.may(names, optional_integer, "an integer")

    def seconds(self, name: str) -> int | None:
        """Return a number of seconds, or None."""
        return self.may((name,), natural, "a number of seconds")


def natural(value: object) -> int | None:
    """Return an integer of 0 or more, or None if the value is blank."""
    number = optional_integer(value)
    if number is not None and number < 0:
        raise Nonsense("is negative")
    return number


def elements(data: Data, mark: str) -> Iterable[msgspec.Raw]:
    """Return the records of a `result` that is a list. PHP may send one record alone, or an object with indexes.

    Args:
        data: The envelope's data.
        mark: A field by which one record is recognised.

    Raises:
        MalformedResponse: It is not a list of records.
    """
    result = data.result
    if result is None or result in ("", []):
        return ()
    if isinstance(result, list):
        return result
    if isinstance(result, dict):
        if mark in result:
            return (msgspec.Raw(msgspec.json.encode(result)),)
        if all(name.isdecimal() for name in result):
            return result.values()
    raise MalformedResponse("data.result is not a list of records")
