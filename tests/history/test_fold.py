"""Figures of consecutive spans: they add up to those of a tally over the whole time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sipqueue_async import AgentJoined, AgentState, FeedDown, FeedUp, SeatKey, Snapshot, TransportError, Update, diff
from sipqueue_async.history.figures import Figures, microseconds, moment_of
from sipqueue_async.history.fold import Fold
from sipqueue_async.history.spans import SpanFold
from sipqueue_async.tally import SeatTally
from tests.kit.builders import agent, snapshot
from tests.kit.days import Day, days
from tests.kit.tally import SEAT, down, one, up, update
from tests.kit.times import moment

pytestmark = pytest.mark.one_python

OFFLINE, TALKING, WAITING = AgentState.OFFLINE, AgentState.TALKING, AgentState.WAITING


@st.composite
def split_days(draw: st.DrawFn) -> tuple[Day, list[datetime]]:
    """Return a day, and the ends of the spans into which it is divided."""
    day = draw(days())
    start, end = microseconds(day.polls[0].observed_at), microseconds(day.polls[-1].observed_at)
    moments = [microseconds(poll.observed_at) for poll in day.polls]
    cuts = draw(st.lists(st.integers(start, end) | st.sampled_from(moments), max_size=5))
    return day, [moment_of(at) for at in (*sorted(cuts), end)]


def steps_of(day: Day, *, as_gaps: bool) -> Iterator[tuple[datetime, Callable[[Fold], None]]]:
    """Yield what happens in a day in order, with outages as gaps or as events of updates."""
    for (old, new), outage in zip(pairwise(day.polls), day.outages, strict=True):
        began, ended = old.observed_at, new.observed_at
        if outage and as_gaps:
            yield began, lambda fold, began=began: fold.gap(began, None, "outage")  # type: ignore[misc]
            yield ended, lambda fold, began=began, ended=ended: fold.gap(began, ended, "outage")  # type: ignore[misc]
        elif outage:
            yield began, lambda fold, old=old: fold.update(down(old))  # type: ignore[misc]
        news = update(old, new, *([up(new)] if outage and not as_gaps else []))
        yield ended, lambda fold, news=news: fold.update(news)  # type: ignore[misc]


def totals(day: Day, ends: list[datetime], *, as_gaps: bool = False) -> dict[SeatKey, Figures]:
    """Return the sums of the figures of all spans."""
    fold, waiting, found = Fold(day.polls[0], day.polls[0].observed_at), [*ends], dict[SeatKey, Figures]()
    for at, step in steps_of(day, as_gaps=as_gaps):
        while waiting[0] < at:
            add(found, fold.take(waiting.pop(0)))
        step(fold)
    for end in waiting:
        add(found, fold.take(end))
    return found


def add(found: dict[SeatKey, Figures], taken: dict[SeatKey, Figures]) -> None:
    """Add the figures of one span to sums."""
    for key, figures in taken.items():
        found[key] = found.get(key, Figures()) + figures


def of_tally(seat: SeatTally) -> tuple[object, ...]:
    """Return what a tally counts of a seat."""
    seconds = {state: round(it * 1_000_000) for state, it in seat.seconds().items()}
    return seat.calls_answered, seat.calls_missed, seconds, round(seat.unseen() * 1_000_000)


def pieces(day: Day, key: SeatKey) -> Iterator[tuple[int, int, AgentState, bool]]:
    """Yield the seen pieces of a seat's time: begin and end, the state, and whether the state goes on from before."""
    goes_on = False
    for (old, new), outage in zip(pairwise(day.polls), day.outages, strict=True):
        if key in old and not outage:
            yield microseconds(old.observed_at), microseconds(new.observed_at), old[key].state, goes_on
        events = [event for event in diff(old, new) if event.key == key]
        same = key in old and key in new and old[key].state is new[key].state
        goes_on = same and not any(it.begins_state for it in events if not isinstance(it, AgentJoined))
        if outage and same and goes_on:
            yield microseconds(new.observed_at), microseconds(new.observed_at), new[key].state, True


def ends_signed_in(day: Day, key: SeatKey) -> tuple[int | None, int | None]:
    """Return the first and the last moment of signed-in time, found piece by piece."""
    spans = [(a, b) for a, b, state, _ in pieces(day, key) if state is not OFFLINE and b > a]
    return (spans[0][0], spans[-1][1]) if spans else (None, None)


@given(split_days(), st.booleans())
def test_spans_add_up_to_the_tally_of_the_day(split: tuple[Day, list[datetime]], as_gaps: bool) -> None:
    """At any boundaries, the sums of calls and times equal those of one tally exactly."""
    day, ends = split
    found = totals(day, ends, as_gaps=as_gaps)
    for key, seat in day.tally().seats.items():
        it = found.pop(key, Figures())
        assert (it.answered, it.missed, it.elapsed, it.unseen) == of_tally(seat)
        assert (it.first_signed_in, it.last_signed_in) == ends_signed_in(day, key)
        events = [event for news in day.updates() for event in news.events if event.key == key]
        assert it.hidden == sum(getattr(event, "hidden_count", 0) for event in events)
    assert not found


@given(split_days())
def test_figures_do_not_depend_on_the_boundaries(split: tuple[Day, list[datetime]]) -> None:
    """All figures of many spans add up to those of one span, whether outages are events or gaps."""
    day, ends = split
    whole = totals(day, ends[-1:])
    assert totals(day, ends) == totals(day, ends, as_gaps=True) == whole == totals(day, ends[-1:], as_gaps=True)


@given(split_days())
def test_a_fold_continues_from_a_snapshot(split: tuple[Day, list[datetime]]) -> None:
    """A fold that begins at a boundary, with the snapshot and the talks of that moment, counts the same."""
    day, ends = split
    fold, found, waiting = Fold(day.polls[0], day.polls[0].observed_at), dict[SeatKey, Figures](), [*ends]
    polls = iter(day.polls)
    known, open_gap = next(polls), None
    for number, (old, new) in enumerate(pairwise(day.polls)):
        if day.outages[number]:
            open_gap = old.observed_at
            fold.gap(open_gap, None, "stopped")
        while waiting[0] < new.observed_at:
            end = waiting.pop(0)
            add(found, fold.take(end))
            fold = Fold(known, end, talking=fold.talking(end))
            if open_gap is not None:
                fold.gap(open_gap, None, "stopped")
        if open_gap is not None:
            fold.gap(open_gap, new.observed_at, "stopped")
            open_gap = None
        fold.update(update(old, new))
        known = next(polls)
    add(found, fold.take(ends[-1]))
    assert found == totals(day, ends[-1:])


@given(days())
@example(Day([one(0, TALKING), one(60, TALKING), one(90, WAITING)], [True, False]))
def test_the_longest_talk_has_its_full_length(day: Day) -> None:
    """The longest talk is the longest run of one talking state, without unseen time."""
    found = totals(day, [day.polls[-1].observed_at])
    for key in day.tally().seats:
        longest, lasts = 0, 0
        for began, ended, state, goes_on in pieces(day, key):
            lasts = (lasts if goes_on else 0) + (ended - began if state is TALKING else 0)
            longest = max(longest, lasts)
        assert found.get(key, Figures()).longest_talk == longest


def test_a_talk_over_a_boundary_counts_in_both_spans() -> None:
    """The first span has its length so far, the second its full length, and a span after its end none."""
    polls = [one(0), one(10, TALKING), one(40, WAITING)]
    fold = Fold(polls[0], polls[0].observed_at)
    fold.update(update(polls[0], polls[1]))
    assert fold.take(moment(20))[SEAT].longest_talk_seconds == 10
    assert fold.talking(moment(30)) == {SEAT: 20_000_000}
    fold.update(update(polls[1], polls[2]))
    assert fold.take(moment(50))[SEAT].longest_talk_seconds == 30
    assert fold.take(moment(60))[SEAT].longest_talk_seconds == 0
    assert fold.take(moment(60)) == {}


def test_overlapping_gaps_are_unseen_once() -> None:
    """Time is unseen while at least one gap is open, however they are given."""
    fold = Fold(one(0), moment(0))
    fold.gap(moment(10), None, "outage")
    fold.gap(moment(20), None, "stopped")
    fold.gap(moment(10), moment(30), "outage")
    assert fold.take(moment(35))[SEAT].unseen_seconds == 25
    fold.gap(moment(20), moment(40), "stopped")
    fold.gap(moment(30), moment(50), "clock")
    figures = fold.take(moment(60))[SEAT]
    assert (figures.unseen_seconds, figures.seconds[WAITING]) == (15, 10)


def test_an_outage_counts_once_if_it_is_told_twice() -> None:
    """An outage reported by events and as a gap counts once; an end without a beginning changes nothing."""
    first, second = one(0), one(20)
    back = Update(sequence=2, snapshot=second, previous=first, events=(up(second),))
    fold = Fold(first, moment(0))
    fold.update(back)
    assert fold.take(moment(30))[SEAT].unseen_seconds == 0
    error = TransportError("no answer")
    for since in (None, moment(30)):
        event = FeedDown(error=error, since=since)
        fold.update(Update(sequence=3, snapshot=first, previous=first, events=(event,)))
    fold.gap(moment(30), None, "outage")
    fold.update(attrs.evolve(back, events=(FeedUp(observed_at=moment(50), outage=timedelta(0), failures=1),)))
    assert fold.take(moment(60))[SEAT].unseen_seconds == 20


def test_a_change_within_a_gap_counts_from_the_end_of_the_gap() -> None:
    """A state that an update shows while a gap is open counts from the end of the gap."""
    fold = Fold(one(0), moment(0))
    fold.gap(moment(10), None, "stopped")
    fold.update(update(one(0), one(20, TALKING)))
    fold.gap(moment(10), moment(30), "stopped")
    figures = fold.take(moment(40))[SEAT]
    assert (figures.unseen_seconds, figures.talk_seconds, figures.longest_talk_seconds) == (20, 10, 10)


def test_a_gap_without_an_end_lasts_to_the_last_span() -> None:
    """Of what was read back, outages are gaps, so the events of the feed do not count a second time."""
    spans = SpanFold(Fold(one(0), moment(0)), [moment(30), moment(60)])
    spans.update(down(one(10)))
    spans.gap(moment(20), None, "outage")
    first, second = spans.finish()
    assert (first[SEAT].unseen_seconds, second[SEAT].unseen_seconds) == (10, 30)


def test_monotonic_times_are_ignored() -> None:
    """A stored update has none, and must give the same figures."""
    first = Snapshot(one(0).values(), observed_at=moment(0), steady_at=5.0)
    second = Snapshot(one(0, TALKING).values(), observed_at=moment(60), steady_at=6.0)
    fold = Fold(first, first.observed_at)
    fold.update(update(first, second))
    assert fold.take(moment(60))[SEAT].seconds[WAITING] == 60


def test_a_fold_may_start_with_no_records() -> None:
    """Seats of which the first update tells are counted from then on; one that was never there cannot leave."""
    fold = Fold(None, moment(0))
    second = snapshot(agent(state=TALKING), at=10)
    fold.update(update(None, second))
    fold.update(update(snapshot(agent("2"), at=10), snapshot(at=20)))
    assert {key: it.talk_seconds for key, it in fold.take(moment(30)).items()} == {SEAT: 20}


NAIVE = datetime(2026, 1, 5)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda fold: fold.take(moment(99)), "the end of a span, .*:01:39.*, is before .*:01:40"),
        (lambda fold: fold.talking(moment(99)), "the moment, "),
        (lambda fold: fold.update(update(one(0), one(99, TALKING))), "an update, "),
        (lambda fold: fold.update(update(one(0), one(99), up(one(99)))), "an update, "),
        (lambda fold: fold.gap(moment(50), moment(99), "outage"), "a gap's end, "),
        (lambda fold: fold.take(NAIVE), "aware"),
        (lambda fold: fold.gap(NAIVE, None, "outage"), "aware"),
        (lambda fold: Fold(None, NAIVE), "aware"),
    ],
)
def test_time_that_is_taken_is_not_counted_again(act: Callable[[Fold], Any], message: str) -> None:
    """Moments before the last take, and naive ones, are refused, and change nothing."""
    fold = Fold(one(0), moment(0))
    fold.take(moment(100))
    with pytest.raises(ValueError, match=message):
        act(fold)
    assert fold.take(moment(110))[SEAT].signed_in_seconds == 10
