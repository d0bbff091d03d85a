"""Types of the history: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Literal, assert_type
from zoneinfo import ZoneInfo

import pytest

from sipqueue_async import (
    AgentState,
    CallDirection,
    CallMissed,
    Event,
    SeatKey,
    SipQueueClient,
    Snapshot,
    StatusWatcher,
    Update,
)
from sipqueue_async.history import (
    Call,
    CallRecorder,
    CallRecorderHealth,
    CallReport,
    CallReportRow,
    Figures,
    History,
    HistoryError,
    Outage,
    Pruned,
    RecordedError,
    Recorder,
    RecorderHealth,
    Report,
    ReportRow,
    StateInterval,
    export,
)
from sipqueue_async.records import CallCursor, CallFeed, CallFigures, FollowedCall
from sipqueue_async.testing import ScriptedSource
from tests.kit.builders import START, snapshot


def test_figures() -> None:
    figures = Figures(answered=1, missed=1)
    assert_type(figures + figures, Figures)
    assert_type(figures.elapsed, Mapping[AgentState, int])
    assert_type(figures.seconds, dict[AgentState, float])
    assert_type(figures.occupancy, float | None)
    assert_type(figures.answer_rate, float | None)
    assert_type(figures.mean_talk_seconds, float | None)
    assert_type(figures.first_signed_in_at, datetime | None)
    assert_type(figures.last_signed_in_at, datetime | None)
    assert_type(figures.longest_talk_seconds, float)
    assert_type(figures.talk_seconds, float)
    assert_type(figures.signed_in_seconds, float)
    assert_type(figures.unseen_seconds, float)
    assert figures.answer_rate == 0.5


async def test_a_history(tmp_path: Path) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db", platform="main") as history:
        assert_type(history, History)
        assert_type(history.platform, str)
        assert_type(await history.baseline(), Snapshot | None)
        assert_type(await history.seats(), dict[SeatKey, str | None])
        assert_type(await history.snapshot_at(START), Snapshot | None)
        assert_type(history.updates(START, START), AsyncIterator[Update])
        missed = history.events(START, START, queue=["queue-1"], extension="100001", types=CallMissed)
        assert_type(missed, AsyncIterator[Event])
        assert_type(history.outages(START, START), AsyncIterator[Outage])
        assert_type(history.calls(START, START, queue="queue-1"), AsyncIterator[Call])
        assert_type(history.intervals(START, START, states=["talking"]), AsyncIterator[StateInterval])
        assert_type(await history.prune(timedelta(days=400), zone=ZoneInfo("UTC"), progress=print), Pruned)
        assert_type(await history.prune(timedelta(days=400), zone="UTC"), Pruned)
        assert_type(await history.vacuum(), None)
        report = await history.report(START, START, by="hour", zone=UTC, queue="queue-1", extension=["1", "2"])
        assert_type(report, Report)
        assert_type(await history.report(START, START, zone="Asia/Shanghai"), Report)
        assert_type(report.by, Literal["hour", "day", "week", "queue", "agent", "hour_of_day"])
        assert_type(report.zone, tzinfo)
        assert_type(report.since, datetime)
        assert_type(report.until, datetime)
        assert_type(report.rows, tuple[ReportRow, ...])
        assert_type(report.total, Figures)
        assert_type(history.url, str)
        assert_type(await export(history, "calls", tmp_path / "c.csv", START, START, zone=UTC, progress=print), int)
        watcher = StatusWatcher(ScriptedSource([snapshot()]), interval=60)
        async with watcher, Recorder(history, watcher, max_pending=10, close_timeout=5.0) as recorder:
            assert_type(recorder, Recorder)
            assert_type(recorder.pending, int)
            assert_type(recorder.health, RecorderHealth)
            assert_type(recorder.health.up, bool | None)
            assert_type(recorder.health.ended, bool)
            assert_type(recorder.health.updates, int)
            assert_type(recorder.health.events, int)
            assert_type(recorder.health.coalesced, int)
            assert_type(recorder.health.failures_in_a_row, int)
            assert_type(recorder.health.last_error, BaseException | None)
            assert_type(recorder.health.recorded_until, datetime | None)
    with pytest.raises(RuntimeError):
        assert_type(await Recorder(history, watcher).wait(), None)


def test_types_of_records_that_a_history_gives() -> None:
    key = SeatKey("queue-1", "100001")
    interval = StateInterval(key=key, name=None, state=AgentState.IDLE, began_at=START, ended_at=START)
    assert_type(interval.seconds, float)
    assert_type(interval.unseen, timedelta)
    assert_type(interval.queue, str)
    assert_type(interval.extension, str)
    call = Call(key=key, name=None, at=START, outcome="missed", count=1)
    assert_type(call.outcome, Literal["answered", "missed"])
    assert_type(call.call_time, datetime | None)
    assert (call.queue, call.extension) == (interval.queue, interval.extension) == key
    assert_type(call.queue, str)
    assert_type(call.extension, str)
    pruned = Pruned(events=0, days=0, kept_since=None)
    assert_type(pruned.kept_since, datetime | None)


def test_an_outage() -> None:
    outage = Outage(began_at=START, ended_at=None, reason="outage")
    assert_type(outage.began_at, datetime)
    assert_type(outage.ended_at, datetime | None)
    assert_type(outage.reason, Literal["outage", "stopped", "clock"])
    assert_type(outage.failures, int)
    assert_type(outage.error, str | None)
    assert issubclass(HistoryError, Exception)
    assert issubclass(RecordedError, Exception)


def test_a_row() -> None:
    row = ReportRow(label="09:00", figures=Figures())
    assert_type(row.label, str)
    assert_type(row.start, datetime | None)
    assert_type(row.end, datetime | None)
    assert_type(row.queue, str | None)
    assert_type(row.extension, str | None)
    assert_type(row.name, str | None)
    assert_type(row.figures, Figures)


async def test_call_records(tmp_path: Path) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        assert_type(await history.call_cursor(), CallCursor | None)
        records = history.call_records(START, START, queue="queue-1", extension=["1"], direction=CallDirection.IN)
        assert_type(records, AsyncIterator[FollowedCall])
        report = await history.call_report(
            START, START, by="prefix", zone=UTC, answer_within=10, wrap_up=5.0, prefixes=["02", "138"]
        )
        assert_type(report, CallReport)
        assert_type(await history.call_report(START, START), CallReport)
        assert_type(report.by, Literal["hour", "day", "week", "queue", "agent", "prefix", "hour_of_day"])
        assert_type(report.rows, tuple[CallReportRow, ...])
        assert_type(report.total, CallFigures)
        assert_type((await history.prune(timedelta(0), keep_numbers=timedelta(0))).call_records, int)
        async with SipQueueClient("http://127.0.0.1:9/", "token", timezone="UTC") as client:
            recorder = CallRecorder(history, CallFeed(client, START), numbers="prefix")
            async with recorder as entered:
                assert_type(entered, CallRecorder)
                assert_type(recorder.health, CallRecorderHealth)
                assert_type(recorder.health.up, bool | None)
                assert_type(recorder.health.records, int)
            assert_type(await recorder.wait(), None)
