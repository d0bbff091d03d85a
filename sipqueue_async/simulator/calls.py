"""The records of ``App.Sip_Status.GetSipCallStatus``: each extension's call and its other party."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol, runtime_checkable

import attrs

from sipqueue_async import AgentState
from sipqueue_async.simulator.seats import Centre, Seat

FREE: Final = 1201
NO_SUCH_EXTENSION: Final = 1012
NOT_REGISTERED: Final = 1014
IN_USE: Final = frozenset({1202, 1203, 1204})
"""The codes of a phone that rings, is off the hook or is in a call."""


@attrs.frozen(kw_only=True)
class PhoneCall:
    """A call at an extension's phone, which rings or is in the call."""

    number: str
    """The other party's number."""
    outgoing: bool
    """Whether the agent made the call; otherwise the agent received it."""
    answered_at: datetime | None = None
    """When the call was answered, in the server's local time (naive); None while the phone rings."""


@runtime_checkable
class PhoneCentre(Protocol):
    """A centre that also knows the calls. For any other centre, `Platform` sends the status codes only."""

    def calls(self) -> Mapping[str, PhoneCall]:
        """Return the present calls, by extension."""
        ...


def call_records(centre: Centre, extensions: Iterable[str]) -> list[dict[str, Any]]:
    """Return the records of these extensions, in their order, as the platform sends them.

    `disnumber`, `channel` and `idleduration` are null, since the model does not simulate them.
    """
    seats: dict[str, Seat] = {seat.extension: seat for seat in centre.seats()}
    calls = centre.calls() if isinstance(centre, PhoneCentre) else {}
    now = centre.local_time
    return [
        _record(extension, _status(centre, seats.get(extension), extension), calls.get(extension), now)
        for extension in extensions
    ]


def _status(centre: Centre, seat: Seat | None, extension: str) -> int:
    if extension not in centre.extensions:
        return NO_SUCH_EXTENSION
    if seat is None or seat.state is AgentState.OFFLINE:
        return NOT_REGISTERED
    return seat.status_code if seat.status_code in IN_USE else FREE


def _record(extension: str, status: int, call: PhoneCall | None, now: datetime) -> dict[str, Any]:
    caller = callee = direction = seconds = None
    if call is not None:
        parties = (extension, call.number) if call.outgoing else (call.number, extension)
        caller, callee = parties
        direction = "callout" if call.outgoing else "callin"
        seconds = 0 if call.answered_at is None else int((now - call.answered_at).total_seconds())
    return {
        "extnumber": extension,
        "status": status,
        "caller": caller,
        "callee": callee,
        "disnumber": None,
        "direction": direction,
        "channel": None,
        "idleduration": None,
        "callduration": seconds,
    }
