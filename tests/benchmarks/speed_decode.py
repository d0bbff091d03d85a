"""Decoding a body into events, compared with other libraries and with parsing alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

import attrs

from tests.benchmarks.speed_bodies import Step, Story
from tests.benchmarks.speed_contestants import LIBRARY, SPLITTING, UNIT, Contestant, library, others, parsers
from tests.benchmarks.speed_measure import (
    Limit,
    Seconds,
    Section,
    Spread,
    WrongAnswer,
    clock,
    number,
    table,
    tuned_gc,
    verdict,
)

SIZES: Final = (100, 1_000, 10_000, 100_000)
SHARES: Final = (0.0, 0.01, 0.1, 1.0)
_WARM_UP: Final = 3
_ROUNDS: Final = {100: 300, 1_000: 100, 10_000: 25}
_FEWEST_ROUNDS: Final = 5
# The others are many and slow, and their ratios are so large that fewer rounds are precise enough.
_OTHERS_WARM_UP: Final = 2
_OTHERS_SHARE: Final = 0.25
_OTHERS_FEWEST_ROUNDS: Final = 3

# Limits in units, for each share of changes.
_LIMITS: Final[dict[int, tuple[float, ...]]] = {
    1_000: (0.10, 0.50, 0.90, 4.5),
    10_000: (0.05, 0.30, 0.65, 2.6),
}
_LIMITS[100] = tuple(2 * limit for limit in _LIMITS[1_000])
_LIMITS[100_000] = tuple(1.25 * limit for limit in _LIMITS[10_000])
_SHUFFLED_LIMIT: Final = 1.5
_STRETCH: Final = {0.0: 0.05, 0.01: 0.20}
_STRETCH_SIZES: Final = (1_000, 10_000)


@attrs.frozen
class Case:
    """One case: a story, and the contestants that decode it."""

    records: int
    share: float
    shuffled: bool = False
    escaped: bool = True
    tuned: bool = False
    """Whether the garbage collector is tuned for a large, long-lived process."""

    @property
    def special(self) -> str:
        """The case's special condition after a comma, or an empty string."""
        order = ", in another order each time" if self.shuffled else ""
        return order + ("" if self.escaped else ", raw UTF-8") + (", gc tuned" if self.tuned else "")

    def __str__(self) -> str:
        return f"{self.records:,} records, {_percent(self.share)} changed{self.special}"


_UNTUNED: Final = (Case(100_000, 1.0),)
"""These limits apply only with tuning: without it, full collections of long-lived objects take most time."""


@attrs.frozen
class Found:
    """The results of a case."""

    case: Case
    rounds: int
    events: float
    """The average number of events per poll."""
    units: Mapping[str, Spread]
    """The times of the library, of splitting, and of the other contestants, in units."""
    in_splits: Spread
    """The library's time, in units of splitting."""

    @property
    def own(self) -> Spread:
        """The library's time, in units."""
        return self.units[LIBRARY]

    @property
    def limit(self) -> Limit | None:
        """The limit for the library's time, if the case has one."""
        limits = _LIMITS.get(self.case.records)
        if limits is None or self.case in _UNTUNED:
            return None
        if self.case.shuffled:
            return Limit(str(self.case), self.own.median, _SHUFFLED_LIMIT)
        return Limit(str(self.case), self.own.median, limits[SHARES.index(self.case.share)])

    @property
    def goal(self) -> Limit | None:
        """The stricter limit that is only a goal: missing it is no failure."""
        if self.case in _UNTUNED:
            return Limit(str(self.case), self.own.median, _LIMITS[self.case.records][-1], stretch=True)
        if self.case.records not in _STRETCH_SIZES or self.case.share not in _STRETCH or self.case.special:
            return None
        return Limit(str(self.case), self.own.median, _STRETCH[self.case.share], stretch=True)


def cases(sizes: Collection[int]) -> list[Case]:
    """Return all cases of these sizes. Shuffled records and unescaped text are measured at one size each."""
    found = [Case(size, share) for size in sizes for share in SHARES]
    found += [attrs.evolve(case, tuned=True) for case in _UNTUNED if case.records in sizes]
    found += [Case(size, share, shuffled=True) for size in sizes if size == 10_000 for share in SHARES[:2]]
    found += [Case(size, 0.01, escaped=False) for size in sizes if size == 1_000]
    return found


def run(sizes: Collection[int], effort: float) -> list[Found]:
    """Run all cases of these sizes, with `effort` times the usual number of rounds."""
    chosen = cases(sizes)
    # Measure the library first, before the other libraries are imported.
    found = [run_own(case, effort) for case in chosen]
    return [run_others(it) for it in found]


def run_own(case: Case, effort: float) -> Found:
    """Race the library against parsing alone."""
    rounds = max(1, round(effort * _ROUNDS.get(case.records, _FEWEST_ROUNDS)))
    steps = _steps(case, rounds)
    took = race([library(), *parsers()], steps, _WARM_UP, tuned=case.tuned)
    return Found(
        case,
        rounds,
        sum(step.events for step in steps[_WARM_UP:]) / rounds,
        {name: Spread.of_ratios(took[name], took[UNIT]) for name in (LIBRARY, SPLITTING)},
        Spread.of_ratios(took[LIBRARY], took[SPLITTING]),
    )


def run_others(found: Found) -> Found:
    """Race each of the others against the unit, with the same bodies as the library's."""
    rounds = min(found.rounds, max(_OTHERS_FEWEST_ROUNDS, round(found.rounds * _OTHERS_SHARE)))
    steps = _steps(found.case, rounds)[: _OTHERS_WARM_UP + rounds]
    unit, _ = parsers()
    units = dict(found.units)
    # One at a time: the objects that one contestant keeps would slow down garbage collection for another.
    for contestant in others(found.case.records):
        took = race([contestant, unit], steps, _OTHERS_WARM_UP, tuned=found.case.tuned)
        units[contestant.name] = Spread.of_ratios(took[contestant.name], took[UNIT])
    return attrs.evolve(found, units=units)


def _steps(case: Case, rounds: int) -> Sequence[Step]:
    story = Story(
        records=case.records,
        share=case.share,
        polls=_WARM_UP + rounds,
        shuffled=case.shuffled,
        escaped=case.escaped,
    )
    return story.steps()


def race(everyone: Sequence[Contestant], steps: Sequence[Step], warm_up: int, *, tuned: bool = False) -> Seconds:
    """Give each contestant the bodies in turn; the first bodies warm up and do not count.

    If the garbage collector is to be tuned, that happens after the first body, as in a real program.

    Raises:
        WrongAnswer: A contestant found the wrong changes.
    """
    took: dict[str, list[float]] = {contestant.name: [] for contestant in everyone}
    with ExitStack() as tuning:
        for round_, step in enumerate(steps):
            if tuned and round_ == 1:
                tuning.enter_context(tuned_gc())
            # The contestants take turns at going first.
            first = round_ % len(everyone)
            for contestant in (*everyone[first:], *everyone[:first]):
                if contestant.rounds is None or round_ < warm_up + contestant.rounds:
                    seconds = _take(contestant, step)
                    if round_ >= warm_up:
                        took[contestant.name].append(seconds)
    return took


def _take(contestant: Contestant, step: Step) -> float:
    # Copy the body, so that it is in the processor's cache for every contestant, including the first.
    body = bytes(memoryview(step.body))
    begun = clock()
    found = contestant.take(body)
    seconds = clock() - begun
    seats = contestant.seats(found)
    if seats is not None and set(seats) != step.changed:
        raise WrongAnswer(f"{contestant.name} found other changes than there were")
    return seconds


# ---- tables ----------------------------------------------------------------------------------------------------------


def section(found: Sequence[Found]) -> Section:
    """Return the tables and limits."""
    lines = [
        *table(
            ("records, changed", "events", f"`{LIBRARY}`", "10th to 90th percentile", "at most", "in splits", "rounds"),
            *map(_own_row, found),
        ),
        "",
    ]
    for size in sorted({it.case.records for it in found}):
        lines += [f"{size:,} records:", "", *_everyone(size, found), ""]
    limits = [limit for it in found for limit in (it.limit, it.goal) if limit is not None]
    return Section("decode", lines, limits)


def _own_row(found: Found) -> tuple[str, ...]:
    limits = [verdict(found.limit)] if found.limit else []
    if found.goal:
        limits.append(f"goal: {verdict(found.goal)}")
    return (
        str(found.case).replace(" records", "").replace(" changed", ""),
        number(found.events) if found.events else "0",
        f"**{number(found.own.median)}**",
        f"{number(found.own.low)} to {number(found.own.high)}",
        "; ".join(limits),
        number(found.in_splits.median),
        str(found.rounds),
    )


def _everyone(size: int, found: Sequence[Found]) -> list[str]:
    of_size = [it for it in found if it.case.records == size]
    titles = [f"{_percent(it.case.share)}{it.case.special}" for it in of_size]
    rows = [(name, *(number(it.units[name].median) for it in of_size)) for name in of_size[0].units]
    return table(("in units, changed:", *titles), *rows)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
