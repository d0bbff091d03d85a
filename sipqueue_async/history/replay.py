"""`Replay`: turns stored rows back into records, events, updates and snapshots, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final

from sipqueue_async import AgentLeft, AgentStatus, Event, FieldProblem, SeatKey, Snapshot, Update
from sipqueue_async.history.encoding import (
    LEFT,
    NO_SEAT,
    SEEN,
    Row,
    decode_extra,
    decode_feed_event,
    decode_record,
    decode_seat_event,
)
from sipqueue_async.history.figures import moment_of

_at: Final = attrgetter("at")
_MICROSECOND: Final = timedelta(microseconds=1)


class Replay:
    """Processes rows in order: keeps the records after the last row, and makes the events of the next ones.

    Args:
        seats: The seats by their numbers.
        snapshot: The records to start from; None if the rows begin with those of the first known snapshot.
    """

    def __init__(self, seats: Mapping[int, SeatKey], snapshot: Snapshot | None = None) -> None:
        self.seats = seats
        """The seats by their numbers."""
        self._snapshot = snapshot
        self._records: dict[SeatKey, AgentStatus] = {} if snapshot is None else dict(snapshot.items())
        self._problems: tuple[FieldProblem, ...] = () if snapshot is None else snapshot.problems
        self._server_time = None if snapshot is None else snapshot.server_time
        self._observed_at = None if snapshot is None else snapshot.observed_at
        # What changed since the snapshot, and the records before the last change of each seat in the present update.
        self._changes: dict[SeatKey, AgentStatus | None] = {}
        self._previous: dict[SeatKey, AgentStatus | None] = {}
        self._coalesced = False

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot after the last row; None before the first."""
        if self._observed_at is None:
            return None
        if self._snapshot is None:
            self._snapshot = Snapshot(
                self._records.values(),
                observed_at=self._observed_at,
                server_time=self._server_time,
                problems=self._problems,
            )
        elif self._changes or self._snapshot.observed_at != self._observed_at:
            self._snapshot = self._snapshot.with_changes(
                self._changes,
                observed_at=self._observed_at,
                server_time=self._server_time,
                problems=self._problems,
            )
        self._changes.clear()
        return self._snapshot

    def skip(self, rows: Iterable[Row]) -> None:
        """Process rows without making events."""
        for row in rows:
            self._step(row)

    def events(self, rows: Iterable[Row]) -> Iterator[Event]:
        """Yield the events of rows; rows of other seats may be left out."""
        for row in rows:
            event = self._event(row)
            if event is not None:
                yield event

    def updates(self, rows: Iterable[Row]) -> Iterator[Update]:
        """Yield the updates of rows, which must be whole and without gaps."""
        for _, group in groupby(rows, key=_at):
            previous = self.snapshot
            sequence: int | None = None
            events: list[Event] = []
            for row in group:
                event = self._event(row)
                sequence = row.sequence if sequence is None else sequence
                if event is not None:
                    events.append(event)
            if events:
                yield Update(
                    sequence=sequence or 0,
                    snapshot=self.snapshot,
                    previous=previous,
                    events=tuple(events),
                    coalesced=self._coalesced,
                )

    def _step(self, row: Row) -> tuple[SeatKey | None, AgentStatus | None]:
        """Note what a row changes; return its seat and the record after it."""
        at = moment_of(row.at)
        if at != self._observed_at:
            self._observed_at = at
            self._previous.clear()
        if row.sequence is not None:
            self._begin_update(row, at)
        if row.seat_id == NO_SEAT:
            return None, None
        key = self.seats[row.seat_id]
        known = self._records.get(key)
        if row.kind == LEFT:
            self._previous[key] = known
            self._records.pop(key, None)
            self._changes[key] = None
            return key, None
        agent = decode_record(row.record, row.state, key, known)
        if agent is not known or key not in self._previous:
            self._previous[key] = known
            self._records[key] = self._changes[key] = agent
        return key, agent

    def _begin_update(self, row: Row, at: datetime) -> None:
        self._server_time = None if row.server_lag is None else at - row.server_lag * _MICROSECOND
        self._coalesced, problems = decode_extra(row.extra)
        self._problems = self._problems if problems is None else problems

    def _event(self, row: Row) -> Event | None:
        key, agent = self._step(row)
        if key is None:
            return decode_feed_event(row)
        if row.kind == SEEN:
            return None
        previous = self._previous[key]
        if agent is not None:
            return decode_seat_event(row, key, previous, agent)
        return None if previous is None else AgentLeft(key=key, observed_at=moment_of(row.at), previous=previous)
