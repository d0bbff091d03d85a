"""A whole answer: the bytes of a body in, a `Snapshot` out, looking only at what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import chain
from typing import TypeAlias

import msgspec

from sipqueue_async._wire.again import Again
from sipqueue_async._wire.encoding import as_utf8, excerpt, is_utf8, without_mark
from sipqueue_async._wire.envelope import Data, open_around, open_envelope
from sipqueue_async._wire.layout import Frame, Layout
from sipqueue_async._wire.records import RecordReader
from sipqueue_async._wire.values import Nonsense, optional_integer
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.models import STATE_CODES, AgentState, AgentStatus, Changes, FieldProblem, SeatKey, Snapshot

_Read: TypeAlias = tuple[AgentStatus, tuple[FieldProblem, ...]]
# By place.
_Problems: TypeAlias = dict[int, tuple[FieldProblem, ...]]


class SnapshotDecoder:
    """Decodes the answers to one repeated question.

    A record whose bytes were in the answer before too is not looked at again, unless most of those beside it have
    changed; the new snapshot shares its object. Where the same seats come in the same places, the bytes that did not
    change are only compared. So the work follows what changed. A refused body leaves the decoder as it was.
    """

    def __init__(self, *, zone: tzinfo | None = None, state_codes: Mapping[int, AgentState] | None = None) -> None:
        self._reader = RecordReader(zone, {**STATE_CODES, **(state_codes or {})})
        # What is known, shared with the last snapshot.
        self._places: dict[SeatKey, int] = {}
        self._agents: list[AgentStatus] = []
        self._changes = Changes(None, object(), ())
        self._problems: _Problems = {}
        # The last body's records with the places of their agents, and what stood around them. Once two bodies had the
        # same seats in the same order, it is the layout that holds the text, and the order stands beside it.
        self._frame = Frame()
        self._records: dict[bytes, int] = {}
        self._layout: Layout | None = None
        self._order: list[int] = []

    def decode(
        self, body: bytes, *, observed_at: datetime, steady_at: float | None = None, encoding: str = "utf-8"
    ) -> Snapshot:
        """Return the snapshot that a body holds, which had arrived at these times.

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
        return Snapshot._at(
            self._places,
            self._agents,
            observed_at=observed_at,
            steady_at=steady_at,
            server_time=server_time,
            problems=(*clock_problems, *chain.from_iterable(self._problems.values())),
            changes=self._changes,
        )

    def _take_again(self, body: bytes) -> Data | None:
        """Take a body in which the last one's seats come again in their order, unless it is another one."""
        layout, order = self._layout, self._order
        if layout is None:
            order = list(self._records.values())
            if not order or not self._frame.is_list or len(order) != len(self._agents):
                return None
            # Answers whose order is always another one would be laid out each time for nothing.
            if not Again(self._reader, order, self._agents).read_some({0: self._frame.first_object(body)}):
                return None
            layout = Layout.of(self._frame, list(self._records))
        again = Again(self._reader, order, self._agents)
        found = layout.follow(body, again)
        if found is None:
            return None
        data = open_around(found.head, found.tail) if is_utf8(found.tail) else None
        if data is None:
            return None
        self._take_changes(order, again.places, again.agents, again.problems)
        self._layout, self._order, self._records = found.layout, order, {}
        return data

    def _take_changes(
        self, order: Iterable[int], places: Sequence[int], agents: Iterable[AgentStatus], problems: _Problems
    ) -> None:
        """Take new records of known seats, each by its place; a body's order is that of the problems too."""
        if problems or self._problems:
            known = self._problems | dict.fromkeys(places, ()) | problems
            self._problems = {place: known[place] for place in order if known.get(place)}
        if places:
            everybody = self._agents.copy()
            for place, agent in zip(places, agents, strict=True):
                everybody[place] = agent
            self._agents = everybody
            is_all = len(places) == len(everybody)
            self._changes = Changes(self._changes.after, object(), range(len(places)) if is_all else sorted(places))

    def _take_anew(self, body: bytes) -> Data:
        """Take any body, reading the records that were not in the one before."""
        body, _, data = open_envelope(body)
        known = self._records
        if self._layout is not None:
            known = dict(zip(self._layout.records(), self._order, strict=False))
        elif len(known) != len(self._agents):
            # Of several records of one seat, all but one may be gone, and with them what was wrong with them.
            known = {}
        # Copies, because a Raw would keep the whole body alive.
        texts = list(map(bytes, _records(data, body)))
        records = dict(zip(texts, map(known.get, texts), strict=True))
        reads = {record: self._reader.read(record, self._known) for record, place in records.items() if place is None}
        places = records | {record: self._places.get(agent.key) for record, (agent, _) in reads.items()}
        taken = {record: place for record, place in places.items() if place is not None}
        if len(places) == len(taken) == len(set(taken.values())) == len(self._agents):
            agents = {taken[record]: _same(self._agents[taken[record]], agent) for record, (agent, _) in reads.items()}
            problems = {taken[record]: its for record, (_, its) in reads.items() if its}
            self._take_changes(taken.values(), list(agents), agents.values(), problems)
        else:
            taken = self._take_seats(records, reads)
        self._frame, self._records = Frame.of(body, taken), taken
        self._layout, self._order = None, []
        return data

    def _known(self, seat: SeatKey) -> AgentStatus | None:
        place = self._places.get(seat)
        return None if place is None else self._agents[place]

    def _take_seats(self, records: Mapping[bytes, int | None], reads: Mapping[bytes, _Read]) -> dict[bytes, int]:
        """Take records that may be of other seats, each from its known place or as it was read; return their places."""
        agents: dict[SeatKey, AgentStatus] = {}
        problems: dict[SeatKey, tuple[FieldProblem, ...]] = {}
        seats: dict[bytes, SeatKey] = {}
        before = list(self._places)
        for record, place in records.items():
            if place is None:
                agent, its_problems = reads[record]
                seat = agent.key
                old = self._places.get(seat)
                agent = agent if old is None else _same(self._agents[old], agent)
            else:
                seat, agent, its_problems = before[place], self._agents[place], self._problems.get(place, ())
            if seat in agents and agents[seat] != agent:
                reason = f"two different records of queue {agent.queue!r}, extension {agent.extension!r}"
                raise MalformedResponse(reason, excerpt(record))
            agents[seat] = agent
            seats[record] = seat
            if its_problems:
                problems[seat] = its_problems
        # In order, so that `diff` need not sort what has changed (few seats are new, so there is little to do); and the
        # same object for the same seats.
        order = [*(seat for seat in before if seat in agents), *(seat for seat in agents if seat not in self._places)]
        places = {seat: place for place, seat in enumerate(sorted(order))}
        self._places = self._places if places == self._places else places
        self._agents = [agents[seat] for seat in places]
        self._changes = Changes(None, object(), ())
        self._problems = {places[seat]: its for seat, its in problems.items()}
        return {record: places[seat] for record, seat in seats.items()}


def _same(old: AgentStatus, agent: AgentStatus) -> AgentStatus:
    """Return the object that is already there, if other bytes mean the same."""
    return old if old == agent else agent


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
