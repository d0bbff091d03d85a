"""`Snapshot`: every agent of every queue at one moment."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar, overload

from sipqueue_async._changes import Changes
from sipqueue_async._codes import AgentState
from sipqueue_async._record import AgentStatus, FieldProblem, SeatKey, agent_from_dict, time_from_json
from sipqueue_async._saved_format import SavedFormat

_T = TypeVar("_T")

_FORMAT: Final = SavedFormat(kind="snapshot", name="sipqueue-snapshot", version=1)


class Snapshot(Mapping[SeatKey, AgentStatus]):
    """Every agent of every queue at one moment: an immutable mapping from seat to record.

    Snapshots are equal when they hold the same records; as with any mapping, neither order nor the time of observation
    counts.

    Args:
        agents: The records. Equal records of one seat count as one.
        observed_at: When the answer arrived (aware).
        server_time: The server's clock when it answered (aware), if it sent it.
        problems: Fields with invalid values, and missing counters.
        steady_at: When the answer arrived, in seconds of a monotonic clock (the event loop's), if the source
            records it. Durations are then exact even if the wall clock steps. It is neither compared nor saved.

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

    # The records, and each seat's index (place) among them. Snapshots of the same seats share the dict of places, which
    # saves memory, and lets `diff` compare two of them as lists.
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
        """Make a snapshot without checks and copies: the arguments must be valid, and never change afterwards."""
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
        """Return a later snapshot with these records of these seats, and without the seats whose record is None.

        All other records are shared with this snapshot.
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
        """When the answer arrived (aware; UTC from a client)."""
        return self._observed_at

    @property
    def server_time(self) -> datetime | None:
        """The server's clock when it answered (aware UTC) [rsptime], or None if it sent none."""
        return self._server_time

    @property
    def problems(self) -> tuple[FieldProblem, ...]:
        """Fields with invalid values, and missing counters."""
        return self._problems

    @property
    def steady_at(self) -> float | None:
        """When the answer arrived, in seconds of a monotonic clock, or None if the source did not record it."""
        return self._steady_at

    def seconds_since(self, earlier: Snapshot) -> float:
        """Return how many seconds after `earlier` this snapshot was observed: 0 or more.

        Measured by `steady_at` if both snapshots have one, so that a step of the wall clock does not count; otherwise
        by `observed_at`.
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
        """Return how many agents are in each state, in one queue or in all (where an agent counts once per queue).

        Every state has an entry, even if it is 0; an empty or unknown queue has only zeros.
        """
        counts = dict.fromkeys(AgentState, 0)
        for agent in self._records if queue is None else self.queues.get(queue, ()):
            counts[agent.state] += 1
        return counts

    def to_json(self) -> bytes:
        """Return the snapshot as JSON (UTF-8) in a versioned format, for storage; `from_json` reads it."""
        return _FORMAT.dump(self._content())

    def to_dict(self) -> dict[str, Any]:
        """Return what `to_json` writes as values for JSON, to be part of a larger document; `from_dict` reads it."""
        return _FORMAT.document(self._content())

    def _content(self) -> dict[str, Any]:
        return {
            "observed_at": self._observed_at.isoformat(),
            "server_time": None if self._server_time is None else self._server_time.isoformat(),
            "agents": [agent.to_dict() for agent in self._records],
            "problems": [problem.to_dict() for problem in self._problems],
        }

    @classmethod
    def from_json(cls, data: bytes | str) -> Snapshot:
        """Return the snapshot that `to_json` wrote.

        Raises:
            ValueError: The data is damaged, is not a saved snapshot, or has a version that this release does not know.
        """
        return cls.from_dict(_FORMAT.load(data))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Snapshot:
        """Return the snapshot that `to_dict` gave.

        Raises:
            ValueError: The document is damaged, is not a saved snapshot, or has a version that this release does not
                know.
        """
        document = _FORMAT.check(document)
        with _FORMAT.decoding():
            return cls(
                [agent_from_dict(fields) for fields in _list_from_json(document["agents"])],
                observed_at=datetime.fromisoformat(document["observed_at"]),
                server_time=time_from_json(document["server_time"]),
                problems=[FieldProblem.from_dict(fields) for fields in _list_from_json(document["problems"])],
            )

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
        # `queues` groups again on demand, since a mappingproxy can be neither pickled nor copied deeply. The tokens in
        # `_changes` and monotonic times are valid in this process only.
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


def _list_from_json(value: object) -> list[Any]:
    # An empty value of another type would read as "all agents left".
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list")  # noqa: TRY004  # `decoding` keeps the text of a ValueError
    return value
