"""What tests of relays and their readers share: a call centre behind a URL, and witnesses to what readers are told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
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

PATIENCE: Final = 60.0
"""Seconds that anything may take on a busy machine."""
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
"""Something happens in each second. No agent leaves, so that the counters can be checked to the end."""


async def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    time = asyncio.get_running_loop().time
    end = time() + patience
    while not condition() and time() < end:
        await asyncio.sleep(0.01)
    assert condition(), f"not within {patience:g} s: {what}"


def patient(url: str) -> Redis:
    """Return a client that retries after a lost connection."""
    return Redis.from_url(url, decode_responses=True, retry=Retry(ConstantBackoff(0.05), 100))


class Office:
    """A simulated call centre behind a URL. Its time can be stopped to compare readers with it.

    Args:
        seed: What happens in it.
        speed: Model seconds in a second.
    """

    def __init__(self, *, seed: int = 0, speed: float = 40.0) -> None:
        self.centre = CallCentre(BUSY, seed=seed)
        self.live = LiveCentre(self.centre, speed=speed, clock=lambda: asyncio.get_running_loop().time())
        self.server = PlatformServer(self.live, tokens=(TOKEN,))

    def client(self) -> SipQueueClient:
        """Return a client of it."""
        return SipQueueClient(self.server.url, TOKEN)

    async def records(self) -> dict[SeatKey, AgentStatus]:
        """Return the records now."""
        async with self.client() as client:
            return dict((await client.fetch_snapshot()).items())

    async def __aenter__(self) -> Self:
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.live.stop()
        await self.server.stop()


class Witness:
    """Hears what one reader is told, and objects to anything that does not go on from what it was told before.

    An event told twice, one left out, and one that did not happen: each breaks the chain of a seat's records.

    Args:
        name: Whose words these are.
        known: The records that the first update starts from; empty if it has all seats.
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
        """Whether what was told is how things are."""
        return self.turns % 2 == 0

    @property
    def events(self) -> list[SeatEvent]:
        """All that was told of seats."""
        return [it for update in self.updates for it in update.events if not isinstance(it, FeedDown | FeedUp)]

    @property
    def coalesced(self) -> int:
        """How many updates stood for several changes."""
        return sum(update.coalesced for update in self.updates)

    def hear(self, update: Update) -> None:
        """Take what comes next."""
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
        """Compare what was told with what happened."""
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
    """Run a feed, and have a witness hear all of its updates; what the witness objects to fails the test.

    Args:
        feed: The feed.
        witness: The witness.
        max_pending: As of the feed.
        takes: For how many seconds the witness is busy with each update.
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
        # The stream has ended with the feed.
        await task


class Workers:
    """A group's consumers in this process, and what each of them was handed.

    Args:
        urls: Where the work is, for each by its name.
        claim_after: As of the feed.
        takes: For how many seconds each works on what it is handed.
        timeout: As of the feed.
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

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for feed in self.feeds.values():
            await feed.__aexit__(None, None, None)
        await asyncio.gather(*self._tasks)

    def together(self, began: Iterable[tuple[SeatKey, AgentStatus]]) -> Witness:
        """Return a witness to what all of them were handed, from when the group began."""
        return together([it for updates in self.handed.values() for it in updates], began)


def together(handed: Iterable[Update], began: Iterable[tuple[SeatKey, AgentStatus]]) -> Witness:
    """Return a witness to what was handed to a group, in the order of publication: the whole of it, and nothing twice.

    Args:
        handed: What each was handed, in any order.
        began: What was known when the group began.
    """
    witness = Witness("the group", began)
    for update in sorted(handed, key=lambda it: it.sequence):
        witness.hear(update)
    return witness


def check_sequences(updates: Iterable[Update], first: int, last: int) -> None:
    """Check that each publication was handed out once, from a number to another one."""
    assert sorted(update.sequence for update in updates) == list(range(first, last + 1))


async def group_is_there(redis: Redis) -> None:
    """Wait until the group knows where it begins."""
    async with asyncio.timeout(PATIENCE):
        while not await redis.hget(f"{KEYS}:group:crew", "entry"):
            await asyncio.sleep(0.01)


async def group_is_done(redis: Redis, patience: float = PATIENCE) -> None:
    """Wait until the group has seen and done everything that is published."""
    async with asyncio.timeout(patience):
        while True:
            seen = await redis.hget(f"{KEYS}:group:crew", "entry")
            left = await redis.hlen(f"{KEYS}:group-work:crew")
            if seen == await redis.hget(f"{KEYS}:meta", "entry") and not left:
                return
            await asyncio.sleep(0.01)


async def published(redis: Redis) -> int:
    """Return the number of the last publication."""
    return int(await redis.hget(f"{KEYS}:meta", "sequence") or 0)


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
        redis: A client that decodes nothing.
    """
    # At one moment: a copy of several would have claims whose work is missing.
    dumped: list[bytes] = await cast("Any", redis.eval(_DUMP, 0))
    copy = dict(zip(dumped[::2], dumped[1::2], strict=True))
    return {key: value for key, value in copy.items() if not key.endswith(b":leader")}


async def put_back(redis: Redis, copy: dict[bytes, bytes]) -> None:
    """Let Redis have what it had, and nothing else, and break its connections, as when it is started with that."""
    async with redis.pipeline() as pipeline:
        pipeline.flushall()
        for key, value in copy.items():
            pipeline.restore(key.decode(), 0, cast("Any", value))
        pipeline.client_kill_filter(_type="normal")
        await pipeline.execute()
