"""The event classes, and the `Update` that carries events to a consumer."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeAlias

import attrs

from sipqueue_async.models import AgentState, AgentStatus, SeatKey, Snapshot


def _state(agent: AgentStatus) -> str:
    """Return the state's name, or the code's label if the state is unknown."""
    return agent.state_label if agent.state is AgentState.UNKNOWN else agent.state


def _isoformat(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _is_news(before: datetime | None, now: datetime | None) -> bool:
    return now is None or now != before


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


@attrs.frozen(kw_only=True)
class _SeatEvent:
    """A change of one seat between two snapshots."""

    key: SeatKey
    """The seat."""
    observed_at: datetime
    """When the snapshot that shows it arrived (aware)."""

    @property
    def queue(self) -> str:
        """The seat's queue."""
        return self.key.queue

    @property
    def extension(self) -> str:
        """The seat's extension."""
        return self.key.extension

    def _say(self, what: str) -> str:
        return f"{self.queue} {self.extension} {what}"

    def _seat_to_dict(self, kind: str, latest: AgentStatus) -> dict[str, Any]:
        seat = {"queue": self.queue, "extension": self.extension, "name": latest.name}
        return {"event": kind, **seat, "observed_at": self.observed_at.isoformat()}


@attrs.frozen(kw_only=True)
class AgentJoined(_SeatEvent):
    """A seat is new: an agent signed in, or joined a queue."""

    kind: ClassVar[str] = "agent-joined"
    """The event's name in JSON."""

    agent: AgentStatus
    """The record now."""
    previous: None = None
    """There was no record before."""

    @property
    def begins_state(self) -> bool:
        """Whether the seat's state begins with this event: true."""
        return True

    def __str__(self) -> str:
        return self._say(f"joined, {self.agent.state}")

    def to_dict(self) -> dict[str, Any]:
        """Return the event as values for JSON; the documentation of ``sipqueue watch --json`` lists the fields."""
        return self._seat_to_dict(self.kind, self.agent) | {"agent": self.agent.to_dict()}


@attrs.frozen(kw_only=True)
class AgentLeft(_SeatEvent):
    """A seat is gone."""

    kind: ClassVar[str] = "agent-left"
    """The event's name in JSON."""

    agent: None = None
    """There is no record now."""
    previous: AgentStatus
    """The last record."""

    @property
    def begins_state(self) -> bool:
        """Whether the seat's state begins with this event: false, there is none."""
        return False

    def __str__(self) -> str:
        return self._say("left")

    def to_dict(self) -> dict[str, Any]:
        """Return the event as values for JSON; the documentation of ``sipqueue watch --json`` lists the fields."""
        return self._seat_to_dict(self.kind, self.previous) | {"previous": self.previous.to_dict()}


@attrs.frozen(kw_only=True)
class _ChangeEvent(_SeatEvent):
    agent: AgentStatus
    """The record now."""
    previous: AgentStatus
    """The record before."""


@attrs.frozen(kw_only=True)
class StateChanged(_ChangeEvent):
    """An agent's state changed (or both states are unknown, and their codes differ)."""

    kind: ClassVar[str] = "state-changed"
    """The event's name in JSON."""

    occurred_at: datetime | None = None
    """When it happened, by the server's clock, if the record shows it: the time of the last answer for talking, or of
    the last offer for receiving, if that time is new."""

    @property
    def before(self) -> AgentState:
        """The state of the record before."""
        return self.previous.state

    @property
    def after(self) -> AgentState:
        """The state of the record now."""
        return self.agent.state

    @property
    def begins_state(self) -> bool:
        """Whether the seat's state begins with this event: true."""
        return True

    def __str__(self) -> str:
        return self._say(f"{_state(self.previous)} → {_state(self.agent)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the event as values for JSON; the documentation of ``sipqueue watch --json`` lists the fields."""
        return self._seat_to_dict(self.kind, self.agent) | {
            "before": self.before,
            "after": self.after,
            "before_code": self.previous.state_code,
            "after_code": self.agent.state_code,
            "occurred_at": _isoformat(self.occurred_at),
        }


@attrs.frozen(kw_only=True)
class CallAnswered(_ChangeEvent):
    """An agent answered calls: the counter `calls_answered` grew, or was reset and counted calls since."""

    kind: ClassVar[str] = "call-answered"
    """The event's name in JSON."""

    count: int
    """How many calls: at least 1."""
    hidden: bool
    """Whether at least one of them is under way in neither of the two snapshots: `hidden_count` is not 0."""
    hidden_count: int = attrs.field(
        default=attrs.Factory(lambda self: self.count if self.hidden else 0, takes_self=True)
    )
    """How many of the `count` calls are under way in neither of the two snapshots.

    A call of the queue is under way in a snapshot if the agent is talking and `last_answered_at` is the call's. If a
    call outside the queue was counted as well, none is, because the agent may be talking in that one. On a platform
    that counts calls when they end, or sends no times, this may be off by one.
    """

    @property
    def answered_at(self) -> datetime | None:
        """When the last of them was answered, by the server's clock."""
        return self.agent.last_answered_at

    @property
    def begins_state(self) -> bool:
        """Whether the seat's state begins with this event, even if it has the same name as the one before.

        A call between two polls means that the agent was in other states in between. A counter that lags behind the
        record's call time counts a call that the record before showed already.
        """
        return _is_news(self.previous.last_answered_at, self.answered_at)

    def __str__(self) -> str:
        hidden = (
            ""
            if not self.hidden_count
            else ", hidden"
            if self.count == self.hidden_count
            else f", {self.hidden_count} hidden"
        )
        return self._say(f"answered {_calls(self.count)}{hidden}")

    def to_dict(self) -> dict[str, Any]:
        """Return the event as values for JSON; the documentation of ``sipqueue watch --json`` lists the fields."""
        own = {"count": self.count, "answered_at": _isoformat(self.answered_at)}
        hidden = {"hidden": self.hidden, "hidden_count": self.hidden_count}
        return self._seat_to_dict(self.kind, self.agent) | own | hidden


@attrs.frozen(kw_only=True)
class CallMissed(_ChangeEvent):
    """An agent did not answer calls: the counter `no_answer_count` grew, or was reset and counted calls since."""

    kind: ClassVar[str] = "call-missed"
    """The event's name in JSON."""

    count: int
    """How many offers: at least 1."""

    @property
    def offered_at(self) -> datetime | None:
        """When the agent was last offered a call, by the server's clock."""
        return self.agent.last_offered_at

    @property
    def begins_state(self) -> bool:
        """Whether the seat's state begins with this event, even if it has the same name as the one before."""
        return _is_news(self.previous.last_offered_at, self.offered_at)

    def __str__(self) -> str:
        return self._say(f"missed {_calls(self.count)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the event as values for JSON; the documentation of ``sipqueue watch --json`` lists the fields."""
        own = {"count": self.count, "offered_at": _isoformat(self.offered_at)}
        return self._seat_to_dict(self.kind, self.agent) | own


@attrs.frozen(kw_only=True)
class AgentChanged(_ChangeEvent):
    """Fields of a record changed that no other event of the same update covers."""

    kind: ClassVar[str] = "agent-changed"
    """The event's name in JSON."""

    fields: frozenset[str]
    """The names of those fields of `AgentStatus`."""

    @property
    def begins_state(self) -> bool:
        """Whether the seat's state begins with this event: false, the state continues."""
        return False

    def __str__(self) -> str:
        pairs = (f"{it}: {getattr(self.previous, it)} → {getattr(self.agent, it)}" for it in sorted(self.fields))
        return self._say(", ".join(pairs))

    def to_dict(self) -> dict[str, Any]:
        """Return the event as values for JSON; the documentation of ``sipqueue watch --json`` lists the fields."""
        before, after = self.previous.to_dict(), self.agent.to_dict()
        changes = {name: {"before": before[name], "after": after[name]} for name in sorted(self.fields)}
        return self._seat_to_dict(self.kind, self.agent) | {"changes": changes}


@attrs.frozen(kw_only=True)
class _FeedEvent:
    """A change of the feed itself; it concerns every seat, so `key`, `queue` and `extension` are None."""

    key: None = attrs.field(default=None, init=False, repr=False)
    queue: None = attrs.field(default=None, init=False, repr=False)
    extension: None = attrs.field(default=None, init=False, repr=False)
    agent: None = attrs.field(default=None, init=False, repr=False)
    previous: None = attrs.field(default=None, init=False, repr=False)


@attrs.frozen(kw_only=True)
class FeedDown(_FeedEvent):
    """A poll failed, after a good one or as the first one. Until `FeedUp`, the present status is unknown."""

    kind: ClassVar[str] = "feed-down"
    """The event's name in JSON."""

    error: BaseException
    """Why the poll failed."""
    since: datetime | None
    """The last good snapshot's `observed_at`, or None if there was none."""

    @property
    def observed_at(self) -> datetime | None:
        """The same as `since`: the time of an event always comes from a snapshot."""
        return self.since

    def __str__(self) -> str:
        return f"feed down: {self.error}"

    def to_dict(self) -> dict[str, Any]:
        """Return the event as values for JSON; the documentation of ``sipqueue watch --json`` lists the fields."""
        since = _isoformat(self.since)
        why = {"error": str(self.error), "error_type": type(self.error).__name__}
        return {"event": self.kind, "observed_at": since, "since": since, **why}


@attrs.frozen(kw_only=True)
class FeedUp(_FeedEvent):
    """An answer was accepted after failures; the changes since the outage began follow in the same update.

    An answer that is held back as a whole because it seems old does not end an outage.
    """

    kind: ClassVar[str] = "feed-up"
    """The event's name in JSON."""

    observed_at: datetime
    """When the good snapshot arrived (aware)."""
    outage: timedelta
    """How long the outage lasted: since the last good snapshot, or since the first failure if there was none."""
    failures: int
    """How many polls failed since the last accepted answer."""

    def __str__(self) -> str:
        return f"feed up after {self.outage.total_seconds():.0f} s"

    def to_dict(self) -> dict[str, Any]:
        """Return the event as values for JSON; the documentation of ``sipqueue watch --json`` lists the fields."""
        own = {"outage": self.outage.total_seconds(), "failures": self.failures}
        return {"event": self.kind, "observed_at": self.observed_at.isoformat(), **own}


SeatEvent: TypeAlias = AgentJoined | AgentLeft | StateChanged | CallAnswered | CallMissed | AgentChanged
"""Any event about a seat: what `diff` returns."""

FeedEvent: TypeAlias = FeedDown | FeedUp
"""Any event about the feed."""

Event: TypeAlias = SeatEvent | FeedEvent
"""Any event. The union is closed, so that type checkers can tell whether a `match` is exhaustive."""


@attrs.frozen(kw_only=True, repr=False)
class Update:
    """One change that a feed reports, as one consumer sees it."""

    sequence: int
    """The feed's count of changes, from 1. A coalesced update has the number of its last change."""
    snapshot: Snapshot | None
    """The snapshot after the change; None only before the first good poll."""
    previous: Snapshot | None
    """The snapshot before the change. If the consumer asked for all events, `apply(previous, events)` has the records
    of `snapshot`, unless that is None."""
    events: tuple[Event, ...]
    """The events that the consumer asked for, in order; never empty."""
    coalesced: bool = False
    """Whether several changes were merged into this one, because the consumer was slow."""

    def __repr__(self) -> str:
        counts = Counter(type(event).__name__ for event in self.events)
        events = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no events"
        agents = "" if self.snapshot is None else f"; {len(self.snapshot)} agents"
        return f"<Update {self.sequence}{' (coalesced)' if self.coalesced else ''}: {events}{agents}>"

    def __str__(self) -> str:
        return f"update {self.sequence}{' (coalesced)' if self.coalesced else ''}: {'; '.join(map(str, self.events))}"
