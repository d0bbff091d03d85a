"""`SeatFilter`: which queues and extensions a program is interested in."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Iterable
from itertools import compress

import attrs

from sipqueue_async.models import AgentStatus, SeatKey, Snapshot


def _queues(names: Iterable[str] | None) -> frozenset[str] | None:
    return _checked(names, "queues")


def _extensions(names: Iterable[str] | None) -> frozenset[str] | None:
    return _checked(names, "extensions")


def _checked(names: Iterable[str] | None, parameter: str) -> frozenset[str] | None:
    if names is None:
        return None
    # A lone string is one name, not an iterable of letters.
    found = (names,) if isinstance(names, str) else tuple(names) if isinstance(names, Iterable) else ()
    if not found or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"{parameter} needs at least one name, and no empty ones; leave it out for all {parameter}")
    return frozenset(found)


@attrs.define(eq=False)
class _Cache:
    """The seats and records of the last snapshot, which of them are admitted, and the result."""

    seats: dict[SeatKey, int] | None = None
    all_records: list[AgentStatus] | None = None
    admitted: list[bool] = attrs.field(factory=list)
    places: dict[SeatKey, int] = attrs.field(factory=dict)
    records: list[AgentStatus] = attrs.field(factory=list)


@attrs.frozen
class SeatFilter:
    """Some queues and extensions, or all of them (None).

    Args:
        queues: The names of the queues, or one name.
        extensions: The extension numbers, or one number.

    Raises:
        ValueError: There is no name, or a name is empty or not a string.
    """

    queues: frozenset[str] | None = attrs.field(default=None, converter=_queues)
    """Admit only seats of these queues; None admits all."""
    extensions: frozenset[str] | None = attrs.field(default=None, converter=_extensions)
    """Admit only seats of these extensions; None admits all."""
    _cache: _Cache = attrs.field(init=False, factory=_Cache, eq=False, repr=False)

    @property
    def is_all(self) -> bool:
        """Whether every seat is admitted."""
        return self.queues is None and self.extensions is None

    @property
    def queue(self) -> str | None:
        """The queue, if there is exactly one."""
        return _only(self.queues)

    @property
    def extension(self) -> str | None:
        """The extension, if there is exactly one."""
        return _only(self.extensions)

    def admits(self, key: tuple[str | None, str | None]) -> bool:
        """Return whether a seat, a pair of queue and extension, is admitted.

        A queue of None is admitted: a `FieldProblem` outside the records has it, and concerns every seat.
        """
        queue, extension = key
        return queue is None or (
            (self.queues is None or queue in self.queues) and (self.extensions is None or extension in self.extensions)
        )

    def apply(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot of the admitted seats, with the problems that concern them.

        The result of the last snapshot is cached: one with the same seats and records is not filtered again.
        """
        if self.is_all:
            return snapshot
        cache = self._cache
        if snapshot._places is not cache.seats:
            cache.seats, cache.admitted = snapshot._places, [self.admits(seat) for seat in snapshot._places]
            cache.places = {seat: place for place, seat in enumerate(compress(snapshot._places, cache.admitted))}
            cache.all_records = None
        if snapshot._records is not cache.all_records:
            cache.all_records, cache.records = snapshot._records, list(compress(snapshot._records, cache.admitted))
        return Snapshot._at(
            cache.places,
            cache.records,
            observed_at=snapshot.observed_at,
            server_time=snapshot.server_time,
            problems=tuple(it for it in snapshot.problems if self.admits((it.queue, it.extension))),
            steady_at=snapshot.steady_at,
        )


def _only(names: frozenset[str] | None) -> str | None:
    return next(iter(names)) if names is not None and len(names) == 1 else None
