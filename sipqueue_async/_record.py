"""One agent's record, as `AgentStatus`, and what was wrong with it, as `FieldProblem`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

import attrs

from sipqueue_async._codes import AgentState, code_label
from sipqueue_async._saved_format import DAMAGE, damage
from sipqueue_async._text import harmless


class SeatKey(NamedTuple):
    """Names a seat: one extension in one queue. A plain ``(queue, extension)`` tuple is equal to it."""

    queue: str
    """The queue's name."""
    extension: str
    """The extension number: a string."""


# Without a slot for weak references, as `_fast_instances` needs it.
@attrs.frozen(kw_only=True, weakref_slot=False)
class AgentStatus:
    """One record of a snapshot: an agent (extension) in a queue, as the platform reports it.

    Times are the server's local time, to the second: aware if the client knows the server's `timezone`, naive
    otherwise, and None for "never" or "not sent". Brackets hold a field's name on the wire.
    """

    queue: str
    """The queue, or task group [queuename]."""
    extension: str
    """The extension number [extnumber]: a string, because leading zeros count."""
    name: str | None = None
    """The agent's name; None if it is missing, empty, or spaces only [seatsname]."""
    state: AgentState
    """What the agent is doing: `state_code` looked up in the code table."""
    state_code: int
    """The agent state's code, as sent [state]."""
    status_code: int | None = None
    """The extension status's code, as sent [status]."""
    last_answered_at: datetime | None = None
    """When the agent last answered a call [lastanswertime]."""
    last_offered_at: datetime | None = None
    """When the agent was last offered a call [lastassigntime]."""
    last_changed_at: datetime | None = None
    """When the agent last signed in or went on or off a break [seatschangetime]; calls do not change it."""
    no_answer_count: int = 0
    """Offered calls that the agent did not answer [noanswercount]."""
    calls_answered: int = 0
    """Calls that the agent answered [callsanswered]."""
    external_calls_count: int | None = None
    """Calls outside the queue [externalcallscount]."""
    wrap_up_time: int | None = None
    """Pause between a call and the next offer, in seconds [wrapuptime]."""
    max_no_answer: int | None = None
    """Has no meaning at present, according to the platform's reference [maxnoanswer]."""

    @property
    def key(self) -> SeatKey:
        """The seat that this record is about."""
        return SeatKey(self.queue, self.extension)

    @property
    def state_label(self) -> str:
        """The platform's label for `state_code`."""
        return code_label(self.state_code)

    @property
    def status_label(self) -> str | None:
        """The platform's label for `status_code`, or None without one."""
        return None if self.status_code is None else code_label(self.status_code)

    def __str__(self) -> str:
        name = f" {harmless(self.name)}" if self.name else ""
        state = self.state_label if self.state is AgentState.UNKNOWN else self.state
        return f"{harmless(self.queue)} {harmless(self.extension)}{name}, {state}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON, times in ISO 8601; `from_dict` reads them."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in _AGENT_FIELDS}
        for name in _AGENT_TIMES:
            if fields[name] is not None:
                fields[name] = fields[name].isoformat()
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> AgentStatus:
        """Return the record from the fields that `to_dict` returned.

        Raises:
            ValueError: Fields are missing, unknown, or of the wrong type.
        """
        try:
            return agent_from_dict(fields)
        except DAMAGE as error:
            raise ValueError(f"the saved record is damaged: {damage(error)}") from error


COUNTER_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {"callsanswered": "calls_answered", "noanswercount": "no_answer_count"}
)
"""Maps each counter of calls from its name on the wire to the field of `AgentStatus`."""


@attrs.frozen
class FieldProblem:
    """A field with an invalid value, or a missing counter."""

    queue: str | None
    """The record's queue, or None if the field is outside the records."""
    extension: str | None
    """The record's extension, or None if the field is outside the records."""
    field: str
    """The field's name on the wire, such as ``lastanswertime``."""
    reason: str
    """What was wrong with it."""
    carried: bool = False
    """Whether the record keeps the last known value; otherwise it has None, or 0 for a counter."""

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as values for JSON; `from_dict` reads them."""
        return attrs.asdict(self, filter=lambda attribute, value: attribute.name != "carried" or value)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> FieldProblem:
        """Return the problem from the attributes that `to_dict` returned.

        Raises:
            ValueError: Attributes are missing, unknown, or of the wrong type.
        """
        try:
            problem = cls(**fields)
        except TypeError as error:
            raise ValueError(
                "the saved problem is damaged: queue, extension, field or reason is missing, or a field is unknown"
            ) from error
        for name, value in attrs.asdict(problem).items():
            kind: type = bool if name == "carried" else str
            if not isinstance(value, kind) and not (value is None and name in {"queue", "extension"}):
                raise ValueError(f"a problem's {name} is {value!r}")
        return problem


_AGENT_FIELDS: Final = tuple(field.name for field in attrs.fields(AgentStatus))
_AGENT_TIMES: Final = ("last_answered_at", "last_offered_at", "last_changed_at")
_AGENT_INTEGERS: Final = ("state_code", "no_answer_count", "calls_answered")
_AGENT_OPTIONAL_INTEGERS: Final = ("status_code", "external_calls_count", "wrap_up_time", "max_no_answer")


def agent_from_dict(fields: Mapping[str, Any]) -> AgentStatus:
    for name in ("queue", "extension"):
        if not isinstance(fields[name], str):
            _refuse(name, fields[name])
    for name in (*_AGENT_INTEGERS, *_AGENT_OPTIONAL_INTEGERS):
        if type(fields[name]) is not int and not (fields[name] is None and name in _AGENT_OPTIONAL_INTEGERS):
            _refuse(name, fields[name])
    if not isinstance(fields["name"], str | None):
        _refuse("name", fields["name"])
    read: dict[str, Any] = {name: time_from_json(fields[name]) for name in _AGENT_TIMES}
    read["state"] = AgentState(fields["state"])
    try:
        return AgentStatus(**{**fields, **read})
    except TypeError:
        unknown = ", ".join(sorted(fields.keys() - set(_AGENT_FIELDS)))
        raise ValueError(f"an agent has unknown fields: {unknown}") from None


def time_from_json(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _refuse(name: str, value: object) -> NoReturn:
    raise ValueError(f"an agent's {name} is {value!r}")
