"""Rules: what they take, and what they say of what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sipqueue_async import AgentState, SeatFilter
from sipqueue_async.alerts import (
    AlertState,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
    hours,
    minutes,
    seconds,
)


def test_durations_are_seconds_or_timedeltas() -> None:
    for long in (7200, hours(2), minutes(120), seconds(7200), timedelta(hours=2)):
        assert StateLasts("rule", "talking", longer_than=long).longer_than == 7200.0


def test_one_name_stands_for_several() -> None:
    assert SignedOut("rule", extensions="100001").extensions == ("100001",)
    assert FeedSilent("rule", unless="other").unless == ("other",)
    assert StateLasts("rule", AgentState.PAUSED, longer_than=1).states == {AgentState.PAUSED}
    assert StateLasts("rule", ["paused", "idle"], longer_than=1).states == {AgentState.PAUSED, AgentState.IDLE}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: StateLasts("", "talking", longer_than=1), "name of the rule '' must not be empty"),
        (lambda: StateLasts("r", "taking", longer_than=1), "there is no state 'taking': use one of idle, waiting"),
        (lambda: StateLasts("r", [], longer_than=1), "states of the rule 'r' must not be empty"),
        (lambda: StateLasts("r", "talking", longer_than=-1), "longer_than of the rule 'r' must be 0 or more seconds"),
        (lambda: StateLasts("r", "talking", longer_than=float("nan")), "longer_than of the rule 'r'"),
        (lambda: FeedSilent("r", repeat_every=0), "repeat_every of the rule 'r' must be more than 0"),
        (lambda: FeedSilent("r", clear_after=-1), "clear_after of the rule 'r' must be 0 or more"),
        (lambda: Available("r"), "the rule 'r' needs one limit: either fewer_than or more_than"),
        (lambda: Available("r", fewer_than=1, more_than=3), "the rule 'r' needs one limit"),
        (lambda: Available("r", fewer_than=0), "fewer_than of the rule 'r' must be a whole number, 1 or more"),
        (lambda: Available("r", more_than=True), "more_than of the rule 'r' must be a whole number"),
        (lambda: Available("r", fewer_than=1, per="agent"), "per of the rule 'r' must be one of queue, all"),
        (lambda: MissedCalls("r", count=0, within=1), "count of the rule 'r' must be a whole number"),
        (lambda: MissedCalls("r", count=1, within=0), "within of the rule 'r' must be more than 0"),
        (lambda: NoAnswers("r", longer_than=0), "longer_than of the rule 'r' must be more than 0"),
        (lambda: Occupancy("r", within=60), "the rule 'r' needs one limit: either above or below"),
        (lambda: Occupancy("r", within=60, above=1.5), "above of the rule 'r' must be a share from 0 to 1"),
        (lambda: SignedOut("r", extensions=[]), "extensions of the rule 'r' must not be empty"),
    ],
)
def test_an_invalid_rule_is_refused(make: Callable[[], Rule], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"longer_than": "10"}, "a duration must be a timedelta or a number of seconds"),
        ({"longer_than": True}, "a duration must be a timedelta or a number of seconds"),
        ({"seats": "sales"}, "seats of the rule 'rule' must be of the class SeatFilter, not 'sales'"),
        ({"hours": "9-5"}, "hours of the rule 'rule' must be of the class Hours, not '9-5'"),
    ],
)
def test_other_types_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        StateLasts("rule", "talking", **{"longer_than": 1, **fields})


@pytest.mark.parametrize(
    ("rules", "error", "reason"),
    [
        ([FeedSilent("a"), FeedSilent("a")], ValueError, "two rules have the name 'a'"),
        ([FeedSilent("a", unless="b")], ValueError, "the rule 'a' names 'b' in unless, but there is no such rule"),
        ([FeedSilent("a", unless="b"), FeedSilent("b", unless="a")], ValueError, "in a cycle: 'a', 'b'"),
        ([SeatFilter()], TypeError, "is not one of the rules: StateLasts, Available"),
        ([Rule("a")], TypeError, "is not one of the rules"),
    ],
)
def test_rules_that_do_not_go_together_are_refused(rules: list[Any], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        AlertState(rules)


def test_rules_come_after_those_that_they_wait_for() -> None:
    rules = [FeedSilent("a", unless=("c", "b")), FeedSilent("b", unless="c"), FeedSilent("c")]
    assert [rule.name for rule in AlertState(rules).rules] == ["c", "b", "a"]
