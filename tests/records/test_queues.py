"""`CallQueues`: the queue of a call from events, only where exactly one fits."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from sipqueue_async import CallAnswered, diff
from sipqueue_async.records import CallQueues
from tests.kit.builders import snapshot
from tests.records.test_feed import QUEUES, record, seat


def answered(*seats: Any) -> list[CallAnswered]:
    """Return the events of seats that answer their first call."""
    before = snapshot(*(seat(it.queue, it.extension) for it in seats))
    after = snapshot(*(attrs.evolve(it, calls_answered=1) for it in seats), at=9)
    return [event for event in diff(before, after) if isinstance(event, CallAnswered)]


EVENTS = answered(seat("sales", "1", 4), seat("sales", "2", 4), seat("help", "2", 4), seat("help", "3"))


@pytest.mark.parametrize(("fields", "queue"), QUEUES, ids=str)
def test_the_queue_is_that_of_the_one_event_that_fits(fields: dict[str, Any], queue: str | None) -> None:
    assert CallQueues(EVENTS).queue(record(1, **fields)) == queue


def test_it_says_how_many_answers_it_knows() -> None:
    assert repr(CallQueues(EVENTS)) == "<CallQueues of 2 answers>"


def test_times_with_and_without_a_zone_are_the_platforms() -> None:
    call = record(1)
    for zone in (UTC, ZoneInfo("Asia/Shanghai")):
        aware = attrs.evolve(
            call,
            started_at=call.started_at.replace(tzinfo=zone),
            answered_at=None if call.answered_at is None else call.answered_at.replace(tzinfo=zone),
        )
        assert CallQueues(EVENTS).queue(aware) == "sales"
