"""One condition a rule: follows events, and tells the engine when what the rule asks for begins and ends."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

from sipqueue_async import AgentState, AgentStatus, CallAnswered, CallMissed, SeatKey
from sipqueue_async.alerts.engine import Engine, Subject
from sipqueue_async.alerts.rules import (
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SIGNED_IN,
    SignedOut,
    StateLasts,
)

R = TypeVar("R", bound=Rule)

_ALL: Final[Subject] = (None, None)


class Condition(Generic[R]):
    """What all conditions have in common.

    Args:
        engine: Whom to tell.
        number: Which of the engine's rules it is about.
        rule: The rule.
    """

    calls: bool = False
    """Whether it wants to see answered and missed calls of agents whose state is what it was."""

    def __init__(self, engine: Engine, number: int, rule: R) -> None:
        self.engine = engine
        self.number = number
        self.rule = rule
        self.admits: Callable[[SeatKey], bool] = _any_seat if rule.seats.is_all else rule.seats.admits
        """Return whether a seat is one of those that the rule is for."""

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        """Return whether a change between two states (None: not there) makes a difference to it."""
        return True

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        """Note a seat's new record; None stands for a seat that is not there."""

    def call(self, event: CallAnswered | CallMissed, *, anew: bool, unsure: bool) -> None:
        """Note calls; `anew` says that the agent's state began anew with them, though it has the same name."""

    def settle(self, *, unsure: bool) -> None:
        """Say what holds, once all seats of an update were noted."""

    def value(self, subject: Subject, at: float, since: float) -> float:
        """Return the figure that an alert shows: the seconds for which the condition has held."""
        return at - since

    def save(self) -> list[list[Any]]:
        """Return what is not known from the snapshot alone, as JSON can hold it; times are seconds before now."""
        return []

    def load(self, rows: Iterable[list[Any]]) -> None:
        """Take back what `save` gave."""


class StateLastsCondition(Condition[StateLasts]):
    """Each seat's time in the states."""

    calls = True

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return (before in self.rule.states) != (after in self.rule.states)

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        if after is not None and after.state in self.rule.states:
            engine = self.engine
            engine.begin(self.number, tuple(key), engine.now, approximate=unsure, agent=after.name)
        else:
            self.engine.end(self.number, tuple(key))

    def call(self, event: CallAnswered | CallMissed, *, anew: bool, unsure: bool) -> None:
        if anew and event.agent.state in self.rule.states:
            self.engine.end(self.number, tuple(event.key), at_once=True)
            self.seat(event.key, event.previous, event.agent, unsure=unsure)


class _Groups(Condition[R]):
    """A condition about queues, or about all of them together."""

    @property
    def per(self) -> str:
        """Whether it is one queue or all, as the rule says."""
        return str(getattr(self.rule, "per", "all"))

    def subject_of(self, key: SeatKey) -> Subject:
        """Return what a seat counts for."""
        match self.per:
            case "queue":
                return key.queue, None
            case "agent":
                return None, key.extension
            case _:
                return _ALL

    def known_subjects(self) -> Iterable[Subject]:
        """Return what is watched, whether a seat of it was ever seen or not."""
        if self.per == "all":
            return [_ALL]
        return [(queue, None) for queue in sorted(self.rule.seats.queues or ())]


class _Counted(_Groups[R]):
    """How many agents are in some states, by queue or in all; an agent in several queues counts once in all."""

    def __init__(self, engine: Engine, number: int, rule: R, states: frozenset[AgentState]) -> None:
        super().__init__(engine, number, rule)
        self.states = states
        self.agents: dict[Subject, Counter[str]] = {subject: Counter() for subject in self.known_subjects()}
        self.touched: dict[Subject, None] = dict.fromkeys(self.agents)

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return before is None or after is None or (before in self.states) != (after in self.states)

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        subject = self.subject_of(key)
        agents = self.agents.setdefault(subject, Counter())
        was, is_ = (it is not None and it.state in self.states for it in (before, after))
        if is_ > was:
            agents[key.extension] += 1
        elif was > is_:
            agents[key.extension] -= 1
            if not agents[key.extension]:
                del agents[key.extension]
        self.touched[subject] = None

    def settle(self, *, unsure: bool) -> None:
        touched, self.touched = self.touched, {}
        for subject in touched:
            self.judge(subject, len(self.agents[subject]), unsure=unsure)

    def judge(self, subject: Subject, number: int, *, unsure: bool) -> None:
        """Say whether a number of agents is what the rule asks for."""
        raise NotImplementedError


class AvailableCondition(_Counted[Available]):
    """Too few or too many agents in the rule's states."""

    def __init__(self, engine: Engine, number: int, rule: Available) -> None:
        super().__init__(engine, number, rule, rule.states)

    def judge(self, subject: Subject, number: int, *, unsure: bool) -> None:
        fewer, more = self.rule.fewer_than, self.rule.more_than
        if (fewer is not None and number < fewer) or (more is not None and number > more):
            self.engine.begin(self.number, subject, self.engine.now, approximate=unsure)
        else:
            self.engine.end(self.number, subject)

    def value(self, subject: Subject, at: float, since: float) -> float:
        return float(len(self.agents.get(subject, ())))


class NoAnswersCondition(_Counted[NoAnswers]):
    """Agents wait, and no call was answered."""

    calls = True

    def __init__(self, engine: Engine, number: int, rule: NoAnswers) -> None:
        super().__init__(engine, number, rule, frozenset({AgentState.WAITING}))

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
    """The missed calls of one subject that lie within the rule's time."""

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

    def fire(self, at: float) -> None:
        """Let go of what is too old."""
        self.condition.expire(self, at)


class MissedCallsCondition(_Groups[MissedCalls]):
    """So many missed calls within a time."""

    calls = True

    def __init__(self, engine: Engine, number: int, rule: MissedCalls) -> None:
        super().__init__(engine, number, rule)
        self.windows: dict[Subject, _Window] = {}

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return False

    def call(self, event: CallAnswered | CallMissed, *, anew: bool, unsure: bool) -> None:
        if isinstance(event, CallMissed):
            subject = self.subject_of(event.key)
            window = self.windows.get(subject)
            if window is None:
                window = self.windows[subject] = _Window(self, subject)
            window.add(self.engine.now, event.count)
            if window.total >= self.rule.count:
                agent = event.agent.name if self.per == "agent" else None
                self.engine.begin(self.number, subject, self.engine.now, approximate=unsure, agent=agent)

    def expect(self, window: _Window) -> None:
        """Have a window looked at when its oldest calls are too old."""
        self.engine.appoint(window, window.calls[0][0] + self.rule.within, self.number)

    def expire(self, window: _Window, at: float) -> None:
        """Let go of the calls that are too old."""
        while window.calls and window.calls[0][0] + self.rule.within <= at + 1e-6:
            window.total -= window.calls.popleft()[1]
        if window.total < self.rule.count:
            self.engine.end(self.number, window.subject)
        if window.calls:
            self.expect(window)
        else:
            del self.windows[window.subject]

    def value(self, subject: Subject, at: float, since: float) -> float:
        window = self.windows.get(subject)
        return float(window.total if window else 0)

    def save(self) -> list[list[Any]]:
        now = self.engine.now
        return [[*it.subject, [[now - at, count] for at, count in it.calls]] for it in self.windows.values()]

    def load(self, rows: Iterable[list[Any]]) -> None:
        for queue, extension, calls in rows:
            window = self.windows[queue, extension] = _Window(self, (queue, extension))
            for ago, count in calls:
                window.add(self.engine.now - ago, count)


class SignedOutCondition(Condition[SignedOut]):
    """Agents of a list who are signed in nowhere."""

    def __init__(self, engine: Engine, number: int, rule: SignedOut) -> None:
        super().__init__(engine, number, rule)
        self.seats = dict.fromkeys(rule.extensions, 0)
        self.names: dict[str, str | None] = {}
        self.touched: dict[str, None] = dict.fromkeys(rule.extensions)

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
                self.engine.begin(
                    self.number, (None, extension), self.engine.now, approximate=unsure, agent=name
                )


class FeedSilentCondition(Condition[FeedSilent]):
    """The feed is down."""

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        return False


class _Share:
    """The share of one subject's time signed in that was talk, over a sliding window of time that was seen.

    It is above a limit where F, the integral over the window of (talking - limit x signed in), is above 0. Between two
    changes at either end of the window F is a line, so the moment at which it crosses 0 is known beforehand.
    """

    __slots__ = ("condition", "counts", "history", "signed_in", "subject", "talk", "token", "upto")

    def __init__(self, condition: OccupancyCondition, subject: Subject, at: float) -> None:
        self.condition = condition
        self.subject = subject
        self.token = 0
        self.counts = [0, 0]
        """Agents talking, agents signed in: now."""
        self.history: deque[tuple[float, int, int]] = deque([(at, 0, 0)])
        """From when on how many talked and were signed in: from before the window's start up to now."""
        self.upto = at
        self.talk = self.signed_in = 0.0
        """Seconds within the window."""

    def move(self, at: float) -> None:
        """Let seen time pass."""
        start, end = self.upto - self.condition.rule.within, at - self.condition.rule.within
        self.talk += self.counts[0] * (at - self.upto)
        self.signed_in += self.counts[1] * (at - self.upto)
        while start < end:
            if len(self.history) > 1 and self.history[1][0] <= start:
                self.history.popleft()
                continue
            begin, talking, signed_in = self.history[0]
            stop = min(end, self.history[1][0]) if len(self.history) > 1 else end
            span = max(0.0, stop - max(start, begin))
            self.talk -= talking * span
            self.signed_in -= signed_in * span
            start = stop
        self.upto = at

    def restart(self, at: float) -> None:
        """Work the seconds within the window out again, from the history."""
        start = at - self.condition.rule.within
        ends = [*(begin for begin, _, _ in self.history)][1:] + [at]
        self.talk = self.signed_in = 0.0
        for (begin, talking, signed_in), end in zip(self.history, ends, strict=True):
            span = max(0.0, end - max(begin, start))
            self.talk += talking * span
            self.signed_in += signed_in * span
        self.upto = at

    def change(self, talking: int, signed_in: int) -> None:
        """Note that so many more (or fewer) agents talk and are signed in from now on."""
        self.counts[0] += talking
        self.counts[1] += signed_in
        if self.history[-1][0] == self.upto:
            self.history.pop()
        self.history.append((self.upto, *self.counts))

    def fire(self, at: float) -> None:
        """Look again: the share may have crossed the limit."""
        self.condition.look(self)


class OccupancyCondition(_Groups[Occupancy]):
    """The share of time spent talking, over a window."""

    def __init__(self, engine: Engine, number: int, rule: Occupancy) -> None:
        super().__init__(engine, number, rule)
        self.shares: dict[Subject, _Share] = {}
        self.touched: dict[Subject, None] = {}
        self.unseen = 0.0
        """Seconds of the axis for which nothing was known."""
        self.began = 0.0
        """When watching began, in seen time."""

    def seen(self) -> float:
        """Return how far seen time has come."""
        return self.engine.now - self.unseen

    def wants(self, before: AgentState | None, after: AgentState | None) -> bool:
        talk = (before is AgentState.TALKING) != (after is AgentState.TALKING)
        return talk or (before in SIGNED_IN) != (after in SIGNED_IN)

    def seat(self, key: SeatKey, before: AgentStatus | None, after: AgentStatus | None, *, unsure: bool) -> None:
        subject = self.subject_of(key)
        share = self.shares.get(subject)
        if share is None:
            share = self.shares[subject] = _Share(self, subject, self.seen())
        if subject not in self.touched:
            share.move(self.seen())
            self.touched[subject] = None
        old, new = ((0, 0) if it is None else _counts(it.state) for it in (before, after))
        share.change(new[0] - old[0], new[1] - old[1])

    def settle(self, *, unsure: bool) -> None:
        touched, self.touched = self.touched, {}
        for subject in touched:
            self.look(self.shares[subject])

    def look(self, share: _Share) -> None:
        """Say whether the share is what the rule asks for, and appoint when it may be another."""
        now = self.seen()
        share.move(now)
        full = self.began + self.rule.within
        if now + 1e-6 >= full:
            self._judge(share)
        self.engine.appoint(share, self._next(share, now, full) + self.unseen, self.number)

    def _limit(self) -> tuple[float, float]:
        """Return the limit, and 1 where more is too much, -1 where less is too little."""
        return (self.rule.below or 0.0, -1.0) if self.rule.above is None else (self.rule.above, 1.0)

    def _excess(self, share: _Share) -> float:
        limit, sign = self._limit()
        return sign * (share.talk - limit * share.signed_in)

    def _judge(self, share: _Share) -> None:
        if share.signed_in > 1e-6 and self._excess(share) > 1e-6:
            self.engine.begin(self.number, share.subject, self.engine.now, approximate=False)
        else:
            self.engine.end(self.number, share.subject)

    def _next(self, share: _Share, now: float, full: float) -> float:
        """Return when, in seen time, to look again: where the line may cross 0, or bends, or the window is full."""
        if now + 1e-6 < full:
            return full
        limit, sign = self._limit()
        start = now - self.rule.within
        changes = [at for at, _, _ in share.history if at > start + 1e-6]
        _, talking, signed_in = next((it for it in reversed(share.history) if it[0] <= start + 1e-6), (0.0, 0, 0))
        slope = sign * ((share.counts[0] - talking) - limit * (share.counts[1] - signed_in))
        excess = self._excess(share)
        moments = [changes[0] + self.rule.within] if changes else [now + self.rule.within]
        holds = self.engine.holds(self.number, share.subject)
        if slope and (slope < 0) == holds:
            moments.append(now - excess / slope + 2e-6)
        return max(now + 1e-6, min(moments))

    def pause(self, seconds: float) -> None:
        """Leave out seconds for which nothing was known."""
        self.unseen += seconds

    def value(self, subject: Subject, at: float, since: float) -> float:
        share = self.shares[subject]
        return share.talk / share.signed_in if share.signed_in else 0.0

    def save(self) -> list[list[Any]]:
        now = self.seen()
        rows: list[list[Any]] = [[None, None, now - self.began, []]]
        for it in self.shares.values():
            rows.append([*it.subject, now - it.upto, [[now - at, *counts] for at, *counts in it.history]])
        return rows

    def load(self, rows: Iterable[list[Any]]) -> None:
        for queue, extension, ago, *history in rows:
            if not history[0]:
                self.began = self.seen() - ago
                continue
            share = self.shares.get((queue, extension))
            if share is not None:
                changes = [(self.seen() - before, talking, signed_in) for before, talking, signed_in in history[0]]
                share.history = deque(changes)
                share.restart(self.seen())


def _any_seat(_: SeatKey) -> bool:
    return True


def _counts(state: AgentState) -> tuple[int, int]:
    return int(state is AgentState.TALKING), int(state in SIGNED_IN)


def condition_of(engine: Engine, number: int, rule: Rule) -> Condition[Any]:
    """Return a new condition for a rule.

    Raises:
        TypeError: There is none for a rule of this class.
    """
    match rule:
        case StateLasts():
            return StateLastsCondition(engine, number, rule)
        case Available():
            return AvailableCondition(engine, number, rule)
        case MissedCalls():
            return MissedCallsCondition(engine, number, rule)
        case NoAnswers():
            return NoAnswersCondition(engine, number, rule)
        case Occupancy():
            return OccupancyCondition(engine, number, rule)
        case SignedOut():
            return SignedOutCondition(engine, number, rule)
        case FeedSilent():
            return FeedSilentCondition(engine, number, rule)
        case _:
            raise TypeError(f"there is no condition for {rule!r}")
