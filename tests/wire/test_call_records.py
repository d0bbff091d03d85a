"""Call records: the request's fields, and every form in which an answer has been seen or may come."""

from __future__ import annotations

import json
import logging
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import (
    ApiError,
    CallDirection,
    CallMethod,
    CallRecord,
    MalformedResponse,
    OperationFailed,
)
from sipqueue_async._wire import call_fields, decode_calls
from tests.kit.builders import envelope, error_body, failure_body
from tests.kit.calls import CALL, NUMBERS, RECORD, call, calls_body

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
NAIVE = datetime.fromisoformat("2026-01-05 09:00:00")
AWARE = NAIVE.replace(tzinfo=UTC)
HOUR = timedelta(hours=1)


def only(body: bytes, zone: tzinfo | None = None, **options: Any) -> CallRecord:
    """Decode and return the one record."""
    (record,) = decode_calls(body, zone, **options).records
    return record


def refusal(body: bytes, zone: tzinfo | None = None) -> str:
    """Decode what is to be refused, check that nothing personal is in the error, and return the reason."""
    with pytest.raises(MalformedResponse) as refused:
        decode_calls(body, zone)
    error = refused.value
    shown = "".join(traceback.format_exception(error))
    assert error.excerpt == ""
    assert [number for number in NUMBERS if number in shown] == []
    assert error.__context__ is None
    return error.reason


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_a_record_is_read_to_the_last_field() -> None:
    page = decode_calls(calls_body(call()), None)
    assert page.total == 1
    assert page.records == (RECORD,)
    assert page.records[0].problems == ()


def test_times_are_aware_if_the_zone_is_known() -> None:
    record = only(calls_body(call()), SHANGHAI)
    assert record.started_at == NAIVE.replace(tzinfo=timezone(8 * HOUR))
    assert (record.answered_at or NAIVE).utcoffset() == 8 * HOUR


@pytest.mark.parametrize("spell", [str, lambda value: f" {value}"])
def test_types_vary(spell: Any) -> None:
    integers = {name: spell(value) for name, value in CALL.items() if type(value) is int and name != "id"}
    integers |= {"taskid": "3", "companycode": "1001"}
    assert only(calls_body(call(**integers))) == only(calls_body(call()))
    as_numbers = only(calls_body(call(extnumber=100001, disnumber=2079460123)))
    assert (as_numbers.extension, as_numbers.caller) == ("100001", "2079460123")


def test_everything_may_be_missing_but_the_number_and_the_start() -> None:
    record = only(calls_body({"id": "x", "starttime": CALL["starttime"]}))
    assert record == CallRecord(
        id="x", direction=CallDirection.UNKNOWN, method=CallMethod.UNKNOWN, started_at=record.started_at
    )
    assert record.problems == ()


@pytest.mark.parametrize("never", ["", None, "0000-00-00 00:00:00"])
def test_a_call_without_an_answer(never: str | None) -> None:
    assert not only(calls_body(call(answertime=never))).is_answered


@pytest.mark.parametrize(
    ("fields", "code", "direction"),
    [
        ({"type": "callout"}, "callout", CallDirection.OUT),
        ({"type": "call", "direction": "callout"}, "callout", CallDirection.OUT),
        ({"type": "callin", "direction": "sideways"}, "callin", CallDirection.IN),
        ({"type": "call", "direction": "sideways"}, "sideways", CallDirection.UNKNOWN),
        ({"type": "conference"}, "conference", CallDirection.UNKNOWN),
    ],
)
def test_the_direction_has_two_names(fields: dict[str, str], code: str, direction: CallDirection) -> None:
    record = only(calls_body(call(**fields)))
    assert (record.direction_code, record.direction) == (code, direction)


def test_unknown_codes_are_kept() -> None:
    record = only(calls_body(call(callmethod=77, hangupcause="10099", hangupdirection=3)))
    assert (record.method, record.method_code) == (CallMethod.UNKNOWN, 77)
    assert (record.hang_up_cause_code, record.hang_up_side_code) == (10099, 3)


def test_the_operators_values_have_either_name() -> None:
    own: dict[str, Any] = {"crmid": "c", "ext": 5, "chengshudu": "A", "customuuid": "z"}
    assert only(calls_body(call(userid="", **own))).own_values == own | {"ext": "5"}


@pytest.mark.parametrize(
    ("field", "attribute", "meant"),
    [
        ("disnumber", "caller", "a text"),
        ("callmethod", "method_code", "an integer"),
        ("billsec", "talk_seconds", "a number of seconds"),
        ("endtime", "ended_at", "a time"),
    ],
)
def test_an_invalid_field_is_a_problem_that_does_not_quote_it(field: str, attribute: str, meant: str) -> None:
    invalid: dict[str, Any] = {field: ["02079460123"]}
    record = only(calls_body(call(**invalid)))
    assert getattr(record, attribute) is None
    (problem,) = record.problems
    assert (problem.field, problem.reason) == (field, f"is not {meant}")


def test_a_negative_duration_is_a_problem() -> None:
    record = only(calls_body(call(duration="-1")))
    assert (record.waiting_seconds, [it.field for it in record.problems]) == (None, ["duration"])


def test_bytes_that_are_not_text_are_a_problem() -> None:
    body = calls_body(call(memberid="?")).replace(b'"?"', b'"\xff"')
    assert [it.field for it in only(body).problems] == ["memberid"]
    in_gbk = calls_body(call(memberid="?")).replace(b'"?"', '"王"'.encode("gbk"))
    assert only(in_gbk, encoding="gbk").own_values["memberid"] == "王"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**CALL, "id": None}, "call record 2 of the page: id is missing or not a text"),
        ({name: it for name, it in CALL.items() if name != "id"}, "call record 2 of the page: id is missing"),
        ({**CALL, "id": ["02079460123"]}, "call record 2 of the page: id is missing or not a text"),
        (call(starttime=None), "call record '17': starttime is missing"),
        (call(starttime="02079460123"), "call record '17': starttime is not a time like 2020-02-05 21:03:36"),
        ("02079460123", "call record 2 of the page is not an object"),
    ],
)
def test_one_bad_record_is_refused_by_name(record: Any, reason: str) -> None:
    assert refusal(calls_body(call(1), record)).startswith(reason)


def test_a_record_that_cannot_be_parsed_is_refused_by_place() -> None:
    body = calls_body(call(1), call(2, billsec=-7)).replace(b"-7", b"1e999")
    assert refusal(body).startswith("call record 2 of the page cannot be read: ")


class _Refusing(tzinfo):
    """A zone that raises for every time."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise ValueError("ambiguous")

    dst = tzname = utcoffset  # type: ignore[assignment]


def test_a_zone_that_refuses_a_time_is_named() -> None:
    assert refusal(calls_body(call()), _Refusing()).startswith("call record '17': starttime is not a time")


# ---- where the list is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "ids", "total"),
    [
        (None, [], 0),
        ("", [], 0),
        ([], [], 0),
        ({}, [], None),
        ({"totalitems": 0}, [], 0),
        ({"totalitems": "0", "list": None}, [], 0),
        ({"totalitems": None, "rows": ""}, [], None),
        ({"totalitems": 7, "list": []}, [], 7),
        ({"totalitems": "1", "anything": [call()]}, ["17"], 1),
        ({"totalitems": 1, "anything": [call()], "errors": [], "page": 1}, ["17"], 1),
        ({"totalitems": 2, "list": {"0": call(1), "3": call(2)}, "user": {"name": "x"}}, ["1", "2"], 2),
        ({"totalitems": 1, "list": call()}, ["17"], 1),
        ([call(1), call(2)], ["1", "2"], None),
        ({"0": call(1), "2": call(2)}, ["1", "2"], None),
    ],
)
def test_the_one_list_is_found_in_every_form(result: Any, ids: list[str], total: int | None) -> None:
    page = decode_calls(json.dumps(envelope(result)).encode(), None)
    assert ([record.id for record in page.records], page.total) == (ids, total)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (7, "data.result is neither an object nor a list of call records"),
        ({"totalitems": "many", "list": []}, "data.result: totalitems is not a count"),
        ({"totalitems": -1, "list": []}, "data.result: totalitems is not a count"),
        ({"totalitems": 3}, "data.result has no list of call records, though totalitems is 3"),
        ({"a": [call(1)], "b": [call(2)]}, "data.result has 2 lists; one of call records was expected"),
    ],
)
def test_a_result_without_one_list_is_refused(result: Any, reason: str) -> None:
    assert refusal(json.dumps(envelope(result)).encode()) == reason


def test_other_refusals_are_the_same_as_everywhere() -> None:
    with pytest.raises(ApiError):
        decode_calls(error_body(500), None)
    with pytest.raises(OperationFailed):
        decode_calls(failure_body(1003), None)
    assert refusal(b"<html><title>Login</title>") == "the URL answered with a web page (title: Login); check the URL"
    assert decode_calls(b"\xef\xbb\xbf<br>Notice" + calls_body(call()), None).total == 1


@pytest.mark.parametrize("number", ["02079460123", "+44 20 7946 0123", "138****1234"])
def test_the_servers_message_is_without_telephone_numbers(number: str) -> None:
    message = f"record 1003 of {number} is locked"
    bodies = (
        {"ret": 500, "data": [], "msg": message},
        {"ret": 601, "data": [], "msg": message},
        {"ret": 200, "data": {"status": 1, "desc": message, "errors": {"code": "1003"}}, "msg": ""},
    )
    for body in bodies:
        with pytest.raises((ApiError, OperationFailed)) as refused:
            decode_calls(json.dumps(body).encode(), None)
        error = refused.value
        assert "record 1003 of *** is locked" in str(error)
        assert number not in "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))


def test_a_body_that_was_cut_off_is_not_quoted() -> None:
    body = calls_body(call(1), call(2))
    for length in range(0, len(body), 7):
        refusal(body[:length])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("02079460123"),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from([*CALL, "0", "list"]), values),
    max_leaves=8,
)


_SHOWN = {"id", "uuid", "extnumber", "taskid", "type", "direction", "companycode"}


@given(fields=st.dictionaries(st.sampled_from(sorted({*CALL, "direction"} - _SHOWN)), _JSON, max_size=6))
def test_whatever_a_field_holds_no_text_shows_it(fields: dict[str, Any]) -> None:
    try:
        page = decode_calls(calls_body(call(**fields)), SHANGHAI)
    except MalformedResponse as error:
        shown = "".join(traceback.format_exception(error))
    else:
        (record,) = page.records
        shown = f"{page!r} {record} {record!r} {json.dumps(record.to_dict())}"
    assert "02079460123" not in shown


@given(result=_JSON)
def test_any_result_is_a_page_or_a_refusal(result: Any) -> None:
    with suppress(MalformedResponse):
        decode_calls(json.dumps(envelope(result)).encode(), SHANGHAI)


# ---- requests --------------------------------------------------------------------------------------------------------


def test_a_request_leaves_the_servers_cursor_alone() -> None:
    assert call_fields(NAIVE, NAIVE + HOUR, None) == {
        "starttime": "2026-01-05 09:00:00",
        "endtime": "2026-01-05 10:00:00",
        "syncflag": "3",
        "itemsperpage": "500",
    }


def test_the_filters_have_the_platforms_codes() -> None:
    fields = call_fields(NAIVE, NAIVE, None, direction="in", method=CallMethod.GROUP, extension="0001", page_size=1)
    assert {**fields} == {
        "starttime": "2026-01-05 09:00:00",
        "endtime": "2026-01-05 09:00:00",
        "syncflag": "3",
        "itemsperpage": "1",
        "direction": "1",
        "callmethod": "6",
        "extnumber": "0001",
    }
    assert call_fields(NAIVE, NAIVE, None, direction=CallDirection.OUT)["direction"] == "2"
    assert call_fields(NAIVE, NAIVE, None, extension=("1", "2"))["extnumber"] == "1,2"


def test_times_are_sent_in_the_servers_zone() -> None:
    fields = call_fields(AWARE, AWARE + HOUR, SHANGHAI)
    assert (fields["starttime"], fields["endtime"]) == ("2026-01-05 17:00:00", "2026-01-05 18:00:00")


def test_a_range_in_which_the_clocks_are_set_back_contains_every_local_time() -> None:
    """At 06:00 UTC on that day, New York's clocks go from 02:00 back to 01:00."""
    change = datetime(2026, 11, 1, 6, tzinfo=UTC)
    fields = call_fields(change - timedelta(minutes=15), change + timedelta(minutes=15), NEW_YORK)
    assert (fields["starttime"], fields["endtime"]) == ("2026-11-01 00:45:00", "2026-11-01 02:15:00")


@given(
    since=st.datetimes(datetime(2026, 3, 1), datetime(2026, 12, 1)),  # noqa: DTZ001
    length=st.timedeltas(timedelta(0), timedelta(days=40)),
    share=st.floats(0, 1),
    zone=st.sampled_from([NEW_YORK, SHANGHAI, UTC, ZoneInfo("Australia/Lord_Howe")]),
)
def test_a_range_contains_the_local_time_of_each_moment_in_it(
    since: datetime, length: timedelta, share: float, zone: tzinfo
) -> None:
    start = since.replace(microsecond=0, tzinfo=UTC)
    end = start + timedelta(seconds=int(length.total_seconds()))
    moment = start + timedelta(seconds=int((end - start).total_seconds() * share))
    fields = call_fields(start, end, zone)
    local = moment.astimezone(zone).replace(tzinfo=None).isoformat(" ")
    assert fields["starttime"] <= local <= fields["endtime"]


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"since": "2026-01-05"}, TypeError, "since must be a datetime, not str"),
        ({"since": AWARE}, ValueError, "since has a time zone; give the client the server's `timezone`"),
        ({"zone": UTC, "since": AWARE, "until": NAIVE}, ValueError, "until has no time zone"),
        ({"until": NAIVE - HOUR}, ValueError, r"until .* is before since"),
        ({"page_size": 0}, ValueError, "page_size must be from 1 to 1000, not 0"),
        ({"page_size": 1001}, ValueError, "page_size must be from 1 to 1000, not 1001"),
        ({"page_size": True}, TypeError, "page_size must be a whole number, not True"),
        ({"direction": "unknown"}, ValueError, "cannot filter by the direction unknown, only by in, out"),
        ({"direction": "up"}, ValueError, "'up' is not a valid CallDirection"),
        ({"method": CallMethod.UNKNOWN}, ValueError, "cannot filter by the method unknown, only by internal"),
        ({"extension": ""}, ValueError, "extension is empty"),
        ({"extension": ["1", "2,3"]}, ValueError, "extension is '2,3'"),
        ({"extension": []}, ValueError, "extensions names none"),
        ({"extension": [1]}, TypeError, "extension must be a string, not 1"),
    ],
)
def test_an_invalid_argument_is_named(arguments: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call_fields(**{"since": NAIVE, "until": NAIVE + HOUR, "zone": None} | arguments)


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        decode_calls(calls_body(call(billsec="02079460123")), None)
    assert caplog.records == []
