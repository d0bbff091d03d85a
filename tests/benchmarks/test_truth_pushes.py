"""The truth benchmark's part about pushes and call records, at a small size."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import attrs
import pytest

from tests.benchmarks import truth_pushes
from tests.benchmarks.truth_pushes import Case, PushRun, watch_case
from tests.benchmarks.truth_pushes_report import BEGIN, END

pytestmark = pytest.mark.one_python

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.virtual_time
async def test_pushes_bring_calls_at_once_and_records_get_the_right_queue() -> None:
    without = await watch_case(Case(minutes=12), 3)
    with_pushes = await watch_case(Case(minutes=12, pushes=True), 3)
    assert without.answered == with_pushes.answered > 20
    assert without.delay_median > 3
    assert with_pushes.delay_median <= 0.3
    assert without.wrong == with_pushes.wrong == 0
    assert with_pushes.right >= 0.99 * with_pushes.queue_calls > 10


@pytest.mark.virtual_time
async def test_the_comparison_finds_wrong_queues_and_missing_reports() -> None:
    run = PushRun(Case(minutes=8), 1)
    await run.play()
    found = run.result()
    *_, id_ = (id_ for id_, queue in run.queues.items() if queue is not None)
    run.queues[id_] = "another"
    assert (run.result().wrong, run.result().right) == (1, found.right - 1)
    next(iter(run.told.values())).clear()
    with pytest.raises(ValueError, match="zip"):
        run.result()


def test_the_program_writes_tables_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = ("pushes.md", "call-records.md")
    for page in pages:
        shutil.copy(DOCS / page, tmp_path)
    command = ["--minutes", "5", "--cases", "5", "--jobs", "1", "--write", str(tmp_path)]
    assert truth_pushes.main(command) == 0
    printed = capsys.readouterr().out
    for page in pages:
        before, after = ((directory / page).read_text("utf-8") for directory in (DOCS, tmp_path))
        assert after.partition(BEGIN)[0] == before.partition(BEGIN)[0]
        assert after.partition(END)[2] == before.partition(END)[2]
        assert "| 20 | 10 s | all arrive |" in after
        assert all(line in printed for line in after.partition(BEGIN)[2].partition(END)[0].splitlines())
    assert ElementTree.parse(tmp_path / "_static" / "pushes.svg").getroot().tag.endswith("svg")
    run_case = truth_pushes.run_case
    monkeypatch.setattr(truth_pushes, "run_case", lambda case, seed: attrs.evolve(run_case(case, seed), wrong=1))
    assert truth_pushes.main([*command[:2], "--jobs", "1", "--cases", "1"]) == 1
    assert capsys.readouterr().out.endswith("1 records have a wrong queue.\n")
