"""The condition of each kind of rule: follows events, and notifies the engine when it begins or ceases to hold."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

from sipqueue_async import AgentState, AgentStatus, CallAnswered, CallMissed, SeatFilter, SeatKey
from sipqueue_async.alerts.engine import Engine
from sipqueue_async.alerts.rules import (
    SIGNED_IN,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Rule,
    SignedOut,
    StateLasts,
)
from sipqueue_async.alerts.watches import Subject, seat_subject

R = TypeVar("R", bound=Rule)

_ALL: Final[Subject] = (None, None)


def covers(seats: SeatFilter, subject: Subject) -> bool:
    """Return whether the queue and the extension of a subject, as far as it has them, are admitted."""
    return all(
        name is None or admitted is None or name in admitted
        for name, admitted in zip(subject, (seats.queues, seats.extensions), strict=True)
    )


class Condition(ABC, Generic[R]):
    """The base of all conditions.

    Args:
        engine: The engine to notify.
        number: The rule's index in the engine.
        rule: The rule.
    """

    calls: bool = False
    """Whether the condition wants answered and missed calls, through `call`."""

    def __init__(self, engine: Engine, number: int, rule: R) -> None:
        self.engine = engine
        self.number = number
        self.rule = rule
        self.takes_all = rule.seats.is_all
        """Whether the rule covers all seats."""
        self.admits: Callable[[SeatKey], bool] = rule.seats.admits
        """Return whether the rule covers a seat."""
        self.shown: SeatFilter = SeatFilter()
        """The seats that the feed shows."""

    def has(self, subject: Subject) -> bool:
        """Return whether the rule can have an alert about a subject; a saved one may come from an earlier rule."""
        return self.is_subject(subject) and covers(self.rule.seats, subject) and covers(self.shown, subject)

    def is_subject(self, subject: Subject) -> bool:
        """Return whether the rule's alerts are about such a subject: a seat, a queue, an extension, or all."""
        return None not in subject

    @abstractmethod
    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        """Return whether a change between two states (None: no such seat) can affect the condition."""

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        """Process a change of a seat's record.

        Args:
            key: The seat.
            before: The record before; None if the seat is new.
            after: The record now; None if the seat has left.
            unsure: Whether the change may have happened earlier: in an outage, or in a coalesced update.
        """

    def call(self, event: CallAnswered | CallMissed, *, anew: bool, unsure: bool) -> None:
        """Process answered or missed calls.

        Args:
            event: The event.
            anew: Whether the calls restarted the agent's state, which has the same name as before.
            unsure: As for `seat`.
        """

    def settle(self, *, unsure: bool) -> None:
        """Report changed conditions to the engine, after all seats of an update were processed."""

    def value(self, subject: Subject, at: float, since: float) -> float:
        """Return the figure that an alert shows: the seconds for which the condition has held."""
        return at - since

    def keeps(self, subject: Subject) -> bool:
        """Return whether a restored condition is judged at the first snapshot only, and holds until then if it did."""
        return False

    def save(self) -> list[list[Any]]:
        """Return the data that the snapshot lacks, as JSON values; times are seconds before now."""
        return []

    def load(self, rows: Iterable[list[Any]]) -> None:
        """Restore the data that `save` returned, without the subjects that the rule no longer has."""


class StateLastsCondition(Condition[StateLasts]):
    """A seat is in one of the rule's states."""

    calls = True

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return (before in self.rule.states) != (after in self.rule.states)

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        if after is not None and after.state in self.rule.states:
            engine = self.engine
            engine.begin(self.number, seat_subject(key), engine.now, approximate=unsure, agent=after.name)
        else:
            self.engine.end(self.number, seat_subject(key), reason="left" if after is None else "ended")

    def call(self, event: CallAnswered | CallMissed, *, anew: bool, unsure: bool) -> None:
        if anew and event.agent.state in self.rule.states:
            self.engine.end(self.number, seat_subject(event.key), at_once=True)
            self.seat(event.key, event.previous, event.agent, unsure=unsure)


def _queue_of(key: SeatKey) -> Subject:
    return key[0], None


def _extension_of(key: SeatKey) -> Subject:
    return None, key[1]


def _all_of(_: SeatKey) -> Subject:
    return _ALL


_SUBJECTS: Final[dict[str, Callable[[SeatKey], Subject]]] = {
    "queue": _queue_of,
    "agent": _extension_of,
    "all": _all_of,
}


class GroupCondition(Condition[R]):
    """A condition about queues, extensions, or all seats together."""

    def __init__(self, engine: Engine, number: int, rule: R, per: str) -> None:
        super().__init__(engine, number, rule)
        self.per = per
        self.subject_of = _SUBJECTS[per]
        """Return the subject that a seat counts for."""

    def is_subject(self, subject: Subject) -> bool:
        queue, extension = subject
        return (queue is not None, extension is not None) == (self.per == "queue", self.per == "agent")

    def known_subjects(self) -> Iterable[Subject]:
        """Return the subjects that exist before the first snapshot."""
        if self.per == "all":
            return [_ALL]
        return [(queue, None) for queue in sorted(self.rule.seats.queues or ())]


class _Counted(GroupCondition[R]):
    """Counts the agents in some states, by queue or in total; the total counts an agent in several queues once."""

    def __init__(self, engine: Engine, number: int, rule: R, per: str, states: frozenset[AgentState]) -> None:
        super().__init__(engine, number, rule, per)
        self.states = states
        self.agents: dict[Subject, int] = dict.fromkeys(self.known_subjects(), 0)
        self.seats: dict[str, int] = {}
        """The number of an agent's seats that are in the states; a queue has one seat of an agent."""
        self.touched: dict[Subject, None] = dict.fromkeys(self.agents)

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return before is None or after is None or (before in self.states) != (after in self.states)

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        subject = self.subject_of(key)
        was_in = before is not None and before.state in self.states
        is_in = after is not None and after.state in self.states
        change = is_in - was_in
        if change and self.per == "all":
            change = self._of_agent(key.extension, change)
        self.agents[subject] = self.agents.get(subject, 0) + change
        self.touched[subject] = None

    def _of_agent(self, extension: str, change: int) -> int:
        """Return the change of the number of agents for a change of the number of an agent's seats."""
        seats = self.seats.get(extension, 0)
        self.seats[extension] = seats + change
        return (seats + change > 0) - (seats > 0)

    def settle(self, *, unsure: bool) -> None:
        touched, self.touched = self.touched, {}
        for subject in touched:
            self.judge(subject, self.agents[subject], unsure=unsure)

    def save(self) -> list[list[Any]]:
        return [list(subject) for subject in self.agents]

    def load(self, rows: Iterable[list[Any]]) -> None:
        # The rows include queues whose agents have all left.
        for queue, extension in rows:
            if self.has((queue, extension)):
                self.agents.setdefault((queue, extension), 0)
                self.touched[queue, extension] = None
        self.settle(unsure=False)

    @abstractmethod
    def judge(self, subject: Subject, number: int, *, unsure: bool) -> None:
        """Begin or end the condition for a number of agents."""


class AvailableCondition(_Counted[Available]):
    """Too few or too many agents in the rule's states."""

    def __init__(self, engine: Engine, number: int, rule: Available) -> None:
        super().__init__(engine, number, rule, rule.per, rule.states)

    def judge(self, subject: Subject, number: int, *, unsure: bool) -> None:
        fewer, more = self.rule.fewer_than, self.rule.more_than
        if (fewer is not None and number < fewer) or (more is not None and number > more):
            self.engine.begin(self.number, subject, self.engine.now, approximate=unsure)
        else:
            self.engine.end(self.number, subject)

    def value(self, subject: Subject, at: float, since: float) -> float:
        # A restored alert may be about a queue that the rule no longer has.
        return float(self.agents.get(subject, 0))


class NoAnswersCondition(_Counted[NoAnswers]):
    """Agents wait, and no call is answered."""

    calls = True

    def __init__(self, engine: Engine, number: int, rule: NoAnswers) -> None:
        super().__init__(engine, number, rule, rule.per, frozenset({AgentState.WAITING}))

    def judge(self, subject: Subject, number: int, *, unsure: bool) -> None:
        if number:
            self.engine.begin(self.number, subject, self.engine.now, approximate=unsure)
        else:
            self.engine.end(self.number, subject)

    def call(self, event: CallAnswered | CallMissed, *, anew: bool, unsure: bool) -> None:
        if isinstance(event, CallAnswered):
            subject = self.subject_of(event.key)
            self.engine.end(self.number, subject, at_once=True)
            self.touched[subject] = None


class _Window:
    """One subject's missed calls within the rule's time."""

    __slots__ = ("calls", "condition", "subject", "token", "total")

    def __init__(self, condition: MissedCallsCondition, subject: Subject) -> None:
        self.condition = condition
        self.subject = subject
        self.calls: deque[tuple[float, int]] = deque()
        self.total = 0
        self.token = 0

    def add(self, at: float, count: int) -> None:
        """Add calls."""
        self.calls.append((at, count))
        self.total += count
        if len(self.calls) == 1:
            self.condition.expect(self)

    def drop(self, before: float) -> bool:
        """Drop the calls before a moment; return whether there were any."""
        length = len(self.calls)
        while self.calls and self.calls[0][0] < before:
            self.total -= self.calls.popleft()[1]
        return len(self.calls) < length

    def fire(self, at: float) -> None:
        """Drop expired calls."""
        self.condition.expire(self, at)


class MissedCallsCondition(GroupCondition[MissedCalls]):
    """At least `count` calls were missed within the rule's time, and since its hours began."""

    calls = True

    def __init__(self, engine: Engine, number: int, rule: MissedCalls) -> None:
        super().__init__(engine, number, rule, rule.per)
        self.windows: dict[Subject, _Window] = {}
        self.resumed_at = -math.inf
        """When the last outage ended after which calls were dropped that had expired in it, on the axis."""

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return False

    def call(self, event: CallAnswered | CallMissed, *, anew: bool, unsure: bool) -> None:
        began = self.engine.hours_began(self.number)
        if isinstance(event, CallMissed) and began is not None:
            subject = self.subject_of(event.key)
            window = self.windows.get(subject)
            if window is None:
                window = self.windows[subject] = _Window(self, subject)
            elif window.drop(began):
                self.engine.end(self.number, subject, at_once=True, reason="hours")
            window.add(self.engine.now, event.count)
            self.judge(window, event.agent.name if self.per == "agent" else None, unsure=unsure)

    def judge(self, window: _Window, agent: str | None, *, unsure: bool) -> None:
        """Begin the condition if a window has enough calls."""
        if window.total >= self.rule.count:
            self.engine.begin(self.number, window.subject, self.engine.now, approximate=unsure, agent=agent)

    def settle(self, *, unsure: bool) -> None:
        if self.resumed_at != self.engine.resumed_at:
            # Before overdue alerts are raised or repeated.
            self.resumed_at = self.engine.resumed_at
            for window in tuple(self.windows.values()):
                self.expire(window, self.engine.now)

    def expect(self, window: _Window) -> None:
        """Set a window's deadline to the time at which its oldest calls expire, or to the end of the hours."""
        expires = window.calls[0][0] + self.rule.within
        self.engine.set_deadline(window, min(expires, self.engine.hours_change(self.number)), self.number)

    def expire(self, window: _Window, at: float) -> None:
        """Drop expired calls, and end the condition if too few are left."""
        began = self.engine.hours_began(self.number)
        if window.drop(math.inf if began is None else began):
            self.engine.end(self.number, window.subject, at_once=True, reason="hours")
        window.drop(at - self.rule.within + 2e-6)
        if window.total < self.rule.count:
            self.engine.end(self.number, window.subject)
        if window.calls:
            self.expect(window)
        else:
            self.engine.cancel_deadline(window)
            del self.windows[window.subject]

    def value(self, subject: Subject, at: float, since: float) -> float:
        window = self.windows.get(subject)
        return float(window.total if window else 0)

    def save(self) -> list[list[Any]]:
        now = self.engine.now
        return [[*it.subject, [[now - at, count] for at, count in it.calls]] for it in self.windows.values()]

    def load(self, rows: Iterable[list[Any]]) -> None:
        for queue, extension, calls in rows:
            if not self.has((queue, extension)):
                continue
            window = self.windows[queue, extension] = _Window(self, (queue, extension))
            for ago, count in calls:
                window.add(self.engine.now - ago, count)
            self.judge(window, None, unsure=False)


class SignedOutCondition(Condition[SignedOut]):
    """A listed agent is not signed in to any queue."""

    def __init__(self, engine: Engine, number: int, rule: SignedOut) -> None:
        super().__init__(engine, number, rule)
        self.seats = dict.fromkeys(rule.extensions, 0)
        self.names: dict[str, str | None] = {}
        self.touched: dict[str, None] = dict.fromkeys(rule.extensions)

    def is_subject(self, subject: Subject) -> bool:
        return subject[0] is None and subject[1] in self.seats

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return (before in SIGNED_IN) != (after in SIGNED_IN)

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        if key.extension in self.seats:
            was, is_ = (it is not None and it.state in SIGNED_IN for it in (before, after))
            self.seats[key.extension] += is_ - was
            self.touched[key.extension] = None
            known = after or before
            self.names[key.extension] = known.name if known else None

    def settle(self, *, unsure: bool) -> None:
        touched, self.touched = self.touched, {}
        for extension in touched:
            if self.seats[extension]:
                self.engine.end(self.number, (None, extension))
            else:
                name = self.names.get(extension)
                self.engine.begin(self.number, (None, extension), self.engine.now, approximate=unsure, agent=name)


class FeedSilentCondition(Condition[FeedSilent]):
    """The feed is down."""

    def is_subject(self, subject: Subject) -> bool:
        return subject == _ALL

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return False
