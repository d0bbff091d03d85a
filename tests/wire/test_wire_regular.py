"""The fast way of reading a record gives what the patient one gives, or nothing."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import RECORD, record

from sipqueue_async import MalformedResponse
from sipqueue_async._wire.encoding import LOST
from sipqueue_async._wire.records import RecordReader
from sipqueue_async._wire.regular import Memory, RegularReader
from sipqueue_async._wire.values import naive_time
from sipqueue_async.models import STATE_CODES

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


@given(odd=ODD, missing=MISSING)
@example(odd={}, missing=set())
@example(odd={"seatsname": ""}, missing={"status", "wrapuptime"})
@example(odd={"seatsname": LOST}, missing=set())
@example(odd={"state": 2**63}, missing=set())
def test_both_ways_agree(odd: dict[str, Any], missing: set[str]) -> None:
    """What a record means depends on whether the fast way or the patient one has read it."""
    reader = RecordReader(ZONE, STATE_CODES)
    raw = json.dumps({name: value for name, value in record(**odd).items() if name not in missing}).encode()
    fast = RegularReader(STATE_CODES, reader._time).read(raw)
    try:
        patient = reader.interpret(raw)
    except MalformedResponse:
        assert fast is None
    else:
        assert fast is None or (fast, ()) == patient
        assert reader.read(raw) == patient


def test_a_regular_record_goes_the_fast_way() -> None:
    """The fast way is never taken, and each record costs many times as much."""
    assert RegularReader(STATE_CODES, naive_time).read(json.dumps(RECORD).encode()) is not None


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b"[" * 100_000, json.dumps(record(state="1213")).encode()])
def test_what_is_not_regular_is_left_to_the_patient_way(raw: bytes) -> None:
    """Something odd breaks the fast way instead of being interpreted."""
    assert RegularReader(STATE_CODES, naive_time).read(raw) is None


def test_what_is_remembered_is_bounded() -> None:
    """Times and names that are always new fill the memory in months of running."""
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
