"""The language in force, and how it is found among the languages that a reader prefers."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "zh")
"""The languages that text for people comes in."""

_spoken: Final[ContextVar[str]] = ContextVar("language", default=ENGLISH)


def language() -> str:
    """Return the language in force here: English, unless a block of `speaking` says otherwise."""
    return _spoken.get()


@contextmanager
def speaking(name: str) -> Generator[None]:
    """Put a language in force for a block, and for the tasks that start in it."""
    token = _spoken.set(name)
    try:
        yield
    finally:
        _spoken.reset(token)


def of_preferences(names: Iterable[str]) -> str:
    """Return the first language that this package has, or English.

    Args:
        names: Names of languages, the preferred first, such as ``zh_CN.UTF-8``, ``zh-Hant`` or ``en``.
    """
    for name in names:
        main = name.replace("_", "-").partition("-")[0].partition(".")[0].strip().lower()
        if main in LANGUAGES:
            return main
    return ENGLISH
