"""The day that a request names, in any time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from sipqueue_async.history.buckets import buckets
from sipqueue_async.wallboard.days import Day, day_of

NOW = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)


def named(query: str) -> Day:
    return day_of(make_mocked_request("GET", f"/api/day{query}"), NOW, others=("queue",))


@pytest.mark.parametrize(
    ("query", "day", "today"),
    [
        ("?zone=UTC", date(2026, 1, 5), date(2026, 1, 5)),
        ("?zone=Asia/Shanghai", date(2026, 1, 6), date(2026, 1, 6)),
        ("?zone=Etc/GMT%2B5&queue=a", date(2026, 1, 5), date(2026, 1, 5)),
        ("?zone=Asia/Shanghai&date=2024-02-29", date(2024, 2, 29), date(2026, 1, 6)),
    ],
)
def test_the_day_is_one_of_the_zone_and_by_default_today(query: str, day: date, today: date) -> None:
    found = named(query)
    assert (found.day, found.today) == (day, today)
    assert found.start.astimezone(found.zone).date() == day
    assert (found.end - found.start) == timedelta(days=1)


def test_the_default_zone_is_this_machines() -> None:
    found = named("?date=2026-03-01")
    assert found.zone is None
    assert found.zone_name == f"{datetime(2026, 3, 1).astimezone():%Z}"
    assert found.start == datetime(2026, 3, 1).astimezone()


@pytest.mark.parametrize(
    "query",
    [
        "?zone=",
        "?zone=Europe",
        "?zone=Nowhere/Else",
        "?zone=../../etc/passwd",
        "?zone=%2Fetc%2Flocaltime",
        "?zone=" + "a" * 5000,
        "?zone=UTC&zone=UTC",
        "?date=today",
        "?date=20260105",
        "?date=2026-02-30",
        "?date=0001-01-01",
        "?date=9999-12-31",
        "?date=\u0662\u0660\u0662\u0666-01-05",
        "?queue=",
        "?queue=a&queue=b",
        "?day=2026-01-05",
    ],
)
def test_a_bad_parameter_is_refused_and_not_repeated(query: str) -> None:
    with pytest.raises(web.HTTPBadRequest) as refused:
        named(query)
    assert refused.value.text is not None
    assert refused.value.text.endswith(".\n")
    assert len(refused.value.text) < 100


@pytest.mark.parametrize(
    ("day", "zone", "count", "twice"),
    [
        ("2026-01-05", "Europe/Berlin", 24, []),
        ("2026-03-29", "Europe/Berlin", 23, []),
        ("2026-10-25", "Europe/Berlin", 25, ["02:00 +0200", "02:00 +0100"]),
        ("2026-04-05", "Australia/Lord_Howe", 25, ["01:00 +1100", "01:00 +1030"]),
        ("2026-10-04", "Australia/Lord_Howe", 24, []),
        ("2026-01-05", "Asia/Kathmandu", 24, []),
        ("2011-12-30", "Pacific/Apia", 0, []),
    ],
)
def test_hours_are_those_of_the_zones_clocks(day: str, zone: str, count: int, twice: list[str]) -> None:
    """As in a report by hour, without a gap; an hour that comes twice has its offset."""
    found = named(f"?date={day}&zone={zone}")
    hours = found.hours()
    assert len(hours) == count
    assert [hour.label for hour in hours if " " in hour.label] == twice
    assert all(one.end == other.start for one, other in pairwise(hours))
    spans = buckets(found.start, found.end, "hour", found.zone or UTC)
    assert [(span.start, span.end) for span in spans] == [(hour.start, hour.end) for hour in hours]
    for hour in hours:
        offset = hour.start.astimezone(found.zone).utcoffset()
        assert offset == timedelta(seconds=hour.offset)
