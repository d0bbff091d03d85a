"""What a reader knows, publication by publication: pure bookkeeping, in which every answer is a `diff`.

What Redis holds may be old: after a crash it comes back with an earlier copy, and its clock may step. So nothing here
depends on a clock but the reader's own monotonic one. Relays count their confirmations that the last publication is up
to date. A number that grew between two requests of the reader shows that a relay confirmed what Redis holds after the
first of them was sent; one that fell shows that Redis lost data, which is then not believed until it grows again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import compress
from typing import Final

import attrs

from sipqueue_async import (
    AgentStatus,
    FeedDown,
    FeedEvent,
    FeedUp,
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
"""A relay counts as gone after so many leases without a confirmation: another one had time to take over."""


class ReaderState:
    """Turns what a reader finds into updates.

    Three things can make the status unknown: the platform is away, which the relay says; no relay confirms anything; or
    Redis is away or has lost data. Together they are one condition: `FeedDown` when the first of them comes, `FeedUp`
    when the last one goes.

    Args:
        baseline: What was known before.
        initial: Whether, without a baseline, the first snapshot is a join of every seat.
        clock: Seconds of a monotonic clock.
        seats: The seats to read.
    """

    def __init__(
        self, baseline: Snapshot | None, *, initial: bool, clock: Callable[[], float], seats: SeatFilter | None = None
    ) -> None:
        self._seats = seats or SeatFilter()
        # The rest of a baseline is not read, and so has not left.
        self.snapshot = None if baseline is None else self._seats.apply(baseline)
        self.entry = ""
        """The id of the last entry that was applied; empty before the first."""
        self.sequence = 0
        """The number of the last publication that was applied."""
        self.seen = None if baseline is None else baseline.observed_at
        """When a relay last saw the platform, as far as is known here."""
        self.lease = 0.0
        """Seconds for which a relay may be silent, as far as is known."""
        self.failures = 0
        """Failed attempts since the feed was last up."""
        self.resyncs = 0
        """How often the stream did not continue from this reader's entry."""
        self._initial = initial
        self._clock = clock
        self._platform: FeedDown | None = None
        self._trouble: Exception | None = None
        self._told_down = False
        # Of the present outage: whether only the platform is to blame, and when it began.
        self._is_platforms = True
        self._down_since = 0.0
        # The last number of confirmations that was seen, and when the request was sent that showed it.
        self._confirmed: int | None = None
        # The same of renewals, and since when a relay is known to be there.
        self._renewals: int | None = None
        self._heard_at: float | None = None
        self._asked_at = 0.0
        # Until when no silence is noticed: since the first request, and after an answer that took long to arrive.
        self._excused_at: float | None = None
        # When the last request was sent after whose answer nothing further was left to read.
        self._complete_at: float | None = None
        # Since when what Redis holds is known to be confirmed; None as long as it is not trusted.
        self._fresh_at: float | None = None
        self._has_lost = False
        # Whether the snapshot was up to date when the reader looked last.
        self._is_current = False
        # What was published at `entry`. Mostly that is the snapshot. Where it would go back against the snapshot, as
        # after a relay that watches another back end, `_high_water` keeps that out.
        self._published: Snapshot | None = None
        self._high_water: HighWater | None = None
        # Whether the number of the publication fell with nothing to tell, so that the next update has to say so.
        self._fell = False

    # ---- whether it can be believed ----------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether what is known is up to date."""
        return self._is_current and not self._is_down

    @property
    def is_undecided(self) -> bool:
        """Whether nothing can be said yet, since no relay had time to confirm what Redis holds."""
        return not self.entry and not self._is_down

    @property
    def is_sure(self) -> bool:
        """Whether a relay has confirmed lately what Redis holds; otherwise `peeked` has to see it do so."""
        return self._fresh_at is not None and not self._is_silent(self._fresh_at)

    @property
    def trouble(self) -> BaseException | None:
        """Why the status is unknown at present, if so."""
        if self._is_down:
            return self._trouble or (None if self._platform is None else self._platform.error)
        if self.is_sure:
            return None
        return TransportError("no relay has confirmed yet that what Redis holds is up to date")

    @property
    def _is_down(self) -> bool:
        return self._platform is not None or self._trouble is not None

    def _is_silent(self, since: float) -> bool:
        return self._clock() - since > _LEASES_OF_SILENCE * self.lease

    def observe(self, head: Head, asked_at: float, *, is_whole: bool) -> None:
        """Take note of the number of confirmations in an answer, before anything else in it.

        Args:
            head: What the answer says about the publications as a whole.
            asked_at: When the request was sent.
            is_whole: Whether the answer does not continue from this reader's entry.
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

    # ---- what is found -----------------------------------------------------------------------------------------------

    def failed(self, error: Exception) -> Update | None:
        """Take note of a failure to read."""
        self.failures += 1
        return self._update(self.snapshot, (), feed=self._turned(self._platform, error))

    def lacks_the_old(self, head: Head) -> bool:
        """Return whether the feed is down with nothing to show, though a relay has published something before."""
        is_down = isinstance(head.feed, FeedDown) or self._doubt(None) is not None
        return is_down and self.snapshot is None and head.confirmed > 0 and not self._has_lost

    def peeked(self, head: Head, old: State | None = None) -> Update | None:
        """Take note of what Redis holds, after `observe`, while it is not known to be up to date.

        Args:
            head: What the answer says about the publications as a whole.
            old: Everything that is published, to show it while the feed is down.
        """
        previous, events = self.snapshot, () if old is None else self._jump(old)
        # A relay that has not reached the platform yet confirms nothing, but says so.
        platform = head.feed if isinstance(head.feed, FeedDown) else None
        doubt = self._doubt(platform)
        self.failures += doubt is not None
        # That all is well again is told with what happened meanwhile, by `looked`.
        trouble = doubt or (self._trouble if self._told_down else None)
        return self._update(previous, events, feed=self._turned(platform or self._platform, trouble))

    def received(self, asked_at: float, *, found: bool, is_complete: bool) -> None:
        """Take note of an answer to a request for entries, before they are applied.

        Args:
            asked_at: When the request was sent.
            found: Whether there were any: if so, they are younger than the last request that left none.
            is_complete: Whether none were left.
        """
        if found and self._fresh_at is not None and self._complete_at is not None:
            self._fresh_at = max(self._fresh_at, self._complete_at)
        if is_complete:
            self._complete_at = asked_at

    def took(self, entry: Entry) -> Update | None:
        """Apply the next entry."""
        change = _admitted(entry.change, self._seats)
        previous = self.snapshot
        events: tuple[SeatEvent, ...] = ()
        if change.moment is not None:
            self.seen = change.moment.observed_at
            events = self._apply(change, change.moment)
        self.entry = entry.id
        self._count(change.sequence)
        if change.confirmed is not None:
            self._confirmed = max(change.confirmed, self._confirmed or 0)
        platform = self._platform if change.feed is None else change.feed if isinstance(change.feed, FeedDown) else None
        feed = self._turned(platform, self._doubt(platform), change.feed, is_look=True)
        return self._update(previous, events, feed=feed, coalesced=change.coalesced)

    def _apply(self, change: Change, moment: Moment) -> tuple[SeatEvent, ...]:
        if self._published is None:
            # The first publication of all is about every seat.
            return self._accept(moment.snapshot(it for it in change.now if it is not None))
        published = moment.changed(self._published, change.agents)
        if self._high_water is not None:
            return self._accept(published)
        self.snapshot = self._published = published
        return change.seat_events

    def looked(self, reading: Reading) -> Update | None:
        """Apply the rest of what was found, after its entries: the whole state, if the stream does not continue."""
        previous, coalesced = self.snapshot, False
        events: tuple[SeatEvent, ...] = ()
        platform, told = self._platform, None
        if reading.state is not None and self._fresh_at is not None:
            told = reading.state.feed
            coalesced = bool(self.entry)
            events = self._jump(reading.state)
            platform = told if isinstance(told, FeedDown) else None
        if self._fresh_at is not None:
            self.seen = reading.head.seen or self.seen
            if self._high_water is not None and self._published is not None and reading.state is None:
                events = self._accept(self._published)
        trouble = self._doubt(platform)
        self.failures += trouble is not None
        return self._update(
            previous, events, feed=self._turned(platform, trouble, told, is_look=True), coalesced=coalesced
        )

    def _jump(self, state: State) -> tuple[SeatEvent, ...]:
        """Apply everything that is published."""
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
        """Apply a whole snapshot, as far as it does not go back against what is known."""
        known = self.snapshot
        self._published = published
        if known is None or self._high_water is None:
            self.snapshot = published
            return diff(known, published) if known is not None or self._initial else ()
        # The time that passes here counts, not the relays' clocks.
        timed = published.with_changes({}, **attrs.asdict(Moment.of(published), recurse=False), steady_at=self._clock())
        events: list[SeatEvent] = []
        for accepted in self._high_water.accept(timed):
            told = diff(known, accepted)
            known = _sharing(known, accepted, told)
            events += told
        self.snapshot = known
        if known == published:
            self._published, self._high_water = known, None
        return tuple(events)

    def _count(self, sequence: int) -> None:
        self._fell = self._fell or sequence < self.sequence
        self.sequence = sequence

    # ---- the feed's condition ----------------------------------------------------------------------------------------

    def _doubt(self, platform: FeedDown | None) -> TransportError | None:
        """Return why what Redis holds is not up to date, if so."""
        if not self._confirmed and platform is None and not self._has_lost:
            return TransportError("no relay has published anything yet: is one running, and with this prefix?")
        if self._has_lost:
            return TransportError("Redis has lost data that is known here; waiting for a relay to confirm the rest")
        signs = [self._fresh_at, self._excused_at] if platform is None else [self._heard_at, self._excused_at]
        if any(sign is not None and not self._is_silent(sign) for sign in signs):
            return None
        return TransportError(f"no relay is there: none was heard of for {_LEASES_OF_SILENCE} leases")

    def _turned(
        self,
        platform: FeedDown | None,
        trouble: Exception | None,
        told: FeedEvent | None = None,
        *,
        is_look: bool = False,
    ) -> FeedEvent | None:
        """Take note of what is wrong, and return the event to tell of it."""
        self._platform, self._trouble = platform, trouble
        self._is_platforms = self._is_platforms and trouble is None
        if self._is_down:
            self._is_current = False
        elif is_look and self.entry and self.snapshot is not None:
            self._is_current = self._is_current or self.is_sure
        if self._is_down and not self._told_down:
            self._told_down = True
            self._down_since = self._clock() if self._fresh_at is None else self._fresh_at
            return FeedDown(error=trouble, since=self.seen) if trouble is not None else platform
        if self._told_down and self.is_up and self.seen is not None:
            is_platforms, failures = self._is_platforms, max(self.failures, 1)
            self._told_down, self._is_platforms, self.failures = False, True, 0
            if is_platforms and isinstance(told, FeedUp):
                return told
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


def _admitted(change: Change, seats: SeatFilter) -> Change:
    """Return the part of a publication that concerns some seats; what it says of the feed stays."""
    if seats.is_all:
        return change
    admitted = list(map(seats.admits, change.seats))
    moment = change.moment
    if moment is not None:
        problems = tuple(it for it in moment.problems if seats.admits((it.queue, it.extension)))
        moment = attrs.evolve(moment, problems=problems)
    was, now = (tuple(compress(records, admitted)) for records in (change.was, change.now))
    return attrs.evolve(change, moment=moment, seats=tuple(compress(change.seats, admitted)), was=was, now=now)


def _sharing(old: Snapshot, new: Snapshot, events: tuple[SeatEvent, ...]) -> Snapshot:
    """Return the new snapshot, with the objects of the old one for what did not change."""
    agents: Mapping[SeatKey, AgentStatus | None] = {event.key: event.agent for event in events}
    return old.with_changes(agents, observed_at=new.observed_at, server_time=new.server_time, problems=new.problems)
