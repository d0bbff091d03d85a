"""The interface between a platform and its call centre: `Seat`, the records, and `Centre`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

import attrs

from sipqueue_async import AgentState, SeatKey


@attrs.frozen(kw_only=True)
class Seat:
    """The record of one extension in one queue, as the platform would show it now.

    Times are the server's local time (naive), cut to the second as the records are, None for never. The names in
    brackets are the record's on the wire.
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
    """Without meaning according to the platform's reference [maxnoanswer]."""

    @property
    def key(self) -> SeatKey:
        """Names the seat."""
        return SeatKey(self.queue, self.extension)


class Centre(Protocol):
    """Anything whose seats a platform can show: a `CallCentre`, or a script of a test's own."""

    @property
    def extensions(self) -> Collection[str]:
        """All extensions that exist, signed in or not."""
        ...

    @property
    def local_time(self) -> datetime:
        """The server's clock (naive, its local time)."""
        ...

    def seats(self) -> Sequence[Seat]:
        """The records now. Return the same object for an unchanged seat: it is faster."""
        ...


@runtime_checkable
class PastCentre(Protocol):
    """A centre that also remembers its past, which back ends that lag need."""

    def seats_before(self, seconds: float) -> Sequence[Seat]:
        """Return the records as they were so many seconds ago."""
        ...
