"""Hands updates to many consumers, each with a bounded mailbox in which updates coalesce when it falls behind."""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Generic, Self, TypeAlias, TypeVar, cast, get_args

import attrs

from sipqueue_async._diff import diff
from sipqueue_async.events import Event, FeedDown, FeedEvent, FeedUp, SeatEvent, Update
from sipqueue_async.models import SeatKey, Snapshot

E = TypeVar("E", bound=Event)

Topic: TypeAlias = tuple[str | None, str | None]
"""The queue and the extension that a consumer asked for; None for any."""

ALL_SEATS: Final[Topic] = (None, None)

Types: TypeAlias = tuple[type[Event], ...]
"""The event classes that a consumer asked for; none for all."""


@attrs.define(eq=False)
class _End:
    """Whether the watcher has ended, and why: shared by all of its mailboxes."""

    ended: bool = False
    error: BaseException | None = None

    def reason(self) -> BaseException:
        """Return what an iterator raises at the end."""
        if self.error is None:
            return StopAsyncIteration()
        # The same error is raised from every iterator; without this its traceback would grow with each.
        return self.error.with_traceback(None)


@attrs.define
class _Backlog:
    """What a consumer has fallen behind by: two snapshots stand for everything between them."""

    base: Snapshot | None
    newest: Snapshot | None
    sequence: int


class Mailbox:
    """The updates that one consumer has not taken yet: at most `max_pending`, then one that stands for them all."""

    def __init__(
        self,
        topic: Topic,
        types: Types,
        max_pending: int,
        *,
        feed: FeedEvent | None,
        end: _End,
        asked: Callable[[], None] | None = None,
    ) -> None:
        if max_pending < 1:
            raise ValueError(f"max_pending must be at least 1, not {max_pending!r}")
        self.topic = topic
        self.types = types
        self._max_pending = max_pending
        self._end = end
        self._asked = asked
        # Each with the last event about the feed before the next one, whether the consumer asked for those or not.
        self._pending: deque[tuple[Update, FeedEvent | None]] = deque()
        self._backlog: _Backlog | None = None
        self._feed = self._feed_seen = feed
        self._closed = False
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return 1 if self._backlog else len(self._pending)

    def __repr__(self) -> str:
        names = [it.__name__ for given in self.types for it in get_args(given) or [given]]
        queue, extension = self.topic
        asked = [", ".join(names) or "everything"]
        asked += [] if queue is None else [f"queue {queue}"]
        asked += [] if extension is None else [f"extension {extension}"]
        condition = ", closed" if self._closed else ", ended" if self._end.ended else ""
        return f"to {', '.join(asked)}, {len(self)} pending{condition}"

    def offer(self, update: Update | None, feed: FeedEvent | None) -> None:
        """Put in what this mailbox asked for of an update, if anything, and what the update tells about the feed."""
        if feed is not None:
            self._feed = feed
            if not self._is_wanted(feed):
                self._overlook(feed)
        if update is None:
            return
        if self._backlog:
            self._backlog.newest, self._backlog.sequence = update.snapshot, update.sequence
        elif len(self._pending) < self._max_pending:
            self._pending.append((update, self._feed))
        else:
            self._fall_behind(update)
        self._news.set()

    def _overlook(self, feed: FeedEvent) -> None:
        """Count what was not asked for as seen along with what it came after, whenever that is taken."""
        if self._pending:
            self._pending[-1] = (self._pending[-1][0], feed)
        elif not self._backlog:
            self._feed_seen = feed

    def _is_wanted(self, event: Event) -> bool:
        return not self.types or isinstance(event, self.types)

    def _fall_behind(self, update: Update) -> None:
        updates = [*(pending for pending, _ in self._pending), update]
        self._pending.clear()
        # Nothing was known before the first poll, and then no update has a snapshot to start from either.
        base = next((it.previous for it in updates if it.snapshot is not None), None)
        self._backlog = _Backlog(base, update.snapshot, update.sequence)

    def _caught_up(self, backlog: _Backlog) -> Update | None:
        """Return the one update that a backlog comes to, if anything is left of it."""
        events: list[Event] = [event for event in _between(backlog) if self._concerns(event) and self._is_wanted(event)]
        # The feed's ups and downs alternate, so what counts is whether its condition is another one than last seen.
        feed, was_down = self._feed, isinstance(self._feed_seen, FeedDown)
        if feed is not None and isinstance(feed, FeedDown) != was_down and self._is_wanted(feed):
            # It came up before what was seen since, and went down after it.
            events.insert(len(events) if isinstance(feed, FeedDown) else 0, feed)
        if not events:
            return None
        return Update(
            sequence=backlog.sequence,
            snapshot=backlog.newest,
            previous=backlog.base,
            events=tuple(events),
            coalesced=True,
        )

    def _concerns(self, event: SeatEvent) -> bool:
        queue, extension = self.topic
        return queue in {None, event.queue} and extension in {None, event.extension}

    def pop(self) -> Update | None:
        """Return the next update, or None if there is none, yet or any more."""
        if self._pending:
            update, self._feed_seen = self._pending.popleft()
            return update
        if self._backlog:
            caught_up = self._caught_up(self._backlog)
            self._backlog, self._feed_seen = None, self._feed
            return caught_up
        return None

    def get_nowait(self) -> Update | None:
        """Return the next update, or None if there is none yet.

        Raises:
            StopAsyncIteration: The mailbox was closed, or the watcher has ended and all was taken.
            BaseException: The watcher has failed with it, and all was taken.
        """
        update = self.pop()
        if update is None:
            if self._closed:
                raise StopAsyncIteration
            if self._end.ended:
                raise self._end.reason()
        return update

    async def news(self) -> None:
        """Wait until there may be something to take. Nothing is taken here, so being cancelled loses nothing."""
        self._news.clear()
        self.ask()
        await self._news.wait()

    def ask(self) -> None:
        """Say that the consumer has dealt with all that it was given, and wants more."""
        if self._asked is not None:
            self._asked()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._news.set()

    def close(self) -> None:
        """Take nothing more, and drop what is pending."""
        self._closed = True
        self._pending.clear()
        self._backlog = None
        self.wake()


def _between(backlog: _Backlog) -> tuple[SeatEvent, ...]:
    return () if backlog.newest is None else diff(backlog.base, backlog.newest)


class _Stream:
    """What subscriptions and streams of updates have in common: a mailbox, and being closed."""

    def __init__(self, mailbox: Mailbox, forget: Callable[[Mailbox], None]) -> None:
        self._mailbox = mailbox
        self._forget = forget

    @property
    def pending(self) -> int:
        """How many updates wait to be taken."""
        return len(self._mailbox)

    def close(self) -> None:
        """Stop receiving. Whoever iterates is done; what was pending is dropped. Dropping the object does the same."""
        self._mailbox.close()
        self._forget(self._mailbox)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._mailbox!r}>"


class Subscription(_Stream, AsyncIterator[E], Generic[E]):
    """The events that one consumer asked for, as an async iterator.

    Leaving an ``async for`` by ``break``, exception or cancellation loses nothing and leaves nothing running: iterate
    again to go on. It ends when it is closed or when the watcher is; if the watcher fails, its error is raised once all
    that happened before has been taken.
    """

    def __init__(self, mailbox: Mailbox, forget: Callable[[Mailbox], None]) -> None:
        super().__init__(mailbox, forget)
        self._events: deque[Event] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        while not self._events:
            update = self._mailbox.get_nowait()
            if update is None:
                await self._mailbox.news()
            else:
                self._events.extend(update.events)
                # Another task that waits at the same stream may have the rest.
                self._mailbox.wake()
        return cast("E", self._events.popleft())

    def close(self) -> None:
        """Stop receiving. Whoever iterates is done; what was pending is dropped. Dropping the object does the same."""
        self._events.clear()
        super().close()


class Updates(_Stream, AsyncIterator[Update]):
    """Every change of what a watcher knows, as an async iterator of `Update`; otherwise like a `Subscription`."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        while (update := self._mailbox.get_nowait()) is None:
            await self._mailbox.news()
        return update

    def get_nowait(self) -> Update | None:
        """Return the next update, or None if there is none yet.

        A stream of a group then requests more work, as waiting does.
        """
        update = self._mailbox.pop()
        if update is None:
            self._mailbox.ask()
        return update

    def take(self) -> Update | None:
        """Do as `get_nowait`: deprecated."""
        warnings.warn("Updates.take is deprecated; use Updates.get_nowait", DeprecationWarning, stacklevel=2)
        return self.get_nowait()


class Fanout:
    """Hands each update to the mailboxes that it concerns.

    Mailboxes are held weakly: a consumer that drops its iterator is gone, without having to say so. They are found by
    what they ask for, so that an event costs nothing to those who asked for other ones.
    """

    def __init__(self) -> None:
        self._end = _End()
        self._feed: FeedEvent | None = None
        self._boxes: dict[Topic, dict[Types, dict[int, weakref.ref[Mailbox]]]] = {}

    def mailbox(self, topic: Topic, types: Types, max_pending: int, asked: Callable[[], None] | None = None) -> Mailbox:
        """Return a new mailbox, which receives from now on.

        Args:
            topic: Which seats' events it is for.
            types: Which classes of events it is for.
            max_pending: How many updates it holds before they become one.
            asked: Called when its consumer has dealt with all that it was given, and waits for more.
        """
        box = Mailbox(topic, types, max_pending, feed=self._feed, end=self._end, asked=asked)
        number = id(box)
        reference = weakref.ref(box, lambda _: self._drop(topic, types, number))
        # The collector may run at any step, and take away what another box was the last in.
        while number not in self._boxes.get(topic, {}).get(types, {}):
            self._boxes.setdefault(topic, {}).setdefault(types, {})[number] = reference
        return box

    def forget(self, box: Mailbox) -> None:
        """Hand nothing more to a mailbox."""
        self._drop(box.topic, box.types, id(box))

    def _drop(self, topic: Topic, types: Types, number: int) -> None:
        by_types = self._boxes.get(topic, {})
        boxes = by_types.get(types, {})
        boxes.pop(number, None)
        if not boxes:
            by_types.pop(types, None)
        if not by_types:
            self._boxes.pop(topic, None)

    def _at(self, topic: Topic, types: Types) -> list[Mailbox]:
        # The collector may run at any step and drop boxes, or what was asked for with the last of them.
        boxes = [reference() for reference in list(self._boxes.get(topic, {}).get(types, {}).values())]
        return [box for box in boxes if box is not None]

    @property
    def has_listeners(self) -> bool:
        """Whether there is any mailbox."""
        return bool(self._boxes)

    @property
    def pending(self) -> int:
        """How many updates wait in all mailboxes together."""
        return sum(
            len(box) for topic, by_types in self._boxes.items() for it in by_types for box in self._at(topic, it)
        )

    def publish(self, update: Update) -> None:
        """Hand an update to everyone it concerns."""
        feed = next((it for it in update.events if isinstance(it, FeedDown | FeedUp)), None)
        self._feed = feed or self._feed
        for topic, events in self._by_topic(update).items():
            for types in list(self._boxes.get(topic, ())):
                wanted = tuple(event for event in events if isinstance(event, types)) if types else tuple(events)
                if wanted or feed:
                    part = _part(update, wanted)
                    for box in self._at(topic, types):
                        box.offer(part, feed)

    def _by_topic(self, update: Update) -> dict[Topic, Sequence[Event]]:
        """Return the events by the places that were asked for and are concerned."""
        narrower: dict[Topic, list[Event]] = {}
        for event in update.events if len(self._boxes) > (ALL_SEATS in self._boxes) else ():
            # Events of the feed concern everybody.
            for topic in list(self._boxes) if event.key is None else _topics(event.key):
                if topic in self._boxes:
                    narrower.setdefault(topic, []).append(event)
        return {**narrower, ALL_SEATS: update.events}

    @property
    def ended(self) -> bool:
        """Whether no more will come."""
        return self._end.ended

    def end(self, error: BaseException | None) -> None:
        """Let every iterator end once it has taken what is pending: with the error, or quietly."""
        self._end.ended = True
        self._end.error = error
        for topic, by_types in list(self._boxes.items()):
            for types in list(by_types):
                for box in self._at(topic, types):
                    box.wake()

    def check(self) -> None:
        """Raise what ended the watcher, if it failed."""
        if self._end.error is not None:
            raise self._end.reason()


def _topics(key: SeatKey) -> Iterable[Topic]:
    return (key.queue, None), (None, key.extension), (key.queue, key.extension)


def _part(update: Update, wanted: tuple[Event, ...]) -> Update | None:
    """Return what is wanted of an update, if anything."""
    if len(wanted) == len(update.events):
        return update
    return attrs.evolve(update, events=wanted) if wanted else None
