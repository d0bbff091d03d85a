"""`Fanout`: hands each update to the consumers that it concerns."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence

import attrs

from sipqueue_async._mailbox import ALL_SEATS, End, Mailbox, Topic, Types
from sipqueue_async.events import Event, FeedDown, FeedEvent, FeedUp, Update
from sipqueue_async.models import SeatKey


class Fanout:
    """Hands each update to the mailboxes that it concerns.

    Mailboxes are held by weak references: a consumer unsubscribes by dropping its iterator. They are indexed by topic
    and event types, so that an event costs nothing for the consumers of other events.
    """

    def __init__(self) -> None:
        self._end = End()
        self._feed: FeedEvent | None = None
        self._boxes: dict[Topic, dict[Types, dict[int, weakref.ref[Mailbox]]]] = {}
        # Topics of several names, by each of their queues, or by each of their extensions if they are of all queues.
        self._several: dict[tuple[str, str], dict[Topic, None]] = {}

    def mailbox(self, topic: Topic, types: Types, max_pending: int, asked: Callable[[], None] | None = None) -> Mailbox:
        """Return a new mailbox, which receives updates from now on.

        Args:
            topic: The seats whose events it receives.
            types: The event classes that it receives; empty for all.
            max_pending: How many updates it holds before they coalesce.
            asked: Called when its consumer has processed all that it received, and waits for more.
        """
        box = Mailbox(topic, types, max_pending, feed=self._feed, end=self._end, asked=asked)
        number = id(box)
        reference = weakref.ref(box, lambda _: self._drop(topic, types, number))
        # Garbage collection may run at any step, and remove a dict that has lost its last other mailbox: try again.
        while number not in self._boxes.get(topic, {}).get(types, {}):
            self._boxes.setdefault(topic, {}).setdefault(types, {})[number] = reference
            for name in _index_names(topic):  # pragma: no branch  # to another try, which cannot be provoked
                self._several.setdefault(name, {})[topic] = None
        return box

    def forget(self, box: Mailbox) -> None:
        """Stop delivering to a mailbox."""
        self._drop(box.topic, box.types, id(box))

    def _drop(self, topic: Topic, types: Types, number: int) -> None:
        by_types = self._boxes.get(topic, {})
        boxes = by_types.get(types, {})
        boxes.pop(number, None)
        if not boxes:
            by_types.pop(types, None)
        if not by_types and self._boxes.pop(topic, None) is not None:
            for name in _index_names(topic):
                topics = self._several.get(name, {})
                topics.pop(topic, None)
                if not topics:
                    self._several.pop(name, None)

    def _at(self, topic: Topic, types: Types) -> list[Mailbox]:
        # Garbage collection may run at any step, and remove mailboxes and the dicts that they leave empty.
        boxes = [reference() for reference in list(self._boxes.get(topic, {}).get(types, {}).values())]
        return [box for box in boxes if box is not None]

    @property
    def has_listeners(self) -> bool:
        """Whether there is any mailbox."""
        return bool(self._boxes)

    @property
    def pending(self) -> int:
        """The number of pending updates in all mailboxes."""
        return sum(
            len(box) for topic, by_types in self._boxes.items() for it in by_types for box in self._at(topic, it)
        )

    def publish(self, update: Update) -> None:
        """Deliver an update to each mailbox that it concerns."""
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
        """Return the events of each topic that has mailboxes, and all events under `ALL_SEATS`."""
        narrower: dict[Topic, list[Event]] = {}
        for event in update.events if len(self._boxes) > (ALL_SEATS in self._boxes) else ():
            # Feed events concern every topic.
            for topic in list(self._boxes) if event.key is None else self._topics(event.key):
                if topic in self._boxes:
                    narrower.setdefault(topic, []).append(event)
        return {**narrower, ALL_SEATS: update.events}

    def _topics(self, key: SeatKey) -> Iterator[Topic]:
        """Return the topics that a seat belongs to, except `ALL_SEATS`, without a search through the other topics."""
        queue, extension = frozenset((key.queue,)), frozenset((key.extension,))
        yield from ((queue, None), (None, extension), (queue, extension))
        if self._several:
            for name in (("queue", key.queue), ("extension", key.extension)):
                for queues, extensions in list(self._several.get(name, ())):
                    if extensions is None or key.extension in extensions:
                        yield queues, extensions

    @property
    def ended(self) -> bool:
        """Whether the feed has ended."""
        return self._end.ended

    def end(self, error: BaseException | None) -> None:
        """End every iterator once its pending updates are taken: with the error, if there is one."""
        self._end.ended = True
        self._end.error = error
        for topic, by_types in list(self._boxes.items()):
            for types in list(by_types):
                for box in self._at(topic, types):
                    box.wake()

    def check(self) -> None:
        """Raise the error that ended the feed, if it failed."""
        if self._end.error is not None:
            raise self._end.reason()


def _index_names(topic: Topic) -> list[tuple[str, str]]:
    """Return the names under which a topic of several names is indexed; others are looked up themselves."""
    if all(names is None or len(names) == 1 for names in topic):
        return []
    queues, extensions = topic
    if queues is not None:
        return [("queue", queue) for queue in queues]
    return [("extension", extension) for extension in extensions or ()]


def _part(update: Update, wanted: tuple[Event, ...]) -> Update | None:
    """Return an update with only the wanted events, or None without any."""
    if len(wanted) == len(update.events):
        return update
    return attrs.evolve(update, events=wanted) if wanted else None
