"""Types of rules, alerts and their evaluation: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, assert_type

import pytest

from sipqueue_async import SeatFilter, SeatKey, Snapshot, StatusWatcher
from sipqueue_async.alerts import (
    Alert,
    AlertCleared,
    AlertRaised,
    Alerts,
    AlertState,
    Destination,
    FeedSilent,
    Hours,
    Rule,
    RulesFile,
    StateLasts,
    evaluate,
    hours,
    minutes,
    read_rules,
    seconds,
)
from sipqueue_async.testing import START, ScriptedSource
from tests.kit.builders import agent, snapshot


def test_rules() -> None:
    rule = StateLasts("long", "talking", longer_than=minutes(10))
    assert_type(rule.delay, float)
    assert_type(minutes(1), timedelta)
    assert_type(seconds(1), timedelta)
    assert_type(hours(1), timedelta)
    office = Hours("09:00-17:00")
    assert_type(office.started_at(START), datetime | None)
    assert_type(office.next_change(START), datetime)
    assert START.tzinfo is UTC


def test_rules_file(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text('[rules.away]\nkind = "feed-silent"')
    assert_type(read_rules(tmp_path / "rules.toml"), RulesFile)
    assert_type(read_rules(str(tmp_path / "rules.toml")), RulesFile)
    assert_type(read_rules(tmp_path / "rules.toml").rules, tuple[Rule, ...])
    assert_type(read_rules(tmp_path / "rules.toml").language, str)
    assert_type(read_rules(tmp_path / "rules.toml").destinations, tuple[Destination, ...])


def test_evaluation() -> None:
    rules: list[Rule] = [StateLasts("long", "talking", longer_than=0)]
    there = snapshot(agent(state="talking"))
    assert_type(evaluate(AlertState(rules), there), tuple[AlertState, tuple[Alert, ...], datetime | None])
    state, alerts, _ = evaluate(AlertState(rules), there)
    assert_type(state.rules, tuple[Rule, ...])
    assert_type(state.snapshot, Snapshot | None)
    assert_type(state.standing, int)
    assert_type(state.raised, tuple[AlertRaised, ...])
    assert_type(state.standing_by_rule, dict[str, int])
    assert_type(state.note(START), tuple[tuple[Alert, ...], datetime | None])
    assert_type(state.to_json(), bytes)
    assert_type(AlertState.from_json(state.to_json(), rules, SeatFilter("queue-1")), AlertState)
    assert_type(state.untold, deque[Alert])
    (alert,) = alerts
    assert not isinstance(alert, AlertCleared) or assert_type(alert.lasted, timedelta)
    assert not isinstance(alert, AlertCleared) or assert_type(alert.reason, Literal["ended", "left", "hours", "rule"])
    assert_type(RulesFile(rules=state.rules).text(alert), str)
    assert isinstance(alert, AlertRaised)
    assert_type(alert.repeat, int)
    assert_type(alert.key, SeatKey | None)
    assert_type(alert.text("zh"), str)
    assert_type(alert.who("zh"), str)
    assert_type(alert.what(), str)
    assert_type(alert.to_dict(), dict[str, Any])
    assert alert.id


async def test_iteration() -> None:
    async with StatusWatcher(ScriptedSource([snapshot(agent(state="talking"))])) as watcher:
        with Alerts(watcher, [StateLasts("long", "talking", longer_than=0), FeedSilent("away")]) as alerts:
            assert_type(await anext(alerts), Alert)
            assert_type(alerts.state, AlertState)
            assert_type(alerts.pending, int)
            assert_type(alerts.close(), None)
        with pytest.raises(StopAsyncIteration):
            await anext(alerts)
        close: Callable[[], None] = alerts.close
        close()
