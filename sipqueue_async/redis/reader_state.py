"""What a reader knows after each answer from Redis. It does no I/O, and makes every update with `diff`.

The data in Redis may be old: after a crash Redis may return with an earlier copy, and its clock may step. So this
module uses only the reader's own monotonic clock, and a counter. A relay confirms regularly that the last publication
is up to date, and increments the counter `confirmed` each time:

- `confirmed` grew between two answers: a relay confirmed the data after the first of the two requests was sent.
- `confirmed` fell: Redis lost data. The reader does not trust the data until the counter grows again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from itertools import compress
from typing import Final

import attrs

from sipqueue_async import (
    AgentStatus,
    FeedDown,
    FeedEvent,
    FeedUp,
    FieldProblem,
    HighWater,
    SeatEvent,
    SeatFilter,
    SeatKey,
    Snapshot,
    TransportError,
    Update,
    diff,
)
from sipqueue_async.redis.publication import Change, Moment, with_feed
from sipqueue_async.redis.store import Entry, Head, Reading, State

_LEASES_OF_SILENCE: Final = 2
"""Leases without a confirmation after which no relay counts as alive: a standby had time to take over."""


class ReaderState:
    """Turns answers from Redis into updates.

    The status is unknown if the relay reports that the platform is away, if no relay confirms the data, or if Redis is
    away or has lost data. These count as one condition: `FeedDown` when the first of them begins, `FeedUp` when the
    last one ends.

    Args:
        baseline: The snapshot that the first one is compared with.
        initial: Without a baseline, whether the first snapshot yields an `AgentJoined` for each seat.
        clock: Returns the seconds of a monotonic clock.
        seats: The seats to read.
    """

    def __init__(
        self, baseline: Snapshot | None, *, initial: bool, clock: Callable[[], float], seats: SeatFilter | None = None
    ) -> None:
        self._seats = seats or SeatFilter()
        # Drop the seats that are not read: otherwise they would appear to have left.
        self.snapshot = None if baseline is None else self._seats.apply(baseline)
        self.entry = ""
        """The id of the last entry that was applied; empty before the first."""
        self.sequence = 0
        """The number of the last publication that was applied."""
        self.seen = None if baseline is None else baseline.observed_at
        """The time of the relay's last good poll that this reader knows of."""
        self.lease = 0.0
        """Seconds for which a relay may be silent: its own setting, which Redis holds; 0 before the first answer."""
        self.failures = 0
        """Failed attempts since the feed was last up."""
        self.resyncs = 0
        """How often entries were missing after this reader's entry."""
        self._initial = initial
        self._clock = clock
        self._platform: FeedDown | None = None
        self._trouble: Exception | None = None
        # Whether consumers have received a `FeedDown` without a `FeedUp` after it.
        self._reported_down = False
        # Of the present outage: whether the platform alone caused it, and when it began (reader's clock).
        self._only_platform = True
        self._down_since = 0.0
        # The counters of the last answer, and when its request was sent.
        self._confirmed: int | None = None
        self._renewals: int | None = None
        self._asked_at = 0.0
        # When a relay was last known to be alive: `renewals` has grown since.
        self._heard_at: float | None = None
        # Silence is measured from here at the earliest: the first answer, or an answer that took longer than a lease.
        self._excused_at: float | None = None
        # When the last request was sent whose answer left no entries to read.
        self._complete_at: float | None = None
        # When the data was last known to be confirmed; None while it is not trusted.
        self._fresh_at: float | None = None
        self._has_lost = False
        # Whether the snapshot was up to date after the last answer.
        self._is_current = False
        # The snapshot as published at `entry`. It differs from `snapshot` while `_high_water` keeps out records that
        # are older than the known ones, for example after a relay on another back end took over.
        self._published: Snapshot | None = None
        self._high_water: HighWater | None = None
        self.is_exact = False
        """Whether the last update has exactly the seat events of the entry."""
        # Whether the publication number fell without an update, so that the next update must be marked as coalesced.
        self._fell = False

    # ---- can the data be trusted? ------------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether the snapshot is up to date."""
        return self._is_current and not self._is_down

    @property
    def is_as_published(self) -> bool:
        """Whether the snapshot is the one after `entry`, not a baseline, and no record is kept out."""
        return self._published is not None and self._high_water is None

    @property
    def is_undecided(self) -> bool:
        """Whether the feed is not yet known to be up or down: no relay has had time to confirm the data."""
        return not self.entry and not self._is_down

    @property
    def is_sure(self) -> bool:
        """Whether a relay confirmed the data within two leases. If not, the reader peeks until a relay confirms it."""
        return self._fresh_at is not None and not self._is_silent(self._fresh_at)

    @property
    def trouble(self) -> BaseException | None:
        """Why the status is unknown at present; None if it is known."""
        if self._is_down:
            return self._trouble or (None if self._platform is None else self._platform.error)
        if self.is_sure:
            return None
        return TransportError("no relay has confirmed yet that the data in Redis is up to date")

    @property
    def _is_down(self) -> bool:
        return self._platform is not None or self._trouble is not None

    def _is_silent(self, since: float) -> bool:
        return self._clock() - since > _LEASES_OF_SILENCE * self.lease

    def observe(self, head: Head, asked_at: float, *, is_whole: bool) -> None:
        """Compare the counters of an answer with those of the answer before. Call this before the other methods.

        Args:
            head: The counters and the feed's condition in the answer.
            asked_at: When the request was sent, by `clock`.
            is_whole: False if the answer holds only the entries after this reader's entry.
        """
        if self._confirmed is None or self._clock() - asked_at > head.lease:
            self._excused_at = self._clock()
        if self._confirmed is not None and head.confirmed > self._confirmed:
            self._fresh_at, self._has_lost = self._asked_at, False
        elif is_whole and self._confirmed is not None and head.confirmed < self._confirmed:
            self._fresh_at, self._has_lost = None, True
        if self._renewals is not None and head.renewals > self._renewals:
            self._heard_at = self._asked_at
        self._confirmed, self._renewals = head.confirmed, head.renewals
        self._asked_at, self.lease = asked_at, head.lease

    # ---- answers from Redis ------------------------------------------------------------------------------------------

    def on_failure(self, error: Exception) -> Update | None:
        """Register a failed request."""
        self.failures += 1
        return self._update(self.snapshot, (), feed=self._feed_event(self._platform, error))

    def needs_stale_state(self, head: Head) -> bool:
        """Return whether the feed is down without any snapshot, although Redis holds an earlier publication."""
        is_down = isinstance(head.feed, FeedDown) or self._doubt(None) is not None
        return is_down and self.snapshot is None and head.confirmed > 0 and not self._has_lost

    def on_peek(self, head: Head, stale: State | None = None) -> Update | None:
        """Register an answer, after `observe`, while the data is not confirmed.

        Args:
            head: The counters and the feed's condition in the answer.
            stale: The whole published state, to have a snapshot while the feed is down; see `needs_stale_state`.
        """
        previous, events = self.snapshot, () if stale is None else self._replace(stale)
        # A relay that has not reached the platform yet confirms nothing, but publishes `FeedDown`.
        platform = head.feed if isinstance(head.feed, FeedDown) else None
        doubt = self._doubt(platform)
        self.failures += doubt is not None
        # `on_reading` reports the recovery, together with what happened during the outage. Until then an earlier reason
        # stays, unless the platform's outage explains why nothing is confirmed.
        trouble = doubt or (self._trouble if self._reported_down and platform is None else None)
        return self._update(previous, events, feed=self._feed_event(platform or self._platform, trouble))

    def on_entries(self, asked_at: float, *, found: bool, is_complete: bool) -> None:
        """Register an answer to a request for entries, before they are applied.

        Args:
            asked_at: When the request was sent.
            found: Whether it holds entries. They are younger than the last request that left none.
            is_complete: Whether it leaves no further entries in Redis.
        """
        if found and self._fresh_at is not None and self._complete_at is not None:
            self._fresh_at = max(self._fresh_at, self._complete_at)
        if is_complete:
            self._complete_at = asked_at

    def on_entry(self, entry: Entry) -> Update | None:
        """Apply the next entry."""
        change = admitted(entry.change, self._seats)
        previous = self.snapshot
        events: tuple[SeatEvent, ...] = ()
        self.is_exact = True
        if change.moment is not None:
            self.seen = change.moment.observed_at
            events = self._apply(change, change.moment)
        self.entry = entry.id
        self._count(change.sequence)
        if change.confirmed is not None:
            self._confirmed = max(change.confirmed, self._confirmed or 0)
        platform = self._platform if change.feed is None else change.feed if isinstance(change.feed, FeedDown) else None
        feed = self._feed_event(platform, self._doubt(platform), change.feed, was_read=True)
        return self._update(previous, events, feed=feed, coalesced=change.coalesced)

    def _apply(self, change: Change, moment: Moment) -> tuple[SeatEvent, ...]:
        if self._published is None:
            # The first publication contains every seat.
            return self._accept(moment.snapshot(it for it in change.now if it is not None))
        published = moment.changed(self._published, change.agents)
        if self._high_water is not None:
            return self._accept(published)
        self.snapshot = self._published = published
        return change.seat_events

    def on_reading(self, reading: Reading) -> Update | None:
        """Apply the rest of an answer, after its entries: the whole state, if entries were missing."""
        previous, coalesced = self.snapshot, False
        events: tuple[SeatEvent, ...] = ()
        platform, published = self._platform, None
        if reading.state is not None and self._fresh_at is not None:
            published = reading.state.feed
            coalesced = bool(self.entry)
            events = self._replace(reading.state)
            platform = published if isinstance(published, FeedDown) else None
        elif not reading.entries and not isinstance(reading.head.feed, FeedDown):
            # A peek showed an outage that Redis has lost since, so no entry tells of its end.
            platform = None
        if self._fresh_at is not None:
            self.seen = reading.head.seen or self.seen
            if self._high_water is not None and self._published is not None and reading.state is None:
                events = self._accept(self._published)
        trouble = self._doubt(platform)
        self.failures += trouble is not None
        feed = self._feed_event(platform, trouble, published, was_read=True)
        if isinstance(feed, FeedUp) and events and self.snapshot is not None:
            # The status is known since its last change, which an event must not precede.
            feed = attrs.evolve(feed, observed_at=min(feed.observed_at, self.snapshot.observed_at))
        return self._update(previous, events, feed=feed, coalesced=coalesced)

    def _replace(self, state: State) -> tuple[SeatEvent, ...]:
        """Continue from the whole published state, and return the difference from the known snapshot."""
        events: tuple[SeatEvent, ...] = ()
        self._published = None
        if self.snapshot is not None and self._high_water is None:
            self._high_water = HighWater(baseline=self.snapshot)
        if state.snapshot is not None:
            events = self._accept(self._seats.apply(state.snapshot))
            self.seen = state.snapshot.observed_at
        self.resyncs += bool(self.entry)
        self.entry = state.entry
        self._count(state.sequence)
        return events

    def _accept(self, published: Snapshot) -> tuple[SeatEvent, ...]:
        """Apply a whole snapshot, except for records that are older than the known ones."""
        known = self.snapshot
        self._published, self.is_exact = published, False
        if known is None or self._high_water is None:
            self.snapshot = published
            return diff(known, published) if known is not None or self._initial else ()
        # `HighWater` measures time by this reader's clock, not by the relays' clocks.
        timed = published.with_changes({}, **attrs.asdict(Moment.of(published), recurse=False), steady_at=self._clock())
        events: list[SeatEvent] = []
        for accepted in self._high_water.accept(timed):
            changes = diff(known, accepted)
            known = _sharing(known, accepted, changes)
            events += changes
        self.snapshot = known
        if known == published:
            self._published, self._high_water = known, None
        return tuple(events)

    def _count(self, sequence: int) -> None:
        self._fell = self._fell or sequence < self.sequence
        self.sequence = sequence

    # ---- the feed's condition ----------------------------------------------------------------------------------------

    def _doubt(self, platform: FeedDown | None) -> TransportError | None:
        """Return why the data in Redis is not up to date; None if it may be.

        Args:
            platform: The relay's `FeedDown`, while the platform is away. The relay then renews its lock, but confirms
                nothing.
        """
        if not self._confirmed and platform is None and not self._has_lost:
            return TransportError("no relay has published anything yet: is one running, and with this prefix?")
        if self._has_lost:
            return TransportError(
                "Redis has lost data that this reader had read; waiting for a relay to confirm the rest"
            )
        signs = [self._fresh_at, self._excused_at] if platform is None else [self._heard_at, self._excused_at]
        if any(sign is not None and not self._is_silent(sign) for sign in signs):
            return None
        return TransportError(f"no relay is there: no sign of one for {_LEASES_OF_SILENCE} leases")

    def _feed_event(
        self,
        platform: FeedDown | None,
        trouble: Exception | None,
        published: FeedEvent | None = None,
        *,
        was_read: bool = False,
    ) -> FeedEvent | None:
        """Set the feed's condition, and return the event that reports a change of it.

        Args:
            platform: The relay's `FeedDown`, while the platform is away.
            trouble: The error of Redis or the relay.
            published: The feed event in the answer. Its `FeedUp` is passed on if the platform alone was away.
            was_read: Whether everything in the answer was applied, so that the snapshot may be up to date.
        """
        self._platform, self._trouble = platform, trouble
        self._only_platform = self._only_platform and trouble is None
        if self._is_down:
            self._is_current = False
        elif was_read and self.entry and self.snapshot is not None:
            self._is_current = self._is_current or self.is_sure
        if self._is_down and not self._reported_down:
            self._reported_down = True
            self._down_since = self._clock() if self._fresh_at is None else self._fresh_at
            return FeedDown(error=trouble, since=self.seen) if trouble is not None else platform
        if self._reported_down and self.is_up and self.seen is not None:
            only_platform, failures = self._only_platform, max(self.failures, 1)
            self._reported_down, self._only_platform, self.failures = False, True, 0
            if only_platform and isinstance(published, FeedUp):
                return published
            outage = timedelta(seconds=self._clock() - self._down_since)
            return FeedUp(observed_at=self.seen, outage=outage, failures=failures)
        return None

    def _update(
        self,
        previous: Snapshot | None,
        events: tuple[SeatEvent, ...],
        *,
        feed: FeedEvent | None,
        coalesced: bool = False,
    ) -> Update | None:
        if not events and feed is None:
            return None
        if previous is None and not self._initial:
            # The first snapshot is the baseline and yields no events.
            previous = self.snapshot
        fell, self._fell = self._fell, False
        return Update(
            sequence=self.sequence,
            snapshot=self.snapshot,
            previous=previous,
            events=with_feed(feed, events),
            coalesced=coalesced or fell,
        )


def admitted(change: Change, seats: SeatFilter) -> Change:
    """Return a publication without the seats that the filter leaves out; its feed event stays."""
    if seats.is_all:
        return change
    admitted = list(map(seats.admits, change.seats))
    moment = change.moment

    def theirs(problems: Iterable[FieldProblem]) -> tuple[FieldProblem, ...]:
        return tuple(it for it in problems if seats.admits((it.queue, it.extension)))

    if moment is not None:
        moment = attrs.evolve(moment, problems=theirs(moment.problems))
    was, now = (tuple(compress(records, admitted)) for records in (change.was, change.now))
    return attrs.evolve(
        change,
        moment=moment,
        seats=tuple(compress(change.seats, admitted)),
        was=was,
        now=now,
        never_sent=theirs(change.never_sent),
    )


def _sharing(old: Snapshot, new: Snapshot, events: tuple[SeatEvent, ...]) -> Snapshot:
    """Return the new snapshot, with the old one's record objects for seats that did not change."""
    agents: Mapping[SeatKey, AgentStatus | None] = {event.key: event.agent for event in events}
    return old.with_changes(agents, observed_at=new.observed_at, server_time=new.server_time, problems=new.problems)
