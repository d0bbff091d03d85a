"""The relay's benchmark in small, with a real Redis: it measures what it says, and notices what goes wrong."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import runpy
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar, cast

import attrs
import pytest

from sipqueue_async import Feed, FeedDown, Update, diff
from tests.benchmarks import relay, relay_cost, relay_delay, relay_rate, relay_stream, relay_track, speed_process
from tests.benchmarks.relay_cost import Plan, Tally
from tests.benchmarks.relay_stream import Course, Passage, Track
from tests.benchmarks.relay_track import redis_running, track
from tests.benchmarks.speed_measure import Section, Spread, WrongAnswer
from tests.benchmarks.speed_report import begin, end, write_page
from tests.kit.builders import aside
from tests.kit.needs import HIDE

pytestmark = pytest.mark.one_python

_T = TypeVar("_T")

ROOT = Path(__file__).parents[2]
PARTS = ("machine", "rate", "delay", "cost")
PAGE = "\n\n".join(
    ["# A relay", *(f"{begin(part, 'relay')}\nformer {part}\n{end(part, 'relay')}" for part in PARTS), "The end."]
)
SMALL = "--effort 0.01 --changed 2 --updates 3 --pace 0.01 --readers 2 --interval 0.5 --polls 1"
COURSE = Course(changed=2, updates=4, seats=20)


@contextmanager
def beside(work: Callable[..., None], *arguments: object) -> Generator[Connection]:
    """Do some work in a thread of this process."""
    ours, theirs = multiprocessing.Pipe()
    thread = threading.Thread(target=work, args=(*arguments, theirs))
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join(10)
        theirs.close()


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what the benchmark does in other processes be done in threads of this one, where it can be looked at."""
    monkeypatch.setattr(speed_process, "beside", beside)
    monkeypatch.setattr(relay_track, "one_process", partial(ThreadPoolExecutor, 1))


def on_track(work: Callable[[Track], Awaitable[_T]]) -> _T:
    """Do something with a Redis, a publisher and a reader."""

    async def run(both: Track) -> _T:
        return await work(both)

    def run_all() -> _T:
        with redis_running() as url, track(url) as both:
            return asyncio.run(run(both))

    return aside(run_all)


# ---- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.needs_redis
@pytest.mark.parametrize("interval", [relay_stream.AT_ONCE, 0.02])
def test_each_way_carries_the_same(interval: float, threads: None) -> None:
    """Every way delivers all events of the course, each with a plausible delay."""
    course = attrs.evolve(COURSE, interval=interval)

    async def race(both: Track) -> tuple[list[Passage], ...]:
        return await relay_stream.race(both, "x", course, 2)

    ways = on_track(race)
    assert [len(passages) for passages in ways] == [2, 2, 2]
    for passage in (passage for passages in ways for passage in passages):
        passage.check(course)
        assert len(passage.delays) == course.updates
        assert all(0 < delay < 5 for delay in passage.delays)
        assert passage.seconds > 0


@pytest.mark.needs_redis
def test_a_relay_is_as_fast_as_it_can_without_leaving_anything_out(threads: None) -> None:
    """All events are delivered when the source outpaces the relay."""
    course = attrs.evolve(COURSE, updates=60)

    async def send(both: Track) -> Passage:
        return await relay_stream.by_relay(both, "x", course)

    passage = on_track(send)
    passage.check(course)
    assert passage.events == course.events > 100


GOOD = Passage(given=[0, 1, 2], had=[0.5, 1.5, 3], events=COURSE.events, digest="")


def test_a_passage_that_is_not_whole_is_noticed() -> None:
    """A passage that lost or added anything is an error."""
    course = attrs.evolve(COURSE, updates=2)
    snapshots, events = relay_stream.told(course.story)
    good = attrs.evolve(GOOD, events=sum(events[1:]), digest=relay_stream.digest(snapshots[-1]))
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


@pytest.mark.needs_redis
def test_bare_commands_that_carry_something_else_are_noticed(threads: None) -> None:
    """The reference time counts only if the same entries were carried."""

    async def send(both: Track) -> None:
        await relay_stream.by_relay(both, "x", COURSE)
        with pytest.raises(WrongAnswer, match="bare commands"):
            await relay_stream.by_hand(attrs.evolve(both, reader=losing(both)), "y", COURSE, "x")

    def losing(both: Track) -> Callable[..., Awaitable[Any]]:
        async def submit(*arguments: Any) -> Any:
            had, found = await both.reader(*arguments)
            return had, found[:-1]

        return submit

    on_track(send)


class Silent:
    """A feed that says that nothing is known, and ends."""

    async def updates(self, max_pending: int = 1) -> AsyncIterator[Update]:
        down = FeedDown(error=RuntimeError(), since=None)
        yield Update(sequence=0, snapshot=None, previous=None, events=(down,))


async def test_a_feed_that_ends_is_noticed() -> None:
    """A feed that ends before the course does is an error."""
    with pytest.raises(WrongAnswer, match="ended"):
        await relay_stream._take(cast("Feed", Silent()), COURSE, asyncio.Event().wait)


def test_large_updates_are_fewer() -> None:
    """The full run sends fewer updates where each is large, to end in reasonable time."""
    sent = relay_rate.courses([1, 10, 100, 1000], 50)
    assert [(course.changed, course.updates) for course in sent] == [(1, 50), (10, 50), (100, 5), (1000, 1)]


def test_rates_are_told_as_they_were_measured() -> None:
    spread = [Spread(each, each / 2, each * 2) for each in (1000.0, 800.0, 2.5, 20.0)]
    course = Course(changed=10, updates=3)
    events, updates, bare, within = spread
    found = relay_rate.Found(course=course, events=events, updates=updates, bare=bare, within=within)
    section = relay_rate.section([found])
    assert section.part == "rate"
    assert section.lines[2:] == [
        "| 10 of 200 | 1,000 (500 to 2,000) | 800 | **2.50** (1.25 to 5.00) | 20.0 (10.0 to 40.0) |"
    ]


def test_delays_are_told_as_they_were_measured() -> None:
    delays = [relay_delay.Delay(median=it / 1000, p99=it / 100, ratio=Spread(it / 2, 1, 3)) for it in (4, 2, 1)]
    section = relay_delay.section(relay_delay.Found(course=relay_delay.course(0.03, 7), rounds=1, delays=delays))
    assert section.part == "delay"
    assert section.lines[0].startswith("| 2 of 200 seats change every 30 ms |")
    assert section.lines[2:] == [
        "| a relay and a reader | 4.00 ms | 40.00 ms | **2.00** (1.00 to 3.00) |",
        "| bare `XADD` and `XREAD` of the same bytes | 2.00 ms | 20.00 ms | **1.00** (1.00 to 3.00) |",
        "| a watcher in the process | 1.00 ms | 10.00 ms | **0.50** (1.00 to 3.00) |",
    ]


# ---- cost ------------------------------------------------------------------------------------------------------------


async def test_what_is_said_before_anything_is_known_does_not_count() -> None:
    """An update without a snapshot is not counted."""
    consumer = relay_cost._Consumer(cast("Feed", Silent()))
    await consumer.consume()
    assert consumer.tally() == Tally(digests=[], events=0)


@pytest.mark.needs_redis
def test_readers_of_a_relay_ask_the_platform_once(threads: None) -> None:
    """Requests, logins, bytes and processor time are counted for the process that caused them."""
    plan = Plan(readers=3, interval=0.3, polls=3)

    def run() -> list[relay_cost.Found]:
        with redis_running() as url:
            return relay_cost.run(url, [plan], 1)

    (found,) = aside(run)
    (round_,) = found.rounds
    assert set(round_.alone) == {"platform", "readers"}
    assert set(round_.relayed) == {"platform", "relay", "readers", "redis"}
    assert (round_.alone["platform"]["logins"], round_.relayed["platform"]["logins"]) == (3, 1)
    assert 2 <= round_.relayed["platform"]["requests"] <= round_.seconds / plan.interval + 2
    assert round_.alone["platform"]["requests"] > 1.5 * round_.relayed["platform"]["requests"]
    assert round_.alone["platform"]["bytes"] > 30_000 * round_.alone["platform"]["requests"]
    assert round_.relayed["redis"]["bytes"] > 0
    assert all(used["cpu"] >= 0 for used in (*round_.alone.values(), *round_.relayed.values()))


def test_a_reader_that_heard_something_else_is_noticed() -> None:
    """A lost or added event, and a snapshot that was not served, are errors; a skipped poll is none."""
    plan = Plan(readers=1, interval=10, polls=3)
    snapshots, events = relay_stream.told(plan.story)
    digests = [relay_stream.digest(snapshot) for snapshot in snapshots]
    good = Tally(digests=digests[1:5], events=200 + sum(events[2:5]))
    assert good.check(plan) == 5
    assert Tally(digests=[digests[1], digests[3]], events=200 + len(diff(snapshots[1], snapshots[3]))).check(plan) == 4
    for wrong in ({"events": good.events + 1}, {"digests": digests[4:0:-1]}, {"digests": [*digests[1:4], "other"]}):
        with pytest.raises(WrongAnswer, match="other events"):
            attrs.evolve(good, **wrong).check(plan)


def test_a_reader_that_stays_behind_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark waits for the readers, but not for ever."""
    monkeypatch.setattr(relay_cost, "_PATIENCE", 0.06)
    with pytest.raises(WrongAnswer, match="did not receive"):
        relay_cost._wait_until(lambda: False)


def test_costs_are_told_as_they_were_measured() -> None:
    alone = {"platform": {"cpu": 1.0, "requests": 40.0, "bytes": 8000.0, "logins": 10}, "readers": {"cpu": 3.0}}
    relayed = {
        "platform": {"cpu": 0.1, "requests": 4.0, "bytes": 800.0, "logins": 1},
        "relay": {"cpu": 0.2},
        "redis": {"cpu": 0.4, "bytes": 2000.0},
        "readers": {"cpu": 1.3},
    }
    round_ = relay_cost.Round(seconds=4, alone=alone, relayed=relayed)
    section = relay_cost.section([relay_cost.Found(plan=Plan(readers=10), rounds=[round_])])
    assert section.part == "cost"
    assert section.lines[2:5] == [
        "| 10 | each polls by itself | 10.0 | 10 | 2.00 |  |",
        "| 10 | a relay polls | 1.00 | 1 | 0.20 | 0.50 |",
        "",
    ]
    assert section.lines[7:] == [
        "| 10 | each polls by itself | 0.25 |  |  | 0.75 | 1 |",
        "| 10 | a relay polls | 0.025 | 0.050 | 0.10 | 0.33 | **0.50** (0.50 to 0.50) |",
    ]


# ---- the program -----------------------------------------------------------------------------------------------------


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
        aside(partial(runpy.run_path, program, run_name="__main__"))
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


@pytest.mark.needs_redis
def test_parts_can_be_had_by_themselves(threads: None, capsys: pytest.CaptureFixture[str]) -> None:
    """`--parts` runs the named parts only."""
    assert aside(relay.main, [*SMALL.split(), "--parts", "delay"]) == 0
    assert "seats change every 10 ms" in capsys.readouterr().out


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
    """Marks of another program are not used."""
    (tmp_path / "relay.md").write_text(f"{begin('rate')}\n{end('rate')}\n")
    with pytest.raises(ValueError, match=r"relay.md has no marks for rate"):
        write_page([Section("rate", [])], tmp_path, "relay")
