"""The collector, in virtual time against scripted sources: each metric says what it is documented to say."""

from __future__ import annotations

import asyncio
import runpy
import sys
from pathlib import Path

import pytest

from sipqueue_async import (
    AgentState,
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
    """Let a watcher run for some seconds."""
    async with watcher:
        await asyncio.sleep(seconds)


class TestFeed:
    async def test_before_the_first_poll(self) -> None:
        """A watcher that has never reached its platform passes for one whose feed is up, or breaks the scrape."""
        scrape = Scrape(WatcherCollector(StatusWatcher(ScriptedSource([snapshot()]))))
        assert scrape.get("sipqueue_feed_up") == 0
        assert scrape.get("sipqueue_watcher_ended") == 0
        assert scrape.get("sipqueue_last_good_poll_timestamp_seconds") is None
        assert scrape.get("sipqueue_polls_total") == 0
        assert scrape.get("sipqueue_poll_duration_seconds_count") == 0

    async def test_up_down_and_ended(self) -> None:
        """An alert on a feed that is down does not go off, or goes on when it is up."""
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
        """A watcher that somebody closed looks well for ever."""
        watcher = StatusWatcher(ScriptedSource([snapshot(agent())]))
        collector = WatcherCollector(watcher)
        await run(watcher, 1)
        scrape = Scrape(collector)
        assert (scrape.get("sipqueue_feed_up"), scrape.get("sipqueue_watcher_ended")) == (0, 1)

    async def test_failures_by_kind(self) -> None:
        """Nobody can tell a broken network from refused credentials, or a kind's first failure makes no rate."""
        source = ScriptedSource([snapshot(), ERROR, HttpStatusError(503), ERROR, LookupError("a bug")])
        watcher = StatusWatcher(source, interval=1, max_backoff=1)
        collector = WatcherCollector(watcher)
        none = {kind.__name__: 0.0 for kind in LIBRARY_ERRORS}
        assert Scrape(collector).by("sipqueue_poll_failures_total", "error") == none
        await run(watcher, 10)
        failures = Scrape(collector).by("sipqueue_poll_failures_total", "error")
        assert failures == none | {"TransportError": 2, "HttpStatusError": 1, "LookupError": 1}

    async def test_stale_polls(self) -> None:
        """A cache in front of the platform goes unseen."""
        stale = snapshot(server=1)
        watcher = StatusWatcher(ScriptedSource([snapshot(server=9), stale, stale, snapshot(server=10)]), interval=1)
        collector = WatcherCollector(watcher)
        await run(watcher, 3.5)
        assert Scrape(collector).get("sipqueue_stale_polls_total") == 2

    async def test_durations_and_latenesses(self) -> None:
        """The histograms count polls in wrong buckets, leave out failed ones, or their sums are wrong."""
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
    async def test_every_state_of_every_queue_is_there(self) -> None:
        """A graph has gaps where nobody is in a state, or a queue vanishes with its last agent."""
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
        """Calls from before are counted, those between two polls are not, or a queue begins without a 0."""
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
        """Calls that were answered while the platform or the program was away are lost to the metrics."""
        known = snapshot(agent(calls_answered=1))
        source = ScriptedSource([ERROR, snapshot(agent(calls_answered=4), at=9)])
        watcher = StatusWatcher(source, interval=1, baseline=known)
        collector = WatcherCollector(watcher)
        await run(watcher, 10)
        assert Scrape(collector).get("sipqueue_calls_answered_total", queue="queue-1") == 3

    async def test_nobody_needs_to_scrape_for_the_counts_to_be_exact(self) -> None:
        """Of calls of someone who left, or across a reset, some are lost where the scrapes are rare."""
        answers = list[Snapshot]()
        for day in range(100):
            for calls in range(9):
                answers.append(snapshot(agent(calls_answered=calls), at=len(answers)))
            answers += [snapshot(at=len(answers)) for _ in range(3 if day % 2 else 0)]
        watcher = StatusWatcher(ScriptedSource(answers), interval=1, initial=True)
        collector = WatcherCollector(watcher)
        await run(watcher, len(answers) + 10)
        assert Scrape(collector).get("sipqueue_calls_answered_total", queue="queue-1") == 100 * 8

    async def test_one_that_is_made_later_counts_from_then_on(self) -> None:
        """A collector made for a running watcher counts what was before it, or shows nobody until something changes."""
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

    async def test_a_closed_one_stays_as_it_is(self) -> None:
        """A collector that is no longer wanted is called for ever."""
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

    async def test_no_series_for_each_agent_unless_asked_for(self) -> None:
        """A call centre of a thousand agents is a surprise for Prometheus' memory."""
        watcher = StatusWatcher(ScriptedSource(self.ANSWERS))
        collector = WatcherCollector(watcher)
        await run(watcher, 10)
        labels = {label for series in Scrape(collector).samples for label, _ in series.labels}
        assert labels == {"queue", "state", "error", "le"}

    async def test_those_who_are_there(self) -> None:
        """The series of an agent say something else than the events, or those of someone who left stay."""
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
        scrape = Scrape(collector, OPEN_METRICS)
        assert scrape.by("sipqueue_agent_state", "extension", state="talking") == {"1": 1}
        assert scrape.by("sipqueue_calls_missed_total", "queue") == {"queue-1": 2}, "the queue's total fell"


class TestSeveral:
    async def test_are_told_apart_by_the_names_given(self) -> None:
        """Two platforms add up to one, or one is missing."""
        first = StatusWatcher(ScriptedSource([snapshot(agent())]), interval=1)
        second = StatusWatcher(ScriptedSource([ERROR]), interval=1)
        collector = WatcherCollector({"Berlin": first, "Paris \ud800": second}, agents=True)
        async with first, second:
            await asyncio.sleep(0.5)
            scrape = Scrape(collector)
        assert scrape.by("sipqueue_feed_up", "platform") == {"Berlin": 1, r"Paris \ud800": 0}
        assert all("platform" in dict(series.labels) for series in scrape.samples)
        assert scrape.get("sipqueue_agents", platform="Berlin", queue="queue-1", state="waiting") == 1

    def test_none_at_all_is_a_mistake(self) -> None:
        """A configuration without platforms goes unnoticed."""
        with pytest.raises(ValueError, match="at least one"):
            WatcherCollector({})


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks prometheus-client has to guess which package it is in."""
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    assert prometheus.__file__
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sipqueue_async\[prometheus\]'"):
        runpy.run_path(str(Path(prometheus.__file__)))
