"""`Recorder`: what it writes is what its feed reported, across outages, restarts and troubles of the database."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeAlias

import pytest

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    FieldProblem,
    Snapshot,
    StateChanged,
    StatusWatcher,
    TransportError,
    Update,
    apply,
)
from sipqueue_async.history import History, HistoryError, Recorder
from sipqueue_async.history.history import store_of
from sipqueue_async.testing import ScriptedSource
from tests.kit.builders import START, agent, snapshot
from tests.kit.recording import BEGINNING, END, comparable, record, recorded, running
from tests.kit.simulated_updates import GivenFeed
from tests.kit.times import moment
from tests.kit.waiting import until

Answer: TypeAlias = Snapshot | BaseException

TALKING, WAITING = AgentState.TALKING, AgentState.WAITING
OUTAGE = TransportError("no route to host")
BLANK = FieldProblem("queue-1", "100002", "callsanswered", "is missing", carried=True)


def day() -> list[Answer]:
    """Return the answers of a day on which everything happens."""
    answered, second = START.replace(tzinfo=None), agent("100002", name="小王")
    return [
        snapshot(agent(), second, at=0, server=0),
        snapshot(agent(), second, at=10, server=9.5),
        snapshot(agent(state=TALKING, calls_answered=1, last_answered_at=answered), second, at=20),
        OUTAGE,
        OUTAGE,
        snapshot(
            agent(state=WAITING, calls_answered=3, last_answered_at=answered + timedelta(seconds=30)),
            agent("100003", no_answer_count=1),
            at=40,
            server=40,
        ),
        snapshot(
            agent(state=WAITING, calls_answered=3, last_answered_at=answered + timedelta(seconds=30), wrap_up_time=5),
            agent("100002", AgentState.UNKNOWN, state_code=1299),
            agent("100003", no_answer_count=2, last_offered_at=START),
            at=50,
            server=51,
            problems=[BLANK],
        ),
        snapshot(at=3700, server=3700),
    ]


def same(told: Sequence[Update], read: Sequence[Update]) -> None:
    """Check that updates that were read back are those that a consumer was told."""
    assert [comparable(update.events) for update in read] == [comparable(update.events) for update in told]
    for one, other in zip(told, read, strict=True):
        assert (one.sequence, one.snapshot, one.previous) == (other.sequence, other.snapshot, other.previous)
        assert one.coalesced == other.coalesced
        assert one.snapshot is not None
        assert other.snapshot is not None
        if not isinstance(one.events[0], FeedDown):
            assert one.snapshot.observed_at == other.snapshot.observed_at
        assert one.snapshot.server_time == other.snapshot.server_time
        assert one.snapshot.problems == other.snapshot.problems


async def test_recorded_updates_equal_the_reported_ones(history_url: str) -> None:
    told = await record(history_url, day())
    kinds = {type(event) for update in told for event in update.events}
    assert kinds >= {StateChanged, CallAnswered, CallMissed, AgentJoined, AgentLeft, FeedDown, FeedUp}
    same(told, await recorded(history_url))


async def test_each_status_is_known_afterwards(history_url: str) -> None:
    told = await record(history_url, day())
    async with History(history_url) as history:
        assert await history.snapshot_at(moment(-1)) is None
        for update in told:
            assert update.snapshot is not None
            assert await history.snapshot_at(update.snapshot.observed_at) == update.snapshot
        baseline = await history.baseline()
        assert baseline is not None
        assert (baseline, baseline.observed_at) == (told[-1].snapshot, moment(3700))


async def test_a_restart_resumes_without_a_call_told_twice_or_lost(history_url: str) -> None:
    first = await record(history_url, [snapshot(agent(), at=0), snapshot(agent(calls_answered=1), at=10)])
    second = await record(history_url, [snapshot(agent(calls_answered=3), at=500)], resume=True)
    read = await recorded(history_url)
    same([*first, *second], read)
    assert [event.count for update in read for event in update.events if isinstance(event, CallAnswered)] == [1, 2]
    async with History(history_url) as history:
        (gap,) = [gap async for gap in history.outages(BEGINNING, END)]
        assert (gap.reason, gap.began_at, gap.ended_at) == ("stopped", moment(10), moment(500))


@pytest.mark.parametrize("other", [None, snapshot(agent("7"), at=20)])
async def test_a_feed_that_starts_elsewhere_is_connected(history_url: str, other: Snapshot | None) -> None:
    """The recorder compares with its own last status, whatever the feed compares with."""
    await record(history_url, [snapshot(agent(), at=0), snapshot(agent(calls_answered=1), at=10)])
    await record(history_url, [snapshot(agent(calls_answered=3), at=500), snapshot(at=510)], baseline=other)
    read = await recorded(history_url)
    known = read[0].previous
    for update in read:
        assert update.previous == known
        known = apply(known, update.events)
        assert known == update.snapshot
    assert [event.count for update in read for event in update.events if isinstance(event, CallAnswered)] == [1, 2]
    assert [update.coalesced for update in read[:2]] == [False, True]


async def test_an_unchanged_status_after_a_restart_ends_the_gap(history_url: str) -> None:
    await record(history_url, [snapshot(agent(), at=0)])
    await record(history_url, [snapshot(agent(), at=100), snapshot(agent(), at=110)])
    async with History(history_url) as history:
        (gap,) = [gap async for gap in history.outages(BEGINNING, END)]
        assert (gap.began_at, gap.ended_at) == (START, moment(100))
        baseline = await history.baseline()
        assert baseline is not None
        assert baseline.observed_at == moment(110)


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("fails_first", [False, True])
async def test_an_outage_goes_on_across_a_restart(history_url: str, *, changed: bool, fails_first: bool) -> None:
    """It is reported down once and up once, as one outage."""
    await record(history_url, [snapshot(agent(), at=0), OUTAGE])
    later = snapshot(agent(calls_answered=int(changed)), at=100)
    await record(history_url, [OUTAGE, later] if fails_first else [later], resume=True)
    events = [event for update in await recorded(history_url) for event in update.events]
    feed = [event for event in events if isinstance(event, FeedDown | FeedUp)]
    assert [type(event) for event in feed] == [FeedDown, FeedUp]
    assert isinstance(feed[1], FeedUp)
    assert (feed[1].observed_at, feed[1].failures) == (moment(100), 1)
    assert len(events) == 2 + changed
    async with History(history_url) as history:
        (gap,) = [gap async for gap in history.outages(BEGINNING, END)]
        assert (gap.reason, gap.began_at, gap.ended_at) == ("outage", START, moment(100))
        assert (gap.failures, gap.error) == (1, "no route to host")


@pytest.mark.parametrize("later", [0, -50])
async def test_an_outage_ends_although_the_clock_was_set_back_during_a_restart(history_url: str, later: float) -> None:
    await record(history_url, [snapshot(agent(), at=0), OUTAGE])
    await record(history_url, [snapshot(agent(), at=later)], resume=True)
    async with History(history_url) as history:
        (gap,) = [gap async for gap in history.outages(BEGINNING, END)]
        assert (gap.reason, gap.began_at) == ("outage", START)
        assert gap.ended_at is not None
        assert START < gap.ended_at < moment(0.001)
        assert [type(event) async for event in history.events(BEGINNING, END)] == [FeedDown, FeedUp]


async def test_an_outage_without_a_change_has_its_whole_length(history_url: str) -> None:
    """Also if the feed reads from a relay: its snapshot is as old as the last change, before the outage."""
    known = snapshot(agent(), at=0)
    events: tuple[Event, ...] = (
        FeedDown(error=OUTAGE, since=moment(10)),
        FeedUp(observed_at=moment(70), outage=timedelta(seconds=60), failures=3),
    )
    async with History(history_url) as history:
        feed = GivenFeed()
        async with Recorder(history, feed), feed:
            feed.give(known)
            for number, event in enumerate(events, 1):
                feed.give(known, Update(sequence=number, snapshot=known, previous=known, events=(event,)))
        (gap,) = [gap async for gap in history.outages(BEGINNING, END)]
        assert (gap.began_at, gap.ended_at) == (moment(10), moment(70))
        total = (await history.report(BEGINNING, END)).total
        assert (total.seconds[WAITING], total.unseen_seconds) == (10, 60)


async def test_a_new_seat_of_a_feed_without_baseline_joins(history_url: str) -> None:
    told = await record(history_url, [snapshot(agent(), at=0), snapshot(agent(), agent("2"), at=1)], initial=True)
    read = await recorded(history_url)
    same(told, read)
    assert [type(event) for update in read for event in update.events] == [AgentJoined, AgentJoined]


async def test_a_baseline_from_elsewhere_begins_the_record(history_url: str) -> None:
    before = snapshot(agent(), at=-100)
    told = await record(history_url, [snapshot(agent(no_answer_count=1), at=0)], baseline=before)
    same(told, await recorded(history_url))
    async with History(history_url) as history:
        (gap,) = [gap async for gap in history.outages(BEGINNING, END)]
        assert (gap.reason, gap.began_at, gap.ended_at) == ("stopped", moment(-100), START)


async def test_nothing_is_recorded_before_the_first_status(history_url: str) -> None:
    async with running(history_url, [OUTAGE, snapshot(agent(), at=5)]) as run:
        await run.poll()
        assert await run.history.baseline() is None
        await run.poll()
    assert await recorded(history_url) == []
    async with History(history_url) as history:
        assert await history.snapshot_at(moment(5)) == snapshot(agent(), at=5)


async def test_a_recorder_may_start_while_the_feed_is_down(history_url: str) -> None:
    answers: list[Answer] = [snapshot(agent(), at=0), OUTAGE, snapshot(agent(calls_answered=1), at=60)]
    watcher = StatusWatcher(ScriptedSource(answers), interval=86400, max_backoff=86400)
    async with History(history_url) as history, watcher:
        await watcher.refresh()
        with pytest.raises(TransportError):
            await watcher.refresh()
        async with Recorder(history, watcher):
            await watcher.refresh()
        kinds = [type(event) async for event in history.events(BEGINNING, END)]
        assert kinds == [FeedDown, FeedUp, CallAnswered]


async def test_events_can_be_filtered(history_url: str) -> None:
    await record(history_url, day())
    async with History(history_url) as history:
        found = [event async for event in history.events(BEGINNING, END, extension="100003", types=CallMissed)]
        assert [(event.extension, event.observed_at) for event in found] == [("100003", moment(50))]
        kinds = [type(event) async for event in history.events(BEGINNING, END, queue=["none"])]
        assert kinds == [FeedDown, FeedUp]
        every = [event async for event in history.events(BEGINNING, END)]
        some = [event async for event in history.events(moment(20), moment(50), queue="queue-1")]
        assert comparable(some) == comparable(
            event for event in every if event.observed_at is None or moment(20) <= event.observed_at < moment(50)
        )


async def test_names_that_no_database_can_store_survive(history_url: str) -> None:
    strange = snapshot(agent("\0", queue="\ud800", name="a\0b"), agent("\\u:1", queue="tab\t"), at=0)
    await record(history_url, [strange, snapshot(at=1)])
    async with History(history_url) as history:
        assert await history.snapshot_at(START) == strange


async def test_a_second_recorder_is_refused(history_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def record_two_at_once() -> None:
        async with running(history_url, [snapshot(agent(), at=0), snapshot(agent(calls_answered=1), at=10)]) as run:
            await run.poll()
            await until(lambda: run.recorder.health.recorded_until)
            await record(history_url, [snapshot(agent(calls_answered=1), at=20)])
            await run.poll()
            with pytest.raises(HistoryError, match="another recorder"):
                await run.recorder.wait()
            assert run.recorder.health.ended

    with pytest.raises(HistoryError, match="another recorder: let only one record a platform"):
        await record_two_at_once()
    assert "recording failed: the history" in caplog.text


async def test_platforms_share_a_database(history_url: str) -> None:
    await record(history_url, [snapshot(agent(), at=0)])
    async with History(history_url, platform="other") as history:
        assert await history.baseline() is None
        watcher = StatusWatcher(ScriptedSource([snapshot(agent("5"), at=3)]), interval=86400)
        async with Recorder(history, watcher), watcher:
            await watcher.refresh()
        assert await history.snapshot_at(END) == snapshot(agent("5"))


async def test_a_database_that_is_away_is_retried_and_gets_the_difference(
    history_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The feed does not wait; the changes coalesce; the failure and its end are logged once."""
    caplog.set_level(logging.INFO, "sipqueue_async")
    answers = [snapshot(agent(calls_answered=number), at=number) for number in range(10)]
    async with running(history_url, answers, max_pending=1) as run:
        await run.poll()
        await until(lambda: run.recorder.health.recorded_until)
        await rename(run.history, "event", "away")
        await run.poll()
        await until(lambda: run.recorder.health.failures_in_a_row)
        await run.poll(8)
        await rename(run.history, "away", "event")
    health = run.recorder.health
    assert (health.up, health.ended, health.failures_in_a_row, health.coalesced) == (True, True, 0, 1)
    assert "event" in str(health.last_error)
    read = await recorded(history_url)
    counts = [event.count for update in read for event in update.events if isinstance(event, CallAnswered)]
    assert (counts, [update.coalesced for update in read]) == ([1, 8], [False, True])
    lines = [record.getMessage() for record in caplog.records if "recording" in record.getMessage()]
    assert len(lines) == 2
    assert lines[0].startswith("recording failed; it is retried: the history")
    assert lines[1].startswith("recording works again, after")


async def rename(history: History, old: str, new: str) -> None:
    """Rename a table."""
    async with store_of(history).database.writing() as connection:
        await connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


async def test_the_end_does_not_wait_for_ever(history_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with running(history_url, [snapshot(agent(), at=0), snapshot(at=1)], close_timeout=0.1) as run:
        await run.poll()
        await until(lambda: run.recorder.health.recorded_until)
        await rename(run.history, "event", "away")
        await run.poll()
    assert "recording ends before the database has accepted the last changes" in caplog.text
    async with History(history_url) as history:
        await rename(history, "away", "event")
        assert await history.snapshot_at(END) == snapshot(agent())
