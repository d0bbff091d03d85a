"""Reading a recorded day: intervals, calls, views and figures agree with a tally of the same updates."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sipqueue_async import AgentState, CallAnswered, CallMissed, SeatKey, Snapshot, Update
from sipqueue_async.history import Figures, History, export
from sipqueue_async.history.figures import microseconds
from sipqueue_async.history.history import store_of
from sipqueue_async.history.store import HOUR
from sipqueue_async.simulator import Plan
from sipqueue_async.tally import Tally
from tests.kit.recording import BEGINNING, END, give
from tests.kit.simulated_updates import MORNING, Polled

HOURS = 3
PLAN = Plan(agents=12, calls_per_hour=90, several_queues=0.3, shift_hours=1.2, off_hours=0.4, short_calls=0.2)
Polls = list[tuple[Snapshot, Update | None]]


def day(hours: float = HOURS, seed: int = 3) -> tuple[Snapshot, Polls]:
    """Return the first snapshot of a simulated day, and its polls."""
    polled = Polled(PLAN, seed)
    return polled.poll(), list(polled.updates(hours * 3600, 10.0))


async def record(url: str, first: Snapshot, polls: Polls) -> None:
    """Record polls."""
    await give(url, [first, *(snapshot for snapshot, _ in polls)])


def counted(first: Snapshot, polls: Polls, hours: int) -> Tally:
    """Return the tally of whole hours. What changes at their end belongs to the next hour."""
    tally, end = Tally(first), MORNING + timedelta(hours=hours)
    for snapshot, update in polls:
        if update is not None and snapshot.observed_at < end:
            tally.update(update)
    tally.advance(end)
    return tally


def compare(tally: Tally, found: dict[SeatKey, Figures]) -> None:
    for key, seat in tally.seats.items():
        figures = found.get(key, Figures())
        assert (figures.answered, figures.missed) == (seat.calls_answered, seat.calls_missed)
        assert figures.seconds == seat.seconds()


@pytest.mark.one_python
async def test_a_recorded_day_agrees_with_a_tally(history_url: str) -> None:
    first, polls = day(HOURS + 0.1)
    await record(history_url, first, polls)
    end = MORNING + timedelta(hours=HOURS)
    tally = counted(first, polls, HOURS)
    async with History(history_url) as history:
        start = microseconds(MORNING) // HOUR
        sums = await store_of(history).hourly_sums(start, start + HOURS, by_seat=True)
        compare(tally, {key: figures for key, figures in sums if isinstance(key, SeatKey)})
        by_hour = await store_of(history).hourly_sums(start, start + HOURS, by_seat=False)
        assert [hour for hour, _ in by_hour] == [start, start + 1, start + 2]
        assert sum(figures.answered for _, figures in by_hour) == tally.total.calls_answered
        seconds: dict[SeatKey, Counter[AgentState]] = {key: Counter() for key in tally.seats}
        async for interval in history.intervals(BEGINNING, end):
            seconds[interval.key][interval.state] += round(interval.seconds * 1e6)
        for key, seat in tally.seats.items():
            assert {state: seconds[key][state] / 1e6 for state in AgentState} == seat.seconds()
        calls: Counter[tuple[SeatKey, str]] = Counter()
        async for call in history.calls(BEGINNING, end):
            calls[call.key, call.outcome] += call.count
        for key, seat in tally.seats.items():
            assert (calls[key, "answered"], calls[key, "missed"]) == (seat.calls_answered, seat.calls_missed)
        await views_agree(history, tally)


async def views_agree(history: History, tally: Tally) -> None:
    """Check the documented views."""
    async with store_of(history).database.reading() as connection:

        async def rows(query: str) -> Sequence[Sequence[object]]:
            return (await connection.exec_driver_sql(query)).fetchall()

        seats = await rows("SELECT queue, extension FROM v_seats ORDER BY 1, 2")
        assert [tuple(row) for row in seats] == [tuple(key) for key in sorted(tally.seats)]
        calls = [it async for it in history.calls(BEGINNING, END) if it.outcome == "answered"]
        (found,) = await rows("SELECT SUM(calls), SUM(hidden) FROM v_calls WHERE outcome = 'answered'")
        assert tuple(found) == (sum(it.count for it in calls), sum(it.hidden_count for it in calls))
        ((answered, talking),) = await rows("SELECT SUM(answered), SUM(talking_seconds) FROM v_hourly")
        assert answered == tally.total.calls_answered
        assert float(str(talking)) == pytest.approx(tally.total.seconds()[AgentState.TALKING])
        waits = [it async for it in history.intervals(BEGINNING, END, states=["waiting"]) if not it.goes_on]
        ((waiting,),) = await rows("SELECT SUM(seconds) FROM v_intervals WHERE state = 'waiting'")
        assert float(str(waiting)) == pytest.approx(sum(it.seconds for it in waits))


async def test_intervals_can_be_cut_and_filtered(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/day.db"
    first, polls = day(1)
    await record(url, first, polls)
    since, until = MORNING + timedelta(minutes=20), MORNING + timedelta(minutes=40)
    async with History(url) as history:
        every = [it async for it in history.intervals(since, until)]
        assert {it.began_at >= since and it.ended_at <= until for it in every} == {True}
        total: Counter[SeatKey] = Counter()
        for interval in every:
            total[interval.key] += round(interval.seconds)
        assert set(total.values()) <= set(range(1201))
        assert any(it.began_before for it in every)
        assert any(it.goes_on for it in every)
        key = every[0].key
        one = history.intervals(since, until, queue=key.queue, extension=key.extension, states=["waiting"])
        some = [it async for it in one]
        assert some == [it for it in every if it.key == key and it.state is AgentState.WAITING]
        found = [it async for it in history.calls(since, until, queue=key.queue)]
        assert all(it.key.queue == key.queue and since <= it.at < until for it in found)


async def test_an_empty_history_has_nothing(history_url: str) -> None:
    async with History(history_url) as history:
        assert [it async for it in history.intervals(BEGINNING, END)] == []
        assert [it async for it in history.calls(BEGINNING, END)] == []
        assert [it async for it in history.outages(BEGINNING, END)] == []
        assert await history.snapshot_at(END) is None
        assert (await history.prune(timedelta(0))).events == 0
        assert await store_of(history).recorded_since() is None


@pytest.mark.parametrize("when", ["since", "until"])
async def test_naive_times_are_refused(tmp_path: Path, when: str) -> None:
    naive = datetime(2026, 1, 5)  # noqa: DTZ001
    since, until = (naive, END) if when == "since" else (BEGINNING, naive)
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        with pytest.raises(ValueError, match="must be an aware datetime"):
            await anext(history.events(since, until))


@pytest.mark.parametrize("since", ["2026-01-05", date(2026, 1, 5)])
async def test_what_is_no_time_is_refused(tmp_path: Path, since: Any) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        with pytest.raises(TypeError, match="must be an aware datetime, not"):
            await history.report(since, END)


async def test_a_zone_may_be_given_by_name(tmp_path: Path) -> None:
    zone = "Asia/Shanghai"
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        assert (await history.report(BEGINNING, END, zone=zone)).zone == ZoneInfo(zone)
        assert (await history.call_report(BEGINNING, END, zone=zone)).zone == ZoneInfo(zone)
        assert (await history.prune(timedelta(0), zone=zone)).days == 0
        assert await export(history, "calls", tmp_path / "calls.csv", BEGINNING, END, zone=zone) == 0
        for call in (history.report, history.call_report):
            with pytest.raises(ValueError, match="zone is 'Mars', which is not the name of a time zone"):
                await call(BEGINNING, END, zone="Mars")
        with pytest.raises(ValueError, match="zone is 'Mars', which is not the name of a time zone"):
            await history.prune(timedelta(0), zone="Mars")


@pytest.mark.one_python
async def test_pruning_keeps_the_figures_and_the_status(history_url: str) -> None:
    """A prune leaves only the figures of the removed days, and changes nothing later."""
    first, polls = day(4)
    await record(history_url, first, polls)
    # Midnight is at 10:00 UTC.
    zone, cut = ZoneInfo("Pacific/Honolulu"), MORNING + timedelta(hours=2)
    shares: list[float] = []
    async with History(history_url) as history:
        store = store_of(history)
        events = [it async for it in history.events(cut, END)]
        later = await history.snapshot_at(END)
        start = microseconds(MORNING) // HOUR
        sums = dict(await store.hourly_sums(start, start + 4, by_seat=True))
        pruned = await history.prune(timedelta(hours=1), zone=zone, progress=shares.append)
        assert (pruned.kept_since, pruned.days) == (cut, 1)
        assert pruned.events > 500
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert [it async for it in history.events(BEGINNING, END)] == events
        assert (await history.snapshot_at(END), await history.snapshot_at(MORNING)) == (later, None)
        day_of = (MORNING - timedelta(days=1)).date()
        daily = await store.daily_sums(day_of, MORNING.date(), zone.key)
        left = dict(await store.hourly_sums(start, start + 4, by_seat=True))
        for key, figures in sums.items():
            of_days = sum((it for _, seat, it in daily if seat == key), Figures())
            assert of_days + left.get(key, Figures()) == figures
        assert await store.recorded_since() == cut - timedelta(days=1)
        assert (await history.prune(timedelta(hours=1), zone=zone)).events == 0
        await history.vacuum()
    # A recorder goes on, also with the figures of the hour under way.
    more, others = day(5)
    await record(history_url, others[len(polls) - 1][0], others[len(polls) :])
    async with History(history_url) as history:
        found = dict(await store_of(history).hourly_sums(start + 2, start + 5, by_seat=True))
        tally = counted(more, others, 5)
        for key, seat in tally.seats.items():
            of_days = sum((it for _, where, it in daily if where == key), Figures())
            assert (of_days + found.get(key, Figures())).answered == seat.calls_answered


@pytest.mark.one_python
async def test_the_next_prune_finishes_one_that_was_stopped(history_url: str) -> None:
    """It removes the events that are left, even on the same day and after all hours were added up."""
    first, polls = day(4)
    await record(history_url, first, polls)
    zone, cut = ZoneInfo("Pacific/Honolulu"), MORNING + timedelta(hours=2)

    def stop(share: float) -> None:
        raise InterruptedError(share)

    async with History(history_url) as history:
        events = [it async for it in history.events(cut, END)]
        with pytest.raises(InterruptedError, match=r"0\.1"):
            await history.prune(timedelta(hours=1), zone=zone, progress=stop)
        assert [it async for it in history.events(cut, END)] == events
        pruned = await history.prune(timedelta(hours=1), zone=zone)
        assert (pruned.kept_since, pruned.days) == (cut, 0)
        assert pruned.events > 500
        assert [it async for it in history.events(BEGINNING, END)] == events
        assert (await history.prune(timedelta(hours=1), zone=zone)).kept_since is None


async def test_keep_must_not_be_negative(tmp_path: Path) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        with pytest.raises(ValueError, match="keep must not be negative"):
            await history.prune(timedelta(-1))


@pytest.mark.parametrize("keep", [timedelta(days=800_000), timedelta.max])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Honolulu"])
async def test_a_time_to_keep_may_reach_back_before_the_calendar(keep: timedelta, zone: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/day.db"
    await record(url, *day(5))
    async with History(url) as history:
        pruned = await history.prune(keep, zone=ZoneInfo(zone), keep_numbers=keep)
    assert (pruned.kept_since, pruned.events, pruned.call_records) == (None, 0, 0)


@pytest.mark.one_python
async def test_vacuum_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "day.db"
    first, polls = day(5)
    await record(f"sqlite:///{path}", first, polls)
    async with History(f"sqlite:///{path}") as history:
        await history.vacuum()
        before = path.stat().st_size
        await history.prune(timedelta(0), zone=ZoneInfo("Pacific/Honolulu"))
        await history.vacuum()
        assert path.stat().st_size < before
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        await history.vacuum()


def test_the_day_has_what_it_is_to_show() -> None:
    _, polls = day()
    kinds = {type(event) for _, update in polls if update for event in update.events}
    assert kinds >= {CallAnswered, CallMissed}
