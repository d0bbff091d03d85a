"""The figures that the reports of a history must have, from the ground truth and the times of the polls.

Nothing of the library's snapshots, events or figures is used. The rules are those of docs/accuracy.md and
docs/history.md:

- a poll shows the state of each seat at its moment; between two polls nothing is known, so a state lasts until the
  poll that first shows another one;
- from a failed poll's predecessor to the next good answer, and from the last recorded moment before a kill to the next
  good answer, the time is unseen;
- a call counts at the poll that first shows it, at a seat that the poll before showed too;
- a seat has left in the second answer in a row without it;
- polls between a coalesced update and the update before were not recorded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

import attrs

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator import GroundTruth, Outcome
from tests.benchmarks.truth_history_run import Answer, Life, second_of

LEAVE_AFTER: Final = 2
"""The watcher's default."""


class _Away(Enum):
    AWAY = 0


_Seen: TypeAlias = "tuple[AgentState, int] | _Away"
"""A state, and the second in which the call under way was answered (-1 for none); or that the seat is away."""


@attrs.define
class Expected:
    """The figures of one seat, or of several, in one span. Times are whole seconds of the model."""

    answered: int = 0
    hidden: int = 0
    missed: int = 0
    elapsed: dict[AgentState, int] = attrs.Factory(dict[AgentState, int])
    unseen: int = 0
    first: int | None = None
    last: int | None = None
    longest: int = 0

    def add(self, other: Expected) -> None:
        """Add another span or seat."""
        self.answered += other.answered
        self.hidden += other.hidden
        self.missed += other.missed
        self.unseen += other.unseen
        for state, seconds in other.elapsed.items():
            self.elapsed[state] = self.elapsed.get(state, 0) + seconds
        if other.first is not None and other.last is not None:
            self.first = other.first if self.first is None else min(self.first, other.first)
            self.last = other.last if self.last is None else max(self.last, other.last)
        self.longest = max(self.longest, other.longest)


class _Piece(NamedTuple):
    """A time in which a seat is recorded in one state; it may contain unseen time."""

    begin: int
    end: int
    state: AgentState
    call: int


class _Counted(NamedTuple):
    at: int
    answered: int
    hidden: int
    missed: int


@attrs.define
class SeatRecord:
    """What the history must have of one seat."""

    pieces: list[_Piece] = attrs.Factory(list[_Piece])
    counted: list[_Counted] = attrs.Factory(list[_Counted])
    lost: int = 0
    """True answered calls that no two polls show."""


class _Mark(NamedTuple):
    """A good answer."""

    at: int
    answer: Answer
    is_first: bool
    """Whether it is the first of its process."""
    is_recorded: bool
    """Whether it is not merged with later ones."""


class Record:
    """What the history must have.

    Args:
        truth: The ground truth, up to the end.
        lives: The recorder's processes.
        coalesced: The spans between a coalesced update and the update before it.
        end: The last second.
    """

    def __init__(
        self, truth: GroundTruth, lives: Sequence[Life], coalesced: Sequence[tuple[int, int]], end: int
    ) -> None:
        self.end = end
        self.gaps: list[tuple[int, int]] = []
        self._marks = list(self._read(lives, coalesced))
        self.begin = self._marks[0].at
        calls = _calls(truth)
        keys = {interval.key for interval in truth.intervals}
        self.seats = {key: _seat(truth, key, self._marks, calls.get(key, []), end) for key in keys}

    @property
    def answered(self) -> int:
        """All answered calls that the history must have."""
        return sum(it.answered for seat in self.seats.values() for it in seat.counted)

    def _read(self, lives: Sequence[Life], coalesced: Sequence[tuple[int, int]]) -> Iterator[_Mark]:
        """Yield the good answers; note the gaps."""
        seen: int | None = None
        gap: int | None = None
        for life in lives:
            until, is_first = second_of(life.recorded_until), True
            # An update of this process: what an earlier one saw before it was recorded.
            first, last = (life.polls[0][0], life.polls[-1][0]) if life.polls else (0, -1)
            spans = [(max(begin, first - 1), end) for begin, end in coalesced if first <= end <= last]
            gap = seen if gap is None else gap
            for at, answer in life.polls:
                if at > until:
                    break
                while spans and spans[0][1] <= at:
                    spans.pop(0)
                merged = bool(spans) and spans[0][0] < at
                if answer is Answer.FAILED and not merged:
                    gap = seen if gap is None else gap
                elif answer in {Answer.GOOD, Answer.EMPTY}:
                    yield _Mark(at, answer, is_first, not merged)
                    is_first = False
                    if not merged:
                        if gap is not None:
                            self._note_gap(gap, at)
                            gap = None
                        seen = at
        if gap is not None:
            self._note_gap(gap, self.end)

    def _note_gap(self, begin: int, end: int) -> None:
        if self.gaps and self.gaps[-1][1] == begin:
            begin, _ = self.gaps.pop()
        self.gaps.append((begin, end))

    def figures(self, key: SeatKey, bounds: Sequence[int], *, inclusive: bool) -> list[Expected]:
        """Return a seat's figures between each two bounds; with `inclusive`, the last span contains its end."""
        seat, found = self.seats[key], [Expected() for _ in bounds[1:]]
        for it in seat.counted:
            place = bisect_left(bounds, it.at + 1) - 1
            if inclusive and it.at == bounds[-1]:
                place -= 1
            if 0 <= place < len(found):
                found[place].add(Expected(answered=it.answered, hidden=it.hidden, missed=it.missed))
        for at in range(max(0, bisect_left(seat.pieces, (bounds[0],)) - 1), len(seat.pieces)):
            piece = seat.pieces[at]
            if piece.begin > bounds[-1]:
                break
            for number in range(max(0, bisect_left(bounds, piece.begin) - 1), len(found)):
                begin, end = bounds[number], bounds[number + 1]
                if begin > piece.end:
                    break
                self._add(found[number], piece, begin, end)
        return found

    def _add(self, found: Expected, piece: _Piece, begin: int, end: int) -> None:
        since, until = max(begin, piece.begin), min(end, piece.end)
        if piece.state is AgentState.TALKING and piece.begin < end:
            # A talk that ends with the beginning of a span ends in it.
            found.longest = max(found.longest, self._seen(piece.begin, until))
        if since >= until:
            return
        seen = self._seen(since, until)
        found.elapsed[piece.state] = found.elapsed.get(piece.state, 0) + seen
        found.unseen += until - since - seen
        if piece.state is not AgentState.OFFLINE and seen:
            found.add(Expected(first=self._first(since), last=self._last(until)))

    def _overlapping(self, since: int, until: int) -> Iterator[tuple[int, int]]:
        for number in range(max(0, bisect_left(self.gaps, (since, 0)) - 1), len(self.gaps)):
            begin, end = self.gaps[number]
            if begin >= until:
                return
            if end > since:
                yield begin, end

    def _seen(self, since: int, until: int) -> int:
        gaps = self._overlapping(since, until)
        return until - since - sum(min(end, until) - max(begin, since) for begin, end in gaps)

    def _first(self, since: int) -> int:
        """Return the first seen moment from a moment on."""
        return next((end for _, end in self._overlapping(since, since + 1)), since)

    def _last(self, until: int) -> int:
        """Return the last seen moment up to a moment."""
        return next((begin for begin, _ in self._overlapping(until - 1, until)), until)


class _Call(NamedTuple):
    at: float
    ended: float
    is_answered: bool


def _calls(truth: GroundTruth) -> dict[SeatKey, list[_Call]]:
    """Return the answered and missed calls of each seat, by the time at which they count."""
    found: dict[SeatKey, list[_Call]] = {}
    for offer in truth.offers:
        ended = float("inf") if offer.ended_at is None else offer.ended_at
        if offer.answered_at is not None:
            found.setdefault(offer.key, []).append(_Call(offer.answered_at, ended, is_answered=True))
        elif offer.outcome in {Outcome.REFUSED, Outcome.MISSED}:
            found.setdefault(offer.key, []).append(_Call(ended, ended, is_answered=False))
    for calls in found.values():
        calls.sort()
    return found


def _seat(truth: GroundTruth, key: SeatKey, marks: Sequence[_Mark], calls: Sequence[_Call], end: int) -> SeatRecord:
    """Return what the history must have of a seat."""
    reading = _Reading(truth, key, calls)
    for mark in marks:
        reading.watch(mark)
        if mark.is_recorded:
            reading.record(mark.at)
    return reading.finish(end)


class _Reading:
    """What a watcher knows of a seat from answer to answer, and what is recorded of it."""

    def __init__(self, truth: GroundTruth, key: SeatKey, calls: Sequence[_Call]) -> None:
        self._states = iter(truth.intervals_of(key))
        self._interval = next(self._states, None)
        self._calls = calls
        self._record = SeatRecord()
        # The watcher's: what it knows, the last answer that showed the seat, and how many have not shown it since.
        self._seen: _Seen = _Away.AWAY
        self._shown_at = self._absent = self._begun = 0
        # The recorder's: what is recorded, from which answer, and since when it is so.
        self._known: _Seen = _Away.AWAY
        self._known_at = self._since = self._counted = 0

    def watch(self, mark: _Mark) -> None:
        """Process an answer."""
        if mark.is_first:
            # A new process knows what is recorded.
            self._seen, self._shown_at, self._absent = self._known, self._known_at, 0
        while self._interval is not None and self._interval.end is not None and self._interval.end <= mark.at:
            self._interval = next(self._states, None)
        interval, calls = self._interval, self._calls
        if mark.answer is Answer.GOOD and interval is not None and interval.start <= mark.at:
            while self._begun < len(calls) and calls[self._begun].at <= mark.at:
                self._begun += 1
            self._seen = interval.state, _under_way(interval.state, calls, self._begun)
            self._shown_at, self._absent = mark.at, 0
        elif self._seen is not _Away.AWAY:
            self._absent += 1
            self._seen = _Away.AWAY if self._absent >= LEAVE_AFTER else self._seen

    def record(self, at: int) -> None:
        """Record what is known."""
        if self._seen is not _Away.AWAY and self._shown_at > self._known_at:
            self._count(at)
            self._known_at = self._shown_at
        if self._seen != self._known:
            self._end(at)
            self._known, self._since = self._seen, at

    def finish(self, end: int) -> SeatRecord:
        """Return what is recorded up to an end."""
        self._end(end)
        return self._record

    def _count(self, at: int) -> None:
        first = self._counted
        while self._counted < len(self._calls) and self._calls[self._counted].at <= self._shown_at:
            self._counted += 1
        new = self._calls[first : self._counted]
        answered = [it for it in new if it.is_answered]
        if self._known is _Away.AWAY:
            self._record.lost += len(answered)
        elif new:
            hidden = sum(it.ended <= self._shown_at for it in answered)
            self._record.counted.append(_Counted(at, len(answered), hidden, len(new) - len(answered)))

    def _end(self, at: int) -> None:
        if not isinstance(self._known, _Away):
            self._record.pieces.append(_Piece(self._since, at, *self._known))


def _under_way(state: AgentState, calls: Sequence[_Call], number: int) -> int:
    """Return which call a talking agent is in."""
    if state is not AgentState.TALKING:
        return -1
    return next(it for it in range(number - 1, -1, -1) if calls[it].is_answered)
