"""The day of agents as bars, at any width."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sipqueue_async import AgentState
from sipqueue_async.cli.terminal.bars import BLOCKS, LETTERS, Bar, bar_lines

EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)
END = EIGHT + timedelta(hours=10)


def at(hours: float) -> datetime:
    return EIGHT + timedelta(hours=hours)


def day() -> list[Bar]:
    """Return a talk of one hour, an outage of two, a break, and an agent who comes at noon."""
    return [
        Bar(
            "挂号 100001 王小明",
            [
                (at(0), at(2), AgentState.WAITING),
                (at(2), at(3), AgentState.TALKING),
                (at(3), at(5), "unseen"),
                (at(5), at(10), AgentState.PAUSED),
            ],
        ),
        Bar("sales 100002 Ada", [(at(4), at(10), AgentState.WAITING)]),
    ]


@pytest.mark.parametrize("width", [40, 59, 60, 80, 200])
def test_bars_are_as_wide_as_the_terminal(width: int) -> None:
    """Names have a column, or a line of their own on a narrow terminal; nothing is cut."""
    lines = bar_lines(day(), (EIGHT, END), UTC, width)
    assert lines[1 if width >= 60 else 2].cell_len == width
    text = "\n".join(line.plain for line in lines)
    assert "挂号 100001 王小明" in text
    assert "sales 100002 Ada" in text
    assert max(line.cell_len for line in lines) == width


def test_each_cell_shows_what_took_most_of_its_time() -> None:
    scale, name, bar, other_name, other, *legend = bar_lines(day(), (EIGHT, END), UTC, 20)
    assert scale.plain == "        12:00"
    assert (name.plain, bar.plain) == ("挂号 100001 王小明", "▒▒▒▒██╳╳╳╳==========")
    assert (other_name.plain, other.plain) == ("sales 100002 Ada", "        ▒▒▒▒▒▒▒▒▒▒▒▒")
    assert [line.plain for line in legend] == ["█ talking  ▒ waiting", "= paused  ╳ unseen"]
    letters = bar_lines(day(), (EIGHT, END), UTC, 80, signs=LETTERS)
    assert letters[-1].plain == "T talking  W waiting  = paused  x unseen"
    assert set(letters[1].plain.split()[-1]) == {"W", "T", "x", "="}


def test_states_have_different_signs_and_styles() -> None:
    """A state is recognisable without colours, and without the signs."""
    assert len(set(BLOCKS.values())) == len(set(LETTERS.values())) == len(AgentState) + 1
    bars = [Bar(kind, [(EIGHT, END, kind)]) for kind in BLOCKS]
    lines = bar_lines(bars, (EIGHT, END), UTC, 100)[1 : 1 + len(bars)]
    assert len({str(line.spans[-1].style) for line in lines}) == len(bars)


def test_a_short_state_is_not_lost_to_rounding() -> None:
    """A cell shows the state with the longest total in it, over all pieces."""
    talks = [(at(number / 10), at(number / 10 + 0.06), AgentState.TALKING) for number in range(10)]
    waits = [(at(number / 10 + 0.06), at(number / 10 + 0.1), AgentState.WAITING) for number in range(10)]
    lines = bar_lines([Bar("1", [*talks, *waits])], (EIGHT, at(1)), UTC, 62)
    assert {line.plain[2:].strip("█▒") for line in lines[1:2]} == {""}
    assert bar_lines([Bar("1", [*talks, *waits])], (EIGHT, at(10)), UTC, 10)[2].plain == "█"


@pytest.mark.parametrize(
    ("hours", "zone", "width", "expected"),
    [
        (10, "UTC", 62, "  08:00       10:00       12:00"),
        (10, "UTC", 82, "  08:00   09:00   10:00"),
        (10, "Asia/Kathmandu", 82, "    14:00   15:00   16:00"),
        (1, "UTC", 80, "  08:00 "),
        (24 * 14, "UTC", 80, "     01-06      01-08"),
        (24 * 400, "UTC", 80, "  01-06 "),
    ],
)
def test_the_scale_has_round_times_of_the_zone(hours: int, zone: str, width: int, expected: str) -> None:
    bars = [Bar("1", [(EIGHT, at(hours), AgentState.IDLE)])]
    scale = bar_lines(bars, (EIGHT, at(hours)), ZoneInfo(zone), width)[0]
    assert scale.plain.startswith(expected), scale.plain
    assert scale.cell_len <= width


def test_the_scale_follows_the_clocks() -> None:
    """The scale does not show an hour that the clocks skip."""
    since = datetime(2026, 3, 29, 0, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    bars: list[Any] = [Bar("1", [(since, since + timedelta(hours=6), AgentState.IDLE)])]
    scale = bar_lines(bars, (since, since + timedelta(hours=6)), ZoneInfo("Europe/Berlin"), 80)[0].plain
    assert scale.split() == ["00:00", "01:00", "03:00", "04:00", "05:00", "06:00"]


@pytest.mark.parametrize(
    ("hours", "width", "expected"),
    [
        (10, 62, "  08:00       10:00       12:00       14:00          now 18:00"),
        (9.6, 62, "  08:00       10:00        12:00       14:00         now 17:36"),
        (0.5, 62, "  08:00     08:05     08:10     08:15     08:20      now 08:30"),
        (10, 20, "           now 18:00"),
        (10, 5, ""),
    ],
)
def test_the_end_of_the_scale_is_now_instead_of_times_in_its_way(hours: float, width: int, expected: str) -> None:
    lines = bar_lines([Bar("1", [(EIGHT, at(hours), AgentState.IDLE)])], (EIGHT, at(hours)), UTC, width, ends_now=True)
    assert lines[0].plain == expected
