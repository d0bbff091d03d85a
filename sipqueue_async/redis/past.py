"""Rebuilds the publications before a place from the relay's stream, the newest first."""

from __future__ import annotations

from collections.abc import Iterable

from sipqueue_async import FeedDown, FeedUp, SeatFilter, Snapshot
from sipqueue_async._replay import Past, Replayed
from sipqueue_async.redis.publication import Change, Moment, with_feed
from sipqueue_async.redis.reader_state import admitted
from sipqueue_async.redis.store import Entry


class Rewind:
    """The publications before a place.

    Args:
        entry: The id of the last entry.
        snapshot: The snapshot after it.
        seats: The seats of the reader.
        most: How many publications to take at most.
        most_events: How many events to take at most.
    """

    def __init__(self, entry: str, snapshot: Snapshot, seats: SeatFilter, *, most: int, most_events: int) -> None:
        self.wanted = entry
        """The id of the next entry to take."""
        self._most = most
        self._most_events = most_events
        self._snapshot = snapshot
        self._seats = seats
        self._found: list[tuple[str, Change, Snapshot]] = []
        self._events = 0
        self.is_done = False
        """Whether no more entries can be taken."""

    def take(self, entries: Iterable[Entry]) -> None:
        """Continue with earlier entries, the newest first. The stream has no more if there are none."""
        self.is_done = True
        for entry in entries:
            change = admitted(entry.change, self._seats)
            self._events += len(change.seat_events) + (change.feed is not None)
            is_too_much = len(self._found) >= self._most or self._events > self._most_events
            # The first publication has every seat, and no events for readers.
            if is_too_much or entry.id != self.wanted or not change.after or change.moment is None:
                self.is_done = True
                return
            self.is_done = False
            self._found.append((entry.id, change, self._after(change.moment)))
            self.wanted = change.after

    def _after(self, moment: Moment) -> Snapshot:
        """Return the snapshot after the entry to take, which has this moment."""
        if not self._found:
            return self._snapshot
        _, later, snapshot = self._found[-1]
        return moment.changed(snapshot, dict(zip(later.seats, later.was, strict=True)))

    def past(self, tag: str, *, is_down: bool) -> Past | None:
        """Return what was found.

        Args:
            tag: What the names of places begin with.
            is_down: Whether the feed was down at the place.
        """
        if not self._found:
            return None
        found = self._found[::-1]
        first = next((change.feed for _, change, _ in found if change.feed is not None), None)
        # Before an outage began the feed was up, and before one ended it was down.
        was_down = down = is_down if first is None else isinstance(first, FeedUp)
        publications: list[Replayed] = []
        for entry, change, snapshot in found:
            feed = change.feed if isinstance(change.feed, FeedUp if down else FeedDown) else None
            down = down if feed is None else not down
            events = with_feed(feed, change.seat_events)
            publications.append(
                Replayed(
                    name=f"{tag}-{entry}", events=events, snapshot=snapshot, is_down=down, coalesced=change.coalesced
                )
            )
        if down and not is_down:
            # The reader knows of an end that is not in the stream.
            return None
        return Past(start=f"{tag}-{self.wanted}", was_down=was_down, publications=tuple(publications))
