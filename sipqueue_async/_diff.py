"""The difference of two snapshots, and its inverse: pure functions that everything else is built on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from typing import Final

import attrs

from sipqueue_async.events import (
    AgentChanged,
    AgentJoined,
    AgentLeft,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    SeatEvent,
    StateChanged,
)
from sipqueue_async.models import AgentState, AgentStatus, SeatKey, Snapshot

_FIELDS: Final = tuple(field.name for field in attrs.fields(AgentStatus))
_values: Final = attrgetter(*_FIELDS)

# Which fields an event speaks for, so that AgentChanged names only what nothing else told. A change of state moves the
# extension's status and the agent's time stamps with it; a call moves its counter and its times.
_TOLD_BY_STATE: Final = frozenset(
    {"state", "state_code", "status_code", "last_answered_at", "last_offered_at", "last_changed_at"}
)
_TOLD_BY_ANSWER: Final = frozenset({"calls_answered", "last_answered_at", "last_offered_at"})
_TOLD_BY_MISS: Final = frozenset({"no_answer_count", "last_offered_at"})


def diff(old: Snapshot | None, new: Snapshot) -> tuple[SeatEvent, ...]:
    """Return what happened between two snapshots, ordered by queue and extension, then as the event table lists them.

    `old` may be any earlier snapshot: the last poll's, the one before an outage, the one saved before a restart. With
    None every seat of `new` has joined. Counters make the answer exact for calls that began and ended in between.

    Every event's `observed_at` is that of `new`.
    """
    before = {} if old is None else old._agents
    after = new._agents
    if after is before:
        return ()
    changed = [key for key, agent in after.items() if before.get(key) is not agent]
    gone = () if before.keys() <= after.keys() else before.keys() - after.keys()
    events: list[SeatEvent] = []
    for key in sorted([*changed, *gone]):
        events += _seat_events(key, before.get(key), after.get(key), new.observed_at)
    return tuple(events)


def apply(snapshot: Snapshot | None, events: Iterable[Event]) -> Snapshot:
    """Return the snapshot that results when events happen to `snapshot`: `apply(old, diff(old, new)) == new`.

    It was observed when the last of the events was. Events of the feed change nothing. What events do not carry,
    `server_time` and `problems`, is not in the result. Without any event, it is `snapshot` itself.

    Raises:
        ValueError: There is neither a snapshot nor an event about a seat.
    """
    agents: dict[SeatKey, AgentStatus] | None = None
    observed_at: datetime | None = None
    for event in events:
        if isinstance(event, FeedDown | FeedUp):
            continue
        if agents is None:
            agents = {} if snapshot is None else dict(snapshot._agents)
        if event.agent is None:
            agents.pop(event.key, None)
        else:
            agents[event.key] = event.agent
        observed_at = event.observed_at
    if agents is not None and observed_at is not None:
        return Snapshot._of(agents, observed_at=observed_at)
    if snapshot is None:
        raise ValueError("nothing to apply: there is no snapshot and no event about a seat")
    return snapshot


def _seat_events(
    key: SeatKey, previous: AgentStatus | None, agent: AgentStatus | None, observed_at: datetime
) -> Iterator[SeatEvent]:
    if agent is None:
        assert previous is not None  # noqa: S101  # the seat is in one of the two
        yield AgentLeft(key=key, observed_at=observed_at, previous=previous)
    elif previous is None:
        yield AgentJoined(key=key, observed_at=observed_at, agent=agent)
    else:
        yield from _change_events(key, previous, agent, observed_at)


def _change_events(
    key: SeatKey, previous: AgentStatus, agent: AgentStatus, observed_at: datetime
) -> Iterator[SeatEvent]:
    before, now = _values(previous), _values(agent)
    fields = {name for name, old, new in zip(_FIELDS, before, now, strict=True) if old != new}
    if _state_changed(previous, agent):
        yield StateChanged(
            key=key, observed_at=observed_at, agent=agent, previous=previous, occurred_at=_occurred_at(previous, agent)
        )
        fields -= _TOLD_BY_STATE
    answered = _counted(previous.calls_answered, agent.calls_answered)
    if answered:
        yield CallAnswered(
            key=key,
            observed_at=observed_at,
            agent=agent,
            previous=previous,
            count=answered,
            hidden=_hidden(previous, agent),
        )
        fields -= _TOLD_BY_ANSWER
    missed = _counted(previous.no_answer_count, agent.no_answer_count)
    if missed:
        yield CallMissed(key=key, observed_at=observed_at, agent=agent, previous=previous, count=missed)
        fields -= _TOLD_BY_MISS
    if fields:
        yield AgentChanged(key=key, observed_at=observed_at, agent=agent, previous=previous, fields=frozenset(fields))


def _state_changed(previous: AgentStatus, agent: AgentStatus) -> bool:
    if previous.state is not agent.state:
        return True
    return agent.state is AgentState.UNKNOWN and previous.state_code != agent.state_code


def _occurred_at(previous: AgentStatus, agent: AgentStatus) -> datetime | None:
    # A time that the record before had too belongs to an earlier call: an agent may also come back to talking from a
    # break, or talk outside the queue.
    if agent.state is AgentState.TALKING and agent.last_answered_at != previous.last_answered_at:
        return agent.last_answered_at
    if agent.state is AgentState.RECEIVING and agent.last_offered_at != previous.last_offered_at:
        return agent.last_offered_at
    return None


def _counted(previous: int, now: int) -> int:
    # A counter that fell was reset in between; what it shows now was counted since.
    return now - previous if now >= previous else now


def _hidden(previous: AgentStatus, agent: AgentStatus) -> bool:
    if agent.state is AgentState.TALKING:
        return False
    # The one call may be the one that the record before showed, on a platform that counts calls when they end.
    shown_before = (
        previous.state is AgentState.TALKING
        and previous.last_answered_at is not None
        and previous.last_answered_at == agent.last_answered_at
    )
    return not shown_before
