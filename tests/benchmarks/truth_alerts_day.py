"""A simulated day in virtual time, watched by `Alerts` at an interval, through outages and kills."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import async_solipsism
import attrs

from sipqueue_async import AgentState, AgentStatus, Snapshot, StatusWatcher, TransportError
from sipqueue_async.alerts import (
    Alert,
    Alerts,
    AlertState,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
)
from sipqueue_async.simulator import CallCentre, Plan
from sipqueue_async.simulator.truth import GroundTruth

START: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Later than this machine's time, which `Alerts` uses before the first poll: virtual time must not be behind it."""
SAVE_EVERY: Final = 9.7
"""Seconds between two saves without alerts: like the command's, but never at the time of a poll."""
DOWN: Final = 7.3
"""Seconds from a kill to the restart."""
_FIELDS: Final = tuple(field.name for field in attrs.fields(AgentStatus))


@attrs.frozen(kw_only=True)
class Scenario:
    """A day: times are seconds since its start."""

    plan: Plan
    duration: float
    outages: tuple[tuple[float, float], ...]
    kills: tuple[float, ...]
    rules: tuple[Rule, ...]


def scenario(hours: float, agents: int, queues: int) -> Scenario:
    """Return the day with every kind of rule, three outages and five kills, one of them during an outage.

    Limits end in half a second, so that no deadline falls on a poll.
    """
    duration = hours * 3600
    plan = Plan(
        queues=queues,
        agents=agents,
        several_queues=0.1,
        calls_per_hour=9.0 * agents / queues,
        missed=0.15,
        breaks_per_hour=0.5,
        shift_hours=duration / 6 / 3600,
        off_hours=duration / 12 / 3600,
    )
    away = tuple(
        (duration * part, duration * part + length) for part, length in ((0.2, 95.0), (0.5, 900.0), (0.8, 40.0))
    )
    kills = (*(duration * part + 0.37 for part in (0.1, 0.35, 0.65, 0.9)), duration * 0.5 + 431.37)
    rules = (
        StateLasts("long-talk", AgentState.TALKING, longer_than=420.5),
        StateLasts("long-break", AgentState.PAUSED, longer_than=600.5),
        Available("few-waiting", fewer_than=max(1, agents // queues // 12), lasting=20.5),
        MissedCalls("missed", count=3, within=900.5, per="agent"),
        NoAnswers("no-answers", longer_than=60.5),
        Occupancy("busy", above=0.53, within=1800.5, per="all"),
        SignedOut("signed-out", extensions=plan.extensions[:50], longer_than=300.5),
        FeedSilent("away", lasting=30.5),
    )
    return Scenario(plan=plan, duration=duration, outages=away, kills=tuple(sorted(kills)), rules=rules)


@attrs.frozen
class Told:
    """One alert, and when it arrived."""

    at: float
    alert: Alert


@attrs.define
class Day:
    """What was polled, saved and told."""

    scenario: Scenario
    interval: float
    truth: GroundTruth
    polls: list[tuple[float, bool]] = attrs.field(factory=list)
    """When each poll was answered, and whether it was good."""
    saves: list[float] = attrs.field(factory=list)
    """When the state was saved."""
    known: list[float] = attrs.field(factory=list)
    """Up to when the saved state knew the status, for each restart."""
    told: list[Told] = attrs.field(factory=list)


class _Run:
    def __init__(self, given: Scenario, interval: float, seed: int) -> None:
        self._centre = CallCentre(given.plan, seed=seed)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._records: dict[int, tuple[Any, AgentStatus]] = {}
        self._saved: bytes | None = None
        self._scenario = given
        self.day = Day(given, interval, self._centre.truth)

    @property
    def now(self) -> float:
        return self._loop.time() - self._began

    async def __call__(self) -> Snapshot:
        """Answer a poll."""
        now = self.now
        self._centre.run_until(now)
        is_good = not any(begin <= now < end for begin, end in self._scenario.outages)
        self.day.polls.append((now, is_good))
        if not is_good:
            raise TransportError("the platform is away")
        return Snapshot(map(self._record, self._centre.seats()), observed_at=START + timedelta(seconds=now))

    def _record(self, seat: Any) -> AgentStatus:
        # An unchanged seat is the same object at every poll.
        known = self._records.get(id(seat))
        if known is None or known[0] is not seat:
            known = self._records[id(seat)] = seat, AgentStatus(**{name: getattr(seat, name) for name in _FIELDS})
        return known[1]

    async def life(self, until: float) -> None:
        """Watch until a moment, and stop as at a kill: only what is saved is left."""
        rules = self._scenario.rules
        state = AlertState(rules) if self._saved is None else AlertState.from_json(self._saved, rules)
        if state.snapshot is not None:
            self.day.known.append((state.snapshot.observed_at - START).total_seconds())
        interval = self.day.interval
        watcher = StatusWatcher(
            self, interval=interval, baseline=state.snapshot, leave_after=1, max_backoff=max(1.0, interval)
        )
        async with watcher:
            alerts = Alerts(watcher, state)
            tasks = [asyncio.ensure_future(it) for it in (self._follow(alerts), self._save_regularly(alerts))]
            await asyncio.sleep(until - self.now)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            alerts.close()

    async def _follow(self, alerts: Alerts) -> None:
        async for alert in alerts:
            self.day.told.append(Told(self.now, alert))
            self._save(alerts)

    async def _save_regularly(self, alerts: Alerts) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            self._save(alerts)

    def _save(self, alerts: Alerts) -> None:
        # As the command does: an alert that was not told yet is told after the restart.
        if not alerts.pending:
            self.day.saves.append(self.now)
            # Writing each state takes longer than the rest of the run, and only the last one before a kill is read.
            if any(0 <= kill - self.now < 3 * SAVE_EVERY for kill in self._scenario.kills):
                self._saved = alerts.state.to_json()


async def _play(given: Scenario, interval: float, seed: int) -> Day:
    # The watcher draws its pauses after failures from the shared generator.
    random.seed(seed)
    run = _Run(given, interval, seed)
    for end in (*given.kills, given.duration):
        await run.life(end)
        await asyncio.sleep(DOWN)
    return run.day


def play(given: Scenario, interval: float, seed: int) -> Day:
    """Play a day on a new loop of virtual time."""
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(_play(given, interval, seed))


def identities(told: Sequence[Told]) -> dict[tuple[str, str], int]:
    """Return how often each alert was raised and cleared."""
    found: dict[tuple[str, str], int] = {}
    for it in told:
        key = it.alert.kind, it.alert.id
        found[key] = found.get(key, 0) + 1
    return found
