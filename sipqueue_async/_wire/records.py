"""Turns the JSON of one record into an `AgentStatus`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from functools import cached_property
from typing import Any, Final

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_structure_fn, override

from sipqueue_async._wire.encoding import excerpt, trouble, without_lone_surrogates
from sipqueue_async._wire.regular import RegularReader
from sipqueue_async._wire.times import server_time
from sipqueue_async._wire.values import (
    Nonsense,
    counter,
    identity,
    integer,
    optional_integer,
    optional_text,
    quoted,
)
from sipqueue_async.errors import MalformedResponse
from sipqueue_async.models import AgentState, AgentStatus, FieldProblem, SeatKey

_Reader = Callable[[object], Any]
_Known = Callable[[SeatKey], AgentStatus | None]

# The counters of calls by their names on the wire.
_COUNTERS: Final = {"noanswercount": "no_answer_count", "callsanswered": "calls_answered"}

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class RecordReader:
    """Makes an `AgentStatus` from a record's JSON, and collects the problems of its fields."""

    def __init__(self, zone: tzinfo | None, state_codes: Mapping[int, AgentState]) -> None:
        self._zone = zone
        self._state_codes = state_codes
        self._nonsense: list[tuple[str, str]] = []
        self.regular = RegularReader(state_codes, self._time)

    @cached_property
    def _structure(self) -> Callable[[dict[str, Any], Any], AgentStatus]:
        # Generated lazily: this takes as long as reading hundreds of records, and few platforms need it.
        must, may = self._must, self._may
        return make_dict_structure_fn(
            AgentStatus,
            cattrs.Converter(),
            _cattrs_detailed_validation=False,
            queue=must("queuename", identity),
            extension=must("extnumber", identity),
            name=may("seatsname", optional_text),
            state=must("state", self._state),
            state_code=must("state", integer),
            status_code=may("status", optional_integer),
            last_answered_at=may("lastanswertime", self._time),
            last_offered_at=may("lastassigntime", self._time),
            last_changed_at=may("seatschangetime", self._time),
            no_answer_count=must("noanswercount", counter),
            calls_answered=must("callsanswered", counter),
            external_calls_count=may("externalcallscount", optional_integer),
            wrap_up_time=may("wrapuptime", optional_integer),
            max_no_answer=may("maxnoanswer", optional_integer),
        )

    def read(self, record: bytes, known: _Known) -> tuple[AgentStatus, tuple[FieldProblem, ...]]:
        """Return the record and its problems.

        Args:
            record: Its JSON.
            known: Returns the seat's last known record, whose counters stand in for blank ones of the same person.

        Raises:
            MalformedResponse: It is not an object, or a required field is missing or invalid.
        """
        agents = self.regular.read(record, (None,))
        return (agents[0], ()) if agents else self.interpret(record, known)

    def interpret(self, record: bytes, known: _Known) -> tuple[AgentStatus, tuple[FieldProblem, ...]]:
        """Read a record as `read` does, on the slow path, which accepts PHP's spellings of values."""
        self._nonsense.clear()
        try:
            fields = decode_record(record)
        except UNREADABLE as error:
            raise MalformedResponse(f"a record cannot be read: {trouble(error)}", excerpt(record)) from error
        if not isinstance(fields, dict):
            raise MalformedResponse("a record is not an object", excerpt(record))
        try:
            agent = self._structure(fields, AgentStatus)
        except KeyError as error:
            raise MalformedResponse(f"{_whose(fields)}: {error.args[0]} is missing", excerpt(record)) from None
        except Nonsense as nonsense:
            raise MalformedResponse(f"{_whose(fields)}: {nonsense}", excerpt(record)) from None
        if blank := {field: spelt for field in _COUNTERS if (spelt := _blank(fields, field))}:
            self._nonsense += ((field, f"is {spelt}, so the count is unknown") for field, spelt in blank.items())
            before = known(agent.key)
            # Another name means another person, with counters of their own.
            if before is not None and agent.name in {None, before.name}:
                agent = attrs.evolve(agent, **{_COUNTERS[field]: getattr(before, _COUNTERS[field]) for field in blank})
        problems = (FieldProblem(agent.queue, agent.extension, field, reason) for field, reason in self._nonsense)
        return agent, tuple(problems)

    def _must(self, field: str, read: _Reader) -> Any:
        def hook(value: object, _: object) -> Any:
            try:
                return read(value)
            except Nonsense as nonsense:
                raise Nonsense(f"{field} {nonsense}") from None

        return override(rename=field, struct_hook=hook)

    def _may(self, field: str, read: _Reader) -> Any:
        def hook(value: object, _: object) -> Any:
            try:
                return read(value)
            except Nonsense as nonsense:
                self._nonsense.append((field, str(nonsense)))
                return None

        return override(rename=field, struct_hook=hook)

    def _state(self, value: object) -> AgentState:
        return self._state_codes.get(integer(value), AgentState.UNKNOWN)

    def _time(self, value: object) -> datetime | None:
        return server_time(value, self._zone)


def decode_record(record: bytes) -> object:
    try:
        return msgspec.json.decode(record)
    except UNREADABLE:
        mended = without_lone_surrogates(record)
        if mended == record:
            raise
    return msgspec.json.decode(mended)


def _blank(fields: dict[str, Any], field: str) -> str | None:
    """Return whether a field is "missing", "null" or "empty"; None if it has a value."""
    if field not in fields:
        return "missing"
    if fields[field] is None:
        return "null"
    return "empty" if fields[field] == "" else None


def _whose(fields: dict[str, Any]) -> str:
    return f"record of queue {quoted(fields.get('queuename'))}, extension {quoted(fields.get('extnumber'))}"
