"""Helpers for the tally's tests: updates, built from snapshots as a watcher does, and one seat's figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sipqueue_async import AgentState, Event, FeedDown, FeedUp, SeatKey, Snapshot, TransportError, Update, diff
from sipqueue_async.tally import SeatTally, Tally
from tests.kit.builders import START, agent, snapshot

SEAT = SeatKey("queue-1", "100001")


def moment(seconds: float) -> datetime:
    """Return the moment so many seconds after START."""
    return START + timedelta(seconds=seconds)


def one(at: float, state: AgentState = AgentState.WAITING, **fields: Any) -> Snapshot:
    """Return the one agent, seen at some second."""
    return snapshot(agent(state=state, **fields), at=at)


def update(old: Snapshot | None, new: Snapshot, *before: Event, coalesced: bool = False) -> Update:
    """Return the update from one snapshot to another; events of the feed come first."""
    return Update(sequence=1, snapshot=new, previous=old, events=(*before, *diff(old, new)), coalesced=coalesced)


def down(known: Snapshot | None) -> Update:
    """Return the update that tells of a feed that goes down."""
    since = None if known is None else known.observed_at
    event = FeedDown(error=TransportError("nobody there"), since=since)
    return Update(sequence=1, snapshot=known, previous=known, events=(event,))


def up(new: Snapshot) -> FeedUp:
    """Return what is told of a feed that is up again."""
    return FeedUp(observed_at=new.observed_at, outage=timedelta(0), failures=1)


def seat(tally: Tally) -> SeatTally:
    """Return the one seat."""
    return tally.seats[SEAT]


def elapsed(tally: Tally, at: float | None = None) -> dict[str, float]:
    """Return the one seat's seconds in the states that have any, and unseen ones, up to some second."""
    until = None if at is None else moment(at)
    found = {state.value: seconds for state, seconds in seat(tally).seconds(until).items()}
    return {name: seconds for name, seconds in {**found, "unseen": seat(tally).unseen(until)}.items() if seconds}


def began(tally: Tally) -> tuple[float, bool]:
    """Return the second at which the one seat's state began, and whether that is approximate."""
    return (seat(tally).since - START).total_seconds(), seat(tally).approximate


def calls(tally: Tally) -> tuple[int, int]:
    """Return how many calls the one seat answered and missed."""
    return seat(tally).calls_answered, seat(tally).calls_missed
