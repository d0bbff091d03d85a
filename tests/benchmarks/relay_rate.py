"""The maximum number of events per second from a relay to a reader through one stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from tests.benchmarks.relay_stream import Course, Track, race
from tests.benchmarks.speed_measure import Section, Spread, number, table

CHANGED: Final = (1, 10, 100)
UPDATES: Final = 400
ROUNDS: Final = 11
_CALM: Final = 10
"""Above this number of changes per update, courses have fewer updates, so that rounds take about equally long."""


@attrs.frozen(kw_only=True)
class Found:
    """Throughput, and the time per update in units of the other participants' time in the same round."""

    course: Course
    events: Spread
    """Events per second, through relay and reader."""
    updates: Spread
    """Updates per second. Each update takes two round trips to Redis."""
    bare: Spread
    """The relay's time, in units of bare commands with the same bytes."""
    within: Spread
    """The relay's time, in units of a watcher with a consumer in its process."""


def courses(changed: Sequence[int], updates: int) -> list[Course]:
    """Return the courses to measure."""
    return [Course(changed=each, updates=max(1, min(updates, updates * _CALM // each))) for each in changed]


async def run(track: Track, course: Course, rounds: int) -> Found:
    """Send a course as fast as possible."""
    relay, bare, within = (
        [passage.seconds for passage in passages]
        for passages in await race(track, f"rate-{course.changed}", course, rounds)
    )
    return Found(
        course=course,
        events=Spread.of([course.events / seconds for seconds in relay]),
        updates=Spread.of([course.updates / seconds for seconds in relay]),
        bare=Spread.of_ratios(relay, bare),
        within=Spread.of_ratios(relay, within),
    )


def section(found: Sequence[Found]) -> Section:
    """Return the table."""
    titles = (
        "seats that change an update",
        "events a second",
        "updates a second",
        "times bare `XADD` and `XREAD`",
        "times a watcher in the process",
    )
    rows = [
        (
            f"{it.course.changed:,} of {it.course.seats:,}",
            f"{number(it.events.median)} ({number(it.events.low)} to {number(it.events.high)})",
            number(it.updates.median),
            f"**{number(it.bare.median)}** ({number(it.bare.low)} to {number(it.bare.high)})",
            f"{number(it.within.median)} ({number(it.within.low)} to {number(it.within.high)})",
        )
        for it in found
    ]
    return Section("rate", table(titles, *rows))
