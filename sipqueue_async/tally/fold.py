"""`Tally`: adds up updates to the day's figures.

The cost of an update depends on its events, not on the number of seats: one clock counts the time of all seats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from types import MappingProxyType
from typing import assert_never

import attrs

from sipqueue_async import (
    AgentChanged,
    AgentJoined,
    AgentLeft,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Feed,
    FeedDown,
    FeedUp,
    FieldProblem,
    SeatEvent,
    SeatKey,
    Snapshot,
    StateChanged,
    Update,
)
from sipqueue_async.models import COUNTER_FIELDS
from sipqueue_async.tally import saved
from sipqueue_async.tally.clock import Clock
from sipqueue_async.tally.counts import GroupCount, SeatCount
from sipqueue_async.tally.figures import GroupTally, QueueTally, SeatTally
from sipqueue_async.tally.follow import TallyUpdater


class Tally:
    """The figures since a start: time in each state, and calls answered and missed, for each seat and queue.

    Pass it every update of one consumer, in order; `follow` does this for a feed. A state lasts from the snapshot that
    first shows it to the one that first shows another, so the times are exact to one interval between polls. While the
    feed is down or the program does not run, time counts for no state: it is `unseen`.

    Example::

        tally = Tally()
        tally.follow(watcher)
        async with watcher:
            async for event in watcher:
                print(tally.total.calls_answered)

    Args:
        snapshot: The snapshot to start from. Without it the tally starts with the first update.
    """

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self._clear()
        if snapshot is not None:
            self._begin(snapshot)

    def _clear(self) -> None:
        self._clock = Clock()
        self._server_time: datetime | None = None
        self._blank_counters: tuple[FieldProblem, ...] = ()
        self._feed_down: FeedDown | None = None
        self._counts: dict[SeatKey, SeatCount] = {}
        self._seats: dict[SeatKey, SeatTally] = {}
        self._queues: dict[str, _Queue] = {}
        self._all = GroupCount(self._clock)
        self._total = GroupTally(self._all, self._seats)

    # ---- figures -----------------------------------------------------------------------------------------------------

    @property
    def started_at(self) -> datetime | None:
        """The `observed_at` of the first snapshot; None before it.

        If the wall clock was set since, this is `observed_at` minus the elapsed time: the start by the present clock.
        """
        return self._clock.started_at

    @property
    def observed_at(self) -> datetime | None:
        """The time up to which the tally counts: that of the last update or `advance`; None before the first."""
        return self._clock.at

    @property
    def feed_down(self) -> FeedDown | None:
        """The event of the present outage; None while the feed is up."""
        return self._feed_down

    @property
    def seats(self) -> Mapping[SeatKey, SeatTally]:
        """Every seat since the start, including those that have left."""
        return MappingProxyType(self._seats)

    @property
    def queues(self) -> Mapping[str, QueueTally]:
        """Every queue since the start, by name."""
        return MappingProxyType({name: queue.tally for name, queue in self._queues.items()})

    @property
    def total(self) -> GroupTally:
        """All queues together: an agent counts in each of its queues, as in `Snapshot.counts`."""
        return self._total

    @property
    def snapshot(self) -> Snapshot | None:
        """The last known records of all present seats: the `baseline` for a watcher that resumes from here.

        Its `problems` list the counters that the platform left out. None before the first snapshot. Making it takes
        time in proportion to the number of seats.
        """
        return self._records(seat for seat in self._counts.values() if seat.present)

    # ---- folding -----------------------------------------------------------------------------------------------------

    def follow(
        self,
        feed: Feed,
        *,
        on_change: Callable[[Update | None], object] | None = None,
        lock: AbstractContextManager[object] | None = None,
    ) -> Callable[[], None]:
        """Update this tally after each poll or read of a feed; return a function that stops it.

        An empty tally starts with the feed's baseline if the feed has one and is not started yet, otherwise with the
        first good poll or read, even one without a change. If the feed is down before that, the tally shows the last
        known status, and starts again once the feed is up. A tally that is not empty continues, so give the feed
        `tally.snapshot` as its baseline.

        Do not call `update` or `advance` as well. Listeners added to the feed after this call find the tally updated.

        Args:
            feed: A `StatusWatcher` or another feed, started or not.
            on_change: Called in the feed's task after each change: with the update, or with None when the tally has
                started (again) and its views of seats and queues are new.
            lock: Held while the tally changes and `on_change` runs, for programs that read the tally in another thread.

        Raises:
            TypeError: The feed is not a feed.
            ValueError: The feed belongs to a group, so the tally would miss calls.
        """
        return TallyUpdater(self, feed, on_change, lock).stop

    def update(self, update: Update) -> None:
        """Count one update, coalesced or not. It must be the one after the last update that the tally has counted."""
        if self._clock.at is None:
            unsure = not self._begin_before(update)
        else:
            unsure = self._clock.blind and self._feed_down is None and not self._was_polled_before(update)
        unsure = unsure or update.coalesced
        for event in update.events:
            match event:
                case FeedDown():
                    self._feed_went_down(event, update.snapshot)
                case FeedUp():
                    self._count_up_to(event.observed_at, update.snapshot)
                    self._feed_down = None
                    unsure = True
                case AgentJoined() | AgentLeft() | StateChanged() | CallAnswered() | CallMissed() | AgentChanged():
                    self._count_up_to(event.observed_at, update.snapshot)
                    self._fold(event, unsure=unsure or self._feed_down is not None)
                case _:
                    assert_never(event)
        self._clock.blind = self._feed_down is not None
        if update.snapshot is not None:
            self._note(update.snapshot)

    def advance(self, to: datetime | Snapshot) -> None:
        """Count the time up to a moment without changes: a poll that finds no change yields no update.

        Call it before saving. Call it also when a watcher that resumes from a saved tally is ready, so that the time
        between counts as unseen. No update may be pending: ``if not updates.pending``. The call does nothing while the
        feed is down, before the first snapshot, and for a moment that was counted already. A moment a second or more
        before `observed_at` means that the wall clock was set back; counting continues from there.

        Args:
            to: The moment, such as the watcher's ``health.last_good_at``. Prefer the watcher's ``snapshot``, which has
                a monotonic time too: a step of the wall clock then counts as no time.

        Raises:
            ValueError: The time is naive.
        """
        at, steady = (to.observed_at, to.steady_at) if isinstance(to, Snapshot) else (to, None)
        if self._clock.is_news(at, steady) and self._feed_down is None:
            self._pass(at, steady)
            if isinstance(to, Snapshot):
                self._note(to)

    def restart(self, snapshot: Snapshot, *, at: datetime | None = None, watched: bool = True) -> None:
        """Set all figures to 0 and start again with a snapshot. Earlier views of seats and queues no longer change.

        Args:
            snapshot: The snapshot to start from.
            at: The time of the start, if it is later than the snapshot's `observed_at`.
            watched: Whether the feed is watched from then on. If not, the time until the next poll or read is unseen.
        """
        self._clear()
        self._begin(snapshot, at)
        self._clock.blind = not watched

    def to_json(self) -> bytes:
        """Return the tally as JSON (UTF-8) in a versioned format, for storage; `from_json` reads it."""
        seats = self._counts.values()
        for seat in seats:
            seat.settle()
        return saved.dump(self._clock, self._records(seats), seats)

    @classmethod
    def from_json(cls, data: bytes | str) -> Tally:
        """Return the tally that `to_json` wrote. The time from its `observed_at` to the next poll counts as unseen.

        Raises:
            ValueError: The data is damaged, of another kind, or of a version that this release does not know.
        """
        tally = cls()
        tally._restore(data)
        return tally

    def _restore(self, data: bytes | str) -> None:
        records, seats = saved.load(data, self._clock)
        if records is not None:
            self._clock.blind = True
            self._note(records)
        for seat in seats:
            self._add(seat)

    def __repr__(self) -> str:
        places = f"{len(self._seats)} seats in {len(self._queues)} queues"
        return f"<Tally of {places}, {self.started_at} to {self.observed_at}>"

    # ---- implementation ----------------------------------------------------------------------------------------------

    def _records(self, seats: Iterable[SeatCount]) -> Snapshot | None:
        if self._clock.at is None:
            return None
        agents = [seat.agent for seat in seats]
        return Snapshot(
            agents, observed_at=self._clock.at, server_time=self._server_time, problems=self._blank_counters
        )

    def _note(self, snapshot: Snapshot) -> None:
        """Keep what events lack: the server's clock, and the counters that the platform left out."""
        self._server_time = snapshot.server_time
        self._blank_counters = tuple(it for it in snapshot.problems if it.field in COUNTER_FIELDS)

    def _begin(self, snapshot: Snapshot, at: datetime | None = None) -> None:
        at = at or snapshot.observed_at
        self._clock.start(at, _steady(at, snapshot))
        self._note(snapshot)
        for agent in snapshot.values():
            self._add(SeatCount(self._clock, agent, at, approximate=True))

    def _begin_before(self, update: Update) -> bool:
        """Start with the previous snapshot of the first update; return whether there was one."""
        if update.previous is not None:
            self._begin(update.previous)
        elif update.snapshot is not None:
            self._begin(Snapshot(observed_at=update.snapshot.observed_at, steady_at=update.snapshot.steady_at))
        return update.previous is not None

    def _was_polled_before(self, update: Update) -> bool:
        """After a restart, count the polls without a change before an update; return whether there were any."""
        at, previous = self._clock.at, update.previous
        if at is None or previous is None or previous.observed_at <= at:
            return False
        self._count_up_to(previous.observed_at, previous)
        return True

    def _count_up_to(self, at: datetime, snapshot: Snapshot | None) -> None:
        """Count the time up to a poll, by the snapshot's monotonic time if the snapshot is of that moment."""
        self._pass(at, _steady(at, snapshot))

    def _pass(self, at: datetime, steady: float | None) -> None:
        self._clock.move(at, steady)
        self._clock.blind = False

    def _feed_went_down(self, event: FeedDown, snapshot: Snapshot | None) -> None:
        self._feed_down = event
        if event.since is not None:
            self._clock.move(event.since, _steady(event.since, snapshot))

    def _add(self, seat: SeatCount) -> None:
        """Register a seat on first sight."""
        self._counts[seat.key] = seat
        view = self._seats[seat.key] = SeatTally(seat)
        name = seat.key.queue
        queue = self._queues.get(name)
        if queue is None:
            count, seats = GroupCount(self._clock), dict[SeatKey, SeatTally]()
            queue = self._queues[name] = _Queue(count, seats, QueueTally(count, seats, name))
        queue.seats[seat.key] = view
        for group in (queue.count, self._all):
            group.add(seat)

    def _groups(self, key: SeatKey) -> tuple[GroupCount, GroupCount]:
        return self._queues[key.queue].count, self._all

    def _fold(self, event: SeatEvent, *, unsure: bool) -> None:
        seat = self._counts.get(event.key)
        if isinstance(event, AgentLeft):
            if seat is not None and seat.present:
                self._change(seat, None, event.observed_at, unsure=unsure)
            return
        if seat is None:
            seat = SeatCount(self._clock, event.agent, event.observed_at, approximate=unsure)
            self._add(seat)
        elif _begins_anew(seat, event):
            self._change(seat, event.agent, event.observed_at, unsure=unsure)
        else:
            seat.agent = event.agent
        if isinstance(event, CallAnswered | CallMissed):
            for place in (seat, *self._groups(seat.key)):
                place.count(event)

    def _change(self, seat: SeatCount, agent: AgentStatus | None, at: datetime, *, unsure: bool) -> None:
        groups = self._groups(seat.key)
        for group in groups:
            group.exclude(seat)
        seat.change(agent, at, approximate=unsure)
        for group in groups:
            group.include(seat)


@attrs.frozen
class _Queue:
    """One queue's counts and the views of them."""

    count: GroupCount
    seats: dict[SeatKey, SeatTally]
    tally: QueueTally


def _steady(at: datetime, snapshot: Snapshot | None) -> float | None:
    """Return the snapshot's monotonic time if it was observed at `at`."""
    return snapshot.steady_at if snapshot is not None and snapshot.observed_at == at else None


def _begins_anew(seat: SeatCount, event: AgentJoined | StateChanged | CallAnswered | CallMissed | AgentChanged) -> bool:
    """Return whether an event starts the agent's state again, even if the state before has the same name."""
    if not seat.present or seat.state is not event.agent.state:
        return True
    # A feed that begins with all of its seats reports a known seat as joined again.
    return event.begins_state and not isinstance(event, AgentJoined)
