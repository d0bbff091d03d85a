"""A wallboard that reads from a relay: it knows what the relay knows, and says what is away; on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from sipqueue_async import StatusWatcher, TransportError
from sipqueue_async.redis import RedisFeed, Relay, RelayError
from sipqueue_async.wallboard import Wallboard
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.redis_server import RedisServer
from tests.kit.relay import Office, patient, until

pytestmark = pytest.mark.one_python

WAITING, TALKING = snapshot(agent("1"), agent("2")), snapshot(agent("1", "talking"), agent("2"), at=2)


async def told(wallboard: Wallboard, condition: Callable[[Any], object]) -> Any:
    """Return what programs are told, once it is as it should be."""
    async with asyncio.timeout(30), aiohttp.ClientSession(wallboard.url) as client:
        while True:
            async with client.get("/api/snapshot") as answer:
                known = await answer.json()
            if condition(known):
                return known
            await asyncio.sleep(0.02)


async def get(wallboard: Wallboard, path: str) -> tuple[int, str]:
    """Return what is answered."""
    async with aiohttp.ClientSession(wallboard.url) as client, client.get(path) as answer:
        return answer.status, await answer.text()


async def test_it_shows_the_call_centre_that_the_relay_watches(redis_server: RedisServer) -> None:
    """A wallboard beside a relay shows others, other states or other calls than there are, or polls by itself."""
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
            # The relay goes on to say that all is as it was.
            assert feed.health.last_good_at.isoformat() <= (await told(board, bool))["observed_at"]
            await board.stop()
            await feed.__aexit__(None, None, None)


async def test_what_is_away_is_said(redis_server: RedisServer) -> None:
    """The wallboard shows as true what nobody knows any more, or blames something else than what is away."""
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
            assert f"127.0.0.1:{redis_server.port}" in known["feed_down"]["error"]
            await redis_server.start()
            await told(wallboard, lambda known: not known["feed_down"])


async def test_one_that_is_late_is_told_of_the_outage_under_way(redis_server: RedisServer) -> None:
    """A wallboard that is started while the platform is away shows what was true before as if it were now."""
    source = ScriptedSource([WAITING, TransportError("no route to the platform")])
    async with Relay(source, redis_server.url, interval=0.05), RedisFeed(redis_server.url) as feed:
        await until(lambda: feed.snapshot and feed.health.up is False, "the platform is away")
        async with Wallboard(feed) as late:
            known = await told(late, lambda known: known["feed_down"])
            assert known["feed_down"] == {"since": START.isoformat(), "error": "no route to the platform"}
            assert (known["fresh"], len(known["seats"])) == (False, 2)
            assert await get(late, "/healthz") == (503, "stale\n")


async def test_calls_of_before_are_not_counted(redis_server: RedisServer) -> None:
    """A wallboard that waits for a relay shows the calls of the night that nobody watched as those of today."""
    async with RedisFeed(redis_server.url) as it:
        async with Relay(ScriptedSource([WAITING]), redis_server.url, lease=0.2):
            await it.ready(timeout=20)
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


async def test_an_outage_reads_the_same_as_long_as_it_is(redis_server: RedisServer) -> None:
    """Each browser gets a message a second while no relay is there, though nothing is new."""
    async with RedisFeed(redis_server.url) as it:
        async with Relay(ScriptedSource([WAITING]), redis_server.url, lease=0.2):
            await it.ready(timeout=20)
        await until(lambda: it.health.up is False, "the relay is away")
    async with RedisFeed(redis_server.url) as feed, Wallboard(feed) as wallboard:
        known = await told(wallboard, lambda known: known["feed_down"])
        looks: list[object] = []
        feed.add_listener(looks.append)
        await until(lambda: len(looks) > 2, "it was looked for a relay again")
        assert (await told(wallboard, bool))["feed_down"] == known["feed_down"]


async def test_what_nobody_has_confirmed_yet_is_not_shown_as_true(redis_server: RedisServer) -> None:
    """A wallboard takes what its reader was told to go on from for what is known now."""
    feed = RedisFeed(redis_server.url, baseline=WAITING)
    async with Wallboard(feed) as wallboard:
        await asyncio.sleep(0.1)
        known = await told(wallboard, bool)
        assert (known["seats"], known["fresh"]) == ([], False)
        async with feed, Relay(ScriptedSource([TALKING]), redis_server.url, interval=0.1):
            known = await told(wallboard, lambda known: known["fresh"])
            assert known["observed_at"] == TALKING.observed_at.isoformat()


async def test_the_health_is_that_of_the_relay(redis_server: RedisServer) -> None:
    """A load balancer sends people to a wallboard whose relay is away, or away from one where nothing changes."""
    feed = RedisFeed(redis_server.url)
    async with feed, Wallboard(feed, stale_after=2.0) as wallboard:
        assert await get(wallboard, "/healthz") == (503, "stale\n")
        async with Relay(ScriptedSource([WAITING]), redis_server.url, interval=0.1, lease=1):
            await feed.ready(timeout=20)
            # Nothing changes for longer than that, and the relay says so.
            for _ in range(25):
                assert await get(wallboard, "/healthz") == (200, "fresh\n")
                await asyncio.sleep(0.1)
        assert await get(wallboard, "/healthz") == (200, "fresh\n"), "a short while is no harm"
        async with asyncio.timeout(20):
            while await get(wallboard, "/healthz") != (503, "stale\n"):
                await asyncio.sleep(0.05)
        assert "sipqueue_feed_up 0.0" in (await get(wallboard, "/metrics"))[1]
        assert "sipqueue_polls" not in (await get(wallboard, "/metrics"))[1]


async def test_its_end_is_told_with_its_reason(redis_server: RedisServer) -> None:
    """A screen goes on to show what was true when its program was closed, or why it gave up stays unknown."""
    closed = RedisFeed(redis_server.url)
    async with Relay(ScriptedSource([WAITING]), redis_server.url, interval=0.1), Wallboard(closed) as wallboard:
        async with closed:
            await closed.ready(timeout=20)
        await asyncio.wait_for(wallboard.wait(), 20)
        known = await told(wallboard, bool)
        assert known["feed_down"]["error"] == "the program no longer reads what a relay publishes"
    async with patient(redis_server.url) as client:
        await client.hset("{sipqueue}:meta", "version", "99")
    refused = RedisFeed(redis_server.url)
    async with Wallboard(refused) as wallboard, refused:
        with pytest.raises(RelayError, match="version 99"):
            await asyncio.wait_for(wallboard.wait(), 20)
        known = await told(wallboard, bool)
        assert known["feed_down"]["error"] == "the program no longer reads what a relay publishes: RelayError"


async def test_ages_go_by_the_relays_last_change(redis_server: RedisServer) -> None:
    """Somebody who has talked for ten minutes has just begun to, because the wallboard was started just now."""
    source = ScriptedSource([WAITING, TALKING])
    async with Relay(source, redis_server.url, interval=0.05), RedisFeed(redis_server.url) as feed:
        await until(lambda: feed.snapshot == TALKING, "all is told")
        async with Wallboard(feed, clock=lambda: START + timedelta(minutes=10)) as wallboard:
            known = await told(wallboard, lambda known: known["seats"])
    assert {seat["since"] for seat in known["seats"]} == {TALKING.observed_at.isoformat()}
    assert {seat["approximate"] for seat in known["seats"]} == {True}


def test_a_part_of_the_changes_makes_no_wallboard() -> None:
    """A wallboard that shares its reader's work with others shows a part of what happens, and nobody notices."""
    with pytest.raises(ValueError, match="a feed with a group has a part of the changes only: give one without"):
        Wallboard(RedisFeed("redis://127.0.0.1", group="walls", consumer="1"))
    Wallboard(StatusWatcher(ScriptedSource([WAITING])))
