"""The collector on a reader of a relay: the same figures, whoever polls; on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sipqueue_async import AgentState, Snapshot, StatusWatcher, TransportError
from sipqueue_async.prometheus import WatcherCollector
from sipqueue_async.redis import RedisFeed, Relay
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.exposition import Scrape, Series
from tests.kit.redis_server import RedisServer
from tests.kit.relay import until

LAST_GOOD = "sipqueue_last_good_poll_timestamp_seconds"
TALKING = AgentState.TALKING
OF_AGENTS = ("sipqueue_agent", "sipqueue_calls")
OF_POLLS = (
    "sipqueue_polls",
    "sipqueue_poll_failures",
    "sipqueue_stale_polls",
    "sipqueue_poll_duration_seconds",
    "sipqueue_poll_lateness_seconds",
)


def feed_series(collector: WatcherCollector) -> tuple[float | None, float | None, float | None]:
    """Return whether the feed is up, whether it has ended, and when the platform was last seen."""
    scrape = Scrape(collector)
    return scrape.get("sipqueue_feed_up"), scrape.get("sipqueue_watcher_ended"), scrape.get(LAST_GOOD)


def played(answers: list[Snapshot], begun: asyncio.Event) -> Callable[[], Awaitable[Snapshot]]:
    """Return a source that goes on from its first answer once that was seen, and stays at its last."""
    left = answers.copy()

    async def source() -> Snapshot:
        return left.pop(0) if begun.is_set() and len(left) > 1 else left[0]

    return source


async def test_calls_and_states_are_those_that_the_relay_saw(redis_server: RedisServer) -> None:
    """An exporter that reads from a relay counts other calls than one that polls, or shows nobody at first."""
    answers = [
        snapshot(agent("1", calls_answered=calls), agent("2", TALKING, queue="b", no_answer_count=calls // 2), at=calls)
        for calls in range(5, 30)
    ]
    answers.append(snapshot(agent("1", TALKING, calls_answered=30), agent("3"), at=99))
    begun = asyncio.Event()
    watcher, feed = StatusWatcher(played(answers, begun), interval=0.01), RedisFeed(redis_server.url)
    polled, read = WatcherCollector(watcher, agents=True), WatcherCollector(feed, agents=True)
    assert feed_series(read) == (0, 0, None)
    async with feed, watcher:
        await until(lambda: feed.health.up is False, "the reader finds that there is no relay yet")
        async with Relay(played(answers, begun), redis_server.url, interval=0.01):
            await feed.ready(timeout=20)
            await watcher.ready(timeout=20)
            assert figures(read) == figures(polled)
            begun.set()
            await until(lambda: feed.snapshot == watcher.snapshot == answers[-1], "all is told")
            assert figures(read) == figures(polled)
    scrape = Scrape(read)
    assert scrape.by("sipqueue_calls_answered_total", "queue") == {"queue-1": 25, "b": 0}
    assert scrape.by("sipqueue_calls_missed_total", "queue") == {"queue-1": 0, "b": 12}
    assert scrape.by("sipqueue_agents", "queue", state="talking") == {"queue-1": 1, "b": 0}


def figures(collector: WatcherCollector) -> dict[Series, float]:
    """Return what tells of agents and calls."""
    return {it: value for it, value in Scrape(collector).samples.items() if it.name.startswith(OF_AGENTS)}


async def test_the_feed_is_up_while_a_relay_says_so(redis_server: RedisServer) -> None:
    """An alert on a feed that is down does not go off where it is the relay or Redis that is away."""
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


async def test_calls_of_before_are_not_counted(redis_server: RedisServer) -> None:
    """An exporter that waits for a relay shows the calls of the night that nobody watched as one spike."""
    async with RedisFeed(redis_server.url) as it:
        async with Relay(ScriptedSource([snapshot(agent())]), redis_server.url, lease=0.2):
            await it.ready(timeout=20)
        await until(lambda: it.health.up is False, "the relay is away")
    feed = RedisFeed(redis_server.url)
    collector = WatcherCollector(feed)
    async with feed:
        await until(lambda: feed.snapshot and feed.health.up is False, "what was known before is told")
        assert Scrape(collector).by("sipqueue_agents", "queue", state="waiting") == {"queue-1": 1}
        later = [snapshot(agent(calls_answered=calls), at=calls) for calls in (70, 71, 73)]
        begun = asyncio.Event()
        async with Relay(played(later, begun), redis_server.url, interval=0.05, lease=0.5):
            await feed.ready(timeout=20)
            assert Scrape(collector).by("sipqueue_calls_answered_total", "queue") == {"queue-1": 0}
            begun.set()
            await until(lambda: feed.snapshot == later[-1], "all is told")
    assert Scrape(collector).by("sipqueue_calls_answered_total", "queue") == {"queue-1": 3}


async def test_what_polls_took_is_said_of_watchers_alone(redis_server: RedisServer) -> None:
    """A reader, which polls nothing, looks like a watcher whose polls have stopped."""
    watcher = StatusWatcher(ScriptedSource([snapshot(agent())]), interval=1)
    feed = RedisFeed(redis_server.url)
    families = Scrape(WatcherCollector(feed)).families
    assert not families.keys() & set(OF_POLLS)
    async with watcher, feed, Relay(ScriptedSource([snapshot(agent())]), redis_server.url):
        both = WatcherCollector({"north": watcher, "south": feed})
        await watcher.ready(timeout=20)
        await feed.ready(timeout=20)
        scrape = Scrape(both)
    assert scrape.by("sipqueue_feed_up", "platform") == {"north": 1, "south": 1}
    assert scrape.by("sipqueue_agents", "platform", state="waiting") == {"north": 1, "south": 1}
    assert set(OF_POLLS) <= scrape.families.keys()
    assert {dict(it.labels)["platform"] for it in scrape.samples if it.name.startswith(OF_POLLS)} == {"north"}


def test_a_part_of_the_changes_makes_no_metrics() -> None:
    """A reader that shares its work with others counts a part of the calls, and nobody notices."""
    with pytest.raises(ValueError, match="receives only part of the changes"):
        WatcherCollector({"north": RedisFeed("redis://127.0.0.1", group="exporters", consumer="1")})
