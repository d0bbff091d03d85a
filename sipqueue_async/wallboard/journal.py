"""`Journal`: a feed's last updates, numbered, so that a reader of events continues where it stopped."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import attrs

from sipqueue_async import Event, Feed, FeedDown, FeedHealth, FeedUp, SeatFilter, SeatKey, Snapshot, Update, diff
from sipqueue_async._error_text import reason
from sipqueue_async._json_lines import json_line, public_event_json, snapshot_fields

KEEP: Final = 1000
"""How many updates the journal keeps: half an hour of a feed that changes with every poll."""

MOST_EVENTS: Final = 50_000
"""The limit of events in all kept updates; the newest update is kept in any case."""

_MOST_SHARED: Final = 8
"""How many coalesced updates, and how many statuses, are kept to be shared between readers."""

_ID: Final = re.compile(r"([0-9a-f]{16})-([0-9]{1,15})\.([0-9]{1,9})", re.ASCII)


@attrs.frozen
class Position:
    """How far a reader has received the events: some or all events of one update, and everything before."""

    update: int
    """The number of the update, from 1."""
    events: int
    """How many of its events were received."""


@attrs.frozen(eq=False)
class Entry:
    """One update, as readers receive it."""

    number: int
    events: tuple[Event, ...]
    snapshot: Snapshot | None
    """The snapshot after the update."""
    is_down: bool
    """Whether the feed is down after the update."""
    coalesced: bool = False

    @property
    def end(self) -> Position:
        """The position after its last event."""
        return Position(self.number, len(self.events))

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        """The events as JSON, each on one line; all readers share them."""
        return tuple(public_event_json(event, coalesced=self.coalesced).encode() for event in self.events)


class Journal:
    """The last updates of a feed.

    The ids of positions contain the epoch, a random name of this journal. So an id of an earlier run of the program is
    never taken for one of this run.

    Args:
        feed: The feed to follow, started or not.
        keep: How many updates to keep.
    """

    def __init__(self, feed: Feed, *, keep: int = KEEP) -> None:
        self._feed = feed
        self._keep = keep
        self._epoch = secrets.token_hex(8)
        self._entries: dict[int, Entry] = {}
        self._events = 0
        self._oldest = self.end = Position(0, 0)
        self.has_begun = False
        """Whether the feed has been found up or down."""
        self.snapshot: Snapshot | None = None
        """The snapshot at the end."""
        self._latest: FeedDown | FeedUp | None = None
        self._coalesced: dict[Position, Entry] = {}
        self._statuses: dict[SeatFilter, bytes] = {}
        self._updates = feed.updates(max_pending=keep)
        self._remove_listener = feed.add_listener(self._on_poll)
        self._begin(feed.health)

    @property
    def down(self) -> FeedDown | None:
        """The outage at the end; None while the feed is up."""
        return self._latest if isinstance(self._latest, FeedDown) else None

    def close(self) -> None:
        """Stop following the feed."""
        self._remove_listener()
        self._updates.close()

    # ---- following ---------------------------------------------------------------------------------------------------

    def _on_poll(self, health: FeedHealth) -> None:
        while update := self._updates.get_nowait():
            for event in update.events:
                if isinstance(event, FeedDown | FeedUp):
                    self._latest = event
            if self.has_begun:
                self._add(update)
        self._begin(health)

    def _begin(self, health: FeedHealth) -> None:
        """Start with the present status, once the feed is known to be up or down."""
        if self.has_begun or health.up is None:
            return
        self.has_begun = True
        self.snapshot = self._feed.snapshot
        if health.up is False and self.down is None:
            error = health.last_error or RuntimeError("the feed is down")
            self._latest = FeedDown(error=error, since=health.last_good_at)

    def _add(self, update: Update) -> None:
        self._coalesced.clear()
        self._statuses.clear()
        number = self.end.update + 1
        if self.snapshot is None and update.snapshot is not None:
            # The first known status: events cannot lead to it, so every reader starts anew.
            self._entries.clear()
            self._events = 0
            self._oldest = self.end = Position(number, 0)
        else:
            entry = Entry(number, update.events, update.snapshot, self.down is not None, update.coalesced)
            self._entries[number] = entry
            self._events += len(entry.events)
            self.end = entry.end
        self.snapshot = update.snapshot
        self._drop()

    def _drop(self) -> None:
        while len(self._entries) > self._keep or (self._events > MOST_EVENTS and len(self._entries) > 1):
            oldest = self._entries.pop(next(iter(self._entries)))
            self._events -= len(oldest.events)
            self._oldest = oldest.end

    # ---- for readers -------------------------------------------------------------------------------------------------

    def id_of(self, position: Position) -> str:
        """Return a position as ``Last-Event-ID`` has it."""
        return f"{self._epoch}-{position.update}.{position.events}"

    def is_of_this_run(self, event_id: str) -> bool:
        """Return whether an id is one of this journal's, kept or not."""
        match = _ID.fullmatch(event_id)
        return match is not None and match[1] == self._epoch

    def position_of(self, event_id: str) -> Position | None:
        """Return the position that an id names; None if the journal cannot continue from there."""
        match = _ID.fullmatch(event_id)
        if match is None or match[1] != self._epoch:
            return None
        position = Position(int(match[2]), int(match[3]))
        entry = self._entries.get(position.update)
        known = position == self._oldest if entry is None else position.events <= len(entry.events)
        return position if known else None

    def next(self, position: Position) -> Entry | None:
        """Return the first entry with events after a position before the end; None if it is no longer kept."""
        entry = self._entries.get(position.update)
        if entry is not None and position.events < len(entry.events):
            return entry
        return self._entries.get(position.update + 1)

    def status(self, seats: SeatFilter) -> bytes:
        """Return the present status of some seats as the fields of a JSON object, without its first brace."""
        known = self._statuses.get(seats)
        if known is None:
            _make_room(self._statuses)
            known = self._statuses[seats] = json_line(self._status(seats))[1:].encode()
        return known

    def _status(self, seats: SeatFilter) -> dict[str, Any]:
        snapshot, down = self.snapshot, self.down
        if snapshot is None:
            shown: dict[str, Any] = {"observed_at": None, "server_time": None, "agents": [], "problems": []}
            keys: Iterable[SeatKey] = ()
        else:
            # A filter caches its last snapshot, and readers keep their filters.
            part = SeatFilter(seats.queues, seats.extensions).apply(snapshot)
            shown, keys = snapshot_fields(part, [*part.values()]), snapshot.keys()
        return {
            **shown,
            "feed_down": None if down is None else {"since": down.since, "error": reason(down.error)},
            "absent_queues": _absent(seats.queues, (key.queue for key in keys)),
            "absent_extensions": _absent(seats.extensions, (key.extension for key in keys)),
        }

    def coalesced(self, position: Position, seen: Snapshot, *, was_down: bool) -> Entry:
        """Return everything after a position as one update: the difference of two snapshots.

        Args:
            position: The reader's position.
            seen: The snapshot there.
            was_down: Whether the feed was down there.
        """
        known = self._coalesced.get(position)
        if known is None:
            _make_room(self._coalesced)
            known = self._coalesced[position] = self._difference(seen, was_down=was_down)
        return known

    def _difference(self, seen: Snapshot, *, was_down: bool) -> Entry:
        snapshot, down = self.snapshot, self.down
        events: list[Event] = [] if snapshot is None else [*diff(seen, snapshot)]
        # `FeedUp` comes before the other events, `FeedDown` after them.
        if self._latest is not None and (down is not None) != was_down:
            events.insert(0 if down is None else len(events), self._latest)
        return Entry(self.end.update, tuple(events), snapshot, down is not None, coalesced=True)


def _make_room(shared: dict[Any, Any]) -> None:
    if len(shared) >= _MOST_SHARED:
        del shared[next(iter(shared))]


def _absent(names: Iterable[str] | None, present: Iterable[str]) -> list[str]:
    return sorted(frozenset(names or ()) - frozenset(present))
