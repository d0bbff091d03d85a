"""One stream of updates from its source to its consumer: through a relay, by bare commands, and within one process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

import attrs
from redis.asyncio import Redis

from sipqueue_async import Feed, Snapshot, StatusWatcher
from sipqueue_async._wire import SnapshotDecoder
from sipqueue_async.redis import RedisFeed, Relay
from tests.benchmarks.speed_bodies import Story
from tests.benchmarks.speed_measure import WrongAnswer
from tests.kit.waiting import PATIENCE

SEATS: Final = 200
AT_ONCE: Final = 1e-6
"""An interval so short that the next poll is always due."""
_MOST: Final = 100_000
"""The number of entries that a stream keeps: the relay's default."""
_PAGE: Final = 64
"""The maximum number of entries per read, the same as for `RedisFeed`."""
_OPTIONS: Final[dict[str, Any]] = {"protocol": 2, "socket_timeout": None}
"""Options of clients that wait for the other half: redis-py's default timeout is 5 seconds."""
_STARTED: Final = datetime(2026, 1, 6, tzinfo=UTC)

# All processes of a machine share this clock; `time.perf_counter` does not guarantee that.
clock: Final[Callable[[], float]] = time.monotonic

Moments: TypeAlias = Sequence[float]


@attrs.frozen(kw_only=True)
class Course:
    """The updates to send."""

    changed: int
    """The number of seats that change with each update."""
    updates: int
    interval: float = AT_ONCE
    """Seconds between updates."""
    seats: int = SEATS

    @property
    def story(self) -> Story:
        """The platform's answers: the first status, then one answer per update."""
        return Story(records=self.seats, share=self.changed / self.seats, polls=self.updates + 1)

    @property
    def events(self) -> int:
        """The number of events of all updates."""
        return sum(told(self.story)[1][1:])


@attrs.frozen(kw_only=True)
class Passage:
    """The times at which snapshots left the source and reached the consumer, including the first snapshot."""

    given: Moments
    had: Moments
    events: int
    """The number of events received."""
    digest: str
    """The digest of the last snapshot's records."""

    @property
    def seconds(self) -> float:
        """Seconds from the first update's start to the last one's arrival."""
        return self.had[-1] - self.given[1]

    @property
    def delays(self) -> Sequence[float]:
        """Each update's delay in seconds."""
        return [had - given for given, had in zip(self.given[1:], self.had[1:], strict=True)]

    def check(self, course: Course) -> None:
        """Raise `WrongAnswer` unless all updates have arrived and none was coalesced."""
        expected = (course.updates + 1, course.updates + 1, course.events, digest(told(course.story)[0][-1]))
        if (len(self.given), len(self.had), self.events, self.digest) != expected:
            raise WrongAnswer("something else came out of a stream than what went into it")


@lru_cache(maxsize=8)
def told(story: Story) -> tuple[Sequence[Snapshot], Sequence[int]]:
    """Return a story's snapshots, and the number of events that lead to each."""
    decoder = SnapshotDecoder()
    steps = story.steps()
    return (
        [
            decoder.decode(step.body, observed_at=_STARTED + timedelta(seconds=number))
            for number, step in enumerate(steps)
        ],
        [step.events for step in steps],
    )


def digest(snapshot: Snapshot) -> str:
    """Return a digest of a snapshot's records."""
    records = [snapshot[seat].to_dict() for seat in sorted(snapshot)]
    return hashlib.sha256(json.dumps(records).encode()).hexdigest()


# ---- the ways --------------------------------------------------------------------------------------------------------
# Each way has two halves, in two processes. The reader pushes to a Redis list once it has the first snapshot; then the
# updates begin.


class _Client(Redis):
    """A client that signals when it has an answer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.answered = asyncio.Event()

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        answer: Any = await cast("Any", super()).execute_command(*words, **options)
        self.answered.set()
        return answer


async def publish(url: str, prefix: str, course: Course) -> Moments:
    """Run a relay. The next snapshot is ready as soon as at most one update waits to be published."""
    snapshots, _ = told(course.story)
    given: list[float] = []

    async def published(number: int) -> None:
        while relay.sequence < number:
            client.answered.clear()
            await client.answered.wait()

    async def source() -> Snapshot:
        if len(given) == 1:
            await _reader_is_there(url, prefix)
        await published(min(len(given), len(snapshots)) - 1)
        given.append(clock())
        return snapshots[min(len(given), len(snapshots)) - 1]

    client = cast("_Client", _Client.from_url(url, **_OPTIONS))
    relay = Relay(source, client, prefix=prefix, interval=course.interval)
    async with asyncio.timeout(PATIENCE), client, relay:
        await published(len(snapshots))
    return given[: len(snapshots)]


async def follow(url: str, prefix: str, course: Course) -> tuple[Moments, int, str]:
    """Read a relay's updates; return their arrival times, the number of events, and the last digest."""

    async def tell() -> None:
        async with Redis.from_url(url) as client:
            await client.rpush(_gate(prefix), "there")

    async with asyncio.timeout(PATIENCE), RedisFeed(url, prefix=prefix, initial=True) as feed:
        return await _take(feed, course, tell)


async def add(url: str, prefix: str, course: Course, entries: str) -> Moments:
    """Add the entries that a relay published before, one after the other."""
    given: list[float] = []
    async with asyncio.timeout(PATIENCE), Redis.from_url(url, **_OPTIONS) as client:
        due = clock()
        for fields in await _entries(client, entries):
            if len(given) == 1:
                await _reader_is_there(url, prefix)
                due = clock()
            given.append(clock())
            await client.xadd(_stream(prefix), fields, maxlen=_MOST)
            due += course.interval
            await asyncio.sleep(max(0.0, due - clock()) if course.interval > AT_ONCE else 0)
    return given


async def _entries(client: Redis, prefix: str) -> Sequence[dict[Any, Any]]:
    found: Any = await client.xrange(_stream(prefix))
    return [fields for _, fields in found]


async def read(url: str, prefix: str, course: Course) -> tuple[Moments, Sequence[dict[bytes, bytes]]]:
    """Read entries without decoding them; return their arrival times and contents."""
    found: list[dict[bytes, bytes]] = []
    had: list[float] = []
    last: Any = "0-0"
    async with asyncio.timeout(PATIENCE), Redis.from_url(url, **_OPTIONS) as client:
        while len(found) <= course.updates:
            pages: Any = await client.xread({_stream(prefix): last}, count=_PAGE, block=1000)
            for _, page in pages or ():
                had.extend(clock() for _ in page)
                found.extend(fields for _, fields in page)
                last = page[-1][0]
            if len(found) == 1:
                await client.rpush(_gate(prefix), "there")
    return had, found


async def watch(course: Course) -> Passage:
    """Poll and consume in one process."""
    snapshots, _ = told(course.story)
    given: list[float] = []

    async def source() -> Snapshot:
        given.append(clock())
        return snapshots[min(len(given), len(snapshots)) - 1]

    async def tell() -> None:
        """Do nothing: the consumer starts together with the watcher."""

    async with asyncio.timeout(PATIENCE), StatusWatcher(source, interval=course.interval, initial=True) as watcher:
        had, events, last = await _take(watcher, course, tell)
    return Passage(given=given[: len(snapshots)], had=had, events=events, digest=last)


async def _take(feed: Feed, course: Course, tell: Callable[[], Awaitable[object]]) -> tuple[Moments, int, str]:
    had: list[float] = []
    events = 0
    async for update in feed.updates(max_pending=_MOST):
        if update.snapshot is None:
            continue  # nothing is published yet
        had.append(clock())
        if len(had) == 1:
            await tell()
        else:
            events += len(update.events)
        if update.sequence > course.updates:
            return had, events, digest(update.snapshot)
    raise WrongAnswer("a feed has ended")


def _stream(prefix: str) -> str:
    return f"{{{prefix}}}:events"


def _gate(prefix: str) -> str:
    return f"{{{prefix}}}:reader"


async def _reader_is_there(url: str, prefix: str) -> None:
    async with Redis.from_url(url, **_OPTIONS) as client:
        await client.blpop([_gate(prefix)])


# ---- both halves together --------------------------------------------------------------------------------------------

Submit: TypeAlias = Callable[..., Awaitable[Any]]
"""Runs one of the functions above in another process, and returns its result."""


@attrs.frozen(kw_only=True)
class Track:
    """The environment of the comparison: a Redis and two processes."""

    url: str
    """The URL of Redis."""
    publisher: Submit
    reader: Submit


async def by_relay(track: Track, prefix: str, course: Course) -> Passage:
    """Send a course through a relay to a reader."""
    given, (had, events, last) = await asyncio.gather(
        track.publisher(publish, track.url, prefix, course), track.reader(follow, track.url, prefix, course)
    )
    return Passage(given=given, had=had, events=events, digest=last)


async def by_hand(track: Track, prefix: str, course: Course, entries: str) -> Passage:
    """Send a relay's entries through another stream with bare commands, without decoding them."""
    given, (had, found) = await asyncio.gather(
        track.publisher(add, track.url, prefix, course, entries), track.reader(read, track.url, prefix, course)
    )
    async with Redis.from_url(track.url) as client:
        expected = await _entries(client, entries)
    if found != expected:
        raise WrongAnswer("bare commands carried something else than what a relay had published")
    snapshots, events = told(course.story)
    return Passage(given=given, had=had, events=sum(events[1:]), digest=digest(snapshots[-1]))


async def within(track: Track, course: Course) -> Passage:
    """Send a course from a watcher to a consumer in the same process."""
    passage: Passage = await track.publisher(watch, course)
    return passage


async def race(track: Track, name: str, course: Course, rounds: int) -> tuple[list[Passage], ...]:
    """Send a course each way in turn; return the passages of the relay, of bare commands, and within one process."""
    entries = f"{name}-entries"
    # The warm-up run also produces the entries that the bare commands send.
    (await by_relay(track, entries, course)).check(course)

    def way(number: int, prefix: str) -> Awaitable[Passage]:
        match number:
            case 0:
                return by_relay(track, prefix, course)
            case 1:
                return by_hand(track, prefix, course, entries)
            case _:
                return within(track, course)

    passages: tuple[list[Passage], ...] = ([], [], [])
    for round_ in range(rounds + 1):
        for turn in range(len(passages)):
            which = (round_ + turn) % len(passages)
            passage = await way(which, f"{name}-{round_}-{which}")
            passage.check(course)
            passages[which].append(passage)
        await _forget(track.url, f"{name}-{round_}")
    return tuple(each[1:] for each in passages)


async def _forget(url: str, name: str) -> None:
    """Delete the keys of finished runs."""
    async with Redis.from_url(url) as client:
        async for key in client.scan_iter(f"{{{name}-*"):
            await client.delete(key)
