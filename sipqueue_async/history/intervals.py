"""State intervals and calls: what each agent did when, from updates that were read back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Literal

import attrs

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    SeatEvent,
    SeatKey,
    Snapshot,
    Update,
)
from sipqueue_async.history.store import Outage

_NOTHING: Final = timedelta(0)


@attrs.frozen(kw_only=True)
class StateInterval:
    """A time that an agent spent in one state, cut at the ends of the span that was asked for."""

    key: SeatKey
    """The seat."""
    name: str | None
    """The agent's name at the end of the interval."""
    state: AgentState
    """The state."""
    began_at: datetime
    """When it began (aware, UTC), or the beginning of the span."""
    ended_at: datetime
    """When it ended (aware, UTC), or the end of the span."""
    unseen: timedelta = _NOTHING
    """How much of it the status was unknown."""
    began_before: bool = False
    """Whether it began before the span."""
    goes_on: bool = False
    """Whether it was under way at the end of the span."""
    approximate: bool = False
    """Whether it may have begun more than one poll earlier: in unseen time, or within a coalesced update."""

    @property
    def queue(self) -> str:
        """The seat's queue."""
        return self.key.queue

    @property
    def extension(self) -> str:
        """The seat's extension."""
        return self.key.extension

    @property
    def seconds(self) -> float:
        """Its length in seconds, without unseen time."""
        return (self.ended_at - self.began_at - self.unseen).total_seconds()


@attrs.frozen(kw_only=True)
class Call:
    """Calls of one agent that one update showed: nearly always one."""

    key: SeatKey
    """The seat."""
    name: str | None
    """The agent's name."""
    at: datetime
    """When the update arrived (aware, UTC)."""
    outcome: Literal["answered", "missed"]
    """Whether the agent answered."""
    count: int
    """How many calls."""
    hidden_count: int = 0
    """How many of them no snapshot shows; see `CallAnswered.hidden_count`."""
    call_time: datetime | None = None
    """When the last of them was answered or offered, by the server's clock, as the platform sent it."""

    @property
    def queue(self) -> str:
        """The seat's queue."""
        return self.key.queue

    @property
    def extension(self) -> str:
        """The seat's extension."""
        return self.key.extension


def call_of(event: Event) -> Call | None:
    """Return the calls of an event, or None if it is about something else."""
    match event:
        case CallAnswered():
            outcome: Literal["answered", "missed"] = "answered"
            hidden, call_time = event.hidden_count, event.answered_at
        case CallMissed():
            outcome, hidden, call_time = "missed", 0, event.offered_at
        case _:
            return None
    return Call(
        key=event.key,
        name=event.agent.name,
        at=event.observed_at,
        outcome=outcome,
        count=event.count,
        hidden_count=hidden,
        call_time=call_time,
    )


@attrs.define
class _Open:
    """An interval that has not ended."""

    agent: AgentStatus
    began_at: datetime
    unseen: timedelta
    """All unseen time up to its beginning."""
    began_before: bool
    approximate: bool


class Intervals:
    """Finds the intervals of a span.

    Args:
        snapshot: The status at the beginning; None if nothing is recorded before.
        since: The beginning.
        began_before: Whether the states of the snapshot began before.
    """

    def __init__(self, snapshot: Snapshot | None, since: datetime, *, began_before: bool) -> None:
        self._since = since
        self._gaps: list[Outage] = []
        self._unseen = _NOTHING
        agents = () if snapshot is None else snapshot.items()
        self._open = {key: _Open(agent, since, _NOTHING, began_before, approximate=True) for key, agent in agents}

    def gap(self, gap: Outage) -> None:
        """Count unseen time."""
        self._gaps.append(gap)

    def update(self, update: Update) -> Iterator[StateInterval]:
        """Yield the intervals that an update ends."""
        unsure = update.coalesced
        for event in update.events:
            if isinstance(event, FeedDown | FeedUp):
                unsure = unsure or isinstance(event, FeedUp)
                continue
            unsure = unsure or any(gap.ended_at == event.observed_at for gap in self._gaps)
            yield from self._fold(event, unsure=unsure)

    def finish(self, until: datetime) -> Iterator[StateInterval]:
        """Yield the intervals that are under way at the end of the span."""
        for key in sorted(self._open):
            yield from self._end(key, until, goes_on=True)

    def _fold(self, event: SeatEvent, *, unsure: bool) -> Iterator[StateInterval]:
        key, at = event.key, event.observed_at
        known = self._open.get(key)
        agent = event.agent
        if isinstance(event, AgentLeft) or agent is None:
            yield from self._end(key, at, goes_on=False)
            del self._open[key]
            return
        anew = event.begins_state and not isinstance(event, AgentJoined)
        if known is not None and known.agent.state is agent.state and not anew:
            known.agent = agent
            return
        if known is not None:
            yield from self._end(key, at, goes_on=False)
        self._open[key] = _Open(agent, at, self._unseen_until(at), began_before=False, approximate=unsure)

    def _end(self, key: SeatKey, at: datetime, *, goes_on: bool) -> Iterator[StateInterval]:
        known = self._open[key]
        if at > known.began_at:
            yield StateInterval(
                key=key,
                name=known.agent.name,
                state=known.agent.state,
                began_at=known.began_at,
                ended_at=at,
                unseen=self._unseen_until(at) - known.unseen,
                began_before=known.began_before,
                goes_on=goes_on,
                approximate=known.approximate,
            )

    def _unseen_until(self, at: datetime) -> timedelta:
        """Return all unseen time up to a moment that is not before the last one."""
        rest: list[Outage] = []
        under_way = _NOTHING
        for gap in self._gaps:
            began = max(gap.began_at, self._since)
            if gap.ended_at is not None and gap.ended_at < at:
                self._unseen += gap.ended_at - began
            else:
                under_way += max(_NOTHING, min(at, gap.ended_at or at) - began)
                rest.append(gap)
        self._gaps = rest
        return self._unseen + under_way
