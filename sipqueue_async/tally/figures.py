"""What a tally knows of a seat, of a queue and of all queues, and the clock that they are counted by.

Time is kept in whole microseconds, which is as fine as a `datetime` is: so sums are exact, in whatever steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import attrs

from sipqueue_async import AgentState, AgentStatus, CallAnswered, CallMissed, SeatKey

_MICROSECOND: Final = timedelta(microseconds=1)
_A_SECOND: Final = 1_000_000

_SET_BACK: Final = timedelta(seconds=1)
"""How far back a clock goes that was set back: less may be two readings that came in the other order."""


@attrs.define
class Clock:
    """The tally's time: how much of it was seen, and how much passed while nobody looked (microseconds)."""

    at: datetime | None = None
    """The moment up to which time is counted; None before anything is known."""
    seen: int = 0
    unseen: int = 0
    blind: bool = False
    """Whether nothing is known of the time from `at` on."""

    def move(self, to: datetime) -> None:
        """Let time pass up to a moment. Where the machine's clock was set back, time goes on from there."""
        self.seen, self.unseen = self.reading(to)
        self.at = to

    def is_news(self, at: datetime) -> bool:
        """Tell whether time has passed up to a moment, or the machine's clock was set back to it.

        Raises:
            ValueError: The moment is naive.
        """
        passes = self.reading(at) != self.reading(None)
        return passes or (self.at is not None and self.at - at >= _SET_BACK)

    def reading(self, at: datetime | None) -> tuple[int, int]:
        """Return what was seen and unseen up to a moment, or up to now where that is later or None is given.

        Raises:
            ValueError: The moment is naive.
        """
        ahead = 0
        if at is not None:
            if at.utcoffset() is None:
                raise ValueError(f"the time must be an aware datetime, not {at!r}")
            ahead = max(0, (at - (self.at or at)) // _MICROSECOND)
        return (self.seen, self.unseen + ahead) if self.blind else (self.seen + ahead, self.unseen)


class SeatTally:
    """What happened at one seat since the tally's start: a view that changes with the tally."""

    __slots__ = (
        "_agent",
        "_answered",
        "_approximate",
        "_clock",
        "_elapsed",
        "_missed",
        "_present",
        "_settled",
        "_since",
        "_unseen",
    )

    def __init__(self, clock: Clock, agent: AgentStatus, since: datetime, *, approximate: bool) -> None:
        self._clock = clock
        self._elapsed = dict.fromkeys(AgentState, 0)
        self._unseen = 0
        self._answered = self._missed = 0
        self._agent = agent
        self._present = True
        self._since = since
        self._approximate = approximate
        self._settled = clock.seen, clock.unseen

    @property
    def key(self) -> SeatKey:
        """The seat."""
        return self._agent.key

    @property
    def agent(self) -> AgentStatus:
        """The last record."""
        return self._agent

    @property
    def present(self) -> bool:
        """Whether the seat is there, and has not left."""
        return self._present

    @property
    def state(self) -> AgentState:
        """The state of the last record."""
        return self._agent.state

    @property
    def since(self) -> datetime:
        """When that state began: the `observed_at` of the first snapshot that shows it.

        A call that came and went between two polls begins the state anew, for the agent was elsewhere in between. Of a
        seat that has left, it is when it was seen to have left.
        """
        return self._since

    @property
    def approximate(self) -> bool:
        """Whether the state may have begun long before `since`: before the first sight, or while nobody looked."""
        return self._approximate

    @property
    def calls_answered(self) -> int:
        """Calls answered since the tally's start."""
        return self._answered

    @property
    def calls_missed(self) -> int:
        """Offered calls not answered since the tally's start."""
        return self._missed

    def seconds(self, at: datetime | None = None) -> dict[AgentState, float]:
        """Return the seconds spent in each state; every state has an entry.

        Args:
            at: Up to when (aware), if nothing has changed since the last update, such as `watcher.health.last_good_at`.
                By default, and where it is earlier, the tally's `observed_at`.

        Raises:
            ValueError: The time is naive.
        """
        return _in_seconds(self._elapsed_at(at))

    def unseen(self, at: datetime | None = None) -> float:
        """Return the seconds for which the seat was there, as far as is known, but nobody looked: they are of no state.

        Raises:
            ValueError: The time is naive.
        """
        _, unseen = self._clock.reading(at)
        return (self._unseen + (unseen - self._settled[1] if self._present else 0)) / _A_SECOND

    def signed_in(self, at: datetime | None = None) -> float:
        """Return the seconds spent in any state but offline.

        Raises:
            ValueError: The time is naive.
        """
        return _signed_in(self._elapsed_at(at)) / _A_SECOND

    def occupancy(self, at: datetime | None = None) -> float | None:
        """Return the share of the time signed in that was spent talking, 0 to 1; None for someone never signed in.

        Raises:
            ValueError: The time is naive.
        """
        return _occupancy(self._elapsed_at(at))

    def __repr__(self) -> str:
        state = self.state if self._present else "left"
        return f"<SeatTally {self.key.queue} {self.key.extension}, {state} since {self._since.isoformat()}>"

    # ---- what the fold does ------------------------------------------------------------------------------------------

    def _elapsed_at(self, at: datetime | None) -> dict[AgentState, int]:
        seen, _ = self._clock.reading(at)
        elapsed = dict(self._elapsed)
        if self._present:
            elapsed[self._agent.state] += seen - self._settled[0]
        return elapsed

    def _settle(self) -> None:
        """Count the time up to now."""
        clock = self._clock
        if self._present:
            self._elapsed[self._agent.state] += clock.seen - self._settled[0]
            self._unseen += clock.unseen - self._settled[1]
        self._settled = clock.seen, clock.unseen

    def _change(self, agent: AgentStatus | None, since: datetime, *, approximate: bool) -> None:
        """Let a state begin: of the agent who is there from now on, or with None, of nobody's being there."""
        self._settle()
        self._present = agent is not None
        self._agent = agent or self._agent
        self._since = since
        self._approximate = approximate

    def _count(self, event: CallAnswered | CallMissed) -> None:
        if isinstance(event, CallAnswered):
            self._answered += event.count
        else:
            self._missed += event.count


class GroupTally:
    """What happened at several seats together: a view that changes with the tally.

    An agent counts in each of its queues.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._agents = dict.fromkeys(AgentState, 0)
        self._elapsed = dict.fromkeys(AgentState, 0)
        self._unseen = 0
        self._settled = clock.seen, clock.unseen
        self._answered = self._missed = 0
        self._seats: dict[SeatKey, SeatTally] = {}
        self._talking: dict[SeatKey, SeatTally] = {}
        self._longest: SeatTally | None = None
        self._longest_known = True

    @property
    def seats(self) -> Mapping[SeatKey, SeatTally]:
        """Its seats, also those who have left."""
        return MappingProxyType(self._seats)

    @property
    def agents(self) -> Mapping[AgentState, int]:
        """How many agents are in each state now; every state has an entry."""
        return MappingProxyType(self._agents)

    @property
    def signed_in(self) -> int:
        """How many agents are signed in now: there, and not offline."""
        return sum(self._agents.values()) - self._agents[AgentState.OFFLINE]

    @property
    def calls_answered(self) -> int:
        """Calls answered since the tally's start."""
        return self._answered

    @property
    def calls_missed(self) -> int:
        """Offered calls not answered since the tally's start."""
        return self._missed

    def longest_talk(self) -> SeatTally | None:
        """Return the seat that has been talking for the longest time now, or None if nobody talks."""
        if not self._longest_known:
            talking = self._talking.values()
            self._longest = min(talking, key=lambda seat: (seat.since, seat.key), default=None)
            self._longest_known = True
        return self._longest

    def seconds(self, at: datetime | None = None) -> dict[AgentState, float]:
        """Return the seconds that its agents spent in each state, added up; every state has an entry.

        Args:
            at: Up to when, as for `SeatTally.seconds`.

        Raises:
            ValueError: The time is naive.
        """
        return _in_seconds(self._elapsed_at(at))

    def unseen(self, at: datetime | None = None) -> float:
        """Return the seconds of its agents for which nobody looked, added up: they count for no state.

        Raises:
            ValueError: The time is naive.
        """
        _, unseen = self._clock.reading(at)
        return (self._unseen + sum(self._agents.values()) * (unseen - self._settled[1])) / _A_SECOND

    def occupancy(self, at: datetime | None = None) -> float | None:
        """Return the share of its agents' time signed in that was spent talking, 0 to 1; None if there was none.

        Raises:
            ValueError: The time is naive.
        """
        return _occupancy(self._elapsed_at(at))

    def __repr__(self) -> str:
        return f"<GroupTally, {self.signed_in} signed in, {self._answered} calls answered>"

    # ---- what the fold does ------------------------------------------------------------------------------------------

    def _elapsed_at(self, at: datetime | None) -> dict[AgentState, int]:
        seen, _ = self._clock.reading(at)
        passed = seen - self._settled[0]
        return {state: elapsed + self._agents[state] * passed for state, elapsed in self._elapsed.items()}

    def _settle(self) -> None:
        """Count the time up to now, which is due before anybody comes, changes or goes."""
        reading = self._clock.seen, self._clock.unseen
        if reading != self._settled:
            self._elapsed = self._elapsed_at(None)
            self._unseen += sum(self._agents.values()) * (reading[1] - self._settled[1])
            self._settled = reading

    def _add(self, seat: SeatTally) -> None:
        """Take in a seat that is new here, with all that it has behind it."""
        self._settle()
        self._seats[seat.key] = seat
        for state, elapsed in seat._elapsed.items():
            self._elapsed[state] += elapsed
        self._unseen += seat._unseen
        self._answered += seat._answered
        self._missed += seat._missed
        self._take_in(seat)

    def _let_go(self, seat: SeatTally) -> None:
        """Count a seat's state no longer: it is about to change."""
        self._settle()
        if seat.present:
            self._agents[seat.state] -= 1
        self._talking.pop(seat.key, None)

    def _take_in(self, seat: SeatTally) -> None:
        """Count a seat's state from now on."""
        if seat.present:
            self._agents[seat.state] += 1
            if seat.state is AgentState.TALKING:
                self._talking[seat.key] = seat
        self._longest_known = False

    def _count(self, event: CallAnswered | CallMissed) -> None:
        if isinstance(event, CallAnswered):
            self._answered += event.count
        else:
            self._missed += event.count


class QueueTally(GroupTally):
    """What happened in one queue: a view that changes with the tally."""

    def __init__(self, clock: Clock, name: str) -> None:
        super().__init__(clock)
        self._name = name

    @property
    def name(self) -> str:
        """The queue."""
        return self._name

    def __repr__(self) -> str:
        return f"<QueueTally {self._name}, {self.signed_in} signed in, {self._answered} calls answered>"


def _in_seconds(elapsed: Mapping[AgentState, int]) -> dict[AgentState, float]:
    return {state: microseconds / _A_SECOND for state, microseconds in elapsed.items()}


def _signed_in(elapsed: Mapping[AgentState, int]) -> int:
    return sum(elapsed.values()) - elapsed[AgentState.OFFLINE]


def _occupancy(elapsed: Mapping[AgentState, int]) -> float | None:
    signed_in = _signed_in(elapsed)
    return elapsed[AgentState.TALKING] / signed_in if signed_in else None
