"""`Transcript`: turns what a feed reports into rows, without I/O.

It keeps one time axis: each update is later than the one before, even if the wall clock was set back.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, cast

import attrs

from sipqueue_async import (
    AgentStatus,
    Event,
    FeedDown,
    FeedUp,
    SeatKey,
    Snapshot,
    Update,
    diff,
)
from sipqueue_async.history.batch import Batch
from sipqueue_async.history.encoding import (
    NO_SEAT,
    Outcome,
    encode_extra,
    encode_feed_event,
    encode_seat_event,
    encode_seen,
    error_text,
    storable,
)
from sipqueue_async.history.figures import MICROSECONDS, Figures, microseconds, moment_of
from sipqueue_async.history.fold import Fold, GapReason
from sipqueue_async.history.store import HOUR, Outage, figure_values

_NO_TAIL: Final = (None, None, None)
_NOTHING: Final = Figures()
_STEP: Final = 1 * MICROSECONDS
"""A smaller difference between the clocks is not a step: the wall clock may be slewed."""

_MOST_HOURS: Final = 24
"""After a long pause, at most so many hours are counted at a time, so that the event loop is not blocked."""


@attrs.define(kw_only=True)
class _Gap:
    """The gap that has not ended."""

    began: int
    reason: GapReason
    failures: int = 0
    error: str | None = None

    def row(self, platform_id: int, ended: int | None) -> tuple[object, ...]:
        return platform_id, self.began, ended, self.reason, self.failures, self.error


@attrs.frozen(kw_only=True)
class Past:
    """What a store contains already."""

    known: Snapshot
    """The last recorded status."""
    at: int
    """The time of the last row."""
    until: int
    """The time up to which the status is known to have held."""
    fold: Fold
    """The figures since the beginning of the hour that is not counted yet."""
    hour: int
    """That hour."""
    gap: Outage | None
    """The gap that has not ended."""


def time_of(update: Update, snapshot: Snapshot) -> int:
    """Return the time of an update: its snapshot's, or that of a later beginning or end of an outage.

    An outage begins and ends with a good answer, but a reader's snapshot is as old as the last change.
    """
    moments = [event.since for event in update.events if isinstance(event, FeedDown) and event.since is not None]
    moments += [event.observed_at for event in update.events if isinstance(event, FeedUp)]
    return max(map(microseconds, [snapshot.observed_at, *moments]))


def _at(event: Event, at: datetime) -> Event:
    """Return an event with the time of its row; an outage keeps its own beginning."""
    if isinstance(event, FeedDown) or event.observed_at == at:
        return event
    changed: Any = attrs.evolve(cast("Any", event), observed_at=at)
    return cast("Event", changed)


class Transcript:
    """Turns the updates of a feed into the rows of batches.

    Args:
        platform_id: The platform's number.
        seats: The numbers of the seats that the store has.
    """

    def __init__(self, platform_id: int, seats: dict[SeatKey, int]) -> None:
        self._platform_id = platform_id
        self._seats = seats
        self._known: Snapshot | None = None
        self._latest: Snapshot | None = None
        self._records: dict[SeatKey, AgentStatus] = {}
        self._at: int | None = None
        self._now = 0
        self._gap: _Gap | None = None
        self._fold: Fold | None = None
        self._hour = 0
        self._run: int | None = None
        self._is_joined = False
        # Whether the outage under way began in an earlier run.
        self._inherited = False
        self._checkpoint: int | None = None
        self._batch = Batch(after=None)

    @property
    def known(self) -> Snapshot | None:
        """The last recorded status."""
        return self._known

    @property
    def batch(self) -> Batch:
        """The rows that are not taken yet."""
        return self._batch

    @property
    def recorded_until(self) -> datetime | None:
        """The time up to which the status is known to have held."""
        return None if self._at is None else moment_of(self._now)

    def take(self) -> Batch:
        """Return the rows since the last call, and begin a new batch."""
        batch = self._batch
        if self._run is not None:
            batch.watched = (self._platform_id, self._run, self._now)
        self._batch = Batch(after=batch.last_at)
        return batch

    # ---- beginning ---------------------------------------------------------------------------------------------------

    def resume(self, past: Past) -> None:
        """Continue a store that is not empty."""
        self._know(past.known)
        self._at, self._now, self._fold, self._hour = past.at, past.until, past.fold, past.hour
        self._batch = Batch(after=past.at)
        gap = past.gap
        if gap is not None:
            began = microseconds(gap.began_at)
            self._gap = _Gap(began=began, reason=gap.reason, failures=gap.failures, error=gap.error)
            self._inherited = gap.reason == "outage"

    def stopped(self) -> None:
        """Begin the gap until the feed's first good answer, unless there is one already."""
        if self._fold is not None and self._gap is None:
            self._open_gap(_Gap(began=self._now, reason="stopped"))

    def begin(self, snapshot: Snapshot | None, at: datetime) -> None:
        """Begin an empty store with the first known status, or, with None, with seats that an update reports."""
        self._now = microseconds(at)
        self._hour = self._now // HOUR
        self._fold = Fold(snapshot, at)
        if snapshot is not None:
            agents = sorted(snapshot.items())
            rows = [(self._seat(agent), encode_seen(agent)) for _, agent in agents]
            self._append(self._now, rows, snapshot, 0, coalesced=False)
            self._know(snapshot)
        self._is_joined = True

    def begin_before(self, update: Update) -> None:
        """Begin an empty store with the status before its first update."""
        if self._fold is not None or update.snapshot is None:
            return
        previous = update.previous
        self.begin(previous, (previous or update.snapshot).observed_at)
        if previous is not None and previous.steady_at is None and update.snapshot.steady_at is not None:
            # A baseline that was saved: nothing is known of the time since.
            self.stopped()

    def _know(self, snapshot: Snapshot) -> None:
        self._known = self._latest = snapshot
        self._records = dict(snapshot.items())

    # ---- what the feed reports ---------------------------------------------------------------------------------------

    def catch_up(self, snapshot: Snapshot, at: datetime) -> bool:
        """Count the whole hours up to a moment, before what is seen then is recorded.

        Args:
            snapshot: What is seen then.
            at: The moment.

        Returns:
            Whether hours are left for the next batch.
        """
        if self._fold is None:
            return False
        self._mind_the_clock(snapshot)
        end = self._place(microseconds(at)) // HOUR
        for _ in range(_MOST_HOURS):
            if self._hour >= end:
                return False
            self._hour += 1
            self._take_hour()
        return self._hour < end

    def update(self, update: Update) -> None:
        """Record an update, after `begin_before` and `catch_up`."""
        snapshot = update.snapshot
        if snapshot is None:
            # The first known status is the beginning.
            return
        if not self._is_joined:
            update = self._joined(update, snapshot)
        at = self._place(time_of(update, snapshot))
        events = self._checked(update, moment_of(at))
        if events:
            self._record(attrs.evolve(update, events=tuple(events)), snapshot, at)

    def seen(self, snapshot: Snapshot, at: datetime) -> None:
        """Record that the status still holds at a moment, a good answer's, after `catch_up` and all updates."""
        if self._fold is None:
            self.begin(snapshot, at)
        elif not self._is_joined:
            self.update(Update(sequence=0, snapshot=snapshot, previous=None, events=()))
        now = max(self._now, microseconds(at))
        if self._gap is not None:
            self._end_gap(now)
        self._now = max(self._now, now)
        self._latest = snapshot
        if self._run is None:
            self._run = self._now
            self._batch.is_urgent = True

    def down(self, error: BaseException, since: datetime | None) -> None:
        """Record that the feed was down already when the recorder began."""
        known = self._known
        if known is not None:
            event = FeedDown(error=error, since=since)
            self.update(Update(sequence=0, snapshot=known, previous=known, events=(event,)))

    def _joined(self, update: Update, snapshot: Snapshot) -> Update:
        """Connect a feed's first update to the store; the feed may have started from another status."""
        self._is_joined = True
        previous = update.previous
        if previous is not None and dict(previous) == self._records:
            return update
        feed: list[Event] = [event for event in update.events if isinstance(event, FeedDown | FeedUp)]
        seats = [] if self._known is None else diff(self._known, snapshot)
        return attrs.evolve(update, previous=self._known, events=(*feed, *seats), coalesced=True)

    def _place(self, coming: int) -> int:
        """Return the time of a row: that of its snapshot, but after all earlier rows."""
        return max(coming, self._now, -1 if self._at is None else self._at + 1)

    def _mind_the_clock(self, snapshot: Snapshot) -> None:
        """Begin a gap if the wall clock was set since the last good answer."""
        latest = self._latest
        if latest is None or self._gap is not None or latest.steady_at is None or snapshot.steady_at is None:
            return
        passed = round(snapshot.seconds_since(latest) * MICROSECONDS)
        wall = microseconds(snapshot.observed_at) - microseconds(latest.observed_at)
        if abs(wall - passed) >= _STEP:
            self._open_gap(_Gap(began=self._now, reason="clock"))

    def _checked(self, update: Update, at: datetime) -> list[Event]:
        """Return the events to store: outages alternate with their ends, also across restarts."""
        coming = list(update.events)
        has_seats = any(not isinstance(event, FeedDown | FeedUp) for event in coming)
        if self._inherited and has_seats and not isinstance(coming[0], FeedUp):
            # The feed of this run knows nothing of the outage in which the recorder was restarted.
            coming.insert(0, self._up(at))
        is_down = self._gap is not None and self._gap.reason == "outage"
        events: list[Event] = []
        for event in coming:
            if isinstance(event, FeedDown | FeedUp):
                if isinstance(event, FeedDown) == is_down:
                    continue
                is_down = not is_down
            events.append(_at(event, at))
        return events

    def _up(self, at: datetime) -> FeedUp:
        assert self._gap is not None  # noqa: S101  # an outage
        return FeedUp(observed_at=at, outage=at - moment_of(self._gap.began), failures=max(1, self._gap.failures))

    # ---- rows --------------------------------------------------------------------------------------------------------

    def _record(self, update: Update, snapshot: Snapshot, at: int) -> None:
        if self._gap is not None and self._gap.reason != "outage":
            self._end_gap(at)
        rows: list[tuple[int, Outcome]] = []
        for event in update.events:
            if isinstance(event, FeedDown | FeedUp):
                rows.append((NO_SEAT, encode_feed_event(event)))
                self._feed_changed(event, at)
            elif event.agent is None:
                rows.append((self._seat(event.previous), encode_seat_event(event, None)))
                self._records.pop(event.key, None)
            else:
                agent, known = event.agent, self._records.get(event.key)
                rows.append((self._seat(agent), encode_seat_event(event, known)))
                self._records[event.key] = agent
        assert self._fold is not None  # noqa: S101  # `begin` or `resume` sets it
        self._fold.update(update)
        self._append(at, rows, snapshot, update.sequence, coalesced=update.coalesced)
        self._batch.updates += 1
        self._batch.coalesced += update.coalesced
        self._known = self._latest = snapshot

    def _feed_changed(self, event: FeedDown | FeedUp, at: int) -> None:
        if isinstance(event, FeedDown):
            began = self._now if event.since is None else max(self._now, microseconds(event.since))
            kind, text = error_text(event.error)
            gap = self._gap = _Gap(began=began, reason="outage", error=text or kind)
            self._batch.gaps[began] = gap.row(self._platform_id, None)
        else:
            assert self._gap is not None  # noqa: S101  # the end of an outage is recorded only after its beginning
            self._gap.failures = event.failures
            self._batch.gaps[self._gap.began] = self._gap.row(self._platform_id, at)
            self._gap = None
            self._inherited = False

    def _append(
        self, at: int, rows: Iterable[tuple[int, Outcome]], snapshot: Snapshot, sequence: int, *, coalesced: bool
    ) -> None:
        known = () if self._known is None else self._known.problems
        extra = encode_extra(None if snapshot.problems == known else snapshot.problems, coalesced=coalesced)
        lag = None if snapshot.server_time is None else at - microseconds(snapshot.server_time)
        # Only the first row of an update has these columns.
        tail: tuple[object, ...] = (sequence, lag, extra)
        platform_id, append = self._platform_id, self._batch.events.append
        for n, (number, (kind, state, count, hidden, begins, record)) in enumerate(rows):
            append((platform_id, at, n, number, kind, state, count, hidden, begins, *tail, record))
            tail = _NO_TAIL
        self._at = self._now = at

    def _seat(self, agent: AgentStatus) -> int:
        """Return a seat's number; register it on first sight, and note a new name."""
        key = agent.key
        number = self._seats.get(key)
        name = None if agent.name is None else storable(agent.name)
        if number is None:
            number = self._seats[key] = len(self._seats) + 1
            self._batch.seats.append((self._platform_id, number, storable(key.queue), storable(key.extension), name))
        elif (known := self._records.get(key)) is not None and known.name != agent.name:
            self._batch.names.append((self._platform_id, number, name))
        return number

    # ---- gaps and hours ----------------------------------------------------------------------------------------------

    def _open_gap(self, gap: _Gap) -> None:
        assert self._fold is not None  # noqa: S101  # there is a time before the gap
        self._gap = gap
        self._fold.gap(moment_of(gap.began), None, gap.reason)
        self._batch.gaps[gap.began] = gap.row(self._platform_id, None)
        self._batch.is_urgent = True

    def _end_gap(self, ended: int) -> None:
        """End the gap at a good answer."""
        assert self._fold is not None  # noqa: S101
        assert self._gap is not None  # noqa: S101
        gap, known = self._gap, self._known
        if gap.reason == "outage" and known is not None:
            # The wall clock may have been set back since the outage began.
            ended = self._place(ended)
            up = self._up(moment_of(ended))
            self._record(Update(sequence=0, snapshot=known, previous=known, events=(up,)), known, ended)
            return
        self._fold.gap(moment_of(gap.began), moment_of(ended), gap.reason)
        self._batch.gaps[gap.began] = gap.row(self._platform_id, ended)
        self._batch.is_urgent = True
        self._gap = None
        self._now = max(self._now, ended)

    def _take_hour(self) -> None:
        """Add the figures of the hour that ends with `_hour`, and a checkpoint."""
        assert self._fold is not None  # noqa: S101
        end = moment_of(self._hour * HOUR)
        found = self._fold.take(end)
        talking = self._fold.talking(end)
        for key in {**found, **talking}:
            values = figure_values(found.get(key, _NOTHING), talking.get(key, 0))
            self._batch.hours.append((self._platform_id, self._hour - 1, self._seats[key], *values))
        if found:
            total = figure_values(sum(found.values(), _NOTHING), 0)
            self._batch.totals.append((self._platform_id, self._hour - 1, *total))
        known = self._known
        if known is not None and self._at is not None and self._checkpoint != self._at:
            self._checkpoint = self._at
            dated = known.with_changes(
                {},
                observed_at=moment_of(self._at),
                server_time=known.server_time,
                problems=known.problems,
            )
            self._batch.checkpoints.append((self._platform_id, self._at, zlib.compress(dated.to_json())))
