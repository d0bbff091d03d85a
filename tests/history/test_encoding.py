"""Rows: every record and every update survives storage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import AgentStatus, FieldProblem, SeatKey, Snapshot, Update, diff
from sipqueue_async.history import HistoryError
from sipqueue_async.history.encoding import (
    Row,
    decode_extra,
    decode_record,
    encode_extra,
    encode_record,
    original,
    storable,
)
from sipqueue_async.history.replay import Replay
from sipqueue_async.history.schema import STATE_NUMBERS
from sipqueue_async.history.transcript import Transcript
from tests.kit import strategies
from tests.kit.builders import START, agent, snapshot

texts = st.text(st.characters(codec=None, exclude_categories=[])) | st.sampled_from(["\\u:", "\0", "\\", "\ud800x"])
zones = st.sampled_from([None, UTC, timezone(timedelta(hours=8)), timezone(-timedelta(minutes=210, seconds=15))])
times = st.builds(lambda time, zone: time.replace(tzinfo=zone), st.datetimes(), zones)


@given(texts)
def test_every_text_survives(text: str) -> None:
    stored = storable(text)
    stored.encode()
    assert "\0" not in stored
    assert original(stored) == text


@given(strategies.agents(), strategies.agents(), times, st.integers(-(2**60), 2**60), st.none() | texts)
def test_every_record_survives(
    one: AgentStatus, known: AgentStatus, time: datetime, number: int, name: str | None
) -> None:
    changed = attrs.evolve(one, last_offered_at=time, calls_answered=number, name=name)
    before = attrs.evolve(known, queue=one.queue, extension=one.extension)
    state = STATE_NUMBERS[changed.state]
    for start in (None, before):
        found = decode_record(encode_record(changed, start), state, changed.key, start)
        assert found == changed
        assert str(found.last_offered_at) == str(time)


def test_a_time_that_only_changes_its_zone_is_a_change() -> None:
    before, after = agent(last_offered_at=START), agent(last_offered_at=START.astimezone(timezone(timedelta(hours=1))))
    assert before == after
    found = decode_record(encode_record(after, before), 2, after.key, before)
    assert str(found.last_offered_at) == str(after.last_offered_at)


@pytest.mark.parametrize("record", [b"\xc1", b"\x91\x01", msgspec.msgpack.encode((8, "x")), msgspec.msgpack.encode(3)])
def test_a_damaged_record_is_an_error_that_names_the_seat(record: bytes) -> None:
    with pytest.raises(HistoryError, match=r"the stored record of 'queue-1' '100001' is damaged"):
        decode_record(record, 2, SeatKey("queue-1", "100001"), agent())


problems = st.lists(
    st.builds(FieldProblem, st.none() | texts, st.none() | texts, texts, texts, st.booleans()), max_size=3
)


@given(st.none() | problems, st.booleans())
def test_problems_survive(found: list[FieldProblem] | None, coalesced: bool) -> None:
    stored = encode_extra(found, coalesced=coalesced)
    assert decode_extra(stored) == (coalesced, None if found is None else tuple(found))


@given(st.lists(strategies.snapshots(), min_size=2, max_size=6))
def test_any_chain_of_snapshots_survives(chain: list[Snapshot]) -> None:
    """Updates are read back as they were reported, at moments that increase."""
    chain = [it.with_changes({}, observed_at=START + timedelta(hours=hour)) for hour, it in enumerate(chain)]
    seats: dict[SeatKey, int] = {}
    transcript = Transcript(1, seats)
    transcript.begin(chain[0], START)
    told: list[Update] = []
    for number, (before, now) in enumerate(pairwise(chain), 1):
        assert not transcript.catch_up(now, now.observed_at)
        update = Update(sequence=number, snapshot=now, previous=before, events=diff(before, now))
        if update.events:
            told.append(update)
            transcript.update(update)
    batch = transcript.take()
    rows = [Row._make(columns[1:]) for columns in batch.events]
    read = list(Replay({number: key for key, number in seats.items()}).updates(rows))
    assert [it.events for it in read] == [it.events for it in told]
    assert [it.snapshot for it in read] == [it.snapshot for it in told]
    # Of a start without agents nothing is stored.
    assert [it.previous or Snapshot(observed_at=START) for it in read] == [it.previous for it in told]


def test_an_event_of_a_seat_takes_few_bytes() -> None:
    transcript = Transcript(1, {})
    before = snapshot(agent(), at=0)
    after = snapshot(agent(state="talking", calls_answered=1, last_answered_at=datetime(2026, 1, 5, 8)), at=10)  # noqa: DTZ001
    transcript.begin(before, before.observed_at)
    transcript.update(Update(sequence=1, snapshot=after, previous=before, events=diff(before, after)))
    records = [columns[-1] for columns in transcript.take().events]
    assert [record if record is None else len(record) for record in records] == [
        len(records[0]),
        pytest.approx(15, abs=3),
        None,
    ]
