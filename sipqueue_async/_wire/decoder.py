"""A whole answer: the bytes of a body in, a `Snapshot` out, looking only at what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import chain
from typing import TypeAlias, cast

import msgspec

from sipqueue_async._wire.encoding import as_utf8, excerpt, is_utf8, without_mark
from sipqueue_async._wire.envelope import Data, open_around, open_envelope
from sipqueue_async._wire.layout import Frame, Layout
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
            # Answers whose order is always another one would be laid out each time for nothing.
            first = {0: self._frame.first_object(body)}
            if len(seats) != len(self._agents) or not seats or self._read_changed(seats, first) is None:
                return None
            layout = Layout.of(self._frame, list(self._records))
        found = layout.follow(body, lambda place, record: self._read_changed(seats, {place: record}) is not None)
        if found is None:
            return None
        reads = self._read_changed(seats, found.changed)
        data = open_around(found.head, found.tail) if is_utf8(found.tail) else None
        if reads is None or data is None:
            return None
        agents, problems = reads
        self._note_problems(seats, agents, problems)
        if agents:
            self._agents = self._agents | agents
        self._layout, self._seats, self._records = found.layout, seats, {}
        return data

    def _read_changed(self, seats: Sequence[SeatKey], changed: Mapping[int, bytes]) -> tuple[_Agents, _Problems] | None:
        """Return what records in some places say, or None if one is not of the seat in that place."""
        agents: _Agents = {}
        problems: _Problems = {}
        read, known = self._reader.regular.read, self._agents
        for place, record in changed.items():
            seat = seats[place]
            agent = read(record)
            if agent is None:
                try:
                    agent, problems[seat] = self._reader.interpret(record)
                except MalformedResponse:
                    return None
            if agent.queue != seat[0] or agent.extension != seat[1]:
                return None
            agents[seat] = _same(known[seat], agent)
        return agents, problems

    def _take_anew(self, body: bytes) -> Data:
        """Take any body, reading the records that were not in the one before."""
        _, data = open_envelope(body)
        known = self._records
        if self._layout is not None:
            known = dict(zip(self._layout.records(), self._seats, strict=True))
        # Copies, because a Raw would keep the whole body alive.
        texts = list(map(bytes, _records(data, body)))
        records = dict(zip(texts, map(known.get, texts), strict=True))
        reads: dict[bytes, AgentStatus] = {}
        problems: _Problems = {}
        for record in [record for record, seat in records.items() if seat is None]:
            agent, its_problems = self._reader.read(record)
            seat = records[record] = agent.key
            reads[record] = _same(self._agents.get(seat), agent)
            if its_problems:
                problems[seat] = its_problems
        seats = cast("dict[bytes, SeatKey]", records)
        self._check_unique(seats, reads)
        agents = {seats[record]: agent for record, agent in reads.items()}
        self._note_problems(seats.values(), agents, problems)
        if self._agents.keys() != set(seats.values()):
            # In order, so that `diff` need not sort what has changed.
            self._agents = {seat: agents.get(seat) or self._agents[seat] for seat in sorted(set(seats.values()))}
        elif agents:
            self._agents = self._agents | agents
        self._frame, self._records = Frame.of(body, seats), seats
        self._layout, self._seats = None, []
        return data

    def _check_unique(self, seats: Mapping[bytes, SeatKey], reads: Mapping[bytes, AgentStatus]) -> None:
        """Refuse two different records of one seat."""
        if len(set(seats.values())) == len(seats):
            return
        agents: _Agents = {}
        for record, seat in seats.items():
            agent = reads.get(record) or self._agents[seat]
            if agents.setdefault(seat, agent) != agent:
                reason = f"two different records of queue {agent.queue!r}, extension {agent.extension!r}"
                raise MalformedResponse(reason, excerpt(record))

    def _note_problems(self, seats: Iterable[SeatKey], read: _Agents, problems: _Problems) -> None:
        """Take the problems of records that were read, and drop those of seats that are no more, in a body's order."""
        if problems or self._problems:
            known = {seat: its for seat, its in self._problems.items() if seat not in read} | problems
            self._problems = {seat: known[seat] for seat in seats if known.get(seat)}


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
