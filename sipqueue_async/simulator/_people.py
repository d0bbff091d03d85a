"""The callers, agents and seats of the floor: their data, and the codes in their records."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection
from typing import Any, Final

import attrs
import simpy

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.simulator.past_calls import CallInLog

RINGING: Final = 1202
IN_A_CALL: Final = 1204
STATE_CODES: Final = {
    AgentState.OFFLINE: 1200,
    AgentState.IDLE: 1201,
    AgentState.WAITING: 1213,
    AgentState.RECEIVING: 1214,
    AgentState.TALKING: 1215,
    AgentState.PAUSED: 1217,
}
"""The codes of `state` in the records. The extension's `status` is the same unless its phone rings or is in use."""


@attrs.define(eq=False)
class SeatCell:
    """One extension in one queue: the data of its record. Times are model seconds."""

    key: SeatKey
    name: str
    state: AgentState | None = None
    """None while the records do not show the seat."""
    status_code: int = STATE_CODES[AgentState.OFFLINE]
    last_answered_at: float | None = None
    last_offered_at: float | None = None
    last_changed_at: float | None = None
    no_answer_count: int = 0
    calls_answered: int = 0
    external_calls_count: int = 0
    touched: bool = True
    """Whether anything may have changed since the record was last made."""


@attrs.frozen
class Line:
    """The call of an agent's phone. Times are model seconds."""

    number: str
    """The other party's number."""
    outgoing: bool
    answered_at: float | None = None
    """None while the phone rings."""


@attrs.define(eq=False)
class Queue:
    name: str
    rng: random.Random
    numbers: random.Random
    """Draws callers' numbers: a separate stream, so that the numbers do not influence the other random draws."""
    callers: deque[Caller] = attrs.Factory(deque["Caller"])
    """Waiting callers who are not being offered to an agent; the oldest first."""
    ready: dict[Agent, None] = attrs.Factory(dict["Agent", None])
    """Agents who wait for a call; the longest waiting first."""


@attrs.define(eq=False)
class Caller:
    queue: Queue
    arrived_at: float
    hangs_up_at: float
    talk: float
    call: CallInLog


@attrs.define(eq=False)
class Agent:
    extension: str
    rng: random.Random
    seats: dict[Queue, SeatCell]
    numbers: random.Random
    sign_out: simpy.Event
    """Processed when the shift ends."""
    shift_end: float = 0.0
    wake: simpy.Event | None = None
    """Ends the agent's waiting; its value is the caller to serve, or None for another task. None if not waiting."""
    line: Line | None = None
    break_due: bool = False
    errand_due: bool = False
    hung_up: simpy.Event | None = None
    """Ends the call under way; None without an answered call."""
    on_shift: bool = False
    is_held: bool = False
    """Whether a command has paused the agent."""
    absent: set[Queue] = attrs.Factory(set["Queue"])
    """The queues that a command has signed the agent out of."""
    release: simpy.Event | None = None
    """Ends a standstill that a command caused; None at other times."""
    shown: tuple[Any, ...] = (None,)
    """What the seats were last set to show."""

    @property
    def queues(self) -> Collection[Queue]:
        """The queues that the agent is signed in to while on shift."""
        return [queue for queue in self.seats if queue not in self.absent] if self.absent else self.seats.keys()
