"""The alerts to expect of a simulated day, from the ground truth and the times of the polls alone."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import attrs

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.alerts import (
    SIGNED_IN,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
)
from sipqueue_async.simulator.truth import GroundTruth, Outcome, StateInterval
from tests.benchmarks.truth_alerts_day import Day

_TINY: Final = 1e-5


class Expected(NamedTuple):
    """One alert: when it is raised and cleared (None: not before the end), and since when its condition is true."""

    rule: str
    queue: str | None
    extension: str | None
    raised: float
    cleared: float | None
    began: float | None
    """In the call centre; None if the condition has no single beginning."""


@attrs.define
class Looks:
    """The good polls whose results were not lost, and the times during which nothing is known."""

    good: list[float] = attrs.field(factory=list)
    blind: list[tuple[float, float]] = attrs.field(factory=list)
    """From the first failed poll or the kill to the next good poll."""
    unseen: list[tuple[float, float]] = attrs.field(factory=list)
    """From the last known status to the next good poll."""
    outages: list[tuple[float, float, float | None]] = attrs.field(factory=list)
    """The last good poll, the first failed one, and the next good one."""

    def index(self, at: float) -> int:
        """Return the number of the first good poll at a moment or later."""
        return bisect_left(self.good, at)

    def fired(self, due: float) -> float:
        """Return when a deadline is acted on: after a time during which nothing is known."""
        at = bisect_right(self.blind, (due, float("inf"))) - 1
        return self.blind[at][1] if at >= 0 and due < self.blind[at][1] else due

    def seen(self, at: float) -> float:
        """Return a moment without the unseen times before it."""
        return at - sum(max(0.0, min(at, end) - begin) for begin, end in self.unseen)

    def unfolded(self, seen: float) -> float:
        """Return the moment of a seen time."""
        for begin, end in self.unseen:
            if seen > begin + _TINY:
                seen += end - begin
        return seen


def looks_of(day: Day) -> Looks:
    """Return what a run could know, from the times of its polls, saves and kills."""
    looks = Looks()
    known: float | None = None
    first_bad: float | None = None
    last_seen = 0.0
    kills = sorted(day.scenario.kills)
    events = sorted([*((at, 1, good) for at, good in day.polls), *((at, 0, False) for at in kills)])
    for at, is_poll, good in events:
        if not is_poll:
            saved = max(save for save in day.saves if save <= at)
            while looks.good and looks.good[-1] > saved:
                looks.good.pop()
            if first_bad is None:
                first_bad, last_seen = at, day.known[kills.index(at)]
            known = None
        elif good:
            if first_bad is not None:
                looks.blind.append((first_bad, at))
                looks.unseen.append((last_seen, at))
            looks.good.append(at)
            known, first_bad = at, None
        elif first_bad is None and known is not None:
            first_bad, last_seen = at, known
    return looks


class Span(NamedTuple):
    """The good polls, by their numbers, from and up to which a condition holds."""

    first: int
    end: int


def merged(spans: Iterable[Span], cuts: Sequence[int] = ()) -> Iterator[Span]:
    """Join spans that follow each other without a poll between them, except at the polls `cuts` (sorted)."""
    joined: Span | None = None
    for span in sorted(spans):
        if span.first >= span.end:
            continue
        if joined is not None and span.first == joined.end and not _has(cuts, span.first):
            joined = Span(joined.first, span.end)
            continue
        if joined is not None:
            yield joined
        joined = span
    if joined is not None:
        yield joined


def _has(cuts: Sequence[int], number: int) -> bool:
    at = bisect_left(cuts, number)
    return at < len(cuts) and cuts[at] == number


def _of_queue(queue: str) -> Callable[[SeatKey], bool]:
    return lambda key: key.queue == queue


def _of_extension(extension: str) -> Callable[[SeatKey], bool]:
    return lambda key: key.extension == extension


class Reference:
    """Works out the alerts of a day from the true intervals and calls."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.looks = looks_of(day)
        self.truth: GroundTruth = day.truth
        self.intervals = self.truth.intervals
        self.calls = sorted(self._calls())
        self.polls = len(self.looks.good)

    def _calls(self) -> Iterator[tuple[float, SeatKey, bool]]:
        """Yield each counted call: its time, seat, and whether it was answered."""
        for offer in self.truth.offers:
            answered = self.truth.counted_answer(offer)
            if answered is not None:
                yield answered, offer.key, True
            elif offer.outcome in {Outcome.REFUSED, Outcome.MISSED} and offer.ended_at is not None:
                yield offer.ended_at, offer.key, False

    def expected(self) -> list[Expected]:
        """Return the alerts of all rules."""
        kinds: dict[type[Rule], Callable[..., Iterable[Expected]]] = {
            StateLasts: self.state_lasts,
            Available: self.available,
            MissedCalls: self.missed,
            NoAnswers: self.no_answers,
            Occupancy: self.occupancy,
            SignedOut: self.signed_out,
            FeedSilent: self.silent,
        }
        found = [alert for rule in self.day.scenario.rules for alert in kinds[type(rule)](rule)]
        end = self.day.scenario.duration
        return [
            it._replace(cleared=None) if it.cleared is not None and it.cleared > end else it
            for it in found
            if it.raised <= end
        ]

    def span(self, interval: StateInterval) -> Span:
        """Return the polls that an interval covers."""
        end = self.polls if interval.end is None else self.looks.index(interval.end)
        return Span(self.looks.index(interval.start), end)

    def raised(self, spans: Iterable[Span], delay: float) -> Iterator[tuple[Span, float, float | None]]:
        """Yield the alerts of a condition that holds at these polls: span, raising and clearing."""
        good = self.looks.good
        for span in spans:
            due = self.looks.fired(good[span.first] + delay)
            end = good[span.end] if span.end < self.polls else None
            if due < (self.day.scenario.duration if end is None else end) - _TINY:
                yield span, due, end

    def state_lasts(self, rule: StateLasts) -> Iterator[Expected]:
        """Return the alerts of a `StateLasts`."""
        seats: defaultdict[SeatKey, list[StateInterval]] = defaultdict(list)
        for interval in self.intervals:
            if interval.state in rule.states:
                seats[interval.key].append(interval)
        cuts: defaultdict[SeatKey, list[int]] = defaultdict(list)
        for at, key, _ in self.calls:
            cuts[key].append(self.looks.index(at))
        for key, intervals in seats.items():
            spans = merged(map(self.span, intervals), cuts[key])
            starts = [it.start for it in intervals]
            for span, raised, cleared in self.raised(spans, rule.delay):
                began = starts[bisect_right(starts, self.looks.good[span.first]) - 1]
                yield Expected(rule.name, *key, raised, cleared, began)

    def _numbers(self, subject: Callable[[SeatKey], str | None], states: Iterable[AgentState]) -> dict[str, list[int]]:
        """Return the number of seats in the states at each poll, by subject."""
        steps: dict[str, list[int]] = {}
        wanted = frozenset(states)
        for interval in self.intervals:
            name = subject(interval.key)
            if name is not None:
                step = steps.setdefault(name, [0] * (self.polls + 1))
                span = self.span(interval)
                if interval.state in wanted and span.first < span.end:
                    step[span.first] += 1
                    step[span.end] -= 1
        return {name: list(accumulate(step[:-1])) for name, step in steps.items()}

    def _holding(self, numbers: Sequence[int], holds: Callable[[int], bool], cuts: Iterable[int] = ()) -> list[Span]:
        """Return the spans of polls at which a number meets the condition; each of `cuts` begins another one."""
        flags = [False, *map(holds, numbers), False]
        edges = [at for at, (one, other) in enumerate(pairwise(flags)) if one != other]
        spans: list[Span] = []
        inner = sorted(set(cuts))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            marks = [first, *inner[bisect_right(inner, first) : bisect_left(inner, end)], end]
            spans += [Span(*pair) for pair in pairwise(marks)]
        return spans

    def _true_beginning(
        self, key: Callable[[SeatKey], bool], holds: Callable[[int], bool], states: Iterable[AgentState]
    ) -> Callable[[float], float | None]:
        """Return a function of a moment: since when the number of seats in the states meets the condition there."""
        wanted = frozenset(states)
        steps: defaultdict[float, int] = defaultdict(int)
        steps[0.0] += 0
        for interval in self.intervals:
            if key(interval.key) and interval.state in wanted:
                steps[interval.start] += 1
                if interval.end is not None:
                    steps[interval.end] -= 1
        times = sorted(steps)
        flags = [holds(number) for number in accumulate(steps[at] for at in times)]

        def beginning(moment: float) -> float | None:
            at = bisect_right(times, moment) - 1
            while at > 0 and flags[at] and flags[at - 1]:
                at -= 1
            return times[at]

        return beginning

    def available(self, rule: Available) -> Iterator[Expected]:
        """Return the alerts of an `Available` with `fewer_than`, by queue."""
        assert rule.fewer_than is not None
        limit = rule.fewer_than
        for queue, numbers in self._numbers(lambda key: key.queue, rule.states).items():
            began = self._true_beginning(_of_queue(queue), lambda it: it < limit, rule.states)
            spans = self._holding(numbers, lambda number: number < limit)
            for span, raised, cleared in self.raised(spans, rule.delay):
                yield Expected(rule.name, queue, None, raised, cleared, began(self.looks.good[span.first]))

    def no_answers(self, rule: NoAnswers) -> Iterator[Expected]:
        """Return the alerts of a `NoAnswers`, by queue."""
        for queue, numbers in self._numbers(lambda key: key.queue, [AgentState.WAITING]).items():
            calls = [(at, key) for at, key, answered in self.calls if answered and key.queue == queue]
            answers = [at for at, key in calls if self._is_counted(key, self.looks.index(at))]
            spans = self._holding(numbers, bool, [self.looks.index(at) for at in answers])
            began = self._true_beginning(_of_queue(queue), bool, [AgentState.WAITING])
            for span, raised, cleared in self.raised(spans, rule.delay):
                seen = self.looks.good[span.first]
                last = bisect_right(answers, seen) - 1
                begin = began(seen) or 0.0
                yield Expected(rule.name, queue, None, raised, cleared, max(begin, answers[last] if last >= 0 else 0.0))

    def signed_out(self, rule: SignedOut) -> Iterator[Expected]:
        """Return the alerts of a `SignedOut`."""
        numbers = self._numbers(lambda key: key.extension, SIGNED_IN)
        for extension in rule.extensions:
            spans = self._holding(numbers.get(extension, [0] * self.polls), lambda number: number == 0)
            began = self._true_beginning(_of_extension(extension), lambda it: it == 0, SIGNED_IN)
            for span, raised, cleared in self.raised(spans, rule.delay):
                yield Expected(rule.name, None, extension, raised, cleared, began(self.looks.good[span.first]))

    def missed(self, rule: MissedCalls) -> Iterator[Expected]:
        """Return the alerts of a `MissedCalls` per agent."""
        good = self.looks.good
        told: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for at, key, answered in self.calls:
            number = self.looks.index(at)
            if not answered and self._is_counted(key, number):
                told[key.extension].append((good[number], at))
        for extension, calls in told.items():
            raised: tuple[float, float] | None = None
            moments = {seen for seen, _ in calls} | {self.looks.fired(seen + rule.within) for seen, _ in calls}
            for moment in sorted(moments):
                inside = [at for seen, at in calls if seen <= moment + _TINY and moment + _TINY < seen + rule.within]
                if raised is None and len(inside) >= rule.count:
                    raised = moment, inside[rule.count - 1]
                elif raised is not None and len(inside) < rule.count:
                    yield Expected(rule.name, None, extension, raised[0], moment, raised[1])
                    raised = None
            if raised is not None:
                yield Expected(rule.name, None, extension, raised[0], None, raised[1])

    def _is_counted(self, key: SeatKey, number: int) -> bool:
        """Return whether a poll and the one before it show a seat, so that its counter can be compared."""
        shown = range(number - 1, number + 1)
        return 0 < number < self.polls and all(
            self.truth.state_at(key, self.looks.good[it]) is not None for it in shown
        )

    def silent(self, rule: FeedSilent) -> Iterator[Expected]:
        """Return the alerts of a `FeedSilent`: the platform is away for long enough after a good poll."""
        polls = self.day.polls
        for begin, end in self.day.scenario.outages:
            last = max(at for at, good in polls if good and at < begin)
            failed = min(at for at, good in polls if not good and at >= begin)
            back = min((at for at, good in polls if good and at >= end), default=None)
            raised = max(failed, last + rule.delay)
            if back is None or raised < back:
                yield Expected(rule.name, None, None, raised, back, begin)

    def occupancy(self, rule: Occupancy) -> Iterator[Expected]:
        """Return the alerts of an `Occupancy` above a limit, all queues together."""
        assert rule.above is not None
        limit, good = rule.above, self.looks.good
        talk, signed_in = (
            [sum(it) for it in zip(*self._numbers(lambda key: key.queue, states).values(), strict=True)]
            for states in ([AgentState.TALKING], SIGNED_IN)
        )
        times = [self.looks.seen(at) for at in good]
        # The excess is the integral of talking - limit x signed in.
        rates = [one - limit * other for one, other in zip(talk, signed_in, strict=True)]
        sums: list[float] = list(
            accumulate(
                (rate * (end - at) for rate, (at, end) in zip(rates, pairwise(times), strict=False)), initial=0.0
            )
        )

        def integral(at: float) -> float:
            number = max(0, bisect_right(times, at) - 1)
            return float(sums[number] + rates[number] * (at - times[number]))

        full = times[0] + rule.within
        last = self.looks.seen(self.day.scenario.duration)
        bends = sorted({it for at in times for it in (at, at + rule.within) if full <= it < last} | {full})
        values = [integral(at) - integral(at - rule.within) for at in bends]
        raised: float | None = None
        for number, (at, value) in enumerate(zip(bends, values, strict=True)):
            holds = value > _TINY
            if holds == (raised is not None):
                continue
            before = bends[number - 1], values[number - 1]
            crossing = at if number == 0 else before[0] + (at - before[0]) * before[1] / (before[1] - value)
            moment = self.looks.unfolded(crossing)
            if raised is None:
                raised = moment
            else:
                yield Expected(rule.name, None, None, raised, moment, None)
                raised = None
        if raised is not None:
            yield Expected(rule.name, None, None, raised, None, None)
