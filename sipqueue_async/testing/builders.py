"""Makes agents and snapshots for tests, with sensible defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, TypedDict, Unpack, overload

from sipqueue_async import AgentState, AgentStatus, FieldProblem, Snapshot

START: Final = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
"""The moment from which `make_snapshot` counts seconds: a Monday morning."""

_CODES: Final[Mapping[AgentState, int]] = MappingProxyType(
    {
        AgentState.IDLE: 1201,
        AgentState.WAITING: 1213,
        AgentState.RECEIVING: 1214,
        AgentState.TALKING: 1215,
        AgentState.PAUSED: 1217,
        AgentState.OFFLINE: 1200,
        AgentState.UNKNOWN: 1208,
    }
)


class AgentFields(TypedDict, total=False):
    """The fields of `AgentStatus` for which `make_agent` has defaults."""

    name: str | None
    state_code: int
    status_code: int | None
    last_answered_at: datetime | None
    last_offered_at: datetime | None
    last_changed_at: datetime | None
    no_answer_count: int
    calls_answered: int
    external_calls_count: int | None
    wrap_up_time: int | None
    max_no_answer: int | None


def make_agent(
    extension: str = "100001",
    state: AgentState | str = AgentState.WAITING,
    *,
    queue: str = "queue-1",
    **fields: Unpack[AgentFields],
) -> AgentStatus:
    """Return an agent's record.

    Args:
        extension: The extension.
        state: What the agent is doing: an `AgentState` or its value, such as ``"talking"``.
        queue: The queue.
        fields: Other fields of `AgentStatus`. By default the codes are the platform's codes of the state, counters are
            0, and times are None.

    Raises:
        TypeError: The extension or the queue is not a string, or there is no such field.
        ValueError: There is no such state.
    """
    for name, value in (("extension", extension), ("queue", queue)):
        # Refuse a number: it would look like the string in messages, but never be equal to it.
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a string, not {value!r}")
    state = AgentState(state)
    fields.setdefault("state_code", _CODES[state])
    fields.setdefault("status_code", _CODES[state])
    return AgentStatus(queue=queue, extension=extension, state=state, **fields)


def make_snapshot(
    *agents: AgentStatus,
    at: float | datetime = 0.0,
    server: float | datetime | None = None,
    problems: Iterable[FieldProblem] = (),
) -> Snapshot:
    """Return a snapshot with these agents.

    Args:
        agents: The records; none for a call centre without signed-in agents.
        at: The `observed_at`: an aware time, or seconds after `START`.
        server: The `server_time`, in the same forms; None if the platform did not send it.
        problems: The `problems`.

    Raises:
        TypeError: An argument is not an `AgentStatus`; a list of them needs a star: ``make_snapshot(*agents)``.
        ValueError: Two different records are about one seat, or a time is naive.
    """
    for agent in agents:
        if not isinstance(agent, AgentStatus):
            raise TypeError(f"each argument must be an AgentStatus (write *agents for a list), not {agent!r}")
    return Snapshot(agents, observed_at=_moment(at), server_time=_moment(server), problems=problems)


@overload
def _moment(at: float | datetime) -> datetime: ...
@overload
def _moment(at: None) -> None: ...
def _moment(at: float | datetime | None) -> datetime | None:
    if at is None or isinstance(at, datetime):
        return at
    return START + timedelta(seconds=at)
