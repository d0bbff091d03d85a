"""Lines of aligned columns, for tables that are long and wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len


def aligned(rows: Iterable[Sequence[str]], *, names: int) -> list[str]:
    """Return a line for each row, with columns as wide as their widest cell; nothing is cut or wrapped.

    Rich's tables take seconds for some thousands of rows, and on a narrow terminal they cut names down to nothing.

    Args:
        rows: The cells, as many in each row.
        names: How many columns, the first ones, are names; the others are numbers and stand to the right.
    """
    rows = list(rows)
    lengths = [[cell_len(cell) for cell in row] for row in rows]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    lines: list[str] = []
    for row, taken in zip(rows, lengths, strict=True):
        room = [" " * (width - length) for width, length in zip(widths, taken, strict=True)]
        cells = [cell + room[at] if at < names else room[at] + cell for at, cell in enumerate(row)]
        lines.append("  ".join(cells))
    return lines
