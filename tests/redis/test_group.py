"""Groups: each change goes to one consumer, and to another one if the first does not acknowledge it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from sipqueue_async import (
    AgentLeft,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    FieldProblem,
    StateChanged,
    TransportError,
    Update,
    diff,
)
from sipqueue_async.redis import RedisFeed, RelayError
from sipqueue_async.redis.store import Store, Superseded
from sipqueue_async.testing import collect
from tests.kit.builders import START, agent, snapshot
from tests.kit.publications import Writer, take
from tests.kit.redis_server import RedisServer
from tests.kit.waiting import until

WAITING, TALKING = snapshot(agent("1"), agent("2")), snapshot(agent("1", "talking"), agent("2"), at=2)
MISSED = snapshot(agent("1", "talking", no_answer_count=1), agent("2"), at=4)


def member(server: RedisServer, consumer: str = "one", **options: Any) -> RedisFeed:
    """Return a feed that belongs to a group."""
    return RedisFeed(server.url, group="sales", consumer=consumer, **options)


async def begun(writer: Writer, feed: RedisFeed) -> None:
    """Publish the state that the group starts from, and start the group there."""
    await writer.publish(WAITING)
    await feed.ready(timeout=60)
    store = Store(feed._store._client, "sipqueue")
    assert await take(store, "sales", "nobody", 1) is None


@asynccontextmanager
async def working(server: RedisServer, **options: Any) -> AsyncGenerator[tuple[Writer, RedisFeed]]:
    """Yield a relay and the first consumer of its group, which has begun."""
    async with Writer(server) as writer, member(server, **options) as feed:
        await begun(writer, feed)
        yield writer, feed


async def has_begun(client: Redis) -> None:
    """Wait until the group has a place in the stream."""
    await until(lambda: client.hget("{sipqueue}:group:sales", "entry"))


async def left(server: RedisServer) -> int:
    """Return the number of entries that are not acknowledged yet."""
    async with server.client() as client:
        number: int = await client.hlen("{sipqueue}:group-work:sales")
        return number


async def handed_out(feed: RedisFeed, number: int = 1) -> list[Event]:
    """Return the next events of a feed's stream."""
    return await collect(feed, until=number, timeout=60)


class TestSharing:
    async def test_each_change_goes_to_one(self, redis_server: RedisServer) -> None:
        told: list[int] = []

        async def work(feed: RedisFeed) -> None:
            updates = feed.updates()
            while True:
                told.append((await anext(updates)).sequence)

        async with working(redis_server) as (writer, one), member(redis_server, "two") as two:
            tasks = [asyncio.create_task(work(feed)) for feed in (one, two)]
            for _ in range(5):
                await writer.publish(TALKING)
                await writer.publish(WAITING)
            await until(lambda: len(told) == 10)
            async with asyncio.timeout(60):
                while await left(redis_server):
                    await asyncio.sleep(0.01)  # pragma: no cover
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert sorted(told) == list(range(2, 12))

    async def test_an_update_has_the_seats_that_changed(self, redis_server: RedisServer) -> None:
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            (update,) = await collect(feed.updates(), until=1)
            assert feed.snapshot == TALKING
        assert update == Update(
            sequence=2,
            snapshot=snapshot(agent("1", "talking")),
            previous=snapshot(agent("1")),
            events=diff(WAITING, TALKING),
        )

    async def test_a_group_receives_feed_events(self, redis_server: RedisServer) -> None:
        async with working(redis_server) as (writer, feed):
            await writer.publish(WAITING, FeedDown(error=TransportError("no route"), since=None))
            (down,) = await handed_out(feed)
        assert isinstance(down, FeedDown)

    async def test_a_group_begins_with_what_is_known(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer, member(redis_server) as feed:
            assert await _next(feed, 0.2) is None
            await writer.publish(WAITING)
            assert await _next(feed, 0.3) is None
            await writer.publish(TALKING)
            (event,) = await handed_out(feed)
        assert isinstance(event, StateChanged)


async def _next(feed: RedisFeed, seconds: float) -> Event | None:
    """Return the next event, or None if it does not come in time."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(aiter(feed))
    except TimeoutError:
        return None


class TestDone:
    async def test_asking_for_the_next_says_so(self, redis_server: RedisServer) -> None:
        """Asking for the next entry acknowledges the previous one."""
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            await writer.publish(MISSED)
            await handed_out(feed)
            assert await left(redis_server) == 1
            (missed,) = await handed_out(feed)
            assert await left(redis_server) == 1
            assert await _next(feed, 0.2) is None
            assert await left(redis_server) == 0
        assert isinstance(missed, CallMissed)

    async def test_looking_for_the_next_says_so(self, redis_server: RedisServer) -> None:
        """`get_nowait` asks for the next entry, and so acknowledges the previous one."""
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            await writer.publish(MISSED)
            updates = feed.updates()
            told: list[Update] = []
            async with asyncio.timeout(60):
                while len(told) < 2:
                    if update := updates.get_nowait():
                        assert await left(redis_server) == 1
                        told.append(update)
                    await asyncio.sleep(0.01)
                assert await left(redis_server) == 1
                assert updates.get_nowait() is None
                while await left(redis_server):
                    await asyncio.sleep(0.01)  # pragma: no cover
        assert [update.sequence for update in told] == [2, 3]

    async def test_acknowledging_says_so(self, redis_server: RedisServer) -> None:
        """`acknowledge` does not ask for the next entry, and may be repeated."""
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            await handed_out(feed)
            await feed.acknowledge()
            assert await left(redis_server) == 0
            await feed.acknowledge()

    async def test_filtered_out_entries_are_acknowledged(self, redis_server: RedisServer) -> None:
        """Entries that the stream's filter drops are acknowledged."""
        async with working(redis_server) as (writer, feed):
            missed = feed.subscribe(CallMissed)
            await writer.publish(TALKING)
            await writer.publish(MISSED)
            (event,) = await collect(missed, until=1, timeout=60)
            assert event.extension == "1"
            assert await left(redis_server) == 1

    async def test_a_worker_that_leaves_gives_back_what_it_has(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer:
            async with member(redis_server) as feed:
                await begun(writer, feed)
                await writer.publish(TALKING)
                (first,) = await handed_out(feed)
            async with member(redis_server, "two") as feed:
                (second,) = await handed_out(feed)
        assert first == second

    async def test_a_worker_that_dies_loses_what_it_has_after_a_while(self, redis_server: RedisServer) -> None:
        async with working(redis_server, claim_after=30) as (writer, feed):
            await writer.publish(TALKING)
            store = Store(redis_server.url, "sipqueue")
            work = await take(store, "sales", "dead", 0.3)
            await store.aclose()
            assert work is not None
            assert await _next(feed, 0.1) is None
            (event,) = await handed_out(feed)
        assert isinstance(event, StateChanged)

    async def test_a_worker_that_is_slow_keeps_what_it_has(self, redis_server: RedisServer) -> None:
        async with (
            Writer(redis_server) as writer,
            member(redis_server, claim_after=0.3) as slow,
            member(redis_server, "two", claim_after=0.3) as other,
        ):
            await begun(writer, slow)
            await writer.publish(TALKING)
            await handed_out(slow)
            assert await _next(other, 0.8) is None

    async def test_a_stream_that_was_dropped_keeps_nothing(self, redis_server: RedisServer) -> None:
        async with (
            Writer(redis_server) as writer,
            member(redis_server, claim_after=0.3) as one,
            member(redis_server, "two") as other,
        ):
            await begun(writer, one)
            await writer.publish(TALKING)
            with one.updates() as updates:
                await collect(updates, until=1, timeout=60)
            (event,) = await handed_out(other)
        assert isinstance(event, StateChanged)

    async def test_the_next_stream_gets_what_the_last_one_had(self, redis_server: RedisServer) -> None:
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            with feed.updates() as updates:
                (first,) = await collect(updates, until=1, timeout=60)
            with feed.updates() as updates:
                (second,) = await collect(updates, until=1, timeout=60)
        assert first == second


class TestStreams:
    async def test_a_second_one_is_refused(self, redis_server: RedisServer) -> None:
        """A feed with a group can have only one open stream."""
        async with member(redis_server) as feed:
            with feed.updates() as updates:
                for make in (feed.updates, feed.subscribe, feed.__aiter__):
                    with pytest.raises(RuntimeError, match="a feed with a group has one stream: close the other"):
                        make()
                assert updates.pending == 0
            assert feed.subscribe().pending == 0

    async def test_an_old_one_asks_for_nothing(self, redis_server: RedisServer) -> None:
        """A replaced stream stops asking for entries."""
        feed = member(redis_server)
        work = feed._work_of_group
        assert work is not None
        old, new = work.new_stream(), work.new_stream()
        old()
        assert not work._asked.is_set()
        new()
        assert work._asked.is_set()


class TestTrouble:
    async def test_a_trimmed_stream_is_a_difference(self, redis_server: RedisServer) -> None:
        """A group whose next entries were trimmed gets the difference to the current state."""
        later = snapshot(agent("1", "talking", calls_answered=4), agent("3"), at=90)
        async with working(redis_server) as (writer, feed), redis_server.client() as client:
            await writer.publish(TALKING)
            await writer.publish(later)
            await client.xtrim("{sipqueue}:events", maxlen=0, approximate=False)
            (update,) = await collect(feed.updates(), until=1, timeout=60)
            assert (update.events, update.sequence, update.coalesced) == (diff(WAITING, later), 3, True)
            assert AgentLeft in {type(event) for event in update.events}

    async def test_a_counter_that_appears_in_a_trimmed_stream_is_no_call(self, redis_server: RedisServer) -> None:
        missing = FieldProblem("queue-1", "3", "callsanswered", "it is missing")
        joined = snapshot(*WAITING.values(), agent("3"), at=60, problems=[missing])
        later = snapshot(*WAITING.values(), agent("3", "talking", calls_answered=9), at=90)
        async with working(redis_server) as (writer, feed), redis_server.client() as client:
            await writer.publish(joined)
            updates = feed.updates()
            assert (await asyncio.wait_for(anext(updates), 60)).events == diff(WAITING, joined)
            await writer.publish(snapshot(*WAITING.values(), agent("3", calls_answered=8), at=80))
            await writer.publish(later)
            await client.xtrim("{sipqueue}:events", maxlen=0, approximate=False)
            update = await asyncio.wait_for(anext(updates), 60)
        assert update.events == diff(joined, later)
        assert CallAnswered not in {type(event) for event in update.events}

    async def test_a_trimmed_stream_tells_the_feeds_condition_once(self, redis_server: RedisServer) -> None:
        """After trimming, a group receives one feed event if the feed's condition has changed, otherwise none."""
        down = FeedDown(error=TransportError("half a \ud83d"), since=None)
        up = FeedUp(observed_at=START, outage=timedelta(seconds=7), failures=3)
        told: list[str] = []
        async with working(redis_server) as (writer, feed), redis_server.client() as client:
            updates = feed.updates()
            rows: list[list[FeedDown | FeedUp]] = [[down], [down, up], [up, down], [down, up, down], [up, down, up]]
            for row in rows:
                for event in row:
                    await writer.publish(TALKING if writer.known == WAITING else WAITING, event)
                if len(row) > 1:
                    await client.xtrim("{sipqueue}:events", maxlen=0, approximate=False)
                async with asyncio.timeout(60):
                    update = await anext(updates)
                told += [it.kind for it in update.events if isinstance(it, FeedDown | FeedUp)]
        assert told == ["feed-down", "feed-up", "feed-down", "feed-up"]

    async def test_a_trimmed_stream_without_a_difference_is_no_work(self, redis_server: RedisServer) -> None:
        async with working(redis_server) as (writer, feed), redis_server.client() as client:
            await writer.publish(TALKING)
            await writer.publish(snapshot(*WAITING.values(), at=9))
            await client.xtrim("{sipqueue}:events", maxlen=0, approximate=False)
            assert await _next(feed, 0.4) is None
            assert await left(redis_server) == 0

    async def test_work_goes_on_after_redis_was_away(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "sipqueue_async")
        async with working(redis_server, claim_after=0.3) as (writer, feed):
            await writer.publish(TALKING)
            (first,) = await handed_out(feed)
            redis_server.kill()
            await until(lambda: "a group's work cannot be reached" in caplog.text)
            with pytest.raises(TransportError):
                await feed.acknowledge()
            await redis_server.start()
            await writer.publish(WAITING)
            (second,) = await handed_out(feed)
        assert [it.agent.state for it in (first, second) if isinstance(it, StateChanged)] == ["talking", "waiting"]

    async def test_an_entry_finished_while_redis_was_away_is_acknowledged_later(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "sipqueue_async")
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            await handed_out(feed)
            redis_server.kill()
            asking = asyncio.create_task(handed_out(feed))
            await until(lambda: "a group's work cannot be reached" in caplog.text)
            await redis_server.start()
            await writer.publish(WAITING)
            (event,) = await asking
        assert isinstance(event, StateChanged)
        assert event.after == "waiting"

    async def test_a_refused_group_reads_no_further(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer, redis_server.client() as client:
            await writer.publish(WAITING)
            await client.set("{sipqueue}:group-due:sales", "another program's")
            async with member(redis_server) as feed:
                with pytest.raises(RelayError, match="other data is in"):
                    await collect(feed.updates(), until=1, timeout=60)
                looks: list[object] = []
                feed.add_listener(looks.append)
                await writer.publish(TALKING)
                await asyncio.sleep(0.3)
        assert looks == []

    async def test_leaving_while_redis_is_away_raises_nothing(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "sipqueue_async")
        async with working(redis_server):
            redis_server.kill()
        assert "a group's work could not be given back" in caplog.text

    async def test_a_refusal_by_redis_ends_the_stream(self, redis_server: RedisServer) -> None:
        async with (
            Writer(redis_server) as writer,
            member(redis_server) as feed,
            redis_server.client() as client,
        ):
            await writer.publish(WAITING)
            await feed.ready(timeout=60)
            await client.set("{sipqueue}:group-due:sales", "x")
            with pytest.raises(RelayError, match="WRONGTYPE"):
                await handed_out(feed)
            await client.delete("{sipqueue}:group-due:sales")


class TestNobodyListens:
    async def test_work_is_left_to_others(self, redis_server: RedisServer) -> None:
        """A worker whose loop was cancelled takes no further entries."""
        async with working(redis_server) as (writer, gone), member(redis_server, "two") as other:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(gone.updates())
            await writer.publish(TALKING)
            (event,) = await handed_out(other)
            assert isinstance(event, StateChanged)

    async def test_work_that_comes_as_its_stream_is_closed_is_given_back(self, redis_server: RedisServer) -> None:
        async with working(redis_server) as (writer, gone), member(redis_server, "two") as other:
            take = gone._store.take
            updates = gone.updates()

            async def slow(*arguments: Any) -> Any:
                found = await take(*arguments)
                if found is not None:
                    updates.close()
                return found

            gone._store.take = slow  # type: ignore[method-assign, assignment]
            waiting = asyncio.create_task(collect(updates, until=1, timeout=60))
            await asyncio.sleep(0.05)
            await writer.publish(TALKING)
            with pytest.raises(RuntimeError, match="ended before"):
                await waiting
            (event,) = await handed_out(other)
            assert isinstance(event, StateChanged)

    async def test_an_update_that_was_not_taken_is_not_acknowledged(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer, member(redis_server, "two") as other:
            async with member(redis_server) as feed:
                await begun(writer, feed)
                updates = feed.updates()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await anext(updates)
                await writer.publish(TALKING)
                await until(lambda: updates.pending == 1)
                await feed.acknowledge()
            (event,) = await handed_out(other)
            assert isinstance(event, StateChanged)

    async def test_a_group_begins_when_its_feed_does(self, redis_server: RedisServer) -> None:
        async with Writer(redis_server) as writer, redis_server.client() as client:
            await writer.publish(WAITING)
            async with member(redis_server) as feed:
                await has_begun(client)
                await writer.publish(TALKING)
                (event,) = await handed_out(feed)
        assert isinstance(event, StateChanged)

    async def test_a_group_that_was_there_first_begins_with_the_first_publication(
        self, redis_server: RedisServer
    ) -> None:
        async with Writer(redis_server) as writer, redis_server.client() as client, member(redis_server) as feed:
            await until(lambda: feed.health.up is False)
            await writer.publish(WAITING)
            await has_begun(client)
            await writer.publish(TALKING)
            (event,) = await handed_out(feed)
        assert isinstance(event, StateChanged)

    async def test_no_name_of_a_group_disturbs_another_one(self, redis_server: RedisServer) -> None:
        """A group may have the same name as another group's keys."""
        other = RedisFeed(redis_server.url, group="sales:due", consumer="one")
        async with Writer(redis_server) as writer, member(redis_server) as sales, other as due:
            await begun(writer, sales)
            await until(lambda: due.health.up)
            told = [asyncio.create_task(handed_out(feed)) for feed in (sales, due)]
            await asyncio.sleep(0.3)
            await writer.publish(TALKING)
            first, second = await asyncio.gather(*told)
        assert first == second


class TestUnheard:
    async def test_work_whose_answer_was_lost_is_handed_out_all_the_same(self, redis_server: RedisServer) -> None:
        """If the client repeats a request whose answer was lost, it gets the entry that the first request claimed."""

        class Repeating(Redis):
            async def evalsha(self, sha: str, numkeys: int, *arguments: Any) -> Any:
                # Only the `take` script has so many keys; losing its answer matters only once it has claimed an entry.
                if numkeys == 8:
                    await super().evalsha(sha, numkeys, *arguments)
                return await super().evalsha(sha, numkeys, *arguments)

        async with (
            Writer(redis_server) as writer,
            Repeating.from_url(redis_server.url) as client,
            RedisFeed(client, group="sales", consumer="one") as feed,
        ):
            await begun(writer, feed)
            for known in (TALKING, MISSED, WAITING):
                await writer.publish(known)
            told = await collect(feed.updates(), until=3, timeout=60)
        assert [update.sequence for update in told] == [2, 3, 4]


class TestLateWords:
    async def test_a_late_beginning_takes_nothing_away(self, redis_server: RedisServer) -> None:
        """A delayed `begin` of an earlier attempt does not release the entries of a later one."""
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            store = feed._store
            await store.begin("sales", "late", "it 2")
            work = await store.take("sales", "late", "it 2", 10)
            assert work is not None
            for attempt in ("it 1", "it 2"):
                await store.begin("sales", "late", attempt)
            assert await take(store, "sales", "other", 10) is None
            await store.begin("sales", "late", "it 3")
            assert await take(store, "sales", "other", 10) == work

    async def test_a_late_beginning_does_not_supersede_a_later_one(self, redis_server: RedisServer) -> None:
        async with working(redis_server) as (_, feed):
            store = feed._store
            for attempt in ("it 2", "it 1"):
                await store.begin("sales", "late", attempt)
            assert await store.take("sales", "late", "it 2", 10) is None

    async def test_a_late_leaving_does_not_supersede_a_successor(self, redis_server: RedisServer) -> None:
        async with working(redis_server) as (_, feed):
            store = feed._store
            for attempt in ("old 1", "new 1"):
                await store.begin("sales", "late", attempt)
            await store.leave("sales", "late", "old")
            assert await store.take("sales", "late", "new 1", 10) is None

    async def test_a_late_sign_of_life_brings_no_work_back(self, redis_server: RedisServer) -> None:
        """A delayed `touch` does not restore an acknowledged entry."""
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            store = feed._store
            work = await take(store, "sales", "other", 10)
            assert work is not None
            await store.done("sales", work.id)
            await store.touch("sales", work.id, 0.001)
            await asyncio.sleep(0.05)
            assert await take(store, "sales", "other", 10) is None

    async def test_a_late_taking_takes_nothing(self, redis_server: RedisServer) -> None:
        """A delayed `take` of an earlier attempt claims nothing."""
        async with working(redis_server) as (writer, feed):
            await writer.publish(TALKING)
            store = feed._store
            for attempt in ("it 10", "it 11"):
                await store.begin("sales", "late", attempt)
            with pytest.raises(Superseded):
                await store.take("sales", "late", "it 10", 10)
            assert await take(store, "sales", "other", 10) is not None

    async def test_leaving_takes_nothing_from_a_successor(self, redis_server: RedisServer) -> None:
        async with working(redis_server) as (writer, old):
            await writer.publish(TALKING)
            async with member(redis_server) as successor:
                await handed_out(successor)
                await old.__aexit__(None, None, None)
                async with member(redis_server, "two") as other:
                    assert await _next(other, 0.3) is None
                await writer.publish(MISSED)
                (event,) = await handed_out(successor)
        assert isinstance(event, CallMissed)

    async def test_a_worker_that_has_left_is_forgotten(self, redis_server: RedisServer) -> None:
        """Redis keeps nothing of a consumer that left, and the consumer's delayed requests claim nothing."""
        async with Writer(redis_server) as writer, redis_server.client() as client:
            async with member(redis_server) as feed:
                await begun(writer, feed)
                await writer.publish(TALKING)
                await handed_out(feed)
                work = feed._work_of_group
                assert work is not None
                attempt = work._attempt
                assert await client.hget("{sipqueue}:group:sales", "attempt one") == attempt
            assert not await client.hexists("{sipqueue}:group:sales", "attempt one")
            store = Store(redis_server.url, "sipqueue")
            with pytest.raises(Superseded):
                await store.take("sales", "one", attempt, 10)
            await store.aclose()

    async def test_a_name_that_two_have_is_said(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Two consumers with the same name cause a warning."""
        async with Writer(redis_server) as writer, member(redis_server) as one, member(redis_server) as same:
            await begun(writer, one)
            async with asyncio.TaskGroup() as tasks:
                waiting = [tasks.create_task(handed_out(feed)) for feed in (one, same)]
                await until(lambda: "consumer 'one' of group 'sales' has started again" in caplog.text)
                for task in waiting:
                    task.cancel()
