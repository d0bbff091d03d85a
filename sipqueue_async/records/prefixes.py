"""`number_prefix`: the first digits of a telephone number, for figures that show no whole number."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

LONGEST_PREFIX: Final = 7
"""The most digits of a prefix."""
HIDDEN_DIGITS: Final = 4
"""A prefix leaves at least so many digits of a number out."""

NO_NUMBER: Final = "unknown"
MASKED: Final = "masked"
SHORT: Final = "short"
OTHER: Final = "other"

_SHOWN: Final = re.compile(r"\+?[0-9]*", re.ASCII)


def number_prefix(number: str | None, prefixes: int | Collection[str] = 3) -> str:
    """Return the group that a telephone number belongs to: its first digits, or a word.

    A plus sign in front is part of the prefix and is not counted as a digit. A masked number, such as
    ``138****1234``, belongs to a prefix that its digits before the mask decide.

    Args:
        number: The number, such as `CallRecord.caller`.
        prefixes: How many digits, 1 to 7; or the prefixes to tell apart, of which the longest that fits is taken.

    Returns:
        The prefix; ``"unknown"`` without a number; ``"masked"`` if the digits before the mask do not decide;
        ``"short"`` if fewer than four digits would remain hidden; ``"other"`` if none of the prefixes fits.

    Raises:
        TypeError: `prefixes` is neither a whole number nor several strings.
        ValueError: It is out of range, or a prefix has other characters than digits or is too long.
    """
    check_prefixes(prefixes)
    if not number:
        return NO_NUMBER
    match = _SHOWN.match(number)
    shown = match.group() if match is not None else ""
    is_masked = shown != number
    if isinstance(prefixes, int):
        return _first(shown, prefixes, is_masked=is_masked)
    return _longest(shown, prefixes, is_masked=is_masked)


def _first(shown: str, digits: int, *, is_masked: bool) -> str:
    size = digits + shown.startswith("+")
    if is_masked:
        return shown[:size] if len(shown) >= size else MASKED
    return shown[:size] if len(shown) >= size + HIDDEN_DIGITS else SHORT


def _longest(shown: str, prefixes: Collection[str], *, is_masked: bool) -> str:
    if is_masked and any(len(it) > len(shown) and it.startswith(shown) for it in prefixes):
        return MASKED
    fitting = [it for it in prefixes if shown.startswith(it)]
    if not fitting:
        return OTHER
    longest = max(fitting, key=len)
    return longest if is_masked or len(shown) >= len(longest) + HIDDEN_DIGITS else SHORT


def check_prefixes(prefixes: int | Collection[str]) -> None:
    """Check an argument of `number_prefix`.

    Raises:
        TypeError: As for `number_prefix`.
        ValueError: As for `number_prefix`.
    """
    if isinstance(prefixes, int) and not isinstance(prefixes, bool):
        if not 1 <= prefixes <= LONGEST_PREFIX:
            raise ValueError(f"a prefix has from 1 to {LONGEST_PREFIX} digits, not {prefixes}")
        return
    if isinstance(prefixes, bool | str) or not isinstance(prefixes, Collection):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"prefixes must be a number of digits or several strings, not {type(prefixes).__name__}")
    if not prefixes:
        raise ValueError("prefixes is empty; give at least one, or a number of digits")
    for prefix in prefixes:
        if not re.fullmatch(rf"\+?[0-9]{{1,{LONGEST_PREFIX}}}", prefix, re.ASCII):
            raise ValueError(f"a prefix has from 1 to {LONGEST_PREFIX} digits, after a plus sign if need be")
