"""Ways to find the changes in an answer: this library's, and hand-written comparisons.

The other libraries are imported lazily, so that they take no memory in the processes of the benchmark's other parts.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import attrs
import msgspec

from sipqueue_async import SeatKey, Snapshot, diff
from sipqueue_async._wire import SnapshotDecoder
from tests.benchmarks.speed_bodies import Seat

LIBRARY: Final = "sipqueue_async"
UNIT: Final = "`orjson.loads` alone"
SPLITTING: Final = "splitting into `msgspec.Raw` alone"

_Records: TypeAlias = Mapping[Seat, object]


class Contestant(ABC):
    """Takes one body after the other, and finds the changed seats."""

    def __init__(self, name: str, *, largest: int | None = None, rounds: int | None = None) -> None:
        self.name = name
        self.largest = largest
        """The largest number of records that it can handle in reasonable time; None for any number."""
        self.rounds = rounds
        """The number of rounds in which it takes part; None for all of them."""

    @abstractmethod
    def take(self, body: bytes) -> Any:
        """Take the next body and return the changes. Only this method is timed."""

    @abstractmethod
    def seats(self, found: Any) -> Iterable[Seat] | None:
        """Return the seats of the changes, or None if the contestant does not look for any."""


class _Library(Contestant):
    def __init__(self) -> None:
        super().__init__(LIBRARY)
        self._decoder = SnapshotDecoder()
        self._known: Snapshot | None = None

    def take(self, body: bytes) -> Any:
        new = self._decoder.decode(body, observed_at=datetime.now(UTC))
        events = diff(self._known, new)
        self._known = new
        return events

    def seats(self, found: Any) -> Iterable[SeatKey]:
        return [event.key for event in found]


class _Parsing(Contestant):
    """Parses and frees a body without comparing anything: the minimum for every contestant that parses."""

    def __init__(self, name: str, parse: Callable[[bytes], object]) -> None:
        super().__init__(name)
        self._parse = parse

    def take(self, body: bytes) -> None:
        self._parse(body)

    def seats(self, found: None) -> None:
        return None


class _Comparing(Contestant):
    """Reads all records, and compares each with its seat's previous one."""

    def __init__(self, name: str, read: Callable[[bytes], _Records], *, largest: int | None = None) -> None:
        super().__init__(name, largest=largest)
        self._read = read
        self._known: _Records = {}

    def take(self, body: bytes) -> list[Seat]:
        known, new = self._known, self._read(body)
        self._known = new
        found = [seat for seat, record in new.items() if known.get(seat) != record]
        found += known.keys() - new.keys()
        return found

    def seats(self, found: list[Seat]) -> list[Seat]:
        return found


class _DeepDiff(Contestant):
    def __init__(self) -> None:
        super().__init__("`json.loads`, deepdiff", largest=1_000, rounds=2)
        from deepdiff import DeepDiff

        self._deepdiff = DeepDiff
        self._known: Mapping[Seat, Any] = {}

    def take(self, body: bytes) -> Any:
        new = _by_seat(json.loads(body))
        # Without a threshold, DeepDiff reports two answers with little in common as a single change.
        found = self._deepdiff(self._known, new, view="tree", threshold_to_diff_deeper=0)
        self._known = new
        return found

    def seats(self, found: Any) -> list[Seat]:
        return [difference.path(output_format="list")[0] for kind in found.values() for difference in kind]


def library() -> Contestant:
    """Return the contestant that uses this library."""
    return _Library()


def parsers() -> list[Contestant]:
    """Return the contestants that only parse: the unit, and the least work that any JSON reader must do."""
    import orjson

    return [_Parsing(UNIT, orjson.loads), _Parsing(SPLITTING, msgspec.json.Decoder(_RawEnvelope).decode)]


def others(records: int) -> list[Contestant]:
    """Return the other contestants that can handle that many records."""
    import orjson

    everyone = [
        _Comparing("msgspec structs, compared", _read_structs),
        _Comparing("`orjson.loads`, dicts compared", lambda body: _by_seat(orjson.loads(body))),
        _Comparing("`json.loads`, dicts compared", lambda body: _by_seat(json.loads(body))),
        _Comparing("pydantic, compared", _pydantic_reader(), largest=10_000),
        _Comparing("cattrs, compared", _cattrs_reader(), largest=10_000),
        _DeepDiff(),
    ]
    return [it for it in everyone if it.largest is None or records <= it.largest]


def _by_seat(envelope: Any) -> Mapping[Seat, Any]:
    return {(record["queuename"], record["extnumber"]): record for record in envelope["data"]["result"]}


def _typed_by_seat(records: Iterable[Any]) -> _Records:
    return {(record.queuename, record.extnumber): record for record in records}


class _RawData(msgspec.Struct):
    result: list[msgspec.Raw]


class _RawEnvelope(msgspec.Struct):
    ret: int
    data: _RawData


class _Struct(msgspec.Struct):
    queuename: str
    seatsname: str
    extnumber: str
    status: int
    state: int
    lastanswertime: datetime
    lastassigntime: datetime
    seatschangetime: datetime
    noanswercount: int
    callsanswered: int
    externalcallscount: int
    wrapuptime: int
    maxnoanswer: int


class _StructData(msgspec.Struct):
    result: list[_Struct]


class _StructEnvelope(msgspec.Struct):
    ret: int
    data: _StructData


_struct_decoder: Final = msgspec.json.Decoder(_StructEnvelope)


def _read_structs(body: bytes) -> _Records:
    return _typed_by_seat(_struct_decoder.decode(body).data.result)


@attrs.define
class _Record:
    queuename: str
    seatsname: str
    extnumber: str
    status: int
    state: int
    lastanswertime: datetime
    lastassigntime: datetime
    seatschangetime: datetime
    noanswercount: int
    callsanswered: int
    externalcallscount: int
    wrapuptime: int
    maxnoanswer: int


def _cattrs_reader() -> Callable[[bytes], _Records]:
    import cattrs

    def read_time(value: str, _: object) -> datetime:
        return datetime.fromisoformat(value)

    converter = cattrs.Converter()
    converter.register_structure_hook(datetime, read_time)

    def read(body: bytes) -> _Records:
        return _typed_by_seat(converter.structure(json.loads(body)["data"]["result"], list[_Record]))

    return read


def _pydantic_reader() -> Callable[[bytes], _Records]:
    import pydantic

    class Record(pydantic.BaseModel):
        queuename: str
        seatsname: str
        extnumber: str
        status: int
        state: int
        lastanswertime: datetime
        lastassigntime: datetime
        seatschangetime: datetime
        noanswercount: int
        callsanswered: int
        externalcallscount: int
        wrapuptime: int
        maxnoanswer: int

    class Data(pydantic.BaseModel):
        result: list[Record]

    class Envelope(pydantic.BaseModel):
        ret: int
        data: Data

    adapter = pydantic.TypeAdapter(Envelope)
    return lambda body: _typed_by_seat(adapter.validate_json(body).data.result)
