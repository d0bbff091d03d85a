"""`reconcile`: events and records are compared by extension and hour."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sipqueue_async import CallAnswered, CallDirection, CallMethod
from sipqueue_async.records import Difference, reconcile
from tests.kit.builders import agent
from tests.records.test_feed import START, record

ZONE = ZoneInfo("Asia/Shanghai")
SINCE = START.replace(tzinfo=ZONE)
UNTIL = SINCE + timedelta(hours=3)


def answered(extension: str, minutes: float | None, count: int = 1) -> CallAnswered:
    """Return an event of calls of which the last was answered some minutes after the start, and seen a minute later."""
    moment = None if minutes is None else START + timedelta(minutes=minutes)
    after = agent(extension, last_answered_at=moment, calls_answered=count)
    observed_at = SINCE + timedelta(minutes=(minutes or 0) + 1)
    return CallAnswered(
        key=after.key, previous=agent(extension), agent=after, observed_at=observed_at, count=count, hidden=False
    )


def call(number: int, extension: str | None, minutes: float, **fields: Any) -> Any:
    """Return the record of a call that was answered some minutes after the start."""
    return record(number, began=60 * minutes, answered=0.0, extension=extension, **fields)


def test_the_same_calls_have_no_differences() -> None:
    aware = call(3, "2", 61)
    events = [answered("1", 5), answered("1", 70, 2), answered("2", 61), answered("2", None)]
    records = [call(1, "1", 5), call(2, "1", 65), call(4, "1", 70), aware, call(5, "2", 1)]
    found = reconcile(events, records, since=SINCE, until=UNTIL, zone=ZONE)
    assert (found.events, found.records, found.differences) == (5, 5, ())


def test_differences_are_listed_by_hour_and_extension() -> None:
    events = [answered("2", 5), answered("1", 70, 2), answered("1", -1), answered("1", 180)]
    records = [call(1, "1", 70), call(2, "1", 130), call(3, "3", 0)]
    found = reconcile(events, records, since=SINCE, until=UNTIL, zone=ZONE)
    assert (found.events, found.records) == (3, 3)
    hours = [SINCE + timedelta(hours=number) for number in range(3)]
    assert found.differences == (
        Difference(hour=hours[0], extension="2", events=1, records=0),
        Difference(hour=hours[0], extension="3", events=0, records=1),
        Difference(hour=hours[1], extension="1", events=2, records=1),
        Difference(hour=hours[2], extension="1", events=0, records=1),
    )
    assert found.differences[0].to_dict() == {
        "hour": "2026-01-05T09:00:00+08:00",
        "extension": "2",
        "events": 1,
        "records": 0,
    }


def test_calls_that_no_queue_gave_are_left_out() -> None:
    records = [
        call(1, "1", 5, direction=CallDirection.OUT),
        call(2, "1", 5, method=CallMethod.DIALLED),
        call(3, None, 5),
        call(4, "9", 5),
        record(5, answered=None),
    ]
    found = reconcile([], records, since=SINCE, until=UNTIL, zone=ZONE, extensions=["1"])
    assert (found.records, found.differences) == (0, ())


@pytest.mark.parametrize("name", ["since", "until"])
def test_the_span_needs_a_zone(name: str) -> None:
    ends: dict[str, Any] = {"since": SINCE, "until": UNTIL, name: START}
    with pytest.raises(ValueError, match=f"{name} has no time zone"):
        reconcile([], [], **ends, zone=UTC)
