"""The collector of a reader of a relay, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sipqueue_async import AgentState, Snapshot, StatusWatcher, TransportError
from sipqueue_async.prometheus import WatcherCollector
from sipqueue_async.redis import RedisFeed, Relay
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.exposition import Scrape, Series
from tests.kit.redis_server import RedisServer
from tests.kit.waiting import until

LAST_GOOD = "sipqueue_last_good_poll_timestamp_seconds"
TALKING = AgentState.TALKING
OF_AGENTS = ("sipqueue_agent", "sipqueue_calls")
OF_POLLS = (
    "sipqueue_polls",
    "sipqueue_poll_failures",
    "sipqueue_stale_polls",
    "sipqueue_held_back_answers",
    "sipqueue_held_back_records",
    "sipqueue_poll_duration_seconds",
    "sipqueue_poll_lateness_seconds",
)


def feed_series(collector: WatcherCollector) -> tuple[float | None, float | None, float | None]:
    """Return whether the feed is up, whether it has ended, and the time of the last good answer."""
    scrape = Scrape(collector)
    return scrape.get("sipqueue_feed_up"), scrape.get("sipqueue_watcher_ended"), scrape.get(LAST_GOOD)


def played(answers: list[Snapshot], begun: asyncio.Event, end: list[Snapshot]) -> Callable[[], Awaitable[Snapshot]]:
    """Return a source that repeats its first answer until `begun` is set, then its last one until `end` has another."""
    left = answers.copy()

    async def source() -> Snapshot:
        if end:
            return end[0]
        return left.pop(0) if begun.is_set() and len(left) > 1 else left[0]

    return source


async def test_a_reader_has_the_same_figures_as_a_watcher(redis_server: RedisServer) -> None:
    answers = [
        snapshot(agent("1", calls_answered=calls), agent("2", TALKING, queue="b", no_answer_count=calls // 2), at=calls)
        for calls in range(5, 30)
    ]
    # An agent leaves only once the reader knows the calls: a relay that falls behind merges what changed meanwhile.
    last, end = snapshot(agent("1", TALKING, calls_answered=30), agent("3"), at=99), list[Snapshot]()
    begun = asyncio.Event()
    watcher, feed = StatusWatcher(played(answers, begun, end), interval=0.01), RedisFeed(redis_server.url)
    polled, read = WatcherCollector(watcher, agents=True), WatcherCollector(feed, agents=True)
    assert feed_series(read) == (0, 0, None)
    async with feed, watcher:
        await until(lambda: feed.health.up is False, "the reader finds that there is no relay yet")
        async with Relay(played(answers, begun, end), redis_server.url, interval=0.01):
            await feed.ready(timeout=60)
            await watcher.ready(timeout=60)
            assert figures(read) == figures(polled)
            begun.set()
            await until(lambda: feed.snapshot == watcher.snapshot == answers[-1], "all calls are told")
            end.append(last)
            await until(lambda: feed.snapshot == watcher.snapshot == last, "all is told")
            assert figures(read) == figures(polled)
    scrape = Scrape(read)
    assert scrape.by("sipqueue_calls_answered_total", "queue") == {"queue-1": 25, "b": 0}
    assert scrape.by("sipqueue_calls_missed_total", "queue") == {"queue-1": 0, "b": 12}
    assert scrape.by("sipqueue_agents", "queue", state="talking") == {"queue-1": 1, "b": 0}


def figures(collector: WatcherCollector) -> dict[Series, float]:
    """Return the samples about agents and calls."""
    return {it: value for it, value in Scrape(collector).samples.items() if it.name.startswith(OF_AGENTS)}


async def test_the_feed_is_down_without_platform_relay_or_redis(redis_server: RedisServer) -> None:
    source = ScriptedSource([snapshot(agent()), TransportError("the platform is away")])
    source_that_works = ScriptedSource([snapshot(agent(), at=60)])
    feed = RedisFeed(redis_server.url)
    collector = WatcherCollector(feed)
    start = START.timestamp()
    async with feed:
        async with Relay(source, redis_server.url, interval=0.3, lease=0.5):
            await until(lambda: feed_series(collector) == (1, 0, start), "the relay has polled")
            await until(lambda: feed_series(collector) == (0, 0, start), "the platform is away")
        async with Relay(source_that_works, redis_server.url, interval=0.3, lease=0.5):
            await until(lambda: feed_series(collector) == (1, 0, start + 60), "the platform is back")
        await until(lambda: feed_series(collector) == (0, 0, start + 60), "the relay is away")
        async with Relay(source_that_works, redis_server.url, interval=0.3, lease=0.5):
            await until(lambda: feed_series(collector) == (1, 0, start + 60), "the relay is back")
            redis_server.kill()
            await until(lambda: feed_series(collector) == (0, 0, start + 60), "Redis is away")
    assert feed_series(collector) == (0, 1, start + 60)


async def test_calls_before_the_first_known_status_are_not_counted(redis_server: RedisServer) -> None:
    async with RedisFeed(redis_server.url) as it:
        async with Relay(ScriptedSource([snapshot(agent())]), redis_server.url, lease=0.2):
            await it.ready(timeout=60)
        await until(lambda: it.health.up is False, "the relay is away")
    feed = RedisFeed(redis_server.url)
    collector = WatcherCollector(feed)
    async with feed:
        await until(lambda: feed.snapshot and feed.health.up is False, "what was known before is told")
        assert Scrape(collector).by("sipqueue_agents", "queue", state="waiting") == {"queue-1": 1}
        later = [snapshot(agent(calls_answered=calls), at=calls) for calls in (70, 71, 73)]
        begun = asyncio.Event()
        async with Relay(played(later, begun, []), redis_server.url, interval=0.05, lease=0.5):
            await feed.ready(timeout=60)
            assert Scrape(collector).by("sipqueue_calls_answered_total", "queue") == {"queue-1": 0}
            begun.set()
            await until(lambda: feed.snapshot == later[-1], "all is told")
    assert Scrape(collector).by("sipqueue_calls_answered_total", "queue") == {"queue-1": 3}


async def test_readers_have_no_metrics_of_polls(redis_server: RedisServer) -> None:
    watcher = StatusWatcher(ScriptedSource([snapshot(agent())]), interval=1)
    feed = RedisFeed(redis_server.url)
    families = Scrape(WatcherCollector(feed)).families
    assert not families.keys() & set(OF_POLLS)
    async with watcher, feed, Relay(ScriptedSource([snapshot(agent())]), redis_server.url):
        both = WatcherCollector({"north": watcher, "south": feed})
        await watcher.ready(timeout=60)
        await feed.ready(timeout=60)
        scrape = Scrape(both)
    assert scrape.by("sipqueue_feed_up", "platform") == {"north": 1, "south": 1}
    assert scrape.by("sipqueue_agents", "platform", state="waiting") == {"north": 1, "south": 1}
    assert set(OF_POLLS) <= scrape.families.keys()
    assert {dict(it.labels)["platform"] for it in scrape.samples if it.name.startswith(OF_POLLS)} == {"north"}
