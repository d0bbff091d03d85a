"""Metrics of alerts: how many are raised, by rule, and their delivery, by destination."""

from __future__ import annotations

import pytest

from sipqueue_async import AgentState, StatusWatcher
from sipqueue_async.alerts import Alerts, AlertState, FeedSilent, StateLasts, evaluate
from sipqueue_async.prometheus import AlertsCollector, WatcherCollector
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.exposition import OPEN_METRICS, Counts, Scrape

TALKING = snapshot(agent("1", AgentState.TALKING), agent("2", AgentState.TALKING))


@pytest.mark.parametrize("accept", ["", OPEN_METRICS])
def test_every_rule_and_destination_has_its_series(accept: str) -> None:
    state, _, _ = evaluate(
        AlertState([StateLasts("talks\x1b", AgentState.TALKING, longer_than=0), FeedSilent("away")]), TALKING
    )
    watcher = StatusWatcher(ScriptedSource([TALKING]))
    alerts = Alerts(watcher, state)
    get = Scrape(WatcherCollector(watcher), AlertsCollector(alerts, Counts()), accept=accept).get
    assert get("sipqueue_alerts_raised", rule=r"talks\x1b") == 2
    assert get("sipqueue_alerts_raised", rule="away") == 0
    assert get("sipqueue_alerts_undelivered", destination="duty") == 3
    assert get("sipqueue_alerts_given_up_total", destination="duty") == 2
    assert get("sipqueue_feed_up") == 0


@pytest.mark.virtual_time
async def test_a_raised_alert_is_counted_until_it_clears() -> None:
    source = ScriptedSource([TALKING, snapshot(agent("1"), agent("2"), at=10)])
    async with StatusWatcher(source, interval=10) as watcher:
        with Alerts(watcher, [StateLasts("talks", AgentState.TALKING, longer_than=5)]) as alerts:
            found = [Scrape(AlertsCollector(alerts)).get("sipqueue_alerts_raised", rule="talks")]
            for _ in range(4):
                await anext(alerts)
                found.append(Scrape(AlertsCollector(alerts)).get("sipqueue_alerts_raised", rule="talks"))
            # Both are raised at the same time, and cleared at the same time.
            assert found == [0, 2, 2, 0, 0]
            assert Scrape(AlertsCollector(alerts)).get("sipqueue_alerts_undelivered", destination="x") is None
