"""The clock of a tally: seen and unseen time.

It counts whole microseconds, the resolution of `datetime`, so that sums of any number of steps are exact.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import attrs

MICROSECONDS: Final = 1_000_000
"""Microseconds in a second."""

_MICROSECOND: Final = timedelta(microseconds=1)
_STEP: Final = timedelta(seconds=1)
"""A smaller difference between the clocks is not a step: the wall clock may be slewed, or two readings swapped."""


@attrs.define
class Clock:
    """Counts seen and unseen time, in microseconds.

    The time between two moments is the difference of their monotonic readings if both have one. Otherwise it is the
    difference of their wall times, or 0 if the wall clock was set back.
    """

    started_at: datetime | None = None
    """When the tally began, by the present wall clock: a step of the clock moves this time too."""
    at: datetime | None = None
    """The moment up to which time is counted; None before the first snapshot."""
    steady: float | None = None
    """The same moment in seconds of a monotonic clock, if known."""
    seen: int = 0
    unseen: int = 0
    blind: bool = False
    """Whether the time from `at` on counts as unseen."""

    @property
    def total(self) -> int:
        """Seen and unseen time together."""
        return self.seen + self.unseen

    def start(self, at: datetime, steady: float | None = None) -> None:
        """Start counting at a moment."""
        self.started_at = self.at = at
        self.steady = steady

    def move(self, at: datetime, steady: float | None = None) -> None:
        """Count the time up to a moment."""
        passed = self._passed(at, steady)
        if self.at is not None and self.started_at is not None:
            step = at - self.at - passed * _MICROSECOND
            if abs(step) >= _STEP or at < self.started_at:
                self.started_at += step
        self.seen, self.unseen = self._after(passed)
        self.at, self.steady = at, steady

    def is_news(self, at: datetime, steady: float | None = None) -> bool:
        """Return whether a moment is after the clock's time, or before it because the wall clock was set back.

        Raises:
            ValueError: The moment is naive.
        """
        return self._passed(at, steady) > 0 or (self.at is not None and self.at - at >= _STEP)

    def reading(self, at: datetime | None = None) -> tuple[int, int]:
        """Return the seen and unseen time up to a moment; up to the clock's time if the moment is earlier or None.

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
