"""`TallyUpdater`: keeps a tally up to date with a running feed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from sipqueue_async import Feed, FeedDown, FeedHealth, Update
from sipqueue_async._whole_feed import check_whole_feed

if TYPE_CHECKING:
    from sipqueue_async.tally.fold import Tally


class TallyUpdater:
    """Counts a feed's updates in a tally after each poll or read.

    Args:
        tally: The tally to keep up to date.
        feed: The feed to follow.
        on_change: Called after each change of the tally.
        lock: Held while the tally changes.
    """

    def __init__(
        self,
        tally: Tally,
        feed: Feed,
        on_change: Callable[[Update | None], object] | None,
        lock: AbstractContextManager[object] | None,
    ) -> None:
        check_whole_feed("feed", feed)
        self._tally = tally
        self._feed = feed
        self._on_change = on_change
        self._lock = nullcontext() if lock is None else lock
        self._updates = feed.updates()
        self._has_begun = tally.started_at is not None
        with self._lock:
            self._begin()
        self._remove_listener = feed.add_listener(self._fold_pending)

    def stop(self) -> None:
        """Count the pending updates, then stop following."""
        with self._lock:
            self._fold()
        self._remove_listener()
        self._updates.close()

    def _begin(self) -> None:
        """Start with the snapshot of a feed that has a baseline or is already running."""
        known, health = self._feed.snapshot, self._feed.health
        if self._has_begun:
            return
        if health.up:
            self._catch_up(health)
        elif health.up is None and known is not None:
            self._tally.restart(known, watched=False)
            self._has_begun = True
            self._notify(None)
        elif health.up is False:
            if known is not None:
                self._tally.restart(known)
            down = FeedDown(error=health.last_error or RuntimeError("the feed is down"), since=health.last_good_at)
            self._tally.update(Update(sequence=0, snapshot=known, previous=known, events=(down,)))
            self._notify(None)

    def _fold_pending(self, health: FeedHealth) -> None:
        with self._lock:
            self._catch_up(health)

    def _catch_up(self, health: FeedHealth) -> None:
        self._fold()
        known = self._feed.snapshot
        if not health.up or known is None:
            return
        if self._has_begun:
            # A watcher's snapshot is from the last good poll and has its monotonic time. A reader's may be older than
            # the last good poll, of which only the time is known.
            at = health.last_good_at or known.observed_at
            self._tally.advance(known if at == known.observed_at else at)
            return
        # Start from the first known status. If the feed came up after an outage, the pending updates reported events
        # from before the start of this tally.
        self._has_begun = True
        self._tally.restart(known, at=health.last_good_at)
        self._notify(None)

    def _fold(self) -> None:
        while update := self._updates.get_nowait():
            self._tally.update(update)
            self._notify(update)

    def _notify(self, update: Update | None) -> None:
        if self._on_change is not None:
            self._on_change(update)
