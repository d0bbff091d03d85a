"""The counters of one seat and of several seats. `figures` has read-only views of them."""

from __future__ import annotations

from datetime import datetime

import attrs

from sipqueue_async import AgentState, AgentStatus, CallAnswered, CallMissed, SeatKey
from sipqueue_async.tally.clock import Clock


def _no_time() -> dict[AgentState, int]:
    return dict.fromkeys(AgentState, 0)


@attrs.define(eq=False)
class SeatCount:
    """One seat's counters since the tally's start. Times are microseconds."""

    clock: Clock
    agent: AgentStatus
    """The last record."""
    since: datetime
    """The wall time at which the state began, or at which the first snapshot without the seat arrived."""
    approximate: bool
    """Whether the state may have begun before `since`."""
    present: bool = True
    """False once the seat has left."""
    calls_answered: int = 0
    calls_missed: int = 0
    elapsed: dict[AgentState, int] = attrs.field(factory=_no_time)
    """Time in each state up to `settled`."""
    unseen: int = 0
    """Unseen time up to `settled`."""
    settled: tuple[int, int] = attrs.field(init=False)
    """The clock's reading up to which time is counted."""
    began: int = attrs.field(init=False)
    """The clock's total when the state began."""

    def __attrs_post_init__(self) -> None:
        self.settled = self.clock.reading()
        self.began = self.clock.total

    @property
    def key(self) -> SeatKey:
        """The seat."""
        return self.agent.key

    @property
    def state(self) -> AgentState:
        """The state of the last record."""
        return self.agent.state

    def elapsed_at(self, at: datetime | None) -> dict[AgentState, int]:
        """Return the time in each state up to a moment."""
        seen, _ = self.clock.reading(at)
        elapsed = dict(self.elapsed)
        if self.present:
            elapsed[self.state] += seen - self.settled[0]
        return elapsed

    def unseen_at(self, at: datetime | None) -> int:
        """Return the unseen time up to a moment."""
        _, unseen = self.clock.reading(at)
        return self.unseen + (unseen - self.settled[1] if self.present else 0)

    def settle(self) -> None:
        """Count the time up to now."""
        reading = self.clock.reading()
        if self.present:
            self.elapsed[self.state] += reading[0] - self.settled[0]
            self.unseen += reading[1] - self.settled[1]
        self.settled = reading

    def change(self, agent: AgentStatus | None, since: datetime, *, approximate: bool) -> None:
        """Start the state of a new record; None means that the seat has left."""
        self.settle()
        self.present = agent is not None
        self.agent = agent or self.agent
        self.since = since
        self.began = self.clock.total
        self.approximate = approximate

    def count(self, event: CallAnswered | CallMissed) -> None:
        """Count an event's calls."""
        if isinstance(event, CallAnswered):
            self.calls_answered += event.count
        else:
            self.calls_missed += event.count


@attrs.define(eq=False)
class GroupCount:
    """The summed counters of several seats since the tally's start. Times are microseconds."""

    clock: Clock
    agents: dict[AgentState, int] = attrs.field(factory=_no_time)
    """How many agents are in each state now."""
    calls_answered: int = 0
    calls_missed: int = 0
    elapsed: dict[AgentState, int] = attrs.field(factory=_no_time)
    unseen: int = 0
    settled: tuple[int, int] = attrs.field(init=False)
    _talking: dict[SeatKey, SeatCount] = attrs.field(factory=dict[SeatKey, SeatCount], init=False)
    _longest: SeatCount | None = attrs.field(default=None, init=False)
    _longest_is_known: bool = attrs.field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        self.settled = self.clock.reading()

    def longest_talk(self) -> SeatCount | None:
        """Return the seat with the longest talk under way, or None."""
        if not self._longest_is_known:
            self._longest = min(self._talking.values(), key=lambda seat: (seat.began, seat.key), default=None)
            self._longest_is_known = True
        return self._longest

    def elapsed_at(self, at: datetime | None) -> dict[AgentState, int]:
        """Return the sum of the seats' time in each state up to a moment."""
        seen, _ = self.clock.reading(at)
        passed = seen - self.settled[0]
        return {state: elapsed + self.agents[state] * passed for state, elapsed in self.elapsed.items()}

    def unseen_at(self, at: datetime | None) -> int:
        """Return the sum of the seats' unseen time up to a moment."""
        _, unseen = self.clock.reading(at)
        return self.unseen + sum(self.agents.values()) * (unseen - self.settled[1])

    def settle(self) -> None:
        """Count the time up to now. Call this before any seat of the group changes."""
        reading = self.clock.reading()
        if reading != self.settled:
            self.elapsed = self.elapsed_at(None)
            self.unseen = self.unseen_at(None)
            self.settled = reading

    def add(self, seat: SeatCount) -> None:
        """Add a seat to the group, with its figures so far."""
        self.settle()
        for state, elapsed in seat.elapsed.items():
            self.elapsed[state] += elapsed
        self.unseen += seat.unseen
        self.calls_answered += seat.calls_answered
        self.calls_missed += seat.calls_missed
        self.include(seat)

    def exclude(self, seat: SeatCount) -> None:
        """Stop counting a seat's state, before it changes."""
        self.settle()
        if seat.present:
            self.agents[seat.state] -= 1
        self._talking.pop(seat.key, None)

    def include(self, seat: SeatCount) -> None:
        """Count a seat's state from now on."""
        if seat.present:
            self.agents[seat.state] += 1
            if seat.state is AgentState.TALKING:
                self._talking[seat.key] = seat
        self._longest_is_known = False

    def count(self, event: CallAnswered | CallMissed) -> None:
        """Count an event's calls."""
        if isinstance(event, CallAnswered):
            self.calls_answered += event.count
        else:
            self.calls_missed += event.count
