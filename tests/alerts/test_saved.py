"""Saved states: what is read back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from sipqueue_async import (
    AgentState,
    FeedDown,
    FeedUp,
    FieldProblem,
    SeatFilter,
    Snapshot,
    TransportError,
    Update,
    diff,
)
from sipqueue_async.alerts import (
    AlertCleared,
    AlertState,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
    evaluate,
)
from tests.kit.builders import START, agent, snapshot
from tests.kit.times import moment

RULES = (StateLasts("lasts", AgentState.TALKING, longer_than=0), Available("few", fewer_than=1))


def a_state() -> AlertState:
    state, alerts, _ = evaluate(AlertState(RULES), snapshot(agent(state=AgentState.TALKING, name="A\ud83d <b>")))
    assert len(alerts) == 2
    return state


def test_an_empty_state_is_saved_too() -> None:
    state = AlertState.from_json(AlertState(RULES).to_json(), RULES)
    assert state.snapshot is None
    assert state.standing == 0


def test_a_saved_state_keeps_raised_alerts_and_the_snapshot() -> None:
    state = a_state()
    again = AlertState.from_json(state.to_json(), RULES)
    assert again.standing_by_rule == {"lasts": 1, "few": 1}
    assert again.snapshot == state.snapshot
    assert evaluate(again, moment(10))[1] == ()


def test_the_first_value_of_a_counter_is_no_missed_calls_after_a_restart() -> None:
    """The saved snapshot is also the next watcher's baseline, so it says which counters are unknown."""
    rules = [MissedCalls("missed", count=2, within=600)]
    missing = FieldProblem("queue-1", "100001", "noanswercount", "it is missing")
    state, _, _ = evaluate(AlertState(rules), snapshot(agent(), server=0, problems=[missing]))
    state = AlertState.from_json(state.to_json(), rules)
    assert state.snapshot is not None
    assert (state.snapshot.problems, state.snapshot.server_time) == ((missing,), START)
    assert evaluate(state, snapshot(agent(no_answer_count=9), at=60))[1] == ()


def test_alerts_of_rules_that_are_gone_clear_once_even_after_another_restart() -> None:
    """A rule of another kind is another rule, even if it has the same name."""
    other = [FeedSilent("few"), StateLasts("new", AgentState.PAUSED, longer_than=0)]
    raised = {it.rule.name: it.id for it in a_state().raised}
    state = AlertState.from_json(a_state().to_json(), other)
    assert state.standing == 0
    for _ in range(2):
        state = AlertState.from_json(state.to_json(), other)
    state, alerts, _ = evaluate(state, moment(5))
    found = {it.rule.name: (it.id, it.reason) for it in alerts if isinstance(it, AlertCleared)}
    assert found == {name: (identity, "rule") for name, identity in raised.items()}
    assert len(alerts) == len(found)
    assert evaluate(AlertState.from_json(state.to_json(), other), moment(9))[1] == ()


def test_the_feeds_alert_that_was_about_to_clear_clears_after_a_restart() -> None:
    rules = [FeedSilent("away", lasting=0, clear_after=60)]
    known = snapshot(agent())
    down = Update(sequence=1, snapshot=known, previous=known, events=(FeedDown(error=TransportError("x"), since=None),))
    state, _, _ = evaluate(AlertState(rules), known)
    state, _, _ = evaluate(state, down)
    up = FeedUp(observed_at=moment(10), outage=timedelta(seconds=10), failures=1)
    state, _, _ = evaluate(state, Update(sequence=2, snapshot=snapshot(agent(), at=10), previous=known, events=(up,)))
    state = AlertState.from_json(state.to_json(), rules)
    state, alerts, _ = evaluate(state, snapshot(agent(), at=20))
    assert alerts == ()
    [cleared] = evaluate(state, moment(70))[1]
    assert isinstance(cleared, AlertCleared)
    assert (cleared.at, cleared.reason) == (moment(70), "ended")


def test_the_feeds_alert_clears_as_such_when_its_rule_is_gone() -> None:
    rules = [FeedSilent("away", lasting=0)]
    down = Update(sequence=1, snapshot=None, previous=None, events=(FeedDown(error=TransportError("x"), since=None),))
    state, _, _ = evaluate(AlertState(rules), START)
    state, alerts, _ = evaluate(state, down)
    assert len(alerts) == 1
    _, [cleared], _ = evaluate(AlertState.from_json(state.to_json(), RULES), moment(5))
    assert str(cleared).startswith("The platform: no longer watched, after ")


Q1 = SeatFilter("queue-1")
OUT = SignedOut("rule", extensions=["8", "9"], longer_than=0)
BUSY = Occupancy("rule", below=0.5, within=10)
MISSED = MissedCalls("rule", count=1, within=9000)
PAUSED = StateLasts("rule", AgentState.PAUSED, longer_than=0)


@pytest.mark.parametrize(
    ("before", "after", "seats"),
    [
        (Available("rule", fewer_than=1), Available("rule", fewer_than=1, per="all"), None),
        (Available("rule", fewer_than=1, per="all"), Available("rule", fewer_than=1), None),
        (Available("rule", fewer_than=1), Available("rule", fewer_than=1, seats=Q1), None),
        (Available("rule", fewer_than=1), Available("rule", fewer_than=1), Q1),
        (NoAnswers("rule", longer_than=5), NoAnswers("rule", longer_than=5, per="all"), None),
        (MISSED, MissedCalls("rule", count=1, within=9000, per="queue"), None),
        (MissedCalls("rule", count=1, within=9000, per="queue"), MISSED, None),
        (
            MissedCalls("rule", count=1, within=9000),
            MissedCalls("rule", count=1, within=9000),
            SeatFilter(extensions="7"),
        ),
        (BUSY, Occupancy("rule", below=0.5, within=10, per="all"), None),
        (BUSY, BUSY, Q1),
        (OUT, SignedOut("rule", extensions=["7"], longer_than=0), None),
        (
            StateLasts("rule", ["waiting", "paused"], longer_than=0),
            StateLasts("rule", ["waiting", "paused"], longer_than=0),
            Q1,
        ),
    ],
)
def test_an_alert_about_what_a_rule_no_longer_has_clears_at_the_first_snapshot(
    before: Rule, after: Rule, seats: SeatFilter | None
) -> None:
    """The rule was edited, or the command was restarted with another ``--queue`` or ``--extension``."""
    is_quiet = isinstance(before, NoAnswers)
    state = AgentState.WAITING if is_quiet else AgentState.PAUSED
    first = snapshot(agent("1", queue="queue-2"))
    second = snapshot(agent("1", state, queue="queue-2", no_answer_count=1), at=1)
    running, _, _ = evaluate(AlertState([before]), first)
    change = Update(sequence=1, snapshot=second, previous=first, events=diff(first, second))
    running, _, _ = evaluate(evaluate(running, change)[0], moment(30))
    stale = {it.id for it in running.raised}
    assert stale
    resumed = AlertState.from_json(running.to_json(), [after], seats or SeatFilter())
    assert {it.id for it in resumed.raised} >= stale
    there = (seats or SeatFilter()).apply(snapshot(agent("1", state, queue="queue-2", no_answer_count=1), at=40))
    resumed, alerts, _ = evaluate(resumed, there)
    cleared = {it.id: it.reason for it in alerts if isinstance(it, AlertCleared)}
    assert {it.id for it in resumed.raised} & stale == set()
    assert cleared == dict.fromkeys(stale, "rule")


def test_an_alert_that_was_not_received_is_given_after_a_restart_unless_its_rule_is_gone() -> None:
    state, alerts, _ = evaluate(AlertState(RULES), snapshot(agent(state=AgentState.TALKING)))
    state.untold.extend(alerts)
    _, again, _ = evaluate(AlertState.from_json(state.to_json(), RULES), moment(5))
    assert again == alerts
    _, others, _ = evaluate(AlertState.from_json(state.to_json(), RULES[:1]), moment(5))
    assert [(type(it).__name__, it.rule.name) for it in others] == [("AlertRaised", "lasts")]


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


def test_a_changed_rule_clears_its_raised_alerts() -> None:
    rules = [StateLasts("lasts", AgentState.PAUSED, longer_than=0)]
    state = AlertState.from_json(a_state().to_json(), rules)
    assert state.snapshot is not None
    _, alerts, _ = evaluate(state, state.snapshot)
    assert [type(it).__name__ for it in alerts if it.rule in rules] == ["AlertCleared"]


def test_a_condition_that_was_not_told_of_and_no_longer_holds_is_forgotten() -> None:
    waits = [StateLasts("lasts", AgentState.TALKING, longer_than=60)]
    state, _, _ = evaluate(AlertState(waits), snapshot(agent(state=AgentState.TALKING)))
    other = AlertState.from_json(state.to_json(), [StateLasts("lasts", AgentState.PAUSED, longer_than=60)])
    assert other.snapshot is not None
    assert evaluate(other, other.snapshot)[1:] == ((), None)


def damaged(**changes: Any) -> bytes:
    return json.dumps({**json.loads(a_state().to_json()), **changes}).encode()


A_ROW = {**AlertCleared(
    rule=RULES[0], id="1", queue=None, extension=None, agent=None, since=START, at=START, value=0.0, approximate=False,
    raised_at=START,
).to_dict(), "kind": "state-lasts"}  # fmt: skip


def rows(rows: list[Any], watches: Sequence[Any] = ()) -> bytes:
    return damaged(rules={"few": {"kind": "available", "rows": rows, "watches": list(watches)}})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the saved alert state is not JSON"),
        (b"[" * 100_000, "the saved alert state is not JSON"),
        (b"[]", "this is not a saved alert state"),
        (damaged(version=2), "the saved alert state has version 2; this release reads version 1"),
        (damaged(format="other"), "this is not a saved alert state: it has no"),
        (damaged(format="sipqueue_async.cli.alert"), "its .format. is 'sipqueue_async.cli.alert', not"),
        (damaged(snapshot=5), "damaged"),
        (damaged(rules=5), "damaged"),
        (damaged(rules={"few": {}}), "damaged"),
        (damaged(untold=[5]), "damaged"),
        (damaged(untold=[{**A_ROW, "since": None}]), "damaged: an alert has no time"),
        (damaged(untold=[{**A_ROW, "reason": "other"}]), "damaged"),
        (rows([], watches=[[1] * 13]), "damaged: .*1 is not a name"),
        (rows([], watches=[["q"]]), "damaged"),
        (
            rows([], watches=[["q", None, None, 1, False, "2026-01-01T00:00:00Z", None, "", 0, None, None, 0, ""]]),
            "not the times of an alert",
        ),
        (damaged(snapshot=None, at="2026-01-01"), "has no offset from UTC"),
        (rows([5]), "damaged"),
    ],
)
def test_damaged_or_other_data_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AlertState.from_json(data, RULES)
