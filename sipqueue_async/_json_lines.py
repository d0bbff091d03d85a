"""Events and records as JSON for programs, one object a line."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, get_args

import attrs

from sipqueue_async._error_text import reason
from sipqueue_async.events import Event, FeedDown
from sipqueue_async.models import AgentStatus, Snapshot

FORMAT_VERSION: Final = 1
"""The ``v`` of every JSON object."""

KINDS: Final[tuple[str, ...]] = tuple(event.kind for event in get_args(Event))
"""The kinds of events."""


def event_json(event: Event) -> str:
    """Return an event as one line of JSON, in ASCII."""
    return json_line({"v": FORMAT_VERSION, **event.to_dict()})


def public_event_json(event: Event, *, coalesced: bool = False) -> str:
    """Return an event as one line of JSON for other people: without the platform's words in the error of an outage.

    Args:
        event: The event.
        coalesced: Whether to mark the event as one of a coalesced update.
    """
    document = {"v": FORMAT_VERSION, **event.to_dict()}
    if isinstance(event, FeedDown):
        # The error's own text may quote the platform.
        document["error"] = reason(event.error)
    if coalesced:
        document["coalesced"] = True
    return json_line(document)


def snapshot_json(snapshot: Snapshot, agents: list[AgentStatus]) -> str:
    """Return some of a snapshot's records as one line of JSON, in ASCII."""
    return json_line({"v": FORMAT_VERSION, **snapshot_fields(snapshot, agents)})


def snapshot_fields(snapshot: Snapshot, agents: list[AgentStatus]) -> dict[str, Any]:
    """Return some of a snapshot's records as `json_line` takes them."""
    return {
        "observed_at": snapshot.observed_at,
        "server_time": snapshot.server_time,
        "agents": [attrs.asdict(agent) for agent in agents],
        "problems": [attrs.asdict(problem) for problem in snapshot.problems],
    }


def json_line(document: dict[str, Any]) -> str:
    """Return an object as one line of JSON, in ASCII."""
    # ASCII fits every encoding of standard output and cannot hold a terminal's control sequences.
    return json.dumps(document, default=_time_json, separators=(",", ":"))


def _time_json(value: object) -> str:
    assert isinstance(value, datetime)  # noqa: S101  # records and events hold nothing else that JSON lacks
    return value.isoformat()
