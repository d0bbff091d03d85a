"""The reported calls are the true calls, no matter how the answers lag and which other faults they have."""

from __future__ import annotations

import random
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import Event, FieldProblem, SeatEvent, SeatKey, Snapshot, TransportError
from sipqueue_async._tracker import Tracker
from sipqueue_async.tally import Tally
from tests.kit.lagging import Floor, History, told_calls, told_changes

MAX_LAG: Final = 30.0
SECONDS: Final = 80.0
QUIET: Final = 2 * MAX_LAG + 20
"""Seconds at the end without changes, so that everything can be reported."""


@attrs.frozen
class Schedule:
    """The times of polls, the age of their answers, and the answers' other faults."""

    interval: float = 2.0
    lag: float = 5.0
    lagging: float = 0.5
    """The share of answers that lag."""
    in_a_row: int = 1
    """The maximum number of consecutive answers from the same back end."""
    varies: bool = False
    """Whether lagging answers differ in their age."""
    fails: float = 0.0
    """The share of polls that fail."""
    absent: float = 0.0
    """The share of records that an answer lacks."""
    blank: float = 0.0
    """The share of counters that an answer leaves blank."""
    parts: int = 0
    """The number of polls of one extension between two polls of the whole."""
    restarts: bool = False
    """Whether the program restarts once from a saved snapshot."""


@attrs.define
class Watch:
    """Polls a history on schedule, and records the events; a tally counts them too, and is saved at the restart."""

    history: History
    schedule: Schedule
    rng: random.Random
    events: list[Event] = attrs.Factory(list[Event])
    shown: list[tuple[float, frozenset[SeatKey]]] = attrs.Factory(list[tuple[float, frozenset[SeatKey]]])
    tally: Tally = attrs.Factory(Tally)
    _absent: frozenset[SeatKey] = frozenset()
    """The seats that are missing since the last accepted answer: if they were missing again, they would have left."""
    _behind: float = 0.0
    _left: int = 0

    def run(self, until: float) -> Tracker:
        tracker = self._tracker(self.history.at(0.0))
        self.tally = Tally(tracker.snapshot)
        self.shown.append((0.0, frozenset()))
        now = 0.0
        while now < until:
            step = self.schedule.interval / (self.schedule.parts + 1)
            for _ in range(self.schedule.parts):
                now += step
                if not tracker.failures:
                    self._poll_part(tracker, now)
            now += step
            if self.schedule.restarts and until / 2 - self.schedule.interval < now <= until / 2:
                self.tally.advance(tracker.known)
                self.tally = Tally.from_json(self.tally.to_json())
                tracker = self._tracker(self.tally.snapshot)
            if self.rng.random() < self.schedule.fails and now < SECONDS:
                update = tracker.failed(TransportError("away"), now)
            else:
                absent = self._absent
                update = tracker.polled(self._answer(now), now)
                if tracker.is_held_back:
                    self._absent |= absent
            if update is not None:
                self.events += update.events
                self.tally.update(update)
        return tracker

    def _poll_part(self, tracker: Tracker, now: float) -> None:
        """Poll the extension of a random seat; an unusable answer, which lacks the seat, is ignored."""
        key = self.rng.choice(list(tracker.known))
        answer = self._answer(now, key)
        before = dict(tracker.known)
        if not tracker.is_part_usable(answer, key.extension):
            assert not answer
        elif (update := tracker.part_polled(answer)) is not None:
            assert {event.key for event in update.events if isinstance(event, SeatEvent)} == {key}
            self.events += update.events
            self.tally.update(update)
        assert all(tracker.known[other] is record for other, record in before.items() if other != key)

    def _tracker(self, baseline: Snapshot | None) -> Tracker:
        return Tracker(baseline, initial=False, leave_after=2, max_lag=MAX_LAG)

    def _answer(self, now: float, part: SeatKey | None = None) -> Snapshot:
        """Return the answer about all seats, or about one."""
        schedule, rng = self.schedule, self.rng
        if self._left == 0:
            lag = rng.uniform(0, schedule.lag) if schedule.varies else schedule.lag
            self._behind = lag if rng.random() < schedule.lagging and now < SECONDS else 0.0
            self._left = rng.randint(1, schedule.in_a_row)
        self._left -= 1
        second = max(0.0, now - (self._behind if now < SECONDS + MAX_LAG else 0.0))
        answer = self.history.at(second, arrived=now)
        absent = frozenset(key for key in answer if key not in self._absent and rng.random() < schedule.absent)
        if part is None:
            self._absent = absent
        else:
            absent |= answer.keys() - {part}
        blank = frozenset(key for key in answer if rng.random() < schedule.blank and now < SECONDS)
        self.shown.append((second, absent | blank))
        problems = [
            FieldProblem(*key, field, "is missing") for key in blank for field in ("callsanswered", "noanswercount")
        ]
        records = [
            attrs.evolve(record, calls_answered=0, no_answer_count=0) if key in blank else record
            for key, record in answer.items()
            if key not in absent
        ]
        return Snapshot(records, observed_at=answer.observed_at, steady_at=answer.steady_at, problems=problems)


def check(floor: Floor, schedule: Schedule, seed: int, resets: list[float], *, may_lose: bool = False) -> Watch:
    """Compare the reported calls with the true ones."""
    rng = random.Random(seed)
    history = floor.play(rng, SECONDS, resets)
    watch = Watch(history, schedule, rng)
    tracker = watch.run(SECONDS + QUIET)
    true, told = history.calls(0.0, SECONDS + QUIET), told_calls(watch.events)
    assert told - true == {}, "made up"
    assert may_lose or true - told <= history.untellable(watch.shown), "lost"
    assert tracker.snapshot == history.at(SECONDS + QUIET)
    seats = watch.tally.seats
    assert {key: (seat.calls_answered, seat.calls_missed) for key, seat in seats.items()} == {
        key: (told[key, "answered"], told[key, "missed"]) for key in seats
    }
    return watch


RESET: Final = [SECONDS / 2 + 0.7]
ROWS: Final = {
    "0.5 s, 0.9 s": (Floor(), Schedule(0.5, 0.9), []),
    "2 s, 5 s": (Floor(), Schedule(2, 5), []),
    "2 s, 10 s, 1-6 at a time": (Floor(), Schedule(2, 10, in_a_row=6), []),
    "2 s, 5 s, first calls of a day": (Floor(answered_before=0), Schedule(2, 5), []),
    "10 s, 30 s": (Floor(), Schedule(10, 30), []),
    "2 s, 10 s, counted at the end": (Floor(counts_at_end=True), Schedule(2, 10), []),
    "2 s, 10 s, no times": (Floor(sends_times=False), Schedule(2, 10), []),
    "2 s, 5 s, counters reset": (Floor(), Schedule(2, 5), RESET),
    "2 s, 5 s, counters and times reset": (Floor(blanks_times=True), Schedule(2, 5), RESET),
    "2 s, no lag, counters reset": (Floor(), Schedule(2, 0), RESET),
}


@pytest.mark.parametrize(("floor", "schedule", "resets"), ROWS.values(), ids=ROWS)
def test_the_told_calls_are_the_true_ones(floor: Floor, schedule: Schedule, resets: list[float]) -> None:
    watch = check(floor, schedule, 1, resets)
    changes, joins = told_changes(watch.events)
    assert joins == 0
    if schedule.interval >= 2:
        assert changes <= watch.history.states(0.0, SECONDS + QUIET)


floors = st.builds(
    Floor,
    agents=st.integers(1, 4),
    pause=st.sampled_from([5.0, 20.0, 90.0]),
    missed=st.sampled_from([0.0, 0.2, 0.9]),
    counts_at_end=st.booleans(),
    blanks_times=st.booleans(),
    answered_before=st.sampled_from([0, 2, 30]),
)
shares = st.sampled_from([0.0, 0.0, 0.05, 0.3])
schedules = st.builds(
    Schedule,
    interval=st.sampled_from([1.0, 2.0, 7.0]),
    lag=st.sampled_from([0.9, 5.0, MAX_LAG]),
    lagging=st.sampled_from([0.1, 0.5, 0.9]),
    in_a_row=st.sampled_from([1, 6, 20]),
    varies=st.booleans(),
    fails=shares,
    absent=shares,
    blank=shares,
    parts=st.sampled_from([0, 0, 1, 4]),
    restarts=st.booleans(),
)


@given(floor=floors, schedule=schedules, seed=st.integers(0, 999))
def test_whatever_is_wrong_with_the_answers(floor: Floor, schedule: Schedule, seed: int) -> None:
    check(floor, schedule, seed, [])


@given(schedule=schedules, seed=st.integers(0, 999), reset=st.floats(1, SECONDS), blanks_times=st.booleans())
def test_a_reset_adds_no_calls_whatever_else_is_wrong(
    schedule: Schedule, seed: int, reset: float, blanks_times: bool
) -> None:
    """Calls in progress may be lost if their counters or times are blank as well."""
    floor = Floor(agents=3, answered_before=40, blanks_times=blanks_times)
    schedule = attrs.evolve(schedule, restarts=False)
    check(floor, schedule, seed, [reset], may_lose=blanks_times or schedule.blank > 0)
