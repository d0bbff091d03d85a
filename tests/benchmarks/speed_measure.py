"""The benchmark's method: contestants take turns in one process, and only their ratios count."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Self, TypeAlias

import attrs

Seconds: TypeAlias = Mapping[str, Sequence[float]]
"""The times of each contestant, round by round."""

clock: Final[Callable[[], float]] = time.perf_counter


_THRESHOLDS: Final = (50_000, 20, 100)
"""Thresholds of the garbage collector; Python's default is (700, 10, 10)."""


@contextmanager
def tuned_gc() -> Generator[None]:
    """Tune the garbage collector as the page about speed advises for large, long-lived processes."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class WrongAnswer(Exception):  # noqa: N818  # the contestant's error, not the benchmark's
    """A contestant found the wrong result."""


@attrs.frozen
class Spread:
    """The distribution of many rounds' values."""

    median: float
    low: float
    """The 10th percentile."""
    high: float
    """The 90th percentile."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of at least one value."""
        return cls(percentile(values, 0.5), percentile(values, 0.1), percentile(values, 0.9))

    @classmethod
    def of_ratios(cls, took: Sequence[float], units: Sequence[float]) -> Self:
        """Return the spread of the ratios of two contestants' times in the same rounds.

        If one of them took part in the first rounds only, the other rounds do not count.
        """
        return cls.of([mine / unit for mine, unit in zip(took, units, strict=False)])


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is at least as large as a share of the values, from 0 to 1."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


@attrs.frozen
class Limit:
    """The limit of a figure."""

    what: str
    measured: float
    limit: float
    at_least: bool = False
    """Whether the limit is a minimum; otherwise it is a maximum."""
    stretch: bool = False
    """Whether the limit is only a goal: missing it is no failure."""

    @property
    def met(self) -> bool:
        """Whether the limit is met."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        relation = "at least" if self.at_least else "at most"
        return f"{self.what}: {number(self.measured)}, {relation} {number(self.limit)} is wanted"


@attrs.frozen
class Section:
    """The results of one part of the benchmark as Markdown, and its limits."""

    part: str
    """The name of the part, which its marks in the page contain."""
    lines: Sequence[str]
    limits: Sequence[Limit] = ()


def number(value: float) -> str:
    """Return a figure, rounded to its significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def verdict(limit: Limit) -> str:
    """Return a limit and whether it is met."""
    return f"{number(limit.limit)}, {'met' if limit.met else 'missed'}"


def table(*rows: Sequence[str]) -> list[str]:
    """Return a Markdown table. The first row contains the titles; the first column labels the rows."""
    titles, *others = rows
    rule = [":--", *("--:" for _ in titles[1:])]
    return [f"| {' | '.join(row)} |" for row in (titles, rule, *others)]
