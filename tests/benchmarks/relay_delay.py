"""How long after a poll a reader has what changed, while there is time enough for everything."""

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
    """How long updates were on one way, in seconds."""

    median: float
    p99: float
    ratio: Spread
    """Each round's median in units of the bare commands'."""


@attrs.frozen(kw_only=True)
class Found:
    """How long updates were on their way."""

    course: Course
    rounds: int
    delays: Sequence[Delay]
    """By relay, bare commands, and in one process."""


def course(interval: float, updates: int) -> Course:
    """Return what is sent: a calm stream."""
    return Course(changed=_CHANGED, updates=updates, interval=interval)


async def run(track: Track, sent: Course, rounds: int) -> Found:
    """Send a course in its own time."""
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
