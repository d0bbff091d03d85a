"""The delay from a poll to its update at a reader, at a rate that every participant can keep up with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from tests.benchmarks.relay_stream import Course, Passage, Track, race
from tests.benchmarks.speed_measure import Section, Spread, number, percentile, table

INTERVAL: Final = 0.03
UPDATES: Final = 40
ROUNDS: Final = 11
_CHANGED: Final = 2
_WAYS: Final = ("a relay and a reader", "bare `XADD` and `XREAD` of the same bytes", "a watcher in the process")


@attrs.frozen(kw_only=True)
class Delay:
    """The delays of one participant's updates, in seconds."""

    median: float
    p99: float
    ratio: Spread
    """Each round's median, in units of the bare commands' median."""


@attrs.frozen(kw_only=True)
class Found:
    """The delays of all participants."""

    course: Course
    rounds: int
    delays: Sequence[Delay]
    """Of the relay, of bare commands, and within one process."""


def course(interval: float, updates: int) -> Course:
    """Return the course of a low, steady rate."""
    return Course(changed=_CHANGED, updates=updates, interval=interval)


async def run(track: Track, sent: Course, rounds: int) -> Found:
    """Send a course at its own rate."""
    ways = await race(track, "delay", sent, rounds)
    unit = _medians(ways[1])
    delays = [
        Delay(
            median=percentile(all_, 0.5), p99=percentile(all_, 0.99), ratio=Spread.of_ratios(_medians(passages), unit)
        )
        for passages in ways
        for all_ in [[delay for passage in passages for delay in passage.delays]]
    ]
    return Found(course=sent, rounds=rounds, delays=delays)


def _medians(passages: Sequence[Passage]) -> list[float]:
    return [percentile(passage.delays, 0.5) for passage in passages]


def section(found: Found) -> Section:
    """Return the table."""
    course = found.course
    updates = f"{course.changed} of {course.seats:,} seats change every {1000 * course.interval:g} ms"
    rows = [
        (
            way,
            f"{1000 * it.median:.2f} ms",
            f"{1000 * it.p99:.2f} ms",
            f"**{number(it.ratio.median)}** ({number(it.ratio.low)} to {number(it.ratio.high)})",
        )
        for way, it in zip(_WAYS, found.delays, strict=True)
    ]
    return Section("delay", table((updates, "median", "99th percentile", "median, times bare commands"), *rows))
