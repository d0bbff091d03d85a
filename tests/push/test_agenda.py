"""`Agenda`: what pushes make the receiver poll, and when."""

from __future__ import annotations

import math

import pytest

from sipqueue_async import Snapshot
from sipqueue_async.push.agenda import MOST_PARTS, WHOLE, Agenda
from tests.kit.builders import agent, snapshot

KNOWN = snapshot(*(agent(f"{number:02}") for number in range(20)))


def polls(agenda: Agenda, known: Snapshot | None = KNOWN) -> list[tuple[float, str]]:
    """Return the polls, each of which begins as soon as it may."""
    found: list[tuple[float, str]] = []
    now = 0.0
    while not agenda.is_empty:
        when, name = agenda.next(now, known)
        now = max(now, when)
        agenda.begin(name, now)
        found.append((now, name))
    return found


def test_each_extension_is_polled_at_most_once_in_min_interval() -> None:
    agenda = Agenda(0.5, 0)
    assert agenda.is_empty
    assert agenda.add(["03", "01"])
    assert not agenda.add(["01"])
    assert polls(agenda) == [(0, "03"), (0, "01")]
    assert agenda.add(["01", "04"])
    assert polls(agenda) == [(0, "04"), (0.5, "01")]


def test_at_most_eight_in_min_interval() -> None:
    agenda = Agenda(0.5, 0)
    agenda.add([f"{number:02}" for number in range(MOST_PARTS)])
    assert len(polls(agenda)) == MOST_PARTS
    agenda.add(["18", "19"])
    assert polls(agenda) == [(0.5, "18"), (0.5, "19")]


@pytest.mark.parametrize(
    "names",
    [
        ["01", None],
        [""],
        [1.5],
        [["01"]],
        ["0" * 65],
        ["another"],
        [1],
        [f"{number:02}" for number in range(MOST_PARTS + 1)],
    ],
    ids=repr,
)
def test_the_whole_is_polled_once_for_all_that_names_no_few_extensions_of_the_snapshot(names: list[object]) -> None:
    agenda = Agenda(0.5, 0)
    assert agenda.add(names)
    assert polls(agenda) == [(0, WHOLE)]
    assert agenda.add(["01"])
    assert polls(agenda) == [(0.5, "01")]


def test_a_number_names_an_extension() -> None:
    agenda = Agenda(0.5, 0)
    agenda.add([12])
    assert polls(agenda) == [(0, "12")]


@pytest.mark.parametrize(("known", "whole_up_to"), [(KNOWN, 20), (None, 0)])
def test_a_small_snapshot_or_none_means_the_whole(known: Snapshot | None, whole_up_to: int) -> None:
    agenda = Agenda(0.5, whole_up_to)
    agenda.add(["01", "02"])
    assert polls(agenda, known) == [(0, WHOLE)]


def test_after_a_request_for_the_whole_no_more_names_are_kept() -> None:
    agenda = Agenda(0.5, 0)
    agenda.add([WHOLE])
    assert not agenda.add(["01", "02"])
    assert polls(agenda) == [(0, WHOLE)]


def test_after_failures_all_polls_wait() -> None:
    agenda = Agenda(0.5, 0)
    agenda.wait_until(7.0)
    agenda.add(["01"])
    assert agenda.next(0.0, KNOWN) == (7.0, "01")
    agenda.add([WHOLE])
    assert agenda.next(-math.inf, KNOWN) == (7.0, WHOLE)
