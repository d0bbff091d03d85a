"""Rules in a TOML file: each kind, each key, and what the errors say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sipqueue_async import AgentState, SeatFilter
from sipqueue_async.alerts import (
    SIGNED_IN,
    AlertCleared,
    AlertRaised,
    Available,
    Destination,
    FeedSilent,
    Hours,
    MissedCalls,
    NoAnswers,
    Occupancy,
    RulesFile,
    SignedOut,
    StateLasts,
    hours,
    minutes,
    read_rules,
)
from tests.kit.builders import START

DOCS = Path(__file__).parents[2] / "docs"


def example(page: str) -> str:
    """Return the page's first rules file."""
    blocks = re.findall(r"^```toml\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return next(str(it) for it in blocks if "kind" in it)


EXAMPLE = example("alerts.md")
WEEK = Hours("Mon-Fri 09:00-17:30", "Asia/Shanghai")


def read(folder: Path, text: str) -> RulesFile:
    (folder / "rules.toml").write_text(text, encoding="utf-8")
    return read_rules(folder / "rules.toml")


def test_the_example_of_every_kind_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, EXAMPLE)
    assert found.language == "en"
    assert {rule.name: rule for rule in found.rules} == {
        rule.name: rule
        for rule in (
            StateLasts("long-talk", AgentState.TALKING, longer_than=minutes(10), repeat_every=minutes(10)),
            Available("nobody-free", fewer_than=1, lasting=30, clear_after=30, seats=SeatFilter("queue-1")),
            Available("few-signed-in", fewer_than=3, states=SIGNED_IN, lasting=minutes(5), per="all", hours=WEEK),
            MissedCalls("missed", count=3, within=minutes(5), per="agent"),
            NoAnswers("no-answers", longer_than=minutes(15), hours=WEEK, unless="nobody-free"),
            Occupancy("overloaded", above=0.9, within=hours(1), seats=SeatFilter(["queue-1", "queue-2"])),
            SignedOut("desk-empty", extensions=["100001", "100002"], longer_than=minutes(5), hours=WEEK),
            FeedSilent("platform-away", lasting=30),
        )
    }


def test_the_chinese_page_has_the_same_rules_with_texts_in_chinese(tmp_path: Path) -> None:
    found = read(tmp_path, example("alerts.zh.md"))
    assert found.language == "zh"
    assert found.rules == read(tmp_path, EXAMPLE).rules


def test_a_rule_has_its_own_zone_and_several_states(tmp_path: Path) -> None:
    text = """\
language = "zh"
[rules.away]
kind = "state-lasts"
states = ["paused", "idle"]
longer_than = "1.5 h"
hours = "22:00-06:00"
timezone = "Europe/Berlin"
extensions = "100001"
"""
    states = [AgentState.PAUSED, AgentState.IDLE]
    night = Hours("22:00-06:00", "Europe/Berlin")
    rule = StateLasts("away", states, longer_than=5400, hours=night, seats=SeatFilter(extensions="100001"))
    assert read(tmp_path, text) == RulesFile(rules=(rule,), language="zh")


AWAY = '[rules.f]\nkind = "feed-silent"\n'
MISSED = '[rules.m]\nkind = "missed-calls"\n'
AVAILABLE = '[rules.a]\nkind = "available"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it has no rules: write at least one table such as [rules.away], with its kind"),
        ("rules = 3", "rules: write each as a table of its own, such as [rules.first]"),
        ("[[rules]]", "rules: write each as a table of its own, such as [rules.first]"),
        ("rules.a = 1", "rules: write each as a table of its own, such as [rules.first]"),
        ("rule = 3", "rule: there is no such key here; there are language, timezone, rules, "),
        ('language = "fr"', "language: write one of en, zh, not 'fr'"),
        ("language = 3", "language: write a text in quotes, not 3"),
        ('timezone = "Mars/Base"', "timezone: there is no time zone named 'Mars/Base'"),
        ("[rules.a]", "[rules.a] has no kind: write one of state-lasts, available, "),
        ('[rules.a]\nkind = "free"', "[rules.a] kind: write one of state-lasts, available, "),
        (MISSED + 'within = "5 min"', "[rules.m] needs the key count"),
        (MISSED + 'within = "5 min"\ncount = 2.5', "[rules.m] count: write a whole number, not 2.5"),
        (MISSED + 'within = "5 min"\ncount = 0', "[rules.m]: count of the rule 'm' must be a whole number, 1 or more"),
        (MISSED + "within = 5", "[rules.m] within: write a time with its unit, such as"),
        (MISSED + 'within = "5 m"', "[rules.m] within: write a time with its unit, such as"),
        (MISSED + 'within = "-5 s"', "[rules.m] within: write a time with its unit, such as"),
        (MISSED + 'within = "367 d"', "[rules.m] within: write at most 366 d, not '367 d'"),
        (MISSED + 'lasting = "5 s"', "[rules.m] lasting: there is no such key here; there are kind, unless, "),
        (AVAILABLE + "fewer_than = 1\nmore_than = 3", "[rules.a]: the rule 'a' needs one limit"),
        (AVAILABLE + 'states = "busy"', "[rules.a] states: write some of idle, waiting, "),
        (AVAILABLE + "states = []", "[rules.a] states: write a text, or a list of texts, none of them empty, not []"),
        (AVAILABLE + 'queues = ["a", 1]', "[rules.a] queues: write a text, or a list of texts, "),
        (AVAILABLE + 'timezone = "UTC"\nfewer_than = 1', "[rules.a] timezone: it needs the key hours"),
        (AVAILABLE + 'hours = "9-17"\nfewer_than = 1', "[rules.a] hours: '9-17' is not a span of the week; write"),
        (AVAILABLE + 'fewer_than = 1\nunless = "b"', "[rules]: the rule 'a' names 'b' in unless, but there is no such"),
        ('[rules.o]\nkind = "occupancy"\nabove = true', "[rules.o] above: write a share from 0 to 1, such as 0.85"),
        (AWAY + 'raised = "{who"', "[rules.f] raised: a brace has no partner; write {{ or }} for a brace itself"),
        (AWAY + 'cleared = "{who.x}"', "[rules.f] cleared: there is no value {who.x}; there are {who}, {time}, "),
        (AWAY + 'raised = "{value:999999d}"', "[rules.f] raised: a value is written without a format: {value}"),
        (AWAY + "[destinations.d]", "[destinations.d] needs either url or url_from, the environment variable"),
        (AWAY + '[destinations.d]\nurl = "a"\nurl_from = "B"', "[destinations.d] needs either url or url_from"),
        (AWAY + '[destinations.d]\nurl_from = "json://hidden"', "[destinations.d] url_from: write the name of an env"),
        (AWAY + "[destinations.d]\nurl_from = ['hidden']", "[destinations.d] url_from: write the name of an env"),
        (AWAY + '[destinations.d]\nurl = ["json://hidden"]', "[destinations.d] url: write one text in quotes"),
        (
            AWAY + '[destinations.d]\nto = "hidden"',
            "[destinations.d] to: there is no such key here; there are url, url_f",
        ),
        ('[rules.f]\nkind = "feed-silent"\nqueues = "a"', "[rules.f] queues: there is no such key here; there are"),
    ],
)
def test_an_error_names_the_file_the_table_and_the_key(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'rules.toml'}: {message}")) as caught:
        read(tmp_path, text)
    assert "hidden" not in str(caught.value)


def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(ValueError, match=r"rules\.toml cannot be read: No such file"):
        read_rules(path)
    with pytest.raises(ValueError, match=r"rules\.toml is not valid TOML: .*line 2"):
        read(tmp_path, "[rules.a]\nkind = feed")
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match="it is not UTF-8"):
        read_rules(path)


def test_destinations_are_read_and_their_urls_are_not_shown(tmp_path: Path) -> None:
    text = '[destinations.a]\nurl = "json://secret"\n[destinations.b]\nurl_from = "B"\nretry_for = "1 d"\n'
    found = read(tmp_path, AWAY + text)
    assert found.destinations == (
        Destination(name="a", url="json://secret"),
        Destination(name="b", url_from="B", retry_for=86400),
    )
    assert "secret" not in repr(found)


def test_a_rule_has_texts_of_its_own_and_values_are_not_interpreted(tmp_path: Path) -> None:
    text = """\
language = "zh"
[rules.talk]
kind = "state-lasts"
states = "talking"
longer_than = "10 min"
raised = "{who} {{{agent}}} {queue}/{extension} {rule} {value} {time}"
"""
    found = read(tmp_path, text)
    about: dict[str, Any] = {
        "rule": found.rules[0],
        "id": "1",
        "queue": "queue-1",
        "extension": "100001",
        "agent": "{rule}",
        "since": START,
        "at": START + minutes(10),
        "value": 600.0,
        "approximate": False,
    }
    raised, cleared = AlertRaised(**about), AlertCleared(**about, raised_at=START)
    assert found.text(raised) == "队列 queue-1，{rule}（100001） {{rule}} queue-1/100001 talk 600 10 分钟"
    assert found.text(cleared) == cleared.text("zh")
