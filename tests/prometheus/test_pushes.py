"""Metrics of pushes: what a receiver counts."""

from __future__ import annotations

import asyncio

import pytest

from sipqueue_async import StatusWatcher
from sipqueue_async.prometheus import PushCollector, WatcherCollector
from sipqueue_async.push import PushReceiver, PushRefused
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.exposition import OPEN_METRICS, Scrape


@pytest.mark.virtual_time
@pytest.mark.parametrize("accept", ["", OPEN_METRICS])
async def test_pushes_and_their_polls_are_counted(accept: str) -> None:
    source = ScriptedSource([snapshot(agent()), snapshot(agent(state="talking")), ValueError("broken")])
    async with StatusWatcher(source, interval=600) as watcher, PushReceiver(watcher) as receiver:
        await watcher.ready()
        collector = PushCollector(receiver)
        assert set(Scrape(collector, accept=accept).samples.values()) == {0}
        for _ in range(2):
            await receiver.handle(b"{}")
            await asyncio.sleep(1)
        with pytest.raises(PushRefused):
            await receiver.handle(b"x")
        with pytest.raises(ValueError, match="broken"):
            await watcher.refresh()
        get = Scrape(WatcherCollector(watcher), collector, accept=accept).get
    assert [get(f"sipqueue_pushes_{which}_total") for which in ("taken", "refused")] == [2, 1]
    assert [get(f"sipqueue_push_polls{which}_total") for which in ("", "_useful", "_partial")] == [1, 1, 0]
    assert repr(collector).startswith("<PushCollector of <PushReceiver, ")
