"""`CallCursor`: what is saved is read again, and damage is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sipqueue_async.records import CallCursor

NAIVE = datetime.fromisoformat("2026-01-05 09:00:00")
AWARE = NAIVE.replace(tzinfo=UTC)


@pytest.mark.parametrize("moment", [NAIVE, AWARE])
def test_a_saved_cursor_is_read_again(moment: datetime) -> None:
    cursor = CallCursor(since=moment, newest=moment, known={"7": moment}, answers={"01": {moment: ("a", "b")}})
    for each in (cursor, CallCursor(since=moment)):
        assert CallCursor.from_json(each.to_json()) == each
    assert "7" not in repr(cursor).partition("newest")[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"since": "yesterday"}, "damaged: Invalid isoformat"),
        ({"newest": AWARE.isoformat()}, "some times have a time zone, and others do not"),
        ({"known": {"7": AWARE.isoformat()}}, "some times have a time zone"),
        ({"known": 7}, "a value has the wrong type"),
        ({"answers": {"1": {NAIVE.isoformat(): "sales"}}}, "a value has the wrong type"),
        ({"answers": {"1": {NAIVE.isoformat(): [7]}}}, "a value has the wrong type"),
        ({"version": 2}, "has version 2; this release reads version 1"),
        ({"format": "other"}, "this is not a saved cursor of call records"),
    ],
)
def test_damage_is_named(changes: dict[str, Any], words: str) -> None:
    document = json.loads(CallCursor(since=NAIVE).to_json())
    with pytest.raises(ValueError, match=words):
        CallCursor.from_json(json.dumps({**document, **changes}))
