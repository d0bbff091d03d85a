"""The speed benchmark in small: it measures what it says, and everybody in it finds the changes that there are."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import runpy
import shutil
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest

from sipqueue_async import AgentState, CallAnswered, StateChanged, diff
from sipqueue_async._wire import SnapshotDecoder
from tests.benchmarks import speed, speed_decode, speed_fanout, speed_fleet, speed_memory, speed_poll, speed_server
from tests.benchmarks.speed_bodies import Story
from tests.benchmarks.speed_contestants import LIBRARY, UNIT, Contestant, library, others, parsers
from tests.benchmarks.speed_decode import Case, race
from tests.benchmarks.speed_fleet import Plan
from tests.benchmarks.speed_measure import Limit, Section, Spread, WrongAnswer, number, percentile, table
from tests.benchmarks.speed_picture import picture
from tests.benchmarks.speed_report import begin, end, machine, write
from tests.kit.builders import START, aside

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "speed.md"


@contextmanager
def playing(story: Story, *, pinned: bool = False) -> Generator[str]:
    """Play a story back in a thread of this process; yield where."""
    ours, theirs = multiprocessing.Pipe()
    thread = threading.Thread(target=speed_server.serve, args=(story, theirs), kwargs={"pinned": pinned})
    thread.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/api"
    finally:
        ours.close()
        thread.join(10)
        theirs.close()


# ---- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_story_tells_what_it_says(share: float, shuffled: bool) -> None:
    """The benchmark's bodies change more or less than its tables say, or in other ways than a real agent goes."""
    decoder = SnapshotDecoder()
    first, *steps = Story(records=50, share=share, polls=9, shuffled=shuffled).steps()
    known = decoder.decode(first.body, observed_at=START)
    assert first.changed == set(known)
    cycle = [AgentState.WAITING, AgentState.RECEIVING, AgentState.TALKING, AgentState.IDLE, AgentState.WAITING]
    for step in steps:
        new = decoder.decode(step.body, observed_at=START)
        events = diff(known, new)
        assert len(step.changed) == round(50 * share)
        assert {event.key for event in events} == step.changed
        assert len(events) == step.events
        for event in events:
            assert isinstance(event, StateChanged | CallAnswered)
            assert (event.previous.state, event.agent.state) in pairwise(cycle)
            answered = event.agent.state is AgentState.TALKING
            assert event.agent.calls_answered - event.previous.calls_answered == answered
        assert (list(new) == list(known)) or shuffled
        assert new.server_time is not None
        assert known.server_time is not None
        assert new.server_time > known.server_time
        known = new


def test_bodies_are_written_as_the_platform_writes_them() -> None:
    """What is timed is another notation than what platforms send, with other lengths."""
    escaped, raw = (
        Story(records=100, share=0.1, polls=1, escaped=escaped).steps()[0].body for escaped in (True, False)
    )
    assert escaped.startswith(b'{"ret":200,"data":{"status":0,"desc":"get success","result":[{"queuename":"queue-0",')
    assert b'"queuename":"\\u552e\\u540e\\/2"' in escaped
    assert escaped.isascii()
    assert '"queuename":"售后\\/2"'.encode() in raw
    assert json.loads(escaped) == json.loads(raw)
    assert Story(records=100, share=0.1, polls=1).steps()[0].body == escaped


# ---- body to events --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shuffled", [False, True])
def test_everybody_finds_the_same_changes(share: float, shuffled: bool) -> None:
    """Somebody in the tables is fast or slow at finding something else."""
    steps = Story(records=30, share=share, polls=6, shuffled=shuffled).steps()
    everyone = [library(), *parsers(), *others(30)]
    took = race(everyone, steps, 2)
    assert len(took) == len(everyone) == 9
    assert {name: len(seconds) for name, seconds in took.items() if len(seconds) != 4} == {"`json.loads`, deepdiff": 2}
    assert all(value > 0 for seconds in took.values() for value in seconds)


def test_who_is_too_slow_is_not_asked_to_take_much() -> None:
    """A full run takes hours."""
    assert [len(others(size)) for size in (1_000, 10_000, 100_000)] == [6, 5, 3]


def test_a_seat_that_is_gone_has_changed() -> None:
    """The contestants ignore agents who leave, and are the faster for it."""
    before, after = (Story(records=records, share=0, polls=1).steps()[0].body for records in (3, 2))
    for contestant in [library(), *others(3)]:
        contestant.take(before)
        assert set(contestant.seats(contestant.take(after)) or ()) == {("queue-0", "100003")}, contestant.name


class _Blind(Contestant):
    def take(self, body: bytes) -> Any:
        return ()

    def seats(self, found: Any) -> Any:
        return found


def test_a_wrong_answer_is_noticed() -> None:
    """Who finds nothing wins."""
    with pytest.raises(WrongAnswer, match="blind"):
        race([_Blind("blind")], Story(records=10, share=0.1, polls=2).steps(), 0)


def test_a_case_comes_to_ratios() -> None:
    """The tables show times, or ratios to something else than the unit."""
    found = speed_decode.run_others(speed_decode.run_own(Case(100, 0.1), 0.01))
    assert found.rounds == 3
    assert next(iter(found.units)) == LIBRARY
    assert UNIT not in found.units
    assert len(found.units) == 8
    assert found.limit == Limit("100 records, 10 % changed", found.own.median, 1.8)
    assert found.hope is None


def test_a_case_with_a_tuned_collector_leaves_it_as_it_was() -> None:
    """What is measured after it is measured with the collector tuned as well."""
    thresholds, seen = gc.get_threshold(), []

    class Looking(_Blind):
        def take(self, body: bytes) -> Any:
            seen.append((gc.get_threshold() != thresholds, gc.get_freeze_count() > 1000))

        def seats(self, found: Any) -> Any:
            return None

    for tuned in (True, False):
        race([Looking("looking")], Story(records=10, share=0.1, polls=3).steps(), 1, tuned=tuned)
    assert seen == [(False, False), (True, True), (True, True)] + 3 * [(False, False)]
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() < 1000


def test_limits_are_those_that_were_settled() -> None:
    """A limit is checked against another case than it was meant for, or not at all."""
    spread = Spread(0.2, 0.1, 0.3)
    found = [
        speed_decode.Found(case, 1, 0, {LIBRARY: spread}, spread)
        for case in speed_decode.cases([7, *speed_decode.SIZES])
    ]
    section = speed_decode.section(found)
    assert section.lines[3] == "| 7, 1 % | 0 | **0.20** | 0.10 to 0.30 |  | 0.20 | 1 |"
    assert any("| 0.10, missed; hoped for: 0.050, missed |" in line for line in section.lines)
    limits = {str(it.case): it.limit.limit for it in found if it.limit}
    assert limits["1,000 records, 0 % changed"] == 0.1
    assert limits["1,000 records, 1 % changed, raw UTF-8"] == 0.5
    assert limits["10,000 records, 100 % changed"] == 2.6
    assert limits["10,000 records, 1 % changed, in another order each time"] == 1.5
    assert limits["100,000 records, 10 % changed"] == 1.25 * 0.65
    assert limits["100,000 records, 100 % changed, gc tuned"] == 1.25 * 2.6
    assert len(limits) == 4 * 4 + 3
    assert {str(it.case): it.hope.limit for it in found if it.hope and not it.limit} == {
        "100,000 records, 100 % changed": 1.25 * 2.6
    }
    assert {str(it.case): it.hope.met for it in found if it.hope and it.limit} == {
        "1,000 records, 0 % changed": False,
        "1,000 records, 1 % changed": True,
        "10,000 records, 0 % changed": False,
        "10,000 records, 1 % changed": True,
    }


def test_spreads_are_of_ratios_within_a_round() -> None:
    """A noisy round spoils the figures of all."""
    spread = Spread.of_ratios([2.0, 200.0, 2.0, 2.0], [1.0, 100.0, 1.0, 1.0, 7.0])
    assert spread == Spread(2, 2, 2)
    assert [percentile(range(1, 101), share) for share in (0, 0.1, 0.5, 0.99, 1)] == [1, 10, 50, 99, 100]
    assert [number(value) for value in (1234.5, 12.34, 1.234, 0.01234)] == ["1,234", "12.3", "1.23", "0.012"]
    assert [Limit("x", 1, 2).met, Limit("x", 1, 2, at_least=True).met] == [True, False]


# ---- over HTTP -------------------------------------------------------------------------------------------------------


async def test_the_server_tells_each_token_the_same_story() -> None:
    """Bare requests and polls are answered with different bodies, and their ratio means nothing."""
    story = Story(records=5, share=0.2, polls=3)
    bodies = [step.body for step in story.steps()]
    with playing(story) as url:
        async with aiohttp.ClientSession() as session:
            for token in ("one", "another"):
                got = []
                for _ in range(4):
                    async with session.post(url, data={"service": "x" * 600_000, "token": token}) as response:
                        got.append(await response.read())
                assert got == [*bodies, bodies[-1]]


def test_the_server_keeps_to_the_last_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes time from those who are measured."""
    cores: list[int] = []
    monkeypatch.setattr(speed_server, "pin", cores.append)
    with playing(Story(records=1, share=0, polls=1), pinned=True):
        assert cores == [-1]


async def test_polls_over_http_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark of whole polls does not run, or does not look at what was found."""
    monkeypatch.setattr(speed_poll, "playing", playing)
    found = await speed_poll.run(100, 2)
    assert found.client.low > 0
    assert found.watcher.low > 0
    monkeypatch.setattr(speed_poll, "diff", lambda old, new: ())
    with pytest.raises(WrongAnswer):
        await speed_poll.run(100, 2)


@pytest.mark.parametrize("tuned", [False, True])
def test_a_fleet_is_watched(tuned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark of the fleet does not run, does not count right, or leaves the garbage collector tuned."""
    thresholds = gc.get_threshold()
    plan = Plan(watchers=2, seats=100, interval=0.1, seconds=0.5, tuned=tuned)
    with playing(plan.story) as url:
        found = aside(speed_fleet.watch, plan, url)
    assert 0 < found.polls < 2
    assert 0 < found.lateness_median <= found.lateness_p99 < 1
    assert found.cpu > 0
    # Python 3.12 has something frozen from its own start.
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() < 1000


def test_only_a_fleet_with_a_tuned_collector_has_limits() -> None:
    """The program fails because of a table that shows what becomes of a fleet without tuning."""
    found = [speed_fleet.Found(Plan(tuned=tuned), 0.9995, 0.001, 0.0123, 0.5) for tuned in (True, False)]
    section = speed_fleet.section(found)
    assert [limit.met for limit in section.limits] == [True, False, True]
    row = "| 1,000 watchers of 200 seats, every 1 s for 60 s, gc {} | 99.95 % | 1.0 ms | 12.3 ms | 50 % |"
    assert [row.format("tuned") in section.lines, row.format("as it is") in section.lines] == [True, True]


def test_a_fleet_that_hears_something_else_is_noticed() -> None:
    """The fleet's figures are those of watchers that lose events."""
    plan = Plan(watchers=1, seats=100, interval=0.1, seconds=0.2)
    other = Story(records=100, share=0.5, polls=100)
    with playing(other) as url, pytest.raises(WrongAnswer):
        aside(speed_fleet.watch, plan, url)


@pytest.mark.parametrize("cores", [{3}, {3, 5}])
def test_a_process_is_kept_on_one_of_its_cores(cores: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fleet and server get in each other's way, or the benchmark does not run on a machine with one core."""
    kept: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores, raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, chosen: kept.append(chosen), raising=False)
    speed_server.pin(0)
    speed_server.pin(-1)
    assert kept == ([] if len(cores) == 1 else [{3}, {5}])


def test_a_system_without_affinity_is_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark runs on Linux only."""
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    speed_server.pin(0)


# ---- memory, fan-out -------------------------------------------------------------------------------------------------


def test_what_is_kept_is_measured() -> None:
    """The benchmark of memory measures the bodies, too, or nothing at all."""
    kept = speed_memory.measure(400)
    assert len(kept.generations) == 10
    assert 300 < kept.a_seat < 3_000
    assert 1 < kept.growth < 5


def test_an_update_goes_to_those_who_want_it() -> None:
    """The benchmark of the fan-out measures publishing to nobody."""
    found = speed_fanout.run(20, 1)
    assert [it.filtered_by for it in found] == ["queue", "extension", "type"]
    assert all(it.all.low > 0 and it.one.low > 0 and it.none.low > 0 for it in found)


@pytest.mark.parametrize("wants", [True, False])
async def test_an_update_that_goes_astray_is_noticed(wants: bool) -> None:
    """The benchmark of the fan-out does not notice who gets an update and did not ask for it, or the other way."""
    right, wrong = speed_fanout._FILTERS["queue"]
    async with speed_fanout._silent() as watcher:
        audience = speed_fanout._Audience(watcher, [wrong] if wants else [], [] if wants else [right])
        with pytest.raises(WrongAnswer):
            await audience.publish(speed_fanout._update())


# ---- the program -----------------------------------------------------------------------------------------------------

SMALL = "--effort 0.01 --sizes 20 100 --seats 100 --subscriptions 5 --watchers 2 --interval 0.1 --seconds 0.5"


def test_the_program_writes_tables_and_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The documentation's figures cannot be made again, or what people wrote around them is lost."""
    program = str(ROOT / "tests" / "benchmarks" / "speed.py")
    shutil.copy(PAGE, tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", [program, *SMALL.split(), "--write", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        aside(partial(runpy.run_path, program, run_name="__main__"))
    assert ended.value.code == 0
    before, after = PAGE.read_text("utf-8"), (tmp_path / "speed.md").read_text("utf-8")
    printed = capsys.readouterr().out
    for part in sorted(("machine", *speed._PARTS), key=lambda part: before.index(begin(part))):
        # What is between the marks is new, and then it is as before.
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


def test_a_missed_limit_is_said_and_can_be_made_to_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library becomes slow, and the benchmark ends well."""
    monkeypatch.setitem(speed._PARTS, "import", lambda benchmark: _missing("import"))
    assert speed.main(["--parts", "import"]) == 0
    shutil.copy(PAGE, tmp_path)
    assert speed.main(["--parts", "import", "--check", "--write", str(tmp_path)]) == 1
    assert "| x | 1 |" in (tmp_path / "speed.md").read_text("utf-8")
    assert not (tmp_path / "_static").exists()
    assert "NOT MET: x: 2.00, at most 1.00 is wanted\nNOT MET (only hoped for): y" in capsys.readouterr().out
    hoped_for = Section("import", (), _missing("import").limits[1:])
    monkeypatch.setitem(speed._PARTS, "import", lambda benchmark: hoped_for)
    assert speed.main(["--parts", "import", "--check"]) == 0


def test_a_page_without_a_place_for_a_table_is_an_error(tmp_path: Path) -> None:
    """A mark was lost from the page, and its table is never made again."""
    (tmp_path / "speed.md").write_text(f"{begin('import')}\n")
    with pytest.raises(ValueError, match="no place for import"):
        write([_missing("import")], [], tmp_path)


def test_the_machine_is_described_by_what_matters(tmp_path: Path) -> None:
    """Nobody can tell what a figure was measured on."""
    cpus = tmp_path / "cpuinfo"
    (without,) = machine(cpus).lines
    cpus.write_text("processor\t: 0\nmodel name\t: Abacus 3000\n")
    (line,) = machine(cpus).lines
    assert line.startswith(f"Measured on Abacus 3000, {os.cpu_count()} cores, ")
    assert "msgspec " in line
    assert without.endswith(line.partition("Abacus 3000")[2])


def test_the_picture_shows_two_sizes() -> None:
    """The picture cannot be drawn of some run, or lies about it."""
    spread = Spread(0.5, 0.4, 0.6)
    units = {10: {LIBRARY: spread}, 1_000: {LIBRARY: spread, "others": Spread(20, 1, 30)}, 10_000: {LIBRARY: spread}}
    cases = speed_decode.cases(units)
    found = [speed_decode.Found(case, 1, 0, units[case.records], spread) for case in cases]
    drawn = picture(found)
    assert "1,000 records" in drawn
    assert ">10 records" not in drawn
    assert drawn.count('class="mark"') == 3 * 4 + 2
    assert ">10 records" in picture(found[:4])
