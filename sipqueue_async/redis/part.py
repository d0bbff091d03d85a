"""The part of what a relay publishes that a reader is for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TypeVar

import attrs

from sipqueue_async import FieldProblem, Snapshot
from sipqueue_async.redis.publication import Change

_T = TypeVar("_T")


class Part:
    """Some queues and extensions, or all of them (None).

    Raises:
        ValueError: There are no names, or none of at least one letter.
    """

    def __init__(self, queues: Iterable[str] | None = None, extensions: Iterable[str] | None = None) -> None:
        self._queues = _names(queues, "queues")
        self._extensions = _names(extensions, "extensions")

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self._queues is None and self._extensions is None

    def of_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Return this part of a snapshot."""
        if self.is_all:
            return snapshot
        return Snapshot(
            (agent for agent in snapshot.values() if self._has(agent.queue, agent.extension)),
            observed_at=snapshot.observed_at,
            server_time=snapshot.server_time,
            problems=self._problems(snapshot.problems),
        )

    def of_change(self, change: Change) -> Change:
        """Return this part of a publication; of the feed it tells as before."""
        if self.is_all:
            return change
        chosen = [self._has(*seat) for seat in change.seats]
        moment = change.moment
        return attrs.evolve(
            change,
            moment=None if moment is None else attrs.evolve(moment, problems=self._problems(moment.problems)),
            seats=_those(change.seats, chosen),
            was=_those(change.was, chosen),
            now=_those(change.now, chosen),
        )

    def _problems(self, problems: Iterable[FieldProblem]) -> tuple[FieldProblem, ...]:
        return tuple(it for it in problems if self._has(it.queue, it.extension))

    def _has(self, queue: str | None, extension: str | None) -> bool:
        # What is outside the records concerns everybody.
        return queue is None or (
            (self._queues is None or queue in self._queues)
            and (self._extensions is None or extension in self._extensions)
        )


def _those(values: Sequence[_T], chosen: Iterable[bool]) -> tuple[_T, ...]:
    return tuple(compress(values, chosen))


def _names(names: Iterable[str] | None, parameter: str) -> frozenset[str] | None:
    if names is None:
        return None
    # A lone name is a collection of letters to Python, and never meant so.
    found = frozenset((names,) if isinstance(names, str) else names)
    if not found or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"{parameter} must be names, at least one; leave it out to read all")
    return found
