"""A whole answer: the bytes of a body in, a `Snapshot` out, looking only at what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

import msgspec

from sipqueue_async._wire.encoding import as_utf8, excerpt
from sipqueue_async._wire.envelope import Data, open_envelope
from sipqueue_async._wire.records import RecordReader
from sipqueue_async._wire.values import Nonsense, optional_integer
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.models import STATE_CODES, AgentState, AgentStatus, FieldProblem, SeatKey, Snapshot


class SnapshotDecoder:
    """Decodes the answers to one repeated question.

    A record whose bytes were in the answer before too is not looked at again: the new snapshot shares its object. So
    the work follows what changed. A refused body leaves the decoder as it was.
    """

    def __init__(self, *, zone: tzinfo | None = None, state_codes: Mapping[int, AgentState] | None = None) -> None:
        self._reader = RecordReader(zone, {**STATE_CODES, **(state_codes or {})})
        self._known: dict[bytes, _Read] = {}
        self._agents: dict[SeatKey, AgentStatus] = {}
        self._problems: tuple[FieldProblem, ...] = ()

    def decode(self, body: bytes, *, observed_at: datetime, encoding: str = "utf-8") -> Snapshot:
        """Return the snapshot that a body holds.

        Raises:
            MalformedResponse: The body is not what the protocol allows; a record is named by queue, extension, field.
            ApiError: `ret` is not 200.
            OperationFailed: `data.status` is not 0.
        """
        body = as_utf8(body, encoding)
        _, data = open_envelope(body)
        # Copies, because a Raw would keep the whole body alive.
        records = [bytes(raw) for raw in _records(data, body)]
        known = {record: self._known.get(record) or self._read(record) for record in records}
        if known.keys() != self._known.keys():
            self._agents = _by_seat(known)
            self._problems = tuple(problem for read in known.values() for problem in read.problems)
        self._known = known
        server_time, clock_problems = _server_time(data.rsptime)
        return Snapshot._of(
            self._agents,
            observed_at=observed_at,
            server_time=server_time,
            problems=(*clock_problems, *self._problems),
        )

    def _read(self, record: bytes) -> _Read:
        agent, problems = self._reader.read(record)
        key = agent.key
        # Other bytes may mean the same; the record stays the same object then.
        old = self._agents.get(key)
        return _Read(key, old if old is not None and old == agent else agent, problems)


class _Read(NamedTuple):
    """What some record's bytes mean."""

    key: SeatKey
    agent: AgentStatus
    problems: tuple[FieldProblem, ...]


def _by_seat(known: dict[bytes, _Read]) -> dict[SeatKey, AgentStatus]:
    """Return the agents by seat, provided that no two different ones have the same."""
    agents = {key: agent for key, agent, _ in known.values()}
    if len(agents) < len(known):
        for record, (key, agent, _) in known.items():
            if agents[key] != agent:
                reason = f"two different records of queue {agent.queue!r}, extension {agent.extension!r}"
                raise MalformedResponse(reason, excerpt(record))
    return agents


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
