"""Compares a watcher's reports with the ground truth.

The comparison uses the ground truth, the moments that a watcher's answers show, and the documented rules. It uses
neither counters nor snapshots: it computes the expected reports from the times of the true calls.

A watcher's *polls* are the good answers that it accepted. An answer *shows* a seat if the seat was present at that
moment and the answer did not wrongly lack all agents. A *stay* is a sequence of polls that show a seat, without an
absence of `LEAVE_AFTER` polls in between. Then

- the reports contain exactly the calls of a stay after its first poll, up to its last: no two records exist to compare
  for the other calls (`lost_away`);
- if the counters were reset between two polls that show the seat, the reports contain the calls since the reset if the
  counter decreased, and the counter's increase otherwise (`lost_reset` is the rest).
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

import attrs

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import GroundTruth, Outcome
from tests.benchmarks.truth_network import ROUND_TRIP
from tests.benchmarks.truth_watch import ZONE, PlainDiffer, Polls, Told, ToldCalls, ToldChange, ToldPresence, WatcherRun

MAX_LAG: Final = 60.0
"""The watcher's default."""

LEAVE_AFTER: Final = 2
"""The watcher's default, which these runs use."""


@attrs.define
class SeatTruth:
    """One seat's ground truth, in sorted lists."""

    starts: list[float] = attrs.Factory(list[float])
    """The times at which each state began."""
    states: list[AgentState] = attrs.Factory(list[AgentState])
    presences: list[tuple[float, float]] = attrs.Factory(list[tuple[float, float]])
    """The spans in which the seat was present."""
    answered: list[float] = attrs.Factory(list[float])
    missed: list[float] = attrs.Factory(list[float])

    @property
    def joins(self) -> list[float]:
        """The times at which the seat joined."""
        return [since for since, _ in self.presences]

    @property
    def leaves(self) -> list[float]:
        """The times at which the seat left."""
        return [until for _, until in self.presences]

    def state_at(self, moment: float) -> AgentState | None:
        """Return the state at a moment, or None if the seat was absent."""
        there = any(since <= moment < until for since, until in self.presences)
        return self.states[bisect_right(self.starts, moment) - 1] if there else None


class Truth:
    """A whole run's ground truth, by seat."""

    def __init__(self, truth: GroundTruth) -> None:
        self._truth = truth
        self.resets = truth.counter_resets
        self.seats: dict[SeatKey, SeatTruth] = {}
        for interval in truth.intervals:
            seat = self.seats.setdefault(interval.key, SeatTruth())
            end = math.inf if interval.end is None else interval.end
            if seat.presences and seat.presences[-1][1] == interval.start:
                seat.presences[-1] = (seat.presences[-1][0], end)
            else:
                seat.presences.append((interval.start, end))
            seat.starts.append(interval.start)
            seat.states.append(interval.state)
        for offer in truth.offers:
            if offer.answered_at is not None:
                self.seats[offer.key].answered.append(offer.answered_at)
            elif offer.outcome in {Outcome.REFUSED, Outcome.MISSED} and offer.ended_at is not None:
                self.seats[offer.key].missed.append(offer.ended_at)

    def seconds(self, local_time: datetime) -> float:
        """Return the model second of the platform's local time."""
        return (local_time - self._truth.start.replace(tzinfo=ZONE)).total_seconds()


@attrs.frozen(kw_only=True)
class Calls:
    """Answered or missed calls of all seats."""

    true: int
    """The number of true calls between the first poll and the last."""
    told: int
    """The number of reported calls."""
    lost_away: int
    """The number of calls that no two records can show: no poll of their stay comes before, or none after them."""
    lost_reset: int
    """The number of calls that a counter reset erased."""
    on_return: int
    """The part of `lost_away` that a consumer can recover, on a platform that keeps counters, by comparing a returning
    agent's counters with those at the agent's leaving."""
    wrong_seats: int
    """The number of seats with a wrong number of reported calls."""
    plain: int
    """The plain differ's reported calls that happened."""
    plain_false: int
    """The plain differ's reported calls that did not happen."""

    @property
    def exact(self) -> bool:
        """Whether each seat's reported calls are exactly those that its records can show."""
        return not self.wrong_seats and self.told == self.true - self.lost_away - self.lost_reset


@attrs.frozen(kw_only=True)
class Result:
    """The results of one watcher, and of the plain differ beside it."""

    interval: float
    polls: int
    """The number of polls."""
    failures: int
    """The number of failed polls."""
    dropped: int
    """The number of polls whose answer was stale and therefore dropped."""
    answered: Calls
    missed: Calls
    joined_true: int
    """The true number of joins between the first poll and the last."""
    joined: int
    """The number of reported joins."""
    left_true: int
    """The true number of leaves between the first poll and the last."""
    left: int
    """The number of reported leaves."""
    presence_wrong: int
    """The number of seats whose reported joins or leaves differ from those that the polls can show."""
    false_events: int
    """The watcher's reports of changes that did not happen."""
    plain_false_events: int
    """The plain differ's reports of changes that did not happen, including calls."""
    changes_true: int
    """The number of true changes of state."""
    changes_told: int
    """The number of reported changes; the others ended before a poll could show them."""
    occurred_share: float
    """The share of the reported changes that have `occurred_at`, from 0 to 1."""
    occurred_error: float
    """The largest error of `occurred_at`, in seconds."""
    delay_median: float
    """The delay from a change to its report, in seconds."""
    delay_p99: float

    @property
    def delay_limit(self) -> float:
        """The limit of the median delay: half an interval and a round trip."""
        return self.interval / 2 + ROUND_TRIP

    @property
    def exact(self) -> bool:
        """Whether all that the polls can show was reported, and nothing else."""
        return self.answered.exact and self.missed.exact and not self.presence_wrong and not self.false_events


class _Watched:
    """A seat, as one watcher's polls can show it."""

    def __init__(self, seat: SeatTruth, polls: Polls, showing: Sequence[int], instants: Sequence[float]) -> None:
        self._seat = seat
        self._polls = polls
        # The indices of the polls that show any agent, and the moments that those polls show.
        self._showing = showing
        self._instants = instants
        ranges = ((bisect_left(instants, since), bisect_left(instants, until)) for since, until in seat.presences)
        self._ranges = [(low, high) for low, high in ranges if low < high]

    def before(self, moment: float) -> float | None:
        """Return the moment of the seat's last poll before a given moment."""
        limit = bisect_left(self._instants, moment)
        for low, high in reversed(self._ranges):
            if low < limit:
                return self._instants[min(high, limit) - 1]
        return None

    def not_before(self, moment: float) -> float:
        """Return the moment of the seat's first poll at or after a given moment; there must be one."""
        limit = bisect_left(self._instants, moment)
        low = next(low for low, high in self._ranges if high > limit)
        return self._instants[max(low, limit)]

    def stays(self) -> Iterator[tuple[float, float, bool]]:
        """Yield the moments of each stay's first and last poll, and whether the polls show its end."""
        first: int | None = None
        for number, (low, high) in enumerate(self._ranges):
            first = low if first is None else first
            is_last = number + 1 == len(self._ranges)
            following = len(self._polls.instants) if is_last else self._showing[self._ranges[number + 1][0]]
            ended = self._has_left(self._showing[high - 1] + 1, following)
            if ended or is_last:
                yield self._instants[first], self._instants[high - 1], ended
                first = None

    def _has_left(self, since: int, until: int) -> bool:
        """Return whether the seat is absent for long enough to have left; a restarted watcher counts from zero."""
        lives = [*self._polls.lives, len(self._polls.instants)]
        return any(min(until, end) - max(since, begin) >= LEAVE_AFTER for begin, end in pairwise(lives))


def _between(times: Sequence[float], since: float, until: float) -> int:
    """Return the number of times after `since` and not after `until`."""
    return bisect_right(times, until) - bisect_right(times, since)


def _step(before: int, now: int) -> int:
    """Return the increase of a counter; a counter that decreased was reset to zero in between."""
    return now - before if now >= before else now


class Check:
    """Compares one watcher's run with the ground truth."""

    def __init__(self, truth: Truth, run: WatcherRun) -> None:
        self._truth = truth
        self._run = run
        self._polls = run.polls
        self._showing = [number for number, blank in enumerate(run.polls.blank) if not blank]
        instants = [run.polls.instants[number] for number in self._showing]
        self._seats = {key: _Watched(seat, run.polls, self._showing, instants) for key, seat in truth.seats.items()}
        self._span = (run.polls.instants[0], run.polls.instants[-1])

    def result(self) -> Result:
        """Return the results."""
        run, told = self._run, self._run.told
        changes = [self._change(change) for change in told.changes]
        delays = sorted(change.delivered - began for change, (began, _) in zip(told.changes, changes, strict=True))
        errors = [
            abs(began - self._truth.seconds(change.occurred_at))
            for change, (began, _) in zip(told.changes, changes, strict=True)
            if change.occurred_at is not None
        ]
        false_events = (
            sum(not right for _, right in changes)
            + self._false_calls(told.answered, "answered")
            + self._false_calls(told.missed, "missed")
            + self._false_presences(told)
        )
        plain = _PlainCheck(self._truth, run.plain)
        return Result(
            interval=run.interval,
            polls=run.tries,
            failures=run.failures,
            dropped=run.dropped,
            answered=self._calls(told.answered, "answered", told.answered_away, plain),
            missed=self._calls(told.missed, "missed", told.missed_away, plain),
            joined_true=sum(_between(seat.joins, *self._span) for seat in self._truth.seats.values()),
            joined=len(told.joined),
            left_true=sum(_between(seat.leaves, *self._span) for seat in self._truth.seats.values()),
            left=len(told.left),
            presence_wrong=self._presence_wrong(told),
            false_events=false_events,
            plain_false_events=plain.false_events(),
            changes_true=sum(self._true_changes(seat) for seat in self._truth.seats.values()),
            changes_told=len(changes),
            occurred_share=len(errors) / max(1, len(changes)),
            occurred_error=max(errors, default=0.0),
            delay_median=statistics.median(delays) if delays else 0.0,
            delay_p99=delays[math.ceil(len(delays) * 0.99) - 1] if delays else 0.0,
        )

    def _change(self, change: ToldChange) -> tuple[float, bool]:
        """Return when the reported state began, and whether the polls really showed the seat in both states."""
        seat = self._truth.seats[change.key]
        now = self._polls.instants[change.poll]
        before = self._seats[change.key].before(now)
        held = bisect_right(seat.starts, now) - 1
        right = before is not None and seat.state_at(now) is change.after and seat.state_at(before) is change.before
        return seat.starts[held], right or self._late_after_reset(change, now)

    def _late_after_reset(self, change: ToldChange, now: float) -> bool:
        """Return whether a change was reported late because a reset delayed the records of idle seats."""
        seat = self._truth.seats[change.key]
        polls = self._polls.instants
        for reset in self._truth.resets:
            # The next poll shows the reset; the first poll at least max_lag later is the one whose answer is accepted.
            shown = bisect_left(polls, reset)
            if 0 < shown <= change.poll <= bisect_left(polls, polls[shown] + MAX_LAG) + 1:
                since = polls[shown - 1]
                moments = [since, *(start for start in seat.starts if since < start <= now)]
                return {change.before, change.after} <= {seat.state_at(moment) for moment in moments}
        return False

    def _true_changes(self, seat: SeatTruth) -> int:
        return _between(seat.starts, *self._span) - _between(seat.joins, *self._span)

    # Calls

    def _counter(self, times: Sequence[float], moment: float) -> int:
        """Return a counter's value at a moment, given the times of its calls."""
        reset = max((at for at in self._truth.resets if at <= moment), default=-1.0)
        return _between(times, reset, moment)

    def _told_of(self, key: SeatKey, times: Sequence[float], first: float, last: float) -> int:
        """Return the number of calls that should be reported for a stay."""
        marks = {first, last}
        for reset in self._truth.resets:
            if first < reset <= last:
                before = self._seats[key].before(reset)
                assert before is not None
                marks |= {before, self._seats[key].not_before(reset)}
        counters = [self._counter(times, mark) for mark in sorted(marks)]
        return sum(_step(before, now) for before, now in pairwise(counters))

    def _calls(self, told: Iterable[ToldCalls], kind: str, on_return: int, plain: _PlainCheck) -> Calls:
        told_by_seat: dict[SeatKey, int] = {}
        for call in told:
            told_by_seat[call.key] = told_by_seat.get(call.key, 0) + call.count
        true = away = reset = wrong = 0
        for key, seat in self._truth.seats.items():
            times: list[float] = getattr(seat, kind)
            stays = [(first, last) for first, last, _ in self._seats[key].stays()]
            there = _between(times, *self._span)
            in_stays = sum(_between(times, first, last) for first, last in stays)
            expected = sum(self._told_of(key, times, first, last) for first, last in stays)
            true += there
            away += there - in_stays
            reset += in_stays - expected
            wrong += told_by_seat.get(key, 0) != expected
        found, false = plain.calls(kind)
        return Calls(
            true=true,
            told=sum(told_by_seat.values()),
            lost_away=away,
            lost_reset=reset,
            on_return=on_return,
            wrong_seats=wrong,
            plain=found,
            plain_false=false,
        )

    def _false_calls(self, told: Iterable[ToldCalls], kind: str) -> int:
        """Return the number of reported calls that did not happen since the seat's previous poll."""
        false = 0
        for call in told:
            now = self._polls.instants[call.poll]
            before = self._seats[call.key].before(now)
            times: list[float] = getattr(self._truth.seats[call.key], kind)
            happened = 0 if before is None else _between(times, before, now)
            false += max(0, call.count - happened)
        return false

    # Joining and leaving

    def _false_presences(self, told: Told) -> int:
        """Return the number of reported joins and leaves that did not happen since the last poll to show otherwise."""
        return sum(not self._true_join(event) for event in told.joined) + sum(
            not self._true_leave(event) for event in told.left
        )

    def _true_join(self, event: ToldPresence) -> bool:
        now = self._polls.instants[event.poll]
        before = self._seats[event.key].before(now)
        return _between(self._truth.seats[event.key].joins, -1.0 if before is None else before, now) > 0

    def _true_leave(self, event: ToldPresence) -> bool:
        now = self._polls.instants[event.poll]
        before = self._seats[event.key].before(now)
        return before is not None and _between(self._truth.seats[event.key].leaves, before, now) > 0

    def _presence_wrong(self, told: Told) -> int:
        joined, left = _by_seat(told.joined), _by_seat(told.left)
        wrong = 0
        for key, seat in self._seats.items():
            stays = list(seat.stays())
            joins = sum(first > self._span[0] for first, _, _ in stays)
            leaves = sum(ended for _, _, ended in stays)
            wrong += (joined.get(key, 0), left.get(key, 0)) != (joins, leaves)
        return wrong


class _PlainCheck:
    """Compares the plain differ's reports with the ground truth."""

    def __init__(self, truth: Truth, plain: PlainDiffer) -> None:
        self._truth = truth
        self._plain = plain

    def calls(self, kind: str) -> tuple[int, int]:
        """Return how many of the reported calls happened, and how many were made up or reported twice."""
        told: list[ToldPresence] = getattr(self._plain, kind)
        found: set[tuple[SeatKey, float]] = set()
        for event in told:
            before, now = self._span(event)
            times: list[float] = getattr(self._truth.seats[event.key], kind)
            if _between(times, before, now) > 0:
                found.add((event.key, times[bisect_right(times, now) - 1]))
        return len(found), len(told) - len(found)

    def false_events(self) -> int:
        """Return the number of reports about things that did not happen since the previous poll."""
        false = sum(self.calls(kind)[1] for kind in ("answered", "missed"))
        for event in self._plain.changes:
            false += _between(self._truth.seats[event.key].starts, *self._span(event)) <= 0
        for event in self._plain.joined:
            false += _between(self._truth.seats[event.key].joins, *self._span(event)) <= 0
        for event in self._plain.left:
            false += _between(self._truth.seats[event.key].leaves, *self._span(event)) <= 0
        return false

    def _span(self, event: ToldPresence) -> tuple[float, float]:
        return self._plain.instants[event.poll - 1], self._plain.instants[event.poll]


def _by_seat(events: Iterable[ToldPresence]) -> dict[SeatKey, int]:
    found: dict[SeatKey, int] = {}
    for event in events:
        found[event.key] = found.get(event.key, 0) + 1
    return found
