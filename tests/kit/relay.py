"""Helpers for tests of relays and readers: a call centre behind a URL, and witnesses that check a reader's updates."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, Self, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from sipqueue_async import (
    AgentJoined,
    AgentStatus,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    SeatEvent,
    SeatKey,
    SipQueueClient,
    Update,
)
from sipqueue_async.redis import RedisFeed
from sipqueue_async.simulator import CallCentre, LiveCentre, Plan, PlatformServer
from tests.kit.waiting import PATIENCE, until

TOKEN: Final = "T"
KEYS: Final = "{sipqueue}"
BUSY: Final = Plan(
    agents=24,
    queues=3,
    calls_per_hour=300,
    opening_callers=3,
    patience=60,
    talk_median=30,
    answer_delay=4,
    ring_timeout=10,
    refused=0.1,
    missed=0.1,
    breaks_per_hour=3,
    break_minutes=2,
)
"""Something happens every second. No agent leaves, so that every seat's counters can be compared at the end."""


def patient(url: str) -> Redis:
    """Return a client that retries after a lost connection."""
    return Redis.from_url(url, decode_responses=True, retry=Retry(ConstantBackoff(0.05), 100))


class Office:
    """A simulated call centre behind a URL. A test can stop its time to compare it with the readers.

    Args:
        seed: Seed of its events.
        speed: Model seconds per second.
    """

    def __init__(self, *, seed: int = 0, speed: float = 40.0) -> None:
        self.centre = CallCentre(BUSY, seed=seed)
        self.live = LiveCentre(self.centre, speed=speed, clock=lambda: asyncio.get_running_loop().time())
        self.server = PlatformServer(self.live, tokens=(TOKEN,))

    def client(self) -> SipQueueClient:
        """Return a client of the call centre."""
        return SipQueueClient(self.server.url, TOKEN)

    async def records(self) -> dict[SeatKey, AgentStatus]:
        """Fetch the current records."""
        async with self.client() as client:
            return dict((await client.fetch_snapshot()).items())

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.live.stop()
        await self.server.stop()


class Witness:
    """Checks that each update of one reader continues from the reader's previous one.

    A repeated, a lost and an invented event each break the chain of a seat's records.

    Args:
        name: The reader's name in messages.
        known: The records that the first update starts from; empty if that update contains all seats.
    """

    def __init__(self, name: str, known: Iterable[tuple[SeatKey, AgentStatus]] = ()) -> None:
        self.name = name
        self.known = dict(known)
        self.began = dict(self.known)
        self.answered = Counter[SeatKey]()
        self.missed = Counter[SeatKey]()
        self.updates: list[Update] = []
        self.turns = 0
        """How often the feed went down or came up."""

    @property
    def is_up(self) -> bool:
        """Whether the feed is up, by its events."""
        return self.turns % 2 == 0

    @property
    def events(self) -> list[SeatEvent]:
        """All events about seats."""
        return [it for update in self.updates for it in update.events if not isinstance(it, FeedDown | FeedUp)]

    @property
    def coalesced(self) -> int:
        """The number of coalesced updates."""
        return sum(update.coalesced for update in self.updates)

    def hear(self, update: Update) -> None:
        """Check the next update, and record it."""
        told = Counter((type(event), event.key) for event in update.events)
        assert not told or max(told.values()) == 1, f"{self.name} is told something twice: {update}"
        before = dict(self.known)
        for event in update.events:
            self._hear(event, before)
        self.updates.append(update)

    def _hear(self, event: Event, before: dict[SeatKey, AgentStatus]) -> None:
        if isinstance(event, FeedDown | FeedUp):
            assert isinstance(event, FeedDown) == self.is_up, f"{self.name}: {event} although it was so"
            self.turns += 1
            return
        if isinstance(event, CallAnswered):
            self.answered[event.key] += event.count
        elif isinstance(event, CallMissed):
            self.missed[event.key] += event.count
        elif isinstance(event, AgentJoined):
            self.began[event.key] = event.agent
        assert event.previous == before.get(event.key), (
            f"{self.name} is told of {event}, from {event.previous}, and knew {before.get(event.key)}"
        )
        assert event.agent is not None, f"{self.name}: nobody leaves, but {event}"
        self.known[event.key] = event.agent

    def check(self, office: Office, records: dict[SeatKey, AgentStatus]) -> None:
        """Compare the reported records and calls with the call centre's."""
        assert self.known == records, f"{self.name} knows something else than there is"
        truth, now = office.centre.truth, office.centre.now
        for key, began in self.began.items():
            place = {"queue": key.queue, "extension": key.extension}
            assert began.calls_answered + self.answered[key] == truth.answered(-1, now, **place), (self.name, key)
            assert began.no_answer_count + self.missed[key] == truth.missed(-1, now, **place), (self.name, key)

    def __repr__(self) -> str:
        return (
            f"{self.name}: {len(self.updates)} updates ({self.coalesced} coalesced), {len(self.events)} events, "
            f"{self.answered.total()} answered, {self.missed.total()} missed, "
            f"the feed turned {self.turns} times"
        )


@asynccontextmanager
async def reading(
    feed: RedisFeed, witness: Witness, *, max_pending: int = 64, takes: float = 0.0
) -> AsyncGenerator[RedisFeed]:
    """Run a feed, and let a witness check all of its updates; a failed check fails the test.

    Args:
        feed: The feed.
        witness: The witness.
        max_pending: Passed to `RedisFeed.updates`.
        takes: Seconds that the witness spends on each update.
    """
    updates = feed.updates(max_pending=max_pending)

    async def hear() -> None:
        async for update in updates:
            witness.hear(update)
            await asyncio.sleep(takes)

    task = asyncio.create_task(hear())
    try:
        async with feed:
            yield feed
    finally:
        # The feed's end also ends the stream, so the task returns.
        await task


class Workers:
    """A group's consumers in this process, and the updates that each of them received.

    Args:
        urls: The URL of Redis for each consumer's name.
        claim_after: Passed to `RedisFeed`.
        takes: Seconds that a consumer spends on each update.
        timeout: Passed to `RedisFeed`.
    """

    def __init__(
        self, urls: dict[str, str], *, claim_after: float = 60.0, takes: float = 0.002, timeout: float = 5.0
    ) -> None:
        options: dict[str, Any] = {"claim_after": claim_after, "timeout": timeout}
        self.feeds = {name: RedisFeed(url, group="crew", consumer=name, **options) for name, url in urls.items()}
        self.handed: dict[str, list[Update]] = {name: [] for name in urls}
        self._takes = takes
        self._tasks: list[asyncio.Task[None]] = []

    async def _work(self, name: str) -> None:
        async for update in self.feeds[name].updates():
            self.handed[name].append(update)
            await asyncio.sleep(self._takes)

    async def __aenter__(self) -> Self:
        for name, feed in self.feeds.items():
            await feed.__aenter__()
            self._tasks.append(asyncio.create_task(self._work(name)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for feed in self.feeds.values():
            await feed.__aexit__(None, None, None)
        await asyncio.gather(*self._tasks)

    def together(self, began: Iterable[tuple[SeatKey, AgentStatus]]) -> Witness:
        """Return a witness of the whole group's updates since it began."""
        return together([it for updates in self.handed.values() for it in updates], began)


def together(handed: Iterable[Update], began: Iterable[tuple[SeatKey, AgentStatus]]) -> Witness:
    """Return a witness that has checked a group's updates in order of publication: none is missing, none is repeated.

    Args:
        handed: The updates of all consumers, in any order.
        began: The records when the group began.
    """
    witness = Witness("the group", began)
    for update in sorted(handed, key=lambda it: it.sequence):
        witness.hear(update)
    return witness


def check_sequences(updates: Iterable[Update], first: int, last: int) -> None:
    """Check that the updates have each sequence number from `first` to `last` exactly once."""
    assert sorted(update.sequence for update in updates) == list(range(first, last + 1))


async def group_is_there(redis: Redis) -> None:
    """Wait until the group's start is recorded in Redis."""
    await until(lambda: redis.hget(f"{KEYS}:group:crew", "entry"))


async def group_is_done(redis: Redis, patience: float = PATIENCE) -> None:
    """Wait until the group has received and acknowledged every publication."""
    async with asyncio.timeout(patience):
        while True:
            seen = await redis.hget(f"{KEYS}:group:crew", "entry")
            left = await redis.hlen(f"{KEYS}:group-work:crew")
            if seen == await redis.hget(f"{KEYS}:meta", "entry") and not left:
                return
            await asyncio.sleep(0.01)


async def published(redis: Redis) -> int:
    """Return the sequence number of the last publication."""
    return int(await redis.hget(f"{KEYS}:meta", "sequence") or 0)


async def more_published(redis: Redis, number: int) -> None:
    """Wait for this many more publications."""
    last = await published(redis) + number
    async with asyncio.timeout(PATIENCE):
        while await published(redis) < last:
            await asyncio.sleep(0.01)


_DUMP: Final = """
local dumped = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    dumped[#dumped + 1] = key
    dumped[#dumped + 1] = redis.call('DUMP', key)
end
return dumped
"""


async def copy_of(redis: Redis) -> dict[bytes, bytes]:
    """Return everything in Redis except the leader's lock, which expires within moments.

    Args:
        redis: A client without `decode_responses`.
    """
    # In one atomic step: a key-by-key copy could have claims without their work.
    dumped: list[bytes] = await cast("Any", redis.eval(_DUMP, 0))
    copy = dict(zip(dumped[::2], dumped[1::2], strict=True))
    return {key: value for key, value in copy.items() if not key.endswith(b":leader")}


async def put_back(redis: Redis, copy: dict[bytes, bytes]) -> None:
    """Replace all of Redis's data by a copy and break its connections, as a restart with that data does."""
    async with redis.pipeline() as pipeline:
        pipeline.flushall()
        for key, value in copy.items():
            pipeline.restore(key.decode(), 0, cast("Any", value))
        pipeline.client_kill_filter(_type="normal")
        await pipeline.execute()
