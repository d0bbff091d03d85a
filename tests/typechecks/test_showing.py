"""Types of tallies, metrics and the wallboard: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import assert_type

from prometheus_client import Metric

from sipqueue_async import AgentState, Feed, StatusWatcher, Update, diff
from sipqueue_async.alerts import Alerts, FeedSilent
from sipqueue_async.history import History
from sipqueue_async.prometheus import AlertsCollector, Deliveries, WatcherCollector, exposition
from sipqueue_async.tally import GroupTally, Tally
from sipqueue_async.testing import START, ScriptedSource
from sipqueue_async.wallboard import Thresholds, Wallboard
from tests.kit.builders import agent, snapshot
from tests.kit.exposition import Counts


def test_figures() -> None:
    first, second = snapshot(agent(), at=0), snapshot(agent(state="talking", calls_answered=1), at=60)
    tally = Tally(first)
    assert_type(tally.update(Update(sequence=1, snapshot=second, previous=first, events=diff(first, second))), None)
    assert_type(tally.advance(second.observed_at), None)
    assert_type(tally.advance(second), None)
    assert_type(tally.observed_at, datetime | None)
    group: GroupTally = tally.queues["queue-1"]
    assert_type(group.agents, Mapping[AgentState, int])
    assert_type(group.calls_answered, int)
    assert_type(group.calls_missed, int)
    assert_type(group.signed_in, int)
    assert_type(group.seconds(), dict[AgentState, float])
    assert_type(group.occupancy(START), float | None)
    assert_type(group.unseen(), float)
    (seat,) = group.seats.values()
    assert_type(seat.calls_answered, int)
    assert_type(seat.calls_missed, int)
    assert_type(seat.approximate, bool)
    assert_type(seat.present, bool)
    assert_type(seat.since, datetime)
    assert_type(seat.state, AgentState)
    assert_type(seat.signed_in(), float)
    assert_type(seat.unseen(second.observed_at), float)
    assert_type(seat.lasted(second.observed_at), float)
    assert group.calls_answered == 1
    assert_type(tally.restart(second, at=second.observed_at, watched=False), None)
    watcher = StatusWatcher(ScriptedSource([second]))
    assert_type(tally.follow(watcher, on_change=lambda update: update and update.events), Callable[[], None])


def test_metrics() -> None:
    watcher = StatusWatcher(ScriptedSource([snapshot(agent())]))
    collector = WatcherCollector({"north": watcher}, agents=True)
    assert_type(collector.collect(), Iterable[Metric])
    assert_type(collector.exposition("text/plain"), tuple[bytes, str])
    of_alerts = AlertsCollector(Alerts(watcher, [FeedSilent("away")]), Counts())
    assert_type(of_alerts.collect(), Iterable[Metric])
    assert_type(exposition(collector, of_alerts, accept="text/plain"), tuple[bytes, str])
    counts: Deliveries = Counts()
    assert_type(counts.undelivered, Mapping[str, int])
    assert_type(counts.given_up, Mapping[str, int])
    assert_type(collector.close(), None)
    assert list(collector.collect())
    feed: Feed = StatusWatcher(ScriptedSource([snapshot(agent())]))
    assert list(WatcherCollector(feed).collect())
    feeds: dict[str, Feed] = {"north": feed}
    assert list(WatcherCollector(feeds).collect())


async def test_a_wallboard() -> None:
    watcher = StatusWatcher(ScriptedSource([snapshot(agent())]))
    wallboard = Wallboard(watcher, key=None)
    assert_type(await wallboard.start(), None)
    assert_type(wallboard.url, str)
    assert_type(wallboard.port, int)
    async with watcher:
        await watcher.ready()
    assert_type(await wallboard.wait(), None)
    assert_type(await wallboard.stop(), None)
    async with Wallboard(watcher) as other:
        assert_type(other, Wallboard)
    feed: Feed = watcher
    assert Wallboard(feed, key="a" * 12, events_key="b" * 12, events_kept=10).port == 0
    assert_type(Thresholds(talk=None, least=2).least, float | None)
    assert_type(Wallboard(feed, thresholds=Thresholds(wait=60), history=History("sqlite:///day.db")), Wallboard)
