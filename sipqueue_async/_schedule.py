"""When polls are due: staggered, at a fixed rate after a success, with backoff and jitter after failures."""

from __future__ import annotations

import heapq
import math
import random
from typing import Final

from sipqueue_async._backoff import backoff

_SLACK: Final = 1e-3  # of an interval

# Seconds. A multiple of the golden ratio does not divide any usual interval, so delays that wrap around an interval
# fall between the earlier ones.
_STAGGER: Final = 0.01 * (math.sqrt(5) - 1) / 2


class StaggerSlots:
    """Numbers the running watchers of a process from 0, so that they do not all poll at the same moment."""

    def __init__(self) -> None:
        self._used = 0
        self._free: list[int] = []

    def acquire(self) -> int:
        """Return the lowest free number."""
        if self._free:
            return heapq.heappop(self._free)
        self._used += 1
        return self._used - 1

    def release(self, slot: int) -> None:
        """Free a number."""
        heapq.heappush(self._free, slot)


def stagger_delay(slot: int, interval: float) -> float:
    """Return how many seconds the watcher with this number waits before its first poll: less than one interval."""
    return slot * _STAGGER % interval


class Schedule:
    """Times of polls on a monotonic clock, in seconds.

    Args:
        start: The first poll's time.
        interval: From one poll's start to the next one's.
        max_backoff: The longest pause after a failure; `interval`, if that is longer.
    """

    def __init__(self, start: float, *, interval: float, max_backoff: float) -> None:
        self._start = start
        self._interval = interval
        self._longest = max(max_backoff, interval)

    def after_success(self, began: float, now: float) -> float:
        """Return the time of the next poll at the fixed rate.

        Polls missed during a stall are skipped. A poll that `refresh` requested does not shift the scheduled ones.
        """
        # Allow for a timer that fires a little early and for rounding: neither may repeat or skip a poll.
        last = math.floor((began - self._start) / self._interval + _SLACK)
        soonest = math.ceil((now - self._start) / self._interval - _SLACK)
        return self._start + max(last + 1, soonest) * self._interval

    def after_failure(self, now: float, failures: int, at_least: float = 0.0) -> float:
        """Return when to retry after so many consecutive failures.

        The pause is random between 0 and a limit (full jitter, so that the many clients of one server spread out). The
        limit begins at `interval` and doubles with each failure. The pause is no shorter than `at_least`.
        """
        return now + max(at_least, random.uniform(0.0, backoff(failures, self._interval, self._longest)))
