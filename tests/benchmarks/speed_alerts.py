"""What rules cost: a poll's body up to its update, with and without evaluating ten rules of alerts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from sipqueue_async import AgentState, SeatFilter, Snapshot, Update, diff
from sipqueue_async._wire import SnapshotDecoder
from sipqueue_async.alerts import (
    AlertState,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
    evaluate,
)
from tests.benchmarks.speed_bodies import Story
from tests.benchmarks.speed_measure import Limit, Section, Spread, number, table, verdict

RECORDS: Final = 10_000
ROUNDS: Final = 150
INTERVAL: Final = 2.0
"""Seconds between two polls, in the time of the snapshots."""
_clock: Final[Callable[[], float]] = time.process_time
"""Processor time: both parts run in this thread alone."""
_SHARE: Final = 0.01
_WARM_UP: Final = 5
_LIMIT: Final = 1.3

RULES: Final[tuple[Rule, ...]] = (
    StateLasts("long-talk", AgentState.TALKING, longer_than=600),
    StateLasts("long-ring", AgentState.RECEIVING, longer_than=300),
    StateLasts("long-break", AgentState.PAUSED, longer_than=900),
    Available("nobody-free", fewer_than=1, lasting=30),
    Available("few-signed-in", states=("waiting", "talking", "receiving"), fewer_than=3, lasting=300, per="all"),
    MissedCalls("missed", count=3, within=300),
    NoAnswers("no-answers", longer_than=900),
    Occupancy("overloaded", above=0.9, within=3600, seats=SeatFilter(["queue-1", "queue-2"])),
    SignedOut("desk-empty", extensions=["100001", "100002"], longer_than=300),
    FeedSilent("away", lasting=30),
)


@attrs.frozen
class Found:
    """The time with rules in units of the time without, and how often something was raised or cleared."""

    records: int
    rounds: int
    spread: Spread
    alerts: int


def run(records: int, rounds: int) -> Found:
    """Take bodies of which one record in a hundred changes, and time both parts of each."""
    story = Story(records=records, share=_SHARE, polls=_WARM_UP + rounds + 1)
    first, *steps = story.steps()
    decoder = SnapshotDecoder()
    moment = datetime(2026, 1, 6, tzinfo=UTC)
    known: Snapshot = decoder.decode(first.body, observed_at=moment)
    state, _, _ = evaluate(AlertState(RULES), known)
    without: list[float] = []
    with_rules: list[float] = []
    raised = 0
    for step in steps:
        moment += timedelta(seconds=INTERVAL)
        begun = _clock()
        new = decoder.decode(step.body, observed_at=moment)
        events = diff(known, new)
        update = Update(sequence=0, snapshot=new, previous=known, events=events)
        middle = _clock()
        state, alerts, _ = evaluate(state, update)
        end = _clock()
        known = new
        raised += len(alerts)
        without.append(middle - begun)
        with_rules.append(end - begun)
    return Found(records, rounds, Spread.of_ratios(with_rules[_WARM_UP:], without[_WARM_UP:]), raised)


def section(found: Found) -> Section:
    """Return the table and its limit."""
    what = f"an update of {found.records:,} seats with {len(RULES)} rules"
    # Smaller bodies cost less to take, but events and rules cost the same.
    limits = [Limit(what, found.spread.median, _LIMIT, stretch=True)] if found.records >= RECORDS else []
    asked = f"goal: {verdict(limits[0])}" if limits else "–"
    spread = found.spread
    row = (what, f"**{number(spread.median)}**", f"{number(spread.low)} to {number(spread.high)}", asked)
    titles = ("1 % changed", "updates without rules", "10th to 90th percentile", "at most")
    return Section("alerts", table(titles, row), limits)
