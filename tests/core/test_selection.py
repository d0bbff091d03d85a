"""The part of a platform that is watched."""

from __future__ import annotations

import pytest

from sipqueue_async import FieldProblem, Snapshot
from sipqueue_async._selection import Selection
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
def test_only_what_was_asked_for(
    queues: list[str] | None, extensions: list[str] | None, expected: list[object]
) -> None:
    """Others are watched too, or some that were asked for are not."""
    assert list(Selection(queues, extensions).of(snapshot(A1, A2, B1)).values()) == expected


def test_an_unchanged_answer_is_selected_from_once() -> None:
    """A poll without a change costs what there is: everybody is looked at again, and compared again."""
    selection = Selection(["a"], None)
    first = snapshot(A1, B1)
    again = Snapshot._at(first._places, first._records, observed_at=snapshot(at=1).observed_at)
    before, after = selection.of(first), selection.of(again)
    assert after._records is before._records
    assert after.observed_at == again.observed_at
    assert list(selection.of(snapshot(A2, B1)).values()) == [A2]


def test_problems_of_others_are_left_out() -> None:
    """A problem is told of somebody who is not watched, or one that concerns everybody is not."""
    outside, mine, other = (FieldProblem(queue, "1", "x", "y") for queue in (None, "a", "b"))
    polled = Snapshot([A1, B1], observed_at=snapshot().observed_at, problems=[outside, mine, other])
    assert Selection(["a"], ["1"]).of(polled).problems == (outside, mine)
    assert Selection(None, ["2"]).of(polled).problems == (outside,)


def test_the_one_name_to_ask_for() -> None:
    """With one queue the platform is asked for everybody, or with several only for one."""
    assert (Selection(["a"], ["1"]).queue, Selection(["a"], ["1"]).extension) == ("a", "1")
    assert (Selection("a", None).queue, Selection("a", None).extension) == ("a", None)
    assert Selection(["a", "b"], None).queue is None
