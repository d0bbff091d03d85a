"""The condition of an `Occupancy` rule: a share of time over a sliding window."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sipqueue_async import AgentState, AgentStatus, SeatKey
from sipqueue_async.alerts.conditions import GroupCondition
from sipqueue_async.alerts.engine import Engine
from sipqueue_async.alerts.rules import SIGNED_IN, Occupancy
from sipqueue_async.alerts.watches import Subject

_TINY: Final = 1e-6
"""Tolerance in seconds: sums of floats that differ by less are equal."""


_NOBODY: Final = (0, 0)
_COUNTS: Final = {state: (int(state is AgentState.TALKING), int(state in SIGNED_IN)) for state in AgentState}
"""What an agent in each state adds to the numbers of agents talking and signed in."""


class _Share:
    """One subject's occupancy: talk time as a share of signed-in time, over a sliding window of seen time.

    The share is above a limit if F, the integral over the window of (talking - limit x signed in), is above 0. Between
    two changes at either end of the window F is linear, so the moment at which it crosses 0 can be calculated.
    """

    __slots__ = (
        "condition",
        "counts",
        "dropped",
        "dropped_at",
        "history",
        "signed_in",
        "subject",
        "talk",
        "token",
        "upto",
    )

    def __init__(self, condition: OccupancyCondition, subject: Subject, at: float) -> None:
        self.condition = condition
        self.subject = subject
        self.token = 0
        self.counts = [0, 0]
        """The numbers of agents talking and signed in now."""
        self.history: deque[tuple[float, int, int]] = deque([(at, 0, 0)])
        """Start, agents talking and agents signed in, for each span from before the window's start up to now."""
        self.dropped: list[tuple[float, int, int]] = []
        """Spans that left the window since the last snapshot, in order."""
        self.dropped_at = -1.0
        """The time of that snapshot, on the axis."""
        self.upto = at
        self.talk = self.signed_in = 0.0
        """Agent-seconds within the window."""

    def move(self, at: float) -> None:
        """Move the window's end to a later moment of seen time."""
        start, end = self.upto - self.condition.rule.within, at - self.condition.rule.within
        self.talk += self.counts[0] * (at - self.upto)
        self.signed_in += self.counts[1] * (at - self.upto)
        while start < end:
            if len(self.history) > 1 and self.history[1][0] <= start:
                self._drop()
                continue
            begin, talking, signed_in = self.history[0]
            stop = min(end, self.history[1][0]) if len(self.history) > 1 else end
            span = max(0.0, stop - max(start, begin))
            self.talk -= talking * span
            self.signed_in -= signed_in * span
            start = stop
        self.upto = at

    def _drop(self) -> None:
        """Drop the oldest span; keep it until the next snapshot, up to which an outage may turn out to have begun."""
        known = self.condition.engine.known_at
        if self.dropped_at != known:
            self.dropped, self.dropped_at = [], known
        self.dropped.append(self.history.popleft())

    def go_back(self, at: float) -> None:
        """Move the window's end back to a moment since the last snapshot."""
        if at < self.upto:
            self.history.extendleft(reversed(self.dropped))
            self.dropped = []
            self.restart(at)

    def restart(self, at: float) -> None:
        """Recalculate the seconds within the window from the history."""
        start = at - self.condition.rule.within
        ends = [*[begin for begin, _, _ in self.history][1:], at]
        self.talk = self.signed_in = 0.0
        for (begin, talking, signed_in), end in zip(self.history, ends, strict=True):
            span = max(0.0, end - max(begin, start))
            self.talk += talking * span
            self.signed_in += signed_in * span
        self.upto = at

    def change(self, talking: int, signed_in: int) -> None:
        """Change the numbers of agents talking and signed in from now on."""
        self.counts[0] += talking
        self.counts[1] += signed_in
        if self.history[-1][0] == self.upto:
            self.history.pop()
        self.history.append((self.upto, self.counts[0], self.counts[1]))

    def fire(self, at: float) -> None:
        """Check the share again: it may have crossed the limit."""
        self.condition.look(self)


class OccupancyCondition(GroupCondition[Occupancy]):
    """Talk time as a share of signed-in time is beyond the limit, over a window."""

    def __init__(self, engine: Engine, number: int, rule: Occupancy) -> None:
        super().__init__(engine, number, rule, rule.per)
        self.shares: dict[Subject, _Share] = {}
        self.touched: dict[Subject, None] = {}
        self.resumed_at = -math.inf
        """When the last outage ended after which all shares were judged, on the axis."""
        self.unseen = 0.0
        """Seconds of the axis during which the feed was down."""
        self.began = 0.0
        """When the first snapshot arrived or the rule's hours began, whichever was later, in seen time."""
        self.hours_began: datetime | None = None
        """When the rule's present hours began; None outside of them."""

    def share_of(self, subject: Subject) -> _Share:
        """Return a subject's share, creating it on first use."""
        share = self.shares.get(subject)
        if share is None:
            share = self.shares[subject] = _Share(self, subject, self.seen())
        return share

    def seen(self) -> float:
        """Return the present, in seen time: the axis without outages."""
        return self.engine.now - self.unseen

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        talk = (before is AgentState.TALKING) != (after is AgentState.TALKING)
        return talk or (before in SIGNED_IN) != (after in SIGNED_IN)

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        subject = self.subject_of(key)
        share = self.share_of(subject)
        if subject not in self.touched:
            share.move(self.seen())
            self.touched[subject] = None
        old = _NOBODY if before is None else _COUNTS[before.state]
        new = _NOBODY if after is None else _COUNTS[after.state]
        share.change(new[0] - old[0], new[1] - old[1])

    def settle(self, *, unsure: bool) -> None:
        if self.resumed_at != self.engine.resumed_at:
            # Before overdue alerts are raised or repeated.
            self.resumed_at = self.engine.resumed_at
            self.touched |= dict.fromkeys(self.shares)
        touched, self.touched = self.touched, {}
        for subject in touched:
            self.look(self.shares[subject])

    def look(self, share: _Share) -> None:
        """Begin or end the condition according to the share, and set the deadline of the next check."""
        engine, now = self.engine, self.seen()
        share.move(now)
        is_open, change = self._is_open(), engine.hours_change(self.number)
        full = self.began + self.rule.within
        if is_open and now + _TINY >= full:
            self._judge(share)
        elif self._is_of_earlier_hours(share.subject):
            engine.end(self.number, share.subject, at_once=True, reason="hours")
        check = self._next(share, now, full) + self.unseen if is_open else change
        engine.set_deadline(share, min(check, change), self.number)

    def _is_open(self) -> bool:
        """Return whether the rule applies now; restart the window when its hours begin."""
        engine, hours = self.engine, self.rule.hours
        if hours is None:
            return True
        began = hours.started_at(engine.wall(engine.now))
        if began is not None and began != self.hours_began:
            # Hours that began in an outage are seen from its end.
            self.began = max(self.began, max(engine.axis(began), engine.resumed_at) - self.unseen)
        self.hours_began = began
        return began is not None

    def keeps(self, subject: Subject) -> bool:
        return subject in self.shares

    def _is_of_earlier_hours(self, subject: Subject) -> bool:
        """Return whether the condition began to hold before the present hours. An outage alone does not end it."""
        began, since = self.engine.hours_began(self.number), self.engine.holds_since(self.number, subject)
        return since is not None and (began is None or since < began)

    def _limit(self) -> tuple[float, float]:
        """Return the limit, and 1 if it is an upper limit, -1 if it is a lower one."""
        return (self.rule.below or 0.0, -1.0) if self.rule.above is None else (self.rule.above, 1.0)

    def _excess(self, share: _Share) -> float:
        limit, sign = self._limit()
        return sign * (share.talk - limit * share.signed_in)

    def _judge(self, share: _Share) -> None:
        if share.signed_in > _TINY and self._excess(share) > _TINY:
            self.engine.begin(self.number, share.subject, self.engine.now, approximate=False)
        else:
            self.engine.end(self.number, share.subject)

    def _next(self, share: _Share, now: float, full: float) -> float:
        """Return when to check again, in seen time: F may cross 0, F changes its slope, or the window is complete."""
        if now + _TINY < full:
            return full
        limit, sign = self._limit()
        # The counts at the window's start, and until when they last.
        history = share.history
        if history[0][0] > now - self.rule.within + _TINY:
            talking, signed_in, bend = 0, 0, history[0][0]
        else:
            _, talking, signed_in = history[0]
            bend = history[1][0] if len(history) > 1 else now
        slope = sign * ((share.counts[0] - talking) - limit * (share.counts[1] - signed_in))
        excess = self._excess(share)
        moments = [bend + self.rule.within]
        holds = self.engine.holds(self.number, share.subject)
        if slope and (slope < 0) == holds:
            moments.append(now - excess / slope + 2 * _TINY)
        return max(now + _TINY, min(moments))

    def go_back(self, at: float) -> None:
        """Take back what was counted after a moment of the axis: the feed was down then, which is known only now."""
        for share in self.shares.values():
            share.go_back(at - self.unseen)

    def pause(self, seconds: float) -> None:
        """Leave an outage of `seconds` out of the seen time."""
        self.unseen += seconds

    def value(self, subject: Subject, at: float, since: float) -> float:
        share = self.shares.get(subject)
        if share is not None and not self.engine.frozen:
            share.move(self.seen())
        return share.talk / share.signed_in if share is not None and share.signed_in > _TINY else 0.0

    def save(self) -> list[list[Any]]:
        # The time after a restart continues an outage, all of which is unseen.
        now = self.engine.blind_since - self.unseen if self.engine.frozen else self.seen()
        rows: list[list[Any]] = [[None, None, now - self.began, [], self.hours_began and self.hours_began.isoformat()]]
        rows += [[*it.subject, 0.0, [[now - at, *counts] for at, *counts in it.history]] for it in self.shares.values()]
        return rows

    def load(self, rows: Iterable[list[Any]]) -> None:
        for queue, extension, ago, history, *began in rows:
            if not history:
                self.began = self.seen() - ago
                self.hours_began = datetime.fromisoformat(began[0]) if any(began) else None
                continue
            if not self.has((queue, extension)):
                continue
            share = self.share_of((queue, extension))
            changes = [(self.seen() - before, talking, signed_in) for before, talking, signed_in in history]
            share.history = deque(changes)
            share.restart(self.seen())
