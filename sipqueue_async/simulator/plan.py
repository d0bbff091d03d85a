"""`Plan`: the description of a simulated call centre."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import attrs

SHORT_CALL: Final = (0.3, 3.0)
"""The shortest and the longest of a plan's `short_calls`, in seconds."""

_Check = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def _whole(low: int) -> _Check:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if type(value) is not int or value < low:
            raise ValueError(f"{attribute.name} must be a whole number, {low} or more, not {value!r}")

    return check


def _number(low: float, *, or_low: bool = True, high: float = math.inf, endless: bool = False) -> _Check:
    bounds = f"{'at least' if or_low else 'more than'} {low:g}"
    if high < math.inf:
        bounds += f" and at most {high:g}"
    elif not endless:
        bounds += " and finite"

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            inside = (low <= value if or_low else low < value) and value <= high
            if inside and (endless or value < math.inf):
                return
        raise ValueError(f"{attribute.name} must be a number, {bounds}, not {value!r}")

    return check


_share = _number(0, high=1)


@attrs.frozen(kw_only=True)
class Plan:
    """Describes a call centre for `CallCentre` to simulate.

    The defaults are a calm office of twelve agents who are always signed in. Durations are seconds unless the name says
    otherwise. The numbers are assumptions, not measurements of a real platform.

    Raises:
        ValueError: A value is out of its range; the message names it.
    """

    start: datetime = datetime(2026, 1, 5, 8)  # noqa: DTZ001  # the records' times have no zone
    """The server's local time when the model starts (naive)."""
    queues: int = attrs.field(default=2, validator=_whole(1))
    """How many queues: ``queue-1``, ``queue-2``, and so on."""
    agents: int = attrs.field(default=12, validator=_whole(1))
    """How many agents: extensions ``100001``, ``100002``, and so on. Each has a home queue, in rotation."""
    several_queues: float = attrs.field(default=0.25, validator=_share)
    """The share of agents who belong to two or more queues, if there are that many."""

    calls_per_hour: float = attrs.field(default=60.0, validator=_number(0))
    """Callers to each queue in an hour, on average: a Poisson process."""
    opening_callers: int = attrs.field(default=0, validator=_whole(0))
    """Callers who already wait in each queue when the model starts."""
    patience: float = attrs.field(default=120.0, validator=_number(0, or_low=False, endless=True))
    """Mean time after which a waiting caller hangs up (exponential); `math.inf` for never."""
    talk_median: float = attrs.field(default=150.0, validator=_number(0, or_low=False))
    """Median length of a call (lognormal)."""
    talk_sigma: float = attrs.field(default=0.8, validator=_number(0, high=3))
    """Sigma of the lognormal length of a call: 0 makes all calls equally long."""
    short_calls: float = attrs.field(default=0.05, validator=_share)
    """The share of calls that last 0.3 to 3 seconds (wrong numbers): no snapshot shows most of them."""

    ring_timeout: float = attrs.field(default=20.0, validator=_number(1))
    """How long a phone rings before the offer counts as missed."""
    answer_delay: float = attrs.field(default=5.0, validator=_number(0, or_low=False))
    """Mean time until an agent answers or refuses."""
    refused: float = attrs.field(default=0.03, validator=_share)
    """Probability that an agent refuses an offer."""
    missed: float = attrs.field(default=0.05, validator=_share)
    """Probability that an agent lets an offer ring out. The rest of 1 is the probability of an answer."""
    wrap_up: int = attrs.field(default=10, validator=_whole(0))
    """Time after each call during which the agent gets no offer; the record's ``wrapuptime``."""
    no_answer_pause: float = attrs.field(default=15.0, validator=_number(0))
    """Time after a refused or missed offer during which the agent gets no other."""

    shift_hours: float | None = attrs.field(default=None, validator=attrs.validators.optional(_number(0, or_low=False)))
    """Hours an agent stays signed in; None keeps all agents signed in the whole time."""
    off_hours: float = attrs.field(default=16.0, validator=_number(0, or_low=False))
    """Hours an agent stays signed out between two shifts."""
    staggered: bool = True
    """Whether the agents' shifts begin at evenly spread times; if not, all begin when the model starts."""
    breaks_per_hour: float = attrs.field(default=0.3, validator=_number(0))
    """Breaks of an agent in an hour, on average."""
    break_minutes: float = attrs.field(default=10.0, validator=_number(0, or_low=False))
    """Mean length of a break; each is between half and one and a half of it."""
    external_calls_per_hour: float = attrs.field(default=0.0, validator=_number(0))
    """Calls outside the queues that a waiting agent makes in an hour, on average."""

    show_signed_out: bool = False
    """Whether the records show signed-out agents as offline (code 1200); if not, they lack these agents."""
    counter_reset: bool = False
    """Whether all counters fall to 0 at the server's local midnight."""
    time_reset: bool = False
    """Whether a reset of the counters also blanks the times of the last calls."""
    counted_at_end: bool = False
    """Whether `calls_answered` grows when a call ends; if not, it grows when the agent answers."""

    def __attrs_post_init__(self) -> None:
        if self.start.tzinfo is not None:
            raise ValueError(f"start must be a naive datetime, the server's local time, not {self.start!r}")
        if self.refused + self.missed > 1:
            raise ValueError(f"refused and missed are probabilities: {self.refused} + {self.missed} is more than 1")

    @property
    def queue_names(self) -> tuple[str, ...]:
        """The queues' names."""
        return tuple(f"queue-{number}" for number in range(1, self.queues + 1))

    @property
    def extensions(self) -> tuple[str, ...]:
        """The agents' extension numbers."""
        return tuple(str(100_000 + number) for number in range(1, self.agents + 1))

    @property
    def offered_load(self) -> float:
        """The traffic of all queues together, in erlangs: the mean number of calls at a time if all were answered."""
        long_call = self.talk_median * math.exp(self.talk_sigma**2 / 2)
        mean = (1 - self.short_calls) * long_call + self.short_calls * sum(SHORT_CALL) / 2
        return self.queues * self.calls_per_hour * mean / 3600

    @classmethod
    def lively(cls) -> Plan:
        """Return a plan for a demonstration at ten times real time.

        Callers wait from the start, so that something changes at once, and then several times a second.
        """
        return cls(
            calls_per_hour=240.0,
            opening_callers=2,
            patience=60.0,
            talk_median=40.0,
            talk_sigma=0.7,
            answer_delay=4.0,
            ring_timeout=15.0,
            breaks_per_hour=2.0,
            break_minutes=3.0,
            external_calls_per_hour=1.0,
        )
