"""The metrics compared with the ground truth, during faults of every kind, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random

import pytest

from sipqueue_async import AppCredentials, SipQueueClient, StatusWatcher
from sipqueue_async.prometheus import WatcherCollector
from sipqueue_async.simulator import CallCentre, Plan
from tests.kit.chaos import URL, ChaosPlatform, virtual_network
from tests.kit.exposition import Scrape

PLAN = Plan(agents=20, queues=3, calls_per_hour=200, counter_reset=True, show_signed_out=True)
HOURS = 6 if "ENDURANCE_DAYS" in os.environ else 1

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(300), pytest.mark.one_python]


async def test_totals_are_the_truth_through_faults(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "sipqueue_async")
    random.seed(8)
    loop = asyncio.get_running_loop()
    chaos = ChaosPlatform(CallCentre(PLAN, seed=5), seed=6, clock=loop.time)
    chaos.live.start()
    async with virtual_network(chaos.handle) as session:
        credentials = AppCredentials(chaos.platform.appid, chaos.platform.accesskey)
        client = SipQueueClient(URL, credentials, session=session)
        watcher = StatusWatcher(client, interval=5)
        collector = WatcherCollector(watcher)
        scrapes: list[Scrape] = []
        async with watcher:
            for _ in range(6):
                await asyncio.sleep(HOURS * 600)
                scrapes.append(Scrape(collector))
        await client.aclose()
        last = Scrape(collector)
    answered = last.by("sipqueue_calls_answered_total", "queue")
    assert answered.keys() == set(PLAN.queue_names)
    assert sum(answered.values()) == chaos.account.answered > 80 * HOURS
    assert sum(last.by("sipqueue_calls_missed_total", "queue").values()) == chaos.account.missed > HOURS
    health = watcher.health
    failures = last.by("sipqueue_poll_failures_total", "error")
    assert sum(failures.values()) == health.failures > 20 * HOURS
    assert sum(number > 0 for number in failures.values()) >= 4, failures
    assert last.get("sipqueue_polls_total") == health.polls == last.get("sipqueue_poll_duration_seconds_count")
    assert last.get("sipqueue_stale_polls_total") == health.stale_polls > HOURS
    assert last.get("sipqueue_poll_duration_seconds_bucket", le="5.0") != health.polls, "no slow poll was counted"
    for name in ("sipqueue_polls_total", "sipqueue_poll_failures_total", "sipqueue_calls_answered_total"):
        for before, after in itertools.pairwise(scrapes):
            for series in before.samples:
                if series.name == name:
                    assert before.samples[series] <= after.samples[series], f"{series} fell"
