"""From one watcher to many consumers: each has its own bounded mailbox, in which what it is slow to take coalesces."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import Final, Generic, Self, TypeAlias, TypeVar, cast

import attrs

from sipqueue_async._diff import diff
from sipqueue_async.events import Event, FeedDown, FeedEvent, FeedUp, Update
from sipqueue_async.models import Snapshot

E = TypeVar("E", bound=Event)

Place: TypeAlias = tuple[str | None, str | None]
"""The queue and the extension that a consumer asked for; None for any."""

EVERYWHERE: Final[Place] = (None, None)


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


class Mailbox:
    """The updates that one consumer has not taken yet: at most `max_pending`, then one that stands for them all."""

    def __init__(self, place: Place, types: tuple[type[Event], ...], max_pending: int, end: _End) -> None:
        if max_pending < 1:
            raise ValueError(f"max_pending must be at least 1, not {max_pending!r}")
        self.place = place
        self._types = types
        self._max_pending = max_pending
        self._end = end
        self._pending: deque[Update] = deque()
        self._closed = False
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pending)

    def wants(self, event: Event) -> bool:
        """Tell whether the consumer asked for such an event; those of the feed concern every place."""
        if self._types and not isinstance(event, self._types):
            return False
        queue, extension = self.place
        return event.key is None or (queue in {None, event.queue} and extension in {None, event.extension})

    def offer(self, update: Update, events: Iterable[Event]) -> None:
        """Put in an update, of which `events` are what concerns this mailbox's place; others do not count."""
        wanted = tuple(event for event in events if not self._types or isinstance(event, self._types))
        if not wanted:
            return
        if wanted != update.events:
            update = attrs.evolve(update, events=wanted)
        self._pending.append(update)
        if len(self._pending) > self._max_pending:
            self._coalesce()
        self._news.set()

    def _coalesce(self) -> None:
        pending = tuple(self._pending)
        self._pending.clear()
        # Nothing was known before the first poll, and then no update has a snapshot to start from either.
        base = next((update.previous for update in pending if update.snapshot is not None), None)
        newest = pending[-1].snapshot
        events = [event for event in _between(base, newest) if self.wants(event)]
        feed = _net_feed_event(event for update in pending for event in update.events)
        if isinstance(feed, FeedUp):
            events.insert(0, feed)
        elif feed is not None:
            events.append(feed)
        if events:
            self._pending.append(
                Update(
                    sequence=pending[-1].sequence,
                    snapshot=newest,
                    previous=base,
                    events=tuple(events),
                    coalesced=True,
                )
            )

    def take(self) -> Update | None:
        """Return the next update, or None if there is none yet.

        Raises:
            StopAsyncIteration: The mailbox was closed, or the watcher has ended and all was taken.
            BaseException: The watcher has failed with it, and all was taken.
        """
        if self._pending:
            return self._pending.popleft()
        if self._closed:
            raise StopAsyncIteration
        if self._end.ended:
            raise self._end.reason()
        return None

    async def news(self) -> None:
        """Wait until there may be something to take. Nothing is taken here, so being cancelled loses nothing."""
        self._news.clear()
        await self._news.wait()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._news.set()

    def close(self) -> None:
        """Take nothing more, and drop what is pending."""
        self._closed = True
        self._pending.clear()
        self.wake()


def _between(base: Snapshot | None, newest: Snapshot | None) -> tuple[Event, ...]:
    return () if newest is None else diff(base, newest)


def _net_feed_event(events: Iterable[Event]) -> FeedEvent | None:
    """Return what is left of the feed's ups and downs, which alternate: the last one, or nothing if they cancel out."""
    ups_and_downs = [event for event in events if isinstance(event, FeedDown | FeedUp)]
    return ups_and_downs[-1] if len(ups_and_downs) % 2 else None


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
            update = self._mailbox.take()
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
        while (update := self._mailbox.take()) is None:
            await self._mailbox.news()
        return update


class Fanout:
    """Hands each update to the mailboxes that it concerns.

    Mailboxes are held weakly: a consumer that drops its iterator is gone, without having to say so. They are found by
    the queue and extension they ask for, so that an event costs nothing to those who asked for other ones.
    """

    def __init__(self) -> None:
        self._end = _End()
        self._boxes: dict[Place, dict[int, weakref.ref[Mailbox]]] = {}

    def mailbox(self, place: Place, types: tuple[type[Event], ...], max_pending: int) -> Mailbox:
        """Return a new mailbox, which receives from now on."""
        box = Mailbox(place, types, max_pending, self._end)
        number = id(box)
        self._boxes.setdefault(place, {})[number] = weakref.ref(box, lambda _: self._drop(place, number))
        return box

    def forget(self, box: Mailbox) -> None:
        """Hand nothing more to a mailbox."""
        self._drop(box.place, id(box))

    def _drop(self, place: Place, number: int) -> None:
        boxes = self._boxes.get(place)
        if boxes is not None:
            boxes.pop(number, None)
            if not boxes:
                del self._boxes[place]

    def _at(self, place: Place) -> list[Mailbox]:
        boxes = (reference() for reference in self._boxes[place].values())
        return [box for box in boxes if box is not None]

    def publish(self, update: Update) -> None:
        """Hand an update to everyone it concerns."""
        for place, events in self._by_place(update).items():
            for box in self._at(place):
                box.offer(update, events)

    def _by_place(self, update: Update) -> dict[Place, list[Event]]:
        """Return the events by the places that were asked for and are concerned."""
        found: dict[Place, list[Event]] = {}
        for event in update.events:
            for place in self._places(event):
                if place in self._boxes:
                    found.setdefault(place, []).append(event)
        return found

    def _places(self, event: Event) -> Iterator[Place]:
        if event.key is None:
            yield from self._boxes
        else:
            yield EVERYWHERE
            yield event.queue, None
            yield None, event.extension
            yield event.queue, event.extension

    @property
    def ended(self) -> bool:
        """Whether no more will come."""
        return self._end.ended

    def end(self, error: BaseException | None) -> None:
        """Let every iterator end once it has taken what is pending: with the error, or quietly."""
        self._end.ended = True
        self._end.error = error
        for place in self._boxes:
            for box in self._at(place):
                box.wake()

    def check(self) -> None:
        """Raise what ended the watcher, if it failed."""
        if self._end.error is not None:
            raise self._end.reason()
