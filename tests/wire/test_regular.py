"""The fast path for a record returns the same as the slow path, or nothing."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sipqueue_async import AgentState, AgentStatus, MalformedResponse, SeatKey
from sipqueue_async._wire.encoding import LOST
from sipqueue_async._wire.records import RecordReader
from sipqueue_async._wire.regular import Memory, RegularReader
from sipqueue_async._wire.values import naive_time
from sipqueue_async.models import STATE_CODES
from tests.kit.builders import RECORD, record

ZONE = timezone(timedelta(hours=8))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2000),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30, 1.0, 1.5, 1e300]),
    st.sampled_from(["", " ", "0", "-1", "1213", "x", LOST, f"a{LOST}", "王芳", "\x00", "9" * 30]),
    st.sampled_from(["2020-02-05 21:03:36", "0000-00-00 00:00:00", "0000-00-00", "2020-02-30 00:00:00", "2020-02-05"]),
    st.sampled_from([[], {}, [1], {"a": 1}]),
)
ODD = st.dictionaries(st.sampled_from([*RECORD, "unheard_of"]), VALUES, max_size=4)
MISSING = st.sets(st.sampled_from(list(RECORD)), max_size=3)


def unknown(seat: SeatKey) -> None:
    """Return None: no record of the seat is known."""


@given(odd=ODD, missing=MISSING)
@example(odd={}, missing=set())
@example(odd={"seatsname": ""}, missing={"status", "wrapuptime"})
@example(odd={"seatsname": " \u3000"}, missing=set())
@example(odd={"seatsname": LOST}, missing=set())
@example(odd={"state": 2**63}, missing=set())
def test_both_ways_agree(odd: dict[str, Any], missing: set[str]) -> None:
    """The fast path and the slow path read each record alike."""
    reader = RecordReader(ZONE, STATE_CODES)
    raw = json.dumps({name: value for name, value in record(**odd).items() if name not in missing}).encode()
    fast = RegularReader(STATE_CODES, reader._time).read(raw, [None])
    try:
        slow = reader.interpret(raw, unknown)
    except MalformedResponse:
        assert fast is None
    else:
        assert fast is None or (fast[0], ()) == slow
        assert reader.read(raw, unknown) == slow
        if fast:
            assert reader.regular.read(raw, slow[:1]) == fast


def test_a_regular_record_takes_the_fast_path() -> None:
    assert RegularReader(STATE_CODES, naive_time).read(json.dumps(RECORD).encode(), [None]) is not None


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b"[" * 100_000, json.dumps(record(state="1213")).encode()])
def test_an_irregular_record_is_left_to_the_slow_path(raw: bytes) -> None:
    assert RegularReader(STATE_CODES, naive_time).read(raw, [None]) is None


def read_after(known: dict[str, Any], *records: dict[str, Any]) -> tuple[AgentStatus, list[AgentStatus] | None]:
    """Read a record, then others as the next ones of the same seat; return both results."""
    reader = RegularReader(STATE_CODES, naive_time)
    first = reader.read(json.dumps(known).encode(), [None])
    assert first is not None
    return first[0], reader.read(b" , ".join(json.dumps(it).encode() for it in records), first)


@pytest.mark.parametrize(
    "records",
    [[], [RECORD, RECORD], [record(extnumber="100002")], [record(queuename="queue-2")]],
    ids=["none", "two", "another extension", "another queue"],
)
def test_other_records_than_expected_are_not_read(records: list[dict[str, Any]]) -> None:
    """Records of other seats, and another number of records, are refused."""
    assert read_after(RECORD, *records)[1] is None


def test_a_name_that_is_no_text_is_left_to_the_slow_path() -> None:
    assert read_after(RECORD, record(seatsname=f"a{LOST}"))[1] is None


@pytest.mark.parametrize("name", [None, "", "王芳"])
def test_unchanged_texts_of_a_record_are_shared(name: str | None) -> None:
    """The unchanged texts of a changed record are the same objects."""
    old, again = read_after(record(seatsname=name), record(seatsname=name, state=1215, status=1204))
    assert again is not None
    assert again[0] == attrs.evolve(old, state=AgentState.TALKING, state_code=1215, status_code=1204)
    assert (again[0].queue, again[0].extension, again[0].name) == (old.queue, old.extension, old.name)
    assert again[0].extension is old.extension
    assert again[0].name is old.name


def test_equal_records_are_the_same_object() -> None:
    """A record with equal values in another notation is the same object."""
    reader = RegularReader(STATE_CODES, naive_time)
    known = reader.read(json.dumps(RECORD).encode(), [None])
    assert known is not None
    again = reader.read(json.dumps(RECORD, separators=(",", ":")).encode(), known)
    assert again is not None
    assert again[0] is known[0]


def test_memory_of_times_and_names_is_bounded() -> None:
    """The memory of times and names is bounded."""
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return -key

    memory = Memory(make)
    for key in range(10_000):
        assert memory[key] == -key
        assert len(memory) <= 4096
    memory[9_999]
    assert made == list(range(10_000)), "what is known is made again"
