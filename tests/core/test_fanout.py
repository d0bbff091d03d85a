"""Delivery from one watcher to many consumers."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence
from datetime import timedelta

import pytest

from sipqueue_async import (
    AgentJoined,
    AgentLeft,
    AgentState,
    AgentStatus,
    CallAnswered,
    Event,
    FeedDown,
    FeedEvent,
    FeedUp,
    Snapshot,
    StateChanged,
    Subscription,
    TransportError,
    Update,
    Updates,
    diff,
)
from sipqueue_async._fanout import Fanout
from sipqueue_async._mailbox import ALL_SEATS, Mailbox, Topic
from tests.kit.builders import START, agent, snapshot

ERROR = TransportError("away")
DOWN = FeedDown(error=ERROR, since=START)
UP = FeedUp(observed_at=START, outage=timedelta(seconds=9), failures=3)
IDLE, WAITING, TALKING = AgentState.IDLE, AgentState.WAITING, AgentState.TALKING


class Feed:
    """Publishes like a watcher, and keeps the last snapshot."""

    def __init__(self, start: Snapshot | None) -> None:
        self.fanout = Fanout()
        self.known = start
        self.sequence = 0

    def show(self, *agents: AgentStatus, feed: Sequence[Event] = ()) -> None:
        """Publish the difference between the last snapshot and these records."""
        now = snapshot(*agents)
        self._publish((*feed, *diff(self.known, now)), now)

    def tell(self, *events: Event) -> None:
        """Publish events without a change to the snapshot."""
        self._publish(events, self.known)

    def _publish(self, events: tuple[Event, ...], now: Snapshot | None) -> None:
        self.sequence += 1
        self.fanout.publish(Update(sequence=self.sequence, snapshot=now, previous=self.known, events=events))
        self.known = now

    def subscribe(self, *types: type[Event], topic: Topic = ALL_SEATS, max_pending: int = 64) -> Subscription[Event]:
        """Return a stream of events."""
        return Subscription(self.fanout.mailbox(topic, types, max_pending), self.fanout.forget)

    def updates(self, max_pending: int = 64) -> Updates:
        """Return a stream of updates."""
        return Updates(self.fanout.mailbox(ALL_SEATS, (), max_pending), self.fanout.forget)

    async def rest(self, stream: Subscription[Event]) -> list[Event]:
        """End the feed and return all pending events of a stream."""
        self.fanout.end(None)
        return [event async for event in stream]


@pytest.fixture
def feed() -> Feed:
    """Return a feed whose snapshot has two waiting agents."""
    return Feed(snapshot(agent("1"), agent("2", queue="queue-2")))


class TestFilters:
    async def test_types(self, feed: Feed) -> None:
        """A consumer receives exactly the event types that it requested."""
        subscription = feed.subscribe(StateChanged, FeedDown)
        feed.show(agent("1", TALKING, calls_answered=1))
        feed.tell(DOWN)
        assert [type(event) for event in await feed.rest(subscription)] == [StateChanged, FeedDown]

    @pytest.mark.parametrize(
        ("topic", "expected"),
        [
            ((frozenset({"queue-1"}), None), [("queue-1", "1"), ("queue-1", "2")]),
            ((None, frozenset({"2"})), [("queue-1", "2"), ("queue-2", "2")]),
            ((frozenset({"queue-2"}), frozenset({"2"})), [("queue-2", "2")]),
            ((frozenset({"queue-1", "queue-2"}), frozenset({"2"})), [("queue-1", "2"), ("queue-2", "2")]),
            ((None, frozenset({"1", "3"})), [("queue-1", "1")]),
            ((frozenset({"queue-3"}), None), []),
        ],
    )
    async def test_topics(self, feed: Feed, topic: Topic, expected: list[tuple[str, str]]) -> None:
        """A consumer receives exactly the events of the requested queues and extensions."""
        subscription = feed.subscribe(topic=topic)
        feed.show(agent("1", TALKING), agent("2", TALKING), agent("2", TALKING, queue="queue-2"))
        assert [event.key for event in await feed.rest(subscription)] == expected

    async def test_the_feeds_condition_concerns_every_place(self, feed: Feed) -> None:
        """A consumer of one queue also receives feed events."""
        subscription = feed.subscribe(topic=(frozenset({"queue-3"}), frozenset({"8", "9"})))
        feed.tell(DOWN)
        feed.tell(UP)
        assert await feed.rest(subscription) == [DOWN, UP]

    async def test_an_update_without_anything_wanted_takes_no_room(self, feed: Feed) -> None:
        subscription = feed.subscribe(CallAnswered, max_pending=1)
        for state in (TALKING, WAITING, TALKING):
            feed.show(agent("1", state))
        assert subscription.pending == 0


class TestCost:
    @pytest.mark.parametrize("topic", [ALL_SEATS, (frozenset({"queue-2"}), None), (None, frozenset({"2", "3"}))])
    async def test_who_asked_for_other_things_costs_nothing(
        self, feed: Feed, topic: Topic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An event is not offered to subscriptions of other topics, however many there are."""
        offers: list[Mailbox] = []
        offer = Mailbox.offer

        def counted(box: Mailbox, update: Update | None, event: FeedEvent | None) -> None:
            offers.append(box)
            offer(box, update, event)

        monkeypatch.setattr(Mailbox, "offer", counted)
        wanting = feed.subscribe(StateChanged)
        others = [feed.subscribe(AgentLeft, topic=topic) for _ in range(10)]
        feed.show(agent("1", TALKING), agent("2", queue="queue-2"))
        assert offers == [wanting._mailbox]
        feed.tell(DOWN)
        assert len(offers) == 1 + 1 + len(others), "the feed concerns everybody"

    async def test_those_who_ask_for_the_same_share_an_update(self, feed: Feed) -> None:
        boxes = [feed.fanout.mailbox(ALL_SEATS, (StateChanged,), 64) for _ in range(3)]
        feed.show(agent("1", TALKING))
        first, *rest = [box.get_nowait() for box in boxes]
        assert first is not None
        assert [type(event) for event in first.events] == [StateChanged]
        assert all(other is first for other in rest)


class TestCoalescing:
    async def test_a_slow_consumer_gets_one_difference(self, feed: Feed) -> None:
        """A consumer that fell behind gets one update with the difference between two snapshots."""
        updates = feed.updates(max_pending=2)
        start = feed.known
        for state in (TALKING, IDLE, AgentState.PAUSED):
            feed.show(agent("1", state), agent("2", queue="queue-2"))
        assert updates.pending == 1
        update = await anext(updates)
        assert update.coalesced
        assert (update.sequence, update.previous, update.snapshot) == (3, start, feed.known)
        assert [(event.before, event.after) for event in update.events if isinstance(event, StateChanged)] == [
            (WAITING, AgentState.PAUSED)
        ]

    async def test_can_be_taken_without_waiting(self, feed: Feed) -> None:
        """`get_nowait` returns the pending update, without changes that were undone in the meantime."""
        updates = feed.updates(max_pending=1)
        assert updates.get_nowait() is None
        feed.show(agent("1", TALKING), agent("2", queue="queue-2"))
        assert (taken := updates.get_nowait()) is not None
        assert taken.sequence == 1
        for state in (WAITING, TALKING):
            feed.show(agent("1", state), agent("2", queue="queue-2"))
        assert updates.pending == 1
        assert updates.get_nowait() is None
        assert updates.pending == 0

    async def test_at_the_bound_nothing_coalesces(self, feed: Feed) -> None:
        updates = feed.updates(max_pending=2)
        feed.show(agent("1", TALKING))
        feed.show(agent("1", IDLE))
        assert [(await anext(updates)).coalesced for _ in range(2)] == [False, False]

    async def test_changes_that_were_undone_are_not_reported(self, feed: Feed) -> None:
        """A coalesced update has no events about changes that were undone."""
        subscription = feed.subscribe(max_pending=1)
        both = agent("1"), agent("2", queue="queue-2")
        feed.show(agent("1", TALKING), both[1])
        feed.show(*both)
        assert subscription._mailbox.get_nowait() is None
        feed.show(agent("1", IDLE), both[1])
        (event,) = await feed.rest(subscription)
        assert isinstance(event, StateChanged)
        assert event.previous == agent("1")

    async def test_keeps_to_what_was_asked_for(self, feed: Feed) -> None:
        """A coalesced update also contains only the requested queues and types."""
        subscription = feed.subscribe(StateChanged, topic=(frozenset({"queue-1"}), None), max_pending=1)
        for state in (TALKING, IDLE, TALKING):
            feed.show(agent("1", state, calls_answered=5), agent("2", state, queue="queue-2"), agent("3"))
        assert [(type(event), event.key) for event in await feed.rest(subscription)] == [
            (StateChanged, ("queue-1", "1"))
        ]

    @pytest.mark.parametrize(
        ("told", "left"),
        [([DOWN, UP], []), ([DOWN, UP, DOWN], [DOWN]), ([UP, DOWN], []), ([UP, DOWN, UP], [UP])],
        ids=["came back", "down after all", "down again", "up after all"],
    )
    async def test_the_feeds_present_condition_stays(self, feed: Feed, told: list[Event], left: list[Event]) -> None:
        """A coalesced update reports the feed's current condition."""
        feed.tell(UP if told[0] is DOWN else DOWN)
        subscription = feed.subscribe(max_pending=1)
        one_sided = feed.subscribe(*map(type, left), max_pending=1)
        for event in told:
            feed.tell(event)
        assert await feed.rest(subscription) == left
        assert await feed.rest(one_sided) == left

    async def test_the_condition_counts_as_last_taken(self, feed: Feed) -> None:
        """The condition is reported only if it differs from the last one that the consumer took."""
        subscription = feed.subscribe(max_pending=1)
        feed.tell(DOWN)
        assert await anext(subscription) == DOWN
        for event in (UP, DOWN, UP):
            feed.tell(event)
        assert await feed.rest(subscription) == [UP]

    async def test_a_condition_that_was_not_asked_for_counts_too(self, feed: Feed) -> None:
        """A consumer of `FeedDown` only also gets the second outage, without requesting the end of the first."""
        subscription = feed.subscribe(FeedDown, max_pending=1)
        feed.tell(DOWN)
        assert await anext(subscription) == DOWN
        for event in (UP, DOWN):
            feed.tell(event)
        assert await anext(subscription) == DOWN
        for event in (UP, DOWN, UP, DOWN, UP):
            feed.tell(event)
        assert await feed.rest(subscription) == []

    @pytest.mark.parametrize(("max_pending", "later"), [(1, (DOWN, UP, DOWN)), (2, (DOWN, UP, DOWN, UP, DOWN))])
    async def test_it_counts_also_if_it_came_before_the_last_was_taken(
        self, feed: Feed, max_pending: int, later: Sequence[FeedEvent]
    ) -> None:
        """A consumer of `FeedDown` only that takes the first outage after its end also gets the later ones."""
        subscription = feed.subscribe(FeedDown, max_pending=max_pending)
        for event in (DOWN, UP):
            feed.tell(event)
        assert await anext(subscription) == DOWN
        for event in later:
            feed.tell(event)
        assert await feed.rest(subscription) == [DOWN]

    async def test_it_counts_also_if_it_came_with_what_was_asked_for(self, feed: Feed) -> None:
        """If a state changes as the first outage ends, that does not hide the next outage."""
        subscription = feed.subscribe(FeedDown, StateChanged, max_pending=1)
        feed.tell(DOWN)
        assert await anext(subscription) == DOWN
        feed.show(agent("1", TALKING), agent("2", queue="queue-2"), feed=[UP])
        feed.tell(DOWN)
        assert [type(event) for event in await feed.rest(subscription)] == [StateChanged, FeedDown]

    async def test_the_feed_comes_up_before_and_goes_down_after_what_changed(self, feed: Feed) -> None:
        down, up = feed.subscribe(max_pending=1), feed.subscribe(max_pending=1)
        feed.show(agent("1", TALKING))
        feed.tell(DOWN)
        assert [type(event) for event in [await anext(down) for _ in range(3)]] == [StateChanged, AgentLeft, FeedDown]
        up.close()
        up = feed.subscribe(max_pending=1)
        feed.show(agent("1", IDLE), feed=[UP])
        feed.show(agent("1", WAITING))
        assert [type(event) for event in await feed.rest(up)] == [FeedUp, StateChanged]

    async def test_before_anything_was_known(self) -> None:
        """A feed that starts down yields no `AgentJoined` when it comes up."""
        feed = Feed(None)
        subscription = feed.subscribe(max_pending=1)
        feed.tell(DOWN)
        feed.known = snapshot(agent("1"))
        feed.tell(UP)
        feed.show(agent("1", TALKING))
        assert [type(event) for event in await feed.rest(subscription)] == [StateChanged]

    async def test_from_nothing(self) -> None:
        """A slow consumer of a watcher with `initial` gets an `AgentJoined` for every agent."""
        feed = Feed(None)
        subscription = feed.subscribe(max_pending=1)
        feed.show(agent("1"))
        feed.show(agent("1", TALKING), agent("2"))
        assert [(type(event), event.agent) for event in await feed.rest(subscription)] == [
            (AgentJoined, agent("1", TALKING)),
            (AgentJoined, agent("2")),
        ]

    @pytest.mark.parametrize("bound", [0, -1])
    def test_a_bound_below_one_is_refused(self, feed: Feed, bound: int) -> None:
        with pytest.raises(ValueError, match="max_pending must be at least 1"):
            feed.subscribe(max_pending=bound)


class TestIterating:
    async def test_break_loses_nothing(self, feed: Feed) -> None:
        """After a break, iteration continues with the next event of the same update."""
        subscription = feed.subscribe()
        feed.show(agent("1", TALKING), agent("2", TALKING, queue="queue-2"))
        async for event in subscription:  # pragma: no branch  # it is left by break, which is the point
            assert event.extension == "1"
            break
        assert [event.extension for event in await feed.rest(subscription)] == ["2"]

    async def test_cancelling_loses_nothing(self, feed: Feed) -> None:
        subscription = feed.subscribe()
        waiting = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0)
        feed.show(agent("1", TALKING), agent("2", queue="queue-2"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert [event.extension for event in await feed.rest(subscription)] == ["1"]

    async def test_two_tasks_share_one_subscription(self, feed: Feed) -> None:
        """Each event goes to exactly one of two tasks, and neither hangs."""
        subscription = feed.subscribe()
        workers = [asyncio.ensure_future(anext(subscription)) for _ in range(2)]
        await asyncio.sleep(0)
        feed.show(agent("1", TALKING))
        async with asyncio.timeout(60):
            assert {(await worker).extension for worker in workers} == {"1", "2"}

    async def test_the_end_comes_after_all_that_was_pending(self, feed: Feed) -> None:
        subscription = feed.subscribe()
        feed.show(agent("1", TALKING), agent("2", queue="queue-2"))
        feed.fanout.end(None)
        assert [event.extension async for event in subscription] == ["1"]
        assert [event async for event in subscription] == []

    async def test_a_failure_comes_after_all_that_was_pending_and_every_time(self, feed: Feed) -> None:
        subscription = feed.subscribe()
        feed.tell(DOWN)
        feed.fanout.end(ERROR)
        assert await anext(subscription) == DOWN
        depths: set[int] = set()
        for _ in range(5):
            with pytest.raises(TransportError) as caught:
                await anext(subscription)
            depths.add(len(caught.traceback))
        assert len(depths) == 1, "the shared error's traceback grows"

    async def test_the_end_of_the_feed_wakes_a_waiting_consumer(self, feed: Feed) -> None:
        subscription = feed.subscribe()
        waiting = asyncio.ensure_future(anext(subscription, None))
        await asyncio.sleep(0)
        feed.fanout.end(None)
        async with asyncio.timeout(60):
            assert await waiting is None


class TestGarbage:
    @pytest.mark.parametrize("events", [[DOWN], []], ids=["of the feed", "of seats"])
    async def test_collecting_while_an_update_is_handed_out(self, feed: Feed, events: list[Event]) -> None:
        """Garbage collection may drop subscriptions during the delivery of an update."""

        class Collecting(Mailbox):
            def offer(self, update: Update | None, feed: FeedEvent | None) -> None:
                """Drop references, as garbage collection may do at any moment."""
                doomed.clear()
                super().offer(update, feed)

        doomed: list[Subscription[Event]] = []
        first = Collecting(ALL_SEATS, (), 64, feed=None, end=feed.fanout._end)
        feed.fanout._boxes[ALL_SEATS] = {(): {id(first): weakref.ref(first)}}
        doomed += [
            feed.subscribe(topic=topic)
            for topic in [(frozenset({"queue-1"}), None), (None, frozenset({"1"})), ALL_SEATS]
        ]
        feed.show(agent("1", TALKING), agent("2", queue="queue-2"), feed=events)
        assert len(first) == 1
        assert list(feed.fanout._boxes) == [ALL_SEATS]

    def test_collecting_while_a_stream_is_made(self) -> None:
        """A new subscription receives events even if its topic's last other one is collected at the same time."""
        thresholds = gc.get_threshold()
        gc.freeze()  # existing objects are not collected, which would take most of the time
        try:
            for allocations in range(1, 60):
                gc.disable()
                gc.collect()
                fanout = Fanout()
                cyclic: list[object] = [fanout.mailbox(ALL_SEATS, (), 4)]
                cyclic.append(cyclic)
                del cyclic
                gc.set_threshold(allocations, 1_000_000, 1_000_000)
                gc.enable()
                box = fanout.mailbox(ALL_SEATS, (), 4)
                gc.disable()
                assert box in fanout._at(ALL_SEATS, ())
        finally:
            gc.set_threshold(*thresholds)
            gc.enable()
            gc.unfreeze()


class TestClosing:
    async def test_close_ends_it_at_once(self, feed: Feed) -> None:
        with feed.subscribe() as subscription:
            feed.show(agent("1", TALKING), agent("2", TALKING, queue="queue-2"))
            await anext(subscription)
        feed.show(agent("1"))
        assert [event async for event in subscription] == []

    async def test_close_wakes_a_waiting_consumer(self, feed: Feed) -> None:
        updates = feed.updates()
        waiting = asyncio.ensure_future(anext(updates, None))
        await asyncio.sleep(0)
        updates.close()
        updates.close()
        async with asyncio.timeout(60):
            assert await waiting is None

    async def test_one_with_some_of_the_same_queues_goes_on(self, feed: Feed) -> None:
        kept = feed.subscribe(topic=(frozenset({"queue-1", "queue-2"}), None))
        feed.subscribe(topic=(frozenset({"queue-1", "queue-3"}), None)).close()
        feed.show(agent("1", TALKING), agent("2", queue="queue-2"))
        assert [event.key for event in await feed.rest(kept)] == [("queue-1", "1")]

    async def test_a_dropped_one_is_forgotten(self, feed: Feed) -> None:
        """A subscription without references costs no memory and no time."""
        kept = feed.subscribe()
        dropped = [feed.subscribe(topic=(frozenset({f"queue-{number}"}), None)) for number in range(100)]
        dropped += [feed.subscribe() for _ in range(100)]
        references = [weakref.ref(each) for each in dropped]
        dropped.clear()
        gc.collect()
        assert not any(reference() for reference in references)
        assert list(feed.fanout._boxes) == [ALL_SEATS]
        assert len(feed.fanout._boxes[ALL_SEATS]) == 1
        kept.close()
        assert not feed.fanout._boxes
