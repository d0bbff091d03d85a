"""The history's benchmark: how fast events are written, how much space they take, and how fast reports are.

The events are those of a simulated call centre. The feed gives them as fast as it can, so that a recorder writes
batches of the largest size. A year is made of copies of one day's hourly figures. Rates depend on the machine, which
is named.

Run it with ``python tests/benchmarks/history.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs

sys.path.append(str(Path(__file__).parents[2]))

from sipqueue_async import Snapshot, Update
from sipqueue_async.history import History, Recorder
from sipqueue_async.history.figures import microseconds
from sipqueue_async.simulator import Plan
from tests.benchmarks.speed_measure import Limit, Section, WrongAnswer, number, percentile, table
from tests.benchmarks.speed_report import machine, verdicts, write_page
from tests.kit.needs import find
from tests.kit.postgres_server import PostgresServer
from tests.kit.simulated_updates import MORNING, GivenFeed, Polled

_LIBRARIES: Final = ("sqlalchemy", "aiosqlite", "asyncpg", "msgspec")
_LIMITS: Final = {"SQLite": 20_000, "PostgreSQL": 10_000}
_HOUR: Final = 3_600_000_000
_FIGURES: Final = "answered, hidden, missed, unseen, idle, waiting, receiving, talking, paused, offline, unknown"

Polls = list[tuple[Snapshot, Update | None]]


@attrs.frozen
class Day:
    """The polls of a simulated day, or of a part of one."""

    first: Snapshot
    polls: Polls
    events: int

    @classmethod
    def simulated(cls, agents: int, hours: float) -> Day:
        """Simulate it."""
        polled = Polled(Plan(agents=agents, queues=8, calls_per_hour=1.25 * agents, external_calls_per_hour=1), seed=3)
        first = polled.poll()
        polls = list(polled.updates(hours * 3600, 2.0))
        return cls(first, polls, sum(len(update.events) for _, update in polls if update))


@attrs.frozen
class Written:
    """How a database took the events."""

    rates: Sequence[float]
    read: float
    longest: float
    """The longest time in seconds for which the event loop was blocked."""


async def _record(url: str, day: Day) -> tuple[float, float]:
    """Record a day; return the seconds that it took, and the longest for which other tasks had to wait."""
    async with History(url) as history:
        feed = GivenFeed()
        feed.give(day.first)
        async with Recorder(history, feed, max_pending=len(day.polls) + 1) as recorder, feed:
            while recorder.health.recorded_until is None:
                await asyncio.sleep(0.001)
            for snapshot, update in day.polls:
                feed.give(snapshot, update)
            began, longest = time.perf_counter(), 0.0
            while recorder.pending:
                waits = time.perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - waits - 0.001)
            return time.perf_counter() - began, longest


async def _read(url: str, day: Day) -> float:
    """Read all events; return the events a second."""
    began, count = time.perf_counter(), 0
    async with History(url) as history:
        async for _ in history.events(MORNING - timedelta(days=1), MORNING + timedelta(days=2)):
            count += 1
    if count != day.events:
        raise WrongAnswer(f"{count} events were read of {day.events}")
    return count / (time.perf_counter() - began)


def written(urls: Sequence[str], day: Day) -> Written:
    """Record a day into several empty databases, one after the other."""
    took = [asyncio.run(_record(url, day)) for url in urls]
    return Written(
        [day.events / seconds for seconds, _ in took], asyncio.run(_read(urls[0], day)), max(it for _, it in took)
    )


def write_section(found: Mapping[str, Written], size: float, events: int) -> Section:
    """Return the table of writing."""
    rows = [["database", "events/s written", "slowest round", "events/s read", "event loop blocked, at most"]]
    limits = []
    for name, it in found.items():
        median = percentile(it.rates, 0.5)
        rows.append([name, number(median), number(min(it.rates)), number(it.read), f"{it.longest * 1000:.0f} ms"])
        limits.append(Limit(f"events a second into {name}", median, _LIMITS[name], at_least=True))
    limits.append(Limit("bytes an event in SQLite", size, 60))
    line = f"{events:,} events take {size:.0f} bytes each in SQLite, with indexes, figures and checkpoints."
    return Section("write", [*table(*rows), "", line], limits)


# ---- reports ----


def copy_days(path: Path, days: int) -> None:
    """Copy the hourly figures of the recorded hours to each hour of many days before."""
    with closing(sqlite3.connect(path)) as connection, connection:
        first, last = connection.execute("SELECT MIN(hour), MAX(hour) FROM hourly").fetchone()
        hours = last - first + 1
        for block in range(1, days * 24 // hours + 1):
            shift = block * hours
            figures = (
                f"{_FIGURES}, first_signed_in - {shift * _HOUR}, last_signed_in - {shift * _HOUR}, "
                "longest_talk, talk_under_way"
            )
            for table_name, seat in (("hourly", "seat_id, "), ("hourly_total", "")):
                connection.execute(
                    f"INSERT INTO {table_name} SELECT platform_id, hour - {shift}, {seat}{figures} "
                    f"FROM {table_name} WHERE hour >= {first}"
                )
        # The record begins with the year.
        columns = "n, seat_id, kind, state, count, hidden_count, begins_state, sequence, server_lag, extra, record"
        connection.execute(
            f"INSERT INTO event SELECT platform_id, {(first - days * 24) * _HOUR}, {columns} "
            "FROM event WHERE at = (SELECT MIN(at) FROM event)"
        )
    connection.close()


async def _report(url: str, since: datetime, until: datetime, by: str) -> float:
    async with History(url) as history:
        began = time.perf_counter()
        await history.report(since, until, by=by, zone=UTC)  # type: ignore[arg-type]
        return time.perf_counter() - began


def _sql(path: Path, since: datetime, until: datetime) -> float:
    """Return the seconds of the query that a person would write for figures by hour."""
    began = time.perf_counter()
    with closing(sqlite3.connect(path)) as connection, connection:
        sums = ", ".join(f"SUM({name})" for name in _FIGURES.split(", "))
        query = f"SELECT hour, {sums} FROM hourly WHERE hour >= ? AND hour < ? GROUP BY hour"
        connection.execute(query, (microseconds(since) // _HOUR, microseconds(until) // _HOUR)).fetchall()
    connection.close()
    return time.perf_counter() - began


def _pandas(path: Path, since: datetime, until: datetime) -> float | None:
    """Return the seconds that pandas takes for the same, or None if it is not installed."""
    try:
        import pandas  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    began = time.perf_counter()
    span = (microseconds(since) // _HOUR, microseconds(until) // _HOUR)
    with closing(sqlite3.connect(path)) as connection, connection:
        frame = pandas.read_sql("SELECT * FROM hourly WHERE hour >= ? AND hour < ?", connection, params=span)
    frame.groupby("hour")[_FIGURES.split(", ")].sum()
    connection.close()
    return time.perf_counter() - began


def report_section(path: Path, hours: int, days: int, rounds: int) -> Section:
    """Measure reports of a day, of a part of it, and of a year; return their table."""
    url = f"sqlite:///{path}"
    end = MORNING + timedelta(hours=hours)
    part = MORNING + timedelta(minutes=20)
    spans = {
        "a day by hour": (end - timedelta(days=1), end, "hour", 0.3),
        "a day by agent": (end - timedelta(days=1), end, "agent", 0.3),
        # Two hours are counted from their events; the goal of a day does not apply.
        "8:20 to 9:20 by agent, from events": (part, part + timedelta(hours=1), "agent", 3.0),
        f"{days} days by hour": (end - timedelta(days=days), end, "hour", 3.0),
    }
    rows = [["report", "seconds", "plain SQL", "pandas"]]
    limits = []
    copy_days(path, days)
    for name, (since, until, by, limit) in spans.items():
        took = percentile([asyncio.run(_report(url, since, until, by)) for _ in range(rounds)], 0.5)
        plain = percentile([_sql(path, since, until) for _ in range(rounds)], 0.5)
        frames = [_pandas(path, since, until) for _ in range(rounds)]
        pandas = [it for it in frames if it is not None]
        rows.append([name, number(took), number(plain), number(percentile(pandas, 0.5)) if pandas else "not installed"])
        limits.append(Limit(f"seconds for {name}", took, limit))
    return Section("report", table(*rows), limits)


# ---- the program ----


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how fast a history is written, its size, and its reports.")
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--hours", type=int, default=8, help="that are simulated")
    parser.add_argument("--days", type=int, default=365, help="of the long report")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="fail if a limit is missed")
    parser.add_argument("--write", type=Path, metavar="DIR", help="put the tables into the page history.md there")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its tables, and return the exit status."""
    asked = _arguments(argv)
    day = Day.simulated(asked.agents, asked.hours)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        paths = [folder / f"{each}.db" for each in range(asked.rounds)]
        found = {"SQLite": written([f"sqlite:///{path}" for path in paths], day)}
        size = paths[0].stat().st_size / day.events
        if find("postgres") is not None:
            server = stack.enter_context(PostgresServer())
            found["PostgreSQL"] = written([server.database() for _ in range(asked.rounds)], day)
        (line,) = machine(others=_LIBRARIES).lines
        sections = [
            Section("machine", [line]),
            write_section(found, size, day.events),
            report_section(paths[0], asked.hours, asked.days, asked.rounds),
        ]
    lines, missed = verdicts(sections)
    for section in sections:
        print(*section.lines, "", sep="\n", flush=True)  # noqa: T201
    print(*lines, sep="\n")  # noqa: T201
    if asked.write is not None:
        write_page(sections, asked.write, "history")
    return int(bool(missed and asked.check))


if __name__ == "__main__":
    sys.exit(main())
