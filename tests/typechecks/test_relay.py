"""Types of relays and readers: `nox -s typing` checks every `assert_type`, and pytest runs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, assert_type

import pytest
from redis.asyncio import Redis

from sipqueue_async import (
    AgentStatus,
    Event,
    Feed,
    FeedDown,
    FeedHealth,
    SipQueueError,
    Snapshot,
    StateChanged,
    StatusWatcher,
    Subscription,
    Updates,
    diff,
)
from sipqueue_async._replay import Past, Place
from sipqueue_async.redis import RedisFeed, RedisFeedHealth, Relay, RelayError, SourceError
from sipqueue_async.testing import ScriptedSource
from tests.kit.builders import agent, snapshot
from tests.kit.redis_server import RedisServer


async def known(feed: Feed) -> Snapshot:
    """Accept a watcher or a reader, the way programs should."""
    assert_type(feed.snapshot, Snapshot | None)
    assert_type(feed.subscribe(StateChanged), Subscription[StateChanged])
    assert_type(feed.updates(), Updates)
    assert_type(feed.health, FeedHealth)
    assert_type(feed.health.up, bool | None)
    assert_type(feed.health.last_error, BaseException | None)
    assert_type(feed.health.ended, bool)
    assert_type(feed.health.last_good_at, datetime | None)
    assert_type(feed.is_shared, bool)
    assert_type(feed.add_listener(lambda health: health.last_good_at), Callable[[], None])
    async with feed as same:
        assert_type(same, Feed)
        assert_type(aiter(feed), Subscription[Event])
        return await feed.ready(timeout=10)


async def test_a_relay_and_its_readers(redis_server: RedisServer) -> None:
    source = ScriptedSource([snapshot(agent())])
    relay = Relay(source, redis_server.url, lease=2, max_age=timedelta(hours=1), interval=1.0, queues=["queue-1"])
    async with relay as same, redis_server.client() as client:
        assert_type(same, Relay)
        assert_type(same.snapshot, Snapshot | None)
        assert_type(await same.refresh(anew=True), Snapshot | None)
        assert_type(await same.refresh_extensions(["1"]), Snapshot | None)
        assert_type(relay.leading, bool)
        assert_type(relay.sequence, int)
        assert_type(relay.where, str)
        given: Redis = client
        feed = RedisFeed(given, prefix="sipqueue", baseline=snapshot())
        assert assert_type(await known(feed), Snapshot) == snapshot(agent())
        assert_type(feed.health, RedisFeedHealth)
        assert_type(feed.health.up, bool | None)
        assert_type(feed.health.last_good_at, datetime | None)
        assert await known(StatusWatcher(source)) == snapshot(agent())
        async with RedisFeed(given, prefix="sipqueue") as later:
            await later.ready(timeout=10)
            assert_type(place := later.place, Place | None)
            assert place is not None
            limits = {"most": 1, "most_events": 1}
            # The first publication has nothing before it.
            past = assert_type(await later.replay(place.name, snapshot(), is_down=False, **limits), Past | None)
            assert past is None


async def test_a_member_of_a_group(redis_server: RedisServer) -> None:
    async with RedisFeed(redis_server.url, group="bots", consumer="a") as feed:
        assert_type(feed.subscribe(StateChanged), Subscription[StateChanged])
        assert_type(await feed.acknowledge(), None)


def test_a_relay_refuses_an_unknown_argument() -> None:
    with pytest.raises(TypeError):
        Relay(ScriptedSource([snapshot()]), "redis://127.0.0.1", intervall=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_errors_are_the_librarys() -> None:
    for error in (RelayError("no"), SourceError("no")):
        as_ours: SipQueueError = error
        assert not as_ours.retryable


def test_records_and_events_have_a_form_for_json() -> None:
    (event,) = diff(None, snapshot(agent()))
    assert_type(event.to_dict(), dict[str, Any])
    assert_type(event.kind, str)
    assert_type(FeedDown.kind, str)
    assert_type(agent().to_dict(), dict[str, Any])
    assert_type(AgentStatus.from_dict(agent().to_dict()), AgentStatus)
    assert_type(snapshot().with_changes({agent().key: agent()}, observed_at=snapshot().observed_at), Snapshot)
