"""Relays: which one leads, what it publishes and when, what readers see of a change of leader, and how a relay ends."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import attrs
import pytest
from redis.asyncio import Redis

from sipqueue_async import (
    AgentChanged,
    AgentJoined,
    AuthError,
    CallAnswered,
    FeedDown,
    FeedUp,
    FieldProblem,
    Snapshot,
    StateChanged,
    TransportError,
    Update,
)
from sipqueue_async.push import PushReceiver
from sipqueue_async.redis import RedisFeed, Relay, RelayError
from sipqueue_async.redis.backoff import Backoff
from sipqueue_async.redis.store import Entry, Store
from sipqueue_async.testing import collect
from tests.kit.builders import START, ScriptedSource, agent, snapshot
from tests.kit.cable import Cable
from tests.kit.redis_server import RedisServer
from tests.kit.waiting import until

WAITING, TALKING = agent(), agent(state="talking")


class LastingTransportError(TransportError):
    """A permanent error from the caller's own source."""

    retryable = False


class Platform:
    """A source whose snapshot a test sets."""

    def __init__(self, *agents: Any) -> None:
        self.polls = 0
        self.at = 0.0
        self.error: Exception | None = None
        self.agents = agents
        self.problems: tuple[FieldProblem, ...] = ()

    async def __call__(self) -> Snapshot:
        """Return the snapshot, or raise the error."""
        self.polls += 1
        self.at += 0.01
        if self.error is not None:
            raise self.error
        return snapshot(*self.agents, at=self.at, problems=self.problems)


def relay(source: Any, server: RedisServer | Cable, *, lease: float = 0.5, **options: Any) -> Relay:
    """Return a relay with short intervals."""
    given: dict[str, Any] = {"interval": 0.05, "max_backoff": 0.05, **options}
    return Relay(source, server.url, lease=lease, **given)


async def entries(server: RedisServer) -> list[Entry]:
    """Return all published entries."""
    store = Store(server.url, "sipqueue")
    found = await store.follow("", 0.01)
    await store.aclose()
    return found


async def told(server: RedisServer, number: int) -> list[Entry]:
    """Return the published entries once there are at least `number`."""
    async with asyncio.timeout(60):
        while len(found := await entries(server)) < number:
            await asyncio.sleep(0.02)
    return found


class TestPublishing:
    async def test_each_change_is_an_entry(self, redis_server: RedisServer) -> None:
        platform = Platform(WAITING)
        async with relay(platform, redis_server) as it:
            await told(redis_server, 1)
            polls = platform.polls
            await until(lambda: platform.polls > polls + 5)
            platform.agents = (TALKING,)
            first, second = await told(redis_server, 2)
            assert (it.leading, it.sequence) == (True, 2)
        assert [type(event) for event in first.change.seat_events] == [AgentJoined]
        assert [type(event) for event in second.change.seat_events] == [StateChanged]
        assert (second.change.after, second.change.sequence, second.change.coalesced) == (first.id, 2, False)
        assert (it.leading, it.sequence) == (False, 0)

    async def test_calls_since_a_reset_are_published_even_if_they_reach_the_counter_from_before(
        self, redis_server: RedisServer
    ) -> None:
        earlier = agent(calls_answered=1, last_answered_at=START.replace(tzinfo=None))
        after_reset = attrs.evolve(earlier, calls_answered=0)
        later = attrs.evolve(earlier, last_answered_at=START.replace(tzinfo=None) + timedelta(hours=1))
        platform = Platform(earlier)
        async with relay(platform, redis_server), RedisFeed(redis_server.url) as feed:
            await feed.ready(timeout=60)
            calls = feed.subscribe(CallAnswered)
            for agents in (after_reset, later):
                polls, platform.agents = platform.polls, (agents,)
                await until(lambda polls=polls: platform.polls > polls + 1)  # type: ignore[misc]
            assert (await asyncio.wait_for(anext(calls), 60)).count == 1
            assert feed.snapshot == snapshot(later)

    async def test_the_first_value_of_a_counter_is_no_call_for_readers(self, redis_server: RedisServer) -> None:
        """A counter that appears counts earlier calls. One that appears as 0 counts the calls since."""
        platform = Platform(agent("1"), agent("2"))
        missing = [FieldProblem("queue-1", extension, "callsanswered", "it is missing") for extension in "12"]
        platform.problems = tuple(missing)
        async with relay(platform, redis_server), RedisFeed(redis_server.url, extensions=["1", "2"]) as feed:
            await feed.ready(timeout=60)
            updates = feed.updates()
            polls, platform.problems = platform.polls, (missing[0],)
            await until(lambda: platform.polls > polls + 1)
            platform.problems, platform.agents = (), (agent("1", calls_answered=9), agent("2", calls_answered=1))
            first, second = (await asyncio.wait_for(anext(updates), 60)).events
        assert isinstance(first, AgentChanged)
        assert (first.extension, set(first.fields)) == ("1", {"calls_answered"})
        assert isinstance(second, CallAnswered)
        assert (second.extension, second.count) == ("2", 1)

    async def test_a_platform_without_agents_is_published(self, redis_server: RedisServer) -> None:
        """An empty snapshot is published like any other."""
        async with relay(Platform(), redis_server), RedisFeed(redis_server.url) as feed:
            assert await feed.ready(timeout=60) == snapshot()
            (entry,) = await entries(redis_server)
            assert entry.change.after_snapshot == snapshot()

    async def test_a_publication_is_confirmed_while_nothing_changes(self, redis_server: RedisServer) -> None:
        """While nothing changes, the relay keeps confirming its last publication."""
        store = Store(redis_server.url, "sipqueue")
        async with relay(Platform(WAITING), redis_server, lease=0.3):
            await told(redis_server, 1)
            before = await store.peek()
            async with asyncio.timeout(60):
                while (after := await store.peek()).confirmed < before.confirmed + 2 or after.seen == before.seen:
                    await asyncio.sleep(0.05)
            assert len(await entries(redis_server)) == 1
        await store.aclose()

    async def test_an_outage_of_the_platform_is_published(self, redis_server: RedisServer) -> None:
        platform = Platform(WAITING)
        async with relay(platform, redis_server):
            await told(redis_server, 1)
            platform.error = TransportError("no route")
            _, down = await told(redis_server, 2)
            platform.error, platform.agents = None, (TALKING,)
            *_, up = await told(redis_server, 3)
        assert isinstance(down.change.feed, FeedDown)
        assert str(down.change.feed.error) == "no route"
        assert isinstance(up.change.feed, FeedUp)
        assert [type(event) for event in up.change.seat_events] == [StateChanged]

    @pytest.mark.parametrize("first", [True, False])
    async def test_a_fatal_error_is_published_and_raised(self, redis_server: RedisServer, first: bool) -> None:
        platform = Platform(WAITING)
        platform.error = AuthError(602, "expired") if first else None
        async with relay(platform, redis_server, lease=5) as it:
            if not first:
                await told(redis_server, 1)
                platform.error = AuthError(602, "expired")
            with pytest.raises(AuthError, match="expired"):
                await asyncio.wait_for(it.wait(), 60)
            assert repr(it).endswith("ended>")
        *_, last = await entries(redis_server)
        assert isinstance(last.change.feed, FeedDown)
        assert isinstance(last.change.feed.error, AuthError)
        store = Store(redis_server.url, "sipqueue")
        assert (await store.acquire("next")).is_of("next"), "the lead was not handed on"
        await store.aclose()

    @pytest.mark.parametrize("error", [LastingTransportError("gone for good"), TimeoutError("of its own")])
    async def test_a_sources_own_error_is_published_and_raised(
        self, redis_server: RedisServer, error: Exception
    ) -> None:
        """An error of the source ends the relay, even if it looks like an error of Redis or a timeout."""
        platform = Platform(WAITING)
        async with relay(platform, redis_server, lease=0.3) as it:
            await told(redis_server, 1)
            platform.error = error
            with pytest.raises(type(error)) as raised:
                await asyncio.wait_for(it.wait(), 60)
            assert raised.value is error
        _, down = await entries(redis_server)
        assert isinstance(down.change.feed, FeedDown)

    @pytest.mark.parametrize("error", [AuthError(602, "expired"), LastingTransportError("gone for good")])
    async def test_a_fatal_error_is_raised_where_it_cannot_be_published(
        self, redis_server: RedisServer, error: Exception
    ) -> None:
        platform = Platform(WAITING)
        async with relay(platform, redis_server, lease=5) as it:
            await told(redis_server, 1)
            redis_server.kill()
            platform.error = error
            with pytest.raises(type(error)) as raised:
                await asyncio.wait_for(it.wait(), 60)
            assert raised.value is error


class TestLeading:
    async def test_one_leads_and_the_others_ask_nothing(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Only the leader polls and publishes."""
        caplog.set_level(logging.INFO, "sipqueue_async")
        one, two = Platform(WAITING), Platform(WAITING)
        async with relay(one, redis_server, lease=0.3) as leader:
            await told(redis_server, 1)
            async with relay(two, redis_server, lease=0.3) as other:
                await asyncio.sleep(0.5)
                assert (leader.leading, other.leading, two.polls) == (True, False, 0)
                assert repr(leader).endswith(", keys {sipqueue}:*, leads, at 1>")
                assert repr(other).endswith("stands by>")
        assert [each.getMessage() for each in caplog.records if "stands by" in each.getMessage()] == [
            "the relay stands by: another relay leads"
        ]
        assert len(await entries(redis_server)) == 1

    async def test_another_one_takes_over_at_once_and_goes_on(self, redis_server: RedisServer) -> None:
        """A successor publishes each change once, and does not wait for the lease of a leader that closed."""
        two = Platform(TALKING)
        async with relay(Platform(WAITING), redis_server, lease=10):
            await told(redis_server, 1)
        async with relay(two, redis_server, lease=10) as successor:
            first, second = await told(redis_server, 2)
            assert successor.sequence == 2
        assert second.change.after == first.id
        assert [type(event) for event in second.change.seat_events] == [StateChanged]

    async def test_an_outage_that_ended_with_the_leader_is_told_to_have_ended(self, redis_server: RedisServer) -> None:
        """If an outage ends during a change of leader, the next leader's first good poll publishes `FeedUp`."""
        old = Platform(WAITING)
        async with RedisFeed(redis_server.url) as feed:
            async with relay(old, redis_server):
                await feed.ready(timeout=60)
                events = feed.subscribe(FeedDown, FeedUp)
                old.error = TransportError("no route")
                await collect(events, until=FeedDown)
            new = Platform(WAITING)
            new.at = 100
            async with relay(new, redis_server):
                (up,) = await collect(events, until=1, timeout=60)
        assert isinstance(up, FeedUp)
        assert up.outage > timedelta(seconds=99)

    async def test_a_platform_that_was_never_seen_comes_up_under_the_next_leader(
        self, redis_server: RedisServer
    ) -> None:
        """The very first good poll publishes `FeedUp`, no matter which leader makes it."""
        old = Platform()
        old.error = TransportError("no route")
        async with relay(old, redis_server):
            (down,) = await told(redis_server, 1)
        assert isinstance(down.change.feed, FeedDown)
        assert down.change.moment is None
        async with relay(Platform(WAITING), redis_server):
            _, up = await told(redis_server, 2)
        assert up.change.feed == FeedUp(observed_at=START + timedelta(seconds=0.01), outage=timedelta(0), failures=1)

    async def test_a_deposed_leader_stands_by(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        platform = Platform(WAITING)
        async with relay(platform, redis_server, lease=0.3) as it, redis_server.client() as client:
            await told(redis_server, 1)
            await client.set("{sipqueue}:leader", "7 other")
            await until(lambda: not it.leading)
            polls = platform.polls
            await asyncio.sleep(0.2)
            assert platform.polls == polls
            await client.delete("{sipqueue}:leader")
            await until(lambda: it.leading)
        assert "the relay stands by: another relay leads" in caplog.text

    async def test_a_relay_that_was_cut_off_does_not_overwrite_its_successor(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A relay that was cut off does not overwrite its successor's changes."""
        async with (
            Cable(redis_server.port) as cable,
            relay(Platform(WAITING), cable, lease=0.3) as it,
            redis_server.client() as client,
        ):
            await told(redis_server, 1)
            await client.hset("{sipqueue}:meta", mapping={"lock": "9 other", "terms": 9, "sequence": 5})
            await client.delete("{sipqueue}:leader")
            await until(lambda: "another relay has led in the meantime" in caplog.text)
            await until(lambda: it.leading)
            assert it.sequence == 5


class TestUnheard:
    """Lost answers: the relay does not know whether its request took effect."""

    async def test_a_lead_that_was_not_heard_of_is_led(self, redis_server: RedisServer) -> None:
        """A relay leads without waiting for a lease if it got the lock but the answer was lost."""
        lost = asyncio.Event()

        class Breaking(Redis):
            async def evalsha(self, sha: str, numkeys: int, *arguments: Any) -> Any:
                answer = await super().evalsha(sha, numkeys, *arguments)
                if not lost.is_set():
                    lost.set()
                    raise ConnectionResetError("in the wrong moment")
                return answer

        async with (
            Breaking.from_url(redis_server.url) as client,
            Relay(Platform(WAITING), client, lease=600, interval=0.05) as it,
        ):
            await told(redis_server, 1)
            assert it.leading

    async def test_a_lead_that_was_not_heard_of_is_handed_on(self, redis_server: RedisServer) -> None:
        """A relay that is closed while it asks for the lock releases it."""
        asked = asyncio.Event()

        class Slow(Redis):
            async def evalsha(self, sha: str, numkeys: int, *arguments: Any) -> Any:
                answer = await super().evalsha(sha, numkeys, *arguments)
                if not asked.is_set():
                    asked.set()
                    await asyncio.sleep(60)
                return answer

        async with Slow.from_url(redis_server.url) as client:
            async with Relay(Platform(WAITING), client, lease=600):
                await asked.wait()
            assert not await client.exists("{sipqueue}:leader")

    async def test_troubles_in_a_row_leave_the_watcher_alone(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A relay recognises its own publication after a lost lock and a failed read, and continues."""
        caplog.set_level(logging.INFO, "sipqueue_async")
        platform = Platform(WAITING)
        troubles = ["the answer to a publication", "the read after it"]

        class Breaking(Redis):
            async def evalsha(self, sha: str, numkeys: int, *arguments: Any) -> Any:
                answer = await super().evalsha(sha, numkeys, *arguments)
                if len(troubles) == 2 and "talking" in str(arguments):
                    await self.delete("{sipqueue}:leader")
                    raise ConnectionResetError(troubles.pop(0))
                if len(troubles) == 1 and arguments[0] == "{sipqueue}:meta":
                    raise ConnectionResetError(troubles.pop(0))
                return answer

        async with (
            Breaking.from_url(redis_server.url) as client,
            Relay(platform, client, lease=5, interval=0.05) as it,
        ):
            await told(redis_server, 1)
            platform.agents = (TALKING,)
            await until(lambda: not troubles)
            platform.agents = (WAITING,)
            found = await told(redis_server, 3)
            assert it.leading
        assert [entry.change.sequence for entry in found] == [1, 2, 3]
        assert caplog.text.count("the relay leads") == 1


class TestTrouble:
    async def test_a_lead_that_was_lost_for_want_of_a_word_is_taken_again(self, redis_server: RedisServer) -> None:
        """A relay whose lock expired takes it again, and publishes the changes since."""
        platform = Platform(WAITING)
        async with relay(platform, redis_server) as it, redis_server.client() as client:
            await told(redis_server, 1)
            await client.delete("{sipqueue}:leader")
            platform.agents = (TALKING,)
            _, second = await told(redis_server, 2)
            assert it.leading
        assert [type(event) for event in second.change.seat_events] == [StateChanged]
        assert second.change.coalesced

    async def test_a_lead_that_was_lost_before_anything_was_published_is_taken_again(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A predecessor's publication does not show that another relay has led in the meantime."""
        caplog.set_level(logging.INFO, "sipqueue_async")
        platform = Platform(WAITING)
        async with relay(platform, redis_server):
            await told(redis_server, 1)
        caplog.clear()
        async with relay(platform, redis_server) as it, redis_server.client() as client:
            await until(lambda: it.leading)
            await client.delete("{sipqueue}:leader")
            platform.agents = (TALKING,)
            await told(redis_server, 2)
        assert caplog.text.count("the relay leads") == 1

    @pytest.mark.parametrize("lost", ["everything", "the last publication"])
    async def test_data_that_redis_lost_is_published_again(self, redis_server: RedisServer, lost: str) -> None:
        platform = Platform(WAITING)
        async with relay(platform, redis_server), redis_server.client() as client:
            await told(redis_server, 1)
            if lost == "everything":
                await client.flushall()
                first, *_ = await told(redis_server, 1)
                assert [type(event) for event in first.change.seat_events] == [AgentJoined]
                return
            old = [dict[Any, Any](await client.hgetall(f"{{sipqueue}}:{name}")) for name in ("meta", "agents")]
            platform.agents = (TALKING,)
            _, second = await told(redis_server, 2)
            await client.xdel("{sipqueue}:events", second.id)
            await client.hset("{sipqueue}:meta", mapping=old[0])
            await client.hset("{sipqueue}:agents", mapping=old[1])
            *_, again = await told(redis_server, 2)
            assert again.change.agents == second.change.agents
            assert (again.change.sequence, again.change.coalesced) == (2, True)

    async def test_a_first_poll_that_shows_what_is_published_is_remembered(self, redis_server: RedisServer) -> None:
        async with relay(Platform(WAITING), redis_server):
            await told(redis_server, 1)
        platform = Platform(WAITING)
        async with relay(platform, redis_server), redis_server.client() as client:
            await until(lambda: platform.polls > 3)
            await client.flushall()
            (first,) = await told(redis_server, 1)
        assert [type(event) for event in first.change.seat_events] == [AgentJoined]

    async def test_a_publication_whose_answer_was_lost_is_not_repeated(self, redis_server: RedisServer) -> None:
        platform = Platform(WAITING)
        broken = asyncio.Event()

        class Breaking(Redis):
            async def evalsha(self, sha: str, numkeys: int, *arguments: Any) -> Any:
                answer = await super().evalsha(sha, numkeys, *arguments)
                if "talking" in str(arguments) and not broken.is_set():
                    broken.set()
                    raise ConnectionResetError("in the wrong moment")
                return answer

        async with (
            Breaking.from_url(redis_server.url) as client,
            Relay(platform, client, lease=0.5, interval=0.05) as it,
        ):
            await told(redis_server, 1)
            platform.agents = (TALKING,)
            await asyncio.wait_for(broken.wait(), 60)
            platform.agents = (WAITING,)
            found = await told(redis_server, 3)
            assert it.leading
        assert [len(entry.change.seats) for entry in found] == [1, 1, 1]
        assert [entry.change.sequence for entry in found] == [1, 2, 3]
        assert [type(event) for entry in found for event in entry.change.seat_events] == [
            AgentJoined,
            StateChanged,
            StateChanged,
        ]

    async def test_changes_while_redis_is_away_are_published_afterwards(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        platform = Platform(WAITING)
        async with relay(platform, redis_server) as it:
            await told(redis_server, 1)
            redis_server.kill()
            platform.agents = (agent(calls_answered=1),)
            await until(lambda: "the relay cannot publish" in caplog.text)
            seen_one = platform.polls + 3
            await until(lambda: platform.polls > seen_one)
            platform.agents = (agent(calls_answered=2),)
            seen_two = platform.polls + 3
            await until(lambda: platform.polls > seen_two)
            await redis_server.start()
            _, second = await told(redis_server, 2)
            assert it.leading
        (event,) = [each for each in second.change.seat_events if each.kind == "call-answered"]
        assert event.to_dict()["count"] == 2
        assert second.change.coalesced
        assert [each.levelname for each in caplog.records if "cannot publish" in each.getMessage()] == ["WARNING"]

    async def test_nothing_is_published_where_nothing_changed_while_redis_was_away(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with relay(Platform(WAITING), redis_server) as it, redis_server.client() as client:
            await told(redis_server, 1)
            redis_server.kill()
            await until(lambda: "the relay cannot publish" in caplog.text)
            await redis_server.start()
            before = await client.hget("{sipqueue}:meta", "confirmed")
            async with asyncio.timeout(60):
                while await client.hget("{sipqueue}:meta", "confirmed") == before:
                    await asyncio.sleep(0.02)
            assert it.sequence == 1
            assert len(await entries(redis_server)) == 1

    async def test_a_relay_that_is_started_before_redis_waits_for_it(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "sipqueue_async")
        redis_server.kill()
        async with relay(Platform(WAITING), redis_server) as it:
            await until(lambda: caplog.text.count("the relay waits: ") >= 2)
            assert not it.leading
            await redis_server.start()
            await told(redis_server, 1)
        levels = [each.levelname for each in caplog.records if "the relay waits" in each.getMessage()]
        assert levels == ["WARNING", *["DEBUG"] * (len(levels) - 1)]

    async def test_a_refusal_by_redis_ends_the_relay(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with redis_server.client() as client:
            await client.config_set("requirepass", "x")
        async with relay(Platform(), redis_server) as it:
            with pytest.raises(RelayError):
                await asyncio.wait_for(it.wait(), 60)
        assert "the relay ends: RelayError: " in caplog.text

    async def test_a_lock_that_is_something_else_ends_it(self, redis_server: RedisServer) -> None:
        """If the lock key has another type, the relay raises `RelayError` instead of standing by."""
        async with redis_server.client() as client:
            await client.rpush("{sipqueue}:leader", "x")
        async with relay(Platform(), redis_server) as it:
            with pytest.raises(RelayError, match=r"other data is in {sipqueue}:leader or {sipqueue}:meta: delete"):
                await asyncio.wait_for(it.wait(), 60)

    async def test_leaving_while_redis_is_away_is_quick(self, redis_server: RedisServer) -> None:
        async with relay(Platform(WAITING), redis_server) as it:
            await told(redis_server, 1)
            redis_server.kill()
            assert it.leading


class TestRunning:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"lease": 0.09}, "lease must be at least 0.1 seconds, not 0.09"),
            ({"lease": float("inf")}, "lease must be"),
            ({"lease": float("nan")}, "lease must be"),
            ({"max_entries": 0}, "max_entries and max_age must be above 0"),
            ({"max_age": timedelta(0)}, "max_entries and max_age must be above 0"),
            ({"interval": 0}, "interval must be above 0"),
            ({"leave_after": 0}, "leave_after must be"),
            ({"prefix": "{"}, "prefix must be"),
        ],
    )
    def test_arguments_that_make_no_sense_are_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Relay(Platform(), "redis://127.0.0.1", **options)

    async def test_it_runs_once_and_inside_its_context(self, redis_server: RedisServer) -> None:
        it = relay(Platform(), redis_server)
        assert repr(it) == f"<Relay to Redis at 127.0.0.1:{redis_server.port}, keys {{sipqueue}}:*, not started>"
        assert it.where == f"Redis at 127.0.0.1:{redis_server.port}, keys {{sipqueue}}:*"
        with pytest.raises(RuntimeError, match="is not running: use it in 'async with'"):
            await it.wait()
        async with it:
            waiting = asyncio.create_task(it.wait())
            with pytest.raises(RuntimeError, match="a relay runs once"):
                await it.__aenter__()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(it.wait(), 0.05)
        await waiting
        assert not waiting.cancelled(), "who waits is told to be cancelled"
        assert {*asyncio.all_tasks()} == {asyncio.current_task()}

    async def test_an_error_ends_a_relay_that_is_not_waited_for(self, redis_server: RedisServer) -> None:
        platform = Platform()
        platform.error = ZeroDivisionError("a bug")
        async with relay(platform, redis_server) as it:
            await until(lambda: repr(it).endswith("ended>"))

    @pytest.mark.virtual_time
    async def test_pauses_grow_to_a_limit_and_begin_anew(self) -> None:
        backoff = Backoff()
        now = asyncio.get_running_loop().time

        async def pauses(number: int) -> list[float]:
            found = []
            for _ in range(number):
                began = now()
                await backoff.pause()
                found.append(now() - began)
            return found

        limits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]
        for pause, limit in zip(await pauses(9), limits, strict=True):
            assert limit / 2 <= pause <= limit * 1.001
        backoff.reset()
        assert (await pauses(1))[0] <= 0.1001


async def test_a_scripted_source_is_published_as_it_is(redis_server: RedisServer) -> None:
    source = ScriptedSource([snapshot(WAITING), snapshot(TALKING, at=2)])
    async with RedisFeed(redis_server.url, initial=True) as feed, relay(source, redis_server, interval=0.3):
        updates: list[Update] = await collect(feed.updates(), until=lambda update: update.sequence == 2)
    assert updates[-1].snapshot == snapshot(TALKING)


async def test_a_push_makes_the_leader_poll_and_publish(redis_server: RedisServer) -> None:
    """A relay that stands by takes the push and does not poll."""
    platform, idle = Platform(WAITING), Platform(WAITING)
    async with (
        relay(platform, redis_server, interval=600) as leader,
        RedisFeed(redis_server.url) as feed,
        PushReceiver(leader) as receiver,
    ):
        await feed.ready(timeout=60)
        async with relay(idle, redis_server, interval=600) as other, PushReceiver(other) as waiting:
            stream = feed.subscribe(StateChanged)
            platform.agents = (TALKING,)
            for each in (waiting, receiver):
                assert await each.handle(b"{}") == b"1"
            assert (await asyncio.wait_for(anext(stream), 60)).after == "talking"
            await until(lambda: receiver.health.useful)
            assert await other.refresh_extensions(["1"]) is None
            assert (await other.refresh(), other.snapshot, idle.polls, waiting.health.polls) == (None, None, 0, 0)
        assert leader.snapshot == await leader.refresh()


async def test_a_relay_that_ends_refreshes_no_more(redis_server: RedisServer) -> None:
    asked = asyncio.Event()
    never: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()

    async def source() -> Snapshot:
        asked.set()
        return await never

    async with relay(source, redis_server) as leader:
        await asyncio.wait_for(asked.wait(), 60)
        await until(lambda: leader.leading)
        tasks = [asyncio.create_task(it) for it in (leader.refresh(anew=True), leader.refresh_extensions(["1"]))]
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == [None, None]
