"""Lines of aligned columns, for tables that are long and wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len


def aligned(rows: Iterable[Sequence[str]], *, names: int) -> list[str]:
    """Return a line for each row, with columns as wide as their widest cell; nothing is cut or wrapped.

    Rich's tables take seconds for thousands of rows, and shrink names to nothing on a narrow terminal.

    Args:
        rows: The cells of each row, the same number in all.
        names: The number of left-aligned columns at the start; the others are right-aligned numbers.
    """
    rows = list(rows)
    lengths = [[cell_len(cell) for cell in row] for row in rows]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    lines: list[str] = []
    for row, taken in zip(rows, lengths, strict=True):
        padding = [" " * (width - length) for width, length in zip(widths, taken, strict=True)]
        cells = [cell + padding[at] if at < names else padding[at] + cell for at, cell in enumerate(row)]
        lines.append("  ".join(cells))
    return lines
