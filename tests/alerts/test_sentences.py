"""The sentences of each rule in each language, and the alerts as JSON."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from sipqueue_async import AgentState, SeatKey
from sipqueue_async.alerts import (
    SIGNED_IN,
    AlertCleared,
    AlertRaised,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
)
from tests.kit.builders import START

TALKS = StateLasts("long-talk", AgentState.TALKING, longer_than=600)


def raised(
    rule: Rule, lasted: float = 630, value: float = 3, queue: str | None = None, extension: str | None = None
) -> AlertRaised:
    at = START + timedelta(seconds=lasted)
    return AlertRaised(
        rule=rule,
        id="1",
        queue=queue,
        extension=extension,
        agent="<b>Ann</b>" if extension else None,
        since=START,
        at=at,
        value=value,
        approximate=False,
    )


@pytest.mark.parametrize(
    ("alert", "english", "chinese"),
    [
        (
            raised(TALKS, queue="sales", extension="100"),
            "<b>Ann</b> (100) in sales has been talking for 10 min 30 s",
            "队列 sales，<b>Ann</b>（100）：通话中，已持续 10 分钟 30 秒",
        ),
        (
            raised(Available("few", fewer_than=4, states=["waiting", "idle"]), queue="sales"),
            "sales: 3 idle or waiting, fewer than 4, for 10 min 30 s",
            "sales：空闲或等待来电 3 人，少于 4 人，已持续 10 分钟 30 秒",
        ),
        (
            raised(Available("many", more_than=2, states=SIGNED_IN[:-1]), lasted=0),
            "All queues: 3 idle, waiting, receiving a call, talking or paused, more than 2, for 0 s",
            "所有队列：空闲、等待来电、振铃、通话中或示忙 3 人，多于 2 人，已持续 0 秒",
        ),
        (
            raised(Available("few", fewer_than=9, states=SIGNED_IN), lasted=1),
            "All queues: 3 signed in, fewer than 9, for 1 s",
            "所有队列：已签入 3 人，少于 9 人，已持续 1 秒",
        ),
        (
            raised(StateLasts("odd", AgentState.UNKNOWN, longer_than=1), lasted=1, queue="sales", extension="100"),
            "<b>Ann</b> (100) in sales has been in an unknown state for 1 s",
            "队列 sales，<b>Ann</b>（100）：状态未知，已持续 1 秒",
        ),
        (
            raised(MissedCalls("missed", count=3, within=300), extension="100"),
            "<b>Ann</b> (100): 3 calls missed within 5 min",
            "<b>Ann</b>（100）：5 分钟内未接 3 个电话",
        ),
        (
            raised(MissedCalls("missed", count=1, within=300), value=1, queue="sales"),
            "sales: 1 call missed within 5 min",
            "sales：5 分钟内未接 1 个电话",
        ),
        (
            raised(NoAnswers("quiet", longer_than=600), queue="sales"),
            "sales: no call answered for 10 min 30 s while agents wait",
            "sales：有坐席等待来电，但已有 10 分钟 30 秒没有接听电话",
        ),
        (
            raised(Occupancy("busy", within=3600, above=0.85), value=0.9, queue="sales"),
            "sales: 90% of the time talking, above 85%, over 1 h",
            "sales：1 小时内通话占比 90%，高于 85%",
        ),
        (
            raised(Occupancy("idle", within=90000, below=0.1), value=0.05),
            "All queues: 5% of the time talking, below 10%, over 1 d 1 h",
            "所有队列：1 天 1 小时内通话占比 5%，低于 10%",
        ),
        (
            raised(SignedOut("absent", extensions="100"), extension="100"),
            "<b>Ann</b> (100) has not been signed in for 10 min 30 s",
            "<b>Ann</b>（100）：未签入任何队列，已持续 10 分钟 30 秒",
        ),
        (
            raised(FeedSilent("away")),
            "The platform cannot be reached, for 10 min 30 s",
            "无法连接平台，已持续 10 分钟 30 秒",
        ),
    ],
)
def test_a_sentence_says_who_what_and_for_how_long(alert: AlertRaised, english: str, chinese: str) -> None:
    assert str(alert) == english
    assert alert.text("zh") == chinese


def cleared(rule: Rule, reason: str = "ended", hours: float = 2, **fields: str) -> AlertCleared:
    return AlertCleared(
        rule=rule,
        id="1",
        queue=fields.get("queue"),
        extension=fields.get("extension"),
        agent=None,
        since=START,
        at=START + timedelta(hours=hours),
        value=7200,
        approximate=False,
        raised_at=START,
        reason=reason,  # type: ignore[arg-type]
    )


FEW = Available("nobody-free", fewer_than=1)
AWAY = FeedSilent("away")


@pytest.mark.parametrize(
    ("alert", "english", "chinese"),
    [
        (
            cleared(FEW, queue="sales"),
            "sales: over after 2 h (nobody-free)",
            "sales：已恢复，持续了 2 小时（nobody-free）",
        ),
        (
            cleared(TALKS, "left", queue="sales", extension="9"),
            "Extension 9 in sales: left the queue after 2 h (long-talk)",
            "队列 sales，分机 9：已离开队列，持续了 2 小时（long-talk）",
        ),
        (
            cleared(FEW, "hours", queue="sales"),
            "sales: not over after 2 h, but the hours of the rule have ended (nobody-free)",
            "sales：尚未恢复，已持续 2 小时，但规则的生效时段已结束（nobody-free）",
        ),
        (
            cleared(FEW, "rule"),
            "All queues: no longer watched, after 2 h, because the rules have changed (nobody-free)",
            "所有队列：规则已变更，不再监测，此前已持续 2 小时（nobody-free）",
        ),
        (cleared(AWAY), "The platform can be reached again, after 2 h", "平台已恢复连接，中断了 2 小时"),
        (
            cleared(AWAY, "hours"),
            "The platform still cannot be reached after 2 h, but the hours of the rule have ended (away)",
            "平台仍无法连接，已持续 2 小时，但规则的生效时段已结束（away）",
        ),
        (
            cleared(AWAY, "rule"),
            "The platform: no longer watched, after 2 h, because the rules have changed (away)",
            "平台：规则已变更，不再监测，此前已持续 2 小时（away）",
        ),
    ],
)
def test_a_clearing_says_why_and_how_long_it_lasted(alert: AlertCleared, english: str, chinese: str) -> None:
    assert str(alert) == english
    assert alert.text("zh") == chinese
    assert alert.lasted == timedelta(hours=2)


def test_a_duration_is_never_negative() -> None:
    """The wall clock may be set back while a condition lasts."""
    back = cleared(FEW, hours=-2)
    assert back.lasted == timedelta(0)
    assert str(back) == "All queues: over after 0 s (nobody-free)"


@pytest.mark.parametrize(
    ("alert", "english", "chinese"),
    [
        (
            raised(TALKS, queue="s", extension="1"),
            ("<b>Ann</b> (1) in s", "talking"),
            ("队列 s，<b>Ann</b>（1）", "通话中"),
        ),
        (
            raised(Available("few", fewer_than=4), queue="s"),
            ("s", "3 waiting, fewer than 4"),
            ("s", "等待来电 3 人，少于 4 人"),
        ),
        (
            raised(Available("many", more_than=2)),
            ("All queues", "3 waiting, more than 2"),
            ("所有队列", "等待来电 3 人，多于 2 人"),
        ),
        (
            raised(MissedCalls("missed", count=3, within=300)),
            ("All queues", "3 calls missed within 5 min"),
            ("所有队列", "5 分钟内未接 3 个电话"),
        ),
        (
            raised(NoAnswers("quiet", longer_than=600)),
            ("All queues", "no call answered while agents wait"),
            ("所有队列", "有坐席等待来电，但没有接听电话"),
        ),
        (
            raised(Occupancy("busy", within=3600, above=0.85), value=0.9),
            ("All queues", "90% of the time talking, above 85%, over 1 h"),
            ("所有队列", "1 小时内通话占比 90%，高于 85%"),
        ),
        (
            raised(Occupancy("idle", within=3600, below=0.1), value=0.05),
            ("All queues", "5% of the time talking, below 10%, over 1 h"),
            ("所有队列", "1 小时内通话占比 5%，低于 10%"),
        ),
        (
            raised(SignedOut("absent", extensions="1"), extension="1"),
            ("<b>Ann</b> (1)", "not signed in"),
            ("<b>Ann</b>（1）", "未签入任何队列"),
        ),
        (raised(FeedSilent("away")), ("The platform", "cannot be reached"), ("平台", "无法连接")),
    ],
)
def test_screens_show_who_and_what_without_the_duration(
    alert: AlertRaised, english: tuple[str, str], chinese: tuple[str, str]
) -> None:
    assert (alert.who(), alert.what()) == english
    assert (alert.who("zh"), alert.what("zh")) == chinese


def test_other_languages_are_refused() -> None:
    with pytest.raises(ValueError, match="language must be one of en, zh, not 'de'"):
        raised(TALKS).text("de")


def test_alerts_as_json() -> None:
    alert = raised(TALKS, queue="sales", extension="100")
    assert alert.key == SeatKey("sales", "100")
    assert raised(TALKS, queue="sales").key is None
    assert json.loads(json.dumps(alert.to_dict())) == {
        "alert": "raised", "rule": "long-talk", "id": "1", "queue": "sales", "extension": "100", "agent": "<b>Ann</b>",
        "since": START.isoformat(), "at": (START + timedelta(seconds=630)).isoformat(), "value": 3,
        "approximate": False, "text": str(alert), "repeat": 0,
    }  # fmt: skip
    over = cleared(TALKS).to_dict()
    assert (over["alert"], over["raised_at"], over["reason"]) == ("cleared", START.isoformat(), "ended")
