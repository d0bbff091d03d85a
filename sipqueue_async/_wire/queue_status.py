"""The status of queues and their agents: the fields of the request, and the service."""

from __future__ import annotations

from typing import Final

from sipqueue_async._wire.decoder import SnapshotDecoder
from sipqueue_async._wire.service import Service, Settings
from sipqueue_async.models import AgentState, Snapshot


def _new_decoder(settings: Settings) -> SnapshotDecoder:
    return SnapshotDecoder(zone=settings.zone, state_codes=settings.state_codes)


QUEUE_STATUS: Final = Service[Snapshot]("App.Sip_Queue.GetQueueSipStatus", _new_decoder)

_STATE_FILTERS: Final = {
    AgentState.IDLE: "1",
    AgentState.WAITING: "2",
    AgentState.RECEIVING: "3",
    AgentState.TALKING: "4",
}
"""Maps states to the codes of the request's field `state`; records use other codes."""


def status_fields(
    queue: str | None = None, extension: str | None = None, state: AgentState | str | None = None
) -> dict[str, str]:
    """Return the request's fields for the status of some agents, or of all.

    Raises:
        ValueError: A filter is empty, which the platform would read as "all", or it cannot filter by the state.
    """
    fields: dict[str, str] = {}
    for name, parameter, value in (("queuename", "queue", queue), ("extnumber", "extension", extension)):
        if value is not None:
            if not value:
                raise ValueError(f"{parameter} is empty; leave it out to ask for all")
            fields[name] = value
    if state is not None:
        code = _STATE_FILTERS.get(AgentState(state))
        if code is None:
            able = ", ".join(_STATE_FILTERS)
            raise ValueError(f"the platform cannot filter by the state {AgentState(state)}, only by {able}")
        fields["state"] = code
    return fields
