"""The printed figures of a day."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from sipqueue_async import AgentState, FeedDown, SeatFilter, Snapshot, TransportError, Update, diff
from sipqueue_async._text import no_formula
from sipqueue_async.cli.day import CSV_COLUMNS, Day, hours
from sipqueue_async.tally import Tally
from tests.kit.builders import START, agent, snapshot
from tests.kit.cli import Paper

TALKING = AgentState.TALKING


def a_day(*agents: Any, **choice: Any) -> Day:
    """Return a day on which all agents, by default one, talk after 100 seconds and wait again after another 50."""
    people = agents or (agent(name="Agent 01"),)
    steps = [
        snapshot(*people, at=0),
        snapshot(*(_changed(it, TALKING, calls_answered=2) for it in people), at=100),
        snapshot(*(_changed(it, AgentState.WAITING, calls_answered=2, no_answer_count=1) for it in people), at=150),
    ]
    tally = Tally(steps[0])
    for old, new in pairwise(steps):
        tally.update(Update(sequence=1, snapshot=new, previous=old, events=diff(old, new)))
    tally.advance(START + timedelta(seconds=200))
    return Day(tally, **choice)


def _changed(record: Any, state: AgentState, **fields: Any) -> Any:
    return agent(record.extension, state, queue=record.queue, name=record.name, **fields)


def printed(day: Day, *, terminal: bool = False) -> Paper:
    """Print a day."""
    paper = Paper(terminal=terminal)
    day.print(paper.output(TERM="xterm-256color"))
    return paper


def rows(day: Day) -> list[dict[str, str]]:
    """Return the rows of the CSV."""
    return list(csv.DictReader(io.StringIO(day.csv())))


def test_a_table_in_a_pipe_is_plain_and_whole() -> None:
    lines = [" ".join(line.split()) for line in printed(a_day()).lines]
    states = "idle waiting receiving talking paused"
    assert lines == [
        f"queue extension name {states} signed in occupancy answered missed",
        "queue-1 100001 Agent 01 0:00:00 0:02:30 0:00:00 0:00:50 0:00:00 0:03:20 25.0% 2 1",
        "",
        f"queue agents {states} signed in occupancy answered missed",
        "queue-1 1 0:00:00 0:02:30 0:00:00 0:00:50 0:00:00 0:03:20 25.0% 2 1",
        "total 1 0:00:00 0:02:30 0:00:00 0:00:50 0:00:00 0:03:20 25.0% 2 1",
        "",
        lines[-1],
    ]
    assert lines[-1].endswith(": 1 seat in 1 queue")
    assert max(map(len, printed(a_day(agent(name="x" * 200))).lines)) > 200


def test_a_terminal_gets_headings_that_stand_out_and_whole_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    lines = printed(a_day(agent(name="a long name" * 20), agent("7", name="小王")), terminal=True).lines
    assert lines[0].startswith("\x1b[1mqueue")
    assert "a long name" * 20 in lines[1]
    assert [line.startswith("\x1b[1mtotal") for line in lines[4:7]] == [False, False, True]


def test_columns_that_most_need_not_have_are_there_when_needed() -> None:
    people = [agent(state=AgentState.OFFLINE), agent("7", AgentState.UNKNOWN)]
    tally = Tally(snapshot(*people, at=0))
    known = snapshot(*people, at=60)
    down = FeedDown(error=TransportError("away"), since=known.observed_at)
    tally.update(Update(sequence=1, snapshot=known, previous=known, events=(down,)))
    back = snapshot(agent(), agent("7"), at=90)
    paper = printed(Day(tally))
    assert paper.lines[-1].endswith(f"the feed has been down since {known.observed_at.astimezone():%H:%M:%S}")
    assert "unseen" not in paper.text
    tally = Tally.from_json(tally.to_json())
    tally.update(Update(sequence=2, snapshot=back, previous=known, events=diff(known, back)))
    lines = [" ".join(line.split()) for line in printed(Day(tally)).lines]
    assert "paused offline unknown unseen signed in" in lines[0]
    assert lines[1].endswith("0:01:00 0:00:00 0:00:30 0:00:00 0 0")
    assert rows(Day(tally))[0]["occupancy"] == ""
    assert json.loads(Day(tally).json())["agents"][0]["occupancy"] is None


def test_names_are_printed_as_they_are_and_do_no_harm() -> None:
    text = printed(a_day(agent(name="\x1b[31m[red]", queue="a\nb"))).text
    assert r"\x1b[31m[red]" in text
    assert r"a\nb" in text
    assert "\x1b" not in text


def test_agents_who_left_are_included_and_filters_apply_to_sums() -> None:
    """An agent who left is included; a filter also applies to the sums."""
    people = (agent("1"), agent("2"), agent("1", queue="b"))
    assert len(rows(a_day(*people))) == 3
    assert [row["extension"] for row in rows(a_day(*people, seats=SeatFilter("queue-1")))] == ["1", "2"]
    chosen = a_day(*people, seats=SeatFilter("queue-1", "1"))
    assert [(row["queue"], row["extension"]) for row in rows(chosen)] == [("queue-1", "1")]
    assert (len(chosen.queues), chosen.total.answered) == (1, 2)
    tally = Tally(snapshot(*people, at=0))
    gone = snapshot(at=50)
    tally.update(Update(sequence=1, snapshot=gone, previous=None, events=diff(snapshot(*people), gone)))
    assert {(row["present"], row["waiting_seconds"]) for row in rows(Day(tally))} == {("no", "50.000")}


def test_nobody_is_told_in_words() -> None:
    """An empty call centre has a sentence instead of tables."""
    assert [line.partition(": ")[2] for line in printed(Day(Tally(snapshot(at=0)))).lines] == ["no agents"]
    assert printed(Day(Tally())).lines == ["nothing was seen"]


def test_csv_has_the_documented_columns() -> None:
    [row] = rows(a_day())
    assert tuple(row) == CSV_COLUMNS
    assert {
        "queue": "queue-1",
        "extension": "100001",
        "name": "Agent 01",
        "present": "yes",
        "state": "waiting",
        "calls_answered": "2",
        "calls_missed": "1",
        "waiting_seconds": "150.000",
        "talking_seconds": "50.000",
        "unseen_seconds": "0.000",
        "signed_in_seconds": "200.000",
        "occupancy": "0.2500",
        "started_at": "2026-01-05T08:00:00+00:00",
        "observed_at": "2026-01-05T08:03:20+00:00",
    }.items() <= row.items()
    assert Day(Tally()).csv() == ",".join(CSV_COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+86 21", "'+86 21"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\u3000=1", "' =1"),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠a", "'＠a"),
        ("﹢1", "'﹢1"),
        ("﹣1", "'﹣1"),
        ("﹦1", "'﹦1"),
        ("﹫a", "'﹫a"),
        ("⁺1", "'⁺1"),
        ("₌1", "'₌1"),
        ("\u22121", "'\u22121"),
        ("⩵1", "'⩵1"),
        ("a;=1+1", "a;'=1+1"),
        ("a; =1;b;-2", "a;' =1;b;'-2"),
        ('a;"=1+1"', 'a;\'"=1+1"'),
        ('"=1', "'\"=1"),
        ("a; b", "a; b"),
        (";", ";"),
        ("\t=1", r"\t=1"),
        ("\r\n=1", r"\r\n=1"),
        ("1-2=3", "1-2=3"),
        ('say "hi", now', 'say "hi", now'),
        ("小王", "小王"),
        ("", ""),
    ],
)
def test_no_name_is_a_formula(name: str, cell: str) -> None:
    assert no_formula(name) == cell
    [row] = rows(a_day(agent(name=name, queue=f"{name}x")))
    assert (row["name"], row["queue"]) == (cell, no_formula(f"{name}x"))


def test_json_is_one_documented_object() -> None:
    text = a_day(agent(name="小王"), agent("7", queue="b")).json()
    assert text.isascii()
    assert "\n" not in text
    document = json.loads(text)
    assert list(document) == ["v", "started_at", "observed_at", "agents", "queues", "total"]
    figures = {"calls_answered", "calls_missed", "seconds", "unseen_seconds", "signed_in_seconds", "occupancy"}
    assert document["agents"][1].keys() == figures | {
        "queue",
        "extension",
        "name",
        "present",
        "state",
        "since",
        "approximate",
    }
    assert [(it["queue"], it["agents"]) for it in document["queues"]] == [("b", 1), ("queue-1", 1)]
    assert document["queues"][0].keys() == figures | {"queue", "agents"}
    assert document["total"].keys() == figures | {"agents"}
    assert document["total"]["seconds"] == {
        **{state.value: 0.0 for state in AgentState},
        "waiting": 300.0,
        "talking": 100.0,
    }
    assert (document["total"]["occupancy"], document["agents"][1]["since"]) == (0.25, "2026-01-05T08:02:30+00:00")
    assert json.loads(Day(Tally()).json())["started_at"] is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (3599.4, "0:59:59"), (29105, "8:05:05"), (360000, "100:00:00")],
)
def test_time_is_shown_in_hours(seconds: float, shown: str) -> None:
    assert hours(seconds) == shown


def test_the_figures_are_those_of_that_moment() -> None:
    tally = Tally(snapshot(agent(), at=0))
    day = Day(tally)
    tally.advance(START + timedelta(seconds=10))
    assert day.total.signed_in == 0
    assert isinstance(tally.snapshot, Snapshot)
