"""Several back ends behind one address of a platform, some of which lag."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import attrs

from sipqueue_async import SeatKey
from sipqueue_async.simulator.seats import Seat


def _seconds(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{attribute.name} must be a finite number, 0 or more, not {value!r}")


@attrs.define(eq=False)
class BackEnd:
    """One of several back ends that answer a platform's status requests. Attributes may be changed at any time.

    Raises:
        ValueError: A number is negative or not finite.
    """

    behind: float = attrs.field(default=0.0, validator=_seconds)
    """By how many seconds its records lag."""
    share: float = attrs.field(default=1.0, validator=_seconds)
    """Its share of the requests, relative to the shares of the others."""
    fresh_time: bool = attrs.field(default=True, kw_only=True)
    """Whether `rsptime` is the present time; if not, it lags like the records."""
    _is_reset_due: bool = attrs.field(default=False, init=False, repr=False)
    _counted_before: dict[SeatKey, tuple[int, int, int]] = attrs.field(factory=dict, init=False, repr=False)

    def reset_counters(self) -> None:
        """Set this back end's counters to 0 at its next answer, as if it alone had been restarted."""
        self._is_reset_due = True

    def shown(self, seats: Sequence[Seat]) -> Sequence[Seat]:
        """Return the records with this back end's counters."""
        if self._is_reset_due:
            self._is_reset_due = False
            self._counted_before = {seat.key: _counters(seat) for seat in seats}
        if not self._counted_before:
            return seats
        return [_less(seat, self._counted_before.get(seat.key, (0, 0, 0))) for seat in seats]


class Balancer:
    """Distributes requests to back ends, as a load balancer does.

    Args:
        back_ends: The back ends.
        polls: The least and the most requests in a row that go to one back end.
        seed: Determines which requests go to which back end.

    Raises:
        ValueError: There is no back end, or `polls` is out of range.
    """

    def __init__(self, back_ends: Sequence[BackEnd], *, polls: tuple[int, int], seed: int) -> None:
        if not back_ends:
            raise ValueError("name at least one back end")
        least, most = polls
        if not 1 <= least <= most:
            raise ValueError(f"polls must be two numbers, the least (1 or more) and the most in a row, not {polls!r}")
        self._back_ends = back_ends
        self._polls = polls
        self._rng = random.Random(seed)
        self._left = 0
        self.last: BackEnd | None = None
        """The back end that answered last."""

    def next(self) -> BackEnd:
        """Return the back end that answers the next request."""
        if self.last is None or not self._left or not self.last.share:
            self._left = self._rng.randint(*self._polls)
            self.last = self._rng.choices(self._back_ends, [each.share for each in self._back_ends])[0]
        self._left -= 1
        return self.last

    def __str__(self) -> str:
        lags = ", ".join(f"{each.behind:g} s" for each in self._back_ends)
        return f"back ends that lag by {lags}"


def _counters(seat: Seat) -> tuple[int, int, int]:
    return seat.calls_answered, seat.no_answer_count, seat.external_calls_count


def _less(seat: Seat, before: tuple[int, int, int]) -> Seat:
    answered, missed, external = (max(0, now - then) for now, then in zip(_counters(seat), before, strict=True))
    return attrs.evolve(seat, calls_answered=answered, no_answer_count=missed, external_calls_count=external)
