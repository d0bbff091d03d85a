"""`SpanFold`: folds what was recorded, in order, into the figures of consecutive spans."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import attrs

from sipqueue_async import FeedDown, FeedUp, SeatKey, Update
from sipqueue_async.history.figures import Figures
from sipqueue_async.history.fold import Fold, GapReason

_GAP: Final = 0
_SPAN: Final = 1


class SpanFold:
    """Folds updates and gaps that were read back, and takes the figures at the ends of spans.

    A span does not contain its end, except the last: an update at that moment counts in the next span.

    Args:
        fold: The fold, at the start of the first span.
        ends: The ends of the spans, in order; at least one.
    """

    def __init__(self, fold: Fold, ends: Iterable[datetime]) -> None:
        self._fold = fold
        *self._ends, self._last = ends
        self._gaps: list[tuple[datetime, datetime, GapReason]] = []
        """The ends and the beginnings of the gaps that have begun and whose end is known."""
        self.taken: list[dict[SeatKey, Figures]] = []
        """The figures of the spans that have ended, by seat."""

    def update(self, update: Update) -> None:
        """Count the events of seats of an update. Events of the feed are left out: outages are gaps."""
        events = tuple(event for event in update.events if not isinstance(event, FeedDown | FeedUp))
        if events:
            self._advance(events[0].observed_at)
            self._fold.update(attrs.evolve(update, events=events))

    def gap(self, began: datetime, ended: datetime | None, reason: GapReason) -> None:
        """Count time as unseen, from `began` on or from the start of the fold."""
        self._advance(began)
        self._fold.gap(began, None, reason)
        if ended is not None:
            self._gaps.append((ended, began, reason))
            self._gaps.sort()

    def finish(self) -> list[dict[SeatKey, Figures]]:
        """Return the figures of all spans, by seat. The last one contains its end."""
        self._advance(self._last)
        self.taken.append(self._fold.take(self._last))
        return self.taken

    def _advance(self, at: datetime) -> None:
        """End the gaps, and the spans but the last, that end up to a moment, in order."""
        while True:
            ends = [(moment, _SPAN) for moment in self._ends[:1]]
            ends += [(moment, _GAP) for moment, _, _ in self._gaps[:1]]
            moment, kind = min(ends, default=(None, _SPAN))
            if moment is None or moment > at:
                return
            if kind == _GAP:
                ended, began, reason = self._gaps.pop(0)
                self._fold.gap(began, ended, reason)
            else:
                self.taken.append(self._fold.take(self._ends.pop(0)))
