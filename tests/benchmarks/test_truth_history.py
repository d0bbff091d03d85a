"""The ground truth of a history at a small size: each cell of its reports is exact, and a wrong one is found."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs
import pytest

from sipqueue_async.history import Figures, Report, ReportRow
from tests.benchmarks.truth_history import BEGIN, END, compare, moment, table, write
from tests.benchmarks.truth_history_expected import Expected
from tests.benchmarks.truth_history_run import BEGAN

ROOT = Path(__file__).parents[2]
SMALL = "--days 0.06 --agents 6 --kills 2 --restarts 1 --full-disks 1 --disk 64"

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs_postgres)])
def test_reports_are_exact_after_kills_and_full_disks(database: str, tmp_path: Path) -> None:
    """The program forks, which a test's process with its threads should not."""
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], check=False).returncode:  # pragma: no cover
        pytest.skip("only root may mount a small file system")
    subprocess.run(["umount", str(tmp_path)], check=True)
    command = [sys.executable, "tests/benchmarks/truth_history.py", *SMALL.split(), "--databases", database]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1].split("|")
    assert (last[4].strip(), last[-2].strip()) == ("2", "0")


def test_a_wrong_cell_is_found(tmp_path: Path) -> None:
    figures, zone = Figures(answered=2, unseen=5_000_000), ZoneInfo("UTC")
    row = ReportRow(label="", start=BEGAN, end=BEGAN + timedelta(hours=1), figures=figures)
    report = Report(by="hour", zone=zone, since=BEGAN, until=moment(3600), rows=(row,), total=figures)
    right = Expected(answered=2, unseen=5)
    assert all(equal for _, equal in compare(report, {0: right}, "hour"))
    wrong = attrs.evolve(right, unseen=6)
    found = [text for text, equal in compare(report, {0: wrong}, "hour") if not equal]
    assert found == [
        "hour 2026-10-19 08:00:00+00:00 unseen: 5000000, not 6000000",
        "hour total unseen: 5000000, not 6000000",
    ]
    page = tmp_path / "history.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write(table([]), tmp_path)
    assert page.read_text(encoding="utf-8").startswith(f"before\n{BEGIN}\n\n| database | days |")
