"""Saved states: what is read back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from sipqueue_async import AgentState, FeedDown, Snapshot, TransportError, Update
from sipqueue_async.alerts import AlertState, Available, FeedSilent, StateLasts, evaluate
from tests.kit.alerts import moment
from tests.kit.builders import START, agent, snapshot

RULES = (StateLasts("lasts", AgentState.TALKING, longer_than=0), Available("few", fewer_than=1))


def a_state() -> AlertState:
    state, alerts, _ = evaluate(AlertState(RULES), snapshot(agent(state=AgentState.TALKING, name="A\ud83d <b>")))
    assert len(alerts) == 2
    return state


def test_an_empty_state_is_saved_too() -> None:
    state = AlertState.from_json(AlertState(RULES).to_json(), RULES)
    assert state.snapshot is None
    assert state.standing == 0


def test_a_state_keeps_what_stands_and_the_snapshot() -> None:
    state = a_state()
    again = AlertState.from_json(state.to_json(), RULES)
    assert again.standing_by_rule == {"lasts": 1, "few": 1}
    assert again.snapshot == state.snapshot
    assert evaluate(again, moment(10))[1] == ()


def test_alerts_of_rules_that_are_gone_are_forgotten() -> None:
    other = [FeedSilent("few"), StateLasts("new", AgentState.PAUSED, longer_than=0)]
    state = AlertState.from_json(a_state().to_json(), other)
    assert state.standing == 0


@pytest.mark.parametrize("known", [snapshot(agent()), None])
def test_a_restart_in_an_outage_neither_clears_nor_repeats_the_alert_about_it(known: Snapshot | None) -> None:
    """It is not known whether the platform answers before the first poll; it may never have answered yet."""
    rules = [FeedSilent("away", lasting=30)]
    down = Update(sequence=1, snapshot=known, previous=known, events=(FeedDown(error=TransportError("x"), since=None),))
    state, _, _ = evaluate(AlertState(rules), known or START)
    state, _, _ = evaluate(state, down)
    # Not raised yet: the time before the first poll of the next run is no outage.
    pending = AlertState.from_json(state.to_json(), rules)
    assert evaluate(pending, moment(100))[1:] == ((), None)
    state, alerts, _ = evaluate(state, moment(40))
    assert len(alerts) == 1
    state = AlertState.from_json(state.to_json(), rules)
    told = [alert for what in (moment(50), down, moment(100)) for alert in evaluate(state, what)[1]]
    assert told == []
    assert state.standing == 1
    again = AlertState.from_json(state.to_json(), rules)
    (cleared,) = evaluate(again, snapshot(agent(), at=200))[1]
    assert (cleared.id, cleared.at) == (alerts[0].id, moment(200))
    assert evaluate(again, moment(1000))[1:] == ((), None)


def test_an_alert_of_a_condition_that_is_over_meanwhile_is_cleared() -> None:
    state = AlertState.from_json(a_state().to_json(), RULES)
    _, alerts, _ = evaluate(state, snapshot(agent(), at=60))
    assert sorted((type(it).__name__, it.rule.name) for it in alerts) == [
        ("AlertCleared", "few"),
        ("AlertCleared", "lasts"),
    ]


def test_a_rule_that_asks_for_more_now_clears_what_stands() -> None:
    rules = [StateLasts("lasts", AgentState.PAUSED, longer_than=0)]
    state = AlertState.from_json(a_state().to_json(), rules)
    assert state.snapshot is not None
    _, alerts, _ = evaluate(state, state.snapshot)
    assert [type(it).__name__ for it in alerts] == ["AlertCleared"]


def test_a_condition_that_was_not_told_of_and_no_longer_holds_is_forgotten() -> None:
    waits = [StateLasts("lasts", AgentState.TALKING, longer_than=60)]
    state, _, _ = evaluate(AlertState(waits), snapshot(agent(state=AgentState.TALKING)))
    other = AlertState.from_json(state.to_json(), [StateLasts("lasts", AgentState.PAUSED, longer_than=60)])
    assert other.snapshot is not None
    assert evaluate(other, other.snapshot)[1:] == ((), None)


def damaged(**changes: Any) -> bytes:
    return json.dumps({**json.loads(a_state().to_json()), **changes}).encode()


def rows(rows: list[Any], watches: Sequence[Any] = ()) -> bytes:
    return damaged(rules={"few": {"kind": "available", "rows": rows, "watches": list(watches)}})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the saved alert state is not JSON"),
        (b"[" * 100_000, "the saved alert state is not JSON"),
        (b"[]", "this is not a saved alert state"),
        (damaged(version=2), "the saved alert state has version 2; this release reads version 1"),
        (damaged(format="other"), "this is not a saved alert state"),
        (damaged(snapshot=5), "damaged"),
        (damaged(rules=5), "damaged"),
        (damaged(rules={"few": {}}), "damaged"),
        (rows([], watches=[[1] * 11]), "damaged: .*1 is not a name"),
        (rows([], watches=[["q"]]), "damaged"),
        (
            rows([], watches=[["q", None, None, 1, False, "2026-01-01T00:00:00Z", None, "", 0, None, None]]),
            "not the times of an alert",
        ),
        (damaged(snapshot=None, at="2026-01-01"), "has no offset from UTC"),
        (rows([5]), "damaged"),
    ],
)
def test_what_is_damaged_or_of_another_kind_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AlertState.from_json(data, RULES)
