"""The clock that a tally counts by.

Time is kept in whole microseconds, the resolution of `datetime`, so sums are exact however many steps they are made of.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs

MICROSECONDS: Final = 1_000_000
"""Microseconds in a second."""

_MICROSECOND: Final = timedelta(microseconds=1)
_STEP: Final = timedelta(seconds=1)
"""A step of the wall clock is at least this long; less may be slewing, or two readings in the other order."""


@attrs.define
class Clock:
    """How much time was seen and how much passed unseen, in microseconds.

    Time is the difference of two steady readings where both are given. Otherwise it is the difference of two wall
    times, and none if the wall clock was set back.
    """

    started_at: datetime | None = None
    """When the tally began, by the wall clock as it is now: a step of that clock moves it too."""
    at: datetime | None = None
    """The moment up to which time is counted; None before anything is known."""
    steady: float | None = None
    """The same moment in seconds of a steady clock, if that is known."""
    seen: int = 0
    unseen: int = 0
    blind: bool = False
    """Whether nothing is known of the time from `at` on."""

    @property
    def total(self) -> int:
        """Seen and unseen time together."""
        return self.seen + self.unseen

    def start(self, at: datetime, steady: float | None = None) -> None:
        """Begin at a moment."""
        self.started_at = self.at = at
        self.steady = steady

    def move(self, at: datetime, steady: float | None = None) -> None:
        """Let time pass up to a moment."""
        passed = self._passed(at, steady)
        if self.at is not None and self.started_at is not None:
            step = at - self.at - passed * _MICROSECOND
            if abs(step) >= _STEP or at < self.started_at:
                self.started_at += step
        self.seen, self.unseen = self._after(passed)
        self.at, self.steady = at, steady

    def is_news(self, at: datetime, steady: float | None = None) -> bool:
        """Tell whether time has passed up to a moment, or the wall clock was set back to it.

        Raises:
            ValueError: The moment is naive.
        """
        return self._passed(at, steady) > 0 or (self.at is not None and self.at - at >= _STEP)

    def reading(self, at: datetime | None = None) -> tuple[int, int]:
        """Return the seen and unseen time up to a moment, or up to now if that is later or no moment is given.

        Raises:
            ValueError: The moment is naive.
        """
        return self._after(0 if at is None else self._passed(at, None))

    def _after(self, passed: int) -> tuple[int, int]:
        return (self.seen, self.unseen + passed) if self.blind else (self.seen + passed, self.unseen)

    def _passed(self, at: datetime, steady: float | None) -> int:
        if at.utcoffset() is None:
            raise ValueError(f"the time must be an aware datetime, not {at!r}")
        if steady is not None and self.steady is not None:
            return max(0, round((steady - self.steady) * MICROSECONDS))
        return max(0, (at - (self.at or at)) // _MICROSECOND)
