"""The figures of a seat, of a queue and of all queues: read-only views that change with the tally."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from sipqueue_async import AgentState, AgentStatus, SeatKey
from sipqueue_async.tally.clock import MICROSECONDS
from sipqueue_async.tally.counts import GroupCount, SeatCount


class SeatTally:
    """One seat's figures since the tally's start: a view that changes with the tally."""

    __slots__ = ("_count",)

    def __init__(self, count: SeatCount) -> None:
        self._count = count

    @property
    def key(self) -> SeatKey:
        """The seat."""
        return self._count.key

    @property
    def agent(self) -> AgentStatus:
        """The last record."""
        return self._count.agent

    @property
    def present(self) -> bool:
        """False once the seat has left."""
        return self._count.present

    @property
    def state(self) -> AgentState:
        """The state of the last record."""
        return self._count.state

    @property
    def since(self) -> datetime:
        """When that state began: the `observed_at` of the first snapshot that shows it.

        A call that began and ended between two polls restarts the state, because the agent was in other states in
        between. For a seat that has left, this is when the first snapshot without it arrived.
        """
        return self._count.since

    @property
    def approximate(self) -> bool:
        """Whether the state may have begun long before `since`: before the first snapshot, or during an outage."""
        return self._count.approximate

    @property
    def calls_answered(self) -> int:
        """Calls answered since the tally's start."""
        return self._count.calls_answered

    @property
    def calls_missed(self) -> int:
        """Offered calls not answered since the tally's start."""
        return self._count.calls_missed

    def lasted(self, at: datetime | None = None) -> float:
        """Return how many seconds the state has lasted, unseen time included.

        A step of the wall clock before `at` does not change the result, unlike the difference of `at` and `since`.

        Args:
            at: As for `seconds`.

        Raises:
            ValueError: The time is naive.
        """
        return (sum(self._count.clock.reading(at)) - self._count.began) / MICROSECONDS

    def seconds(self, at: datetime | None = None) -> dict[AgentState, float]:
        """Return the seconds spent in each state; every state has an entry.

        Args:
            at: The end of the counted time (aware), such as `watcher.health.last_good_at`, if nothing has changed since
                the last update. The default is the tally's `observed_at`; an earlier time counts as that.

        Raises:
            ValueError: The time is naive.
        """
        return _in_seconds(self._count.elapsed_at(at))

    def unseen(self, at: datetime | None = None) -> float:
        """Return the seconds during which the seat's state was unknown. They count for no state.

        Raises:
            ValueError: The time is naive.
        """
        return self._count.unseen_at(at) / MICROSECONDS

    def signed_in(self, at: datetime | None = None) -> float:
        """Return the seconds spent in any state but offline.

        Raises:
            ValueError: The time is naive.
        """
        return _signed_in(self._count.elapsed_at(at)) / MICROSECONDS

    def occupancy(self, at: datetime | None = None) -> float | None:
        """Return talk time as a share of signed-in time, 0 to 1; None for an agent who never signed in.

        Raises:
            ValueError: The time is naive.
        """
        return _occupancy(self._count.elapsed_at(at))

    def __repr__(self) -> str:
        state = self.state if self.present else "left"
        return f"<SeatTally {self.key.queue} {self.key.extension}, {state} since {self.since.isoformat()}>"


class GroupTally:
    """The summed figures of several seats: a view that changes with the tally.

    An agent counts in each of its queues.
    """

    def __init__(self, count: GroupCount, seats: dict[SeatKey, SeatTally]) -> None:
        self._count = count
        self._seats = seats

    @property
    def seats(self) -> Mapping[SeatKey, SeatTally]:
        """The seats, including those that have left."""
        return MappingProxyType(self._seats)

    @property
    def agents(self) -> Mapping[AgentState, int]:
        """How many agents are in each state now; every state has an entry."""
        return MappingProxyType(self._count.agents)

    @property
    def signed_in(self) -> int:
        """How many agents are signed in now: present, and not offline."""
        agents = self._count.agents
        return sum(agents.values()) - agents[AgentState.OFFLINE]

    @property
    def calls_answered(self) -> int:
        """Calls answered since the tally's start."""
        return self._count.calls_answered

    @property
    def calls_missed(self) -> int:
        """Offered calls not answered since the tally's start."""
        return self._count.calls_missed

    def longest_talk(self) -> SeatTally | None:
        """Return the seat with the longest talk under way, or None if no agent is talking."""
        longest = self._count.longest_talk()
        return None if longest is None else self._seats[longest.key]

    def seconds(self, at: datetime | None = None) -> dict[AgentState, float]:
        """Return the sum of the agents' seconds in each state; every state has an entry.

        Args:
            at: As for `SeatTally.seconds`.

        Raises:
            ValueError: The time is naive.
        """
        return _in_seconds(self._count.elapsed_at(at))

    def unseen(self, at: datetime | None = None) -> float:
        """Return the sum of the seconds during which the seats' states were unknown. They count for no state.

        Raises:
            ValueError: The time is naive.
        """
        return self._count.unseen_at(at) / MICROSECONDS

    def occupancy(self, at: datetime | None = None) -> float | None:
        """Return talk time as a share of the agents' signed-in time, 0 to 1; None if no agent ever signed in.

        Raises:
            ValueError: The time is naive.
        """
        return _occupancy(self._count.elapsed_at(at))

    def __repr__(self) -> str:
        return f"<GroupTally, {self.signed_in} signed in, {self.calls_answered} calls answered>"


class QueueTally(GroupTally):
    """One queue's figures: a view that changes with the tally."""

    def __init__(self, count: GroupCount, seats: dict[SeatKey, SeatTally], name: str) -> None:
        super().__init__(count, seats)
        self._name = name

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._name

    def __repr__(self) -> str:
        return f"<QueueTally {self._name}, {self.signed_in} signed in, {self.calls_answered} calls answered>"


def _in_seconds(elapsed: Mapping[AgentState, int]) -> dict[AgentState, float]:
    return {state: microseconds / MICROSECONDS for state, microseconds in elapsed.items()}


def _signed_in(elapsed: Mapping[AgentState, int]) -> int:
    return sum(elapsed.values()) - elapsed[AgentState.OFFLINE]


def _occupancy(elapsed: Mapping[AgentState, int]) -> float | None:
    signed_in = _signed_in(elapsed)
    return elapsed[AgentState.TALKING] / signed_in if signed_in else None
