"""A wallboard that reads from a relay, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from sipqueue_async import TransportError
from sipqueue_async.redis import RedisFeed, Relay, RelayError
from sipqueue_async.wallboard import Wallboard
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.redis_server import RedisServer
from tests.kit.relay import Office, patient
from tests.kit.sse import Reader
from tests.kit.waiting import until

pytestmark = pytest.mark.one_python

WAITING, TALKING = snapshot(agent("1"), agent("2")), snapshot(agent("1", "talking"), agent("2"), at=2)


async def told(wallboard: Wallboard, condition: Callable[[Any], object]) -> Any:
    """Return the JSON snapshot once it meets a condition."""
    async with asyncio.timeout(60), aiohttp.ClientSession(wallboard.url) as client:
        while True:
            async with client.get("/api/snapshot") as answer:
                known = await answer.json()
            if condition(known):
                return known
            await asyncio.sleep(0.02)


async def get(wallboard: Wallboard, path: str) -> tuple[int, str]:
    """Return the status and the body of a response."""
    async with aiohttp.ClientSession(wallboard.url) as client, client.get(path) as answer:
        return answer.status, await answer.text()


async def test_wallboards_show_the_truth_that_the_relay_publishes(redis_server: RedisServer) -> None:
    office = Office(seed=4)
    async with office, office.client() as client, Relay(client, redis_server.url, interval=0.05):
        feeds = [RedisFeed(redis_server.url) for _ in range(3)]
        boards = [Wallboard(feed) for feed in feeds]
        for feed, board in zip(feeds, boards, strict=True):
            await feed.__aenter__()
            await board.start()
        await asyncio.sleep(1)
        office.live.stop()
        truth = {(key.queue, key.extension): it.state.value for key, it in (await office.records()).items()}
        for feed, board in zip(feeds, boards, strict=True):
            known = await told(
                board, lambda known: {(it["queue"], it["extension"]): it["state"] for it in known["seats"]} == truth
            )
            assert (known["fresh"], known["feed_down"]) == (True, None)
            assert feed.health.last_good_at is not None
            assert feed.health.last_good_at.isoformat() <= (await told(board, bool))["observed_at"]
            await board.stop()
            await feed.__aexit__(None, None, None)


async def test_the_reason_of_an_outage_is_relay_platform_or_redis(redis_server: RedisServer) -> None:
    fails = ScriptedSource([WAITING, TransportError("no route to the platform")])
    feed = RedisFeed(redis_server.url)
    async with Wallboard(feed) as wallboard, feed:
        known = await told(wallboard, lambda known: known["feed_down"])
        assert known["feed_down"]["since"] is None
        assert known["feed_down"]["error"].endswith(
            "no relay has published anything yet: is one running, and with this prefix?"
        )
        assert (known["seats"], known["fresh"], known["observed_at"]) == ([], False, None)
        async with Relay(fails, redis_server.url, interval=0.4, lease=0.5):
            known = await told(wallboard, lambda known: known["seats"])
            assert [seat["state"] for seat in known["seats"]] == ["waiting", "waiting"]
            known = await told(wallboard, lambda known: known["feed_down"])
            assert known["feed_down"] == {"since": START.isoformat(), "error": "no route to the platform"}
            assert known["observed_at"] == START.isoformat()
        await told(wallboard, lambda known: "no relay is there" in (known["feed_down"] or {"error": ""})["error"])
        async with Relay(ScriptedSource([TALKING]), redis_server.url, interval=0.1, lease=0.5):
            known = await told(wallboard, lambda known: not known["feed_down"])
            assert known["observed_at"] == TALKING.observed_at.isoformat()
            assert [seat["state"] for seat in known["seats"]] == ["talking", "waiting"]
            redis_server.kill()
            known = await told(wallboard, lambda known: known["feed_down"])
            assert known["feed_down"]["since"] == TALKING.observed_at.isoformat()
            assert known["feed_down"]["error"].startswith("Redis is away: ")
            await redis_server.start()
            await told(wallboard, lambda known: not known["feed_down"])


async def test_programs_read_the_events_of_a_relay(redis_server: RedisServer) -> None:
    """A relay that another one replaces is an outage in between, after which the events go on."""
    feed = RedisFeed(redis_server.url)
    async with Wallboard(feed) as wallboard, feed:
        await until(lambda: feed.health.up is False, "no relay is there yet")
        async with Reader(wallboard.port) as reader:
            first = await reader.next()
            assert (first.event, first.data["agents"]) == ("snapshot", [])
            async with Relay(ScriptedSource([WAITING]), redis_server.url, interval=0.1, lease=0.5):
                known = await reader.next()
                assert (known.event, known.data["reason"], len(known.data["agents"])) == (
                    "snapshot",
                    "first-status",
                    2,
                )
            assert (await reader.next()).event == "feed-down"
            async with Relay(ScriptedSource([TALKING]), redis_server.url, interval=0.1, lease=0.5):
                assert (await reader.next()).event == "feed-up"
                changed = await reader.next()
                assert (changed.event, changed.data["after"]) == ("state-changed", "talking")
        async with Reader(wallboard.port, last_event_id=known.last_event_id) as again:
            assert [(await again.next()).event for _ in range(3)] == ["feed-down", "feed-up", "state-changed"]


async def test_a_wallboard_started_during_an_outage_shows_it(redis_server: RedisServer) -> None:
    source = ScriptedSource([WAITING, TransportError("no route to the platform")])
    async with Relay(source, redis_server.url, interval=0.05), RedisFeed(redis_server.url) as feed:
        await until(lambda: feed.snapshot and feed.health.up is False, "the platform is away")
        async with Wallboard(feed) as late:
            known = await told(late, lambda known: known["feed_down"])
            assert known["feed_down"] == {"since": START.isoformat(), "error": "no route to the platform"}
            assert (known["fresh"], len(known["seats"])) == (False, 2)
            assert await get(late, "/readyz?fresh") == (503, "not ready: the status is stale\n")


async def test_calls_before_the_first_known_status_are_not_counted(redis_server: RedisServer) -> None:
    async with RedisFeed(redis_server.url) as it:
        async with Relay(ScriptedSource([WAITING]), redis_server.url, lease=0.2):
            await it.ready(timeout=60)
        await until(lambda: it.health.up is False, "the relay is away")
    feed = RedisFeed(redis_server.url)
    async with Wallboard(feed) as wallboard, feed:
        known = await told(wallboard, lambda known: known["feed_down"] and known["seats"])
        assert [seat["state"] for seat in known["seats"]] == ["waiting", "waiting"]
        later = ScriptedSource([snapshot(agent("1", calls_answered=70), agent("2"), at=60)])
        async with Relay(later, redis_server.url, interval=0.1, lease=0.5):
            known = await told(wallboard, lambda known: not known["feed_down"])
            assert [seat["calls_answered"] for seat in known["seats"]] == [0, 0]
            assert known["fresh"]


async def test_the_reason_of_an_outage_is_stable(redis_server: RedisServer) -> None:
    async with RedisFeed(redis_server.url) as it:
        async with Relay(ScriptedSource([WAITING]), redis_server.url, lease=0.2):
            await it.ready(timeout=60)
        await until(lambda: it.health.up is False, "the relay is away")
    async with RedisFeed(redis_server.url) as feed, Wallboard(feed) as wallboard:
        known = await told(wallboard, lambda known: known["feed_down"])
        looks: list[object] = []
        feed.add_listener(looks.append)
        await until(lambda: len(looks) > 2, "it was looked for a relay again")
        assert (await told(wallboard, bool))["feed_down"] == known["feed_down"]


async def test_a_baseline_is_not_shown_before_it_is_confirmed(redis_server: RedisServer) -> None:
    feed = RedisFeed(redis_server.url, baseline=WAITING)
    async with Wallboard(feed) as wallboard:
        await asyncio.sleep(0.1)
        known = await told(wallboard, bool)
        assert (known["seats"], known["fresh"]) == ([], False)
        async with feed, Relay(ScriptedSource([TALKING]), redis_server.url, interval=0.1):
            known = await told(wallboard, lambda known: known["fresh"])
            assert known["observed_at"] == TALKING.observed_at.isoformat()


async def test_the_health_is_fresh_while_the_relay_confirms_the_status(redis_server: RedisServer) -> None:
    feed = RedisFeed(redis_server.url)
    async with feed, Wallboard(feed) as wallboard:
        assert (await get(wallboard, "/readyz"))[1].startswith("not ready: the status is not known yet")
        live = wallboard._live
        async with Relay(ScriptedSource([WAITING]), redis_server.url, interval=0.1, lease=1):
            await feed.ready(timeout=60)
            first = live._good_at
            await until(lambda: live._good_at != first, "an unchanged status was confirmed")
            assert await get(wallboard, "/readyz?fresh") == (200, "ready\n")
        await until(lambda: feed.health.up is False, "the relay is away")
        assert await get(wallboard, "/readyz?fresh") == (200, "ready\n"), "a short outage is tolerated"
        live._stale_after = 0.0
        assert await get(wallboard, "/readyz?fresh") == (503, "not ready: the status is stale\n")
        assert await get(wallboard, "/readyz") == (200, "ready\n")
        metrics = (await get(wallboard, "/metrics"))[1]
        assert "sipqueue_feed_up 0.0" in metrics
        assert "sipqueue_polls" not in metrics


async def test_the_end_of_the_feed_is_shown_with_its_reason(redis_server: RedisServer) -> None:
    closed = RedisFeed(redis_server.url)
    async with Relay(ScriptedSource([WAITING]), redis_server.url, interval=0.1), Wallboard(closed) as wallboard:
        async with closed:
            await closed.ready(timeout=60)
        await asyncio.wait_for(wallboard.wait(), 60)
        known = await told(wallboard, bool)
        assert known["feed_down"]["error"] == "the program no longer reads what a relay publishes"
    async with patient(redis_server.url) as client:
        await client.hset("{sipqueue}:meta", "version", "99")
    refused = RedisFeed(redis_server.url)
    async with Wallboard(refused) as wallboard, refused:
        with pytest.raises(RelayError, match="version 99"):
            await asyncio.wait_for(wallboard.wait(), 60)
        known = await told(wallboard, bool)
        assert known["feed_down"]["error"] == "the program no longer reads what a relay publishes: RelayError"


async def test_a_new_wallboard_counts_ages_from_the_relays_last_change(redis_server: RedisServer) -> None:
    source = ScriptedSource([WAITING, TALKING])
    async with Relay(source, redis_server.url, interval=0.05), RedisFeed(redis_server.url) as feed:
        await until(lambda: feed.snapshot == TALKING, "all is told")
        async with Wallboard(feed, clock=lambda: START + timedelta(minutes=10)) as wallboard:
            known = await told(wallboard, lambda known: known["seats"])
    assert {seat["since"] for seat in known["seats"]} == {TALKING.observed_at.isoformat()}
    assert {seat["approximate"] for seat in known["seats"]} == {True}
