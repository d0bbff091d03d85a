"""The relay's benchmark at its smallest size, with a real Redis; it detects wrong results."""

from __future__ import annotations

import os
import re
import runpy
import sys
from functools import partial
from pathlib import Path

import attrs
import pytest

from sipqueue_async import diff
from tests.benchmarks import relay, relay_stream
from tests.benchmarks.relay_cost import Plan, Tally
from tests.benchmarks.relay_stream import Course, Passage
from tests.benchmarks.speed_measure import Section, WrongAnswer
from tests.benchmarks.speed_report import begin, end, write_page
from tests.kit.needs import HIDE
from tests.kit.threads import in_new_thread

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
PARTS = ("machine", "rate", "delay", "cost")
PAGE = "\n\n".join(
    ["# A relay", *(f"{begin(part, 'relay')}\nformer {part}\n{end(part, 'relay')}" for part in PARTS), "The end."]
)
SMALL = "--effort 0.01 --changed 2 --updates 3 --pace 0.01 --readers 2 --interval 0.5 --polls 1"


def test_a_passage_that_is_not_whole_is_noticed() -> None:
    """A passage with a lost or an additional update is an error."""
    course = Course(changed=2, updates=2, seats=20)
    snapshots, events = relay_stream.told(course.story)
    digest = relay_stream.digest(snapshots[-1])
    good = Passage(given=[0, 1, 2], had=[0.5, 1.5, 3], events=sum(events[1:]), digest=digest)
    good.check(course)
    assert good.seconds == 2
    assert good.delays == [0.5, 1]
    for wrong in (
        {"events": good.events - 1},
        {"had": good.had[1:]},
        {"given": good.given[1:]},
        {"digest": relay_stream.digest(snapshots[0])},
    ):
        with pytest.raises(WrongAnswer, match="something else came out"):
            attrs.evolve(good, **wrong).check(course)


def test_a_reader_that_heard_something_else_is_noticed() -> None:
    """A lost or added event and a snapshot that was not served are errors; a skipped poll is not."""
    plan = Plan(readers=1, interval=10, polls=3)
    snapshots, events = relay_stream.told(plan.story)
    digests = [relay_stream.digest(snapshot) for snapshot in snapshots]
    good = Tally(digests=digests[1:5], events=200 + sum(events[2:5]))
    assert good.check(plan) == 5
    assert Tally(digests=[digests[1], digests[3]], events=200 + len(diff(snapshots[1], snapshots[3]))).check(plan) == 4
    for wrong in ({"events": good.events + 1}, {"digests": digests[4:0:-1]}, {"digests": [*digests[1:4], "other"]}):
        with pytest.raises(WrongAnswer, match="other events"):
            attrs.evolve(good, **wrong).check(plan)


@pytest.mark.needs_redis
def test_the_program_writes_its_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the tables between the page's marks are replaced."""
    program = str(ROOT / "tests" / "benchmarks" / "relay.py")
    (tmp_path / "relay.md").write_text(PAGE, "utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", [program, *SMALL.split(), "--write", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        in_new_thread(partial(runpy.run_path, program, run_name="__main__"))
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    rest = (tmp_path / "relay.md").read_text("utf-8")
    for part in PARTS:
        head, _, rest = rest.partition(begin(part, "relay"))
        assert head.strip() in {"# A relay", ""}
        written, _, rest = rest.partition(end(part, "relay"))
        assert written.strip() in printed
        assert "former" not in written
    assert rest == "\n\nThe end."
    assert f"{os.cpu_count()} cores" in printed
    assert re.search(r"redis-server \d", printed)


def test_a_machine_without_redis_is_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names redis-server, and the exit code is 2."""
    monkeypatch.setenv(HIDE, "redis")
    with pytest.raises(SystemExit) as ended:
        relay.main([])
    assert ended.value.code == 2
    assert "redis-server is not on this machine" in capsys.readouterr().err


def test_a_page_without_a_place_for_a_table_is_an_error(tmp_path: Path) -> None:
    """The program does not write between another program's marks."""
    (tmp_path / "relay.md").write_text(f"{begin('rate')}\n{end('rate')}\n")
    with pytest.raises(ValueError, match=r"relay.md lacks .*/relay.py, rate: begin"):
        write_page([Section("rate", [])], tmp_path, "relay")
