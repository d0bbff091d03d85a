"""Events and records as text and as JSON; control characters in outside text are escaped."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from rich.cells import cell_len

from sipqueue_async import (
    AgentChanged,
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    SeatKey,
    Snapshot,
    StateChanged,
    TransportError,
    Update,
    diff,
)
from sipqueue_async._json_lines import KINDS, event_json
from sipqueue_async._text import harmless
from sipqueue_async.cli.terminal.lines import EventLines, clock, duration
from tests.kit.builders import START, agent, snapshot
from tests.kit.cli import Paper

KEY = SeatKey("queue-1", "100001")
ANSWERED_AT = datetime(2026, 1, 5, 9, 0, 1)  # noqa: DTZ001  # as sent
WAITING = agent(name="Ann")
TALKING = agent(state=AgentState.TALKING, name="Ann", calls_answered=1, last_answered_at=ANSWERED_AT)
ODD = agent(state=AgentState.UNKNOWN, name="Ann", status_code=None)
SEAT: dict[str, Any] = {"key": KEY, "observed_at": START}
STAMP = clock(START)

EVENTS: list[tuple[Event, str, dict[str, Any]]] = [
    (AgentJoined(**SEAT, agent=WAITING), "queue-1 100001 Ann  joined, waiting", {"event": "agent-joined"}),
    (AgentLeft(**SEAT, previous=TALKING), "queue-1 100001 Ann  left, was talking", {"event": "agent-left"}),
    (
        StateChanged(**SEAT, previous=WAITING, agent=TALKING, occurred_at=ANSWERED_AT),
        "queue-1 100001 Ann  waiting → talking",
        {
            "event": "state-changed",
            "before": "waiting",
            "after": "talking",
            "before_code": 1213,
            "after_code": 1215,
            "occurred_at": "2026-01-05T09:00:01",
        },
    ),
    (
        StateChanged(**SEAT, previous=WAITING, agent=ODD),
        "queue-1 100001 Ann  waiting → unknown 1208",
        {"after": "unknown", "after_code": 1208, "occurred_at": None},
    ),
    (
        CallAnswered(**SEAT, previous=WAITING, agent=TALKING, count=1, hidden=False),
        "queue-1 100001 Ann  answered a call",
        {"event": "call-answered", "count": 1, "answered_at": "2026-01-05T09:00:01", "hidden": False},
    ),
    (
        CallAnswered(**SEAT, previous=WAITING, agent=TALKING, count=3, hidden=True),
        "queue-1 100001 Ann  answered 3 calls between two polls",
        {"count": 3, "hidden": True, "hidden_count": 3},
    ),
    (
        CallAnswered(**SEAT, previous=WAITING, agent=TALKING, count=3, hidden=True, hidden_count=2),
        "queue-1 100001 Ann  answered 3 calls, 2 between two polls",
        {"hidden": True, "hidden_count": 2},
    ),
    (
        CallMissed(**SEAT, previous=WAITING, agent=WAITING, count=1),
        "queue-1 100001 Ann  missed a call",
        {"event": "call-missed", "count": 1, "offered_at": None},
    ),
    (CallMissed(**SEAT, previous=WAITING, agent=WAITING, count=2), "queue-1 100001 Ann  missed 2 calls", {"count": 2}),
    (
        AgentChanged(
            **SEAT,
            previous=WAITING,
            agent=agent(name="Bea", wrap_up_time=5, last_answered_at=ANSWERED_AT, status_code=1202),
            fields=frozenset({"name", "wrap_up_time", "last_answered_at", "status_code"}),
        ),
        (
            "queue-1 100001 Bea  last_answered_at none → 09:00:01, name Ann → Bea, status waiting → ringing, "
            "wrap_up_time none → 5"
        ),
        {
            "event": "agent-changed",
            "name": "Bea",
            "changes": {
                "last_answered_at": {"before": None, "after": "2026-01-05T09:00:01"},
                "name": {"before": "Ann", "after": "Bea"},
                "status_code": {"before": 1213, "after": 1202},
                "wrap_up_time": {"before": None, "after": 5},
            },
        },
    ),
    (
        FeedDown(error=TransportError("no\nroute"), since=START),
        f"feed down since {STAMP}: no route",
        {"event": "feed-down", "error": "no\nroute", "error_type": "TransportError", "since": START.isoformat()},
    ),
    (
        FeedDown(error=TransportError("no route"), since=None),
        "no status yet: no route",
        {"since": None, "observed_at": None},
    ),
    (
        FeedUp(observed_at=START, outage=timedelta(seconds=4.25), failures=1),
        "feed up after 4.2 s, 1 failed poll",
        {"event": "feed-up", "outage": 4.25, "failures": 1},
    ),
]


def update(events: Iterable[Event], after: Snapshot | None = None) -> Update:
    """Return an update with these events."""
    return Update(sequence=1, snapshot=after, previous=None, events=tuple(events))


def printed(
    events: Iterable[Event], *others: AgentStatus, verbose: bool = False, kinds: Collection[str] = ()
) -> list[str]:
    """Return the lines for an update with these events, in a snapshot that has other agents too."""
    lines = EventLines(verbose=verbose).lines(update(events, snapshot(*others)), START, kinds)
    return [line.plain for line in lines]


@pytest.mark.parametrize(("event", "story", "_"), EVENTS)
def test_every_event_has_a_line_of_time_seat_and_story(event: Event, story: str, _: object) -> None:
    (line,) = printed([event], verbose=True)
    assert line == f"{STAMP} {story}"


@pytest.mark.parametrize(("event", "_", "fields"), EVENTS)
def test_every_event_is_one_json_object_with_the_documented_fields(
    event: Event, _: object, fields: dict[str, Any]
) -> None:
    line = event_json(event)
    document = json.loads(line)
    assert document["v"] == 1
    assert fields.items() <= document.items()
    assert line.isascii()
    assert "\n" not in line


def test_json_has_whole_records_of_who_joined_and_who_left() -> None:
    joined, left = (json.loads(event_json(event)) for event, _, _ in EVENTS[:2])
    assert joined["agent"]["state"] == "waiting"
    assert left["previous"]["calls_answered"] == 1


def test_every_class_of_event_has_a_name() -> None:
    """The cases above contain every class of event."""
    assert {event.kind for event, _, _ in EVENTS} == set(KINDS)


def test_columns_stay_aligned_as_names_grow_wider() -> None:
    """Double-width characters count as two."""
    lines = EventLines()
    wide = snapshot(agent(queue="售后服务", name=None))
    first, second = (
        next(lines.lines(update(diff(None, after), after), START)).plain
        for after in (wide, snapshot(agent(queue="q", name="Ann")))
    )
    assert first == f"{STAMP} 售后服务 100001  joined, waiting"
    assert second == f"{STAMP} q        100001 Ann  joined, waiting"


@pytest.mark.parametrize(
    ("columns", "names", "expected"),
    [
        (50, ("Ann", "迪丽热巴·迪力木拉提"), "queue-1 100001 Ann  waiting → talking"),
        (40, ("Ann",), "queue-1 100001 Ann|         waiting → talking"),
        (30, ("迪丽热巴·迪力木拉提",), "queue-1 100001|         迪丽热巴·迪力木拉提|         waiting → talking"),
        (26, ("x" * 30, "Ann"), f"queue-1 100001|         {'x' * 16}…|         waiting → talking"),
    ],
)
def test_a_line_too_long_for_a_terminal_is_broken_between_its_columns(
    columns: int, names: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = EventLines(Paper(terminal=True).output(NO_COLOR="1"))
    lines.fit(agent(name=name) for name in names)
    before, after = snapshot(agent(name=names[0])), snapshot(agent(state="talking", name=names[0]), at=1)
    (line,) = (line.plain for line in lines.lines(update(diff(before, after), after), START))
    assert line.replace("\n", "|").split(" ", 1)[1] == expected
    assert max(map(cell_len, line.split("\n"))) <= columns


BEA = agent(name="Bea", wrap_up_time=5)
CALL: dict[str, Any] = {**SEAT, "previous": WAITING, "agent": TALKING}


@pytest.mark.parametrize(
    ("events", "elsewhere", "lines"),
    [
        (
            [StateChanged(**CALL), CallAnswered(**CALL, count=1, hidden=False)],
            WAITING,
            ["Ann  answered a call, waiting → talking"],
        ),
        ([StateChanged(**SEAT, previous=TALKING, agent=WAITING)], TALKING, []),
        ([StateChanged(**SEAT, previous=TALKING, agent=WAITING)], WAITING, ["Ann  talking → waiting"]),
        ([AgentChanged(**CALL, fields=frozenset({"last_answered_at", "status_code"}))], WAITING, []),
        (
            [
                AgentChanged(
                    **SEAT,
                    previous=WAITING,
                    agent=agent(name="Bea", wrap_up_time=5),
                    fields=frozenset({"name", "wrap_up_time"}),
                )
            ],
            WAITING,
            ["Bea  name Ann → Bea"],
        ),
    ],
)
def test_a_call_has_one_line_and_an_agents_queues_do_not_contradict_each_other(
    events: list[Event], elsewhere: AgentStatus, lines: list[str]
) -> None:
    """`elsewhere` is the same agent's record in another queue."""
    other = attrs.evolve(elsewhere, queue="queue-2")
    assert printed(events, other) == [f"{STAMP} queue-1 100001 {line}" for line in lines]
    assert len(printed(events, other, verbose=True)) == 1
    assert len(printed(events, other, kinds={event.kind for event in events})) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("售后", "售后"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb", r"a\nb"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
        ("wide\u3000space", "wide space"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
        ("\U0001f469\U0001f3fd\u200d\U0001f680", "\U0001f469\U0001f3fd\u200d\U0001f680"),
        ("\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f3f3\ufe0f\u200d\U0001f308"),
        ("a\u200db", r"a\u200db"),
        ("\U0001f469\u200d", "\U0001f469\\u200d"),
        ("\u200d\U0001f469", "\\u200d\U0001f469"),
    ],
)
def test_text_from_outside_is_shown_literally(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_markup_in_names_is_printed_as_it_is() -> None:
    paper = Paper()
    odd = snapshot(agent(name="[red]:smile:"))
    paper.output().lines(EventLines().lines(update(diff(None, odd), odd), START))
    assert "[red]:smile:" in paper.text


@pytest.mark.parametrize(("seconds", "words"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (3723.0, "1:02:03")])
def test_durations_are_easy_to_read(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize("day", [(1, 1, 1), (9999, 12, 31)])
@pytest.mark.parametrize("hours", [-14, 14])
def test_a_time_at_the_calendars_end_is_shown(day: tuple[int, int, int], hours: int) -> None:
    moment = datetime(*day, 0 if day[0] == 1 else 23, tzinfo=timezone(timedelta(hours=hours)))
    assert len(clock(moment)) == len("12:00:00")
