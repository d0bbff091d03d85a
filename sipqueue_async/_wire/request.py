"""What is asked: the services, and the fields of the status request."""

from __future__ import annotations

from typing import Final

from sipqueue_async.models import AgentState

LOGIN: Final = "App.Sip_Auth.Login"
QUEUE_STATUS: Final = "App.Sip_Queue.GetQueueSipStatus"

_STATE_FILTERS: Final = {
    AgentState.IDLE: "1",
    AgentState.WAITING: "2",
    AgentState.RECEIVING: "3",
    AgentState.TALKING: "4",
}
"""The request's own codes, which are not the records'."""


def status_fields(
    queue: str | None = None, extension: str | None = None, state: AgentState | str | None = None
) -> dict[str, str]:
    """Return the request fields that ask for some agents' status, or for everybody's.

    Raises:
        ValueError: A filter is empty (the platform would take it for "all"), or the state cannot be asked for.
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
            raise ValueError(f"the platform cannot be asked for agents who are {AgentState(state)}, only for {able}")
        fields["state"] = code
    return fields
