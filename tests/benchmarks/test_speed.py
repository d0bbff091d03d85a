"""The speed benchmark at its smallest size: it runs, and detects wrong results and missed limits."""

from __future__ import annotations

import runpy
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.benchmarks import speed, speed_decode
from tests.benchmarks.speed_bodies import Story
from tests.benchmarks.speed_contestants import LIBRARY, Contestant, library, others
from tests.benchmarks.speed_decode import race
from tests.benchmarks.speed_measure import Limit, Section, Spread, WrongAnswer, table
from tests.benchmarks.speed_report import begin, end, write
from tests.kit.threads import in_new_thread

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "speed.md"


def test_a_seat_that_is_gone_has_changed() -> None:
    before, after = (Story(records=records, share=0, polls=1).steps()[0].body for records in (3, 2))
    for contestant in [library(), *others(3)]:
        contestant.take(before)
        assert set(contestant.seats(contestant.take(after)) or ()) == {("queue-0", "100003")}, contestant.name


class _Blind(Contestant):
    def take(self, body: bytes) -> Any:
        return ()

    def seats(self, found: Any) -> Any:
        return found


def test_a_wrong_answer_ends_the_race() -> None:
    with pytest.raises(WrongAnswer, match="blind"):
        race([_Blind("blind")], Story(records=10, share=0.1, polls=2).steps(), 0)


def test_limits_belong_to_their_cases() -> None:
    spread = Spread(0.2, 0.1, 0.3)
    cases = speed_decode.cases([7, *speed_decode.SIZES])
    found = [speed_decode.Found(case, 1, 0, {LIBRARY: spread}, spread) for case in cases]
    limits = {str(it.case): it.limit.limit for it in found if it.limit}
    assert len(limits) == 4 * 4 + 3
    assert limits["1,000 records, 0 % changed"] == 0.1
    assert limits["10,000 records, 1 % changed, in another order each time"] == 1.5
    assert limits["100,000 records, 100 % changed, gc tuned"] == 1.25 * 2.6
    assert any("| 0.10, missed; goal: 0.050, missed |" in line for line in speed_decode.section(found).lines)


SMALL = "--effort 0.01 --sizes 20 100 --seats 100 --subscriptions 5 --watchers 2 --interval 0.1 --seconds 0.5"


def test_the_program_writes_tables_and_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tables between the marks are replaced, and the text around them stays."""
    program = str(ROOT / "tests" / "benchmarks" / "speed.py")
    shutil.copy(PAGE, tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", [program, *SMALL.split(), "--write", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        in_new_thread(partial(runpy.run_path, program, run_name="__main__"))
    assert ended.value.code == 0
    before, after = PAGE.read_text("utf-8"), (tmp_path / "speed.md").read_text("utf-8")
    printed = capsys.readouterr().out
    for part in sorted(("machine", *speed._PARTS), key=lambda part: before.index(begin(part))):
        head, _, rest = before.partition(begin(part))
        start, _, others = after.partition(begin(part))
        assert start == head
        written, mark, after = others.partition(end(part))
        assert mark
        assert written.strip() in printed
        before = rest.partition(end(part))[2]
    assert after == before
    assert ElementTree.parse(tmp_path / "_static" / "speed.svg").getroot().tag.endswith("svg")


def _missing(what: str) -> Section:
    return Section(what, table(("", "at most"), ("x", "1")), [Limit("x", 2, 1), Limit("y", 2, 1, stretch=True)])


def test_a_missed_limit_is_reported_and_fails_a_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(speed._PARTS, "import", lambda benchmark: _missing("import"))
    assert speed.main(["--parts", "import"]) == 0
    shutil.copy(PAGE, tmp_path)
    assert speed.main(["--parts", "import", "--check", "--write", str(tmp_path)]) == 1
    assert "| x | 1 |" in (tmp_path / "speed.md").read_text("utf-8")
    assert not (tmp_path / "_static").exists()
    assert "NOT MET: x: 2.00, at most 1.00 is wanted\nNOT MET (only a goal): y" in capsys.readouterr().out
    goals = Section("import", (), _missing("import").limits[1:])
    monkeypatch.setitem(speed._PARTS, "import", lambda benchmark: goals)
    assert speed.main(["--parts", "import", "--check"]) == 0


def test_a_page_without_a_place_for_a_table_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "speed.md").write_text(f"{begin('import')}\n")
    with pytest.raises(ValueError, match=r"speed.md lacks .*, import: end"):
        write([_missing("import")], [], tmp_path)
