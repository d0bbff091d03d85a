"""What the wallboard shows: a feed's updates folded, and told as what has changed since a revision."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import attrs

from sipqueue_async import FeedDown, FeedUp, SeatKey, Snapshot, Update
from sipqueue_async.tally import SeatTally, Tally
from sipqueue_async.wallboard.words import reason

FORMAT_VERSION: Final = 1
"""The ``v`` of every JSON object."""

WINDOW: Final = timedelta(minutes=15)
"""How far back the strips of states go."""

_FINEST: Final = 1.5
_COARSEST: Final = 10.0
"""Seconds that a pixel of a strip stands for: where there are few seats, and where there are many."""
_SEATS_A_SECOND: Final = 100
"""The more seats, the narrower their strips: 500 of them need no more than 5 seconds."""

_MOST_MESSAGES: Final = 8

_Json: TypeAlias = dict[str, Any]


@attrs.frozen
class _Span:
    """The beginning of a state; it lasts until the next one."""

    revision: int
    since: int
    state: str | None
    """None for a seat that has left."""


@attrs.define(eq=False)
class _Row:
    """One seat as it is shown."""

    revision: int = 0
    """When it last changed."""
    shown: _Json = attrs.Factory(dict)
    present: bool = False
    spans: deque[_Span] = attrs.Factory(deque[_Span])


class Board:
    """Folds updates, and tells a browser that has seen a revision what changed since.

    Every row has the number of the revision in which it last changed. So what a browser lacks follows from one number,
    whether it is new (0), fell behind, or comes back after its connection was lost; and those who lack the same share
    one message. Of states that followed one another within a pixel of a strip only the last is kept, and of a seat
    that has left nothing once no strip shows it.

    Args:
        window: How far back the states of a seat are kept.
    """

    def __init__(self, *, window: timedelta = WINDOW) -> None:
        self.revision = 1
        """Grows with every change."""
        self.tally = Tally()
        """The fold of all updates."""
        self._window = window
        self._run = secrets.token_hex(4)
        self._rows: dict[SeatKey, _Row] = {}
        self._left: dict[SeatKey, int] = {}
        self._forgotten = 0
        self._outages: deque[list[int | None]] = deque()
        self._end: tuple[datetime | None, str] | None = None
        self._why: BaseException | None = None
        self._messages: dict[int, bytes] = {}

    @property
    def has_begun(self) -> bool:
        """Whether anything is known yet."""
        return self.tally.started_at is not None

    @property
    def down(self) -> tuple[datetime | None, str] | None:
        """Since when nothing is known, and why; None while the feed is up."""
        down = self.tally.feed_down
        return self._end if down is None else (down.since, reason(self._why or down.error))

    def begin(self, snapshot: Snapshot) -> None:
        """Take a first snapshot that was no change."""
        self.tally = Tally(snapshot)
        self._changed()
        self._show_all(self.tally.seats)

    def update(self, update: Update) -> None:
        """Fold one update in."""
        had_begun = self.has_begun
        self.tally.update(update)
        self._changed()
        for event in update.events:
            if isinstance(event, FeedDown):
                self._why = None
                self._outages.append([None if event.since is None else milliseconds(event.since), None])
            elif isinstance(event, FeedUp):
                self._end_outage(event.observed_at)
        # The first update may be of a few seats only, and have all the others beside it.
        changed = (event.key for event in update.events if event.key is not None)
        self._show_all(dict.fromkeys(changed) if had_begun else self.tally.seats)
        if update.snapshot is not None:
            self._forget(update.snapshot.observed_at)

    def explain(self, error: BaseException) -> bool:
        """Take note of why the feed is down by now, where it is; return whether that is news.

        An outage can begin with one thing and go on with another: a relay comes back, and the platform is away.
        """
        down = self.tally.feed_down
        if down is None or reason(self._why or down.error) == reason(error):
            return False
        self._why = error
        self._changed()
        return True

    def end(self, since: datetime | None, why: str) -> None:
        """Take note that there will be no further update.

        Args:
            since: The last time that anything was known.
            why: What is told of it.
        """
        self._changed()
        self._end = since, why

    def _changed(self) -> None:
        self.revision += 1
        self._messages.clear()

    def _end_outage(self, at: datetime) -> None:
        if self._outages and self._outages[-1][1] is None:
            self._outages[-1][1] = milliseconds(at)
        oldest = milliseconds(at - self._window)
        while self._outages and (self._outages[0][1] or oldest) < oldest:
            self._outages.popleft()

    def _show_all(self, keys: Iterable[SeatKey]) -> None:
        for key in keys:
            self._show(self.tally.seats[key])

    def _show(self, seat: SeatTally) -> None:
        row = self._rows.setdefault(seat.key, _Row())
        if seat.present and not row.present:
            # Who was away is not in the full message, and so its past is news to some.
            row.spans = deque(attrs.evolve(span, revision=self.revision) for span in row.spans)
        row.revision, row.present, row.shown = self.revision, seat.present, _shown(seat)
        state = seat.state.value if seat.present else None
        since = milliseconds(seat.since)
        self._left.pop(seat.key, None)
        if not seat.present:
            self._left[seat.key] = since
        if not row.spans or (row.spans[-1].state, row.spans[-1].since) != (state, since):
            if row.spans and 0 <= since - row.spans[-1].since < self._pixel:
                row.spans.pop()
            row.spans.append(_Span(self.revision, since, state))
        oldest = milliseconds(seat.since - self._window)
        while len(row.spans) > 1 and row.spans[1].since <= oldest:
            row.spans.popleft()

    @property
    def _pixel(self) -> float:
        """Milliseconds that a pixel of a strip stands for."""
        return 1000 * min(_COARSEST, max(_FINEST, len(self._rows) / _SEATS_A_SECOND))

    def _forget(self, now: datetime) -> None:
        """Drop who left before what strips show."""
        oldest = milliseconds(now - self._window)
        # In the order in which they left.
        while self._left and (key := next(iter(self._left))) and self._left[key] < oldest:
            del self._left[key]
            self._forgotten = max(self._forgotten, self._rows.pop(key).revision)

    # ---- what browsers are told --------------------------------------------------------------------------------------

    @property
    def event_id(self) -> str:
        """Name this revision, for a browser to come back with."""
        return f"{self._run}-{self.revision}"

    def revision_of(self, event_id: str | None) -> int:
        """Return the revision that an id names; 0 for none, or for one of another run of the program."""
        run, _, number = (event_id or "").partition("-")
        known = run == self._run and number.isascii() and number.isdecimal() and len(number) < 16
        return int(number) if known and int(number) <= self.revision else 0

    def since(self, revision: int) -> bytes:
        """Return, as one line of JSON, what changed after a revision; after revision 0 that is everything."""
        # Whoever was not told that somebody left who is forgotten by now has to be told who is there.
        revision = 0 if revision < self._forgotten else revision
        message = self._messages.get(revision)
        if message is None:
            if len(self._messages) >= _MOST_MESSAGES:
                del self._messages[next(iter(self._messages))]
            message = self._messages[revision] = json.dumps(self._since(revision), separators=(",", ":")).encode()
        return message

    def _since(self, revision: int) -> _Json:
        return {
            "v": FORMAT_VERSION,
            "full": revision == 0,
            "window": self._window.total_seconds(),
            "feed": self._feed(),
            "outages": list(self._outages),
            "seats": [
                {
                    **row.shown,
                    "present": row.present,
                    "history": [[span.since, span.state] for span in row.spans if span.revision > revision],
                }
                for row in self._rows.values()
                if row.revision > revision and (revision or row.present)
            ],
        }

    def _feed(self) -> _Json:
        if self.down is None:
            return {"up": True if self.has_begun else None, "since": None, "error": None}
        since, why = self.down
        return {"up": False, "since": None if since is None else milliseconds(since), "error": why}


def milliseconds(moment: datetime) -> int:
    """Return a moment as browsers count it: from the epoch."""
    return round(moment.timestamp() * 1000)


def _shown(seat: SeatTally) -> _Json:
    return {
        "queue": seat.key.queue,
        "extension": seat.key.extension,
        "name": seat.agent.name,
        "state": seat.state.value,
        "code": seat.agent.state_code,
        "since": milliseconds(seat.since),
        "approximate": seat.approximate,
    }
