"""Names positions of a journal so that other wallboards of the same relay, and later runs, understand them."""

from __future__ import annotations

import re
from typing import Final, Self

import attrs

from sipqueue_async import Event, FeedDown, FeedUp, Snapshot

_MARK: Final = re.compile(r"([0-9a-f]{8}-[0-9]{1,20}-[0-9]{1,20})(?:\.([0-9]{1,9}))?([du])", re.ASCII)


@attrs.frozen
class Position:
    """How far a reader has received the events: some or all events of one update, and everything before."""

    update: int
    """The number of the update. Those that were read from the relay's stream have numbers below 1."""
    events: int
    """How many of its events were received."""


@attrs.frozen
class Mark:
    """A position, as every journal of the same relay names it."""

    place: str
    """The feed's place after the publication."""
    seat_events: int | None
    """How many of its seat events were received; None for all events."""
    is_down: bool
    """Whether the reader knows the feed as down: a journal may have found Redis or the relay away by itself."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the mark that a text describes; None if it describes none."""
        match = _MARK.fullmatch(text)
        return None if match is None else cls(match[1], None if match[2] is None else int(match[2]), match[3] == "d")

    def __str__(self) -> str:
        part = "" if self.seat_events is None else f".{self.seat_events}"
        return f"{self.place}{part}{'d' if self.is_down else 'u'}"

    def is_after(self, place: str) -> bool:
        """Return whether the place comes later than another one of the same relay."""
        (relay, *mine), (other, *theirs) = self.place.split("-"), place.split("-")
        return relay == other and [*map(int, mine)] > [*map(int, theirs)]


@attrs.frozen(eq=False, slots=False)
class Publication:
    """The events of an update, and what they say of the feed."""

    number: int
    events: tuple[Event, ...]
    snapshot: Snapshot | None
    """The snapshot after the update."""
    is_down: bool
    """Whether the feed is down after the update."""
    coalesced: bool = False
    place: str | None = None
    """The feed's place after it, if it has one."""
    is_exact: bool = False
    """Whether its seat events are exactly those of the publication before the place."""

    @property
    def end(self) -> Position:
        """The position after its last event."""
        return Position(self.number, len(self.events))

    def mark(self, position: Position) -> Mark | None:
        """Return the mark of a position within it or at its end; None if only this journal knows the position."""
        if self.place is None:
            return None
        if position == self.end:
            return Mark(self.place, None, self.is_down)
        return Mark(self.place, position.events - self._ups, self._was_down) if self.is_exact else None

    def position(self, mark: Mark) -> Position | None:
        """Return the position of a mark within it; None if a reader there knows another condition of the feed."""
        number = mark.seat_events or 0
        if mark.is_down is not self._was_down or number > len(self.events) - self._ups - self._downs:
            return None
        return Position(self.number, self._ups + number)

    # The end of an outage comes before the other events, and the beginning of one after them.
    @property
    def _ups(self) -> int:
        return int(bool(self.events) and isinstance(self.events[0], FeedUp))

    @property
    def _downs(self) -> int:
        return int(bool(self.events) and isinstance(self.events[-1], FeedDown))

    @property
    def _was_down(self) -> bool:
        """Whether the feed is down among its seat events."""
        return self.is_down and not self._downs


class Places:
    """The marks that a journal can find.

    Args:
        most: How many places to know at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._ends: dict[tuple[str, bool], Position] = {}
        self._publications: dict[str, Publication] = {}

    def note(self, place: str, position: Position, *, is_down: bool) -> None:
        """Note the last position at a place where readers know the feed as up or as down."""
        # A place that is noted again moves to the end: `drop` relies on the order of the positions.
        self._ends.pop((place, is_down), None)
        self._ends[place, is_down] = position
        if len(self._ends) > self._most:
            del self._ends[next(iter(self._ends))]

    def add(self, publication: Publication) -> None:
        """Know the positions within a publication."""
        if publication.is_exact and publication.place is not None:
            self._publications[publication.place] = publication

    def drop(self, publication: Publication) -> None:
        """Forget a publication, the oldest one, and the places before its end."""
        if publication.place is not None and self._publications.get(publication.place) is publication:
            del self._publications[publication.place]
        end = (publication.number, len(publication.events))
        while self._ends and attrs.astuple(next(iter(self._ends.values()))) < end:
            del self._ends[next(iter(self._ends))]

    def precede(self, earlier: Places) -> None:
        """Know the places of an earlier time too."""
        self._ends = earlier._ends | self._ends
        self._publications |= earlier._publications

    def find(self, mark: Mark) -> Position | None:
        """Return the position of a mark; None if it is not known."""
        if mark.seat_events is None:
            return self._ends.get((mark.place, mark.is_down))
        publication = self._publications.get(mark.place)
        return None if publication is None else publication.position(mark)
