"""Counters that the platform leaves out of its answers: they keep their known values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import attrs

from sipqueue_async._diff import unknown_counters
from sipqueue_async._evidence import BACK, COUNTERS, FORWARD, direction_of_time, directions_of_times
from sipqueue_async.models import COUNTER_FIELDS, AgentStatus, FieldProblem, SeatKey, Snapshot


class LeftOut:
    """Finds the resets of counters that happened while the platform left them out."""

    def __init__(self) -> None:
        # The call times when the counters were last sent.
        self._counted_at: dict[tuple[SeatKey, str], datetime | None] = {}

    def note(self, key: SeatKey, known: AgentStatus, left_out: Collection[str]) -> None:
        """Register which of a seat's counters an answer leaves out; none if it sends all, or if the seat left."""
        if not left_out and not self._counted_at:
            return
        for counter, time in COUNTERS:
            if counter in left_out:
                self._counted_at.setdefault((key, counter), getattr(known, time))
            else:
                self._counted_at.pop((key, counter), None)

    def after_unseen_reset(self, key: SeatKey, known: AgentStatus, record: AgentStatus) -> AgentStatus | None:
        """Return the known record with 0 for counters that were reset while the platform left them out, if any were.

        Such a counter fell, and its call time is later than when it was last sent.
        """
        if not self._counted_at:
            return None
        zero: dict[str, Any] = {
            counter: 0
            for counter, time in COUNTERS
            if (key, counter) in self._counted_at
            and getattr(record, counter) < getattr(known, counter)
            and direction_of_time(self._counted_at[key, counter], getattr(record, time)) == FORWARD
        }
        if not zero or record.name not in {None, known.name} or BACK in directions_of_times(known, record):
            return None
        return attrs.evolve(known, **zero)


def filled(record: AgentStatus, known: AgentStatus, left_out: Collection[str]) -> AgentStatus:
    """Return a record with the known values of the counters that it leaves out."""
    counters: dict[str, Any] = {counter: getattr(known, counter) for counter in left_out}
    return attrs.evolve(record, **counters) if counters else record


def left_out_of(problems: Iterable[FieldProblem]) -> Mapping[SeatKey, Collection[str]]:
    """Return the counters that an answer leaves out, by seat."""
    left_out: dict[SeatKey, list[str]] = {}
    for problem in problems:
        if problem.field in COUNTER_FIELDS:
            key = SeatKey(problem.queue or "", problem.extension or "")
            left_out.setdefault(key, []).append(COUNTER_FIELDS[problem.field])
    return left_out


def with_known_counters(polled: Snapshot, known: Snapshot) -> Snapshot:
    """Return the answer with the known values in place of missing counters of the same person."""
    unknown = unknown_counters(known)
    records: dict[SeatKey, AgentStatus | None] = {}
    problems: list[FieldProblem] = []
    for problem in polled.problems:
        counter = COUNTER_FIELDS.get(problem.field)
        key = SeatKey(problem.queue or "", problem.extension or "")
        before, after = known.get(key), polled.get(key)
        if (
            counter is None
            or before is None
            or after is None
            or after.name not in {None, before.name}  # another person
            or (key, counter) in unknown
        ):
            problems.append(problem)
            continue
        record = attrs.evolve(records.get(key) or after, **{counter: getattr(before, counter)})
        records[key] = before if record == before else record
        problems.append(attrs.evolve(problem, carried=True))
    if not records:
        return polled
    return polled.with_changes(
        records,
        observed_at=polled.observed_at,
        server_time=polled.server_time,
        problems=tuple(problems),
        steady_at=polled.steady_at,
    )
