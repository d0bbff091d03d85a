"""Columns of text on a screen: which ones there is room for, how wide each is, and rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import attrs
from rich.cells import cell_len, set_cell_size


class Field(NamedTuple):
    """A text at one place of a line."""

    column: int
    """The cell in which it begins, from 0."""
    text: str
    style: str
    """In rich's words."""


Line: TypeAlias = tuple[Field, ...]
"""A line of a screen: what is on it, from left to right."""


@attrs.frozen
class Column:
    """A column, and what may be done to it where room is short. Widths are in cells of the screen."""

    name: str
    heading: str
    width: int = attrs.field(kw_only=True)
    """As wide as it would like to be."""
    least: int = attrs.field(kw_only=True, default=attrs.Factory(lambda self: self.width, takes_self=True))
    """How narrow it may become."""
    rank: int = attrs.field(kw_only=True)
    """In which order columns are left out: the highest first, those of rank 0 never."""
    right: bool = attrs.field(kw_only=True, default=False)
    """Whether its text stands at the right."""


def placed(columns: Iterable[Column], width: int) -> list[tuple[int, Column]]:
    """Return the columns that there is room for, each with where it begins and as wide as it is to be."""
    kept = list(columns)
    while _least(kept) > width and max(column.rank for column in kept) > 0:
        kept.remove(max(kept, key=lambda column: column.rank))
    spare = max(0, width - _least(kept))
    found: list[tuple[int, Column]] = []
    at = 0
    for column in kept:
        more = min(spare, max(0, column.width - column.least))
        spare -= more
        size = min(column.least + more, max(0, width - at))
        if size:
            found.append((at, attrs.evolve(column, width=size, least=size)))
        at += size + 1
    return found


def _least(columns: Sequence[Column]) -> int:
    return sum(column.least for column in columns) + len(columns) - 1


def row(columns: Iterable[tuple[int, Column]], cells: Iterable[tuple[str, str]], ellipsis: str) -> Line:
    """Return one row: a text and its style for each of the columns."""
    fields: list[Field] = []
    for (at, column), (text, style) in zip(columns, cells, strict=True):
        shown = cut(text, column.width, ellipsis)
        start = at + (column.width - cell_len(shown) if column.right else 0)
        if shown:
            fields.append(Field(start, shown, style))
    return tuple(fields)


def cut(text: str, width: int, ellipsis: str) -> str:
    """Return text that is no wider than so many cells, its end replaced where it was."""
    if cell_len(text) <= width:
        return text
    if width < len(ellipsis) + 1:
        return set_cell_size(text, max(0, width))
    return set_cell_size(text, width - len(ellipsis)).rstrip() + ellipsis
