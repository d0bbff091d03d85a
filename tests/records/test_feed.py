"""`CallFeed`: each record once, whatever fails, and the queue where it is certain."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import async_solipsism
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import (
    AppCredentials,
    CallDirection,
    CallMethod,
    CallRecord,
    SipQueueClient,
    Snapshot,
    StatusWatcher,
    TransportError,
)
from sipqueue_async.push import PushReceiver, PushRefused
from sipqueue_async.records import CallCursor, CallFeed, FollowedCall
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.builders import ScriptedSource, agent, snapshot

START = datetime.fromisoformat("2026-01-05 09:00:00")
"""The server's local time when a test begins."""
SECOND = timedelta(seconds=1)


def record(number: int, *, began: float = 0.0, answered: float | None = 4.0, **fields: Any) -> CallRecord:
    """Return the record of an incoming call that began some seconds after the start."""
    given: dict[str, Any] = {
        "id": str(number),
        "direction": CallDirection.IN,
        "method": CallMethod.GROUP,
        "extension": "1",
        "started_at": START + began * SECOND,
        "answered_at": None if answered is None else START + (began + answered) * SECOND,
    }
    return CallRecord(**given | fields)


class Records:
    """A platform's call records: each appears at a time of the loop, newest first, in pages of three."""

    def __init__(self) -> None:
        self.begun_at = asyncio.get_running_loop().time()
        self.appearing: list[tuple[float, CallRecord]] = []
        self.looks: list[tuple[float, datetime]] = []
        self.faults: set[int] = set()
        """The pages that fail, counted over all looks."""
        self.error: Exception = TransportError("no route")
        self._pages = 0

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self.begun_at

    async def fetch_calls(self, since: datetime, until: datetime) -> AsyncIterator[CallRecord]:
        """Yield the records of a range."""
        self.looks.append((self.now, since))
        shown = [it for at, it in reversed(self.appearing) if at <= self.now and since <= it.started_at <= until]
        for place in range(0, max(1, len(shown)), 3):
            await asyncio.sleep(0.01)
            self._pages += 1
            if self._pages in self.faults:
                raise self.error
            for each in shown[place : place + 3]:
                yield each


async def taken(feed: CallFeed, number: int) -> list[FollowedCall]:
    """Return the next calls."""
    async with asyncio.timeout(10_000):
        return [await anext(feed) for _ in range(number)]


# ---- each record once ------------------------------------------------------------------------------------------------


CALLS = st.tuples(st.floats(0, 600), st.floats(0, 300))
"""When a call begins, and how long it takes."""


@given(
    calls=st.lists(CALLS, min_size=1, max_size=25),
    faults=st.sets(st.integers(1, 40), max_size=15),
    stops=st.lists(st.integers(0, 10), max_size=5),
    pushes=st.lists(st.floats(0, 900), max_size=20),
)
def test_each_record_comes_once_through_restarts_and_faults_of_pages(
    calls: list[tuple[float, float]], faults: set[int], stops: list[int], pushes: list[float]
) -> None:
    """A feed is stopped after some records, and the next one resumes from its cursor."""

    async def play() -> list[str]:
        source = Records()
        source.faults = faults
        source.appearing = sorted(
            ((began + length, record(number, began=began)) for number, (began, length) in enumerate(calls)),
            key=lambda it: it[0],
        )
        loop = asyncio.get_running_loop()
        cursor, found = CallCursor(since=START), list[str]()
        for stop in [*stops, len(calls)]:
            feed = CallFeed(
                source,
                CallCursor.from_json(cursor.to_json()),
                interval=30.0,
                overlap=timedelta(seconds=340),
                recent=timedelta(seconds=60),
            )
            timers = [loop.call_later(at, feed.look) for at in pushes]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(500 if stop < len(calls) else 5000):
                    for _ in range(min(stop, len(calls) - len(found))):
                        found.append((await anext(feed)).record.id)
                        cursor = feed.cursor
            for timer in timers:
                timer.cancel()
        return found

    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        found = runner.run(play())
    assert sorted(found, key=int) == [str(number) for number in range(len(calls))]


@pytest.mark.virtual_time
async def test_a_look_reads_no_more_than_the_overlap_and_forgets_what_cannot_come_again() -> None:
    source = Records()
    source.appearing = [(began, record(number, began=began)) for number, began in enumerate(range(0, 7200, 60))]
    feed = CallFeed(source, START, overlap=timedelta(minutes=30))
    await taken(feed, 120)
    assert feed.cursor.newest == START + timedelta(seconds=7140)
    assert len(feed.cursor.known) == 31
    assert source.looks[-1][1] >= START + timedelta(minutes=85)
    assert repr(feed) == f"<CallFeed, {feed.health.looks} looks, up to 2026-01-05 10:59:00>"
    assert repr(CallFeed(source, START)) == "<CallFeed, 0 looks, up to 2026-01-05 09:00:00>"


@pytest.mark.virtual_time
async def test_the_cursor_covers_what_was_given_and_no_more() -> None:
    source = Records()
    source.appearing = [(0.0, record(number, began=number * 600)) for number in range(4)]
    feed = CallFeed(source, START, overlap=timedelta(minutes=15))
    first = await taken(feed, 3)
    assert feed.cursor.newest is None
    rest = await taken(CallFeed(source, feed.cursor, overlap=timedelta(minutes=15)), 1)
    assert sorted(call.record.id for call in (*first, *rest)) == ["0", "1", "2", "3"]


@pytest.mark.virtual_time
async def test_a_server_that_ignores_the_range_gives_no_record_twice() -> None:
    class Careless(Records):
        async def fetch_calls(self, since: datetime, until: datetime) -> AsyncIterator[CallRecord]:
            async for each in super().fetch_calls(START, until + timedelta(days=9999)):
                yield each

    source = Careless()
    years = timedelta(days=4000).total_seconds()
    source.appearing = [(0.0, record(1)), (1.0, record(2, began=9000)), (200.0, record(3, began=9100))]
    source.appearing += [(0.0, record(4, began=years, answered=None))]
    feed = CallFeed(source, START)
    found = [call.record.id for call in await taken(feed, 4)]
    assert sorted(found) == ["1", "2", "3", "4"]
    assert feed.cursor.newest == START + timedelta(seconds=9100)


@pytest.mark.virtual_time
async def test_a_push_of_a_record_is_followed_at_once() -> None:
    """The others only make the watcher poll. The looks that pushes cause are not closer than `min_interval`."""
    source = Records()
    source.appearing = [(0.0, record(0))]
    async with StatusWatcher(ScriptedSource([snapshot(agent("1"))]), interval=6000) as watcher:
        feed = CallFeed(source, START, interval=600, min_interval=2.0)
        async with PushReceiver(watcher, on_record=feed.look, max_rate=1000) as receiver:
            await taken(feed, 1)
            task = asyncio.create_task(taken(feed, 1))
            await asyncio.sleep(10 - source.now)
            source.appearing.append((10.0, record(1, began=3)))
            await receiver.handle(b'{"type": "call", "status": "ring"}')
            await asyncio.sleep(5)
            assert len(source.looks) == 1
            for _ in range(100):
                await receiver.handle(b'[{"type": "call"}, {"id": 1, "endtime": "2026-01-05 09:00:09"}]')
            assert [call.record.id for call in await task] == ["1"]
            assert source.looks[1][0] == pytest.approx(15.0)
            task = asyncio.create_task(taken(feed, 1))
            for _ in range(40):
                await receiver.handle(b'{"endtime": ""}')
                await asyncio.sleep(0.1)
            task.cancel()
    assert all(later - earlier >= 1.99 for (earlier, _), (later, _) in pairwise(source.looks))


@pytest.mark.virtual_time
async def test_pushes_refused_unread_may_be_records() -> None:
    asked: list[int] = []
    async with StatusWatcher(ScriptedSource([snapshot()]), interval=6000) as watcher:
        receiver = PushReceiver(watcher, on_record=lambda: asked.append(1), max_rate=1)
        for _ in range(2):
            with pytest.raises(PushRefused):
                await receiver.handle(b"x")
    assert asked == [1]


@pytest.mark.virtual_time
async def test_an_error_that_a_retry_cannot_fix_is_raised_and_iterating_again_asks_again() -> None:
    source = Records()
    source.faults, source.error = {1, 2}, ValueError("broken")
    source.appearing = [(0.0, record(1))]
    feed = CallFeed(source, START)
    for failures in (1, 2):
        with pytest.raises(ValueError, match="broken"):
            await anext(feed)
        assert (feed.health.failures_in_a_row, feed.health.last_error) == (failures, source.error)
    assert [call.record.id for call in await taken(feed, 1)] == ["1"]
    assert aiter(feed) is feed
    assert (feed.health.looks, feed.health.failures, feed.health.failures_in_a_row) == (3, 2, 0)


@pytest.mark.virtual_time
async def test_a_cancelled_iteration_loses_nothing() -> None:
    source = Records()
    source.appearing = [(0.0, record(number)) for number in range(9)]
    feed = CallFeed(source, START)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(feed), 0.015)
    assert len({call.record.id for call in await taken(feed, 9)}) == 9


@pytest.mark.virtual_time
async def test_a_call_of_the_hour_that_comes_twice_is_read_as_an_hour_early_and_given_once() -> None:
    """A client asks for all local times of the range, and cannot know which of the two hours it was."""

    class WithoutRange(Records):
        async def fetch_calls(self, since: datetime, until: datetime) -> AsyncIterator[CallRecord]:
            for at, each in self.appearing:
                if at <= self.now:
                    yield each

    source = WithoutRange()
    newest = datetime.fromisoformat("2026-04-05 03:30:00+10:00")
    again = datetime.fromisoformat("2026-04-05 02:10:00+11:00")
    source.appearing = [
        (0.0, record(1, started_at=newest, answered_at=None)),
        (100.0, record(2, started_at=again, answered_at=None)),
        (900.0, record(3, started_at=newest, answered_at=None)),
    ]
    feed = CallFeed(source, newest - timedelta(days=1))
    assert [call.record.id for call in await taken(feed, 3)] == ["1", "2", "3"]


@pytest.mark.virtual_time
async def test_a_time_in_the_future_hides_no_later_call() -> None:
    """The server's clock was a day ahead for a while. The feed knows it if it knows the server's zone."""
    now = datetime.now(UTC)
    source = Records()
    source.appearing = [
        (0.0, record(1, started_at=now + timedelta(days=1), answered_at=None)),
        (100.0, record(2, started_at=now, answered_at=None)),
    ]
    feed = CallFeed(source, now - timedelta(hours=1))
    assert [call.record.id for call in await taken(feed, 2)] == ["1", "2"]
    assert feed.cursor.newest == now


@pytest.mark.virtual_time
async def test_nothing_is_lost_if_it_is_cancelled_while_it_asks_for_the_queues_and_the_next_look_fails() -> None:
    async def slow() -> Snapshot:
        await asyncio.sleep(5)
        return snapshot(seat("sales", "1"))

    source = Records()
    source.appearing = [(0.0, record(number, began=number * 3600)) for number in range(4)]
    async with StatusWatcher(slow, interval=600) as watcher:
        await watcher.ready()
        feed = CallFeed(source, START, status=watcher, recent=timedelta(minutes=1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(feed), 1)
        source.faults = {3}
        found = await taken(feed, 4)
    assert sorted(call.record.id for call in found) == ["0", "1", "2", "3"]
    assert feed.health.failures == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interval": 0}, "interval must be above 0 seconds, not 0"),
        ({"min_interval": 0}, "min_interval must be above 0 seconds, not 0"),
        ({"recent": timedelta(0)}, r"recent \(0:00:00\) must be above 0 and at most overlap \(2:00:00\)"),
        ({"recent": timedelta(hours=3)}, "must be above 0 and at most overlap"),
    ],
)
async def test_an_invalid_argument_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CallFeed(Records(), START, **options)
    with pytest.raises(TypeError, match="source must be a SipQueueClient, not list"):
        CallFeed([], START, **options)  # type: ignore[arg-type]


# ---- queues ----------------------------------------------------------------------------------------------------------

QUEUES: list[tuple[dict[str, Any], str | None]] = [
    ({}, "sales"),
    ({"extension": "2"}, None),
    ({"extension": "3"}, None),
    ({"extension": None}, None),
    ({"answered": None}, None),
    ({"answered": 5.0}, None),
    ({"direction": CallDirection.OUT}, None),
    ({"method": CallMethod.DIALLED}, None),
    ({"method": CallMethod.UNKNOWN, "direction": CallDirection.UNKNOWN}, "sales"),
]
"""Other fields of a record, and the queue of its call where two seats answered then."""


def seat(queue: str, extension: str, answered: float | None = None) -> Any:
    """Return a seat whose last call was answered some seconds after the start."""
    moment = None if answered is None else START + answered * SECOND
    return agent(extension, queue=queue, last_answered_at=moment)


@pytest.mark.virtual_time
@pytest.mark.parametrize(("fields", "queue"), QUEUES, ids=str)
async def test_the_queue_is_that_of_the_one_seat_that_answered_then(fields: dict[str, Any], queue: str | None) -> None:
    source = Records()
    source.appearing = [(0.0, record(1, **fields))]
    status = snapshot(seat("sales", "1", 4), seat("help", "1"), seat("sales", "2", 4), seat("help", "2", 4))
    async with StatusWatcher(ScriptedSource([status] * 2), interval=600) as watcher:
        await watcher.ready()
        (call,) = await taken(CallFeed(source, START, status=watcher), 1)
    assert call.queue == queue


@pytest.mark.virtual_time
@pytest.mark.parametrize("fails", [False, True])
async def test_a_record_that_is_quicker_than_the_poll_waits_for_one(fails: bool) -> None:
    source = Records()
    later: Any = TransportError("away") if fails else snapshot(seat("sales", "1", 4), at=1)
    async with StatusWatcher(ScriptedSource([snapshot(seat("sales", "1")), later]), interval=600) as watcher:
        await watcher.ready()
        source.appearing = [(0.0, record(1))]
        (call,) = await taken(CallFeed(source, START, status=watcher), 1)
        assert watcher.health.polls == 2
    assert call.queue == (None if fails else "sales")


@pytest.mark.virtual_time
async def test_earlier_answers_are_known_for_records_that_come_late() -> None:
    """They are in the cursor, but not without end."""
    polls = [snapshot(seat("sales", "1", 10 * number), at=number) for number in range(100)]
    source = Records()
    async with StatusWatcher(ScriptedSource(polls), interval=1) as watcher:
        feed = CallFeed(source, START, status=watcher)
        await asyncio.sleep(99.5)
        cursor = CallCursor.from_json(feed.cursor.to_json())
    assert cursor == feed.cursor
    source.appearing = [(0.0, record(number, began=10 * number, answered=0.0)) for number in (1, 40, 99)]
    found = await taken(CallFeed(source, cursor), 3)
    assert {call.record.id: call.queue for call in found} == {"1": None, "40": "sales", "99": "sales"}


async def test_the_records_of_a_platform_are_followed_with_their_queues() -> None:
    async with Simulator(attrs.evolve(Plan.lively(), external_calls_per_hour=20.0), seed=7, speed=0) as simulator:
        credentials = AppCredentials(simulator.appid, simulator.accesskey)
        client = SipQueueClient(simulator.url, credentials, timezone="Asia/Shanghai")
        start = simulator.centre.local_time.replace(tzinfo=UTC) - timedelta(hours=9)

        async def poll() -> Snapshot:
            simulator.advance(2.0)
            return await client.fetch_snapshot()

        async with client, StatusWatcher(poll, interval=0.02) as watcher:
            feed = CallFeed(client, start, status=watcher, min_interval=0.1, interval=0.1)
            found: dict[str, str | None] = {}
            while len(found) < 40:
                call = await asyncio.wait_for(anext(feed), 60)
                assert call.record.id not in found
                found[call.record.id] = call.queue
        truth = {str(it.id): it for it in simulator.centre.past_calls()}
    queues = Counter(queue == truth[id_].queue for id_, queue in found.items() if queue is not None)
    assert queues[True] > 15
    assert queues[False] == 0
