"""`SeatFilter`: a selection of queues and extensions."""

from __future__ import annotations

from typing import Any

import pytest

from sipqueue_async import FieldProblem, SeatFilter, Snapshot
from tests.kit.builders import agent, snapshot

A1, A2, B1 = agent("1", queue="a"), agent("2", queue="a"), agent("1", queue="b")


@pytest.mark.parametrize(
    ("queues", "extensions", "expected"),
    [
        (None, None, [A1, A2, B1]),
        (["a"], None, [A1, A2]),
        (None, ["1"], [A1, B1]),
        (["a", "b"], ["1"], [A1, B1]),
        (["b"], ["2"], []),
        (["c"], None, []),
    ],
)
def test_only_seats_asked_for_are_admitted(
    queues: list[str] | None, extensions: list[str] | None, expected: list[object]
) -> None:
    seats = SeatFilter(queues, extensions)
    everyone = snapshot(A1, A2, B1)
    assert list(seats.apply(everyone).values()) == expected
    assert [agent for seat, agent in everyone.items() if seats.admits(seat)] == expected
    assert seats.is_all is (len(expected) == 3)


def test_an_unchanged_answer_is_searched_once() -> None:
    seats = SeatFilter(["a"], None)
    first = snapshot(A1, B1)
    again = Snapshot._at(first._places, first._records, observed_at=snapshot(at=1).observed_at, steady_at=7.0)
    before, after = seats.apply(first), seats.apply(again)
    assert after._records is before._records
    assert (after.observed_at, after.steady_at) == (again.observed_at, 7.0)
    assert list(seats.apply(snapshot(A2, B1)).values()) == [A2]


def test_problems_of_other_seats_are_left_out() -> None:
    outside, mine, other = (FieldProblem(queue, "1", "x", "y") for queue in (None, "a", "b"))
    polled = Snapshot([A1, B1], observed_at=snapshot().observed_at, problems=[outside, mine, other])
    assert SeatFilter(["a"], ["1"]).apply(polled).problems == (outside, mine)
    assert SeatFilter(None, ["2"]).apply(polled).problems == (outside,)


def test_a_single_name_is_known_so_that_the_platform_can_filter() -> None:
    assert (SeatFilter(["a"], ["1"]).queue, SeatFilter(["a"], ["1"]).extension) == ("a", "1")
    assert (SeatFilter("a", None).queue, SeatFilter("a", None).extension) == ("a", None)
    assert SeatFilter(["a", "b"], None).queue is None


@pytest.mark.parametrize("names", [[], "", ["a", ""], [1], 1])
def test_invalid_names_raise_value_error_naming_the_argument(names: Any) -> None:
    with pytest.raises(ValueError, match="queues needs at least one name"):
        SeatFilter(names)
    with pytest.raises(ValueError, match="extensions needs at least one name"):
        SeatFilter(None, names)


def test_filters_compare_by_their_names() -> None:
    assert SeatFilter("a") == SeatFilter(["a"]) != SeatFilter(None, "a")
    assert len({SeatFilter("a"), SeatFilter(["a"])}) == 1
