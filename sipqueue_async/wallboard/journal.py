"""`Journal`: a feed's last updates, numbered, so that a reader of events continues where it stopped."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import attrs

from sipqueue_async import (
    Event,
    Feed,
    FeedDown,
    FeedHealth,
    FeedUp,
    SeatFilter,
    SeatKey,
    SipQueueError,
    Snapshot,
    Update,
    diff,
)
from sipqueue_async._error_text import reason
from sipqueue_async._json_lines import json_line, public_event_json, snapshot_fields
from sipqueue_async._replay import Past, Place, Replayable
from sipqueue_async.wallboard.places import Mark, Places, Position, Publication

_log: Final = logging.getLogger("sipqueue_async.wallboard")

KEEP: Final = 1000
"""How many updates the journal keeps: half an hour of a feed that changes with every poll."""

MOST_EVENTS: Final = 50_000
"""The limit of events in all kept updates; the newest update is kept in any case."""

_MOST_SHARED: Final = 8
"""How many coalesced updates, and how many statuses, are kept to be shared between readers."""

_ID: Final = re.compile(r"([0-9a-f]{16})-(-?[0-9]{1,15})\.([0-9]{1,9})(?:~(.+))?", re.ASCII)


@attrs.frozen(eq=False, slots=False)
class Entry(Publication):
    """One update, as readers receive it."""

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        """The events as JSON, each on one line; all readers share them."""
        return tuple(public_event_json(event, coalesced=self.coalesced).encode() for event in self.events)


@attrs.frozen(eq=False)
class _Base:
    """Where a journal began, and what it needs to read what was published before."""

    number: int
    place: str
    snapshot: Snapshot
    down: FeedDown | None


class Journal:
    """The last updates of a feed.

    The ids of positions contain the epoch, a random name of this journal. So an id of an earlier run of the program is
    never taken for one of this run. If the feed reads from a relay, they also contain a `Mark`, which every journal of
    the same relay finds: among its own entries, or with `recall` in the relay's stream.

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
        self._places = Places(2 * keep)
        self._place: Place | None = None
        self._base: _Base | None = None
        self._recalling = asyncio.Lock()
        self._recalls = 0
        self._updates = feed.updates(max_pending=keep)
        self._remove_listener = feed.add_listener(self._on_poll)
        self._on_poll(feed.health)

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
        before, self._place = self._place, self._feed.place if isinstance(self._feed, Replayable) else None
        number = 0
        while update := self._updates.get_nowait():
            number += 1
            for event in update.events:
                if isinstance(event, FeedDown | FeedUp):
                    self._latest = event
            if self.has_begun:
                self._add(update, is_exact=number == 1 and self._place != before)
        self._begin(health)
        if self._place is not None and self.has_begun:
            self._places.note(self._place.name, self.end, is_down=self.down is not None)

    def _begin(self, health: FeedHealth) -> None:
        """Start with the present status, once the feed is known to be up or down."""
        if self.has_begun or health.up is None:
            return
        self.has_begun = True
        self.snapshot = self._feed.snapshot
        if health.up is False and self.down is None:
            error = health.last_error or RuntimeError("the feed is down")
            self._latest = FeedDown(error=error, since=health.last_good_at)
        self._set_base()

    def _set_base(self) -> None:
        if self._place is not None and self.snapshot is not None:
            self._base = _Base(self.end.update, self._place.name, self.snapshot, self.down)

    def _add(self, update: Update, *, is_exact: bool) -> None:
        self._coalesced.clear()
        self._statuses.clear()
        number = self.end.update + 1
        is_first = self.snapshot is None and update.snapshot is not None
        self.snapshot = update.snapshot
        if is_first:
            # The first known status: events cannot lead to it, so every reader starts anew.
            self._entries.clear()
            self._events = 0
            self._oldest = self.end = Position(number, 0)
            self._set_base()
            return
        place = self._place
        entry = Entry(
            number, update.events, update.snapshot, self.down is not None, update.coalesced,
            None if place is None else place.name, is_exact=is_exact and place is not None and place.is_exact,
        )  # fmt: skip
        self._entries[number] = entry
        self._places.add(entry)
        self._events += len(entry.events)
        self.end = entry.end
        self._drop()

    def _drop(self) -> None:
        while len(self._entries) > self._keep or (self._events > MOST_EVENTS and len(self._entries) > 1):
            oldest = self._entries.pop(next(iter(self._entries)))
            self._events -= len(oldest.events)
            self._oldest = oldest.end
            self._base = None
            self._places.drop(oldest)

    # ---- what was published before the start -------------------------------------------------------------------------

    def needs_past(self, event_id: str) -> bool:
        """Return whether `recall` may find the position that an id names."""
        mark = self._foreign_mark(event_id)
        return mark is not None and self._base is not None and self._places.find(mark) is None

    def is_ahead(self, event_id: str) -> bool:
        """Return whether another journal of the same relay gave an id that this one has not reached yet."""
        mark = self._foreign_mark(event_id)
        return mark is not None and self._place is not None and mark.is_after(self._place.name)

    def _foreign_mark(self, event_id: str) -> Mark | None:
        match = _ID.fullmatch(event_id)
        return None if match is None or match[1] == self._epoch else Mark.parse(match[4] or "")

    async def recall(self) -> None:
        """Read what the relay published before this journal began; readers that ask at the same time share one read."""
        recalls = self._recalls
        async with self._recalling:
            base = self._base
            if base is None or recalls != self._recalls or not isinstance(self._feed, Replayable):
                return
            past: Past | None = None
            try:
                past = await self._feed.replay(
                    base.place, base.snapshot, is_down=base.down is not None,
                    most=self._keep - len(self._entries) - 2, most_events=MOST_EVENTS - self._events,
                )  # fmt: skip
            except SipQueueError as error:
                _log.warning("the events before the start cannot be read: %s", error)
                if not error.retryable:
                    self._base = None
            else:
                if base is self._base:
                    self._base = None
                    self._precede(base, past)
            self._recalls += 1

    def _precede(self, base: _Base, past: Past | None) -> None:
        if past is None:
            return
        publications = [it for it in past.publications if it.events]
        # The journal may have begun with an outage of Redis or the relay, which is not in the stream.
        joint = base.down if base.down is not None and not past.publications[-1].is_down else None
        number = base.number - 1 - len(publications) - (joint is not None)
        self._oldest = end = Position(number, 0)
        earlier = Places(2 * self._keep)
        earlier.note(past.start, end, is_down=past.was_down)
        entries: list[Entry] = []
        for it in past.publications:
            if it.events:
                number += 1
                entry = Entry(number, it.events, it.snapshot, it.is_down, it.coalesced, it.name, is_exact=True)
                entries.append(entry)
                earlier.add(entry)
                end = entry.end
            earlier.note(it.name, end, is_down=it.is_down)
        if joint is not None:
            entries.append(Entry(number + 1, (joint,), base.snapshot, is_down=True, place=base.place))
        # The position where the journal began stays the end of an entry.
        entries.append(Entry(base.number, (), base.snapshot, base.down is not None, place=base.place))
        self._entries = {it.number: it for it in entries} | self._entries
        self._events += sum(len(it.events) for it in entries)
        self._places.precede(earlier)

    # ---- for readers -------------------------------------------------------------------------------------------------

    def id_of(self, position: Position) -> str:
        """Return a position as ``Last-Event-ID`` has it."""
        own = f"{self._epoch}-{position.update}.{position.events}"
        mark = self._mark(position)
        return own if mark is None else f"{own}~{mark}"

    def _mark(self, position: Position) -> Mark | None:
        if position == self.end:
            return None if self._place is None else Mark(self._place.name, None, self.down is not None)
        entry = self._entries.get(position.update)
        return None if entry is None else entry.mark(position)

    def is_of_this_run(self, event_id: str) -> bool:
        """Return whether an id is one of this journal's, kept or not."""
        match = _ID.fullmatch(event_id)
        return match is not None and match[1] == self._epoch

    def position_of(self, event_id: str) -> Position | None:
        """Return the position that an id names; None if the journal cannot continue from there."""
        match = _ID.fullmatch(event_id)
        if match is None:
            return None
        if match[1] != self._epoch:
            mark = self._foreign_mark(event_id)
            return None if mark is None else self._places.find(mark)
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
