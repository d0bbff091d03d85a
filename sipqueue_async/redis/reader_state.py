"""What a reader knows, publication by publication: pure bookkeeping, in which every answer is a `diff`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sipqueue_async import (
    AgentStatus,
    FeedDown,
    FeedEvent,
    FeedUp,
    SeatEvent,
    SeatKey,
    Snapshot,
    TransportError,
    Update,
    diff,
)
from sipqueue_async.redis.part import Part
from sipqueue_async.redis.publication import Change, Moment, with_feed
from sipqueue_async.redis.store import Reading, State

_LEASES_OF_SILENCE: Final = 2
"""After so many leases without a word of a relay there is none: another one had time enough to take over."""


class ReaderState:
    """Turns what a reader finds into updates.

    There are three reasons why nothing may be known: the platform is away, which the relay says; no relay is there; or
    Redis is away. Together they are one condition, told by `FeedDown` when the first of them comes and by `FeedUp` when
    the last one goes.

    Args:
        baseline: What was known before.
        initial: Whether, without a baseline, everybody has joined at first.
        clock: Seconds on a clock that never steps back.
        part: Which part of it all the reader is for.
    """

    def __init__(
        self, baseline: Snapshot | None, *, initial: bool, clock: Callable[[], float], part: Part | None = None
    ) -> None:
        self._part = part or Part()
        # Of a baseline too only what is read counts: the rest of it has not left.
        self.snapshot = None if baseline is None else self._part.of_snapshot(baseline)
        self.entry = ""
        """The last entry of the stream that was taken; none before there was one."""
        self.sequence = 0
        """The number of the last publication that was taken."""
        self.seen = None if baseline is None else baseline.observed_at
        """When the platform was last seen by the relay, as far as is known here."""
        self.lease = 0.0
        """For how many seconds a relay leads without a further word, as far as is known."""
        self.failures = 0
        """How often, since all was well, there was a reason why nothing is known."""
        self.resyncs = 0
        """How often the stream did not go on from where this reader was."""
        self._is_shared = False
        """Whether the snapshot is what was published at that entry: not so as long as nothing is known there."""
        self._initial = initial
        self._clock = clock
        self._platform: FeedDown | None = None
        self._trouble: Exception | None = None
        self._told_down = False
        # Of the present outage: whether it is the relay's alone to tell of, when the platform was last seen, if ever,
        # and when the outage was noticed.
        self._is_platforms = True
        self._seen_before = self.seen
        self._noticed_at = 0.0
        self._alive = 0
        self._alive_then: int | None = None

    @property
    def is_up(self) -> bool:
        """Whether what is known is how things are."""
        return bool(self.entry) and not self._is_down

    @property
    def trouble(self) -> BaseException | None:
        """Why nothing is known at present, if so."""
        return self._trouble or (None if self._platform is None else self._platform.error)

    @property
    def _is_down(self) -> bool:
        return self._platform is not None or self._trouble is not None

    def failed(self, error: Exception) -> Update | None:
        """Take note of a failure to read."""
        self.failures += 1
        return self._update(self.snapshot, (), feed=self._turned(self._platform, error))

    def took(self, change: Change, entry: str) -> Update | None:
        """Take the publication that comes next."""
        change = self._part.of_change(change)
        previous = self.snapshot
        events: tuple[SeatEvent, ...] = ()
        if change.moment is not None:
            self.seen = change.moment.observed_at
            events = self._take(change, change.moment)
        self.entry, self.sequence = entry, change.sequence
        platform = self._platform if change.feed is None else change.feed if isinstance(change.feed, FeedDown) else None
        feed = self._turned(platform, None, change.feed)
        return self._update(previous, events, feed=feed, coalesced=change.coalesced)

    def _take(self, change: Change, moment: Moment) -> tuple[SeatEvent, ...]:
        if self.snapshot is None or not self._is_shared:
            # The first that was ever published is about everybody.
            return self._take_whole(moment.snapshot(it for it in change.now if it is not None))
        self.snapshot = moment.changed(self.snapshot, change.agents)
        return change.seat_events

    def _take_whole(self, snapshot: Snapshot) -> tuple[SeatEvent, ...]:
        """Take everything that is published, whatever was known before."""
        known, self._is_shared = self.snapshot, True
        events = diff(known, snapshot) if known is not None or self._initial else ()
        self.snapshot = snapshot if known is None else _sharing(known, snapshot, events)
        return events

    def is_old(self, reading: Reading) -> bool:
        """Tell whether what is published is from before what this reader knows already: Redis has lost the rest.

        A relay that has confirmed it since then is right all the same: its word counts, not that of Redis's clock.
        """
        if reading.state is None:
            return False
        known = self._alive
        if _order(reading.state.entry) < _order(self.entry):
            # Entries that were taken as they came say when they were confirmed by their numbers alone.
            known = max(known, _order(self.entry)[0])
        if reading.alive >= known and not self._is_before_baseline(reading.state, reading.seen):
            return False
        confirmed = self._alive_then is not None and reading.alive != self._alive_then
        self._alive_then = reading.alive
        return not confirmed

    def _is_before_baseline(self, state: State, seen: datetime | None) -> bool:
        """Tell whether the baseline is news to Redis, by the relays' clocks, since no entry says where it belongs."""
        if self.entry or self.snapshot is None or state.snapshot is None:
            return False
        return max(state.snapshot.observed_at, seen or state.snapshot.observed_at) < self.snapshot.observed_at

    def looked(self, reading: Reading) -> Update | None:
        """Take how things are, apart from entries: everything, where the stream does not go on; and who is there."""
        previous, coalesced = self.snapshot, False
        events: tuple[SeatEvent, ...] = ()
        platform = self._platform
        if reading.state is not None:
            coalesced = bool(self.entry)
            events = self._take_everything(reading.state)
            platform = reading.state.feed if isinstance(reading.state.feed, FeedDown) else None
        self._alive, self._alive_then = reading.alive, None
        self.lease = reading.lease
        self.seen = reading.seen or self.seen
        trouble = self._silence(reading)
        self.failures += trouble is not None
        told = None if reading.state is None else reading.state.feed
        return self._update(previous, events, feed=self._turned(platform, trouble, told), coalesced=coalesced)

    def _take_everything(self, state: State) -> tuple[SeatEvent, ...]:
        events: tuple[SeatEvent, ...] = ()
        self._is_shared = False
        if state.snapshot is not None:
            events = self._take_whole(self._part.of_snapshot(state.snapshot))
            self.seen = state.snapshot.observed_at
        self.resyncs += bool(self.entry)
        self.entry, self.sequence = state.entry, state.sequence
        return events

    def _silence(self, reading: Reading) -> TransportError | None:
        """Return what is wrong if no relay is there."""
        if not reading.alive:
            return TransportError("no relay has published anything yet: is one running, and with this prefix?")
        silent = (reading.now - reading.alive) / 1000
        if silent <= _LEASES_OF_SILENCE * reading.lease:
            return None
        # When, and not how long ago: the same trouble is to read the same, however often it is found.
        heard = datetime.fromtimestamp(reading.alive / 1000, UTC)
        return TransportError(f"no relay is there: the last one was heard of at {heard:%Y-%m-%d %H:%M:%S} UTC")

    def _turned(
        self, platform: FeedDown | None, trouble: Exception | None, told: FeedEvent | None = None
    ) -> FeedEvent | None:
        """Take what is wrong, and return what there is to say of it."""
        self._platform, self._trouble = platform, trouble
        self._is_platforms = self._is_platforms and trouble is None
        if self._is_down and not self._told_down:
            self._told_down = True
            self._seen_before, self._noticed_at = self.seen, self._clock()
            return FeedDown(error=trouble, since=self.seen) if trouble is not None else platform
        if self._told_down and not self._is_down and self.seen is not None:
            is_platforms, failures = self._is_platforms, max(self.failures, 1)
            self._told_down, self._is_platforms, self.failures = False, True, 0
            if is_platforms and isinstance(told, FeedUp):
                return told
            return FeedUp(observed_at=self.seen, outage=self._outage(self.seen), failures=failures)
        return None

    def _outage(self, seen: datetime) -> timedelta:
        if self._seen_before is None:
            return timedelta(seconds=self._clock() - self._noticed_at)
        # Relays' wall clocks may differ.
        return max(timedelta(0), seen - self._seen_before)

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
            # What is known first is no change of anything: nobody has joined.
            previous = self.snapshot
        return Update(
            sequence=self.sequence,
            snapshot=self.snapshot,
            previous=previous,
            events=with_feed(feed, events),
            coalesced=coalesced,
        )


def _order(entry: str) -> tuple[int, int]:
    """Return an entry's place in the order of entries: the time by Redis's clock, in ms, and a number."""
    time, _, number = (entry or "0-0").partition("-")
    return int(time), int(number)


def _sharing(old: Snapshot, new: Snapshot, events: tuple[SeatEvent, ...]) -> Snapshot:
    """Return the new snapshot, with the objects of the old one for what did not change."""
    agents: Mapping[SeatKey, AgentStatus | None] = {event.key: event.agent for event in events}
    return old.with_changes(agents, observed_at=new.observed_at, server_time=new.server_time, problems=new.problems)
