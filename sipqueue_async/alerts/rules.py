"""The rules, which say what raises an alert. A rule is plain data; `conditions` evaluates it."""

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
    """Return a duration of so many seconds."""
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    """Return a duration of so many minutes."""
    return timedelta(minutes=number)


def hours(number: float) -> timedelta:
    """Return a duration of so many hours."""
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


def _one_limit(rule: Rule, lower: str, upper: str) -> None:
    if (getattr(rule, lower) is None) == (getattr(rule, upper) is None):
        raise ValueError(f"the rule {rule.name!r} needs one limit: either {lower} or {upper}")


@attrs.frozen(kw_only=True)
class Rule:
    """The base of all rules.

    Args:
        name: The rule's name: it stands in alerts, in `unless` and in saved states.
        seats: Which queues and extensions the rule is for; all by default.
        hours: When the rule applies. A condition counts from the beginning of these hours at the earliest; outside
            them nothing is raised, and what was raised is cleared.
        unless: Names of rules: while one of them has an alert for the same seat, agent or queue, or for all queues,
            this one raises nothing.
        clear_after: For how long (seconds, or a timedelta) the condition must have been over before the alert clears.
        repeat_every: Raise the alert again at this interval as long as it stands; None for once.

    Raises:
        TypeError: A duration is none.
        ValueError: An argument makes no sense; the message names the rule and the argument.
    """

    kind: ClassVar[str] = ""
    """The kind of rule in saved states."""

    name: str = attrs.field(kw_only=False, validator=_not_empty)
    seats: SeatFilter = attrs.field(factory=SeatFilter, validator=attrs.validators.instance_of(SeatFilter))
    hours: Hours | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(Hours))
    )
    unless: tuple[str, ...] = attrs.field(default=(), converter=_to_names)
    clear_after: float = attrs.field(default=0.0, converter=_to_seconds, validator=_at_least_zero)
    repeat_every: float | None = attrs.field(default=None, converter=_optional_seconds, validator=_above_zero)

    @property
    def delay(self) -> float:
        """For how many seconds the condition must have held before the alert is raised."""
        return 0.0


@attrs.frozen(kw_only=True)
class StateLasts(Rule):
    """An agent has been in a state (or in one of several) for longer than a time.

    There is one alert a seat: an agent in several queues has one for each queue that shows the state.

    Args:
        states: The state, or several; a change between two of them does not begin the time anew.
        longer_than: Seconds, or a timedelta.
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
    """Fewer (or more) agents than a number are in some states.

    Args:
        fewer_than: Raise when fewer agents are in the states.
        more_than: Raise when more agents are in the states. Exactly one of both limits is given.
        states: The states that count; by default those who wait for a call. `SIGNED_IN` has all but offline.
        lasting: For how long, in seconds or as a timedelta.
        per: ``"queue"``, one alert a queue; ``"all"``, the agents of all queues together, each counted once.
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
    """So many offered calls were not answered within a time.

    Args:
        count: How many.
        within: Seconds, or a timedelta. The alert clears when fewer lie within this time.
        per: ``"agent"``, one alert an extension, all its queues together; ``"queue"``; or ``"all"``.
    """

    kind: ClassVar[str] = "missed-calls"

    count: int = attrs.field(validator=_whole(1))
    within: float = attrs.field(converter=_to_seconds, validator=_above_zero)
    per: str = attrs.field(default="agent", validator=_one_of("agent", "queue", "all"))


@attrs.frozen(kw_only=True)
class NoAnswers(Rule):
    """Agents wait for calls, and none was answered for a time.

    The platform does not tell who waits in a queue: no answered call while agents wait may be a quiet hour, or a line
    that is down. Use `hours` for when calls are expected.

    Args:
        longer_than: Seconds, or a timedelta, since the last answered call or since the first agent began to wait.
        per: ``"queue"``, one alert a queue; or ``"all"``.
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
    """The share of the time signed in that was spent talking, over a sliding window, is too high or too low.

    Args:
        within: The window: seconds, or a timedelta. Only time that was seen counts; before a whole window was seen,
            nothing is raised or cleared.
        above: Raise when the share (0 to 1) is above.
        below: Raise when the share is below. Exactly one of both limits is given.
        per: ``"queue"``, one alert a queue; or ``"all"``.
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
    """An agent is not signed in, in any queue, for longer than a time, at hours at which they should be.

    Args:
        extensions: The agents' extensions: one or several.
        longer_than: Seconds, or a timedelta, since signing out or since the beginning of the hours.
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
        lasting: For how long, in seconds or as a timedelta, since the last good answer.
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
        TypeError: One of them is no rule.
        ValueError: Two have the same name, an `unless` names no rule, or two rules wait for each other.
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
                raise ValueError(f"the rule {rule.name!r} has an unless that names no rule: {other!r}")
    ordered: dict[str, Rule] = {}
    while len(ordered) < len(given):
        ready = [it for it in given.values() if it.name not in ordered and all(name in ordered for name in it.unless)]
        if not ready:
            names = ", ".join(repr(name) for name in given if name not in ordered)
            raise ValueError(f"these rules wait for each other by their unless: {names}")
        ordered |= {rule.name: rule for rule in ready}
    return tuple(ordered.values())
