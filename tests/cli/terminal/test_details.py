"""The pages of `sipqueue top`."""

from __future__ import annotations

import pytest

from sipqueue_async.cli.terminal.details import help_text


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (40, ["/", "  search in queues, extensions and", "  names; Escape ends it"]),
        (59, ["/", "  search in queues, extensions and names; Escape", "  ends it"]),
        (80, ["/                      search in queues, extensions and names;", " " * 23 + "Escape ends it"]),
        (120, ["/                      search in queues, extensions and names; Escape ends it"]),
    ],
)
def test_the_help_fits_the_screen(width: int, expected: list[str]) -> None:
    lines = help_text(width).plain.splitlines()
    first = lines.index(expected[0])
    assert lines[first : first + len(expected)] == expected
    assert max(map(len, lines)) <= width * 0.85
