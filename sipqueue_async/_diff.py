"""`diff` and `apply`: the events between two snapshots, and their inverse."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from datetime import datetime
from itertools import compress
from operator import attrgetter, is_not
from typing import Final, TypeAlias

import attrs

from sipqueue_async._fast_instances import mutable_twin, new_instance
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
from sipqueue_async.models import COUNTER_FIELDS, AgentState, AgentStatus, SeatKey, Snapshot

Change: TypeAlias = tuple[SeatKey, AgentStatus, AgentStatus]
"""A seat, its record before, and its record now."""

_FIELDS: Final = tuple(field.name for field in attrs.fields(AgentStatus))
# Local names: every change reads them.
_TALKING, _RECEIVING, _UNKNOWN = AgentState.TALKING, AgentState.RECEIVING, AgentState.UNKNOWN
_StateChangedTwin: Final = mutable_twin(StateChanged)
_CallAnsweredTwin: Final = mutable_twin(CallAnswered)

# The fields that an event covers. A change of state covers the extension's status and the agent's times; a call covers
# its counter and its times.
_COVERED_BY_STATE: Final = frozenset(
    {"state", "state_code", "status_code", "last_answered_at", "last_offered_at", "last_changed_at"}
)
_COVERED_BY_ANSWER: Final = frozenset({"calls_answered", "last_answered_at", "last_offered_at"})
_COVERED_BY_MISS: Final = frozenset({"no_answer_count", "last_offered_at"})
_NONE: Final = frozenset[str]()
_NO_COUNTERS: Final = frozenset[tuple[SeatKey, str]]()
# Equal in both records.
_SEAT: Final = frozenset({"queue", "extension"})


def diff(old: Snapshot | None, new: Snapshot) -> tuple[SeatEvent, ...]:
    """Return the events between two snapshots, ordered by queue and extension, then as in the table of events.

    `old` may be any earlier snapshot: that of the last poll, one from before an outage, one saved before a restart.
    With None every seat of `new` has joined. Counters make the result exact for calls that began and ended in between.

    Every event's `observed_at` is that of `new`.
    """
    events: list[SeatEvent] = []
    unknown = unknown_counters(old) if old is not None and old.problems else _NO_COUNTERS
    if old is not None and old._places is new._places:
        # The same seats, as in nearly all polls.
        _tell(events, _changes(old, new), new.observed_at, unknown)
        return tuple(events)
    before = {} if old is None else dict(old.items())
    after = dict(new.items())
    changed = [key for key, agent in after.items() if before.get(key) is not agent]
    for key in sorted([*changed, *(before.keys() - after.keys())]):
        previous, agent = before.get(key), after.get(key)
        if agent is None:
            assert previous is not None  # noqa: S101  # the seat is in one of the two
            events.append(AgentLeft(key=key, observed_at=new.observed_at, previous=previous))
        elif previous is None:
            events.append(AgentJoined(key=key, observed_at=new.observed_at, agent=agent))
        else:
            _tell(events, [(key, previous, agent)], new.observed_at, unknown)
    return tuple(events)


def compare(old: Snapshot, new: Snapshot) -> tuple[Iterable[Change], Sequence[SeatKey], Sequence[SeatKey]]:
    """Return the changed records of seats in both snapshots, the seats that are gone, and the new ones."""
    if old._places is new._places:
        return _changes(old, new), (), ()
    before, after = dict(old.items()), dict(new.items())
    changed = [(key, it, agent) for key, agent in after.items() if (it := before.get(key)) and it is not agent]
    if before.keys() == after.keys():
        return changed, (), ()
    return changed, [key for key in before if key not in after], [key for key in after if key not in before]


def unknown_counters(snapshot: Snapshot) -> Set[tuple[SeatKey, str]]:
    """Return the seats' counters that the platform has never sent, so that the record's 0 means nothing."""
    return {
        (SeatKey(problem.queue or "", problem.extension or ""), COUNTER_FIELDS[problem.field])
        for problem in snapshot.problems
        if problem.field in COUNTER_FIELDS and not problem.carried
    }


def is_later(before: datetime, after: datetime) -> bool:
    """Return whether `after` is later than `before`; if only one has a zone, both are compared as local times."""
    if (before.tzinfo is None) != (after.tzinfo is None):
        before, after = before.replace(tzinfo=None), after.replace(tzinfo=None)
    return after > before


def _changes(old: Snapshot, new: Snapshot) -> Iterable[Change]:
    """Return the records of the same seats that are not the same objects, in the order of the seats."""
    before, after = old._records, new._records
    if before is after:
        return ()
    seats = list(new._places)
    if old._changes and new._changes and new._changes.follow(old._changes):
        places = new._changes.places
        if len(places) == len(seats):
            return zip(seats, before, after, strict=True)
    else:
        places = sorted(compress(range(len(seats)), map(is_not, before, after)), key=seats.__getitem__)
    return zip(*(map(column.__getitem__, places) for column in (seats, before, after)), strict=True)


def apply(snapshot: Snapshot | None, events: Iterable[Event]) -> Snapshot:
    """Return the snapshot that results when events happen to `snapshot`: `apply(old, diff(old, new)) == new`.

    Its `observed_at` is that of the last event. Feed events change nothing. The result has no `server_time` and no
    `problems`, since events do not carry them. Without any event, it is `snapshot` itself.

    Raises:
        ValueError: There is neither a snapshot nor an event about a seat.
    """
    agents: dict[SeatKey, AgentStatus | None] = {}
    observed_at: datetime | None = None
    for event in events:
        if not isinstance(event, FeedDown | FeedUp):
            agents[event.key] = event.agent
            observed_at = event.observed_at
    if observed_at is not None:
        start = Snapshot(observed_at=observed_at) if snapshot is None else snapshot
        return start.with_changes(agents, observed_at=observed_at)
    if snapshot is None:
        raise ValueError("nothing to apply: there is no snapshot and no event about a seat")
    return snapshot


def _tell(
    events: list[SeatEvent], changes: Iterable[Change], observed_at: datetime, unknown: Set[tuple[SeatKey, str]]
) -> None:
    """Append the events about seats that are in both snapshots."""
    # Inlined: a function call costs about as much as making the event.
    for key, previous, agent in changes:
        covered = 0
        state = agent.state
        if previous.state is not state or (state is _UNKNOWN and previous.state_code != agent.state_code):
            covered = _STATE
            event = new_instance(_StateChangedTwin)
            event.key = key
            event.observed_at = observed_at
            event.agent = agent
            event.previous = previous
            event.occurred_at = _occurred_at(previous, agent) if state is _TALKING or state is _RECEIVING else None
            event.__class__ = StateChanged
            events.append(event)
        if agent.calls_answered != previous.calls_answered and (
            count := agent.calls_answered - previous.calls_answered
            if agent.calls_answered > previous.calls_answered and agent.name is previous.name and not unknown
            else _new_calls(previous, agent, unknown, "calls_answered", "last_answered_at")
        ):
            covered |= _ANSWER
            event = new_instance(_CallAnsweredTwin)
            event.key = key
            event.observed_at = observed_at
            event.agent = agent
            event.previous = previous
            event.count = count
            event.hidden_count = hidden = _hidden(previous, agent, count)
            event.hidden = hidden > 0
            event.__class__ = CallAnswered
            events.append(event)
        if agent.no_answer_count != previous.no_answer_count and (
            count := agent.no_answer_count - previous.no_answer_count
            if agent.no_answer_count > previous.no_answer_count and agent.name is previous.name and not unknown
            else _new_calls(previous, agent, unknown, "no_answer_count", "last_offered_at")
        ):
            covered |= _MISS
            events.append(CallMissed(key=key, observed_at=observed_at, agent=agent, previous=previous, count=count))
        # The fields that a change of state does not cover. Usually none differs; comparing them one by one is fastest.
        if covered & _STATE and (
            agent.name == previous.name
            and agent.external_calls_count == previous.external_calls_count
            and agent.wrap_up_time == previous.wrap_up_time
            and agent.max_no_answer == previous.max_no_answer
            and (covered & _ANSWER or agent.calls_answered == previous.calls_answered)
            and (covered & _MISS or agent.no_answer_count == previous.no_answer_count)
        ):
            continue
        uncovered = _UNCOVERED[covered]
        if uncovered.values(previous) != uncovered.values(agent):
            fields = uncovered.differing(previous, agent)
            events.append(AgentChanged(key=key, observed_at=observed_at, agent=agent, previous=previous, fields=fields))


class _Uncovered:
    """The fields that no other event covers, so that `AgentChanged` names only those."""

    def __init__(self, covered: frozenset[str]) -> None:
        self._names = tuple(name for name in _FIELDS if name not in covered)
        self.values: Callable[[AgentStatus], tuple[object, ...]] = attrgetter(*self._names)

    def differing(self, previous: AgentStatus, agent: AgentStatus) -> frozenset[str]:
        """Return the names of those that differ."""
        pairs = zip(self._names, self.values(previous), self.values(agent), strict=True)
        return frozenset(name for name, old, new in pairs if old != new)


# Indexed by the sum of the bits of a record's events.
_STATE, _ANSWER, _MISS = 1, 2, 4
_UNCOVERED: Final = tuple(
    _Uncovered(
        _SEAT
        | (_COVERED_BY_STATE if covered & _STATE else _NONE)
        | (_COVERED_BY_ANSWER if covered & _ANSWER else _NONE)
        | (_COVERED_BY_MISS if covered & _MISS else _NONE)
    )
    for covered in range(8)
)


def _occurred_at(previous: AgentStatus, agent: AgentStatus) -> datetime | None:
    # An unchanged time belongs to an earlier call: the agent may be back from a break, or in a call outside the queue.
    if agent.state is _TALKING and agent.last_answered_at != previous.last_answered_at:
        # If a call outside the queue was counted too, either of the two may be the one under way.
        return agent.last_answered_at if agent.external_calls_count == previous.external_calls_count else None
    if agent.state is _RECEIVING and agent.last_offered_at != previous.last_offered_at:
        return agent.last_offered_at
    return None


def _new_calls(
    previous: AgentStatus, agent: AgentStatus, unknown: Set[tuple[SeatKey, str]], counter: str, time: str
) -> int:
    """Return how many new calls a changed counter shows."""
    count: int = getattr(agent, counter) - getattr(previous, counter)
    if agent.name is not previous.name and _is_another_person(previous, agent, unknown):
        return 0
    if unknown and (agent.key, counter) in unknown:
        return 0
    if count > 0:
        return count
    # The counter decreased. With a later call time it was reset, and counts the calls since then. With the same time or
    # none, its calls were reported before. Without an earlier time (some platforms never send it), assume a reset.
    before, after = getattr(previous, time), getattr(agent, time)
    is_reset = before is None or (after is not None and is_later(before, after))
    return getattr(agent, counter) if is_reset else 0


def _is_another_person(previous: AgentStatus, agent: AgentStatus, unknown: Set[tuple[SeatKey, str]]) -> bool:
    """Return whether the name changed together with the statistics: they are another person's, not new calls.

    If only the name changed, the counters continue: each grows by at most one call, and no call time goes back. A
    counter that was unknown before says nothing.
    """
    # A missing name does not mean another person. A name that appears may be another person's.
    if agent.name is None or previous.name == agent.name:
        return False
    growths = {
        getattr(agent, counter) - getattr(previous, counter)
        for counter in COUNTER_FIELDS.values()
        if (agent.key, counter) not in unknown
    }
    return not growths <= {0, 1} or any(
        before is not None and (after is None or is_later(after, before))
        for before, after in (
            (previous.last_answered_at, agent.last_answered_at),
            (previous.last_offered_at, agent.last_offered_at),
        )
    )


def _hidden(previous: AgentStatus, agent: AgentStatus, count: int) -> int:
    """Return how many of the counted calls are under way in neither of the two records."""
    answered_at = agent.last_answered_at
    if answered_at is None:
        # Without a time, calls cannot be told apart.
        return count - 1 if agent.state is _TALKING else count
    if answered_at == previous.last_answered_at:
        # A platform that counts calls when they end: the call was answered before the earlier record.
        return count - 1 if previous.state is _TALKING else count
    is_shown = agent.state is _TALKING and agent.external_calls_count == previous.external_calls_count
    return count - 1 if is_shown else count
