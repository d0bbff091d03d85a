"""What the wallboard shows: a watcher's updates folded, and told as what has changed since a revision."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import attrs

from sipqueue_async import FeedDown, FeedUp, SeatKey, SipQueueError, Snapshot, Update
from sipqueue_async.tally import SeatTally, Tally

FORMAT_VERSION: Final = 1
"""The ``v`` of every JSON object."""

WINDOW: Final = timedelta(minutes=15)
"""How far back the strips of states go."""

_Json: TypeAlias = dict[str, Any]


@attrs.frozen
class _Span:
    """The beginning of a state; it lasts until the next one."""

    revision: int
    since: float
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
    one message.

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
        self._outages: deque[list[float | None]] = deque()
        self._messages: dict[int, str] = {}

    @property
    def has_begun(self) -> bool:
        """Whether anything is known yet."""
        return self.tally.started_at is not None

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
                self._outages.append([milliseconds(event.since), None])
            elif isinstance(event, FeedUp):
                self._end_outage(event.observed_at)
        # The first update may be of a few seats only, and have all the others beside it.
        changed = (event.key for event in update.events if event.key is not None)
        self._show_all(dict.fromkeys(changed) if had_begun else self.tally.seats)

    def _changed(self) -> None:
        self.revision += 1
        self._messages.clear()

    def _end_outage(self, at: datetime) -> None:
        if self._outages and self._outages[-1][1] is None:
            self._outages[-1][1] = at.timestamp() * 1000
        oldest = (at - self._window).timestamp() * 1000
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
        since = milliseconds(seat.since) or 0.0
        if not row.spans or (row.spans[-1].state, row.spans[-1].since) != (state, since):
            row.spans.append(_Span(self.revision, since, state))
        oldest = since - self._window.total_seconds() * 1000
        while len(row.spans) > 1 and row.spans[1].since <= oldest:
            row.spans.popleft()

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

    def since(self, revision: int) -> str:
        """Return, as JSON, what changed after a revision; after revision 0 that is everything."""
        message = self._messages.get(revision)
        if message is None:
            message = self._messages[revision] = json.dumps(self._since(revision), separators=(",", ":"))
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
        down = self.tally.feed_down
        if down is None:
            return {"up": True if self.has_begun else None, "since": None, "error": None}
        return {"up": False, "since": milliseconds(down.since), "error": reason(down.error)}


def reason(error: BaseException) -> str:
    """Return what may be told of an error: the library's own hold no secret, of others nobody knows."""
    return str(error) if isinstance(error, SipQueueError) else type(error).__name__


def milliseconds(moment: datetime | None) -> float | None:
    """Return a moment as browsers count it: from the epoch."""
    return None if moment is None else moment.timestamp() * 1000


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
