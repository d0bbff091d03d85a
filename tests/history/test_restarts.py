"""Recorders that stop and go on: figures, gaps, steps of the clock, and large amounts."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, timedelta
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock
from zoneinfo import ZoneInfo

import attrs
import pytest

from sipqueue_async import (
    AgentJoined,
    AgentState,
    AuthError,
    SeatKey,
    Snapshot,
    StatusWatcher,
    TransportError,
    Update,
    diff,
)
from sipqueue_async.history import Figures, History, HistoryError, Outage, Recorder
from sipqueue_async.history.batch import Batch, Writer
from sipqueue_async.history.figures import microseconds
from sipqueue_async.history.history import store_of
from sipqueue_async.history.store import HOUR, Store
from sipqueue_async.history.transcript import Transcript
from sipqueue_async.simulator import Plan
from sipqueue_async.testing import ScriptedSource
from tests.kit.builders import START, agent, snapshot
from tests.kit.recording import BEGINNING, END, give, record, recorded, running
from tests.kit.simulated_updates import MORNING, GivenFeed, Polled
from tests.kit.times import moment
from tests.kit.waiting import until

FIRST_HOUR = microseconds(START) // HOUR


async def sums(store: Store, hours: int) -> dict[SeatKey, Figures]:
    """Return each seat's figures of the hours since the start."""
    found = await store.hourly_sums(FIRST_HOUR, FIRST_HOUR + hours, by_seat=True)
    return {key: figures for key, figures in found if isinstance(key, SeatKey)}


async def test_figures_are_exact_over_restarts(history_url: str) -> None:
    """Each moment counts once: in a state, or as unseen while no recorder ran; and each call counts."""
    polled = Polled(Plan(agents=8, calls_per_hour=120, show_signed_out=True), 4)
    polls = [polled.poll(), *(it for it, _ in polled.updates(3.2 * 3600, 20.0))]
    parts: Sequence[tuple[int, int]] = ((0, 100), (130, 150), (170, 300), (480, len(polls)))
    for first, end in parts:
        await give(history_url, polls[first:end])
    async with History(history_url) as history:
        store = store_of(history)
        gaps = [it async for it in history.outages(BEGINNING, END)]
        assert [it.reason for it in gaps] == ["stopped"] * 3
        spans = [(before[1] - 1, after[0]) for before, after in pairwise(parts)]
        assert [(it.began_at, it.ended_at) for it in gaps] == [
            (polls[stop].observed_at, polls[start].observed_at) for stop, start in spans
        ]
        unseen = sum((it.ended_at - it.began_at for it in gaps if it.ended_at), timedelta())
        last = [it for it in polls if it.observed_at < MORNING + timedelta(hours=3)][-1]
        for key, figures in (await sums(store, 3)).items():
            assert figures.unseen == unseen // timedelta(microseconds=1)
            assert figures.unseen + sum(figures.elapsed.values()) == 3 * HOUR
            assert figures.answered == last[key].calls_answered - polls[0][key].calls_answered
            assert figures.missed == last[key].no_answer_count - polls[0][key].no_answer_count
        by_interval = dict.fromkeys(polls[0], timedelta())
        async for interval in history.intervals(BEGINNING, MORNING + timedelta(hours=3)):
            by_interval[interval.key] += interval.ended_at - interval.began_at - interval.unseen
        assert set(by_interval.values()) == {timedelta(hours=3) - unseen}


async def test_an_outage_is_unseen_time_of_the_interval(history_url: str) -> None:
    answers: list[Snapshot | BaseException] = [
        snapshot(agent(), agent("2"), at=0),
        TransportError("no route"),
        snapshot(agent(state=AgentState.TALKING), agent("2"), at=100),
        snapshot(agent(state=AgentState.TALKING), at=150),
    ]
    await record(history_url, answers)
    async with History(history_url) as history:
        found = [it async for it in history.intervals(BEGINNING, END)]
    assert [(it.key.extension, it.seconds, it.unseen, it.approximate, it.goes_on) for it in found] == [
        ("100001", 0, timedelta(seconds=100), True, False),
        ("2", 50, timedelta(seconds=100), True, False),
        ("100001", 50, timedelta(seconds=0), True, True),
    ]


async def test_a_long_pause_is_counted_in_parts(history_url: str) -> None:
    await record(history_url, [snapshot(agent(), at=0)])
    await record(history_url, [snapshot(agent(calls_answered=1), at=3 * 86400 + 1)], resume=True)
    await record(history_url, [snapshot(agent(calls_answered=1), at=6 * 86400 + 1)], resume=True)
    async with History(history_url) as history:
        found = await sums(store_of(history), 6 * 24)
    assert {key.extension: it.unseen for key, it in found.items()} == {"100001": 6 * 24 * HOUR}
    assert [it.answered for it in found.values()] == [1]


async def test_seats_that_came_after_a_reader_opened_the_history_are_read(history_url: str) -> None:
    await record(history_url, [snapshot(agent("1"), at=0)])
    async with History(history_url) as history:
        await record(history_url, [snapshot(agent("1"), agent("2", calls_answered=1), at=60)], resume=True)
        found = [event.extension async for event in history.events(BEGINNING, END) if isinstance(event, AgentJoined)]
        assert found == ["2"]


async def test_pauses_between_equal_statuses_are_unseen(history_url: str) -> None:
    """The hour that is under way is counted again at each start, although no update follows the pauses."""
    for at in (0, 600):
        await record(history_url, [snapshot(agent(), at=at)], resume=bool(at))
    await record(history_url, [snapshot(agent(), at=1200), snapshot(agent(calls_answered=1), at=3600)], resume=True)
    async with History(history_url) as history:
        (figures,) = (await sums(store_of(history), 1)).values()
    assert figures.unseen == 1200 * 10**6


async def test_a_step_of_the_wall_clock_counts_as_unseen(history_url: str) -> None:
    """Time that did not pass counts for no state, and time on the record never goes back."""

    def steady(wall: float, passed: float, answered: int) -> Snapshot:
        seen = snapshot(agent(calls_answered=answered), at=wall)
        return seen.with_changes({}, observed_at=seen.observed_at, steady_at=passed)

    forward, back = steady(4000, 20, 1), steady(3000, 30, 2)
    await give(
        history_url, [steady(0, 0, 0), steady(10, 10, 0), forward, back, steady(3010, 40, 3), steady(7200, 4230, 3)]
    )
    updates = await recorded(history_url)
    moments = [it.snapshot.observed_at for it in updates if it.snapshot]
    assert moments == [moment(4000), moment(4000.000001), moment(4000.000002)]
    async with History(history_url) as history:
        gaps = [it async for it in history.outages(BEGINNING, END)]
        assert [it.reason for it in gaps] == ["clock", "clock"]
        (figures,) = (await sums(store_of(history), 2)).values()
        assert (figures.answered, figures.unseen // 10**6) == (3, 3990)


async def test_a_status_without_agents(history_url: str) -> None:
    """Nothing is known of a centre that was empty from the start; one that became empty can be pruned."""
    await record(history_url, [snapshot(at=0), snapshot(at=10)])
    async with History(history_url) as history:
        assert await history.baseline() is None
    later = [snapshot(agent(), at=3 * 86400), snapshot(agent(no_answer_count=1), at=4 * 86400)]
    await record(history_url, [snapshot(agent(), at=20), snapshot(at=30), *later])
    async with History(history_url) as history:
        assert (await history.prune(timedelta(days=1), zone=ZoneInfo("UTC"))).events > 0
        assert await history.snapshot_at(END) == later[1]


async def test_a_recorder_continues_after_hours_without_agents(history_url: str) -> None:
    """Such hours have no figures, as at night when all have signed out."""
    await give(history_url, [snapshot(agent(), at=0), snapshot(at=600), snapshot(at=3 * 3600)])
    await give(history_url, [snapshot(at=5 * 3600), snapshot(at=6 * 3600)])
    await give(history_url, [snapshot(at=7 * 3600), snapshot(agent(), at=8 * 3600), snapshot(agent(), at=9 * 3600)])
    async with History(history_url) as history:
        report = await history.report(BEGINNING, END, by="hour", zone=UTC)
        assert [it.figures.signed_in_seconds for it in report.rows] == [600, 0, 0, 0, 0, 0, 0, 0, 3600]
        gaps = [it async for it in history.outages(BEGINNING, END)]
        assert [(it.reason, it.began_at) for it in gaps] == [
            ("stopped", moment(3 * 3600)),
            ("stopped", moment(6 * 3600)),
        ]


async def test_a_state_may_change_without_its_code(tmp_path: Path) -> None:
    """A deployment's own table of codes can change between two runs."""
    url = f"sqlite:///{tmp_path}/day.db"
    await give(url, [snapshot(agent(), at=0), snapshot(attrs.evolve(agent(), state=AgentState.PAUSED), at=1)])
    (update,) = await recorded(url)
    assert update.snapshot == snapshot(attrs.evolve(agent(), state=AgentState.PAUSED))


async def test_gaps_after_the_last_update_are_read(history_url: str) -> None:
    await record(history_url, [snapshot(agent(), at=0), snapshot(agent(calls_answered=1), at=1)])
    await record(history_url, [snapshot(agent(calls_answered=1), at=100)], resume=True)
    async with History(history_url) as history:
        items = [it async for it in store_of(history).timeline(0, microseconds(END))]
        assert [type(it) for it in items] == [Update, Outage]
        (interval, _) = [it async for it in history.intervals(BEGINNING, END)]
        assert interval.unseen == timedelta(seconds=0)


@pytest.mark.one_python
async def test_many_rows_are_written_and_read_in_parts(history_url: str) -> None:
    seats = [(f"{number // 10}", f"{number}") for number in range(600)]
    given = [
        snapshot(*(agent(extension, queue=queue, wrap_up_time=step) for queue, extension in seats), at=step)
        for step in range(12)
    ]
    await give(history_url, given)
    async with History(history_url) as history:
        assert [it.snapshot async for it in history.updates(BEGINNING, END)] == given[1:]
        most = [it for queue, it in enumerate(range(600)) if queue < 550]
        events = [it async for it in history.events(BEGINNING, END, extension=[str(it) for it in most])]
        assert len(events) == 550 * 11
        later = await history.snapshot_at(moment(6))
        assert later == given[6]
        by_hour = await store_of(history).hourly_sums(0, 1, None, by_seat=False)
        assert by_hour == []


async def test_a_commit_whose_answer_got_lost_is_not_repeated(history_url: str) -> None:
    await record(history_url, [snapshot(agent(), at=0), snapshot(agent(calls_answered=1), at=1)])
    async with History(history_url) as history:
        store = store_of(history)
        writer = Writer(store)
        async with store.database.reading() as connection:
            last = await store.last_at(connection)
        assert last is not None
        row = (store.platform_id, last + 5, 0, 1, 6, 2, 0, 0, 0, 1, None, None, None)
        batch = Batch(after=last, events=[row])
        await writer.write(batch)
        await writer.write(batch, again=True)
        with pytest.raises(HistoryError, match="another recorder"):
            await writer.write(batch)


async def test_a_new_name_is_the_seat_s_name(history_url: str) -> None:
    await record(history_url, [snapshot(agent(name="Wu"), at=0), snapshot(agent(name="小王"), at=1)])
    await record(history_url, [snapshot(agent(name="小王", no_answer_count=1), at=2)], resume=True)
    async with History(history_url) as history, store_of(history).database.reading() as connection:
        await store_of(history).load_seats(connection)
        assert store_of(history).names == {SeatKey("queue-1", "100001"): "小王"}


async def test_a_recorder_ends_with_its_feed(tmp_path: Path) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        source = ScriptedSource([snapshot(agent(), at=0), AuthError(601, "no")])
        watcher = StatusWatcher(source, interval=0.01)
        async with watcher, Recorder(history, watcher) as recorder:
            assert repr(recorder).endswith("nothing written yet, 0 rows>")
            await recorder.wait()
            assert "up, 2 rows" in repr(recorder)
            assert (recorder.health.ended, recorder.pending) == (True, 0)
        with pytest.raises(RuntimeError, match="a recorder runs once: make a new one"):
            await recorder.__aenter__()
        assert await history.snapshot_at(START) == snapshot(agent())


class SharedFeed(GivenFeed):
    """A feed of which other consumers receive a part."""

    @property
    def is_shared(self) -> bool:
        """Yes."""
        return True


async def test_a_part_of_a_feed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a feed with a group receives only part of the changes"):
        Recorder(History(f"sqlite:///{tmp_path}/day.db"), SharedFeed())


async def test_a_feed_that_was_down_before_its_first_answer(tmp_path: Path) -> None:
    """Nothing can be recorded until there is a status."""
    watcher = StatusWatcher(ScriptedSource([TransportError("no"), snapshot(agent(), at=1)]), interval=86400)
    async with History(f"sqlite:///{tmp_path}/day.db") as history, watcher:
        with pytest.raises(TransportError):
            await watcher.refresh()
        async with Recorder(history, watcher):
            await watcher.refresh()
        assert await history.snapshot_at(END) == snapshot(agent())
        assert [it async for it in history.outages(BEGINNING, END)] == []


async def test_an_update_while_the_store_is_read_is_not_lost(tmp_path: Path) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        feed, first, second = GivenFeed(), snapshot(agent(), at=0), snapshot(agent(calls_answered=2), at=1)
        feed.give(first)
        recorder = Recorder(history, feed)
        feed.give(second, Update(sequence=1, snapshot=second, previous=first, events=diff(first, second)))
        async with recorder, feed:
            pass
        assert [it.events async for it in history.updates(BEGINNING, END)] == [diff(first, second)]


async def test_a_database_that_breaks_while_it_is_opened_is_closed(history_url: str) -> None:
    async with History(history_url) as history, store_of(history).database.writing() as connection:
        await connection.exec_driver_sql("DROP VIEW v_calls")
        for view in ("v_seats", "v_intervals", "v_hourly", "v_outages", "v_call_records"):
            await connection.exec_driver_sql(f"DROP VIEW {view}")
        await connection.exec_driver_sql("DROP TABLE platform")
    with pytest.raises(HistoryError, match="cannot be read"):
        await History(history_url).__aenter__()
    gc.collect()


@pytest.mark.parametrize("steady", [False, True])
async def test_an_empty_history_begins_with_a_watchers_older_baseline(tmp_path: Path, *, steady: bool) -> None:
    """The watcher polls before the recorder has read the database; the hours in between are complete."""
    url = f"sqlite:///{tmp_path}/day.db"
    before = snapshot(agent(calls_answered=1), at=0)
    answers = [
        Snapshot([agent("100001", state, calls_answered=2)], observed_at=START + timedelta(hours=3, seconds=at),
                 steady_at=float(at) if steady else None)
        for at, state in ((0, "talking"), (10, "waiting"))
    ]  # fmt: skip
    async with History(url) as history:
        watcher = StatusWatcher(ScriptedSource(answers), interval=86400, baseline=before)
        async with watcher, Recorder(history, watcher) as recorder:
            await watcher.ready()
            await watcher.refresh()
            await until(lambda: recorder.health.recorded_until == answers[-1].observed_at)
        report = await history.report(START, END, by="hour", zone=UTC)
        assert report.total.answered == 1
        assert len(report.rows) == 4
        unseen = timedelta(seconds=report.total.unseen_seconds)
        # A baseline without a monotonic time was saved: nothing is known of the time since.
        assert unseen == (timedelta(hours=3) if steady else timedelta(0))
        assert [it.reason async for it in history.outages(START, END)] == (["stopped"] if steady else [])


async def test_an_update_at_a_full_hour_counts_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/day.db"
    answers = [snapshot(agent(calls_answered=number), at=600 * number) for number in range(1, 20)]
    await record(url, answers)
    async with History(url) as history:
        for by in ("hour", "day", "agent"):
            assert (await history.report(BEGINNING, END, by=by, zone=UTC)).total.answered == 18


async def test_an_unexpected_error_ends_the_recorder_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/day.db"
    monkeypatch.setattr(Transcript, "update", Mock(side_effect=ZeroDivisionError))
    with suppress(ZeroDivisionError):
        async with running(url, [snapshot(agent()), snapshot(agent(calls_answered=1), at=5)]) as run:
            await run.poll(2)
            with pytest.raises(ZeroDivisionError):
                await run.recorder.wait()
            assert isinstance(run.recorder.health.last_error, ZeroDivisionError)
            assert run.recorder.health.up is False
    assert "recording has ended" in caplog.text
