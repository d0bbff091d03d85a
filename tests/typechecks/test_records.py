"""Types of followed call records: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, assert_type

from sipqueue_async import CallDirection, CallMethod, CallRecord, SipQueueClient
from sipqueue_async.records import (
    CallCounter,
    CallCursor,
    CallFeed,
    CallFeedHealth,
    CallFigures,
    CallQueues,
    CallSource,
    Difference,
    FollowedCall,
    Reconciliation,
    number_prefix,
    reconcile,
)

NOON = datetime.fromisoformat("2026-01-05 12:00:00")


class _Source:
    async def fetch_calls(self, since: datetime, until: datetime) -> AsyncIterator[CallRecord]:
        yield CallRecord(id="1", direction=CallDirection.IN, method=CallMethod.GROUP, started_at=since)


async def test_a_feed() -> None:
    source: CallSource = _Source()
    feed = CallFeed(source, NOON, interval=60.0)
    async for call in feed:
        assert_type(call, FollowedCall)
        assert_type(call.record, CallRecord)
        assert_type(call.queue, str | None)
        break
    assert_type(await anext(CallFeed(source, NOON)), FollowedCall)
    assert_type(feed.cursor, CallCursor)
    assert_type(feed.cursor.to_json(), bytes)
    assert_type(CallCursor.from_json(feed.cursor.to_json()), CallCursor)
    assert_type(feed.cursor.newest, datetime | None)
    assert_type(feed.cursor.known, Mapping[str, datetime])
    assert_type(feed.health, CallFeedHealth)
    assert_type(feed.look(), None)
    async with SipQueueClient("http://127.0.0.1:9/", "token") as client:
        CallFeed(client, feed.cursor)


def test_figures() -> None:
    figures = CallFigures.of([])
    assert_type(CallFigures.of([], within=20), CallFigures)
    assert_type(figures.abandoned, int)
    assert_type(figures.abandonment, float | None)
    assert_type(figures.service_level, float | None)
    assert_type(figures.average_speed_of_answer, float | None)
    assert_type(figures.average_talk, float | None)
    assert_type(figures.average_handle, float | None)
    assert_type(CallFigures.of([], within=20, wrap_up=10), CallFigures)
    assert_type(figures.to_dict(), dict[str, Any])
    counter = CallCounter[str | None](within=20)
    record = CallRecord(id="1", direction=CallDirection.IN, method=CallMethod.GROUP, started_at=NOON, caller="0207")
    assert_type(counter.add(CallQueues([]).queue(record), record), None)
    assert_type(counter.groups(), dict[str | None, CallFigures])
    assert_type(counter.total(), CallFigures)
    assert_type(number_prefix(record.caller), str)
    assert_type(number_prefix(record.caller, ["02", "138"]), str)
    noon = NOON.replace(tzinfo=UTC)
    assert_type(reconcile([], [], since=noon, until=noon, zone=UTC, extensions=["1"]), Reconciliation)
    found = reconcile([], [], since=noon, until=noon, zone=UTC)
    assert_type(found.differences, tuple[Difference, ...])
    assert_type([it.to_dict() for it in found.differences], list[dict[str, Any]])
    assert_type(CallFigures.by([], lambda record: record.extension), dict[str | None, CallFigures])
