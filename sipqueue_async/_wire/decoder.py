"""`SnapshotDecoder`: turns the bytes of an answer to the status request into a `Snapshot`."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import chain
from typing import TypeAlias

import msgspec

from sipqueue_async._changes import Changes
from sipqueue_async._wire.encoding import as_utf8, excerpt, without_mark
from sipqueue_async._wire.envelope import Data, open_envelope
from sipqueue_async._wire.incremental import Frame, LastAnswer
from sipqueue_async._wire.records import RecordReader
from sipqueue_async._wire.values import Nonsense, optional_integer
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.models import STATE_CODES, AgentState, AgentStatus, FieldProblem, SeatKey, Snapshot

_Read: TypeAlias = tuple[AgentStatus, tuple[FieldProblem, ...]]
# By place.
_Problems: TypeAlias = dict[int, tuple[FieldProblem, ...]]


class SnapshotDecoder:
    """Decodes the answers to one repeated request.

    Its work is proportional to what changed. A record whose text was in the last answer is not parsed again, and the
    new snapshot shares its object. If the same seats come in the same order, unchanged text is only compared (see
    `_wire.incremental`). A refused body does not change the decoder's state.
    """

    def __init__(self, *, zone: tzinfo | None = None, state_codes: Mapping[int, AgentState] | None = None) -> None:
        self._reader = RecordReader(zone, {**STATE_CODES, **(state_codes or {})})
        # The place of each seat and the agents by place, both shared with the last snapshot.
        self._places: dict[SeatKey, int] = {}
        self._agents: list[AgentStatus] = []
        self._changes = Changes.unknown()
        self._problems: _Problems = {}
        self._last = LastAnswer(Frame(), {})

    def decode(
        self, body: bytes, *, observed_at: datetime, steady_at: float | None = None, encoding: str = "utf-8"
    ) -> Snapshot:
        """Return the snapshot of a body.

        Args:
            body: The body of an answer.
            observed_at: When it arrived (aware).
            steady_at: The same in seconds of a monotonic clock.
            encoding: The body's encoding.

        Raises:
            MalformedResponse: The body violates the protocol; the reason names a record's queue, extension and field.
            ApiError: `ret` is not 200.
            OperationFailed: `data.status` is not 0.
        """
        body = without_mark(body) if encoding == "utf-8" else as_utf8(body, encoding)
        data = self._decode_incremental(body)
        if data is None:
            data = self._decode_full(as_utf8(body, "utf-8"))
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

    def _decode_incremental(self, body: bytes) -> Data | None:
        """Decode a body that has the same seats in the same order as the last one; None for any other body."""
        patch = self._last.patch(body, self._reader, self._agents)
        if patch is None:
            return None
        self._update(self._last.order, patch.records.places, patch.records.agents, patch.records.problems)
        self._last = patch.answer
        return patch.data

    def _update(
        self, order: Iterable[int], places: Sequence[int], agents: Iterable[AgentStatus], problems: _Problems
    ) -> None:
        """Replace the records at these places.

        Args:
            order: The places of all records, in the order of the body, in which problems are listed.
            places: The places of the records to replace.
            agents: The new records, in the order of `places`.
            problems: The problems of the new records, by place.
        """
        if problems or self._problems:
            known = self._problems | dict.fromkeys(places, ()) | problems
            self._problems = {place: known[place] for place in order if known.get(place)}
        if places:
            updated = self._agents.copy()
            for place, agent in zip(places, agents, strict=True):
                updated[place] = agent
            self._agents = updated
            is_all = len(places) == len(updated)
            self._changes = self._changes.then(range(len(places)) if is_all else sorted(places))

    def _decode_full(self, body: bytes) -> Data:
        """Decode any body. Records whose text was in the last body are not parsed again."""
        body, _, data = open_envelope(body)
        known = self._last.texts()
        if not self._last.is_laid_out and len(known) != len(self._agents):
            # The last body had several records for one seat. If only some of them are left, their problems differ.
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
            self._update(taken.values(), list(agents), agents.values(), problems)
        else:
            taken = self._replace(records, reads)
        self._last = LastAnswer.of(body, taken)
        return data

    def _known(self, seat: SeatKey) -> AgentStatus | None:
        place = self._places.get(seat)
        return None if place is None else self._agents[place]

    def _replace(self, records: Mapping[bytes, int | None], reads: Mapping[bytes, _Read]) -> dict[bytes, int]:
        """Replace all seats; return the new place of each record.

        Args:
            records: The text of each record, with the seat's place if the text is known, or None.
            reads: The parsed records of the texts that are not known.
        """
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
        # Sort by seat, so that `diff` need not sort its events. Keep the same dict for the same seats, so that `diff`
        # sees at once that no seat is new or gone.
        order = [*(seat for seat in before if seat in agents), *(seat for seat in agents if seat not in self._places)]
        places = {seat: place for place, seat in enumerate(sorted(order))}
        self._places = self._places if places == self._places else places
        self._agents = [agents[seat] for seat in places]
        self._changes = Changes.unknown()
        self._problems = {places[seat]: its for seat, its in problems.items()}
        return {record: places[seat] for record, seat in seats.items()}


def _same(old: AgentStatus, agent: AgentStatus) -> AgentStatus:
    """Return the known object if the new one is equal."""
    return old if old == agent else agent


def _records(data: Data, body: bytes) -> Iterable[bytes | msgspec.Raw]:
    """Return the bytes of each record. PHP may send a list as an object, as one record, or as an empty value."""
    result = data.result
    if result is None or result == "":
        return ()
    if isinstance(result, list):
        return result
    if isinstance(result, dict):
        if "extnumber" in result or "queuename" in result:
            return (msgspec.json.encode(result),)
        # PHP writes an array with gaps in its indexes as an object with the indexes as names.
        if all(bytes(value)[:1] == b"{" for value in result.values()):
            return result.values()
    raise MalformedResponse("data.result is not a list of records", excerpt(body))


def _server_time(value: object) -> tuple[datetime | None, tuple[FieldProblem, ...]]:
    try:
        seconds = optional_integer(value)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC), ()
    except Nonsense as nonsense:
        reason = str(nonsense)
    except (ValueError, OverflowError, OSError):
        reason = f"is {value!r}, beyond the calendar"
    return None, (FieldProblem(None, None, "rsptime", reason),)
