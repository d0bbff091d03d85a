"""`Mailbox`: the updates that wait for one consumer, which coalesce when it falls behind."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias, get_args

import attrs

from sipqueue_async._arguments import check_at_least
from sipqueue_async._diff import diff
from sipqueue_async.events import Event, FeedDown, FeedEvent, SeatEvent, Update
from sipqueue_async.models import Snapshot

Names: TypeAlias = frozenset[str] | None

Topic: TypeAlias = tuple[Names, Names]
"""The queues and the extensions that a consumer asked for; None for all."""

ALL_SEATS: Final[Topic] = (None, None)

Types: TypeAlias = tuple[type[Event], ...]
"""The event classes that a consumer asked for; empty for all."""


@attrs.define(eq=False)
class End:
    """Whether the feed has ended, and why; shared by all of its mailboxes."""

    ended: bool = False
    error: BaseException | None = None

    def reason(self) -> BaseException:
        """Return what an iterator raises at the end."""
        if self.error is None:
            return StopAsyncIteration()
        # Every iterator raises the same error object, and each would add to its traceback.
        return self.error.with_traceback(None)


@attrs.define
class _Backlog:
    """The updates that a slow consumer has missed, as the snapshots before and after them."""

    base: Snapshot | None
    newest: Snapshot | None
    sequence: int


class Mailbox:
    """The updates that wait for one consumer: at most `max_pending`; beyond that they coalesce into one."""

    def __init__(
        self,
        topic: Topic,
        types: Types,
        max_pending: int,
        *,
        feed: FeedEvent | None,
        end: End,
        asked: Callable[[], None] | None = None,
    ) -> None:
        check_at_least("max_pending", max_pending, 1, "update")
        self.topic = topic
        self.types = types
        self._max_pending = max_pending
        self._end = end
        self._asked = asked
        # Each update with the last feed event before the next update, even if the consumer asked for no feed events.
        self._pending: deque[tuple[Update, FeedEvent | None]] = deque()
        self._backlog: _Backlog | None = None
        self._feed = self._feed_seen = feed
        self._closed = False
        self._news = asyncio.Event()

    def __len__(self) -> int:
        return 1 if self._backlog else len(self._pending)

    def __repr__(self) -> str:
        names = [it.__name__ for given in self.types for it in get_args(given) or [given]]
        asked = [", ".join(names) or "everything"]
        for noun, wanted in zip(("queue", "extension"), self.topic, strict=True):
            asked += [] if wanted is None else [f"{noun} {' or '.join(sorted(wanted))}"]
        condition = ", closed" if self._closed else ", ended" if self._end.ended else ""
        return f"to {', '.join(asked)}, {len(self)} pending{condition}"

    def offer(self, update: Update | None, feed: FeedEvent | None) -> None:
        """Add the part of an update that this mailbox asked for, if any, and record the update's feed event, if any."""
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
        """Count an unwanted feed event as seen when the update before it is taken."""
        if self._pending:
            self._pending[-1] = (self._pending[-1][0], feed)
        elif not self._backlog:
            self._feed_seen = feed

    def _is_wanted(self, event: Event) -> bool:
        return not self.types or isinstance(event, self.types)

    def _fall_behind(self, update: Update) -> None:
        updates = [*(pending for pending, _ in self._pending), update]
        self._pending.clear()
        # Updates from before the first good poll have no snapshot to start from.
        base = next((it.previous for it in updates if it.snapshot is not None), None)
        self._backlog = _Backlog(base, update.snapshot, update.sequence)

    def _caught_up(self, backlog: _Backlog) -> Update | None:
        """Return the one update that a backlog coalesces to, or None if no wanted event remains."""
        events: list[Event] = [event for event in _between(backlog) if self._concerns(event) and self._is_wanted(event)]
        # FeedUp and FeedDown alternate: report the last one only if the consumer last saw the other one.
        feed, was_down = self._feed, isinstance(self._feed_seen, FeedDown)
        if feed is not None and isinstance(feed, FeedDown) != was_down and self._is_wanted(feed):
            # FeedUp comes before the other events, FeedDown after them.
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
        queues, extensions = self.topic
        return (queues is None or event.queue in queues) and (extensions is None or event.extension in extensions)

    def pop(self) -> Update | None:
        """Return the next update, or None if none is pending."""
        if self._pending:
            update, self._feed_seen = self._pending.popleft()
            return update
        if self._backlog:
            caught_up = self._caught_up(self._backlog)
            self._backlog, self._feed_seen = None, self._feed
            return caught_up
        return None

    def get_nowait(self) -> Update | None:
        """Return the next update, or None if none is pending.

        Raises:
            StopAsyncIteration: The mailbox is closed, or the feed has ended and no update is pending.
            BaseException: The error that ended the feed, once no update is pending.
        """
        update = self.pop()
        if update is None:
            if self._closed:
                raise StopAsyncIteration
            if self._end.ended:
                raise self._end.reason()
        return update

    async def news(self) -> None:
        """Wait until there may be an update. It is not removed here, so a cancellation loses nothing."""
        self._news.clear()
        self.ask()
        await self._news.wait()

    def ask(self) -> None:
        """Report that the consumer has processed all that it received, and wants more."""
        if self._asked is not None:
            self._asked()

    def wake(self) -> None:
        """Wake the waiting tasks to check again."""
        self._news.set()

    def close(self) -> None:
        """Accept no more updates, and drop the pending ones."""
        self._closed = True
        self._pending.clear()
        self._backlog = None
        self.wake()


def _between(backlog: _Backlog) -> tuple[SeatEvent, ...]:
    return () if backlog.newest is None else diff(backlog.base, backlog.newest)
