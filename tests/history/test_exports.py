"""Parts of a history in files: they have what the history yields."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow import parquet

from sipqueue_async import Snapshot, StateChanged, TransportError
from sipqueue_async.history import History, export
from sipqueue_async.history.exports import CONTENTS, Content
from sipqueue_async.history.writers import FORMATS
from tests.kit.builders import START, agent, snapshot
from tests.kit.recording import record

pytestmark = pytest.mark.one_python

LATER = START + timedelta(days=1)
ANSWERED = datetime(2026, 1, 5, 16, 0, 9)  # noqa: DTZ001  # as a platform without a zone sends it


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """Return a history of every kind of event."""
    address = f"sqlite:///{tmp_path}/day.db"
    other = agent("2", queue="挂号")
    answers: list[Snapshot | BaseException] = [
        snapshot(agent("1", name="=Ada"), other, at=0),
        snapshot(agent("1", "talking", name="=Ada", calls_answered=2, last_answered_at=ANSWERED), other, at=10),
        TransportError("no route to host"),
        snapshot(
            agent("1", "talking", name="Bea", calls_answered=2, no_answer_count=1, last_answered_at=ANSWERED), at=30
        ),
        snapshot(agent("1", "paused", name="Bea", calls_answered=2, no_answer_count=1), agent("3"), at=90),
    ]
    # The poll after the outage may take two attempts.
    await record(address, [*answers, answers[-1]])
    return address


def rows(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV file."""
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


async def exported(url: str, content: Content, path: Path) -> list[dict[str, str]]:
    """Export the whole history as CSV."""
    async with History(url) as history:
        count = await export(history, content, path, START, LATER, zone=UTC)
    found = rows(path)
    assert len(found) == count
    return found


async def test_events_have_what_is_known_of_them(url: str, tmp_path: Path) -> None:
    """Each kind of event fills its own columns; events of the feed have no seat."""
    found = await exported(url, "events", tmp_path / "events.csv")
    kinds = {row["event"]: {name: value for name, value in row.items() if value and name != "event"} for row in found}
    at = "2026-01-05T08:00:10+00:00"
    assert kinds["call-answered"] == {
        "observed_at": at,
        "queue": "queue-1",
        "extension": "1",
        "name": "'=Ada",
        "before": "waiting",
        "after": "talking",
        "count": "2",
        "hidden_count": "1",
        "server_time": ANSWERED.isoformat(),
    }
    assert kinds["call-missed"]["count"] == "1"
    assert kinds["agent-changed"]["detail"] == "name"
    assert kinds["agent-left"]["queue"] == "挂号"
    assert kinds["agent-joined"]["extension"] == "3"
    assert kinds["feed-down"] == {"observed_at": at, "detail": "no route to host"}
    assert kinds["feed-up"]["detail"] == "after 20.000 s"
    assert kinds["state-changed"]["after"] == "paused"


async def test_calls_and_intervals_are_those_of_the_history(url: str, tmp_path: Path) -> None:
    """One row per call and per interval, in order."""
    calls = await exported(url, "calls", tmp_path / "calls.csv")
    assert [(row["extension"], row["outcome"], row["count"]) for row in calls] == [
        ("1", "answered", "2"),
        ("1", "missed", "1"),
    ]
    intervals = await exported(url, "intervals", tmp_path / "intervals.csv")
    talk = next(row for row in intervals if row["state"] == "talking")
    assert (talk["seconds"], talk["unseen_seconds"], talk["approximate"]) == ("0.000", "20.000", "no")


async def test_a_report_has_its_rows(url: str, tmp_path: Path) -> None:
    """A report has all figures; the total is their sum."""
    (row,) = await exported(url, "report", tmp_path / "report.csv")
    assert (row["label"], row["calls_answered"], row["answer_rate"]) == ("2026-01-05", "2", "0.6667")
    assert row["first_signed_in_at"] == "2026-01-05T08:00:00+00:00"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("content", CONTENTS)
async def test_everything_goes_into_every_format(content: Content, form: str, url: str, tmp_path: Path) -> None:
    """Every content fits every format, in this machine's zone by default; `progress` receives the number of rows."""
    path, counts = tmp_path / f"out.{form}", list[int]()
    async with History(url) as history:
        count = await export(history, content, path, START, LATER, queue="queue-1", progress=counts.append)
    # Of call records there are none.
    assert counts == ([count] if count else [])
    assert bool(count) == (content != "call_records")
    assert path.stat().st_size
    if form == "parquet":
        assert parquet.read_table(path).num_rows == count


async def test_many_rows_go_page_by_page(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are written page by page, so at most one page is in memory."""
    monkeypatch.setattr("sipqueue_async.history.exports.PAGE", 2)
    counts: list[int] = []
    async with History(url) as history:
        events = [it async for it in history.events(START, LATER, types=StateChanged, extension="3")]
        count = await export(history, "calls", tmp_path / "c.csv", START, LATER, zone=UTC, progress=counts.append)
        assert await export(history, "calls", tmp_path / "d.csv", LATER, LATER, progress=counts.append) == 0
    assert (events, counts, count) == ([], [2], 2)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("calls", "calls.txt", r"must end with \.csv, \.xlsx or \.parquet, .*: calls\.txt"),
        ("people", "people.csv", "content must be one of events, calls, intervals, report, call_records, not 'people'"),
    ],
)
async def test_an_unknown_format_or_content_is_refused(
    content: Content, name: str, message: str, url: str, tmp_path: Path
) -> None:
    """It is refused before any file is created."""
    async with History(url) as history:
        with pytest.raises(ValueError, match=message):
            await export(history, content, tmp_path / name, START, LATER)
    assert not (tmp_path / name).exists()
