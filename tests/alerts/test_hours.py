"""Times of the week: what lies in them, and when they begin and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async.alerts import Hours

OFFICE = Hours("Mon-Fri 09:00-17:30; Sat 10:00-14:00", "Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2026-01-05 08:00", True),  # a Monday, 09:00 in Berlin
        ("2026-01-05 07:59:59", False),
        ("2026-01-05 16:30", False),
        ("2026-01-05 16:29:59", True),
        ("2026-01-10 12:00", True),
        ("2026-01-11 12:00", False),
        ("2026-07-06 07:00", True),  # in summer 09:00 is two hours from UTC
    ],
)
def test_hours_are_those_of_the_zone(at: str, is_open: bool) -> None:
    assert (utc(at) in OFFICE) is is_open


@pytest.mark.parametrize(
    ("text", "at", "start", "change"),
    [
        ("22:00-06:00", "2026-01-05 03:00", "2026-01-04 22:00", "2026-01-05 06:00"),
        ("Fri-Mon 08:00-09:00", "2026-01-05 08:30", "2026-01-05 08:00", "2026-01-05 09:00"),
        ("Mon 00:00-24:00", "2026-01-05 08:30", "2026-01-05 00:00", "2026-01-06 00:00"),
        ("Mon-Tue 00:00-24:00", "2026-01-06 08:30", "2026-01-05 00:00", "2026-01-07 00:00"),
        ("22:00-06:00; 06:00-09:00; 08:00-10:00", "2026-01-05 09:30", "2026-01-04 22:00", "2026-01-05 10:00"),
        ("Tue,Thu 08:00-09:00", "2026-01-05 08:30", None, "2026-01-06 08:00"),
        ("Sun 08:00-09:00", "2026-01-05 08:30", None, "2026-01-11 08:00"),
    ],
)
def test_spans(text: str, at: str, start: str | None, change: str) -> None:
    hours = Hours(text)
    assert hours.started_at(utc(at)) == (None if start is None else utc(start))
    assert hours.next_change(utc(at)) == utc(change)


@pytest.mark.parametrize("text", ["00:00-24:00", "22:00-06:00; 06:00-22:00", "00:00-00:00"])
def test_hours_that_are_always_open_have_no_beginning(text: str) -> None:
    at = utc("2026-03-29 12:00")
    always = Hours(text, "Europe/Berlin")
    assert always.started_at(at) == datetime.min.replace(tzinfo=UTC)
    assert always.next_change(at) > at + timedelta(days=7)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-05-31", 24)])
def test_a_day_of_a_changing_clock_has_the_hours_it_has(day: str, hours: int) -> None:
    sunday = Hours("Sun 00:00-24:00", "Europe/Berlin")
    start = sunday.started_at(utc(f"{day} 12:00"))
    assert start is not None
    assert sunday.next_change(start) - start == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone", "text", "at", "start", "change"),
    [
        # The clocks go from 02:00 to 03:00: a time in between is the first moment after it, and a span may be empty.
        ("Europe/Berlin", "Sun 02:00-03:00", "2026-03-29 01:00", None, "2026-04-05 00:00"),
        ("Europe/Berlin", "Sun 02:15-02:45", "2026-03-22 01:50", None, "2026-04-05 00:15"),
        ("Europe/Berlin", "Sun 02:30-03:30", "2026-03-29 01:00", "2026-03-29 01:00", "2026-03-29 01:30"),
        ("Europe/Berlin", "Sun 01:00-02:30", "2026-03-29 00:30", "2026-03-29 00:00", "2026-03-29 01:00"),
        ("Europe/Berlin", "Sun 01:00-04:00", "2026-03-29 01:30", "2026-03-29 00:00", "2026-03-29 02:00"),
        ("America/New_York", "Sun 02:00-03:00", "2026-03-08 07:00", None, "2026-03-15 06:00"),
        # They go back from 03:00 to 02:00: both passes of the hour count.
        ("Europe/Berlin", "Sun 02:15-02:45", "2026-10-25 00:15", "2026-10-25 00:15", "2026-10-25 00:45"),
        ("Europe/Berlin", "Sun 02:15-02:45", "2026-10-25 00:45", None, "2026-10-25 01:15"),
        ("Europe/Berlin", "Sun 02:00-03:00", "2026-10-25 01:30", "2026-10-25 00:00", "2026-10-25 02:00"),
        # Midnight occurs twice.
        ("America/Havana", "Sun 00:00-24:00", "2026-11-01 12:00", "2026-11-01 04:00", "2026-11-02 05:00"),
    ],
)
def test_spans_in_hours_that_the_clocks_skip_or_repeat(
    zone: str, text: str, at: str, start: str | None, change: str
) -> None:
    hours = Hours(text, zone)
    assert hours.started_at(utc(at)) == (None if start is None else utc(start))
    assert hours.next_change(utc(at)) == utc(change)


ZONES = ["Europe/Berlin", "America/New_York", "America/Havana", "America/Santiago", "Australia/Lord_Howe", "UTC"]
CHANGES = [
    datetime(2026, month, day, 12, tzinfo=UTC)
    for month, day in ((3, 8), (3, 29), (4, 5), (9, 6), (10, 4), (10, 25), (11, 1))
]


@given(
    st.sampled_from(ZONES),
    st.integers(0, 95),
    st.integers(0, 95),
    st.sampled_from(CHANGES),
    st.integers(-36 * 3600, 36 * 3600),
)
def test_a_moment_is_within_the_hours_if_the_local_clock_shows_a_time_within_them(
    zone: str, first: int, last: int, day: datetime, seconds: int
) -> None:
    begin, end = (f"{number // 4:02}:{number % 4 * 15:02}" for number in (first, last))
    hours, at = Hours(f"{begin}-{end}", zone), day + timedelta(seconds=seconds)
    shown = f"{at.astimezone(ZoneInfo(zone)):%H:%M}"
    assert (at in hours) == (begin <= shown < end if begin < end else shown >= begin or shown < end)
    change = hours.next_change(at)
    if begin != end:
        assert change - at <= timedelta(days=2)
        assert (change in hours) != (at in hours)
        assert ((change - timedelta(microseconds=1)) in hours) == (at in hours)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # naive by its type
def test_the_next_change_is_the_first_at_which_anything_changes(at: datetime) -> None:
    change = OFFICE.next_change(at)
    assert change > at
    assert (change in OFFICE) != (at in OFFICE)
    assert ((change - timedelta(microseconds=1)) in OFFICE) == (at in OFFICE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a span of the week"),
        ("9-17", "is not a span of the week"),
        ("Mon 09:00-17:60", "'17:60' is not a time"),
        ("Mon 24:01-25:00", "'24:01' is not a time"),
        ("Mon 24:00-09:00", "'24:00' is not a time"),
        ("Mox 09:00-17:00", "'mox' is not a day; write one of Mon"),
    ],
)
def test_other_texts_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Hours(text)


@pytest.mark.parametrize("zone", ["Nowhere/Town", "../etc/passwd", ""])
def test_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone named"):
        Hours("09:00-17:00", zone)
