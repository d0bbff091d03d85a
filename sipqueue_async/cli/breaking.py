"""Break lines of text between words, and between Chinese characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

_NOT_FIRST: Final = frozenset("，。、；：？！）」』】》”’…,.;:?!)]}%")
"""Characters that do not begin a line."""
_NOT_LAST: Final = frozenset("（「『【《“‘([{")
"""Characters that do not end a line."""


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes, without regard to emoji."""
    return sum(2 if is_wide(character) else 1 for character in text)


def is_wide(character: str) -> bool:
    """Return whether a character takes two cells."""
    return character > "\u10ff" and unicodedata.east_asian_width(character) in {"W", "F"}


def has_wide(text: str) -> bool:
    """Return whether a text has a character that takes two cells."""
    return not text.isascii() and any(map(is_wide, text))


def break_points(text: str, width: int, measure: Callable[[str], int] = cells) -> list[int]:
    """Return the offsets at which to break a text so that no line has more than `width` cells.

    Spaces at a line's end do not count. A word that is longer than a line is broken.

    Args:
        text: The text, without line breaks.
        width: Maximum number of cells of a line.
        measure: Returns the number of cells of a character.
    """
    points: list[int] = []
    begin, used, last = 0, 0, 0
    for at, character in enumerate(text):
        if at > begin and _may_break(text[at - 1], character):
            last = at
        used += measure(character)
        if used > width and character != " " and at > begin:
            cut = last if last > begin else at
            points.append(cut)
            begin, last = cut, cut
            used = sum(map(measure, text[cut : at + 1]))
    return points


def _may_break(before: str, after: str) -> bool:
    if after == " ":
        return False
    if before == " ":
        return True
    return (is_wide(before) or is_wide(after)) and before not in _NOT_LAST and after not in _NOT_FIRST


def broken(text: str, width: int) -> list[str]:
    """Return the lines of a text."""
    ends = [*break_points(text, width), len(text)]
    return [text[begin:end].rstrip() for begin, end in zip([0, *ends], ends, strict=False)]
