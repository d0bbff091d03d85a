"""`RedisFeed` offers the same as a watcher, and works with any relay; on a real Redis."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from sipqueue_async import (
    AgentJoined,
    CallAnswered,
    Feed,
    FeedDown,
    FeedHealth,
    FeedUp,
    SeatKey,
    StateChanged,
    StatusWatcher,
    TransportError,
    diff,
)
from sipqueue_async.redis import RedisFeed, RedisFeedHealth, RelayError
from sipqueue_async.tally import Tally
from sipqueue_async.testing import collect
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.cable import Cable
from tests.kit.publications import Writer, payload_of
from tests.kit.redis_server import RedisServer
from tests.kit.waiting import until

WAITING, TALKING = snapshot(agent("1"), agent("2")), snapshot(agent("1", "talking"), agent("2"), at=2)


class TestLikeAWatcher:
    async def test_it_knows_and_tells_what_is_published(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer, RedisFeed(redis_server.url) as feed:
            await writer.publish(WAITING)
            assert await feed.ready(timeout=60) == WAITING == feed.snapshot
            updates, changes = feed.updates(), feed.subscribe(StateChanged, extension="1")
            others = feed.subscribe(StateChanged, extension="2")
            await writer.publish(TALKING)
            (update,) = await collect(updates, until=1)
            assert (update.sequence, update.previous, update.snapshot) == (2, WAITING, TALKING)
            assert update.events == diff(WAITING, TALKING)
            assert await collect(changes, until=1) == [*update.events]
            assert others.pending == 0
            # A reader that reads before the first publication also reports an outage.
            *_, event = await collect(feed, until=StateChanged)
            assert event == update.events[0]

    async def test_some_queues_or_extensions_are_all_that_is_read(self, redis_server: RedisServer) -> None:
        """A reader with `queues` or `extensions` gets only their events and records."""
        known = snapshot(agent("1"), agent("2"), agent("1", queue="b"))
        other = snapshot(agent("1"), agent("2", "talking"), agent("1", queue="b"), at=2)
        wanted = snapshot(agent("1", "talking"), agent("2", "talking"), agent("1", "talking", queue="b"), at=4)
        options: list[dict[str, Any]] = [{"queues": ["queue-1"], "extensions": ["1"]}, {"queues": "b"}]
        async with (
            Writer(redis_server) as writer,
            RedisFeed(redis_server.url, **options[0]) as one,
            RedisFeed(redis_server.url, **options[1], baseline=known) as whole,
        ):
            await writer.publish(known)
            assert await one.ready(timeout=60) == snapshot(agent("1"))
            await whole.ready(timeout=60)
            first, second = one.updates(), whole.updates()
            await writer.publish(other)
            await writer.publish(wanted)
            for updates, queue in ((first, "queue-1"), (second, "b")):
                (update,) = await collect(updates, until=1)
                assert [(event.kind, event.queue, event.extension) for event in update.events] == [
                    ("state-changed", queue, "1")
                ]
                assert update.sequence == 3
                assert update.snapshot == snapshot(agent("1", "talking", queue=queue), at=4)
            assert whole.snapshot == snapshot(agent("1", "talking", queue="b"), at=4)
            assert whole.health.last_good_at == wanted.observed_at

    async def test_of_a_baseline_only_what_is_read_counts(self, redis_server: RedisServer) -> None:
        """Seats outside the filter are removed from the baseline, so they are not reported as leaving."""
        known, now = (
            snapshot(agent(), agent(state=state, queue="b"), at=at) for state, at in (("idle", 0), ("talking", 4))
        )
        feed = RedisFeed(redis_server.url, queues="b", baseline=known)
        updates = feed.updates()
        async with Writer(redis_server) as writer:
            await writer.publish(known)
            async with feed:
                await feed.ready(timeout=60)
                await writer.publish(now)
                (update,) = await collect(updates, until=1)
        assert [(event.kind, event.queue) for event in update.events] == [("state-changed", "b")]

    def test_both_are_feeds(self) -> None:
        assert isinstance(RedisFeed("redis://127.0.0.1"), Feed)
        assert isinstance(StatusWatcher(ScriptedSource([WAITING])), Feed)

    async def test_with_initial_everybody_joins(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer, RedisFeed(redis_server.url, initial=True) as feed:
            await writer.publish(WAITING)
            events = await collect(feed, until=lambda event: event.extension == "2")
        assert [event for event in events if event.key] == list(diff(None, WAITING))

    async def test_a_state_began_when_a_tally_shows(self, redis_server: RedisServer) -> None:
        """`state_since` agrees with the tally; after a baseline, a change in the first read has an approximate time."""
        async with Writer(redis_server) as writer:
            await writer.publish(snapshot(agent("1"), agent("2"), at=4))
            feeds = RedisFeed(redis_server.url), RedisFeed(redis_server.url, baseline=snapshot(agent("1"), agent("3")))
            for feed in feeds:
                tally = Tally()
                tally.follow(feed)
                async with feed:
                    await feed.ready(timeout=60)
                    changed = asyncio.create_task(feed.wait_for(StateChanged, extension="1", timeout=60))
                    await asyncio.sleep(0)
                    await writer.publish(snapshot(agent("1", "talking"), agent("2"), at=6))
                    await changed
                    for key in [("queue-1", "1"), ("queue-1", "2")]:
                        seat = tally.seats[SeatKey(*key)]
                        assert feed.state_since(key) == (seat.since, seat.approximate)
                    assert not feed.state_since(("queue-1", "1")).approximate
                    assert feed.state_since(("queue-1", "2")).approximate
                await writer.publish(snapshot(agent("1"), agent("2"), at=8))

    async def test_it_goes_on_from_a_baseline(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer:
            await writer.publish(snapshot(agent("1", calls_answered=5), at=9))
            async with RedisFeed(redis_server.url, baseline=snapshot(agent("1", calls_answered=2))) as feed:
                assert feed.snapshot == snapshot(agent("1", calls_answered=2))
                (event,) = await collect(feed.subscribe(CallAnswered), until=1)
        assert event.count == 3

    async def test_a_reader_that_comes_back_has_what_it_missed_entry_by_entry(self, redis_server: RedisServer) -> None:
        async with (
            Writer(redis_server) as writer,
            Cable(redis_server.port) as cable,
            RedisFeed(cable.url) as feed,
        ):
            await writer.publish(WAITING)
            await feed.ready(timeout=60)
            updates = feed.updates()
            cable.cut()
            await writer.publish(TALKING)
            await writer.publish(WAITING)
            found = await collect(updates, until=lambda update: update.sequence == 3)
            assert [update.sequence for update in found if update.snapshot is not update.previous] == [2, 3]
            assert not any(update.coalesced for update in found)
            assert feed.health.resyncs == 0

    async def test_a_stream_that_does_not_go_on_is_a_difference(self, redis_server: RedisServer) -> None:
        async with (
            Writer(redis_server) as writer,
            RedisFeed(redis_server.url) as feed,
            redis_server.client() as client,
        ):
            await writer.publish(WAITING)
            await feed.ready(timeout=60)
            updates = feed.updates()
            pipe = client.pipeline(transaction=True)
            entry = await client.hget("{sipqueue}:meta", "entry")
            payload = payload_of(WAITING, TALKING, sequence=9)
            number = f"{int(str(entry).split('-')[0]) + 1}-7"
            pipe.xadd(
                "{sipqueue}:events",
                {
                    "after": "1-1",
                    "confirmed": "0",
                    "update": payload.update,
                    "seats": payload.seats,
                    "was": payload.was,
                    "now": payload.now,
                },
                id=number,
            )
            pipe.hset("{sipqueue}:meta", mapping={"entry": number, "sequence": 9, "snapshot": payload.snapshot})
            pipe.hset("{sipqueue}:agents", payload.seats.split("\n")[0], payload.now.split("\n")[0])
            await pipe.execute()
            (update,) = await collect(updates, until=1)
            assert (update.events, update.sequence, update.coalesced) == (diff(WAITING, TALKING), 9, True)
            assert (feed.health.resyncs, feed.health.sequence) == (1, 9)

    async def test_a_gap_among_what_was_missed_is_a_difference(self, redis_server: RedisServer) -> None:
        async with (
            Writer(redis_server) as writer,
            Cable(redis_server.port) as cable,
            RedisFeed(cable.url) as feed,
            redis_server.client() as client,
        ):
            await writer.publish(WAITING)
            await feed.ready(timeout=60)
            updates = feed.updates()
            cable.pull()
            await writer.publish(snapshot(agent("1"), agent("2"), agent("3"), at=2))
            await writer.publish(snapshot(agent("1"), agent("2", calls_answered=1), agent("3"), at=3))
            await writer.publish(TALKING)
            entries: Any = await client.xrange("{sipqueue}:events")
            await client.xdel("{sipqueue}:events", entries[2][0])
            cable.cut()
            cable.plug()
            told = await collect(updates, until=lambda update: update.sequence == 4, timeout=60)
            assert feed.snapshot == TALKING
            assert feed.health.resyncs == 1
        assert told[-1].coalesced


class TestReady:
    async def test_without_a_relay_it_says_so(self, redis_server: RedisServer) -> None:
        async with RedisFeed(redis_server.url) as feed:
            await until(lambda: feed.health.up is False)
            with pytest.raises(
                TimeoutError, match=r"not been read from Redis within 0.3 s; .*: no relay has published"
            ):
                await feed.ready(timeout=0.3)
            assert feed.snapshot is None
            assert feed.health.up is False

    async def test_without_redis_it_says_so(self, redis_server: RedisServer) -> None:
        redis_server.kill()
        async with RedisFeed(redis_server.url) as feed:
            with pytest.raises(TimeoutError, match="the last error: Redis is away: Connection refused"):
                await feed.ready(timeout=0.3)
            await redis_server.start()
            async with Writer(redis_server) as writer:
                await writer.publish(WAITING)
                assert await feed.ready(timeout=60) == WAITING

    async def test_it_is_not_ready_while_the_platform_is_away(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer:
            await writer.publish(WAITING)
            await writer.publish(WAITING, FeedDown(error=TransportError("no route"), since=START))
            async with RedisFeed(redis_server.url) as feed:
                with pytest.raises(TimeoutError, match="the last error: no route"):
                    await feed.ready(timeout=0.3)

    async def test_a_refusal_by_redis_is_raised_everywhere(self, redis_server: RedisServer) -> None:
        async with redis_server.client() as client:
            await client.config_set("requirepass", "x")
        async with RedisFeed(redis_server.url) as feed:
            with pytest.raises(RelayError):
                await feed.ready(timeout=60)
            with pytest.raises(RelayError):
                await collect(feed.updates(), until=1)
        assert repr(feed).endswith("ended, was down, at 0>")


class TestFeedEvents:
    async def test_a_relay_that_dies_is_missed(self, redis_server: RedisServer) -> None:
        async with RedisFeed(redis_server.url) as feed:
            events = feed.subscribe(FeedDown, FeedUp)
            async with Writer(redis_server, lease=0.2) as writer:
                await collect(events, until=FeedDown)
                await writer.publish(WAITING)
                await collect(events, until=FeedUp)
            (down,) = await collect(events, until=FeedDown)
            assert isinstance(down, FeedDown)
            assert str(down.error).startswith("no relay is there")
            assert down.since == START

    async def test_after_a_loss_of_data_the_feed_is_down_until_a_relay_confirms_the_data(
        self, redis_server: RedisServer
    ) -> None:
        """If Redis loses its data, a reader keeps its snapshot and reports that the feed is down."""
        async with (
            Writer(redis_server, lease=2) as writer,
            RedisFeed(redis_server.url) as feed,
            redis_server.client() as client,
        ):
            await writer.publish(WAITING)
            await feed.ready(timeout=60)
            updates = feed.updates()
            await client.flushall()
            (update,) = await collect(updates, until=1, timeout=60)
            (down,) = update.events
            assert isinstance(down, FeedDown)
            assert "Redis has lost data that this reader had read" in str(down.error)
            # The relay's lock is lost too, so its next renewals confirm nothing.
            await asyncio.sleep(0.3)
            assert (feed.health.up, feed.snapshot, updates.get_nowait()) == (False, WAITING, None)
        async with Writer(redis_server) as writer, RedisFeed(redis_server.url, baseline=WAITING) as feed:
            await writer.publish(TALKING)
            assert await feed.ready(timeout=60) == TALKING


class TestHealth:
    async def test_it_shows_the_condition_of_the_feed(self, redis_server: RedisServer) -> None:
        feed = RedisFeed(redis_server.url)
        where = f"<RedisFeed of Redis at 127.0.0.1:{redis_server.port}, keys {{sipqueue}}:*, "
        assert feed.health == RedisFeedHealth()
        assert repr(feed) == f"{where}not read yet, at 0>"
        async with Writer(redis_server) as writer, feed:
            await until(lambda: feed.health.up is False)
            assert repr(feed) == f"{where}down, at 0>"
            await writer.publish(WAITING)
            await feed.ready(timeout=60)
            health = feed.health
            assert (health.up, health.ended, health.sequence, health.resyncs, health.failures) == (True, False, 1, 0, 0)
            assert (health.last_good_at, str(health.last_error)[:8]) == (START, "no relay")
            assert repr(feed) == f"{where}up, at 1>"
            redis_server.kill()
            await until(lambda: feed.health.failures > 1)
            assert feed.health.up is False
        assert feed.health.ended
        assert repr(feed) == f"{where}ended, was down, at 1>"

    @pytest.mark.parametrize("group", [{}, {"group": "sales", "consumer": "one"}])
    async def test_it_tells_what_ended_the_reading(self, redis_server: RedisServer, group: dict[str, Any]) -> None:
        async with (
            Writer(redis_server, lease=2) as writer,
            redis_server.client() as client,
            RedisFeed(redis_server.url, **group) as feed,
        ):
            await writer.publish(snapshot(agent()))
            await feed.ready(timeout=60)
            keys = {name: f"{{sipqueue}}:{name}" for name in ("meta", "group:sales")}
            broken = keys["group:sales" if group else "meta"]
            await client.delete(broken)
            await client.set(broken, "something else")
            with pytest.raises(RelayError) as told:
                await collect(feed, until=100, timeout=60)
            assert (feed.health.up, feed.health.ended, feed.health.last_error) == (False, True, told.value)

    async def test_it_says_so_whenever_it_has_looked(self, redis_server: RedisServer) -> None:
        looks: list[tuple[bool | None, list[str], datetime | None]] = []
        feed = RedisFeed(redis_server.url)
        updates = feed.updates()

        def look(health: FeedHealth) -> None:
            update = updates.get_nowait()
            looks.append((health.up, [] if update is None else [it.kind for it in update.events], health.last_good_at))

        end = feed.add_listener(look)
        async with Writer(redis_server, lease=0.5) as writer:
            await writer.publish(WAITING)
            async with feed:
                await until(lambda: looks)
                await writer.publish(TALKING)
                await until(lambda: len(looks) >= 3)
                redis_server.kill()
                await until(lambda: not looks[-1][0])
                end()
                before = len(looks)
                failures = feed.health.failures
                await until(lambda: feed.health.failures > failures)
        assert len(looks) == before
        first, *between, last = looks
        assert first == (True, [], START)
        assert (True, ["state-changed"], TALKING.observed_at) in between
        assert (True, [], TALKING.observed_at) in between, "nobody is told that all is as it was"
        assert last == (False, ["feed-down"], TALKING.observed_at)

    def test_one_of_a_group_says_that_it_has_a_part(self) -> None:
        """`is_shared` is true only for a feed with a group."""
        assert not RedisFeed("redis://127.0.0.1").is_shared
        assert RedisFeed("redis://127.0.0.1", group="bots", consumer="a").is_shared
        assert not StatusWatcher(ScriptedSource([WAITING])).is_shared


class TestMisuse:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"group": "sales"}, "give both group and consumer, or neither"),
            ({"consumer": "1"}, "give both group and consumer, or neither"),
            ({"group": "", "consumer": "1"}, "their names must not be empty"),
            ({"group": "sales", "consumer": ""}, "their names must not be empty"),
            ({"group": "sales", "consumer": "1", "initial": True}, "initial and baseline are for readers without"),
            ({"group": "sales", "consumer": "1", "baseline": WAITING}, "initial and baseline are for readers without"),
            (
                {"group": "sales", "consumer": "1", "queues": ["a"]},
                "queues and extensions are for readers without a gr",
            ),
            (
                {"group": "sales", "consumer": "1", "extensions": "1"},
                "are for readers without a group: filter with subscribe",
            ),
            ({"queues": []}, "queues needs at least one name, and no empty ones; leave it out for all queues"),
            ({"extensions": ["1", ""]}, "extensions needs at least one name"),
            ({"claim_after": 0}, "claim_after must be above 0 seconds, not 0"),
            ({"claim_after": float("inf")}, "claim_after must be above 0"),
            ({"claim_after": float("nan")}, "claim_after must be above 0"),
            ({"prefix": ""}, "prefix must be"),
        ],
    )
    def test_arguments_that_make_no_sense_are_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            RedisFeed("redis://127.0.0.1", **options)

    async def test_it_runs_once_and_inside_its_context(self, redis_server: RedisServer) -> None:
        feed = RedisFeed(redis_server.url)
        with pytest.raises(RuntimeError, match="the feed is not running: use it in 'async with'"):
            await feed.ready()
        with pytest.raises(RuntimeError, match="the feed is not running"):
            aiter(feed)
        async with feed:
            with pytest.raises(RuntimeError, match=r"a feed runs once: make a new one, with baseline=old\.snapshot"):
                await feed.__aenter__()
            with pytest.raises(RuntimeError, match="only updates of a group are acknowledged"):
                await feed.acknowledge()
            waiting = asyncio.ensure_future(feed.ready())
            await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="the feed was closed before the status was known"):
            await waiting


class TestLeaving:
    @pytest.mark.parametrize("group", [{}, {"group": "sales", "consumer": "1"}])
    async def test_it_leaves_no_task_and_no_connection(self, redis_server: RedisServer, group: dict[str, Any]) -> None:
        async with redis_server.client() as client, Writer(redis_server) as writer:
            await writer.publish(WAITING)
            # The writer has a second connection if it confirmed while it published.
            connections = {connection["id"] for connection in await client.client_list()}
            before = {*asyncio.all_tasks()}
            for _ in range(5):
                async with RedisFeed(redis_server.url, **group) as feed:
                    await feed.ready(timeout=60)
            assert {*asyncio.all_tasks()} == before
            async with asyncio.timeout(60):
                while {connection["id"] for connection in await client.client_list()} - connections:
                    await asyncio.sleep(0.01)  # pragma: no cover

    async def test_a_stream_can_be_cancelled_and_iterated_again(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer, RedisFeed(redis_server.url) as feed:
            await writer.publish(WAITING)
            await feed.ready(timeout=60)
            changes = feed.subscribe(StateChanged)
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(changes), 0.02)
            await writer.publish(TALKING)
            assert [event.after for event in await collect(changes, until=1)] == ["talking"]
            await writer.publish(WAITING)
            assert [event.after for event in await collect(changes, until=1)] == ["waiting"]
            assert changes.pending == 0

    async def test_it_ends_even_if_redis_says_nothing(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer:
            await writer.publish(WAITING)
            async with RedisFeed(redis_server.url) as feed:
                await feed.ready(timeout=60)
                redis_server.freeze()
            redis_server.thaw()
        assert feed.health.ended


async def test_joined_is_told_once(redis_server: RedisServer) -> None:
    """The first publication is not reported a second time as a change."""
    async with RedisFeed(redis_server.url, initial=True) as feed, Writer(redis_server) as writer:
        joined = feed.subscribe(AgentJoined)
        await writer.publish(WAITING)
        await collect(joined, until=2)
        await writer.publish(TALKING)
        await collect(feed, until=StateChanged)
        assert joined.pending == 0
