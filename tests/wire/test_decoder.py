"""The decoder: from a whole answer's body to a snapshot."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import (
    AgentState,
    AgentStatus,
    FieldProblem,
    MalformedResponse,
    SipQueueError,
    Snapshot,
    diff,
)
from sipqueue_async._wire import SnapshotDecoder
from tests.kit.builders import RECORD, START, body, envelope, record
from tests.kit.decoding import FullDecoder, essence, outcome
from tests.kit.times import NoOffset

COUNTERS = {"noanswercount": "no_answer_count", "callsanswered": "calls_answered"}
SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")


def decode(raw: bytes, *, encoding: str = "utf-8", **options: Any) -> Snapshot:
    """Decode with a cold decoder."""
    return SnapshotDecoder(**options).decode(raw, observed_at=START, encoding=encoding)


def only(raw: bytes, **options: Any) -> AgentStatus:
    """Decode, and return the only record."""
    (agent,) = decode(raw, **options).values()
    return agent


def refusal(raw: bytes, **options: Any) -> str:
    """Decode a body that must be refused, and return the reason."""
    with pytest.raises(MalformedResponse) as refused:
        decode(raw, **options)
    assert len(refused.value.excerpt) <= 256
    return refused.value.reason


# ---- the reference ---------------------------------------------------------------------------------------------------


def test_the_references_example() -> None:
    """Every field of the example in the platform's reference page is decoded."""
    shown = decode(body(RECORD))
    assert list(shown.values()) == [
        AgentStatus(
            queue="queue-1",
            extension="100001",
            name="9026004_9026004_autocall-9026",
            state=AgentState.WAITING,
            state_code=1213,
            status_code=1213,
            last_answered_at=datetime(2020, 2, 5, 21, 3, 36),  # noqa: DTZ001
            last_offered_at=datetime(2020, 2, 5, 21, 3, 34),  # noqa: DTZ001
            last_changed_at=datetime(2020, 2, 5, 21, 3, 29),  # noqa: DTZ001
            no_answer_count=0,
            calls_answered=1,
            external_calls_count=0,
            wrap_up_time=0,
            max_no_answer=0,
        )
    ]
    assert shown.observed_at == START
    assert shown.server_time == datetime(2020, 2, 12, 6, 25, 46, tzinfo=UTC)
    assert shown.problems == ()


# ---- variants from real back ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", ["[]", "{}", "null", '""', None])
def test_every_notation_of_an_empty_result_is_an_empty_snapshot(result: str | None) -> None:
    """An empty result, in any of PHP's notations, is an empty snapshot and no error."""
    field = "" if result is None else f', "result": {result}'
    assert len(decode(f'{{"ret": 200, "data": {{"status": 0{field}}}, "msg": ""}}'.encode())) == 0


@pytest.mark.parametrize("result", ["x", " ", 0, 1, False, True, 1.5, {"a": 1}, {"a": [], "b": {}}])
def test_a_result_that_is_not_a_list_is_refused(result: Any) -> None:
    """A result of another type is refused, and never read as "no agents"."""
    assert "data.result is not a list of records" in refusal(json.dumps(envelope(result)).encode())


def test_one_record_as_an_object() -> None:
    """A single record in place of a list counts as a list of one."""
    assert decode(json.dumps(envelope(RECORD)).encode()) == decode(body(RECORD))
    assert "extnumber is missing" in refusal(json.dumps(envelope({"queuename": "q"})).encode())


def test_a_list_with_gaps_is_an_object() -> None:
    """PHP sends a list with gaps in its indexes as an object; it is read as a list, whatever the blanks in it."""
    spaced = json.dumps(envelope({"1": record(), "7": record(extnumber="2")}), indent=2).encode()
    assert decode(spaced) == decode(body(record(), record(extnumber="2")))


@pytest.mark.parametrize("odd", [None, 1, "x", [], [RECORD], True])
def test_a_record_that_is_not_an_object_refuses_the_body(odd: Any) -> None:
    """One record that is not an object refuses the whole body: omitting it would look like an agent who left."""
    assert "a record is not an object" in refusal(body(RECORD, odd))


def test_a_record_that_cannot_be_read_refuses_the_body() -> None:
    """A record with a number too large for any machine refuses the body."""
    assert "a record cannot be read" in refusal(body(record(status="VALUE")).replace(b'"VALUE"', b"1e999"))


@pytest.mark.parametrize("field", ["queuename", "extnumber", "state"])
def test_a_missing_load_bearing_field_refuses_the_body(field: str) -> None:
    """A body without queue, extension or state is refused, and the error names queue, extension and field."""
    fields = record()
    del fields[field]
    told = refusal(body(record(extnumber="9"), fields))
    assert told.endswith(f": {field} is missing")
    for name in {"queuename", "extnumber"} - {field}:
        assert repr(RECORD[name]) in told


@pytest.mark.parametrize(
    ("field", "nonsense"),
    [
        ("queuename", [None, "", True, 1.5, [], {}]),
        ("extnumber", [None, "", False, 1.5, [], {}]),
        ("state", [None, "", "x", True, 1.5, [], {}, 2**63, "9" * 30]),
        ("noanswercount", ["x", True, 1.5, [], {}, -1, "-1", 2**64]),
        ("callsanswered", ["x", True, 1.5, [], {}, -1, "-1", 10**25]),
    ],
)
def test_nonsense_in_a_load_bearing_field_refuses_the_body(field: str, nonsense: list[Any]) -> None:
    """The error names queue, extension and field."""
    for wrong in nonsense:
        told = refusal(body(record(**{field: wrong})))
        assert "record of queue " in told
        assert f": {field} is " in told


@pytest.mark.parametrize(("field", "attribute"), COUNTERS.items())
@pytest.mark.parametrize(("blank", "spelt"), [(..., "missing"), (None, "null"), ("", "empty")])
@pytest.mark.parametrize("many", [1, 40])
def test_a_blank_counter_is_unknown(field: str, attribute: str, blank: Any, spelt: str, many: int) -> None:
    """A blank counter keeps the seat's known value, is 0 if none is known, and is listed as a problem."""
    records = [record(extnumber=str(number), callsanswered=41, noanswercount=7) for number in range(many)]
    counted = body(*records)
    records[0][field] = blank
    if blank is ...:
        del records[0][field]
    unknown = FieldProblem("queue-1", "0", field, f"is {spelt}, so the count is unknown")

    cold = decode(body(*records))
    assert getattr(cold["queue-1", "0"], attribute) == 0
    assert cold.problems == (unknown,)

    decoder, known = _warm(counted)
    records[-1]["novelty"] = 1
    for raw in (body(*records), body(*records), body(*records[::-1]), body(*records, record(extnumber="new"))):
        shown = decoder.decode(raw, observed_at=START)
        assert [event for event in diff(known, shown) if event.extension != "new"] == []
        assert shown.problems == (unknown,)
    assert decoder.decode(counted, observed_at=START).problems == ()


@pytest.mark.parametrize(("name", "count"), [("Bob", 0), (None, 41), ("Ann", 41)])
def test_another_person_does_not_inherit_a_counter(name: str | None, count: int) -> None:
    decoder, _ = _warm(body(record(seatsname="Ann", callsanswered=41)))
    shown = decoder.decode(body(record(seatsname=name, callsanswered=None)), observed_at=START)
    assert shown["queue-1", "100001"].calls_answered == count
    assert [it.field for it in shown.problems] == ["callsanswered"]


def test_a_seat_that_was_away_has_no_known_counter() -> None:
    """The decoder remembers only the previous answer; the watcher remembers earlier values."""
    decoder, _ = _warm(body(record(callsanswered=41), record(extnumber="2")))
    decoder.decode(body(record(extnumber="2")), observed_at=START)
    shown = decoder.decode(body(record(callsanswered=None), record(extnumber="2")), observed_at=START)
    assert shown["queue-1", "100001"].calls_answered == 0


_LESSER = {
    "seatsname": ("name", [True, 1.5, [], {}]),
    "status": ("status_code", ["x", True, 1.5, [], {}, 2**63]),
    "lastanswertime": ("last_answered_at", ["x", 5, "2020-02-30 00:00:00", [], {}, "2020-02-05"]),
    "lastassigntime": ("last_offered_at", ["x", True, "2020-02-05 24:00:01", [], {}]),
    "seatschangetime": ("last_changed_at", ["x", 1.5, "20200205 210336", [], {}]),
    "externalcallscount": ("external_calls_count", ["x", True, 1.5, [], {}, 2**64]),
    "wrapuptime": ("wrap_up_time", ["x", True, 1.5, [], {}, "9" * 40]),
    "maxnoanswer": ("max_no_answer", ["x", True, 1.5, [], {}, "9" * 5000]),
}


@pytest.mark.parametrize("field", _LESSER)
def test_a_lesser_field_degrades_and_is_told(field: str) -> None:
    """An optional field with an invalid value is None and listed as a problem; all other fields are decoded."""
    attribute, odd = _LESSER[field]
    good = only(body(RECORD))
    for wrong in odd:
        shown = decode(body(record(**{field: wrong})))
        (agent,) = shown.values()
        without: dict[str, Any] = {attribute: None}
        assert agent == attrs.evolve(good, **without)
        (problem,) = shown.problems
        assert (problem.queue, problem.extension, problem.field) == ("queue-1", "100001", field)
        assert problem.reason.startswith("is ")
        assert len(problem.reason) < 150


@pytest.mark.parametrize("field", _LESSER)
def test_a_lesser_field_that_is_not_given_is_none(field: str) -> None:
    """An optional field that is missing, null or empty is None, without a problem."""
    fields = record()
    del fields[field]
    for raw in (body(fields), body(record(**{field: None})), body(record(**{field: ""}))):
        shown = decode(raw)
        (agent,) = shown.values()
        assert getattr(agent, _LESSER[field][0]) is None
        assert shown.problems == ()


def test_extension_numbers_are_strings() -> None:
    """An extension keeps its leading zeros; a number that PHP made of an extension becomes a string again."""
    assert only(body(record(extnumber="007"))).extension == "007"
    assert only(body(record(extnumber=7))).extension == "7"
    assert len(decode(body(record(extnumber="007"), record(extnumber="7")))) == 2


def test_unknown_fields_are_ignored() -> None:
    """Additional fields from the platform, at any level, have no effect."""
    document = envelope([record(novelty={"a": [1]}, other=None)], novelty=[1])
    assert decode(json.dumps({**document, "novelty": {}}).encode()) == decode(body(RECORD))


@pytest.mark.parametrize("code", [1203, 1208, 1210, 1211, 1212, 1216, 0, -1, 1299, 2**63 - 1])
def test_an_unlisted_code_survives(code: int) -> None:
    """An unlisted code is kept as a number, and its state is unknown."""
    agent = only(body(record(state=code, status=code)))
    assert (agent.state, agent.state_code, agent.status_code) == ("unknown", code, code)


def test_the_requests_own_codes_are_taken_too() -> None:
    """The codes 1 to 4 of the request are accepted in answers too."""
    states = [only(body(record(state=str(code)))).state for code in (1, 2, 3, 4)]
    assert states == ["idle", "waiting", "receiving", "talking"]


def test_codes_of_a_deployments_own() -> None:
    """`state_codes` adds to the built-in table and overrides its entries."""
    own = {1299: AgentState.PAUSED, 1213: AgentState.IDLE}
    states = [only(body(record(state=code)), state_codes=own).state for code in (1299, 1213, 1215)]
    assert states == ["paused", "idle", "talking"]
    assert only(body(RECORD)).state == "waiting"


def test_identical_records_of_a_seat_are_one_and_different_ones_refuse() -> None:
    """Equal records of a seat count as one, even in other bytes; different ones refuse the body and name the seat."""
    strings = {name: str(value) if isinstance(value, int) else value for name, value in RECORD.items()}
    assert len(decode(body(RECORD, RECORD, strings))) == 1
    told = refusal(body(RECORD, record(callsanswered=2)))
    assert told == "two different records of queue 'queue-1', extension '100001'"


# ---- encodings -------------------------------------------------------------------------------------------------------


def _in(encoding: str, *records: dict[str, Any]) -> bytes:
    return json.dumps(envelope(list(records)), ensure_ascii=False).encode(encoding)


def test_undeclared_gbk_in_a_name_is_a_problem() -> None:
    """A name that is not UTF-8 is a problem and None; such a queue or extension refuses the body."""
    shown = decode(_in("gbk", record(seatsname="张三")))
    (agent,) = shown.values()
    assert agent.name is None
    (problem,) = shown.problems
    assert problem.field == "seatsname"
    assert "not text in the body's encoding" in problem.reason
    for field in ("queuename", "extnumber"):
        assert f": {field} has bytes that are not text" in refusal(_in("gbk", record(**{field: "销售"})))


HALF_EMOJI = json.dumps("😀")[1:7]
WHOLE_EMOJI = json.dumps("😀")[1:-1]


@pytest.mark.parametrize(
    "spelt",
    [HALF_EMOJI, f"a{HALF_EMOJI}b", HALF_EMOJI.upper().replace("U", "u"), "\\ude00", f"{HALF_EMOJI}{WHOLE_EMOJI}"],
)
def test_half_a_surrogate_pair_in_a_name_is_a_problem(spelt: str) -> None:
    """A name with half a surrogate pair is a problem and None; such a queue or extension refuses the body."""
    good = decode(body(record(extnumber="2"), record()))
    raw = body(record(extnumber="2"), record(seatsname="NAME"), desc="NAME").replace(b"NAME", spelt.encode())
    decoder, _ = _warm(body(record(extnumber="2"), record()))
    for shown in (decode(raw), *(decoder.decode(raw, observed_at=START) for _ in range(3))):
        (problem,) = shown.problems
        assert (problem.extension, problem.field) == ("100001", "seatsname")
        assert "not text in the body's encoding" in problem.reason
        assert shown["queue-1", "100001"] == attrs.evolve(good["queue-1", "100001"], name=None)
        assert shown["queue-1", "2"] == good["queue-1", "2"]
    for field in ("queuename", "extnumber"):
        wrong = body(record(**{field: "NAME"})).replace(b"NAME", spelt.encode())
        assert f": {field} has bytes that are not text" in refusal(wrong)


def test_whole_surrogate_pairs_are_text() -> None:
    """An emoji, and a text that only looks like an escape, stay unchanged beside a broken name."""
    names = ["😀", "\\ud83d", "\\\\ud83d\\", "x"]
    raw = body(*(record(extnumber=name, seatsname=name) for name in names)).replace(
        b'"seatsname": "x"', b'"seatsname": "\\ud83d"'
    )
    assert [decode(raw)["queue-1", name].name for name in names] == [*names[:-1], None]


# ---- times -----------------------------------------------------------------------------------------------------------


def _answered(text: str, zone: tzinfo | None) -> datetime | None:
    return only(body(record(lastanswertime=text)), zone=zone).last_answered_at


def test_times_are_aware_when_the_zone_is_known() -> None:
    """With the server's zone, times are aware and have its offset; without it, they stay as sent."""
    aware = _answered("2020-02-05 21:03:36", SHANGHAI)
    assert aware == datetime(2020, 2, 5, 13, 3, 36, tzinfo=UTC)
    assert aware is not None
    assert aware.utcoffset() == timedelta(hours=8)
    assert aware.tzinfo == timezone(timedelta(hours=8))
    naive = _answered("2020-02-05 21:03:36", None)
    assert naive == datetime(2020, 2, 5, 21, 3, 36)  # noqa: DTZ001
    assert _answered("0000-00-00 00:00:00", SHANGHAI) is None


def test_a_time_that_happens_twice_is_the_first() -> None:
    """In the hour that the clocks repeat, a time means its first occurrence; differences across it are right."""
    first = _answered("2025-11-02 01:30:00", NEW_YORK)
    assert first is not None
    assert first.utcoffset() == timedelta(hours=-4)
    later = _answered("2025-11-02 02:30:00", NEW_YORK)
    assert later is not None
    assert later - first == timedelta(hours=2)


def test_a_time_that_the_clocks_skip_is_read() -> None:
    """A time in the hour that the clocks skip has the offset before the change, and is no problem."""
    skipped = _answered("2025-03-09 02:30:00", NEW_YORK)
    assert skipped == datetime(2025, 3, 9, 7, 30, tzinfo=UTC)


def test_a_zone_without_an_offset_leaves_times_naive() -> None:
    assert _answered("2020-02-05 21:03:36", NoOffset()) == datetime(2020, 2, 5, 21, 3, 36)  # noqa: DTZ001


class _Strict(NoOffset):
    """A zone that raises for ambiguous times, like the zones of some packages."""

    def utcoffset(self, moment: datetime | None) -> None:
        """Raise for every time."""
        raise LookupError(moment)


def test_a_zone_that_raises_is_a_problem_of_the_field() -> None:
    """A time that the zone refuses is a problem of its field; the rest of the record is read."""
    read = SnapshotDecoder(zone=_Strict()).decode(body(record()), observed_at=START)
    assert read["queue-1", "100001"].last_answered_at is None
    assert {problem.field for problem in read.problems} == {"lastanswertime", "lastassigntime", "seatschangetime"}


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK, UTC])
@pytest.mark.parametrize("text", ["0001-01-01 00:00:00", "9999-12-31 23:59:59", "1899-12-31 23:59:59"])
def test_the_ends_of_the_calendar(zone: tzinfo, text: str) -> None:
    """A time at the end of the calendar is read in any zone, and a snapshot with it can be saved."""
    shown = decode(body(record(lastanswertime=text)), zone=zone)
    assert shown.problems == ()
    assert Snapshot.from_json(shown.to_json()) == shown


@pytest.mark.parametrize(
    ("rsptime", "second"), [(0, 0), (1581488746, 1581488746), ("1581488746", 1581488746), (None, None), ("", None)]
)
def test_the_servers_clock(rsptime: Any, second: int | None) -> None:
    """The server's time may be a number or a string; a missing one is no problem."""
    shown = decode(body(rsptime=rsptime))
    assert shown.server_time == (None if second is None else datetime.fromtimestamp(second, UTC))
    assert shown.problems == ()


@pytest.mark.parametrize("rsptime", ["x", 1.5, [], {}, True, 2**62, -(2**62), 2**64, "9" * 18])
def test_a_servers_clock_that_makes_no_sense(rsptime: Any) -> None:
    """An invalid server time is not a problem of any record, and does not prevent decoding."""
    shown = decode(body(RECORD, rsptime=rsptime))
    assert len(shown) == 1
    assert shown.server_time is None
    (problem,) = shown.problems
    assert (problem.queue, problem.extension, problem.field) == (None, None, "rsptime")


# ---- sharing ---------------------------------------------------------------------------------------------------------


def _warm(raw: bytes) -> tuple[SnapshotDecoder, Snapshot]:
    decoder = SnapshotDecoder()
    return decoder, decoder.decode(raw, observed_at=START)


def test_unchanged_records_are_the_same_objects() -> None:
    """A record with the same bytes is the same object in the next snapshot, wherever it is in the body."""
    records = [record(extnumber=str(number)) for number in range(20)]
    decoder, first = _warm(body(*records))
    records[7] = record(extnumber="7", state=1215)
    random.Random(1).shuffle(records)
    second = decoder.decode(body(*records), observed_at=START)
    assert [key for key in first if second[key] is not first[key]] == [("queue-1", "7")]
    assert second.keys() == {("queue-1", fields["extnumber"]) for fields in records}


def test_records_that_mean_the_same_are_the_same_objects() -> None:
    decoder, first = _warm(body(record()))
    rewritten = dict(reversed([*record(state="1213", novelty=1).items()]))
    second = decoder.decode(json.dumps(envelope([rewritten]), indent=1).encode(), observed_at=START)
    assert second["queue-1", "100001"] is first["queue-1", "100001"]


def test_a_snapshot_is_not_touched_by_the_next_one() -> None:
    """Decoding the next body does not change an earlier snapshot."""
    decoder, first = _warm(body(record(), record(extnumber="2")))
    saved = first.to_json()
    decoder.decode(body(record(state=1215)), observed_at=START)
    assert first.to_json() == saved


@pytest.mark.parametrize(
    "refused",
    [
        b"",
        body(record(state=1215), record(extnumber="3", state="x")),
        body(record(state=1215), record(state=1217)),
        b'{"ret": 500}',
    ],
)
def test_a_refused_body_leaves_the_decoder_as_it_was(refused: bytes) -> None:
    """After a refused body, the next good one shares its records with the last good one, including their problems."""
    good = body(record(lastanswertime="odd"), record(extnumber="2"))
    decoder, first = _warm(good)
    with pytest.raises(SipQueueError):
        decoder.decode(refused, observed_at=START)
    second = decoder.decode(good, observed_at=START + timedelta(1))
    assert all(second[key] is first[key] for key in first)
    assert second.problems == first.problems
    assert second.observed_at == START + timedelta(1)


def test_a_problem_lasts_as_long_as_its_record() -> None:
    """A problem is in every snapshot with the record, not only in the first, and disappears when the field is valid."""
    decoder, first = _warm(body(record(lastanswertime="odd")))
    expected = (FieldProblem("queue-1", "100001", "lastanswertime", "is 'odd', not a time like 2020-02-05 21:03:36"),)
    assert first.problems == expected
    again = decoder.decode(body(record(extnumber="2"), record(lastanswertime="odd")), observed_at=START)
    assert again.problems == expected
    assert decoder.decode(body(record()), observed_at=START).problems == ()


_field_values: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.sampled_from(["", "0", "1213", "odd", "-1", "2020-02-05 21:03:36", "0000-00-00 00:00:00", "张三", True, 1.5]),
    st.integers(-1, 5),
    st.sampled_from([1213, 1214, 1215, 1217, 2**63]),
)
_records = st.fixed_dictionaries(
    {"queuename": st.sampled_from(["q", "r"]), "extnumber": st.sampled_from(["1", "01", 1, "2"])},
    optional={name: _field_values for name in RECORD if name not in {"queuename", "extnumber"}},
)
_bodies = st.lists(_records, max_size=4).map(lambda records: body(*records))


@given(st.lists(_bodies, max_size=6))
def test_incremental_and_full_decoding_agree(bodies: list[bytes]) -> None:
    """A warm decoder returns the same records, order, problems or error as a cold one."""
    incremental, full = SnapshotDecoder(), FullDecoder()
    for raw in [*bodies, *bodies[::-1]]:
        assert essence(outcome(incremental, raw)) == essence(full.outcome(raw))


def _compact(*records: dict[str, Any], **data: Any) -> bytes:
    return json.dumps(envelope(list(records), **data), separators=(",", ":")).encode()


def _many(**fields: Any) -> list[dict[str, Any]]:
    return [record(extnumber=str(number), **fields) for number in range(100, 140)]


def test_all_changes_are_found_if_most_records_changed() -> None:
    """All changes are found when most records change at each poll."""
    odd = _many(state=1214, callsanswered=12)
    odd[20]["callsanswered"], odd[30]["lastanswertime"] = "12", "soon"
    braces = _many(state=1215, seatsname="},{")
    later = _many(state=1213)
    bodies = [_compact(*records) for records in (_many(), _many(state=1201), odd, later, braces, braces[::-1], later)]
    decoder, known = _warm(bodies[0])
    for raw in bodies[1:]:
        assert essence(outcome(decoder, raw)) == essence(outcome(SnapshotDecoder(), raw))
        new = decoder.decode(raw, observed_at=START)
        told = [event.key for event in diff(known, new)]
        assert sorted(set(told)) == (list(new) if new != known else [])
        known = new


def test_exactly_the_changed_seats_have_events() -> None:
    """Events concern exactly the seats that changed, in any order of the records."""
    records = _many()
    decoder, known = _warm(_compact(*reversed(records)))
    for place in (3, 25, 39):
        records[place]["state"] = 1215
        new = decoder.decode(_compact(*reversed(records)), observed_at=START)
        assert [event.key for event in diff(known, new)] == [("queue-1", str(100 + place))]
        known = new


def test_an_order_that_differs_further_on_is_another_order() -> None:
    """Two agents who swap places are not confused, even if the first changed record is in its old place."""
    decoder, _ = _warm(_compact(*_many()))
    records = _many()
    records[0]["state"] = 1215
    records[30], records[31] = records[31], records[30]
    raw = _compact(*records)
    assert essence(outcome(decoder, raw)) == essence(outcome(SnapshotDecoder(), raw))


def test_a_record_that_comes_twice_hides_no_other() -> None:
    """A repeated record does not hide a contradicting one in the next answer."""
    first, second = record(extnumber="1"), record(extnumber="2")
    decoder, _ = _warm(_compact(first, first, second, tail="x" * 500))
    with pytest.raises(MalformedResponse, match="two different records"):
        decoder.decode(_compact(record(extnumber="1", state=1215), first, second, tail="x" * 500), observed_at=START)


def test_text_between_records_is_parsed_unless_it_is_a_comma() -> None:
    """Anything but a comma between two records is parsed."""
    first, second = (json.dumps(record(extnumber=number), separators=(",", ":")) for number in "12")
    head = f'{{"ret":200,"data":{{"status":0,"result":[{first},{{}},{second}]'
    decoder, _ = _warm(f'{head},"result":[{first},{second}],"rsptime":1}},"msg":""}}'.encode())
    with pytest.raises(MalformedResponse, match="queuename is missing"):
        decoder.decode(f'{head},"rsptime":2}},"msg":""}}'.encode(), observed_at=START)


def test_of_two_records_of_a_seat_the_problem_goes_with_its_own() -> None:
    odd, good = record(lastanswertime="x"), record(lastanswertime=None)
    decoder, before = _warm(_compact(odd, good))
    assert len(before.problems) == 1
    assert decoder.decode(_compact(good), observed_at=START).problems == ()


# ---- no other errors -------------------------------------------------------------------------------------------------


def test_a_body_cut_at_any_byte_is_malformed() -> None:
    """A body that is cut at any byte is malformed, and never read as fewer agents."""
    raw = _in("utf-8", record(seatsname="张三"), record(extnumber="2"))
    for length in range(len(raw)):
        assert refusal(raw[:length])


@pytest.mark.parametrize("seed", range(4))
def test_mutated_bodies_raise_only_the_librarys_errors(seed: int) -> None:
    """A body with arbitrary damage is decoded, or raises one of this library's errors."""
    chance = random.Random(seed)
    good = _in("utf-8", record(seatsname="张三"), record(extnumber="2", state="1215"), record(queuename="q2"))
    pieces = [*b'{ } [ ] " , : \\ \\u null 1e999 NaN \xff \0 -'.split(b" "), b"9" * 25]
    decoder = SnapshotDecoder(zone=SHANGHAI)
    refused = 0
    for _ in range(1000):
        mutated = bytearray(good)
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            at = chance.randrange(len(mutated))
            mutated[at : at + chance.choice([0, 1, 1, 4, 30])] = chance.choice([b"", *pieces])
        try:
            shown = decoder.decode(bytes(mutated), observed_at=START, encoding=chance.choice(["utf-8", "gb18030"]))
        except SipQueueError:
            refused += 1
        else:
            assert Snapshot.from_json(shown.to_json()) == shown
    assert 100 < refused < 1000


_documents = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from([*RECORD, "ret", "data", "result", "status"]), inner)
    ),
)


@given(st.binary(max_size=64) | _documents.map(lambda document: json.dumps(document).encode()))
def test_any_bytes_raise_only_the_librarys_errors(raw: bytes) -> None:
    with pytest.raises(SipQueueError):
        decode(raw)
