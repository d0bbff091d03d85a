"""The interface between a platform and its call centre: `Seat`, a record, and `Centre`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from sipqueue_async import AgentState, SeatKey


@attrs.frozen(kw_only=True)
class Seat:
    """The record of one extension in one queue.

    Times are the server's local time (naive), cut to the second, or None for never. Brackets hold a field's name on the
    wire.
    """

    queue: str
    """The queue [queuename]."""
    extension: str
    """The extension number [extnumber]."""
    name: str
    """The agent's name [seatsname]."""
    state: AgentState
    """The agent's state in this queue."""
    state_code: int
    """The code of `state` [state]."""
    status_code: int
    """The code of the extension's status, the same in all queues [status]."""
    last_answered_at: datetime | None = None
    """When the agent last answered a call of this queue [lastanswertime]."""
    last_offered_at: datetime | None = None
    """When a call of this queue was last offered to the agent [lastassigntime]."""
    last_changed_at: datetime | None = None
    """When the agent last signed in, or went on or off a break [seatschangetime]."""
    no_answer_count: int = 0
    """Offers refused or missed [noanswercount]."""
    calls_answered: int = 0
    """Offers answered [callsanswered]."""
    external_calls_count: int = 0
    """The agent's calls outside the queues [externalcallscount]."""
    wrap_up_time: int = 0
    """Seconds between the end of a call and the next offer [wrapuptime]."""
    max_no_answer: int = 0
    """Has no meaning at present, according to the platform's reference [maxnoanswer]."""

    @property
    def key(self) -> SeatKey:
        """The seat."""
        return SeatKey(self.queue, self.extension)


class Centre(Protocol):
    """The source of a platform's records: a `CallCentre`, or a scripted one in a test."""

    @property
    def extensions(self) -> Collection[str]:
        """All extensions that exist, signed in or not."""
        ...

    @property
    def local_time(self) -> datetime:
        """The server's clock (naive, its local time)."""
        ...

    def seats(self) -> Sequence[Seat]:
        """Return the present records. Returning the same object for an unchanged seat is faster."""
        ...


@runtime_checkable
class PastCentre(Protocol):
    """A centre that also knows its past records, as lagging back ends require."""

    def seats_before(self, seconds: float) -> Sequence[Seat]:
        """Return the records as they were `seconds` ago."""
        ...
