"""The pure core: tracks each rule's conditions and schedules its alerts; callers pass in the time.

Time runs on an axis of seconds that starts at the first snapshot. A snapshot moves it by `Snapshot.seconds_since`, so
setting the wall clock does not move it. Alerts show wall times, calculated from the latest snapshot's.

A condition that begins to hold gets a `Watch`; a heap holds the deadlines. The cost depends on the number of events and
of expired deadlines, not on the number of seats.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Final, Protocol

import attrs

from sipqueue_async.alerts.events import Alert, AlertCleared, AlertRaised, Reason, alert_id
from sipqueue_async.alerts.hours import Hours
from sipqueue_async.alerts.rules import FeedSilent, Rule
from sipqueue_async.alerts.watches import Due, Subject, Watch

_ROUNDING: Final = 1e-6
"""A microsecond, the resolution of `datetime`."""

_CLOCK_WAS_SET: Final = timedelta(seconds=1)
"""The difference between wall and monotonic time from which the ends of hours are calculated again."""

_MOST_SPANS: Final = 64
"""How many spans of a rule's hours are searched. A delay longer than each of them never elapses."""


class Values(Protocol):
    """The part of a condition that the engine uses."""

    def value(self, subject: Subject, at: float, since: float) -> float:
        """Return the figure that an alert shows."""
        ...


@attrs.define(eq=False)
class Engine:
    """Keeps the watches of all rules, and their deadlines.

    Args:
        rules: The rules; each follows those that its `unless` names.
    """

    rules: tuple[Rule, ...]
    conditions: list[Values] = attrs.field(factory=list)
    """One per rule; set after construction, because conditions need the engine."""
    now: float = 0.0
    """The present, on the axis."""
    frozen: bool = False
    """Whether the feed is down: only rules about the feed raise and clear alerts."""
    blind_since: float = 0.0
    """When the present outage began, on the axis."""
    raised: dict[Watch, None] = attrs.field(init=False, factory=dict)
    """The watches with a raised alert, in the order of their raising."""
    standing: dict[str, int] = attrs.field(init=False)
    """The number of raised alerts by rule; every rule has an entry, so another thread may read it."""
    resumed_at: float = -math.inf
    """When the last outage ended, on the axis; -inf before any has."""
    _anchor: tuple[float, datetime] | None = None
    _start: datetime | None = None
    """The wall time of the axis' start, by the clock by which the deadlines of rules with hours were set."""
    _began: dict[int, tuple[datetime, float]] = attrs.field(init=False, factory=dict)
    """When the last known hours of a rule began, by the wall clock and on the axis."""
    _watches: list[dict[Subject, Watch]] = attrs.field(init=False)
    _held: list[dict[Watch, None]] = attrs.field(init=False)
    _waiting: dict[str, list[int]] = attrs.field(init=False)
    _heaps: tuple[list[tuple[float, int, int, Due, int]], list[tuple[float, int, int, Due, int]]] = attrs.field(
        init=False, factory=lambda: ([], [])
    )
    _heap_of: list[list[tuple[float, int, int, Due, int]]] = attrs.field(init=False)
    """The heap of each rule's deadlines."""
    _numbers: count[int] = attrs.field(init=False, factory=count)
    _alerts: list[Alert] = attrs.field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self._watches = [{} for _ in self.rules]
        self.standing = {rule.name: 0 for rule in self.rules}
        self._heap_of = [self._heaps[isinstance(rule, FeedSilent)] for rule in self.rules]
        self._held = [{} for _ in self.rules]
        self._waiting = {}
        for number, rule in enumerate(self.rules):
            for name in rule.unless:
                self._waiting.setdefault(name, []).append(number)

    # ---- time --------------------------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        """Whether the first snapshot has arrived."""
        return self._anchor is not None

    @property
    def known_at(self) -> float:
        """When the last snapshot arrived, on the axis."""
        return self._anchor[0] if self._anchor is not None else 0.0

    def anchor(self, axis: float, wall: datetime) -> None:
        """Map a point of the axis to a wall time. The present moves forward to it, never back."""
        self._anchor = (axis, wall)
        self.now = max(self.now, axis)
        start = self.wall(0.0)
        if self._start is None:
            self._start = start
        elif abs(start - self._start) > _CLOCK_WAS_SET:
            self._start = start
            self._check_hours()

    def _check_hours(self) -> None:
        """Check all deadlines of rules with hours now: by another wall clock, hours begin and end at other times."""
        for heap in self._heaps:
            for _, rule, _, due, token in tuple(heap):
                if token == due.token and self.rules[rule].hours is not None:
                    self.set_deadline(due, self.now, rule)

    def axis(self, wall: datetime) -> float:
        """Convert a wall time to the axis."""
        assert self._anchor is not None  # noqa: S101  # called after the first snapshot only
        return self._anchor[0] + (wall - self._anchor[1]).total_seconds()

    def wall(self, axis: float) -> datetime:
        """Convert a point of the axis to a wall time."""
        assert self._anchor is not None  # noqa: S101  # called after the first snapshot only
        return self._anchor[1] + timedelta(seconds=axis - self._anchor[0])

    def set_deadline(self, due: Due, at: float, rule: int) -> None:
        """Set an entry's deadline, which replaces its earlier one."""
        due.token += 1
        heapq.heappush(self._heap_of[rule], (at, rule, next(self._numbers), due, due.token))

    def cancel_deadline(self, due: Due) -> None:
        """Cancel an entry's deadline."""
        due.token += 1

    def run(self, to: float, *, including: bool) -> None:
        """Fire all deadlines up to a moment, in order, and move the present there."""
        end = to + _ROUNDING if including else to - _ROUNDING
        while (heap := self._next()) and heap[0][0] <= end:
            at, _, _, due, _ = heapq.heappop(heap)
            self.now = max(self.now, at)
            due.fire(self.now)
        self.now = max(self.now, to)

    def deadline(self) -> float | None:
        """Return the next deadline, or None."""
        heap = self._next()
        return heap[0][0] if heap else None

    def _next(self) -> list[tuple[float, int, int, Due, int]] | None:
        """Drop invalid deadlines, and return the heap with the earliest one, or None."""
        best = None
        for heap in self._heaps[1:] if self.frozen else self._heaps:
            while heap and heap[0][3].token != heap[0][4]:
                heapq.heappop(heap)
            if heap and (best is None or heap[0][:2] < best[0][:2]):
                best = heap
        return best

    # ---- called by conditions ----------------------------------------------------------------------------------------

    def begin(self, rule: int, subject: Subject, since: float, *, approximate: bool, agent: str | None = None) -> None:
        """Register that a condition holds since a moment. If it already holds, its beginning does not change."""
        watch = self._watches[rule].get(subject)
        if watch is None:
            watch = self._watches[rule][subject] = Watch(self, rule, subject)
        watch.agent = agent or watch.agent
        if watch.since is None:
            watch.since, watch.raisings, watch.clear_at = since, 0, None
            if watch.raised_at is None:
                watch.approximate = approximate
            self._schedule(watch)

    def end(self, rule: int, subject: Subject, *, at_once: bool = False, reason: Reason = "ended") -> None:
        """Register that a condition no longer holds. With `at_once` its alert clears now, without `clear_after`."""
        watch = self._watches[rule].get(subject)
        if watch is None:
            return
        watch.since, watch.reason = None, reason
        if watch.raised_at is None:
            self._drop(watch)
            return
        after = 0.0 if at_once else self.rules[rule].clear_after
        if watch.clear_at is None or at_once:
            watch.clear_at = self.now + after
        if after:
            self._schedule(watch)
        else:
            self._clear(watch, self.now, reason)

    def holds(self, rule: int, subject: Subject) -> bool:
        """Return whether a condition holds now."""
        return self.holds_since(rule, subject) is not None

    def holds_since(self, rule: int, subject: Subject) -> float | None:
        """Return when a condition that holds now began, on the axis; None if it does not hold."""
        watch = self._watches[rule].get(subject)
        return None if watch is None else watch.since

    def hours_began(self, rule: int) -> float | None:
        """Return when the present hours of a rule began, on the axis, or None outside of them."""
        hours = self.rules[rule].hours
        if hours is None:
            return -math.inf
        began = hours.started_at(self.wall(self.now))
        if began is None:
            return None
        at, (seen, earlier) = self.axis(began), self._began.get(rule, (None, 0.0))
        # If the wall clock was set back within the hours, they began when they were seen to begin.
        self._began[rule] = began, min(at, earlier) if began == seen else at
        return self._began[rule][1]

    def hours_change(self, rule: int) -> float:
        """Return when the hours of a rule begin or end next, on the axis."""
        hours = self.rules[rule].hours
        return math.inf if hours is None else self.axis(hours.next_change(self.wall(self.now)))

    def watches(self, rule: int) -> Iterable[Watch]:
        """Return a rule's watches."""
        return self._watches[rule].values()

    def restore(self, watch: Watch) -> None:
        """Replace a watch by the saved one."""
        present = self._watches[watch.rule].get(watch.subject)
        if present is not None:
            self.cancel_deadline(present)
            self._forget_raised(present)
        self._watches[watch.rule][watch.subject] = watch
        if watch.raised_at is not None:
            self._note_raised(watch)
        self._schedule(watch)

    def clear_gone(self, watch: Watch, rule: Rule) -> AlertCleared:
        """Return the clearing of a saved alert whose rule no longer exists."""
        return self._cleared(watch, rule, self.now, "rule")

    def collect(self) -> tuple[Alert, ...]:
        """Return the alerts since the last call."""
        alerts, self._alerts = tuple(self._alerts), []
        return alerts

    # ---- alerts ------------------------------------------------------------------------------------------------------

    def fire(self, watch: Watch, at: float) -> None:
        """Act on a watch's deadline."""
        if watch.raised_at is None:
            due = self._due(watch)
            if due is None or due > at + _ROUNDING:
                # The rule's hours ended meanwhile: during an outage, a restart, or another rule's alert.
                self._schedule(watch)
                return
            if self._is_suppressed(watch):
                self._held[watch.rule][watch] = None
                return
            self._raise(watch, at)
        elif watch.clear_at is not None and at + _ROUNDING >= watch.clear_at:
            self._clear(watch, at, watch.reason)
            return
        elif self._outlasted_hours(watch, at):
            self._clear(watch, at, watch.reason if watch.since is None else "hours")
            return
        elif watch.repeat_at is not None and at + _ROUNDING >= watch.repeat_at:
            watch.repeats += 1
            self._emit_raised(watch, at)
        self._schedule(watch)

    def _outlasted_hours(self, watch: Watch, at: float) -> bool:
        """Return whether the hours in which a watch's alert was raised have ended; others may have begun since."""
        hours = self.rules[watch.rule].hours
        if hours is None or watch.raised_at is None:
            return False
        began = hours.started_at(self.wall(at))
        return began is None or began > watch.raised_at

    def _schedule(self, watch: Watch) -> None:
        due = self._due(watch)
        if due is None:
            self.cancel_deadline(watch)
        else:
            self.set_deadline(watch, due, watch.rule)

    def _due(self, watch: Watch) -> float | None:
        """Return a watch's next deadline, or None."""
        rule = self.rules[watch.rule]
        if watch.raised_at is None:
            assert watch.since is not None  # noqa: S101  # a watch that neither holds nor was raised is dropped
            return (
                watch.since + rule.delay if rule.hours is None else self._ready_at(rule.hours, rule.delay, watch.since)
            )
        moments = [] if watch.clear_at is None else [watch.clear_at]
        moments += [] if watch.repeat_at is None else [watch.repeat_at]
        if rule.hours is not None:
            # The hours may have ended while the feed was down, or while no program ran.
            moments.append(self.now if self._outlasted_hours(watch, self.now) else self.hours_change(watch.rule))
        return min(moments, default=None)

    def _ready_at(self, hours: Hours, delay: float, since: float) -> float | None:
        """Return when a condition that began at `since` will have held for a rule's delay within its hours."""
        moment = self.wall(max(since, self.now))
        for _ in range(_MOST_SPANS):
            start = hours.started_at(moment)
            if start is None:
                moment = start = hours.next_change(moment)
            ready, end = max(since, self.axis(start)) + delay, hours.next_change(moment)
            if ready < self.axis(end):
                return ready
            moment = end
        return None

    def _is_suppressed(self, watch: Watch) -> bool:
        queue, extension = watch.subject
        places = {(queue, extension), (queue, None), (None, extension), (None, None)}
        for number, other in enumerate(self.rules):
            if other.name in self.rules[watch.rule].unless:
                for place in places:
                    found = self._watches[number].get(place)
                    if found is not None and found.raised_at is not None:
                        return True
        return False

    def _raise(self, watch: Watch, at: float) -> None:
        assert watch.since is not None  # noqa: S101  # only a condition that holds is due to be raised
        watch.started, watch.raised_at = self.wall(watch.since), self.wall(at)
        watch.id = alert_id(self.rules[watch.rule].name, *watch.subject, watch.started, watch.raisings)
        watch.raisings += 1
        watch.repeats = 0
        watch.approximate = watch.approximate or watch.since < self.resumed_at
        self._note_raised(watch)
        self._emit_raised(watch, at)

    def _note_raised(self, watch: Watch) -> None:
        self.raised[watch] = None
        self.standing[self.rules[watch.rule].name] += 1

    def _forget_raised(self, watch: Watch) -> None:
        if watch in self.raised:
            del self.raised[watch]
            self.standing[self.rules[watch.rule].name] -= 1

    def _emit_raised(self, watch: Watch, at: float) -> None:
        every = self.rules[watch.rule].repeat_every
        watch.repeat_at = None if every is None else at + every
        self._alerts.append(self._alert(watch, at, self.wall(at)))

    def raised_alerts(self) -> tuple[AlertRaised, ...]:
        """Return the raised alerts with their present figures: the feed's own first, then the latest first."""
        newest = [(it, it.raised_at) for it in reversed(self.raised) if it.raised_at is not None]
        newest.sort(key=lambda pair: not isinstance(self.rules[pair[0].rule], FeedSilent))
        return tuple(self._alert(watch, self.now, raised_at) for watch, raised_at in newest)

    def _alert(self, watch: Watch, at: float, raised_at: datetime) -> AlertRaised:
        assert watch.started is not None  # noqa: S101  # set when it was raised
        since = at if watch.since is None else watch.since
        return AlertRaised(
            rule=self.rules[watch.rule],
            id=watch.id,
            queue=watch.subject[0],
            extension=watch.subject[1],
            agent=watch.agent,
            since=watch.started,
            at=raised_at,
            value=max(0.0, self.conditions[watch.rule].value(watch.subject, at, since)),
            approximate=watch.approximate,
            repeat=watch.repeats,
        )

    def _clear(self, watch: Watch, at: float, reason: Reason) -> None:
        self._alerts.append(self._cleared(watch, self.rules[watch.rule], at, reason))
        self._forget_raised(watch)
        watch.raised_at = watch.started = watch.repeat_at = watch.clear_at = None
        if watch.since is None:
            self._drop(watch)
        else:
            # The rule's hours ended while the condition still holds.
            self._schedule(watch)
        self._release(self.rules[watch.rule].name)

    def _cleared(self, watch: Watch, rule: Rule, at: float, reason: Reason) -> AlertCleared:
        assert watch.started is not None  # noqa: S101  # only a raised alert is cleared
        assert watch.raised_at is not None  # noqa: S101
        return AlertCleared(
            rule=rule,
            id=watch.id,
            queue=watch.subject[0],
            extension=watch.subject[1],
            agent=watch.agent,
            since=watch.started,
            at=self.wall(at),
            value=max(0.0, (self.wall(at) - watch.started).total_seconds()),
            approximate=watch.approximate,
            raised_at=watch.raised_at,
            reason=reason,
        )

    def _release(self, name: str) -> None:
        """Check again the watches that a cleared alert of this rule was suppressing."""
        for number in self._waiting.get(name, ()):
            held, self._held[number] = self._held[number], {}
            for watch in held:
                self.set_deadline(watch, self.now, number)

    def _drop(self, watch: Watch) -> None:
        self.cancel_deadline(watch)
        self._held[watch.rule].pop(watch, None)
        self._watches[watch.rule].pop(watch.subject, None)
