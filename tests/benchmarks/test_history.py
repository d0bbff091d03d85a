"""The history's benchmark at its smallest size; it detects lost events."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tests.benchmarks import history
from tests.benchmarks.speed_measure import WrongAnswer
from tests.benchmarks.speed_report import begin, end

pytestmark = pytest.mark.one_python

SMALL = ["--agents", "5", "--hours", "2", "--days", "3", "--rounds", "1"]


@pytest.mark.needs_postgres
def test_the_benchmark_writes_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = ("machine", "write", "report")
    page = tmp_path / "history.md"
    page.write_text("\n".join(f"{begin(part, 'history')}\n{end(part, 'history')}" for part in parts))
    assert history.main([*SMALL, "--write", str(tmp_path)]) == 0
    text = page.read_text()
    for expected in ("Measured on", "| SQLite |", "| PostgreSQL |", "| a day by hour |", "| 3 days by hour |"):
        assert expected in text
    assert "bytes an event in SQLite" in capsys.readouterr().out


def test_lost_events_are_noticed(tmp_path: Path) -> None:
    day = history.Day.simulated(3, 0.2)
    url = f"sqlite:///{tmp_path}/day.db"
    assert history.written([url], day).read > 0
    with pytest.raises(WrongAnswer, match="events were read of"):
        history.written([f"sqlite:///{tmp_path}/other.db"], attrs.evolve(day, events=day.events + 1))
