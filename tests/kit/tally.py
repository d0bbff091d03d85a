"""Helpers for the tally's tests: updates built from snapshots, and the figures of a single seat."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sipqueue_async import AgentState, Event, FeedDown, FeedUp, SeatKey, Snapshot, TransportError, Update, diff
from sipqueue_async.tally import SeatTally, Tally
from tests.kit.builders import START, agent, snapshot
from tests.kit.times import moment

SEAT = SeatKey("queue-1", "100001")


def one(at: float, state: AgentState = AgentState.WAITING, **fields: Any) -> Snapshot:
    """Return a snapshot of the single agent, observed at some second."""
    return snapshot(agent(state=state, **fields), at=at)


def update(old: Snapshot | None, new: Snapshot, *before: Event, coalesced: bool = False) -> Update:
    """Return the update from one snapshot to another; events of the feed come first."""
    return Update(sequence=1, snapshot=new, previous=old, events=(*before, *diff(old, new)), coalesced=coalesced)


def down(known: Snapshot | None) -> Update:
    """Return the update of a feed that goes down."""
    since = None if known is None else known.observed_at
    event = FeedDown(error=TransportError("nobody there"), since=since)
    return Update(sequence=1, snapshot=known, previous=known, events=(event,))


def up(new: Snapshot) -> FeedUp:
    """Return the event of a feed that comes up."""
    return FeedUp(observed_at=new.observed_at, outage=timedelta(0), failures=1)


def seat(tally: Tally) -> SeatTally:
    """Return the single seat's tally."""
    return tally.seats[SEAT]


def elapsed(tally: Tally, at: float | None = None) -> dict[str, float]:
    """Return the single seat's nonzero seconds by state, and its unseen seconds, up to some second."""
    until = None if at is None else moment(at)
    found = {state.value: seconds for state, seconds in seat(tally).seconds(until).items()}
    return {name: seconds for name, seconds in {**found, "unseen": seat(tally).unseen(until)}.items() if seconds}


def began(tally: Tally) -> tuple[float, bool]:
    """Return the second at which the single seat's state began, and whether that is approximate."""
    return (seat(tally).since - START).total_seconds(), seat(tally).approximate


def calls(tally: Tally) -> tuple[int, int]:
    """Return how many calls the single seat answered and missed."""
    return seat(tally).calls_answered, seat(tally).calls_missed
