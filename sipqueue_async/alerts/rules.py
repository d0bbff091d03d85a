"""The kinds of rules. A rule is plain data that describes what raises an alert; `conditions` evaluates it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeAlias

import attrs

from sipqueue_async import AgentState, SeatFilter
from sipqueue_async.alerts.hours import Hours

Duration: TypeAlias = timedelta | float
"""A `timedelta`, or seconds."""

SIGNED_IN: Final = tuple(state for state in AgentState if state is not AgentState.OFFLINE)
"""Every state of an agent who is signed in."""


def seconds(number: float) -> timedelta:
    """Return a duration in seconds."""
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    """Return a duration in minutes."""
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    """Return a duration in hours."""
    return timedelta(hours=number)


def _to_seconds(duration: Duration) -> float:
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if isinstance(duration, bool) or not isinstance(duration, int | float):
        raise TypeError(f"a duration must be a timedelta or a number of seconds, not {duration!r}")
    return float(duration)


def _optional_seconds(duration: Duration | None) -> float | None:
    return None if duration is None else _to_seconds(duration)


def _to_states(states: AgentState | str | Iterable[AgentState | str]) -> frozenset[AgentState]:
    return frozenset(AgentState(state) for state in ((states,) if isinstance(states, str) else states))


def _to_names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _where(rule: object, field: attrs.Attribute[Any]) -> str:
    return f"{field.name} of the rule {getattr(rule, 'name', '')!r}"


def _at_least_zero(rule: object, field: attrs.Attribute[Any], value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{_where(rule, field)} must be 0 or more seconds, not {value!r}")


def _above_zero(rule: object, field: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{_where(rule, field)} must be more than 0 seconds, not {value!r}")


def _share(rule: object, field: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{_where(rule, field)} must be a share from 0 to 1, not {value!r}")


def _whole(least: int) -> Callable[[object, attrs.Attribute[Any], int | None], None]:
    def check(rule: object, field: attrs.Attribute[Any], value: int | None) -> None:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ValueError(f"{_where(rule, field)} must be a whole number, {least} or more, not {value!r}")

    return check


def _not_empty(rule: object, field: attrs.Attribute[Any], value: Iterable[object]) -> None:
    if not value:
        raise ValueError(f"{_where(rule, field)} must not be empty")


def _one_of(*choices: str) -> Callable[[object, attrs.Attribute[Any], str], None]:
    def check(rule: object, field: attrs.Attribute[Any], value: str) -> None:
        if value not in choices:
            raise ValueError(f"{_where(rule, field)} must be one of {', '.join(choices)}, not {value!r}")

    return check


def _is_a(kind: type) -> Callable[[object, attrs.Attribute[Any], object], None]:
    def check(rule: object, field: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise TypeError(f"{_where(rule, field)} must be of the class {kind.__name__}, not {value!r}")

    return check


def _one_limit(rule: Rule, lower: str, upper: str) -> None:
    if (getattr(rule, lower) is None) == (getattr(rule, upper) is None):
        raise ValueError(f"the rule {rule.name!r} needs one limit: either {lower} or {upper}")


@attrs.frozen(kw_only=True)
class Rule:
    """The base of all rules.

    Args:
        name: The rule's name, which alerts, `unless` and saved states use.
        seats: The queues and extensions to which the rule applies; all by default.
        hours: When the rule applies. The time of a condition starts with these hours at the earliest. Outside them the
            rule raises nothing, and its alerts clear.
        unless: Names of other rules. While one of them has a raised alert about the same seat, agent or queue, or about
            all queues, this rule raises nothing.
        clear_after: How long the condition must have ended before the alert clears (seconds, or a timedelta).
        repeat_every: Raise the alert again at this interval until it clears; None for once.

    Raises:
        TypeError: A duration is neither a timedelta nor a number, or `seats` or `hours` has another type.
        ValueError: An argument is invalid; the message names the rule and the argument.
    """

    kind: ClassVar[str] = ""
    """The kind of rule in saved states."""

    name: str = attrs.field(kw_only=False, validator=_not_empty)
    seats: SeatFilter = attrs.field(factory=SeatFilter, validator=_is_a(SeatFilter))
    hours: Hours | None = attrs.field(default=None, validator=attrs.validators.optional(_is_a(Hours)))
    unless: tuple[str, ...] = attrs.field(default=(), converter=_to_names)
    clear_after: float = attrs.field(default=0.0, converter=_to_seconds, validator=_at_least_zero)
    repeat_every: float | None = attrs.field(default=None, converter=_optional_seconds, validator=_above_zero)

    @property
    def delay(self) -> float:
        """For how many seconds the condition must have held before the alert is raised."""
        return 0.0


@attrs.frozen(kw_only=True)
class StateLasts(Rule):
    """An agent has been in a state, or in one of several states, for longer than a given time.

    Alerts are per seat: an agent in several queues has one for each queue that shows the state.

    Args:
        states: The state, or several states. A change between two of them does not restart the time.
        longer_than: The time: seconds, or a timedelta.
    """

    kind: ClassVar[str] = "state-lasts"

    states: frozenset[AgentState] = attrs.field(kw_only=False, converter=_to_states, validator=_not_empty)
    longer_than: float = attrs.field(converter=_to_seconds, validator=_at_least_zero)

    @property
    def delay(self) -> float:
        """For how many seconds the condition must have held before the alert is raised."""
        return self.longer_than


@attrs.frozen(kw_only=True)
class Available(Rule):
    """Fewer (or more) agents than a limit are in certain states.

    Args:
        fewer_than: Raise if fewer agents are in the states.
        more_than: Raise if more agents are in the states. Give exactly one of the two limits.
        states: The states that count; by default waiting. `SIGNED_IN` holds all states except offline.
        lasting: How long the condition must hold: seconds, or a timedelta.
        per: ``"queue"`` for one alert per queue; ``"all"`` for the agents of all queues together, each counted once.
    """

    kind: ClassVar[str] = "available"

    fewer_than: int | None = attrs.field(default=None, validator=_whole(1))
    more_than: int | None = attrs.field(default=None, validator=_whole(0))
    states: frozenset[AgentState] = attrs.field(
        default=frozenset({AgentState.WAITING}), converter=_to_states, validator=_not_empty
    )
    lasting: float = attrs.field(default=0.0, converter=_to_seconds, validator=_at_least_zero)
    per: str = attrs.field(default="queue", validator=_one_of("queue", "all"))

    def __attrs_post_init__(self) -> None:
        _one_limit(self, "fewer_than", "more_than")

    @property
    def delay(self) -> float:
        """For how many seconds the condition must have held before the alert is raised."""
        return self.lasting


@attrs.frozen(kw_only=True)
class MissedCalls(Rule):
    """Too many offered calls were not answered within a given time.

    Args:
        count: Raise at this number of missed calls.
        within: The time: seconds, or a timedelta. The alert clears when fewer calls were missed within it. Only calls
            within the present `hours` count.
        per: ``"agent"`` for one alert per extension, all its queues together; ``"queue"``; or ``"all"``.
    """

    kind: ClassVar[str] = "missed-calls"

    count: int = attrs.field(validator=_whole(1))
    within: float = attrs.field(converter=_to_seconds, validator=_above_zero)
    per: str = attrs.field(default="agent", validator=_one_of("agent", "queue", "all"))


@attrs.frozen(kw_only=True)
class NoAnswers(Rule):
    """Agents are waiting, and no call was answered for longer than a given time.

    The platform does not report the callers in a queue. So the reason may be a quiet hour as well as a line that is
    down: limit the rule with `hours` to times at which calls are expected.

    Args:
        longer_than: The time since the last answered call, or since the first agent began to wait: seconds, or a
            timedelta.
        per: ``"queue"`` for one alert per queue; or ``"all"``.
    """

    kind: ClassVar[str] = "no-answers"

    longer_than: float = attrs.field(converter=_to_seconds, validator=_above_zero)
    per: str = attrs.field(default="queue", validator=_one_of("queue", "all"))

    @property
    def delay(self) -> float:
        """For how many seconds the condition must have held before the alert is raised."""
        return self.longer_than


@attrs.frozen(kw_only=True)
class Occupancy(Rule):
    """Occupancy, which is talk time as a share of signed-in time, is too high or too low over a sliding window.

    Args:
        within: The window: seconds, or a timedelta. Time during an outage does not count, nor time before the present
            `hours`. Until a whole window was observed, the rule raises and clears nothing.
        above: Raise if the share (0 to 1) is above this limit.
        below: Raise if the share is below this limit. Give exactly one of the two limits.
        per: ``"queue"`` for one alert per queue; or ``"all"``.
    """

    kind: ClassVar[str] = "occupancy"

    within: float = attrs.field(converter=_to_seconds, validator=_above_zero)
    above: float | None = attrs.field(default=None, validator=_share)
    below: float | None = attrs.field(default=None, validator=_share)
    per: str = attrs.field(default="queue", validator=_one_of("queue", "all"))

    def __attrs_post_init__(self) -> None:
        _one_limit(self, "above", "below")


@attrs.frozen(kw_only=True)
class SignedOut(Rule):
    """A listed agent has not been signed in to any queue for longer than a given time.

    Args:
        extensions: The agents' extensions: one or several.
        longer_than: The time since the agent signed out, or since the rule's hours began: seconds, or a timedelta.
    """

    kind: ClassVar[str] = "signed-out"

    extensions: tuple[str, ...] = attrs.field(converter=_to_names, validator=_not_empty)
    longer_than: float = attrs.field(default=0.0, converter=_to_seconds, validator=_at_least_zero)

    @property
    def delay(self) -> float:
        """For how many seconds the condition must have held before the alert is raised."""
        return self.longer_than


@attrs.frozen(kw_only=True)
class FeedSilent(Rule):
    """The platform cannot be reached.

    Args:
        lasting: The time since the last good answer: seconds, or a timedelta.
    """

    kind: ClassVar[str] = "feed-silent"

    lasting: float = attrs.field(default=0.0, converter=_to_seconds, validator=_at_least_zero)

    @property
    def delay(self) -> float:
        """For how many seconds the condition must have held before the alert is raised."""
        return self.lasting


RULES: Final[tuple[type[Rule], ...]] = (
    StateLasts,
    Available,
    MissedCalls,
    NoAnswers,
    Occupancy,
    SignedOut,
    FeedSilent,
)
"""Every kind of rule."""


def check_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return the rules, each after those that its `unless` names.

    Raises:
        TypeError: One of them is not a rule.
        ValueError: Two have the same name, an `unless` names no rule, or rules name each other in a cycle.
    """
    given: dict[str, Rule] = {}
    for rule in rules:
        if type(rule) not in RULES:
            raise TypeError(f"{rule!r} is not one of the rules: {', '.join(it.__name__ for it in RULES)}")
        if rule.name in given:
            raise ValueError(f"two rules have the name {rule.name!r}")
        given[rule.name] = rule
    for rule in given.values():
        for other in rule.unless:
            if other not in given:
                raise ValueError(f"the rule {rule.name!r} names {other!r} in unless, but there is no such rule")
    ordered: dict[str, Rule] = {}
    while len(ordered) < len(given):
        ready = [it for it in given.values() if it.name not in ordered and all(name in ordered for name in it.unless)]
        if not ready:
            names = ", ".join(repr(name) for name in given if name not in ordered)
            raise ValueError(f"these rules name each other in unless, in a cycle: {names}")
        ordered |= {rule.name: rule for rule in ready}
    return tuple(ordered.values())
