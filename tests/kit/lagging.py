"""A platform with lagging back ends: the true history of its seats, and the late answers that show it.

`Floor.play` generates a history of calls; `History.at` returns the answer that shows it at a given second. A test
chooses how old each answer is, and compares the reported calls with `History.calls`.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal

import attrs

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Event,
    SeatKey,
    Snapshot,
    StateChanged,
)
from sipqueue_async.testing import make_agent

START: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
Kind = Literal["answered", "missed"]
Calls = Counter[tuple[SeatKey, Kind]]


@attrs.define
class History:
    """The true history: each seat's records, with the second from which each one is valid."""

    records: dict[SeatKey, list[tuple[float, AgentStatus]]] = attrs.Factory(
        dict[SeatKey, list[tuple[float, AgentStatus]]]
    )
    counted: list[tuple[float, SeatKey, Kind]] = attrs.Factory(list[tuple[float, SeatKey, Kind]])
    """The calls, with the second at which the platform counted each."""
    resets: list[float] = attrs.Factory(list[float])

    def put(self, at: float, key: SeatKey, record: AgentStatus) -> None:
        """Add a seat's record that is valid from a second on."""
        self.records.setdefault(key, []).append((at, record))

    def at(self, shown: float, *, arrived: float | None = None) -> Snapshot:
        """Return an answer that shows the history at one second and arrives at another one (by default the same)."""
        arrived = shown if arrived is None else arrived
        agents = [
            versions[bisect_right(versions, shown, key=lambda version: version[0]) - 1][1]
            for versions in self.records.values()
        ]
        return Snapshot(agents, observed_at=START + timedelta(seconds=arrived), steady_at=arrived)

    def calls(self, after: float, until: float) -> Calls:
        """Return the calls that were counted in a span of time."""
        return Counter((key, kind) for at, key, kind in self.counted if after < at <= until)

    def states(self, after: float, until: float) -> int:
        """Return the number of state changes in a span of time."""
        total = 0
        for versions in self.records.values():
            for (_, before), (at, now) in pairwise(versions):
                total += bool(after < at <= until and before.state is not now.state)
        return total

    def untellable(self, shown: Iterable[tuple[float, Container[SeatKey]]]) -> Calls:
        """Return the maximum number of calls around a reset that no answers can show.

        They were counted between the last answer that shows the time before the reset and the first answer that shows
        the time after it.

        Args:
            shown: For each answer, in order of arrival, the second that it shows and the seats whose counters are
                blank.
        """
        answers = list(shown)
        calls: Calls = Counter()
        for reset in self.resets:
            for key in self.records:
                seconds = [second for second, lacking in answers if key not in lacking]
                first = next((number for number, second in enumerate(seconds) if second >= reset), len(seconds))
                before = max(seconds[:first], default=-math.inf)
                after = seconds[first] if first < len(seconds) else math.inf
                calls += Counter(
                    (seat, kind) for at, seat, kind in self.counted if seat == key and before < at <= after
                )
        return calls


@attrs.frozen
class Floor:
    """Agents who are offered calls, answer most of them and miss some.

    Args:
        agents: Number of agents.
        pause: Approximate seconds between an agent's calls.
        talk: Approximate seconds of a conversation.
        ring: Approximate seconds of ringing.
        missed: The share of offers that are missed.
        counts_at_end: Whether the platform counts a call when it ends, not when it is answered.
        sends_times: Whether records have times.
        blanks_times: Whether a counter reset also blanks the times of calls.
        answered_before: Approximate number of calls that each agent answered before the start.
    """

    agents: int = 24
    pause: float = 20.0
    talk: float = 15.0
    ring: float = 4.0
    missed: float = 0.1
    counts_at_end: bool = False
    sends_times: bool = True
    blanks_times: bool = False
    answered_before: int = 30

    def play(self, rng: random.Random, seconds: float, resets: Sequence[float] = ()) -> History:
        """Return the history of some seconds, with counter resets at given seconds."""
        history = History(resets=list(resets))
        for number in range(self.agents):
            _Agent(self, history, random.Random(rng.random()), f"{number:03}").work(seconds, sorted(resets))
        history.counted.sort()
        return history


class _Agent:
    def __init__(self, floor: Floor, history: History, rng: random.Random, extension: str) -> None:
        self._floor, self._history, self._rng = floor, history, rng
        before = rng.randint(floor.answered_before // 2, floor.answered_before)
        self._record = make_agent(extension, calls_answered=before, no_answer_count=before // 3)
        if floor.sends_times and before:
            long_ago = START.replace(tzinfo=None) - timedelta(hours=1)
            self._record = attrs.evolve(self._record, last_answered_at=long_ago, last_offered_at=long_ago)
        self.key = self._record.key
        self._resets: list[float] = []
        history.put(-1e9, self.key, self._record)

    def work(self, seconds: float, resets: list[float]) -> None:
        floor, rng = self._floor, self._rng
        self._resets = resets.copy()
        now = rng.uniform(0, floor.pause)
        while now < seconds:
            self._show(now, AgentState.RECEIVING, offered=now)
            ring = rng.uniform(0.5, 1.5) * floor.ring
            now += ring
            if rng.random() < floor.missed:
                self._show(now, AgentState.IDLE, counts="missed")
            else:
                self._show(now, AgentState.TALKING, answered=now, counts=None if floor.counts_at_end else "answered")
                now += rng.uniform(0.1, 2) * floor.talk
                self._show(now, AgentState.IDLE, counts="answered" if floor.counts_at_end else None)
            now += rng.uniform(1, 4)
            self._show(now, AgentState.WAITING)
            now += rng.uniform(0.1, 2) * floor.pause
        self._reset_until(float("inf"))

    def _reset_until(self, now: float) -> None:
        while self._resets and self._resets[0] <= now:
            self._record = attrs.evolve(self._record, calls_answered=0, no_answer_count=0)
            if self._floor.blanks_times:
                self._record = attrs.evolve(self._record, last_answered_at=None, last_offered_at=None)
            self._history.put(self._resets.pop(0), self.key, self._record)

    def _show(
        self,
        now: float,
        state: AgentState,
        *,
        offered: float | None = None,
        answered: float | None = None,
        counts: Kind | None = None,
    ) -> None:
        self._reset_until(now)
        record = attrs.evolve(self._record, state=state)
        for field, at in (("last_offered_at", offered), ("last_answered_at", answered)):
            if at is not None and self._floor.sends_times:
                moment = (START + timedelta(seconds=int(at))).replace(tzinfo=None)
                times: dict[str, Any] = {field: moment}
                record = attrs.evolve(record, **times)
        if counts is not None:
            field = "calls_answered" if counts == "answered" else "no_answer_count"
            record = attrs.evolve(record, **{field: getattr(record, field) + 1})
            self._history.counted.append((now, self.key, counts))
        self._record = record
        self._history.put(now, self.key, record)


def told_calls(events: Iterable[Event]) -> Calls:
    """Return the calls that the events report."""
    calls: Calls = Counter()
    for event in events:
        if isinstance(event, CallAnswered):
            calls[event.key, "answered"] += event.count
        elif isinstance(event, CallMissed):
            calls[event.key, "missed"] += event.count
    return calls


def told_changes(events: Iterable[Event]) -> tuple[int, int]:
    """Return how many state changes, and how many joins and leaves, the events report."""
    changes = joins = 0
    for event in events:
        changes += isinstance(event, StateChanged)
        joins += isinstance(event, AgentJoined | AgentLeft)
    return changes, joins
