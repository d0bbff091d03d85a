"""`StateTimes`: when each seat's present state began, according to the snapshots of a feed."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sipqueue_async.events import AgentLeft, FeedDown, FeedUp, Update
from sipqueue_async.models import SeatKey


class StateSince(NamedTuple):
    """When a seat's state began."""

    at: datetime
    """The `observed_at` of the first snapshot that shows the state (aware)."""
    approximate: bool
    """Whether the state may have begun long before, unseen: before the first snapshot, or during an outage."""

    def __str__(self) -> str:
        return f"since {self.at.isoformat(' ', 'seconds')}{' or earlier' if self.approximate else ''}"


class StateTimes:
    """Tracks when the state of each seat began. The cost of an update depends on the seats that changed."""

    def __init__(self) -> None:
        self._start: datetime | None = None
        self._is_blind = False
        self._is_down = False
        self._began: dict[SeatKey, StateSince] = {}

    @property
    def has_begun(self) -> bool:
        """Whether there is a snapshot to start from."""
        return self._start is not None

    def begin(self, at: datetime, *, watched: bool = True) -> None:
        """Start from a snapshot, whose states began then or earlier.

        Args:
            at: The time of the snapshot.
            watched: Whether the feed is watched from then on. If not, states that the next poll shows are approximate.
        """
        self._start, self._is_blind = at, not watched

    def fold(self, update: Update | None) -> None:
        """Apply a poll or read, with its update if it had one."""
        events = () if update is None else update.events
        unseen = self._is_blind or self._is_down or (update is not None and update.coalesced)
        for event in events:
            if isinstance(event, FeedDown | FeedUp):
                self._is_down = isinstance(event, FeedDown)
                unseen = True
            elif isinstance(event, AgentLeft):
                self._began.pop(event.key, None)
            elif event.begins_state:
                self._began[event.key] = StateSince(event.observed_at, approximate=unseen)
        if not self._is_down:
            self._is_blind = False

    def of(self, key: SeatKey, otherwise: datetime) -> StateSince:
        """Return when a present seat's state began; `otherwise` is the time to use before the first snapshot."""
        return self._began.get(key) or StateSince(self._start or otherwise, approximate=True)
