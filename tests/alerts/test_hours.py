"""Times of the week: what lies in them, and when they begin and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
        ("00:00-24:00", "2026-01-05 08:30", "2026-01-05 00:00", "2026-01-06 00:00"),
        ("Tue,Thu 08:00-09:00", "2026-01-05 08:30", None, "2026-01-06 08:00"),
        ("Sun 08:00-09:00", "2026-01-05 08:30", None, "2026-01-11 08:00"),
    ],
)
def test_spans(text: str, at: str, start: str | None, change: str) -> None:
    hours = Hours(text)
    assert hours.started_at(utc(at)) == (None if start is None else utc(start))
    assert hours.next_change(utc(at)) == utc(change)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_of_a_changing_clock_has_the_hours_it_has(day: str, hours: int) -> None:
    whole = Hours("00:00-24:00", "Europe/Berlin")
    start = whole.started_at(utc(f"{day} 12:00"))
    assert start is not None
    assert whole.next_change(start) - start == timedelta(hours=hours)


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
