"""The wallboard's data: a feed's tally as JSON, in full or as the changes since a revision."""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import attrs

from sipqueue_async import FeedDown, FeedUp, SeatKey, Snapshot, Update
from sipqueue_async._error_text import reason
from sipqueue_async._language import LANGUAGES, language, translated
from sipqueue_async._text import harmless
from sipqueue_async.alerts import AlertRaised
from sipqueue_async.tally import SeatTally, Tally
from sipqueue_async.wallboard.raised import shown

FORMAT_VERSION: Final = 1
"""The ``v`` of every JSON object."""

WINDOW: Final = timedelta(minutes=15)
"""Length of the history strips."""

_FINEST: Final = 1.5
_COARSEST: Final = 10.0
"""Seconds per pixel of a history strip, with few seats and with many."""
_SEATS_PER_SECOND: Final = 100
"""Strips get narrower with more seats: 500 seats need no finer resolution than 5 seconds."""

_MOST_MESSAGES: Final = 8

_Json: TypeAlias = dict[str, Any]


@attrs.frozen
class _Span:
    """The start of a state, which lasts until the next span."""

    revision: int
    since: int
    state: str | None
    """None for a seat that has left."""


@attrs.define(eq=False)
class _Row:
    """One seat as browsers show it."""

    revision: int = 0
    """The revision of its last change."""
    shown: _Json = attrs.Factory(dict)
    present: bool = False
    began: datetime | None = None
    """`SeatTally.since` of the present state."""
    since: int = 0
    """The same moment in board time."""
    spans: deque[_Span] = attrs.Factory(deque[_Span])


class _BoardTime:
    """The board's clock, in milliseconds. It follows the monotonic time of snapshots, so the wall clock may step.

    It starts at the wall time of the first snapshot. Snapshots without a monotonic time are placed by `observed_at`.
    """

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._at = 0
        self._offset = 0

    def follow(self, snapshot: Snapshot) -> None:
        """Move the clock to a snapshot."""
        known, label = self._snapshot, milliseconds(snapshot.observed_at)
        if known is None or known.steady_at is None or snapshot.steady_at is None:
            self._at = label
        else:
            self._at += round(snapshot.seconds_since(known) * 1000)
        self._snapshot = snapshot
        self._offset = self._at - label

    def of(self, moment: datetime) -> int:
        """Return a moment near the last snapshot in board time."""
        return milliseconds(moment) + self._offset

    def now(self, steady: float, wall: datetime) -> int:
        """Return the present in board time, given both clocks' readings."""
        if self._snapshot is None or self._snapshot.steady_at is None:
            return milliseconds(wall)
        return self._at + round(max(0.0, steady - self._snapshot.steady_at) * 1000)


class Board:
    """A tally as JSON for browsers: everything, or what changed since the revision that a browser has seen.

    Each row stores the revision of its last change, so one number determines what a browser lacks, whether it is new
    (revision 0), slow, or reconnecting. Browsers at the same revision share one message. States that followed each
    other within one pixel of a strip are reduced to the last one. A seat that left is dropped once no strip shows it.

    Args:
        tally: The tally to show; call `show` after each of its changes.
        window: How much of a seat's history is kept.
    """

    def __init__(self, tally: Tally, *, window: timedelta = WINDOW) -> None:
        self.tally = tally
        self.revision = 1
        """Increases with every change."""
        self.time = _BoardTime()
        self.has_begun = False
        """Whether the feed has been found up or down; before that, nothing is shown."""
        self._window = window
        self._run = secrets.token_hex(4)
        self._rows: dict[SeatKey, _Row] = {}
        self._left: dict[SeatKey, int] = {}
        self._forgotten = 0
        self._outages: deque[list[int | None]] = deque()
        self._down_since: int | None = None
        self._end: tuple[datetime | None, str] | None = None
        self._latest_error: BaseException | None = None
        self._alerts: dict[str, _Json] | None = None
        self._messages: dict[tuple[int, str], bytes] = {}

    @property
    def down(self) -> tuple[datetime | None, str] | None:
        """Since when the feed is down, and why; None while it is up."""
        down = self.tally.feed_down
        return self._end if down is None else (down.since, reason(self._latest_error or down.error))

    # ---- what changes it ---------------------------------------------------------------------------------------------

    def begin(self, snapshot: Snapshot | None) -> None:
        """Show all seats: the feed is known to be up or down from now on.

        Args:
            snapshot: The feed's snapshot, if it has one.
        """
        if snapshot is not None:
            self.time.follow(snapshot)
        self.has_begun = True
        self._changed()
        self._rows.clear()
        self._left.clear()
        self._forgotten = self.revision
        self._show_all(self.tally.seats)
        down = self.tally.feed_down
        if down is not None and not self._outages:
            self._begin_outage(down)

    def show(self, update: Update) -> None:
        """Show what an update changed in the tally."""
        if update.snapshot is not None:
            self.time.follow(update.snapshot)
        self._changed()
        for event in update.events:
            if isinstance(event, FeedDown):
                self._begin_outage(event)
            elif isinstance(event, FeedUp):
                self._end_outage(event)
        self._show_all(dict.fromkeys(event.key for event in update.events if event.key is not None))
        if update.snapshot is not None:
            self._forget(self.time.of(update.snapshot.observed_at))

    def explain(self, error: BaseException) -> bool:
        """Replace the reason of the outage under way; return whether it changed.

        An outage can begin with one error and continue with another: the relay comes back, but the platform is away.
        """
        down = self.tally.feed_down
        if down is None or reason(self._latest_error or down.error) == reason(error):
            return False
        self._latest_error = error
        self._changed()
        return True

    def show_alerts(self, alerts: Sequence[AlertRaised]) -> bool:
        """Show which alerts are raised; return whether that changed."""
        news = {name: shown(alerts, name, self.time.of) for name in LANGUAGES}
        if news == self._alerts:
            return False
        self._alerts = news
        self._changed()
        return True

    def end(self, since: datetime | None, why: str) -> None:
        """Show that the feed has ended.

        Args:
            since: When the status was last known.
            why: The reason to show.
        """
        self._changed()
        self._end = since, why
        self._down_since = None if since is None else self.time.of(since)

    def _changed(self) -> None:
        self.revision += 1
        self._messages.clear()

    def _begin_outage(self, down: FeedDown) -> None:
        self._latest_error = None
        self._down_since = None if down.since is None else self.time.of(down.since)
        self._outages.append([self._down_since, None])

    def _end_outage(self, up: FeedUp) -> None:
        now = self.time.of(up.observed_at)
        if self._outages and self._outages[-1][1] is None:
            self._outages[-1][1] = now
        oldest = now - self._window_ms
        while self._outages and (self._outages[0][1] or oldest) < oldest:
            self._outages.popleft()

    def _show_all(self, keys: Iterable[SeatKey]) -> None:
        for key in keys:
            self._show_seat(self.tally.seats[key])

    def _show_seat(self, seat: SeatTally) -> None:
        row = self._rows.setdefault(seat.key, _Row())
        if row.began != seat.since:
            row.began, row.since = seat.since, self.time.of(seat.since)
        if seat.present and not row.present:
            # A full message has no absent seats, so some browsers do not know the earlier spans.
            row.spans = deque(attrs.evolve(span, revision=self.revision) for span in row.spans)
        row.revision, row.present, row.shown = self.revision, seat.present, _shown(seat, row.since)
        state = seat.state.value if seat.present else None
        self._left.pop(seat.key, None)
        if not seat.present:
            self._left[seat.key] = row.since
        if not row.spans or (row.spans[-1].state, row.spans[-1].since) != (state, row.since):
            if row.spans and 0 <= row.since - row.spans[-1].since < self._pixel:
                row.spans.pop()
            row.spans.append(_Span(self.revision, row.since, state))
        oldest = row.since - self._window_ms
        while len(row.spans) > 1 and row.spans[1].since <= oldest:
            row.spans.popleft()

    @property
    def _window_ms(self) -> int:
        return round(self._window.total_seconds() * 1000)

    @property
    def _pixel(self) -> float:
        """Milliseconds per pixel of a history strip."""
        return 1000 * min(_COARSEST, max(_FINEST, len(self._rows) / _SEATS_PER_SECOND))

    def _forget(self, now: int) -> None:
        """Drop seats that left before the window of the strips."""
        oldest = now - self._window_ms
        # `_left` is in the order in which they left.
        while self._left and (key := next(iter(self._left))) and self._left[key] < oldest:
            del self._left[key]
            self._forgotten = max(self._forgotten, self._rows.pop(key).revision)

    # ---- what browsers receive ---------------------------------------------------------------------------------------

    @property
    def event_id(self) -> str:
        """Identifies this revision in ``Last-Event-ID``."""
        return f"{self._run}-{self.revision}"

    def revision_of(self, event_id: str | None) -> int:
        """Return the revision that an id names; 0 for no id, and for one of another run of the program."""
        run, _, number = (event_id or "").partition("-")
        known = run == self._run and number.isascii() and number.isdecimal() and len(number) < 16
        return int(number) if known and int(number) <= self.revision else 0

    def since(self, revision: int) -> bytes:
        """Return what changed after a revision as one line of JSON; after revision 0 that is everything.

        Its sentences are in the language in force.
        """
        # A browser that missed the departure of a seat that is dropped by now needs everything.
        revision = 0 if revision < self._forgotten else revision
        key = revision, language()
        message = self._messages.get(key)
        if message is None:
            if len(self._messages) >= _MOST_MESSAGES:
                del self._messages[next(iter(self._messages))]
            message = self._messages[key] = json.dumps(self._since(revision), separators=(",", ":")).encode()
        return message

    def _since(self, revision: int) -> _Json:
        return {
            "v": FORMAT_VERSION,
            "full": revision == 0,
            "window": self._window.total_seconds(),
            "feed": self._feed(),
            "outages": list(self._outages),
            "alerts": None if self._alerts is None else self._alerts[language()],
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
        return {"up": False, "since": self._down_since, "error": translated(self.down[1])}


def milliseconds(moment: datetime) -> int:
    """Return a moment as milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def _shown(seat: SeatTally, since: int) -> _Json:
    return {
        # Escaped as on a terminal: a page would hide control characters and obey marks of the writing direction.
        "queue": harmless(seat.key.queue, plain_spaces=False),
        "extension": harmless(seat.key.extension, plain_spaces=False),
        "name": seat.agent.name and harmless(seat.agent.name, plain_spaces=False),
        "state": seat.state.value,
        "code": seat.agent.state_code,
        "since": since,
        "approximate": seat.approximate,
        "answered": seat.agent.calls_answered,
        "missed": seat.agent.no_answer_count,
    }
