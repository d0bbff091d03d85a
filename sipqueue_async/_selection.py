"""The part of a platform that is watched."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress

from sipqueue_async.models import AgentStatus, SeatKey, Snapshot


class Selection:
    """Some queues and extensions, or all of them (None).

    Raises:
        ValueError: There are no names, or none of at least one letter.
    """

    def __init__(self, queues: Iterable[str] | None, extensions: Iterable[str] | None) -> None:
        self._queues = _names(queues, "queues")
        self._extensions = _names(extensions, "extensions")
        # The last snapshot's seats and records, which of them are selected, and what that gave.
        self._seats: dict[SeatKey, int] | None = None
        self._all: list[AgentStatus] | None = None
        self._chosen: list[bool] = []
        self._places: dict[SeatKey, int] = {}
        self._records: list[AgentStatus] = []

    @property
    def queue(self) -> str | None:
        """The one queue, if there is one."""
        return _only(self._queues)

    @property
    def extension(self) -> str | None:
        """The one extension, if there is one."""
        return _only(self._extensions)

    def of(self, snapshot: Snapshot) -> Snapshot:
        """Return what is selected of a snapshot; the same records as the last time, where nothing changed."""
        queues, extensions = self._queues, self._extensions
        if queues is None and extensions is None:
            return snapshot
        if snapshot._places is not self._seats:
            self._seats, self._chosen = snapshot._places, [self._has(*seat) for seat in snapshot._places]
            self._places = {seat: place for place, seat in enumerate(compress(snapshot._places, self._chosen))}
        if snapshot._records is not self._all:
            self._all, self._records = snapshot._records, list(compress(snapshot._records, self._chosen))
        return Snapshot._at(
            self._places,
            self._records,
            observed_at=snapshot.observed_at,
            server_time=snapshot.server_time,
            problems=tuple(it for it in snapshot.problems if self._has(it.queue, it.extension)),
        )

    def _has(self, queue: str | None, extension: str | None) -> bool:
        # What is outside the records concerns everybody.
        return queue is None or (
            (self._queues is None or queue in self._queues)
            and (self._extensions is None or extension in self._extensions)
        )


def _names(names: Iterable[str] | None, parameter: str) -> frozenset[str] | None:
    if names is None:
        return None
    # A lone name is a collection of letters to Python, and never meant so.
    found = frozenset((names,) if isinstance(names, str) else names)
    if not found or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"{parameter} must be names, at least one; leave it out to watch all")
    return found


def _only(names: frozenset[str] | None) -> str | None:
    return next(iter(names)) if names is not None and len(names) == 1 else None
