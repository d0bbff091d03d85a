"""The ground truth of a simulated call centre, to compare with a watcher's reports."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import attrs

from sipqueue_async import AgentState, SeatKey


class Outcome(StrEnum):
    """How an offer ended."""

    ANSWERED = "answered"
    """The agent took the call: `calls_answered` grew."""
    REFUSED = "refused"
    """The agent rejected the call: `no_answer_count` grew."""
    MISSED = "missed"
    """The phone rang until the timeout: `no_answer_count` grew."""
    ABANDONED = "abandoned"
    """The caller hung up while the phone rang: no counter moved."""


@attrs.frozen
class StateInterval:
    """A seat's time in one state, from `start` up to but not including `end`."""

    key: SeatKey
    """The seat."""
    state: AgentState
    """The agent's state."""
    start: float
    """Model seconds since the start of the model."""
    end: float | None
    """Model seconds, or None while the interval lasts."""


@attrs.frozen(kw_only=True)
class Offer:
    """One call offered to one seat. Times are model seconds since the start of the model."""

    key: SeatKey
    """The seat."""
    offered_at: float
    """When the phone began to ring."""
    outcome: Outcome | None = None
    """The outcome; ANSWERED from the moment of the answer, None while the phone rings."""
    answered_at: float | None = None
    """When the agent answered; None if the agent did not."""
    ended_at: float | None = None
    """When the phone stopped ringing or, for an answered offer, the call ended; None before."""


class Signing(NamedTuple):
    """An agent's sign-in or sign-out, in all of the agent's queues."""

    at: float
    """Model seconds since the start of the model."""
    extension: str
    """The agent's extension."""


@attrs.frozen
class ExternalCall:
    """An agent's call outside the queues. Times are model seconds since the start of the model."""

    extension: str
    """The agent's extension."""
    started_at: float
    """When it began; `external_calls_count` of all the agent's seats grew then."""
    ended_at: float | None
    """When it ended, or None while it lasts."""


@attrs.define
class _History:
    """One seat's states in parallel lists: bisecting needs the starts alone."""

    starts: list[float] = attrs.Factory(list[float])
    states: list[AgentState] = attrs.Factory(list[AgentState])
    ends: list[float | None] = attrs.Factory(list["float | None"])


class GroundTruth:
    """Everything that has happened, with exact times in model seconds since the start. It grows as the model runs.

    Args:
        start: The server's local time (naive) at model second 0.
        counted_at_end: Whether `calls_answered` grows when a call ends.
    """

    def __init__(self, start: datetime, *, counted_at_end: bool = False) -> None:
        self._start = start
        self._counted_at_end = counted_at_end
        self._histories: dict[SeatKey, _History] = {}
        self._offers: list[Offer] = []
        self._sign_ins: list[Signing] = []
        self._sign_outs: list[Signing] = []
        self._counter_resets: list[float] = []
        self._external_calls: list[ExternalCall] = []

    @property
    def start(self) -> datetime:
        """The server's local time (naive) at model second 0."""
        return self._start

    def local_time(self, seconds: float) -> datetime:
        """Return the server's local time (naive) at a moment of model time. The records cut it to the second."""
        return self._start + timedelta(seconds=seconds)

    @property
    def intervals(self) -> tuple[StateInterval, ...]:
        """The state intervals of all seats, by start.

        The intervals of a seat cover, without gaps, the time in which the records show it: from sign-in to sign-out or,
        in a centre that shows signed-out agents as offline, the whole time.
        """
        found = [interval for key in self._histories for interval in self.intervals_of(key)]
        return tuple(sorted(found, key=lambda interval: (interval.start, interval.key)))

    def intervals_of(self, key: tuple[str, str]) -> tuple[StateInterval, ...]:
        """Return one seat's state intervals, by start; none for an unknown seat."""
        seat = SeatKey(*key)
        history = self._histories.get(seat, _History())
        columns = zip(history.states, history.starts, history.ends, strict=True)
        return tuple(StateInterval(seat, *column) for column in columns)

    def state_at(self, key: tuple[str, str], seconds: float) -> AgentState | None:
        """Return a seat's state at a moment of model time, or None if the records did not show the seat.

        For moments in the future, this is the present state.
        """
        history = self._histories.get(SeatKey(*key), _History())
        index = bisect_right(history.starts, seconds) - 1
        if index < 0:
            return None
        end = history.ends[index]
        return history.states[index] if end is None or seconds < end else None

    @property
    def offers(self) -> tuple[Offer, ...]:
        """All offers, by the time they were made."""
        return tuple(self._offers)

    @property
    def sign_ins(self) -> tuple[Signing, ...]:
        """All sign-ins, by time."""
        return tuple(self._sign_ins)

    @property
    def sign_outs(self) -> tuple[Signing, ...]:
        """All sign-outs, by time."""
        return tuple(self._sign_outs)

    @property
    def counter_resets(self) -> tuple[float, ...]:
        """When all counters were set to 0, in model seconds."""
        return tuple(self._counter_resets)

    @property
    def external_calls(self) -> tuple[ExternalCall, ...]:
        """All calls outside the queues, by start."""
        return tuple(self._external_calls)

    def answered(
        self, since: float = 0.0, until: float | None = None, *, queue: str | None = None, extension: str | None = None
    ) -> int:
        """Return how many calls were counted as answered after `since` and not after `until` (model seconds).

        Without resets, `calls_answered` grew by this number between records read at these times. A centre with
        `counted_at_end` counts a call when it ends.
        """
        return self._count(self.counted_answer, since, until, queue, extension)

    def counted_answer(self, offer: Offer) -> float | None:
        """Return when an offer's call was counted in `calls_answered`; None if it was not."""
        if offer.answered_at is None:
            return None
        return offer.ended_at if self._counted_at_end else offer.answered_at

    def missed(
        self, since: float = 0.0, until: float | None = None, *, queue: str | None = None, extension: str | None = None
    ) -> int:
        """Return how many offers were refused or rang out after `since` and not after `until` (model seconds).

        Without resets, `no_answer_count` grew by this number between records read at these times.
        """

        def moment(offer: Offer) -> float | None:
            return offer.ended_at if offer.outcome in {Outcome.REFUSED, Outcome.MISSED} else None

        return self._count(moment, since, until, queue, extension)

    def _count(
        self,
        moment: Callable[[Offer], float | None],
        since: float,
        until: float | None,
        queue: str | None,
        extension: str | None,
    ) -> int:
        return sum(
            1
            for offer in self._offers
            if (at := moment(offer)) is not None
            and at > since
            and (until is None or at <= until)
            and queue in {None, offer.key.queue}
            and extension in {None, offer.key.extension}
        )

    def __repr__(self) -> str:
        return (
            f"<GroundTruth of {len(self._histories)} seats: {self.answered()} calls answered, {self.missed()} missed>"
        )


class TruthRecorder(GroundTruth):
    """A `GroundTruth` that a model can write to. Times must be given in ascending order."""

    def show(self, key: SeatKey, state: AgentState | None, at: float) -> None:
        """Record that a seat is in a state from now on, or, with None, no longer shown.

        A state that took no time is not recorded, because it cannot be observed.
        """
        history = self._histories.setdefault(key, _History())
        if history.ends and history.ends[-1] is None:
            if history.states[-1] is state:
                return
            if history.starts[-1] == at:
                del history.starts[-1], history.states[-1], history.ends[-1]
            else:
                history.ends[-1] = at
        if state is None:
            return
        if history.ends and history.ends[-1] == at and history.states[-1] is state:
            history.ends[-1] = None
            return
        history.starts.append(at)
        history.states.append(state)
        history.ends.append(None)

    def offer(self, key: SeatKey, at: float) -> int:
        """Record that a phone begins to ring; return the offer's number, for `answer` and `end`."""
        self._offers.append(Offer(key=key, offered_at=at))
        return len(self._offers) - 1

    def answer(self, number: int, at: float) -> None:
        """Record that an offer is answered."""
        self._offers[number] = attrs.evolve(self._offers[number], outcome=Outcome.ANSWERED, answered_at=at)

    def end(self, number: int, outcome: Outcome, at: float) -> None:
        """Record the end of an offer; for an answered one, the end of its call."""
        self._offers[number] = attrs.evolve(self._offers[number], outcome=outcome, ended_at=at)

    def sign_in(self, extension: str, at: float) -> None:
        """Record that an agent signs in."""
        self._sign_ins.append(Signing(at, extension))

    def sign_out(self, extension: str, at: float) -> None:
        """Record that an agent signs out."""
        self._sign_outs.append(Signing(at, extension))

    def reset_counters(self, at: float) -> None:
        """Record that all counters are set to 0."""
        self._counter_resets.append(at)

    def external_call(self, extension: str, at: float) -> int:
        """Record that an agent begins a call outside the queues; return its number, for `end_external_call`."""
        self._external_calls.append(ExternalCall(extension, at, None))
        return len(self._external_calls) - 1

    def end_external_call(self, number: int, at: float) -> None:
        """Record the end of a call outside the queues."""
        self._external_calls[number] = attrs.evolve(self._external_calls[number], ended_at=at)
