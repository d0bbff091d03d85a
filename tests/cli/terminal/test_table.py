"""Tables on terminals of any width."""

from __future__ import annotations

import os

import pytest

from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines
from tests.kit.terminal import terminal

COLUMNS = (
    TableColumn("queue"),
    TableColumn("ext"),
    TableColumn("name"),
    TableColumn("state"),
    TableColumn("answered", rank=1, right=True),
    TableColumn("last answer", rank=2, right=True),
    TableColumn("last offer", rank=3, right=True),
)


def row(queue: str, name: str, answer: str = "08:00:00") -> list[Cell]:
    """Return a row of seven cells."""
    return [(text, "") for text in (queue, "100001", name, "receiving", "12", answer, "08:00:01")]


ROWS = [row("售后服务", "王小明"), row("queue-1", "Agent 01", "")]


def shown(width: int | None, rows: list[list[Cell]] = ROWS) -> list[str]:
    """Return the lines as text."""
    return [line.plain for line in table_lines(COLUMNS, rows, width, other_forms="--json")]


def test_in_a_pipe_nothing_is_left_out() -> None:
    assert shown(None) == [
        "queue     ext     name      state      answered  last answer  last offer",
        "售后服务  100001  王小明    receiving        12     08:00:00    08:00:01",
        "queue-1   100001  Agent 01  receiving        12                 08:00:01",
    ]
    assert len(shown(None, [row("q", "x" * 500)])[1]) > 500


@pytest.mark.parametrize(
    ("width", "last"), [(200, "last offer"), (72, "last offer"), (71, "last answer"), (60, "last answer")]
)
def test_columns_leave_in_a_fixed_order(width: int, last: str) -> None:
    """The last line names what is missing."""
    heading, *lines = shown(width)
    assert heading.endswith(last)
    missing = "not shown: last offer (use --json or a wider terminal)"
    assert lines[2:] == ([] if last == "last offer" else [missing])
    del lines[2:]
    assert all("100001" in line and "receiving" in line for line in lines)


@pytest.mark.parametrize("width", [59, 40, 24])
def test_a_narrow_terminal_has_a_block_for_each_row(width: int) -> None:
    """No cell is split, and empty cells are omitted."""
    text = "\n".join(shown(width))
    assert max(line.cell_len for line in table_lines(COLUMNS, ROWS, width)) <= width
    assert text.count("100001") == text.count("receiving") == text.count("answered 12") == 2
    assert (text.count("last answer 08:00:00"), text.count("last offer 08:00:01")) == (1, 2)


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100])
async def test_a_real_terminal_wraps_no_line(width: int) -> None:
    async with terminal(width, 24) as screen:
        with os.fdopen(os.dup(screen.descriptor), "w") as stream:
            output = Output(stream, {"TERM": "xterm-256color"})
            assert output.width == width
            output.lines(table_lines(COLUMNS, ROWS, output.width, other_forms="--json"))
        expected = shown(width)
        await screen.until(lambda: screen.lines[: len(expected) + 1] == [*map(str.rstrip, expected), ""])


def test_names_too_long_for_a_line_make_blocks() -> None:
    first, second, *_ = shown(80, [row("queue-1", "x" * 100)])
    assert (first, second) == ("queue-1  100001", "x" * 100)
