"""`Figures`: what happened in one span of time, at one seat or at several."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from sipqueue_async import AgentState

MICROSECONDS: Final = 1_000_000
"""Microseconds in a second."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since the epoch.

    Raises:
        TypeError: It is not a datetime.
        ValueError: It is naive.
    """
    if not isinstance(moment, datetime):
        raise TypeError(f"the time must be an aware datetime, not {moment!r}")
    if moment.utcoffset() is None:
        raise ValueError(f"the time must be an aware datetime, not {moment!r}")
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(at: int) -> datetime:
    """Return the moment of microseconds since the epoch (aware, UTC)."""
    return _EPOCH + at * _MICROSECOND


def _all_states(elapsed: Mapping[AgentState, int]) -> Mapping[AgentState, int]:
    return {state: elapsed.get(state, 0) for state in AgentState}


def _no_time() -> Mapping[AgentState, int]:
    return {}


@attrs.frozen(kw_only=True)
class Figures:
    """Calls and times of one span, at one seat or summed over several. Durations are whole microseconds.

    `a + b` are the figures of two spans that do not overlap, or of two seats. Sums are exact. `Figures()` has no calls
    and no time.
    """

    answered: int = 0
    """Calls answered."""
    hidden: int = 0
    """How many of the answered calls no snapshot shows: see `CallAnswered.hidden_count`."""
    missed: int = 0
    """Offered calls that the agent did not answer."""
    elapsed: Mapping[AgentState, int] = attrs.field(factory=_no_time, converter=_all_states)
    """Microseconds in each state; every state has an entry."""
    unseen: int = 0
    """Microseconds during which the state was unknown: the feed was down, or nothing was recorded."""
    first_signed_in: int | None = None
    """The first moment in a state other than offline, in microseconds since the epoch; None if there is none."""
    last_signed_in: int | None = None
    """The end of the time in states other than offline, in microseconds since the epoch; None if there is none."""
    longest_talk: int = 0
    """Microseconds of the longest talk that ended in the span or was under way at its end: its full length, even if it
    began before the span. Time that is unseen does not count."""

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            answered=self.answered + other.answered,
            hidden=self.hidden + other.hidden,
            missed=self.missed + other.missed,
            elapsed={state: elapsed + other.elapsed[state] for state, elapsed in self.elapsed.items()},
            unseen=self.unseen + other.unseen,
            first_signed_in=min(_known(self.first_signed_in, other.first_signed_in), default=None),
            last_signed_in=max(_known(self.last_signed_in, other.last_signed_in), default=None),
            longest_talk=max(self.longest_talk, other.longest_talk),
        )

    @property
    def seconds(self) -> dict[AgentState, float]:
        """Seconds in each state; every state has an entry."""
        return {state: elapsed / MICROSECONDS for state, elapsed in self.elapsed.items()}

    @property
    def talk_seconds(self) -> float:
        """Seconds in the state talking."""
        return self.elapsed[AgentState.TALKING] / MICROSECONDS

    @property
    def signed_in_seconds(self) -> float:
        """Seconds in any state except offline."""
        return self._signed_in / MICROSECONDS

    @property
    def unseen_seconds(self) -> float:
        """Seconds during which the state was unknown."""
        return self.unseen / MICROSECONDS

    @property
    def occupancy(self) -> float | None:
        """Talk time as a share of signed-in time, 0 to 1; None without signed-in time."""
        return self.elapsed[AgentState.TALKING] / self._signed_in if self._signed_in else None

    @property
    def answer_rate(self) -> float | None:
        """Answered calls as a share of answered and missed ones, 0 to 1; None without calls."""
        offered = self.answered + self.missed
        return self.answered / offered if offered else None

    @property
    def mean_talk_seconds(self) -> float | None:
        """Talk time divided by the number of answered calls, in seconds; None without answered calls."""
        return self.talk_seconds / self.answered if self.answered else None

    @property
    def longest_talk_seconds(self) -> float:
        """The longest talk in seconds."""
        return self.longest_talk / MICROSECONDS

    @property
    def first_signed_in_at(self) -> datetime | None:
        """The first moment in a state other than offline (aware, UTC); None if there is none."""
        return None if self.first_signed_in is None else moment_of(self.first_signed_in)

    @property
    def last_signed_in_at(self) -> datetime | None:
        """The end of the time in states other than offline (aware, UTC); None if there is none."""
        return None if self.last_signed_in is None else moment_of(self.last_signed_in)

    @property
    def _signed_in(self) -> int:
        return sum(self.elapsed.values()) - self.elapsed[AgentState.OFFLINE]


def _known(*moments: int | None) -> list[int]:
    return [moment for moment in moments if moment is not None]
