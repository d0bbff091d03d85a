"""`Feed`: what is known, and streams of what changes in it, whoever finds that out."""

from __future__ import annotations

import asyncio
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from types import TracebackType, UnionType
from typing import Any, ClassVar, Final, Protocol, Self, TypeVar, get_args, overload

from sipqueue_async._fanout import Fanout
from sipqueue_async._mailbox import ALL_SEATS, Mailbox, Topic, Types
from sipqueue_async._streams import Subscription, Updates
from sipqueue_async.events import Event, Update
from sipqueue_async.models import Snapshot

_log: Final = logging.getLogger("sipqueue_async")

E1 = TypeVar("E1", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)


class FeedHealth(Protocol):
    """How a feed goes, whoever looks: `WatcherHealth` and `sipqueue_async.redis.RedisFeedHealth` have more."""

    @property
    def up(self) -> bool | None:
        """Whether what is known is how things are; None before that is known."""
        ...

    @property
    def ended(self) -> bool:
        """Whether there will be nothing further."""
        ...

    @property
    def last_error(self) -> BaseException | None:
        """What was wrong last, also if all has been well since."""
        ...

    @property
    def last_good_at(self) -> datetime | None:
        """When the platform was last seen: the `observed_at` of its last good answer, as far as is known here."""
        ...


class Feed(ABC):
    """What a `StatusWatcher` and a `sipqueue_async.redis.RedisFeed` have in common: write programs for this.

    ``async with feed`` starts its one task; leaving stops it. ``async for event in feed`` is the stream of all events;
    what happens while nobody iterates waits there, coalescing.
    """

    _noun: ClassVar[str] = "feed"
    _what_is_missing: ClassVar[str] = "the status has not become known"

    def __init__(self) -> None:
        self._fanout = Fanout()
        self._stream: Subscription[Event] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        # Set once there is something to say to `ready`: the present status, or the end.
        self._settled = asyncio.Event()
        self._is_settled_well = False
        self._listeners: dict[object, Callable[[Any], object]] = {}

    # ---- what it offers ----------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def snapshot(self) -> Snapshot | None:
        """What is known; None before anything is."""

    @property
    @abstractmethod
    def health(self) -> FeedHealth:
        """How the feed goes."""

    @property
    def is_shared(self) -> bool:
        """Whether its streams have a part of the changes only, since others are given the rest of them.

        So it is with a `RedisFeed` that has a group: figures of all queues cannot be made of what it hands out.
        """
        return False

    async def ready(self, timeout: float | None = None) -> Snapshot:  # noqa: ASYNC109  # a name of the contract
        """Wait until the present status is known, and return the snapshot.

        Args:
            timeout: How many seconds to wait; None for ever.

        Raises:
            TimeoutError: It has not become known in that time.
            RuntimeError: The feed does not run, or was closed before.
            BaseException: Whatever ended the feed, if it failed.
        """
        self._check_started()
        try:
            async with asyncio.timeout(timeout):
                await self._settled.wait()
        except TimeoutError:
            last_error = self.health.last_error
            why = f"the last error: {last_error}" if last_error else "the source is silent"
            raise TimeoutError(f"{self._what_is_missing} within {timeout:g} s; {why}") from last_error
        self._fanout.check()
        if not self._is_settled_well:
            raise RuntimeError(f"the {self._noun} was closed before the status was known")
        assert self.snapshot is not None  # noqa: S101  # it is known from the moment that it is settled
        return self.snapshot

    def __aiter__(self) -> Subscription[Event]:
        """Return the one stream of all events. It begins when the feed is made, so that none is lost before."""
        self._check_started()
        if self._stream is None:
            self._stream = self.subscribe()
        return self._stream

    def updates(self, *, max_pending: int = 64) -> Updates:
        """Return a new stream of updates, from now on: one for each change of what is known.

        Args:
            max_pending: How many may wait to be taken, before they collapse into one.

        Raises:
            ValueError: `max_pending` is below 1.
        """
        return Updates(self._mailbox(ALL_SEATS, (), max_pending), self._fanout.forget)

    @overload
    def subscribe(
        self, *, queue: str | None = None, extension: str | None = None, max_pending: int = 64
    ) -> Subscription[Event]: ...
    @overload
    def subscribe(
        self,
        event_type: type[E1],
        /,
        *,
        queue: str | None = None,
        extension: str | None = None,
        max_pending: int = 64,
    ) -> Subscription[E1]: ...
    @overload
    def subscribe(
        self,
        event_type: type[E1],
        second: type[E2],
        /,
        *,
        queue: str | None = None,
        extension: str | None = None,
        max_pending: int = 64,
    ) -> Subscription[E1 | E2]: ...
    @overload
    def subscribe(
        self,
        event_type: type[E1],
        second: type[E2],
        third: type[E3],
        /,
        *,
        queue: str | None = None,
        extension: str | None = None,
        max_pending: int = 64,
    ) -> Subscription[E1 | E2 | E3]: ...
    @overload
    def subscribe(
        self,
        event_type: type[E1],
        second: type[E2],
        third: type[E3],
        fourth: type[E4],
        /,
        *,
        queue: str | None = None,
        extension: str | None = None,
        max_pending: int = 64,
    ) -> Subscription[E1 | E2 | E3 | E4]: ...
    @overload
    def subscribe(
        self,
        *event_types: type[Event] | UnionType,
        queue: str | None = None,
        extension: str | None = None,
        max_pending: int = 64,
    ) -> Subscription[Event]: ...
    def subscribe(
        self,
        *event_types: Any,
        queue: str | None = None,
        extension: str | None = None,
        max_pending: int = 64,
    ) -> Subscription[Any]:
        """Return a new stream of events, from now on; it may be made before the feed is started.

        Args:
            event_types: Only events of these classes, or unions of them; none means all. Type checkers know what comes
                of up to four classes; of more, and of unions, they take it to be any `Event`.
            queue: Only this queue's events, and the feed's, which concern every queue.
            extension: Only this extension's events, and the feed's.
            max_pending: How many updates may wait to be taken. When the consumer falls further behind, they collapse
                into the difference between what it last saw and what is known now.

        Raises:
            TypeError: One of the types is no event class.
            ValueError: `max_pending` is below 1.
        """
        for event_type in event_types:
            if any(it not in get_args(Event) for it in get_args(event_type) or [event_type]):
                raise TypeError(f"{event_type!r} is no event class of sipqueue_async")
        return Subscription(self._mailbox((queue, extension), event_types, max_pending), self._fanout.forget)

    def add_listener(self, callback: Callable[[FeedHealth], object]) -> Callable[[], None]:
        """Call a function with the new `health` after every poll or read; return a function that removes it.

        A watcher calls it after each poll, successful or failed; a reader of a relay when it has read something new,
        has found the relay unchanged (every few seconds), or cannot read.

        The function runs in the feed's task, when all streams have received what was found (`Updates.get_nowait`
        returns it), so it should be quick. Its exceptions are logged and change nothing else.
        """
        key = object()
        self._listeners[key] = callback

        def remove() -> None:
            self._listeners.pop(key, None)

        return remove

    def on_look(self, callback: Callable[[FeedHealth], object]) -> Callable[[], None]:
        """Do as `add_listener`: deprecated."""
        warnings.warn("on_look is deprecated; use add_listener", DeprecationWarning, stacklevel=2)
        return self.add_listener(callback)

    def _call_listeners(self) -> None:
        for callback in list(self._listeners.values()):
            try:
                callback(self.health)
            except Exception:  # noqa: BLE001  # the feed goes on whatever a listener does
                _log.exception("a listener of the %s failed", self._noun)

    def _mailbox(self, topic: Topic, types: Types, max_pending: int) -> Mailbox:
        return self._fanout.mailbox(topic, types, max_pending, self._when_asked())

    def _when_asked(self) -> Callable[[], None] | None:
        """Return what a new stream's consumer calls when it has dealt with all that it was given, if anything."""
        return None

    # ---- running -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError(f"a {self._noun} runs once: make a new one, with baseline=old.snapshot to go on")
        self._task = asyncio.create_task(self._run(), name=f"sipqueue_async {self._noun}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task = self._check_started()
        self._closing = True
        task.cancel()
        try:
            await asyncio.wait([task])
        finally:
            self._end(None)

    def _check_started(self) -> asyncio.Task[None]:
        if self._task is None:
            raise RuntimeError(f"the {self._noun} does not run: use it in 'async with'")
        return self._task

    @abstractmethod
    async def _work(self) -> None:
        """Find out what changes and `_publish` it, for ever; an exception is what ends the feed."""

    async def _run(self) -> None:
        try:
            await self._work()
        except asyncio.CancelledError:
            self._end(None if self._closing else RuntimeError(f"the {self._noun}'s task was cancelled from outside"))
            raise
        except BaseException as error:
            self._end(error)
            if not isinstance(error, Exception):
                raise

    def _settle(self) -> None:
        """Let `ready` return: the present status is known."""
        self._is_settled_well = True
        self._settled.set()

    def _publish(self, update: Update | None) -> None:
        if update is not None:
            self._fanout.publish(update)

    def _end(self, error: BaseException | None) -> bool:
        """Tell everyone who waits that no more will come; the first reason stands. Return whether it was this one."""
        if self._fanout.ended:
            return False
        if error is not None:
            _log.error("the %s ends: %s: %s", self._noun, type(error).__name__, error)
        self._fanout.end(error)
        self._settled.set()
        return True
