"""Which queue a call came from: the seat tells it that answered at the moment of the call's answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from sipqueue_async import AgentStatus, CallAnswered, CallDirection, CallMethod, CallRecord, Snapshot

_KEPT: Final = 64
"""Answers of one extension, for records that come late."""
_QUEUE_METHODS: Final = frozenset({CallMethod.GROUP, CallMethod.UNKNOWN})


class Answers:
    """When the seats of each extension answered calls, as the status showed it.

    Args:
        answers: What is known: {extension: {time: queues}}.
    """

    def __init__(self, answers: Mapping[str, Mapping[datetime, tuple[str, ...]]]) -> None:
        self._answers = {extension: dict(known) for extension, known in answers.items()}
        self._seen: dict[tuple[str, str], AgentStatus] = {}

    def note(self, status: Snapshot) -> None:
        """Note the last answer of each seat."""
        for key, agent in status.items():
            if agent is self._seen.get(key):
                continue
            self._seen[key] = agent
            if agent.last_answered_at is not None:
                self._note(agent.extension, agent.last_answered_at, agent.queue)

    def _note(self, extension: str, moment: datetime, queue: str) -> None:
        known = self._answers.setdefault(extension, {})
        queues = known.get(moment, ())
        if queue not in queues:
            known[moment] = (*queues, queue)
        if len(known) > _KEPT:
            del known[next(iter(known))]

    def is_missing(self, record: CallRecord) -> bool:
        """Return whether a newer status could tell the queue of a call."""
        return _may_have_queue(record) and not self._queues(record)

    def queue(self, record: CallRecord) -> str | None:
        """Return the queue of a call, or None if it had none, or if not exactly one seat fits."""
        queues = self._queues(record) if _may_have_queue(record) else ()
        return queues[0] if len(queues) == 1 else None

    def _queues(self, record: CallRecord) -> tuple[str, ...]:
        known = self._answers.get(record.extension or "", {})
        return () if record.answered_at is None else known.get(record.answered_at, ())

    def saved(self) -> dict[str, dict[datetime, tuple[str, ...]]]:
        """Return what is known."""
        return {extension: dict(known) for extension, known in self._answers.items()}


class CallQueues:
    """Tells the queues of calls from the status stream's events, such as those of a `History`.

    Times are compared as the platform sent them, so that only one of the two sides may have its time zone.

    Args:
        events: The answered calls: those of the records' span, and of some time after it.
    """

    def __init__(self, events: Iterable[CallAnswered]) -> None:
        self._queues: dict[tuple[str, datetime], set[str]] = {}
        for event in events:
            if event.answered_at is not None:
                place = event.extension, event.answered_at.replace(tzinfo=None)
                self._queues.setdefault(place, set()).add(event.queue)

    def __repr__(self) -> str:
        return f"<CallQueues of {len(self._queues)} answers>"

    def queue(self, record: CallRecord) -> str | None:
        """Return the queue of a call, or None if it had none, or if not exactly one event fits."""
        if record.extension is None or record.answered_at is None or not _may_have_queue(record):
            return None
        queues = self._queues.get((record.extension, record.answered_at.replace(tzinfo=None)), ())
        return next(iter(queues)) if len(queues) == 1 else None


def _may_have_queue(record: CallRecord) -> bool:
    return record.is_answered and record.direction is not CallDirection.OUT and record.method in _QUEUE_METHODS
