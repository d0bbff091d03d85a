"""Tables that fit a terminal of any width, without wrapping or cutting a cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import attrs
from rich.cells import cell_len
from rich.text import Text

from sipqueue_async.cli.terminal.wrapping import wrapped
from sipqueue_async.cli.words import _, heading

_GAP: Final = 2
"""Cells between two columns."""

_NARROW: Final = 60
"""Below this width every row is a block of lines."""

Cell: TypeAlias = tuple[str, str]
"""A text and its style in rich."""


@attrs.frozen
class TableColumn:
    """A column of a table."""

    heading: str
    """In English: it is shown in the language in force."""
    rank: int = 0
    """On a narrow terminal columns are left out by rank: the highest first, rank 0 never."""
    right: bool = False
    """Whether its cells are right-aligned."""
    labelled: bool = False
    """Whether a block shows its heading; with a rank above 0 it always does."""
    context: str = ""
    """Distinguishes headings that are the same in English."""


def table_lines(
    columns: Sequence[TableColumn], rows: Iterable[Sequence[Cell]], width: int | None, *, other_forms: str = ""
) -> list[Text]:
    """Return a heading and a line for each row, without the columns that do not fit into the width.

    If columns are left out, the last line names them.

    On a terminal of less than 60 cells, or where even the columns of rank 0 do not fit, each row becomes a block of
    lines: the cells of rank 0, then those with a heading.

    Args:
        columns: The columns.
        rows: The cells of each row, one for each column.
        width: The terminal's width in cells; None for all columns, however wide they are.
        other_forms: Options of the command that print every column, such as ``--csv or --json``.
    """
    columns = [attrs.evolve(column, heading=heading(column.heading, column.context)) for column in columns]
    rows = list(rows)
    widths = [
        max(cell_len(text) for text in (column.heading, *(row[at][0] for row in rows)))
        for at, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    if width is not None:
        while _total(widths, kept) > width and any(columns[at].rank for at in kept):
            kept.remove(max(kept, key=lambda at: columns[at].rank))
        if width < _NARROW or _total(widths, kept) > width:
            return [line for row in rows for line in _block(columns, row, width)]
    headings = [(column.heading, "bold") for column in columns]
    lines = [_line(columns, row, widths, kept) for row in (headings, *rows)]
    if width is not None and len(kept) < len(columns):
        lines += wrapped(_hidden([it.heading for at, it in enumerate(columns) if at not in kept], other_forms), width)
    return lines


def _hidden(headings: Iterable[str], other_forms: str) -> Text:
    text = _("not shown: {columns} (use a wider terminal)")
    if other_forms:
        text = _("not shown: {columns} (use {options} or a wider terminal)")
    return Text(text.format(columns=_(", ").join(headings), options=other_forms.replace(" or ", _(" or "))), "dim")


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[at] for at in kept) + _GAP * (len(kept) - 1)


def _line(columns: Sequence[TableColumn], row: Sequence[Cell], widths: Sequence[int], kept: Sequence[int]) -> Text:
    line = Text()
    for number, at in enumerate(kept):
        text, style = row[at]
        padding = " " * (widths[at] - cell_len(text))
        line.append(" " * _GAP if number else "")
        if columns[at].right:
            line.append(padding).append(text, style)
        else:
            line.append(text, style).append(padding if number < len(kept) - 1 else "")
    return line


def _block(columns: Sequence[TableColumn], row: Sequence[Cell], width: int) -> list[Text]:
    """Return a row as several lines, without breaking a cell."""
    cells = [(column, column.labelled or column.rank > 0, *cell) for column, cell in zip(columns, row, strict=True)]
    title = [Text(text, style or "bold") for _, labelled, text, style in cells if text and not labelled]
    details = [
        Text(f"{column.heading} ").append(text, style) for column, labelled, text, style in cells if text and labelled
    ]
    return [*_flowing(title, width, ""), *_flowing(details, width, "  ")]


def _flowing(texts: Iterable[Text], width: int, indent: str) -> list[Text]:
    lines: list[Text] = []
    for text in texts:
        if lines and lines[-1].cell_len + _GAP + text.cell_len <= width:
            lines[-1].append(" " * _GAP).append_text(text)
        else:
            lines.append(Text(indent).append_text(text))
    return lines
