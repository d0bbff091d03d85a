"""Describes alerts in English and Chinese sentences."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

import attrs

from sipqueue_async import AgentState
from sipqueue_async._language import state_word
from sipqueue_async.alerts.rules import (
    SIGNED_IN,
    Available,
    FeedSilent,
    MissedCalls,
    NoAnswers,
    Occupancy,
    Rule,
    SignedOut,
    StateLasts,
)

_STATES_EN: Final = {
    **{state: str(state) for state in AgentState},
    AgentState.RECEIVING: "receiving a call",
    AgentState.UNKNOWN: "in an unknown state",
}
_STATES_ZH: Final = {
    **{state: state_word(state, "zh") for state in AgentState},
    AgentState.UNKNOWN: f"状态{state_word(AgentState.UNKNOWN, 'zh')}",
}


@attrs.frozen
class _Language:
    """The sentence templates of one language."""

    agent: str
    nameless: str
    in_queue: str
    all_queues: str
    over: Mapping[str, str]
    """The sentences of a cleared alert, by its reason."""
    feed_over: Mapping[str, str]
    """The sentences of the feed's cleared alert, by its reason."""
    states: Mapping[AgentState, str]
    signed_in: str
    """All states except offline."""
    state_lasts: str
    fewer: str
    more: str
    missed: str
    no_answers: str
    above: str
    below: str
    signed_out: str
    silent: str
    platform: str
    what: Mapping[str, str]
    """What each sentence says, without the subject and the duration, by the sentence's name."""
    more_alerts: str
    since: str
    units: tuple[str, str, str, str]
    """Days, hours, minutes, seconds."""
    joint: str
    comma: str
    or_: str


_LANGUAGES: Final = {
    "en": _Language(
        agent="{name} ({extension})",
        nameless="Extension {extension}",
        in_queue="{who} in {queue}",
        all_queues="All queues",
        over={
            "ended": "{who}: over after {time} ({rule})",
            "left": "{who}: left the queue after {time} ({rule})",
            "hours": "{who}: not over after {time}, but the hours of the rule have ended ({rule})",
            "rule": "{who}: no longer watched, after {time}, because the rules have changed ({rule})",
        },
        feed_over={
            "ended": "The platform can be reached again, after {time}",
            "hours": "The platform still cannot be reached after {time}, but the hours of the rule have ended ({rule})",
            "rule": "The platform: no longer watched, after {time}, because the rules have changed ({rule})",
        },
        states=_STATES_EN,
        signed_in="signed in",
        state_lasts="{who} has been {states} for {time}",
        fewer="{who}: {value} {states}, fewer than {limit}, for {time}",
        more="{who}: {value} {states}, more than {limit}, for {time}",
        missed="{who}: {value} call{plural} missed within {window}",
        no_answers="{who}: no call answered for {time} while agents wait",
        above="{who}: {share} of the time talking, above {limit}, over {window}",
        below="{who}: {share} of the time talking, below {limit}, over {window}",
        signed_out="{who} has not been signed in for {time}",
        silent="The platform cannot be reached, for {time}",
        platform="The platform",
        what={
            "state_lasts": "{states}",
            "fewer": "{value} {states}, fewer than {limit}",
            "more": "{value} {states}, more than {limit}",
            "missed": "{value} call{plural} missed within {window}",
            "no_answers": "no call answered while agents wait",
            "above": "{share} of the time talking, above {limit}, over {window}",
            "below": "{share} of the time talking, below {limit}, over {window}",
            "signed_out": "not signed in",
            "silent": "cannot be reached",
        },
        more_alerts="and {number} more",
        since="since {time}",
        units=("{} d", "{} h", "{} min", "{} s"),
        joint=" ",
        comma=", ",
        or_=" or ",
    ),
    "zh": _Language(
        agent="{name}（{extension}）",
        nameless="分机 {extension}",
        in_queue="队列 {queue}，{who}",
        all_queues="所有队列",
        over={
            "ended": "{who}：已恢复，持续了 {time}（{rule}）",
            "left": "{who}：已离开队列，持续了 {time}（{rule}）",
            "hours": "{who}：尚未恢复，已持续 {time}，但规则的生效时段已结束（{rule}）",
            "rule": "{who}：规则已变更，不再监测，此前已持续 {time}（{rule}）",
        },
        feed_over={
            "ended": "平台已恢复连接，中断了 {time}",
            "hours": "平台仍无法连接，已持续 {time}，但规则的生效时段已结束（{rule}）",
            "rule": "平台：规则已变更，不再监测，此前已持续 {time}（{rule}）",
        },
        states=_STATES_ZH,
        signed_in="已签入",
        state_lasts="{who}：{states}，已持续 {time}",
        fewer="{who}：{states} {value} 人，少于 {limit} 人，已持续 {time}",
        more="{who}：{states} {value} 人，多于 {limit} 人，已持续 {time}",
        missed="{who}：{window}内未接 {value} 个电话",
        no_answers="{who}：有坐席等待来电，但已有 {time}没有接听电话",
        above="{who}：{window}内通话占比 {share}，高于 {limit}",
        below="{who}：{window}内通话占比 {share}，低于 {limit}",
        signed_out="{who}：未签入任何队列，已持续 {time}",
        silent="无法连接平台，已持续 {time}",
        platform="平台",
        what={
            "state_lasts": "{states}",
            "fewer": "{states} {value} 人，少于 {limit} 人",
            "more": "{states} {value} 人，多于 {limit} 人",
            "missed": "{window}内未接 {value} 个电话",
            "no_answers": "有坐席等待来电，但没有接听电话",
            "above": "{window}内通话占比 {share}，高于 {limit}",
            "below": "{window}内通话占比 {share}，低于 {limit}",
            "signed_out": "未签入任何队列",
            "silent": "无法连接",
        },
        more_alerts="另有 {number} 条",
        since="始于 {time}",
        units=("{} 天", "{} 小时", "{} 分钟", "{} 秒"),
        joint=" ",
        comma="、",
        or_="或",
    ),
}

LANGUAGES: Final = tuple(_LANGUAGES)
"""The supported languages."""


class About(Protocol):
    """The attributes of an alert that a sentence uses."""

    @property
    def rule(self) -> Rule:
        """The rule."""
        ...

    @property
    def queue(self) -> str | None:
        """The queue, if the alert is about one."""
        ...

    @property
    def extension(self) -> str | None:
        """The extension, if the alert is about one."""
        ...

    @property
    def agent(self) -> str | None:
        """The agent's name."""
        ...

    @property
    def value(self) -> float:
        """The rule's figure."""
        ...

    @property
    def since(self) -> datetime:
        """When the condition began."""
        ...

    @property
    def at(self) -> datetime:
        """When the alert was raised or cleared."""
        ...


def raised(alert: About, language: str) -> str:
    """Return the sentence for a raised alert."""
    words = _words(language)
    name, values = _form(alert.rule, alert.value, words)
    time = _duration((alert.at - alert.since).total_seconds(), words)
    form: str = getattr(words, name)
    return form.format(who=_who(alert, words), time=time, **values)


def who(alert: About, language: str) -> str:
    """Return the subject of an alert."""
    return _who(alert, _words(language))


def what(alert: About, language: str) -> str:
    """Return what a raised alert says about its subject, without the duration."""
    words = _words(language)
    name, values = _form(alert.rule, alert.value, words)
    return words.what[name].format(**values)


def and_more(number: int | str, language: str) -> str:
    """Return the words for further alerts: ``and 3 more``."""
    return _words(language).more_alerts.format(number=number)


def since(time: str, language: str) -> str:
    """Return the words for the beginning of a condition: ``since 14:03``."""
    return _words(language).since.format(time=time)


def cleared(alert: About, reason: str, language: str) -> str:
    """Return the sentence for a cleared alert."""
    words = _words(language)
    time = _duration((alert.at - alert.since).total_seconds(), words)
    forms = words.feed_over if isinstance(alert.rule, FeedSilent) else words.over
    return forms[reason].format(who=_who(alert, words), time=time, rule=alert.rule.name)


def describe(alert: About, language: str) -> tuple[str, str]:
    """Return the subject of an alert, and how long its condition has lasted."""
    words = _words(language)
    return _who(alert, words), _duration((alert.at - alert.since).total_seconds(), words)


def _form(rule: Rule, value: float, words: _Language) -> tuple[str, dict[str, str]]:
    """Return the name of a rule's sentence, and its values besides the subject and the duration."""
    match rule:
        case StateLasts():
            return "state_lasts", {"states": _states(rule.states, words)}
        case Available():
            name, limit = ("more", rule.more_than) if rule.fewer_than is None else ("fewer", rule.fewer_than)
            return name, {"states": _states(rule.states, words), "value": f"{value:g}", "limit": str(limit)}
        case MissedCalls():
            plural = "" if value == 1 else "s"
            return "missed", {"value": f"{value:g}", "plural": plural, "window": _duration(rule.within, words)}
        case Occupancy():
            name, share = ("below", rule.below) if rule.above is None else ("above", rule.above)
            return name, {"share": f"{value:.0%}", "limit": f"{share:.0%}", "window": _duration(rule.within, words)}
        case _:
            names: dict[type[Rule], str] = {NoAnswers: "no_answers", SignedOut: "signed_out", FeedSilent: "silent"}
            return names[type(rule)], {}


def _words(language: str) -> _Language:
    if language not in _LANGUAGES:
        raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, not {language!r}")
    return _LANGUAGES[language]


def _who(alert: About, words: _Language) -> str:
    queue, extension, agent = alert.queue, alert.extension, alert.agent
    if isinstance(alert.rule, FeedSilent):
        return words.platform
    if extension is None:
        return words.all_queues if queue is None else queue
    form = words.agent if agent else words.nameless
    who = form.format(name=agent, extension=extension)
    return who if queue is None else words.in_queue.format(queue=queue, who=who)


def _states(states: frozenset[AgentState], words: _Language) -> str:
    if states == frozenset(SIGNED_IN):
        return words.signed_in
    *most, last = [words.states[state] for state in AgentState if state in states]
    return words.or_.join([words.comma.join(most), last] if most else [last])


def _duration(seconds: float, words: _Language) -> str:
    """Return a duration in its two largest units: ``1 h 5 min``."""
    rest = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in zip((86400, 3600, 60, 1), words.units, strict=True):
        number, rest = divmod(rest, size)
        if number:
            parts.append(unit.format(number))
    return words.joint.join(parts[:2]) or words.units[-1].format(0)
