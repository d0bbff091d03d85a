"""Columns of text on a screen: which ones fit, how wide each is, and rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import attrs
from rich.cells import cell_len, set_cell_size


class Field(NamedTuple):
    """A text and its position in a line."""

    column: int
    """The cell in which it begins, from 0."""
    text: str
    style: str
    """A style of rich."""
    target: object = None
    """What a click on it is about."""


Line: TypeAlias = tuple[Field, ...]
"""A line of a screen: its texts from left to right."""


@attrs.frozen
class Column:
    """A column, and how it shrinks or disappears on a narrow screen. Widths are in cells of the screen."""

    name: str
    heading: str
    width: int = attrs.field(kw_only=True)
    """The preferred width."""
    least: int = attrs.field(kw_only=True, default=attrs.Factory(lambda self: self.width, takes_self=True))
    """The minimum width."""
    rank: int = attrs.field(kw_only=True)
    """Columns are left out by rank: the highest first, rank 0 never."""
    right: bool = attrs.field(kw_only=True, default=False)
    """Whether its text is right-aligned."""


def placed(columns: Iterable[Column], width: int) -> list[tuple[int, Column]]:
    """Return the columns that fit into the width, each with its first cell and its final width."""
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


def row(
    columns: Iterable[tuple[int, Column]], cells: Iterable[tuple[str, str]], ellipsis: str, target: object = None
) -> Line:
    """Return one row; `cells` has a text and its style for each column."""
    fields: list[Field] = []
    for (at, column), (text, style) in zip(columns, cells, strict=True):
        shown = cut(text, column.width, ellipsis)
        start = at + (column.width - cell_len(shown) if column.right else 0)
        if shown:
            fields.append(Field(start, shown, style, target))
    return tuple(fields)


def highlighted(line: Line, width: int, style: str) -> Line:
    """Return a line as one text over the whole width."""
    text = ""
    for field in line:
        text += " " * (field.column - cell_len(text)) + field.text
    return (Field(0, set_cell_size(text, width), style, line[0].target if line else None),)


def target_at(line: Line, column: int) -> object:
    """Return the target of the text at a cell of a line, or of the text before it."""
    return next((field.target for field in reversed(line) if field.column <= column), None)


def cut(text: str, width: int, ellipsis: str) -> str:
    """Return text of at most `width` cells; an ellipsis replaces what does not fit."""
    if cell_len(text) <= width:
        return text
    if width < len(ellipsis) + 1:
        return set_cell_size(text, max(0, width))
    return set_cell_size(text, width - len(ellipsis)).rstrip() + ellipsis
