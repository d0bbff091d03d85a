"""Reports of a database: the same figures as a tally that followed the feed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert

from sipqueue_async import AgentState, SeatKey, Snapshot, TransportError, Update
from sipqueue_async.history import Figures, History, schema
from sipqueue_async.history.buckets import BY, By
from sipqueue_async.history.history import store_of
from sipqueue_async.history.store import figure_values
from sipqueue_async.tally import Tally
from tests.kit.builders import START, agent, snapshot
from tests.kit.recording import record

pytestmark = pytest.mark.one_python

LATER = START + timedelta(days=30)
BERLIN = ZoneInfo("Europe/Berlin")


def day() -> list[Snapshot | BaseException]:
    """Return answers over five hours, with an outage over the end of an hour."""
    minutes = [(0, "waiting"), (50, "talking"), (75, "waiting"), (100, "offline"), (190, "talking"), (300, "paused")]
    answers: list[Snapshot | BaseException] = [
        snapshot(
            agent("1", state, queue="sales", name="Ada", calls_answered=at // 60, no_answer_count=at // 100),
            agent("2", "waiting", queue="挂号"),
            at=60.0 * at,
        )
        for at, state in minutes
    ]
    answers[4:4] = [TransportError("no route to host")] * 2
    return answers


async def recorded(url: str) -> list[Update]:
    """Record the day."""
    return await record(url, day(), baseline=None)


def tally_of(updates: Sequence[Update]) -> Tally:
    """Return what the updates come to."""
    tally = Tally()
    for update in updates:
        tally.update(update)
    return tally


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """Return a database in which the day is recorded."""
    address = f"sqlite:///{tmp_path}/day.db"
    await recorded(address)
    return address


@pytest.mark.parametrize("by", BY)
async def test_a_report_equals_the_tally(by: By, tmp_path: Path) -> None:
    """The totals of all kinds of report agree; an outage is unseen time."""
    address = f"sqlite:///{tmp_path}/day.db"
    total = tally_of(await recorded(address)).total
    async with History(address) as history:
        report = await history.report(START - timedelta(days=1), LATER, by=by, zone=BERLIN)
    assert (report.since, report.until) == (START, START + timedelta(hours=5))
    assert report.total.seconds == total.seconds()
    assert report.total.unseen_seconds == total.unseen() == 2 * 90 * 60
    assert (report.total.answered, report.total.missed) == (total.calls_answered, total.calls_missed) == (5, 3)
    assert report.total == sum((row.figures for row in report.rows), Figures())


async def test_a_report_may_begin_anywhere(url: str) -> None:
    """A talk that began an hour before has its full length; only chosen seats count, and agents have names."""
    since = START + timedelta(minutes=65)
    async with History(url) as history:
        report = await history.report(since, START + timedelta(minutes=80), by="agent", zone=UTC, queue="sales")
    (row,) = report.rows
    assert (row.queue, row.extension, row.name) == ("sales", "1", "Ada")
    assert (row.figures.talk_seconds, row.figures.longest_talk_seconds) == (10 * 60, 25 * 60)


async def test_an_empty_history_has_an_empty_report(tmp_path: Path) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        report = await history.report(START, LATER)
    assert (report.rows, report.total) == ((), Figures())
    assert str(report.zone)


async def test_removed_days_count_as_a_whole(url: str) -> None:
    """Their figures are those that were stored when their hours were removed, whatever their zone."""
    old = Figures(answered=7, elapsed={AgentState.TALKING: 60_000_000})
    async with History(url) as history:
        store = store_of(history)
        async with store.database.reading() as connection:
            await store.load_seats(connection)
        number = next(it for it, key in store.seats.items() if key == SeatKey("sales", "1"))
        columns = dict(zip(schema.FIGURES, figure_values(old, 0), strict=True))
        async with store.database.writing() as connection:
            for removed in ("2026-01-03", "2026-01-04"):
                row = {"platform_id": store.platform_id, "day": removed, "zone": "Asia/Kolkata", "seat_id": number}
                await connection.execute(insert(schema.daily).values(**row, **columns))
        kolkata = ZoneInfo("Asia/Kolkata")
        whole = await history.report(START - timedelta(days=9), LATER, by="day", zone=kolkata)
        assert [row.label for row in whole.rows] == ["2026-01-03", "2026-01-04", "2026-01-05"]
        assert [row.figures.answered for row in whole.rows] == [7, 7, 5]
        monday = datetime.combine(date(2026, 1, 5), datetime.min.time(), kolkata)
        later = await history.report(monday, LATER, by="agent", zone=kolkata)
        assert later.total.answered == 5
        with pytest.raises(ValueError, match="the hours of 2026-01-03 were removed"):
            await history.report(START - timedelta(days=9), LATER, by="hour", zone=kolkata)
