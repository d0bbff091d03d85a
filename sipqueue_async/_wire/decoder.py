"""A whole answer: the bytes of a body in, a `Snapshot` out, looking only at what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import chain
from typing import TypeAlias

import msgspec

from sipqueue_async._wire.encoding import as_utf8, excerpt, is_utf8, without_mark
from sipqueue_async._wire.envelope import Data, open_around, open_envelope
from sipqueue_async._wire.layout import Frame, Layout, first_object
from sipqueue_async._wire.records import RecordReader
from sipqueue_async._wire.values import Nonsense, optional_integer
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.models import STATE_CODES, AgentState, AgentStatus, FieldProblem, SeatKey, Snapshot

_Agents: TypeAlias = dict[SeatKey, AgentStatus]
_Problems: TypeAlias = dict[SeatKey, tuple[FieldProblem, ...]]


class SnapshotDecoder:
    """Decodes the answers to one repeated question.

    A record whose bytes were in the answer before too is not looked at again: the new snapshot shares its object. Where
    the same seats come in the same places, the bytes that did not change are only compared. So the work follows what
    changed. A refused body leaves the decoder as it was.
    """

    def __init__(self, *, zone: tzinfo | None = None, state_codes: Mapping[int, AgentState] | None = None) -> None:
        self._reader = RecordReader(zone, {**STATE_CODES, **(state_codes or {})})
        self._agents: _Agents = {}
        self._problems: _Problems = {}
        # The last body's records, and what stood around them. Once two bodies had the same seats in the same places, it
        # is the layout that holds their text, and the seats of the places stand beside it.
        self._frame = Frame()
        self._records: dict[bytes, SeatKey] = {}
        self._layout: Layout | None = None
        self._seats: list[SeatKey] = []

    def decode(self, body: bytes, *, observed_at: datetime, encoding: str = "utf-8") -> Snapshot:
        """Return the snapshot that a body holds.

        Raises:
            MalformedResponse: The body is not what the protocol allows; a record is named by queue, extension, field.
            ApiError: `ret` is not 200.
            OperationFailed: `data.status` is not 0.
        """
        body = without_mark(body) if encoding == "utf-8" else as_utf8(body, encoding)
        data = self._take_again(body)
        if data is None:
            data = self._take_anew(as_utf8(body, "utf-8"))
        server_time, clock_problems = _server_time(data.rsptime)
        return Snapshot._of(
            self._agents,
            observed_at=observed_at,
            server_time=server_time,
            problems=(*clock_problems, *chain.from_iterable(self._problems.values())),
        )

    def _take_again(self, body: bytes) -> Data | None:
        """Take a body in which the last one's seats come again in their places, unless it is another one."""
        layout, seats = self._layout, self._seats
        if layout is None:
            seats = list(self._records.values())
            if not self._has_again(seats[:1], body):
                return None
            layout = Layout.of(self._frame, list(self._records))
        changes = _Changes(self._reader, seats, self._agents)
        found = layout.follow(body, changes.take)
        if found is None:
            return None
        layout, head, tail = found
        data = open_around(head, tail) if is_utf8(tail) else None
        if data is not None:
            self._agents, self._problems = changes.applied(self._problems)
            self._layout, self._seats, self._records = layout, seats, {}
        return data

    def _has_again(self, first: Sequence[SeatKey], body: bytes) -> bool:
        """Tell whether a body's first seat is the last one's first, and so perhaps the others too."""
        head = self._frame.head
        if not first or len(self._records) > len(self._agents) or not body.startswith(head):
            return False
        return _Changes(self._reader, first, self._agents).take(0, first_object(body, len(head)))

    def _take_anew(self, body: bytes) -> Data:
        """Take any body, reading the records that were not in the one before."""
        _, data = open_envelope(body)
        known = self._records
        if self._layout is not None:
            known = dict(zip(self._layout.records(), self._seats, strict=True))
        records: dict[bytes, SeatKey] = {}
        agents: _Agents = {}
        problems: _Problems = {}
        # Copies, because a Raw would keep the whole body alive.
        for record in map(bytes, _records(data, body)):
            seat = known.get(record)
            if seat is None:
                agent, its_problems = self._reader.read(record)
                seat = agent.key
                agent = _same(self._agents.get(seat), agent)
            else:
                agent, its_problems = self._agents[seat], self._problems.get(seat, ())
            if seat in agents and agents[seat] != agent:
                reason = f"two different records of queue {agent.queue!r}, extension {agent.extension!r}"
                raise MalformedResponse(reason, excerpt(record))
            records[record] = seat
            agents[seat] = agent
            if its_problems:
                problems[seat] = its_problems
        if agents.keys() == self._agents.keys():
            # In the order of the snapshot before, where `diff` finds changes fastest; or that very one.
            agents = self._agents if records.keys() == known.keys() else self._agents | agents
        self._agents, self._problems = agents, problems
        self._frame, self._records = Frame.of(body, records), records
        self._layout, self._seats = None, []
        return data


class _Changes:
    """New records of known seats."""

    def __init__(self, reader: RecordReader, seats: Sequence[SeatKey], known: _Agents) -> None:
        self._reader = reader
        self._seats = seats
        self._known = known
        self._agents: _Agents = {}
        self._problems: _Problems = {}

    def take(self, place: int, record: bytes) -> bool:
        """Take the record of the seat in some place, if that is what it is."""
        try:
            agent, problems = self._reader.read(record)
        except MalformedResponse:
            return False
        seat = self._seats[place]
        queue, extension = seat
        if agent.queue != queue or agent.extension != extension:
            return False
        self._agents[seat] = _same(self._known[seat], agent)
        if problems:
            self._problems[seat] = problems
        return True

    def applied(self, problems: _Problems) -> tuple[_Agents, _Problems]:
        """Return what is known with the changes, and which problems there are."""
        if not self._agents:
            return self._known, problems
        agents = self._known | self._agents
        if problems or self._problems:
            kept = {seat: its for seat, its in problems.items() if seat not in self._agents} | self._problems
            problems = {seat: kept[seat] for seat in self._seats if seat in kept}
        return agents, problems


def _same(old: AgentStatus | None, agent: AgentStatus) -> AgentStatus:
    """Return the object that is already there, if other bytes mean the same."""
    return old if old is not None and old.state is agent.state and old == agent else agent


def _records(data: Data, body: bytes) -> Iterable[bytes | msgspec.Raw]:
    """Return the records' bytes, whatever PHP made of the list."""
    result = data.result
    if result is None or result == "":
        return ()
    if isinstance(result, list):
        return result
    if isinstance(result, dict):
        if "extnumber" in result or "queuename" in result:
            return (msgspec.json.encode(result),)
        # A PHP array with gaps in its indexes is an object with the indexes as names.
        if all(bytes(value)[:1] == b"{" for value in result.values()):
            return result.values()
    raise MalformedResponse("data.result is no list of records", excerpt(body))


def _server_time(value: object) -> tuple[datetime | None, tuple[FieldProblem, ...]]:
    try:
        seconds = optional_integer(value)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC), ()
    except Nonsense as nonsense:
        reason = str(nonsense)
    except (ValueError, OverflowError, OSError):
        reason = f"is {value!r}, beyond the calendar"
    return None, (FieldProblem(None, None, "rsptime", reason),)
