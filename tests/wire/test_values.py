"""Single values, request fields and encodings."""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import AgentState
from sipqueue_async._wire import Body, body_encoding, status_fields, text_encoding
from sipqueue_async._wire.encoding import LOST, as_utf8, excerpt
from sipqueue_async._wire.values import (
    Nonsense,
    counter,
    identity,
    integer,
    naive_time,
    optional_integer,
    optional_text,
    text,
)

BIGGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((0, 0), (1213, 1213), (-5, -5), (BIGGEST, BIGGEST), (-(2**63), -(2**63))),
        *(("1213", 1213), (" 1213\n", 1213), ("+7", 7), ("-7", -7), ("007", 7), ("0" * 60 + "7", 7)),
        (str(BIGGEST), BIGGEST),
    ],
)
def test_integers_may_be_strings(value: Any, number: int) -> None:
    """An integer may be a number or a decimal string."""
    assert integer(value) == number
    assert optional_integer(value) == number


@pytest.mark.parametrize(
    "value", [None, "", " ", True, 1.0, "1.0", "1e3", "0x1", "１２", "1_000", "--1", "1 2", [], {}, "x", "²"]
)
def test_other_values_are_not_integers(value: Any) -> None:
    """Only integers and decimal strings in PHP's notation are integers: no floats, booleans or other notations."""
    with pytest.raises(Nonsense, match="not an integer"):
        integer(value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "9" * 20, "9" * 5000, 10**30])
def test_integers_too_large(value: Any) -> None:
    """A number beyond 64 bits is refused, and the error does not show its thousand digits."""
    with pytest.raises(Nonsense, match="beyond 64 bits") as nonsense:
        integer(value)
    assert len(str(nonsense.value)) < 100


@given(st.integers(-(2**63), BIGGEST))
def test_every_integer_of_64_bits_is_read(number: int) -> None:
    assert integer(number) == integer(str(number)) == number


def test_counters_are_cast_as_php_casts_and_never_negative() -> None:
    """Null and the empty string count as 0; a negative counter is refused, because it would look like a reset."""
    given: list[Any] = [None, "", 0, "0", 5, "5"]
    assert [counter(value) for value in given] == [0, 0, 0, 0, 5, 5]
    negative: list[Any] = [-1, "-1"]
    for value in negative:
        with pytest.raises(Nonsense, match="a counter cannot be negative"):
            counter(value)


def test_texts_may_be_numbers() -> None:
    """A number that PHP made of a text becomes a text again; other types are refused."""
    assert [text(value) for value in ("a", "", 5, "007")] == ["a", "", "5", "007"]
    wrong: list[Any] = [None, True, 1.5, [], {}]
    for value in wrong:
        with pytest.raises(Nonsense, match="not a text"):
            text(value)
    assert optional_text("") is optional_text(None) is optional_text(" \u3000\n") is None
    assert optional_integer("") is optional_integer(None) is None
    assert optional_text("a") == "a"


def test_a_text_with_lost_bytes_is_none() -> None:
    """A text with undecodable bytes is refused: different names could look alike. The error quotes little of it."""
    with pytest.raises(Nonsense, match="not text in the body's encoding") as nonsense:
        text(f"a{LOST}" * 1000)
    assert LOST not in str(nonsense.value)
    assert len(str(nonsense.value)) < 120


def test_a_queue_or_extension_is_not_empty() -> None:
    """An empty queue or extension is refused."""
    assert identity("1") == "1"
    with pytest.raises(Nonsense, match="is empty"):
        identity("")


@pytest.mark.parametrize(
    "never", [None, "", "0000-00-00 00:00:00", "0000-00-00", "0000-00-00T00:00:00", "0000-00-00 12:00:00"]
)
def test_ways_to_say_never(never: Any) -> None:
    """MySQL's zero date in every notation means "never", and so does a missing or empty time."""
    assert naive_time(never) is None


def test_a_time_is_read_as_sent() -> None:
    """A time stays as it was sent, without a zone."""
    assert naive_time("2020-02-05 21:03:36") == datetime(2020, 2, 5, 21, 3, 36)  # noqa: DTZ001
    assert naive_time("2020-02-05T21:03:36") == datetime(2020, 2, 5, 21, 3, 36)  # noqa: DTZ001


@pytest.mark.parametrize(
    "value",
    [
        *("2020-02-30 00:00:00", "2020-02-05 25:00:00", "2020-13-05 00:00:00", "2020-02-05 23:59:60"),
        *("2020-02-05", "2020-02-05 21:03", "2020-02-05x21:03:36", "20200205 210336", "2020-02-05 21:03:36Z"),
        *("2020-02-05 21:03:36.5", "2020-W06-3 21:03:36", "２020-02-05 21:03:36", "x", "x" * 19, 0, 1581488746, True),
        *([], {}, 1.5),
    ],
)
def test_other_values_are_not_times(value: Any) -> None:
    """Only possible times in the protocol's notation are times."""
    with pytest.raises(Nonsense, match="not a time like"):
        naive_time(value)


@given(st.datetimes().map(lambda moment: moment.replace(microsecond=0)))
def test_every_time_to_the_second_is_read(moment: datetime) -> None:
    assert naive_time(moment.isoformat(" ")) == moment


# ---- request fields --------------------------------------------------------------------------------------------------


def test_request_fields() -> None:
    """The filters are sent with the names and codes of the platform's reference."""
    assert status_fields() == {}
    assert status_fields("q", "007") == {"queuename": "q", "extnumber": "007"}
    states = {"idle": "1", "waiting": "2", "receiving": "3", "talking": "4"}
    assert {state: status_fields(state=AgentState(state))["state"] for state in states} == states
    assert status_fields(state="talking") == {"state": "4"}


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"queue": ""}, "queue is empty"),
        ({"extension": ""}, "extension is empty"),
        ({"state": "asleep"}, "asleep"),
        *(({"state": state}, "only by idle, waiting, receiving, talking") for state in ("paused", "offline")),
        ({"state": AgentState.UNKNOWN}, "by the state unknown"),
    ],
)
def test_filters_that_cannot_be_asked_for(filters: dict[str, Any], words: str) -> None:
    """A filter that the platform would ignore or read as "all" is refused before any request."""
    with pytest.raises(ValueError, match=words):
        status_fields(**filters)


# ---- encodings -------------------------------------------------------------------------------------------------------


def test_the_mark_for_lost_bytes_is_for_reading_only() -> None:
    """The library's error handler for undecodable bytes does not apply to encoding, which raises as usual."""
    with pytest.raises(UnicodeEncodeError):
        "\ud800".encode(errors="sipqueue_async.lost")


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        *((None, "utf-8"), ("", "utf-8"), ("UTF8", "utf-8"), ("utf-8", "utf-8"), ("nonsense", "utf-8")),
        *(("latin-1", "utf-8"), ("ISO-8859-1", "utf-8"), ("us-ascii", "utf-8"), ("windows-1252", "utf-8")),
        *(("gbk", "gb18030"), ("GB2312", "gb18030"), ("gb18030", "gb18030"), ("big5", "big5"), ("utf-16", "utf-16")),
        *(("hex", "utf-8"), ("zlib", "utf-8"), ("rot13", "utf-8"), ("idna", "utf-8"), ("undefined", "utf-8")),
        *(("punycode", "utf-8"), ("a\0b", "utf-8"), ("ü", "utf-8")),
    ],
)
def test_charsets_of_the_content_type(charset: str | None, encoding: str) -> None:
    """The charset of a Content-Type is used if it is a text encoding; otherwise the answer is read as UTF-8."""
    assert body_encoding(charset) == encoding


def test_an_encoding_that_was_asked_for_is_meant() -> None:
    """An encoding that the caller names is used, even one that is not a charset of the Content-Type."""
    assert text_encoding("latin-1") == "iso8859-1"
    assert text_encoding("GBK") == "gb18030"
    for label in ("hex", "nonsense", "idna", "a\0b"):
        with pytest.raises(ValueError, match="not a text encoding"):
            text_encoding(label)


def test_valid_utf8_is_unchanged_except_for_its_byte_order_mark() -> None:
    """Valid UTF-8 stays unchanged, byte for byte, except that a byte order mark is removed."""
    right = '{"a": "张三 \U0001f600"}'.encode()
    assert as_utf8(right, "utf-8") == right
    assert as_utf8(b"\xef\xbb\xbf" + right, "utf-8") == right
    assert as_utf8("张三".encode("gbk"), "gb18030") == "张三".encode()


def test_undecodable_bytes_are_marked_as_lost() -> None:
    """Undecodable bytes become the mark for lost bytes in UTF-8, and so do surrogates that an encoding permits."""
    assert as_utf8(b'"\xff"', "utf-8").decode() == f'"{LOST}"'
    assert LOST in as_utf8(b'"+2AA-"', "utf-7").decode()
    assert as_utf8(b'"\\ud800"', "raw_unicode_escape").decode() == f'"{LOST}"'


_ENCODINGS = ["utf-8", "gb18030", "utf-16", "utf-7", "utf-8-sig", "shift_jis", "raw_unicode_escape"]


@given(st.binary(), st.sampled_from(_ENCODINGS))
def test_any_bytes_become_utf8(body: bytes, encoding: str) -> None:
    """Any bytes in any encoding become valid UTF-8, without an error of the codec."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # codecs for escapes warn about invalid escapes
        as_utf8(body, encoding).decode()


def test_a_body_shows_its_size_only() -> None:
    """A traceback with local variables shows no part of an answer."""
    assert repr(Body(b"secret")) == str(Body(b"secret")) == "<6 bytes>"


def test_an_excerpt_is_for_people() -> None:
    """An excerpt is the beginning of any bytes as text."""
    assert excerpt(b"  <html>\xff") == "<html>\ufffd"
    assert excerpt(f"a{LOST}".encode()) == "a\ufffd"
    assert len(excerpt(b"x" * 10_000)) == 1024
