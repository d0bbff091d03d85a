"""Rules evaluated over histories, held against what the plainest reckoning gives."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import AgentState, FeedDown, FeedUp, SeatFilter, Snapshot, TransportError, Update, diff
from sipqueue_async.alerts import (
    SIGNED_IN,
    AlertCleared,
    AlertRaised,
    AlertState,
    Available,
    FeedSilent,
    Hours,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
    evaluate,
    minutes,
)
from tests.kit.alerts import (
    STATES,
    Evaluation,
    Look,
    expect_available,
    expect_missed,
    expect_state,
    history,
    shares,
)
from tests.kit.builders import agent, snapshot
from tests.kit.times import moment

seeds = st.integers(0, 1_000_000)
delays = st.sampled_from([0.0, 3.0, 7.5, 20.0])

AWAY = TransportError("away")

ONE_OF_EACH: tuple[Rule, ...] = (
    StateLasts("lasts", AgentState.TALKING, longer_than=7.5),
    Available("few", fewer_than=2, lasting=3, unless="missed"),
    Available("many", more_than=1, states=SIGNED_IN, per="all", clear_after=4),
    MissedCalls("missed", count=2, within=30, per="all"),
    # Limits that no history here meets exactly.
    Occupancy("busy", within=20, above=0.3137, per="all"),
    Occupancy("idle", within=20, below=0.2137),
    NoAnswers("quiet", longer_than=9, repeat_every=20),
    SignedOut("absent", extensions=["100", "101", "999"], longer_than=5, clear_after=4),
    FeedSilent("away"),
)


def a_history(seed: int) -> tuple[list[Look], float]:
    chance = random.Random(seed)
    polls = history(chance, chance.randint(2, 30))
    return polls, polls[-1].at + 40


@given(seeds, delays, st.sets(st.sampled_from(STATES), min_size=1, max_size=2), st.booleans())
def test_a_state_that_lasts(seed: int, delay: float, states: set[AgentState], on_time: bool) -> None:
    polls, end = a_history(seed)
    evaluation = Evaluation(lambda: [StateLasts("rule", states, longer_than=delay)], on_time=on_time)
    evaluation.run(polls, end)
    assert evaluation.told == expect_state(polls, end, states, delay)


@given(seeds, delays, st.integers(1, 3), st.sampled_from(["queue", "all"]), st.booleans())
def test_too_few_agents(seed: int, delay: float, number: int, per: str, on_time: bool) -> None:
    polls, end = a_history(seed)
    evaluation = Evaluation(lambda: [Available("rule", fewer_than=number, lasting=delay, per=per)], on_time=on_time)
    evaluation.run(polls, end)
    assert evaluation.told == expect_available(polls, end, number, delay, per)


@given(seeds, st.integers(1, 4), st.sampled_from([5.0, 30.0, 100.0]), st.booleans())
def test_missed_calls_within_a_time(seed: int, count: int, within: float, on_time: bool) -> None:
    polls, end = a_history(seed)
    evaluation = Evaluation(lambda: [MissedCalls("rule", count=count, within=within)], on_time=on_time)
    evaluation.run(polls, end)
    assert evaluation.told == expect_missed(polls, end, count, within)


@given(seeds, st.sampled_from([10.0, 40.0]), st.sampled_from([0.2137, 0.5371]), st.booleans())
def test_occupancy_over_a_window(seed: int, within: float, limit: float, is_above: bool) -> None:
    polls, end = a_history(seed)
    above, below = (limit, None) if is_above else (None, limit)
    evaluation = Evaluation(lambda: [Occupancy("rule", within=within, per="all", above=above, below=below)])
    evaluation.run(polls, end)
    for step in range(int(end * 2)):
        at = step / 2 + 0.25
        talk, signed_in = shares(polls, end, at, within)
        excess = (talk - limit * signed_in) * (1 if is_above else -1)
        if at > within and abs(excess) > 1e-3:
            last = [it.kind for it in sorted(evaluation.told) if it.at <= at][-1:]
            assert (last == ["raised"]) == (excess > 0), at


@given(seeds, st.floats(0, 1))
def test_restarts_neither_repeat_nor_forget_anything(seed: int, share: float) -> None:
    polls, end = a_history(seed)
    straight, restarted = (Evaluation(lambda: ONE_OF_EACH) for _ in range(2))
    chance = random.Random(seed)
    straight.run(polls, end)
    restarted.run(polls, end, restarts=lambda: chance.random() < share)
    assert _ids(restarted) == _ids(straight)


def _ids(evaluation: Evaluation) -> list[tuple[str, str, str, str, float]]:
    """Return what was told, with the ids of all whose beginning does not depend on sums of floats."""
    return sorted(
        (
            it.rule.name,
            "" if isinstance(it.rule, Occupancy) else it.id,
            type(it).__name__,
            f"{it.queue} {it.extension}",
            round((it.at - moment(0)).total_seconds(), 3),
        )
        for it in evaluation.alerts
    )


@given(seeds, st.integers(2, 6))
def test_coalesced_updates_give_the_same_final_condition(seed: int, step: int) -> None:
    """Without `lasting`, the alerts that stand depend on the last snapshot alone."""
    polls, end = a_history(seed)
    rules = [
        StateLasts("lasts", STATES[1], longer_than=0),
        Available("few", fewer_than=2),
        SignedOut("out", extensions="100"),
    ]
    states: list[AlertState] = []
    for chosen in (polls, [polls[0], *polls[1:-1:step], polls[-1]]):
        state, _, _ = evaluate(AlertState(rules), chosen[0].snapshot)
        for old, new in pairwise(chosen):
            events = diff(old.snapshot, new.snapshot)
            update = Update(sequence=1, snapshot=new.snapshot, previous=old.snapshot, events=events, coalesced=True)
            state, _, _ = evaluate(state, update)
        states.append(evaluate(state, moment(end))[0])
    assert states[0].standing_by_rule == states[1].standing_by_rule


def test_raised_alerts_have_their_present_figures_and_the_latest_comes_first() -> None:
    rules = [Available("few", fewer_than=3), StateLasts("talks", AgentState.TALKING, longer_than=0)]
    first = snapshot(agent("1"), agent("2"))
    second = snapshot(agent("1", AgentState.TALKING), agent("2"), at=60)
    state, _, _ = evaluate(AlertState(rules), first)
    events = diff(first, second)
    state, _, _ = evaluate(state, Update(sequence=1, snapshot=second, previous=first, events=events))
    talks, few = state.raised
    assert (talks.rule.name, talks.at, talks.value) == ("talks", moment(60), 0)
    assert (few.rule.name, few.at, few.value) == ("few", moment(0), 1)
    again = AlertState.from_json(state.to_json(), rules)
    assert {it.id for it in again.raised} == {talks.id, few.id}
    assert again.standing_by_rule == state.standing_by_rule == {"few": 1, "talks": 1}
    # A damaged file may list an alert twice.
    twice = json.loads(state.to_json())
    twice["rules"]["few"]["watches"] *= 2
    assert AlertState.from_json(json.dumps(twice), rules).standing_by_rule == {"few": 1, "talks": 1}


def test_a_further_change_does_not_put_off_the_clearing() -> None:
    state, _, _ = evaluate(
        AlertState([Available("few", fewer_than=1, clear_after=30)]), snapshot(agent("1", AgentState.PAUSED))
    )
    known = snapshot(agent("1", AgentState.PAUSED))
    for at, people in ((10, [agent("1")]), (20, [agent("1"), agent("2")])):
        new = snapshot(*people, at=at)
        update = Update(sequence=1, snapshot=new, previous=known, events=diff(known, new))
        state, _, deadline = evaluate(state, update)
        known = new
    assert deadline == moment(40)


class TestOutages:
    RULES = (StateLasts("lasts", AgentState.TALKING, longer_than=60), FeedSilent("away", lasting=30))
    TALKING = snapshot(agent(state=AgentState.TALKING))

    def down_at(self, at: float) -> AlertState:
        """Return a state that knows of a talk since 0, and of an outage since `at`."""
        state, _, _ = evaluate(AlertState(self.RULES), self.TALKING)
        state, _, _ = evaluate(state, self.later(at))
        down = Update(
            sequence=1,
            snapshot=self.later(at),
            previous=self.later(at),
            events=(FeedDown(error=AWAY, since=moment(at)),),
        )
        return evaluate(state, down)[0]

    def later(self, at: float, **fields: object) -> Snapshot:
        return snapshot(agent(state=AgentState.TALKING, **fields), at=at)  # type: ignore[arg-type]

    def up(self, new: Snapshot, before: float) -> Update:
        up = FeedUp(observed_at=new.observed_at, outage=timedelta(seconds=1), failures=1)
        old = self.later(before)
        return Update(sequence=2, snapshot=new, previous=old, events=(up, *diff(old, new)))

    def test_only_the_feeds_own_alert_is_raised_meanwhile(self) -> None:
        state, alerts, deadline = evaluate(self.down_at(50), moment(79.9))
        assert not alerts
        assert deadline == moment(80)
        state, alerts, deadline = evaluate(state, moment(100))
        assert [(it.rule.name, it.since) for it in alerts] == [("away", moment(50))]
        assert deadline is None

    def test_a_talk_that_goes_on_counts_from_its_beginning_and_is_approximate(self) -> None:
        state, _, _ = evaluate(self.down_at(50), moment(100))
        _, alerts, _ = evaluate(state, self.up(self.later(110), 50))
        assert [(type(it), it.rule.name, it.at, it.since) for it in alerts] == [
            (AlertCleared, "away", moment(110), moment(50)),
            (AlertRaised, "lasts", moment(110), moment(0)),
        ]
        assert alerts[1].approximate

    def test_the_clearing_is_approximate_if_the_raising_was(self) -> None:
        """The talk began at a poll, and the alert is raised after a later outage."""
        rules = [StateLasts("lasts", AgentState.TALKING, longer_than=60)]
        waiting, talking = snapshot(agent()), self.later(10)
        state, _, _ = evaluate(AlertState(rules), waiting)
        began = Update(sequence=1, snapshot=talking, previous=waiting, events=diff(waiting, talking))
        state, _, _ = evaluate(state, began)
        state = AlertState.from_json(state.to_json(), rules)
        state, [raised], _ = evaluate(state, self.later(110))
        over = snapshot(agent(), at=120)
        ended = Update(sequence=2, snapshot=over, previous=self.later(110), events=diff(self.later(110), over))
        state, [cleared], _ = evaluate(state, ended)
        assert (raised.approximate, cleared.approximate) == (True, True)

    def test_another_call_since_then_begins_the_time_anew(self) -> None:
        new = self.later(110, calls_answered=1, last_answered_at=moment(90))
        _, alerts, deadline = evaluate(self.down_at(50), self.up(new, 50))
        assert not alerts
        assert deadline == moment(170)

    def test_an_outage_from_the_beginning_is_counted_from_the_first_moment(self) -> None:
        down = Update(
            sequence=1, snapshot=None, previous=None, events=(FeedDown(error=TransportError("x"), since=None),)
        )
        state, _, _ = evaluate(AlertState(self.RULES), moment(0))
        state, alerts, deadline = evaluate(state, down)
        assert (alerts, deadline) == ((), moment(30))
        assert [it.rule.name for it in evaluate(state, moment(31))[1]] == ["away"]

    def test_a_restart_that_finds_the_feed_up_clears_the_feeds_alert(self) -> None:
        state, _, _ = evaluate(self.down_at(50), moment(100))
        state = AlertState.from_json(state.to_json(), self.RULES)
        _, alerts, _ = evaluate(state, self.later(130))
        assert [(type(it).__name__, it.rule.name) for it in alerts] == [
            ("AlertCleared", "away"),
            ("AlertRaised", "lasts"),
        ]

    def test_an_outage_that_a_restart_falls_into_goes_on(self) -> None:
        state = AlertState.from_json(self.down_at(50).to_json(), self.RULES)
        there = state.snapshot
        down = Update(sequence=1, snapshot=there, previous=there, events=(FeedDown(error=AWAY, since=moment(50)),))
        state, alerts, _ = evaluate(state, down)
        assert not alerts
        assert [it.rule.name for it in evaluate(state, moment(81))[1]] == ["away"]

    def test_a_restart_compares_with_its_own_snapshot_where_the_update_starts_elsewhere(self) -> None:
        state, _, _ = evaluate(AlertState([Available("few", fewer_than=1)]), snapshot(agent()))
        state = AlertState.from_json(state.to_json(), [Available("few", fewer_than=1)])
        old, new = snapshot(agent("100002", AgentState.TALKING), at=5), snapshot(agent("100002", AgentState.IDLE), at=9)
        update = Update(sequence=1, snapshot=new, previous=old, events=diff(old, new))
        assert [it.rule.name for it in evaluate(state, update)[1]] == ["few"]

    def test_seen_time_alone_counts_for_occupancy(self) -> None:
        rules = [Occupancy("busy", within=60, above=0.5)]
        state, _, _ = evaluate(AlertState(rules), self.TALKING)
        away = FeedDown(error=AWAY, since=moment(20))
        down = Update(sequence=1, snapshot=self.TALKING, previous=self.TALKING, events=(away,))
        state, _, _ = evaluate(state, down)
        state, alerts, deadline = evaluate(state, self.up(self.later(100), 0))
        assert (alerts, deadline) == ((), moment(140))
        assert [it.value for it in evaluate(state, moment(140))[1]] == [1.0]


def test_occupancy_is_known_from_the_first_full_window_on() -> None:
    """Agents who sign in later count from then on: before, the window is empty at its start."""
    rule = Occupancy("idle", within=20, below=0.2137)
    state, _, _ = evaluate(AlertState([rule]), Snapshot(observed_at=moment(0)))
    there = snapshot(agent(), at=42.5)
    update = Update(sequence=1, snapshot=there, previous=None, events=diff(None, there))
    _, alerts, deadline = evaluate(state, update)
    assert alerts == ()
    assert deadline is not None
    assert deadline < moment(42.6)


class TestTime:
    def test_a_wall_clock_that_is_set_counts_as_no_time(self) -> None:
        state, _, _ = evaluate(AlertState([StateLasts("lasts", AgentState.TALKING, longer_than=60)]), self.at(0, 0))
        state, alerts, deadline = evaluate(state, self.at(3610, 10))
        assert not alerts
        assert deadline == moment(3660)
        state, alerts, deadline = evaluate(state, self.at(-3580, 20))
        assert not alerts
        assert deadline == moment(-3540)

    def at(self, wall: float, steady: float) -> Snapshot:
        there = snapshot(agent(state=AgentState.TALKING), at=wall)
        return Snapshot(there.values(), observed_at=there.observed_at, steady_at=steady)

    def test_a_naive_moment_is_refused(self) -> None:
        with pytest.raises(ValueError, match="must be an aware datetime"):
            evaluate(AlertState([]), datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point

    def test_a_first_update_without_a_previous_snapshot_raises_alerts(self) -> None:
        """A watcher with `initial=True` begins with such an update."""
        rules = [StateLasts("lasts", AgentState.TALKING, longer_than=0)]
        there = snapshot(agent(state=AgentState.TALKING))
        first = Update(sequence=1, snapshot=there, previous=None, events=diff(None, there))
        _, alerts, _ = evaluate(AlertState(rules), first)
        assert [str(it) for it in alerts] == ["Extension 100001 in queue-1 has been talking for 0 s"]
        assert alerts[0].approximate


class TestConditions:
    """Cases that the histories above lack."""

    def alerts(self, rules: Sequence[Rule], *snapshots: Snapshot, until: float = 0) -> list[tuple[str, str, float]]:
        evaluation = Evaluation(lambda: rules)
        polls = [Look((it.observed_at - moment(0)).total_seconds(), it) for it in snapshots]
        evaluation.run(polls, max(until, polls[-1].at))
        return [
            (it.rule.name, type(it).__name__.removeprefix("Alert"), (it.at - moment(0)).total_seconds())
            for it in evaluation.alerts
        ]

    def test_hours_put_off_what_is_raised_and_clear_what_stands(self) -> None:
        """START is a Sunday noon (UTC)."""
        open_hours = Hours(f"{moment(60):%H:%M}-{moment(180):%H:%M}", "UTC")
        rule = StateLasts("lasts", AgentState.TALKING, longer_than=30, hours=open_hours)
        talking = snapshot(agent(state=AgentState.TALKING))
        base = (moment(60).replace(second=0) - moment(0)).total_seconds()
        end = (moment(180).replace(second=0) - moment(0)).total_seconds()
        assert self.alerts([rule], talking, until=86400) == [("lasts", "Raised", base + 30), ("lasts", "Cleared", end)]

    def test_a_delay_that_no_span_has_room_for_never_passes(self) -> None:
        rule = StateLasts("lasts", AgentState.TALKING, longer_than=minutes(90), hours=Hours("09:00-10:00"))
        assert self.alerts([rule], snapshot(agent(state=AgentState.TALKING)), until=200_000) == []

    def test_an_alert_that_waited_for_another_is_raised_when_that_clears(self) -> None:
        rules = [StateLasts("lasts", AgentState.TALKING, longer_than=0, unless="few"), Available("few", fewer_than=1)]
        talking = snapshot(agent(state=AgentState.TALKING))
        both = snapshot(agent(state=AgentState.TALKING), agent("100002"), at=10)
        assert self.alerts(rules, talking, both) == [
            ("few", "Raised", 0),
            ("few", "Cleared", 10),
            ("lasts", "Raised", 10),
        ]

    def test_an_alert_clears_only_after_its_time_and_goes_on_meanwhile(self) -> None:
        rule = Available("few", fewer_than=1, clear_after=30)
        talking, waiting = (snapshot(agent(state=it)) for it in (AgentState.TALKING, AgentState.WAITING))

        def at(there: Snapshot, seconds: float) -> Snapshot:
            return there.with_changes({}, observed_at=moment(seconds))

        assert self.alerts([rule], talking, at(waiting, 10), at(talking, 30), at(waiting, 50), until=100) == [
            ("few", "Raised", 0),
            ("few", "Cleared", 80),
        ]

    def test_a_rule_is_for_its_seats_only(self) -> None:
        other = SeatFilter(queues="queue-2")
        lasts = StateLasts("lasts", AgentState.TALKING, longer_than=0, seats=other)
        missed = MissedCalls("missed", count=1, within=60, seats=other)
        later = snapshot(agent(state=AgentState.TALKING, no_answer_count=1), at=5)
        assert self.alerts([lasts, missed], snapshot(agent()), later) == []

    def test_hours_that_are_open_and_that_follow_each_other_clear_nothing(self) -> None:
        rule = StateLasts("lasts", AgentState.TALKING, longer_than=30, hours=Hours("00:00-24:00"))
        talking = snapshot(agent(state=AgentState.TALKING))
        assert self.alerts([rule], talking, until=3 * 86400) == [("lasts", "Raised", 30)]

    def test_a_named_queue_without_seats_has_no_agent_available(self) -> None:
        rule = Available("few", fewer_than=1, seats=SeatFilter(queues=["queue-2"]))
        assert self.alerts([rule], snapshot(agent())) == [("few", "Raised", 0)]

    def test_missed_calls_by_queue_and_their_name_by_agent(self) -> None:
        rules = [MissedCalls("by-queue", count=2, within=60, per="queue"), MissedCalls("by-agent", count=2, within=60)]
        evaluation = Evaluation(lambda: rules)
        before, after = (agent(name="Ann", no_answer_count=number) for number in (0, 2))
        evaluation.run([Look(0, snapshot(before)), Look(5, snapshot(after, at=5))], 5)
        assert [str(it) for it in evaluation.alerts] == [
            "queue-1: 2 calls missed within 1 min",
            "Ann (100001): 2 calls missed within 1 min",
        ]
