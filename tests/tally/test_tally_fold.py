"""The fold, case by case: each kind of update and what it comes to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support import START, agent, snapshot

from sipqueue_async import AgentState, Snapshot, Update, diff
from sipqueue_async.tally import SeatTally, Tally

SEAT = ("queue-1", "100001")


def at(seconds: float) -> Snapshot:
    """Return the waiting agent, seen at some second."""
    return snapshot(agent(), at=seconds)


def becoming(old: Snapshot, new: Snapshot, *, coalesced: bool = False) -> Update:
    """Return the update from one snapshot to another."""
    return Update(sequence=1, snapshot=new, previous=old, events=diff(old, new), coalesced=coalesced)


def seat(tally: Tally, key: tuple[str, str] = SEAT) -> SeatTally:
    """Return a seat of a tally."""
    return tally.seats[key]  # type: ignore[index]  # an equal plain tuple finds it


def seconds(tally: Tally, until: float | None = None) -> dict[str, float]:
    """Return the seconds in the states that have any, for the one seat."""
    moment = None if until is None else START + timedelta(seconds=until)
    return {state.value: spent for state, spent in seat(tally).seconds(moment).items() if spent}


def test_a_state_lasts_from_the_look_that_shows_it_to_the_one_that_shows_another() -> None:
    """Time goes to the wrong state, or is counted by another clock than the snapshots'."""
    tally = Tally(at(0))
    talking = snapshot(agent(state=AgentState.TALKING), at=10)
    tally.update(becoming(at(8), talking))
    tally.update(becoming(snapshot(*talking.values(), at=28), snapshot(agent(state=AgentState.IDLE), at=30)))
    assert seconds(tally) == {"waiting": 10, "talking": 20}
    assert seconds(tally, 35) == {"waiting": 10, "talking": 20, "idle": 5}
    assert seat(tally).occupancy() == pytest.approx(2 / 3)
