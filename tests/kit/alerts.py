"""Histories of a small call centre, and a simple reference implementation of the rules."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from sipqueue_async import AgentState, AgentStatus, CallMissed, SeatKey, Snapshot, Update, diff
from sipqueue_async.alerts import Alert, AlertRaised, AlertState, Rule, evaluate
from tests.kit.builders import START, agent
from tests.kit.times import moment

SEATS = tuple(SeatKey(f"q{number % 2}", str(100 + number // 2)) for number in range(6))
STATES = (AgentState.WAITING, AgentState.TALKING, AgentState.PAUSED, AgentState.OFFLINE, AgentState.RECEIVING)


class Look(NamedTuple):
    """One poll's answer."""

    at: float
    snapshot: Snapshot


class Told(NamedTuple):
    """The part of an alert that the reference predicts."""

    at: float
    kind: str
    queue: str | None
    extension: str | None


def history(chance: random.Random, looks: int) -> list[Look]:
    """Generate a history: polls of agents with arbitrary changes between them."""
    records = {key: agent(key.extension, chance.choice(STATES), queue=key.queue) for key in SEATS}
    away: set[SeatKey] = set()
    at, polls = 0.0, list[Look]()
    for _ in range(looks):
        for key, record in records.items():
            state, answered, missed = record.state, record.calls_answered, record.no_answer_count
            answered_at, offered_at = record.last_answered_at, record.last_offered_at
            if chance.random() < 0.2:
                state = chance.choice(STATES)
            if chance.random() < 0.05:
                missed, offered_at = missed + chance.randint(1, 2), moment(at)
            if chance.random() < 0.05:
                answered, answered_at = answered + 1, moment(at)
            if chance.random() < 0.03:
                away ^= {key}
            records[key] = agent(
                key.extension,
                state,
                queue=key.queue,
                calls_answered=answered,
                no_answer_count=missed,
                last_answered_at=answered_at,
                last_offered_at=offered_at,
            )
        present = [record for key, record in records.items() if key not in away]
        polls.append(Look(at, Snapshot(present, observed_at=moment(at))))
        at += chance.choice([1.0, 2.0, 5.0, 11.0, 7.5])
    return polls


class Evaluation:
    """Evaluates rules over a history like a program: at every update and every deadline.

    Args:
        rules: Creates the rules; called again after each restart.
        on_time: Whether to evaluate at deadlines. If not, alerts that are due appear at the next update.
    """

    def __init__(self, rules: Callable[[], Sequence[Rule]], *, on_time: bool = True) -> None:
        self._rules = rules
        self._on_time = on_time
        self.state = AlertState(rules())
        self.alerts: list[Alert] = []
        self.deadline: datetime | None = None
        self._known: Snapshot | None = None

    def take(self, what: Update | Snapshot | datetime) -> None:
        """Evaluate an update, a snapshot or a deadline."""
        self.state, alerts, self.deadline = evaluate(self.state, what)
        self.alerts += alerts

    def run(self, polls: Iterable[Look], end: float, *, restarts: Callable[[], bool] = lambda: False) -> None:
        """Evaluate a whole history, with a restart after each poll that `restarts` asks for."""
        for number, look in enumerate(polls):
            if self._known is None:
                self.take(look.snapshot)
                self._known = look.snapshot
            else:
                self._catch_up(look.at - 1e-5)
                if events := diff(self._known, look.snapshot):
                    self.take(Update(sequence=number, snapshot=look.snapshot, previous=self._known, events=events))
                    self._known = look.snapshot
            if restarts():
                self.restart()
        self._catch_up(end)
        self.take(moment(end))

    def restart(self) -> None:
        """Restore the saved state, and poll at once without a change."""
        self.state = AlertState.from_json(self.state.to_json(), self._rules())
        assert self.state.snapshot is not None
        self.take(self.state.snapshot)
        self._known = self.state.snapshot

    def _catch_up(self, to: float) -> None:
        while self._on_time and self.deadline is not None and self.deadline <= moment(to):
            self.take(self.deadline)

    @property
    def told(self) -> list[Told]:
        """The raised and cleared alerts, in the reference's form."""
        rows = [
            Told(
                round((it.at - START).total_seconds(), 3),
                "raised" if isinstance(it, AlertRaised) else "cleared",
                it.queue,
                it.extension,
            )
            for it in self.alerts
        ]
        return sorted(rows, key=str)


def lasting(
    polls: Sequence[Look], end: float, holds: Sequence[bool], anew: Sequence[bool], delay: float
) -> list[tuple[float, str]]:
    """Return when a condition is raised and cleared, given at which polls it holds and at which it starts again."""
    told: list[tuple[float, str]] = []
    since: float | None = None
    is_raised = False
    moments = [look.at for look in polls]
    for at, now, again, until in zip(moments, holds, anew, [*moments[1:], end + 1e-5], strict=True):
        if since is not None and (not now or again):
            told += [(at, "cleared")] if is_raised else []
            since, is_raised = None, False
        if now and since is None:
            since = at
        if since is not None and not is_raised and since + delay < until - 1e-6:
            told.append((max(at, since + delay), "raised"))
            is_raised = True
    return told


def expect_state(polls: Sequence[Look], end: float, states: Iterable[AgentState], delay: float) -> list[Told]:
    """Return the expected alerts of a `StateLasts`."""
    told: list[Told] = []
    for key in SEATS:
        records = [look.snapshot.get(key) for look in polls]
        holds = [record is not None and record.state in states for record in records]
        anew = [False, *(_had_a_call(old, new) for old, new in pairwise(records))]
        told += [Told(round(at, 3), kind, *key) for at, kind in lasting(polls, end, holds, anew, delay)]
    return sorted(told, key=str)


def _had_a_call(old: AgentStatus | None, new: AgentStatus | None) -> bool:
    """Return whether a complete call lies between two records with equal states."""
    if old is None or new is None or old.state is not new.state:
        return False
    return old.last_answered_at != new.last_answered_at or old.last_offered_at != new.last_offered_at


def expect_available(polls: Sequence[Look], end: float, fewer_than: int, delay: float, per: str) -> list[Told]:
    """Return the expected alerts of an `Available` of waiting agents."""
    told: list[Told] = []
    for queue in [None] if per == "all" else ["q0", "q1"]:
        seen = [any(queue in {None, key.queue} for key in look.snapshot) for look in polls]
        first = 0 if queue is None else (seen.index(True) if True in seen else len(seen))
        holds = [
            number >= first
            and len({it.extension for it in _of(look.snapshot, queue) if it.state is AgentState.WAITING}) < fewer_than
            for number, look in enumerate(polls)
        ]
        told += [
            Told(round(at, 3), kind, queue, None)
            for at, kind in lasting(polls, end, holds, [False] * len(polls), delay)
        ]
    return sorted(told, key=str)


def _of(snapshot: Snapshot, queue: str | None) -> list[AgentStatus]:
    return [it for it in snapshot.values() if queue in {None, it.queue}]


def expect_missed(polls: Sequence[Look], end: float, count: int, within: float) -> list[Told]:
    """Return the expected alerts of a `MissedCalls` per agent."""
    calls: dict[str, list[tuple[float, int]]] = {}
    for old, new in pairwise(polls):
        for event in diff(old.snapshot, new.snapshot):
            if isinstance(event, CallMissed):
                calls.setdefault(event.extension, []).append((new.at, event.count))
    told: list[Told] = []
    for extension, missed in calls.items():
        is_raised = False
        for at in sorted({at for at, _ in missed} | {at + within for at, _ in missed}):
            total = sum(number for began, number in missed if began <= at < began + within - 1e-6)
            if at <= end + 1e-6 and (total >= count) != is_raised:
                is_raised = total >= count
                told.append(Told(round(at, 3), "raised" if is_raised else "cleared", None, extension))
    return sorted(told, key=str)


def shares(polls: Sequence[Look], end: float, at: float, within: float) -> tuple[float, float]:
    """Return all agents' total seconds of talking and of being signed in, within a window that ends at a moment."""
    talk = signed_in = 0.0
    for look, until in zip(polls, [*(it.at for it in polls[1:]), end + 1.0], strict=True):
        span = max(0.0, min(until, at) - max(look.at, at - within))
        talk += span * sum(it.state is AgentState.TALKING for it in look.snapshot.values())
        signed_in += span * sum(it.state is not AgentState.OFFLINE for it in look.snapshot.values())
    return talk, signed_in
