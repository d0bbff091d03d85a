"""What a poll tells: agent states, the platform's code tables, one agent's record, and a snapshot of them all."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import json
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, TypeVar, overload

import attrs

_T = TypeVar("_T")


class AgentState(StrEnum):
    """What an agent is doing in a queue, in mod_callcenter's sense of the words."""

    IDLE = "idle"
    """Signed in, but not being given calls (after a call, for instance)."""
    WAITING = "waiting"
    """Ready for a call."""
    RECEIVING = "receiving"
    """Being offered a call: the phone rings."""
    TALKING = "talking"
    """In a call of the queue."""
    PAUSED = "paused"
    """On a break."""
    OFFLINE = "offline"
    """Not signed in."""
    UNKNOWN = "unknown"
    """A code that no table lists; `AgentStatus.state_code` has its number."""


STATE_CODES: Final[Mapping[int, AgentState]] = MappingProxyType(
    {
        1: AgentState.IDLE,
        2: AgentState.WAITING,
        3: AgentState.RECEIVING,
        4: AgentState.TALKING,
        1200: AgentState.OFFLINE,
        1201: AgentState.IDLE,
        1202: AgentState.RECEIVING,
        1204: AgentState.TALKING,
        1213: AgentState.WAITING,
        1214: AgentState.RECEIVING,
        1215: AgentState.TALKING,
        1217: AgentState.PAUSED,
    }
)
"""The record's `state` code to the agent's state. A code that is not here is `AgentState.UNKNOWN`."""

CODE_LABELS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "idle",
        2: "waiting",
        3: "receiving",
        4: "talking",
        1012: "does not exist",
        1013: "disabled",
        1014: "not registered",
        1015: "not in a call",
        1016: "enabled",
        1017: "registered",
        1018: "number enabled",
        1019: "number disabled",
        1020: "no such number",
        1021: "number not owned",
        1024: "no such task",
        1025: "not begun",
        1026: "under way",
        1027: "paused",
        1028: "ended",
        1029: "no such file",
        1031: "strategy wrong",
        1032: "against the strategy",
        1033: "no resource",
        1200: "offline",
        1201: "idle",
        1202: "ringing",
        1203: "off-hook",
        1204: "in a call",
        1208: "other",
        1209: "rating needs a call",
        1210: "queue fault",
        1211: "no such queue",
        1212: "not answered",
        1213: "waiting",
        1214: "receiving",
        1215: "answered",
        1216: "rejected",
        1217: "paused",
    }
)
"""The platform's own words for the codes of `state` and `status`."""


def code_label(code: int) -> str:
    """Return the platform's word for a code, or ``code 1299`` for one that the table does not list."""
    return CODE_LABELS.get(code, f"code {code}")


class SeatKey(NamedTuple):
    """Names a seat: one extension in one queue. A plain ``(queue, extension)`` tuple is equal to it."""

    queue: str
    """The queue's name."""
    extension: str
    """The extension number: a string."""


# Without a slot for weak references, as `_fast_instances` needs it.
@attrs.frozen(kw_only=True, weakref_slot=False)
class AgentStatus:
    """One record of a snapshot: an agent (extension) in a queue, as the platform described it.

    Times are the server's local time, to the second: aware when the client was told the server's `timezone`, naive
    otherwise, and None for "never" or "not given". A field's name on the wire is given in brackets.
    """

    queue: str
    """The queue, or task group [queuename]."""
    extension: str
    """The extension number [extnumber]: a string, because leading zeros count."""
    name: str | None = None
    """The agent's name [seatsname]."""
    state: AgentState
    """What the agent is doing: `state_code` read by the code table."""
    state_code: int
    """The agent state's code, as sent [state]."""
    status_code: int | None = None
    """The extension status's code, as sent [status]."""
    last_answered_at: datetime | None = None
    """When the agent last answered a call [lastanswertime]."""
    last_offered_at: datetime | None = None
    """When the agent was last offered a call [lastassigntime]."""
    last_changed_at: datetime | None = None
    """When the agent last signed in or went on or off a break [seatschangetime]; calls do not move it."""
    no_answer_count: int = 0
    """Offered calls that the agent did not answer [noanswercount]."""
    calls_answered: int = 0
    """Calls that the agent answered [callsanswered]."""
    external_calls_count: int | None = None
    """Calls outside the queue [externalcallscount]."""
    wrap_up_time: int | None = None
    """Pause between a call and the next offer, in seconds [wrapuptime]."""
    max_no_answer: int | None = None
    """Without meaning at present, says the platform's reference [maxnoanswer]."""

    @property
    def key(self) -> SeatKey:
        """The seat that this record is about."""
        return SeatKey(self.queue, self.extension)

    @property
    def state_label(self) -> str:
        """The platform's word for `state_code`."""
        return code_label(self.state_code)

    @property
    def status_label(self) -> str | None:
        """The platform's word for `status_code`, or None where none was given."""
        return None if self.status_code is None else code_label(self.status_code)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them, times in ISO 8601; `from_dict` reads them."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in _AGENT_FIELDS}
        for name in _AGENT_TIMES:
            if fields[name] is not None:
                fields[name] = fields[name].isoformat()
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> AgentStatus:
        """Return the record that `to_dict` gave the fields of.

        Raises:
            ValueError: Fields are missing, unknown, or of another kind.
        """
        try:
            return _agent_from_dict(fields)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the saved record is damaged: {type(error).__name__}: {error}") from error


COUNTER_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {"callsanswered": "calls_answered", "noanswercount": "no_answer_count"}
)
"""The counters of calls: name on the wire to field of `AgentStatus`."""


@attrs.frozen
class FieldProblem:
    """A field that made no sense or, if a counter, was left out."""

    queue: str | None
    """The record's queue, or None when the field stands outside the records."""
    extension: str | None
    """The record's extension, or None when the field stands outside the records."""
    field: str
    """The field's name on the wire, such as ``lastanswertime``."""
    reason: str
    """What was wrong with it."""
    carried: bool = False
    """Whether the record carries the value known before; otherwise it shows None, or 0 for a counter."""

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as JSON can hold them; `from_dict` reads them."""
        return attrs.asdict(self, filter=lambda attribute, value: attribute.name != "carried" or value)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> FieldProblem:
        """Return the problem that `to_dict` wrote.

        Raises:
            ValueError: Attributes are missing, unknown, or of another type.
        """
        try:
            problem = cls(**fields)
        except TypeError as error:
            raise ValueError(f"the saved problem is damaged: {error}") from error
        for name, value in attrs.asdict(problem).items():
            kind: type = bool if name == "carried" else str
            if not isinstance(value, kind) and not (value is None and name in {"queue", "extension"}):
                raise ValueError(f"a problem's {name} is {value!r}")
        return problem


class Changes(NamedTuple):
    """Where a snapshot's records differ from those before, for a `diff` of just these two.

    The two are told by tokens, because to refer to the snapshot before would keep all that ever were.
    """

    before: object
    after: object
    places: Sequence[int]
    """In ascending order, which is that of the seats."""


class Snapshot(Mapping[SeatKey, AgentStatus]):
    """Every agent of every queue at one moment: an immutable mapping from seat to record.

    Snapshots are equal when they hold the same records; as with any mapping, neither order nor the time of observation
    counts.

    Args:
        agents: The records. Two equal records of one seat are taken as one.
        observed_at: When the answer had arrived (aware).
        server_time: The server's clock when it answered (aware), if it said.
        problems: Fields that made no sense, and counters that were left out.
        steady_at: When the answer had arrived, in seconds of a monotonic clock (the event loop's), if the source notes
            it. Durations are then exact whatever happens to the wall clock. It is neither compared nor saved.

    Raises:
        ValueError: Two different records are about one seat, or a time is naive.
    """

    __slots__ = (
        "_changes",
        "_observed_at",
        "_places",
        "_problems",
        "_queues",
        "_records",
        "_server_time",
        "_steady_at",
    )

    # The records by place, and the seats' places. Snapshots of the same seats share the latter, so that keeping one
    # more takes little, and comparing two of them is comparing two lists.
    _places: dict[SeatKey, int]
    _records: list[AgentStatus]
    _changes: Changes | None
    _observed_at: datetime
    _server_time: datetime | None
    _problems: tuple[FieldProblem, ...]
    _steady_at: float | None
    _queues: Mapping[str, tuple[AgentStatus, ...]] | None

    def __init__(
        self,
        agents: Iterable[AgentStatus] = (),
        *,
        observed_at: datetime,
        server_time: datetime | None = None,
        problems: Iterable[FieldProblem] = (),
        steady_at: float | None = None,
    ) -> None:
        by_seat: dict[SeatKey, AgentStatus] = {}
        for agent in agents:
            if by_seat.setdefault(agent.key, agent) != agent:
                raise ValueError(f"two different records of queue {agent.queue!r}, extension {agent.extension!r}")
        for name, moment in (("observed_at", observed_at), ("server_time", server_time)):
            if moment is not None and moment.utcoffset() is None:
                raise ValueError(f"{name} must be an aware datetime, not {moment!r}")
        self._fill(
            _places(by_seat),
            list(by_seat.values()),
            observed_at=observed_at,
            server_time=server_time,
            problems=tuple(problems),
            steady_at=steady_at,
        )

    def _fill(
        self,
        places: dict[SeatKey, int],
        records: list[AgentStatus],
        *,
        observed_at: datetime,
        server_time: datetime | None,
        problems: tuple[FieldProblem, ...],
        steady_at: float | None,
        changes: Changes | None = None,
    ) -> None:
        self._places = places
        self._records = records
        self._changes = changes
        self._observed_at = observed_at
        self._server_time = server_time
        self._problems = problems
        self._steady_at = steady_at
        self._queues = None

    @classmethod
    def _at(
        cls,
        places: dict[SeatKey, int],
        records: list[AgentStatus],
        *,
        observed_at: datetime,
        server_time: datetime | None = None,
        problems: tuple[FieldProblem, ...] = (),
        steady_at: float | None = None,
        changes: Changes | None = None,
    ) -> Snapshot:
        """Make a snapshot of what is already right and what nobody will change."""
        snapshot = cls.__new__(cls)
        snapshot._fill(
            places,
            records,
            observed_at=observed_at,
            server_time=server_time,
            problems=problems,
            steady_at=steady_at,
            changes=changes,
        )
        return snapshot

    def with_changes(
        self,
        agents: Mapping[SeatKey, AgentStatus | None],
        *,
        observed_at: datetime,
        server_time: datetime | None = None,
        problems: tuple[FieldProblem, ...] = (),
        steady_at: float | None = None,
    ) -> Snapshot:
        """Return a later snapshot: with these records of these seats, without the seats whose record is None.

        All other records are shared with this one.
        """
        places, records = self._places, self._records.copy()
        changes = {key: agent for key, agent in agents.items() if agent is not None}
        if len(changes) == len(agents) and changes.keys() <= places.keys():
            for key, agent in changes.items():
                records[places[key]] = agent
        else:
            left = {key: agent for key, agent in self.items() if key not in agents} | changes
            places, records = _places(left), list(left.values())
        return self._at(
            places,
            records,
            observed_at=observed_at,
            server_time=server_time,
            problems=problems,
            steady_at=steady_at,
        )

    @property
    def observed_at(self) -> datetime:
        """When the answer had arrived (aware; UTC from a client)."""
        return self._observed_at

    @property
    def server_time(self) -> datetime | None:
        """The server's clock when it answered (aware UTC) [rsptime], or None if it did not say."""
        return self._server_time

    @property
    def problems(self) -> tuple[FieldProblem, ...]:
        """Fields that made no sense, and counters that were left out."""
        return self._problems

    @property
    def steady_at(self) -> float | None:
        """When the answer had arrived, in seconds of a monotonic clock, or None if the source did not note it."""
        return self._steady_at

    def seconds_since(self, earlier: Snapshot) -> float:
        """Return how many seconds after `earlier` this snapshot was observed: 0 or more.

        Measured by `steady_at` where both snapshots have one, so that a step of the wall clock counts as no time;
        otherwise by `observed_at`.
        """
        if self._steady_at is not None and earlier._steady_at is not None:
            return max(0.0, self._steady_at - earlier._steady_at)
        return max(0.0, (self._observed_at - earlier._observed_at).total_seconds())

    @property
    def queues(self) -> Mapping[str, tuple[AgentStatus, ...]]:
        """The records by queue name."""
        if self._queues is None:
            groups: dict[str, list[AgentStatus]] = {}
            for agent in self._records:
                groups.setdefault(agent.queue, []).append(agent)
            self._queues = MappingProxyType({name: tuple(agents) for name, agents in groups.items()})
        return self._queues

    def counts(self, queue: str | None = None) -> dict[AgentState, int]:
        """Return how many agents are in each state, in one queue or in all (an agent then counts in each of its own).

        Every state has an entry, 0 included; a queue that nobody is in has zeros.
        """
        counts = dict.fromkeys(AgentState, 0)
        for agent in self._records if queue is None else self.queues.get(queue, ()):
            counts[agent.state] += 1
        return counts

    def to_json(self) -> bytes:
        """Return the snapshot as JSON (UTF-8), to be read back by `from_json`: a versioned format, safe to keep."""
        document = {
            "format": _FORMAT,
            "version": _VERSION,
            "observed_at": self._observed_at.isoformat(),
            "server_time": None if self._server_time is None else self._server_time.isoformat(),
            "agents": [agent.to_dict() for agent in self._records],
            "problems": [problem.to_dict() for problem in self._problems],
        }
        # A lone surrogate, which JSON can spell and UTF-8 cannot, is no reason to lose the other records.
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")

    @classmethod
    def from_json(cls, data: bytes | str) -> Snapshot:
        """Return the snapshot that `to_json` wrote.

        Raises:
            ValueError: The data is damaged, of another kind, or of a version that this release does not know.
        """
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"a saved snapshot must be JSON: {error}") from None
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise ValueError(f'this is no saved snapshot: it does not say "format": "{_FORMAT}"')
        version = document.get("version")
        if type(version) is not int or version != _VERSION:
            raise ValueError(f"the saved snapshot has version {version!r}; this release reads version {_VERSION}")
        try:
            return cls(
                [_agent_from_dict(fields) for fields in _list_from_json(document["agents"])],
                observed_at=datetime.fromisoformat(document["observed_at"]),
                server_time=_time_from_json(document["server_time"]),
                problems=[FieldProblem.from_dict(fields) for fields in _list_from_json(document["problems"])],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the saved snapshot is damaged: {type(error).__name__}: {error}") from error

    def __getitem__(self, key: tuple[str, str]) -> AgentStatus:
        return self._records[self._places[key]]  # type: ignore[index]  # an equal plain tuple finds it too

    def __iter__(self) -> Iterator[SeatKey]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    @overload
    def get(self, key: tuple[str, str], /) -> AgentStatus | None: ...
    @overload
    def get(self, key: tuple[str, str], default: AgentStatus, /) -> AgentStatus: ...
    @overload
    def get(self, key: tuple[str, str], default: _T, /) -> AgentStatus | _T: ...
    def get(self, key: tuple[str, str], default: _T | None = None, /) -> AgentStatus | _T | None:
        """Return the record of a seat, or `default` where there is none."""
        place = self._places.get(key)  # type: ignore[call-overload]  # a plain tuple finds it too
        return default if place is None else self._records[place]

    def keys(self) -> KeysView[SeatKey]:
        """The seats."""
        return self._places.keys()

    def values(self) -> ValuesView[AgentStatus]:
        """The records."""
        return _Values(self)

    def items(self) -> ItemsView[SeatKey, AgentStatus]:
        """Pairs of seat and record."""
        return _Items(self)

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        # The groups are made again when asked for: a read-only view of a dict can be neither pickled nor copied deeply.
        # Tokens and monotonic times mean something to this process alone.
        fields = {name: getattr(self, name) for name in self.__slots__}
        return None, {**fields, "_queues": None, "_changes": None, "_steady_at": None}

    def __repr__(self) -> str:
        return (
            f"<Snapshot of {len(self._records)} agents in {len(self.queues)} queues, "
            f"{self._observed_at.isoformat(timespec='seconds')}>"
        )


class _Values(ValuesView[AgentStatus]):
    _mapping: Snapshot

    def __iter__(self) -> Iterator[AgentStatus]:
        return iter(self._mapping._records)

    def __reversed__(self) -> Iterator[AgentStatus]:
        return reversed(self._mapping._records)


class _Items(ItemsView[SeatKey, AgentStatus]):
    _mapping: Snapshot

    def __iter__(self) -> Iterator[tuple[SeatKey, AgentStatus]]:
        return zip(self._mapping._places, self._mapping._records, strict=True)

    def __reversed__(self) -> Iterator[tuple[SeatKey, AgentStatus]]:
        return zip(reversed(self._mapping._places), reversed(self._mapping._records), strict=True)

    def __contains__(self, item: object) -> bool:
        return isinstance(item, tuple) and len(item) == 2 and super().__contains__(item)


def _places(seats: Iterable[SeatKey]) -> dict[SeatKey, int]:
    return {seat: place for place, seat in enumerate(seats)}


_FORMAT: Final = "sipqueue-snapshot"
_VERSION: Final = 1
_AGENT_FIELDS: Final = tuple(field.name for field in attrs.fields(AgentStatus))
_AGENT_TIMES: Final = ("last_answered_at", "last_offered_at", "last_changed_at")
_AGENT_INTEGERS: Final = ("state_code", "no_answer_count", "calls_answered")
_AGENT_OPTIONAL_INTEGERS: Final = ("status_code", "external_calls_count", "wrap_up_time", "max_no_answer")


def _agent_from_dict(fields: Mapping[str, Any]) -> AgentStatus:
    for name in ("queue", "extension"):
        if not isinstance(fields[name], str):
            _refuse(name, fields[name])
    for name in (*_AGENT_INTEGERS, *_AGENT_OPTIONAL_INTEGERS):
        if type(fields[name]) is not int and not (fields[name] is None and name in _AGENT_OPTIONAL_INTEGERS):
            _refuse(name, fields[name])
    if not isinstance(fields["name"], str | None):
        _refuse("name", fields["name"])
    read: dict[str, Any] = {name: _time_from_json(fields[name]) for name in _AGENT_TIMES}
    read["state"] = AgentState(fields["state"])
    return AgentStatus(**{**fields, **read})


def _list_from_json(value: object) -> list[Any]:
    # Anything else that is empty would read as "everybody has left".
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _time_from_json(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _refuse(name: str, value: object) -> NoReturn:
    raise ValueError(f"an agent's {name} is {value!r}")
