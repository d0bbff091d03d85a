"""`Reader`: decides what one reader of the events receives next, without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

import attrs

from sipqueue_async import Event, SeatFilter, Snapshot
from sipqueue_async._json_lines import FORMAT_VERSION, KINDS, json_line
from sipqueue_async.wallboard.journal import Entry, Journal
from sipqueue_async.wallboard.places import Position

_PARAMETERS: Final = ("queue", "extension", "event")


@attrs.frozen
class Wanted:
    """The events that a reader asked for."""

    seats: SeatFilter = attrs.field(factory=SeatFilter)
    kinds: frozenset[str] | None = None
    """The kinds of events; None for all."""

    @classmethod
    def of(cls, query: Iterable[tuple[str, str]]) -> Wanted:
        """Return what the parameters of a request, pairs of name and value, ask for.

        Raises:
            ValueError: A parameter or a kind of event is unknown, or a value is empty; the message lists what there is.
        """
        given: dict[str, list[str]] = {}
        for name, value in query:
            if name not in _PARAMETERS:
                raise ValueError(f"unknown parameter; there are: {', '.join(_PARAMETERS)}")
            if not value:
                raise ValueError(f"the parameter {name} is empty: give a name, or leave it out for all")
            given.setdefault(name, []).append(value)
        kinds = given.get("event")
        if kinds is not None and not set(kinds) <= set(KINDS):
            raise ValueError(f"unknown event; there are: {', '.join(KINDS)}")
        seats = SeatFilter(given.get("queue"), given.get("extension"))
        return cls(seats, None if kinds is None else frozenset(kinds))

    def admits(self, event: Event) -> bool:
        """Return whether the reader asked for an event; events of the feed concern every queue."""
        of_seat = event.key is None or self.seats.admits(event.key)
        return of_seat and (self.kinds is None or event.kind in self.kinds)


class Reader:
    """One reader of a journal.

    Nothing queues up for a reader: it has a position in the journal that all readers share. If the journal no longer
    keeps its next update, the reader gets the difference between the snapshot that it saw last and the present one.

    Args:
        journal: The journal.
        wanted: What the reader asked for.
        event_id: The id of the last event that it received on an earlier connection; None for none.
    """

    def __init__(self, journal: Journal, wanted: Wanted, event_id: str | None) -> None:
        self._journal = journal
        self._wanted = wanted
        self._resume_from = event_id
        self._position: Position | None = None
        self._seen: Snapshot | None = None
        self._was_down = False

    @property
    def event_id(self) -> str | None:
        """The id of the present position; None before the first part."""
        return None if self._position is None else self._journal.id_of(self._position)

    @property
    def needs_past(self) -> bool:
        """Whether the journal should first `recall` what was published before it began."""
        known = self._resume_from
        return known is not None and self._is_to_resume and self._journal.needs_past(known)

    @property
    def is_ahead(self) -> bool:
        """Whether the reader comes from another wallboard that was faster."""
        known = self._resume_from
        return known is not None and self._is_to_resume and self._journal.is_ahead(known)

    @property
    def _is_to_resume(self) -> bool:
        return self._position is None and self._journal.has_begun

    def next(self) -> Iterable[bytes] | None:
        """Return the next part of the stream, which may be empty; None if there is nothing new.

        Its large pieces are shared between readers, and the small ones are made when they are iterated.
        """
        journal = self._journal
        if not journal.has_begun:
            return None
        if self._position is None and (refusal := self._resume()):
            return self._start_anew(refusal)
        position = self._position
        assert position is not None  # noqa: S101  # `_resume` has set it
        if position == journal.end:
            return None
        entry = journal.next(position)
        if entry is not None:
            return self._receive(entry, after=position)
        if self._seen is None:
            return self._start_anew("first-status")
        return self._catch_up(journal.coalesced(position, self._seen, was_down=self._was_down))

    def _resume(self) -> str | None:
        """Continue from an earlier connection, or return why that is impossible.

        The next entry is taken in the same step, so that the journal cannot drop it in between.
        """
        if self._resume_from is None:
            return "connected"
        self._position = self._journal.position_of(self._resume_from)
        if self._position is None:
            return "too-late" if self._journal.is_of_this_run(self._resume_from) else "restarted"
        self._see_all()
        return None

    def _see_all(self) -> None:
        self._seen, self._was_down = self._journal.snapshot, self._journal.down is not None

    def _receive(self, entry: Entry, *, after: Position) -> Iterable[bytes]:
        received = after.events if entry.number == after.update else 0
        self._seen, self._was_down, self._position = entry.snapshot, entry.is_down, entry.end
        return (
            piece
            for number, (event, line) in enumerate(zip(entry.events, entry.lines, strict=True), start=1)
            if number > received and self._wanted.admits(event)
            for piece in (_head(event.kind, self._journal.id_of(Position(entry.number, number))), line, _END)
        )

    def _catch_up(self, entry: Entry) -> Iterable[bytes]:
        self._see_all()
        self._position = self._journal.end
        pieces = (
            piece
            for event, line in zip(entry.events, entry.lines, strict=True)
            if self._wanted.admits(event)
            for piece in (_head(event.kind), line, _END)
        )
        # The journal has no positions within a coalesced update, so only its end has an id.
        return chain(pieces, [f"id: {self.event_id}\n\n".encode()])

    def _start_anew(self, why: str) -> Iterable[bytes]:
        self._see_all()
        self._position = self._journal.end
        fields = json_line({"v": FORMAT_VERSION, "event": "snapshot", "reason": why})[:-1]
        head = _head("snapshot", self.event_id) + f"{fields},".encode()
        return [head, self._journal.status(self._wanted.seats), _END]


_END: Final = b"\n\n"


def _head(event: str, event_id: str | None = None) -> bytes:
    """Return an event up to its data."""
    identity = "" if event_id is None else f"id: {event_id}\n"
    return f"{identity}event: {event}\ndata: ".encode()
