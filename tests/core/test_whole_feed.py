"""Tallies, alerts, recorders, collectors and wallboards refuse objects that are not feeds, and feeds with a group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sipqueue_async import SipQueueClient
from sipqueue_async.alerts import Alerts
from sipqueue_async.history import History, Recorder
from sipqueue_async.prometheus import WatcherCollector
from sipqueue_async.redis import RedisFeed
from sipqueue_async.tally import Tally
from sipqueue_async.wallboard import Wallboard

CONSUMERS = [
    pytest.param(lambda feed: Alerts(feed, []), id="alerts"),
    pytest.param(lambda feed: Tally().follow(feed), id="tally"),
    pytest.param(WatcherCollector, id="prometheus"),
    pytest.param(lambda feed: WatcherCollector({"north": feed}), id="prometheus, by name"),
    pytest.param(Wallboard, id="wallboard"),
    pytest.param(lambda feed: Recorder(History("sqlite:///day.db"), feed), id="history"),
]


@pytest.mark.parametrize("consume", CONSUMERS)
def test_what_is_not_a_feed_is_refused_by_its_type(consume: Callable[[Any], object]) -> None:
    """A client is easily taken for a watcher."""
    with pytest.raises(TypeError, match="must be a StatusWatcher or another Feed, not SipQueueClient"):
        consume(SipQueueClient("http://127.0.0.1", "token"))


@pytest.mark.parametrize("consume", CONSUMERS)
def test_a_feed_with_a_group_is_refused(consume: Callable[[Any], object]) -> None:
    with pytest.raises(ValueError, match="receives only part of the changes: use one without a group"):
        consume(RedisFeed("redis://127.0.0.1", group="bots", consumer="1"))
