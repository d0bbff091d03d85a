"""Reads tables of a TOML file; errors name the file, the table or line, the key, and the reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

T = TypeVar("T")

_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_LONGEST: Final = 366 * _UNITS["d"]
_DURATION: Final = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(_UNITS)})")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Reader: TypeAlias = Callable[[Any], Any]
"""Returns a key's value, or raises a ValueError that says what to write."""


class InvalidError(ValueError):
    """Something in the file is invalid; the message begins with the place."""


def read_document(path: Path, noun: str, read: Callable[[dict[str, Any]], T]) -> T:
    """Return what `read` makes of a TOML file.

    Args:
        path: The file.
        noun: What the file is called in errors, such as "rules file".
        read: Turns the document into the result; it raises `InvalidError`.

    Raises:
        ValueError: The file cannot be read or is not TOML, or `read` refuses it.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"the {noun} {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the {noun} {path} is not valid TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the {noun} {path} is not valid TOML: {error}") from None
    try:
        return read(document)
    except InvalidError as error:
        raise ValueError(f"{path}: {error}") from None


def tables_of(document: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Return the tables ``[name.first]``, ``[name.second]`` by their last names.

    Raises:
        InvalidError: They are not tables.
    """
    tables = document.get(name, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise InvalidError(f"{name}: write each as a table of its own, such as [{name}.first]")
    return tables


def refuse_unknown(place: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Check that a table has no keys but these.

    Raises:
        InvalidError: It has another.
    """
    known = tuple(known)
    for key in table:
        if key not in known:
            raise InvalidError(f"{place} {key}: there is no such key here; there are {', '.join(known)}".strip())


def check_url_keys(place: str, table: Mapping[str, Any]) -> None:
    """Check that a destination's table has either ``url`` or ``url_from``.

    Raises:
        InvalidError: It has both or none.
    """
    if ("url" in table) == ("url_from" in table):
        raise InvalidError(f"{place} needs either url or url_from, the environment variable with the URL")


def read_value(place: str, key: str, value: object, read: Reader) -> Any:
    """Return a key's value.

    Raises:
        InvalidError: The reader refuses it.
    """
    try:
        return read(value)
    except ValueError as error:
        raise InvalidError(f"{place} {key}: {error}".strip()) from None


# ---- readers; each raises a ValueError that says what to write ---------------------------------------------------


def text(value: object) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"write a text in quotes, not {value!r}")
    return value


def secret(value: object) -> str:
    """Return a text that no error may quote."""
    if isinstance(value, str) and value:
        return value
    raise ValueError("write one text in quotes")


def variable(value: object) -> str:
    """Return the name of the environment variable with a URL."""
    if isinstance(value, str) and _VARIABLE.fullmatch(value):
        return value
    # It may be a URL with a secret, so the message does not quote it.
    raise ValueError("write the name of an environment variable, such as DUTY_URL; a URL itself belongs to the key url")


def texts(value: object) -> tuple[str, ...]:
    """Return one text or several."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(it, str) and it for it in found):
        raise ValueError(f"write a text, or a list of texts, none of them empty, not {value!r}")
    return tuple(found)


def duration(value: object) -> float:
    """Return the seconds of a time with its unit."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'write a time with its unit, such as "30 s", "10 min", "1 h" or "1 d", not {value!r}')
    if (seconds := float(found[1]) * _UNITS[found[2]]) > _LONGEST:
        raise ValueError(f"write at most {_LONGEST // _UNITS['d']} d, not {value!r}")
    return seconds


def whole(value: object) -> int:
    """Return a whole number."""
    if type(value) is int:
        return value
    raise ValueError(f"write a whole number, not {value!r}")
