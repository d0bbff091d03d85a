"""The ground truth of alerts at a small size: none is missing, told twice or false."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tests.benchmarks.truth_alerts import BEGIN, END, day_table, judge, write
from tests.benchmarks.truth_alerts_command import command_table, run_command
from tests.benchmarks.truth_alerts_day import Day, play, scenario

pytestmark = pytest.mark.one_python


@pytest.fixture(scope="module")
def day() -> Day:
    """Return a day with two good polls a minute."""
    return play(scenario(3, 50, 5), 30, 4)


def test_every_condition_of_every_rule_is_raised_once_and_cleared_once(day: Day) -> None:
    counts = judge(day)
    assert all(it.exact for it in counts.values()), counts
    assert min(it.due for it in counts.values()) > 0


def test_a_missing_doubled_or_false_alert_is_found(day: Day) -> None:
    """The comparison is strict: one alert more, less or repeated is noticed."""
    talks = [it for it in day.told if it.alert.rule.name == "long-talk" and it.alert.kind == "raised"]
    without = attrs.evolve(day, told=[it for it in day.told if it.alert.id != talks[0].alert.id])
    assert judge(without)["long-talk"].missing == 1
    repeated = attrs.evolve(day, told=[*day.told, talks[0]])
    assert (judge(repeated)["long-talk"].twice, judge(repeated)["long-talk"].missing) == (1, 1)
    made_up = attrs.evolve(talks[0], alert=attrs.evolve(talks[0].alert, id="x", extension="9"))
    assert judge(attrs.evolve(day, told=[*day.told, made_up]))["long-talk"].false == 1


def test_the_tables_replace_those_of_the_page(day: Day, tmp_path: Path) -> None:
    page = tmp_path / "alerts.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write(day_table({30.0: judge(day)}), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n\n| rule | interval |")
    assert text.endswith(f"{END}\nafter\n")
    assert "| `state-lasts`: long-talk | 30 s |" in text


async def test_the_command_killed_and_restarted_tells_each_call_and_outage_once() -> None:
    outcome = await run_command(9, 40, 2, 1)
    assert outcome.exact, outcome
    assert (outcome.kills, outcome.outages) == (3, 1)
    assert outcome.due > 50
    assert command_table(outcome).splitlines()[-1].startswith("| 9 | 3 | 1 |")
