"""The collector, in virtual time: each metric has the documented value."""

from __future__ import annotations

import asyncio
import runpy
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from sipqueue_async import (
    AgentState,
    AgentStatus,
    ApiError,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    Snapshot,
    StatusWatcher,
    TransportError,
    prometheus,
)
from sipqueue_async.prometheus import WatcherCollector
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.exposition import OPEN_METRICS, Scrape

ERROR = TransportError("away")
TALKING, WAITING = AgentState.TALKING, AgentState.WAITING
LIBRARY_ERRORS = (TransportError, HttpStatusError, MalformedResponse, ApiError, AuthError, OperationFailed)

pytestmark = pytest.mark.virtual_time


async def run(watcher: StatusWatcher, seconds: float) -> None:
    """Run a watcher for some seconds."""
    async with watcher:
        await asyncio.sleep(seconds)


class TestFeed:
    async def test_before_the_first_poll_it_is_not_up(self) -> None:
        scrape = Scrape(WatcherCollector(StatusWatcher(ScriptedSource([snapshot()]))))
        assert scrape.get("sipqueue_feed_up") == 0
        assert scrape.get("sipqueue_watcher_ended") == 0
        assert scrape.get("sipqueue_last_good_poll_timestamp_seconds") is None
        assert scrape.get("sipqueue_polls_total") == 0
        assert scrape.get("sipqueue_poll_duration_seconds_count") == 0

    async def test_up_down_and_ended(self) -> None:
        source = ScriptedSource([snapshot(agent(), at=0), ERROR, snapshot(agent(), at=60), AuthError(601)])
        watcher = StatusWatcher(source, interval=1, max_backoff=1)
        collector = WatcherCollector(watcher)
        seen: list[tuple[float | None, ...]] = []

        def look(_: object) -> None:
            scrape = Scrape(collector)
            names = ("feed_up", "watcher_ended", "last_good_poll_timestamp_seconds", "polls_total")
            seen.append(tuple(scrape.get(f"sipqueue_{name}") for name in names))

        watcher.add_listener(look)
        await run(watcher, 10)
        look(None)
        start = START.timestamp()
        assert seen == [
            (1, 0, start, 1),
            (0, 0, start, 2),
            (1, 0, start + 60, 3),
            (0, 0, start + 60, 4),
            (0, 1, start + 60, 4),
        ]

    async def test_a_closed_watcher_is_not_up(self) -> None:
        watcher = StatusWatcher(ScriptedSource([snapshot(agent())]))
        collector = WatcherCollector(watcher)
        await run(watcher, 1)
        scrape = Scrape(collector)
        assert (scrape.get("sipqueue_feed_up"), scrape.get("sipqueue_watcher_ended")) == (0, 1)

    async def test_failures_are_counted_by_error_class(self) -> None:
        source = ScriptedSource([snapshot(), ERROR, HttpStatusError(503), ERROR, LookupError("a bug")])
        watcher = StatusWatcher(source, interval=1, max_backoff=1)
        collector = WatcherCollector(watcher)
        none = {kind.__name__: 0.0 for kind in LIBRARY_ERRORS}
        assert Scrape(collector).by("sipqueue_poll_failures_total", "error") == none
        await run(watcher, 10)
        failures = Scrape(collector).by("sipqueue_poll_failures_total", "error")
        assert failures == none | {"TransportError": 2, "HttpStatusError": 1, "LookupError": 1}

    async def test_held_back_answers_and_records(self) -> None:
        """An old answer counts as one, and an answer that is old for one seat only counts as an old record."""

        def record(extension: str, calls: int) -> AgentStatus:
            return agent(extension, calls_answered=calls, last_answered_at=START.replace(tzinfo=None, minute=calls))

        known, old = snapshot(record("1", 5), record("2", 5)), snapshot(record("1", 4), record("2", 5), at=1)
        mixed, good = snapshot(record("1", 4), record("2", 6), at=2), snapshot(record("1", 5), record("2", 6), at=3)
        watcher = StatusWatcher(ScriptedSource([known, old, mixed, good]), interval=1)
        collector = WatcherCollector(watcher)
        await run(watcher, 3.5)
        scrape = Scrape(collector)
        assert scrape.get("sipqueue_held_back_answers_total") == watcher.health.held_back_answers == 1
        assert scrape.get("sipqueue_held_back_records_total") == watcher.health.held_back_records >= 1
        assert scrape.get("sipqueue_calls_answered_total", queue="queue-1") == 1

    async def test_stale_polls(self) -> None:
        stale = snapshot(server=1)
        watcher = StatusWatcher(ScriptedSource([snapshot(server=9), stale, stale, snapshot(server=10)]), interval=1)
        collector = WatcherCollector(watcher)
        await run(watcher, 3.5)
        assert Scrape(collector).get("sipqueue_stale_polls_total") == 2

    async def test_durations_and_lateness_count_every_poll(self) -> None:
        source = ScriptedSource([snapshot(), ERROR, snapshot()], takes=0.2)
        watcher = StatusWatcher(source, interval=1, max_backoff=1)
        collector = WatcherCollector(watcher)
        await run(watcher, 9.5)
        scrape = Scrape(collector)
        polls = scrape.get("sipqueue_polls_total")
        assert polls is not None
        assert polls > 8
        buckets = scrape.by("sipqueue_poll_duration_seconds_bucket", "le")
        assert {bound: number for bound, number in buckets.items() if 0 < number < polls} == {}
        assert next(bound for bound, number in buckets.items() if number) == "0.25"
        assert scrape.get("sipqueue_poll_duration_seconds_sum") == pytest.approx(0.2 * polls)
        assert scrape.get("sipqueue_poll_lateness_seconds_count") == polls
        assert scrape.by("sipqueue_poll_lateness_seconds_bucket", "le")["0.01"] == polls


class TestQueues:
    async def test_every_state_of_every_queue_is_exported_also_at_zero(self) -> None:
        source = ScriptedSource(
            [snapshot(agent("1"), agent("2", TALKING), agent("3", queue="b")), snapshot(agent("1"), agent("2"))]
        )
        watcher = StatusWatcher(source, interval=1)
        collector = WatcherCollector(watcher)
        await run(watcher, 0.5)
        scrape = Scrape(collector)
        zeros = {state.value: 0.0 for state in AgentState}
        agents = "sipqueue_agents"
        assert scrape.by(agents, "state", queue="queue-1") == zeros | {"waiting": 1, "talking": 1}
        assert scrape.by(agents, "state", queue="b") == zeros | {"waiting": 1}
        watcher = StatusWatcher(source, interval=1, baseline=watcher.snapshot)
        collector = WatcherCollector(watcher)
        await run(watcher, 5)
        scrape = Scrape(collector)
        assert scrape.by(agents, "state", queue="queue-1") == zeros | {"waiting": 2}
        assert scrape.by(agents, "state", queue="b") == zeros

    async def test_calls_are_counted_from_the_first_snapshot_on(self) -> None:
        answers = [
            snapshot(agent(calls_answered=7, no_answer_count=3), agent(queue="b")),
            snapshot(agent(calls_answered=9, no_answer_count=4), agent(queue="b")),
        ]
        watcher = StatusWatcher(ScriptedSource(answers), interval=1)
        collector = WatcherCollector(watcher)
        await run(watcher, 0.5)
        before = Scrape(collector)
        assert before.by("sipqueue_calls_answered_total", "queue") == {"queue-1": 0, "b": 0}
        watcher = StatusWatcher(ScriptedSource(answers), interval=1)
        collector = WatcherCollector(watcher)
        await run(watcher, 5)
        after = Scrape(collector)
        assert after.by("sipqueue_calls_answered_total", "queue") == {"queue-1": 2, "b": 0}
        assert after.by("sipqueue_calls_missed_total", "queue") == {"queue-1": 1, "b": 0}

    async def test_calls_of_an_outage_and_of_a_restart_are_counted(self) -> None:
        known = snapshot(agent(calls_answered=1))
        source = ScriptedSource([ERROR, snapshot(agent(calls_answered=4), at=9)])
        watcher = StatusWatcher(source, interval=1, baseline=known)
        collector = WatcherCollector(watcher)
        await run(watcher, 10)
        assert Scrape(collector).get("sipqueue_calls_answered_total", queue="queue-1") == 3

    async def test_counts_are_exact_however_rarely_it_is_scraped(self) -> None:
        """The counts stay exact across resets, and when agents leave."""
        answers = list[Snapshot]()
        for day in range(100):
            for calls in range(9):
                # The counter is reset at midnight, but the time of the last call is kept.
                last = START.replace(tzinfo=None) + timedelta(seconds=10 * day + calls)
                answers.append(snapshot(agent(calls_answered=calls, last_answered_at=last), at=len(answers)))
            answers += [snapshot(at=len(answers)) for _ in range(3 if day % 2 else 0)]
        watcher = StatusWatcher(ScriptedSource(answers), interval=1, initial=True)
        collector = WatcherCollector(watcher)
        await run(watcher, len(answers) + 10)
        assert Scrape(collector).get("sipqueue_calls_answered_total", queue="queue-1") == 100 * 8

    async def test_a_collector_made_later_counts_from_then_on(self) -> None:
        source = ScriptedSource([snapshot(agent(calls_answered=calls), at=calls) for calls in range(10)])
        async with StatusWatcher(source, interval=1) as watcher:
            await asyncio.sleep(4.5)
            collector = WatcherCollector(watcher)
            scrape = Scrape(collector)
            assert scrape.get("sipqueue_agents", queue="queue-1", state="waiting") == 1
            assert scrape.get("sipqueue_polls_total") == 0
            await asyncio.sleep(3)
            scrape = Scrape(collector)
        assert scrape.get("sipqueue_calls_answered_total", queue="queue-1") == 3
        assert scrape.get("sipqueue_polls_total") == 3

    async def test_a_closed_collector_keeps_its_values(self) -> None:
        source = ScriptedSource([snapshot(agent(calls_answered=calls), at=calls) for calls in range(10)])
        async with StatusWatcher(source, interval=1) as watcher:
            collector = WatcherCollector(watcher)
            await asyncio.sleep(2.5)
            collector.close()
            await asyncio.sleep(5)
        scrape = Scrape(collector)
        assert scrape.get("sipqueue_calls_answered_total", queue="queue-1") == 2
        assert scrape.get("sipqueue_polls_total") == 3


class TestAgents:
    ANSWERS = (
        snapshot(agent("1", name='A "b"'), agent("2", TALKING)),
        snapshot(agent("1", TALKING, name='A "b"', calls_answered=1), agent("2", TALKING, no_answer_count=2)),
        snapshot(agent("1", TALKING, name='A "b"', calls_answered=1)),
    )

    async def test_agents_have_no_series_by_default(self) -> None:
        watcher = StatusWatcher(ScriptedSource(self.ANSWERS))
        collector = WatcherCollector(watcher)
        await run(watcher, 10)
        labels = {label for series in Scrape(collector).samples for label, _ in series.labels}
        assert labels == {"queue", "state", "error", "le"}

    async def test_agents_who_are_present_have_series(self) -> None:
        watcher = StatusWatcher(ScriptedSource(self.ANSWERS), interval=1)
        collector = WatcherCollector(watcher, agents=True)
        await run(watcher, 1.5)
        scrape = Scrape(collector)
        assert scrape.get("sipqueue_agent_info", queue="queue-1", extension="1", name='A "b"') == 1
        assert scrape.get("sipqueue_agent_info", queue="queue-1", extension="2", name="") == 1
        states = scrape.by("sipqueue_agent_state", "state", extension="1")
        assert states == {state.value: float(state is TALKING) for state in AgentState}
        assert scrape.by("sipqueue_agent_calls_answered_total", "extension") == {"1": 1, "2": 0}
        assert scrape.by("sipqueue_agent_calls_missed_total", "extension") == {"1": 0, "2": 2}
        watcher = StatusWatcher(ScriptedSource(self.ANSWERS), interval=1)
        collector = WatcherCollector(watcher, agents=True)
        await run(watcher, 9)
        scrape = Scrape(collector, accept=OPEN_METRICS)
        assert scrape.by("sipqueue_agent_state", "extension", state="talking") == {"1": 1}
        assert scrape.by("sipqueue_calls_missed_total", "queue") == {"queue-1": 2}, "the queue's total fell"


class TestSeveral:
    async def test_feeds_are_told_apart_by_the_label_platform(self) -> None:
        first = StatusWatcher(ScriptedSource([snapshot(agent())]), interval=1)
        second = StatusWatcher(ScriptedSource([ERROR]), interval=1)
        collector = WatcherCollector({"Berlin": first, "Paris \ud800": second}, agents=True)
        async with first, second:
            await asyncio.sleep(0.5)
            scrape = Scrape(collector)
        assert scrape.by("sipqueue_feed_up", "platform") == {"Berlin": 1, r"Paris \ud800": 0}
        assert all("platform" in dict(series.labels) for series in scrape.samples)
        assert scrape.get("sipqueue_agents", platform="Berlin", queue="queue-1", state="waiting") == 1

    def test_no_feed_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            WatcherCollector({})


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    assert prometheus.__file__
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sipqueue_async\[prometheus\]'"):
        runpy.run_path(str(Path(prometheus.__file__)))
