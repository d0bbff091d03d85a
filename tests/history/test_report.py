"""Reports: their rows are exact, whichever part comes from stored sums and whichever from updates."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import AgentState, SeatFilter, SeatKey
from sipqueue_async.history.buckets import BY, By, buckets
from sipqueue_async.history.figures import Figures
from sipqueue_async.history.report import Report, StoredDay, make_report
from tests.kit.builders import agent, snapshot
from tests.kit.days import Day, days
from tests.kit.history import Memory, shifted

pytestmark = pytest.mark.one_python

ZONES = [UTC, *map(ZoneInfo, ("Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"))]
BERLIN = ZONES[1]
ALL = SeatFilter()
STARTS = st.sampled_from(
    [
        datetime(2026, 1, 5, 7, 59, 30, tzinfo=UTC),
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 10, 24, 22, 30, tzinfo=UTC),
        datetime(2026, 4, 4, 14, tzinfo=UTC),
        datetime(2026, 10, 3, 15, 15, tzinfo=UTC),
    ]
)
"""Times before the clocks of some zone change, and one of no such day."""


@st.composite
def records(draw: st.DrawFn) -> tuple[Memory, datetime, datetime]:
    """Return a record, and a span that begins and ends near it or in it."""
    day = shifted(draw(days()), draw(STARTS))
    memory = Memory(day, open_hours=draw(st.integers(0, 2)))
    whole = int((memory.last - memory.first).total_seconds())
    at = st.integers(-3600, whole + 3600) | st.sampled_from([0, whole])
    since, until = sorted((draw(at), draw(at)))
    return memory, memory.first + timedelta(seconds=since), memory.first + timedelta(seconds=until)


def whole_of(memory: Memory, since: datetime, until: datetime, by: By, zone: Any) -> dict[str, Figures]:
    """Return a report's figures by label, folded from the first update to the last without any stored sum."""
    inclusive = until > memory.last
    since, until = max(since, memory.first), min(until, memory.last)
    if since >= until:
        return {}
    spans = buckets(since, until, by, zone)
    taken = memory.figures([since, *(it.end for it in spans)], inclusive=inclusive)[1:]
    found: dict[str, Figures] = {}
    for span, seats in zip(spans, taken, strict=True):
        for key, figures in seats.items():
            label = {"queue": key.queue, "agent": f"{key.queue} {key.extension}"}.get(by, span.label)
            found[label] = found.get(label, Figures()) + figures
    return found


@given(records(), st.sampled_from(BY), st.sampled_from(ZONES))
async def test_rows_are_exact(record: tuple[Memory, datetime, datetime], by: By, zone: Any) -> None:
    """In any zone, for any span, by anything, the rows equal a fold of everything."""
    memory, since, until = record
    report = await make_report(memory, since, until, by=by, zone=zone, seats=ALL)
    expected = whole_of(memory, since, until, by, zone)
    found = {f"{row.queue} {row.extension}" if by == "agent" else row.label: row.figures for row in report.rows}
    assert {label: it for label, it in found.items() if it != Figures()} == expected
    assert report.total == sum(expected.values(), Figures())


@given(days().map(lambda day: shifted(day, datetime(2026, 1, 5, 7, 59, tzinfo=UTC))), st.sampled_from(BY))
async def test_the_total_equals_a_tally(day: Day, by: By) -> None:
    """Over the whole record, the total is what `Tally` counts in total."""
    memory = Memory(day)
    report = await make_report(memory, memory.first, memory.last + timedelta(hours=1), by=by, zone=BERLIN, seats=ALL)
    total = day.tally().total
    assert report.total.seconds == total.seconds()
    assert report.total.unseen_seconds == total.unseen()
    assert (report.total.answered, report.total.missed) == (total.calls_answered, total.calls_missed)


# ---- rows ------------------------------------------------------------------------------------------------------------

EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)
TALK = AgentState.TALKING


def polls(*states: tuple[int, str], queue: str = "sales") -> list[Any]:
    """Return polls of two agents, of which the first has these states at these minutes."""
    return [
        snapshot(agent("1", state, queue=queue, name="Ada"), agent("2", queue="挂号"), at=EIGHT + timedelta(minutes=at))
        for at, state in states
    ]


def memory_of(*states: tuple[int, str]) -> Memory:
    """Return the record of such polls."""
    return Memory(Day(polls(*states), [False] * (len(states) - 1)))


async def test_the_open_hour_is_folded_and_whole_hours_are_read() -> None:
    """A report of a whole day reads the updates of the hours that are cut or not yet stored only."""
    memory = memory_of((0, "waiting"), (90, "talking"), (150, "waiting"))
    report = await make_report(memory, EIGHT, EIGHT + timedelta(hours=2), by="hour", zone=UTC, seats=ALL)
    assert memory.asked == ["hours"]
    assert [(row.label, row.figures.talk_seconds) for row in report.rows] == [
        ("2026-01-05 08:00", 0),
        ("2026-01-05 09:00", 1800),
    ]
    report = await make_report(memory, EIGHT, EIGHT + timedelta(hours=9), by="agent", zone=UTC, seats=ALL)
    assert memory.asked == ["hours", "seats", "timeline"]
    assert report.until == EIGHT + timedelta(minutes=150)
    assert [(row.queue, row.label, row.name, row.figures.longest_talk_seconds) for row in report.rows] == [
        ("sales", "1", "Ada", 3600),
        ("挂号", "2", None, 0),
    ]


async def test_a_talk_that_began_before_the_span_has_its_full_length() -> None:
    """The length so far is stored for the beginning of each hour, so an earlier beginning counts too."""
    memory = memory_of((0, "waiting"), (10, "talking"), (100, "waiting"))
    since = EIGHT + timedelta(minutes=90)
    report = await make_report(memory, since, EIGHT + timedelta(hours=2), by="hour", zone=UTC, seats=ALL)
    (row,) = report.rows
    assert (row.figures.longest_talk_seconds, row.figures.talk_seconds) == (90 * 60, 10 * 60)


async def test_only_the_chosen_seats_count() -> None:
    """A filter applies to stored sums and to folded hours."""
    memory = memory_of((0, "waiting"), (150, "talking"))
    chosen = SeatFilter(queues="sales")
    for by in BY:
        report = await make_report(memory, EIGHT, EIGHT + timedelta(hours=9), by=by, zone=UTC, seats=chosen)
        assert report.total.signed_in_seconds == 9000
    report = await make_report(memory, EIGHT, EIGHT + timedelta(hours=9), by="queue", zone=UTC, seats=chosen)
    assert [(row.label, row.queue) for row in report.rows] == [("sales", "sales")]


async def test_hours_of_day_of_all_days_are_together() -> None:
    """Each hour of the day, by the zone's clocks, sums up all days."""
    memory = memory_of((0, "talking"), (24 * 60, "waiting"), (48 * 60, "talking"))
    until = EIGHT + timedelta(days=3)
    report = await make_report(memory, EIGHT, until, by="hour_of_day", zone=BERLIN, seats=SeatFilter(extensions="1"))
    assert [row.label for row in report.rows] == [f"{hour:02}:00" for hour in range(24)]
    assert {row.figures.talk_seconds for row in report.rows} == {3600.0}
    assert report.rows[0].start is report.rows[0].end is None


async def test_days_are_those_of_the_zone() -> None:
    """Rows begin and end at the zone's midnights."""
    memory = memory_of((0, "talking"), (24 * 60, "waiting"))
    report = await make_report(memory, EIGHT, EIGHT + timedelta(days=9), by="day", zone=ZONES[2], seats=ALL)
    first, second = report.rows
    assert (first.label, second.label) == ("2026-01-05", "2026-01-06")
    assert str(first.end) == str(second.start) == "2026-01-06 00:00:00+05:30"
    assert first.figures.talk_seconds == 10.5 * 3600


async def test_there_may_be_no_record() -> None:
    """A span before, after or without a record has no rows."""
    memory = memory_of((0, "waiting"), (150, "talking"))
    for since in (EIGHT - timedelta(days=2), EIGHT + timedelta(days=2)):
        report = await make_report(memory, since, since + timedelta(days=1), by="day", zone=UTC, seats=ALL)
        assert (report.rows, report.total) == ((), Figures())

    class Empty(Memory):
        async def covered(self) -> None:
            return None

    empty = Empty(Day(polls((0, "waiting"), (1, "waiting")), [False]))
    report = await make_report(empty, EIGHT, EIGHT, by="day", zone=UTC, seats=ALL)
    assert report == Report(by="day", zone=UTC, since=EIGHT, until=EIGHT, rows=(), total=Figures())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": "month"}, "by must be one of hour, day, week, queue, agent, hour_of_day, not 'month'"),
        ({"until": EIGHT - timedelta(1)}, "the end, 2026-01-04.*, is before the beginning, 2026-01-05"),
        ({"since": datetime(2026, 1, 5)}, "aware"),  # noqa: DTZ001
        ({"until": datetime(2026, 1, 9)}, "aware"),  # noqa: DTZ001
    ],
)
async def test_an_invalid_span_is_refused(change: dict[str, Any], message: str) -> None:
    """It is refused before anything is read."""
    memory = memory_of((0, "waiting"), (150, "talking"))
    arguments: dict[str, Any] = {"since": EIGHT, "until": EIGHT, "by": "day", **change}
    with pytest.raises(ValueError, match=message):
        await make_report(memory, arguments.pop("since"), arguments.pop("until"), zone=UTC, seats=ALL, **arguments)
    assert memory.asked == []


# ---- days whose hours were removed -----------------------------------------------------------------------------------

OLD = Figures(answered=5, elapsed={TALK: 60_000_000}, longest_talk=7_000_000)


def pruned() -> Memory:
    """Return a record of three days whose first day, of Berlin, is stored as a whole."""
    day = Day(polls((0, "waiting"), (24 * 60, "talking"), (48 * 60, "waiting")), [False, False])
    return Memory(day, removed=[StoredDay(date(2026, 1, 5), BERLIN, {SeatKey("sales", "1"): OLD})])


@pytest.mark.parametrize("by", ["day", "week", "queue", "agent"])
async def test_a_removed_day_counts_as_a_whole(by: By) -> None:
    """Its figures are added to those of the hours that follow."""
    until = EIGHT + timedelta(days=9)
    report = await make_report(pruned(), EIGHT - timedelta(days=9), until, by=by, zone=BERLIN, seats=ALL)
    assert report.total.answered == 5
    assert report.total.talk_seconds == 60 + 24 * 3600
    assert report.rows[0].figures.answered == 5


@pytest.mark.parametrize(
    ("by", "zone", "since"),
    [
        ("hour", BERLIN, EIGHT),
        ("hour_of_day", BERLIN, EIGHT),
        ("day", ZONES[2], EIGHT),
        ("agent", BERLIN, EIGHT + timedelta(hours=1)),
    ],
)
async def test_a_part_of_a_removed_day_is_refused(by: By, zone: Any, since: datetime) -> None:
    """Its hours are gone, so a part of it cannot be told; the message says what can."""
    with pytest.raises(ValueError, match=r"the hours of 2026-01-05 were removed, .* in the time zone Europe/Berlin"):
        await make_report(pruned(), since, EIGHT + timedelta(days=9), by=by, zone=zone, seats=ALL)


# ---- the spans of a zone ---------------------------------------------------------------------------------------------


def shown(by: By, zone: str, since: str, until: str) -> list[tuple[str, float]]:
    """Return the labels and lengths in hours of the spans between two local times."""
    place = ZoneInfo(zone)
    start, end = (datetime.fromisoformat(it).replace(tzinfo=place).astimezone(UTC) for it in (since, until))
    return [(it.label, (it.end - it.start) / timedelta(hours=1)) for it in buckets(start, end, by, place)]


@pytest.mark.parametrize(
    ("by", "zone", "since", "until", "expected"),
    [
        ("day", "Europe/Berlin", "2026-03-29", "2026-03-31", [("2026-03-29", 23), ("2026-03-30", 24)]),
        ("day", "Europe/Berlin", "2026-10-25", "2026-10-26", [("2026-10-25", 25)]),
        # Midnight does not exist: the day begins at 1:00.
        ("day", "Africa/Cairo", "2026-04-23", "2026-04-25", [("2026-04-23", 24), ("2026-04-24", 23)]),
        ("day", "Asia/Kolkata", "2026-01-05T12", "2026-01-06T12", [("2026-01-05", 12), ("2026-01-06", 12)]),
        ("week", "Europe/Berlin", "2025-12-31", "2026-01-12", [("2026-W01", 5 * 24), ("2026-W02", 7 * 24)]),
        ("week", "Europe/Berlin", "2026-03-23", "2026-03-30", [("2026-W13", 7 * 24 - 1)]),
        (
            "hour",
            "Asia/Kathmandu",
            "2026-01-05T09:45",
            "2026-01-05T11",
            [("2026-01-05 09:00", 0.25), ("2026-01-05 10:00", 1)],
        ),
        ("hour", "Europe/Berlin", "2026-03-29T01", "2026-03-29T04", [("2026-03-29 01:00", 1), ("2026-03-29 03:00", 1)]),
        (
            "hour",
            "Europe/Berlin",
            "2026-10-25T01:30",
            "2026-10-25T04",
            [
                ("2026-10-25 01:00", 0.5),
                ("2026-10-25 02:00 +0200", 1),
                ("2026-10-25 02:00 +0100", 1),
                ("2026-10-25 03:00", 1),
            ],
        ),
        # The clocks change by half an hour.
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-10-04T01",
            "2026-10-04T04",
            [("2026-10-04 01:00", 1), ("2026-10-04 02:00", 0.5), ("2026-10-04 03:00", 1)],
        ),
        (
            "hour",
            "Australia/Lord_Howe",
            "2026-04-05T01",
            "2026-04-05T03",
            [("2026-04-05 01:00 +1100", 1), ("2026-04-05 01:00 +1030", 0.5), ("2026-04-05 02:00", 1)],
        ),
        ("hour_of_day", "Europe/Berlin", "2026-10-25T02", "2026-10-25T03", [("02:00", 1), ("02:00", 1)]),
        ("agent", "Europe/Berlin", "2026-10-25", "2026-10-26", [("", 25)]),
        ("queue", "Europe/Berlin", "2026-10-25", "2026-10-25", []),
    ],
)
def test_spans_follow_the_clocks_of_the_zone(
    by: By, zone: str, since: str, until: str, expected: list[tuple[str, float]]
) -> None:
    """Days have 23 to 25 hours where the clocks change, and an hour that comes twice is two rows."""
    assert shown(by, zone, since, until) == expected
