"""`Feed`: the present snapshot and streams of its changes, from polling or from a relay."""

from __future__ import annotations

import asyncio
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType, UnionType
from typing import Any, ClassVar, Final, Protocol, Self, TypeVar, get_args, overload

from sipqueue_async._arguments import check_at_least
from sipqueue_async._fanout import Fanout
from sipqueue_async._mailbox import ALL_SEATS, Mailbox, Topic, Types
from sipqueue_async._seat_filter import SeatFilter
from sipqueue_async._state_times import StateSince, StateTimes
from sipqueue_async._streams import Subscription, Updates
from sipqueue_async.events import Event, Update
from sipqueue_async.models import SeatKey, Snapshot

_log: Final = logging.getLogger("sipqueue_async")

E1 = TypeVar("E1", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)


class FeedHealth(Protocol):
    """The condition of any feed; `WatcherHealth` and `sipqueue_async.redis.RedisFeedHealth` have more fields."""

    @property
    def up(self) -> bool | None:
        """Whether the snapshot is up to date; None before that is known."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the feed has ended."""
        ...

    @property
    def last_error(self) -> BaseException | None:
        """The last error, even if there were successes since."""
        ...

    @property
    def last_good_at(self) -> datetime | None:
        """The `observed_at` of the platform's last good answer, as far as this feed knows."""
        ...


class Feed(ABC):
    """The common base of `StatusWatcher` and `sipqueue_async.redis.RedisFeed`; a program for it works with both.

    ``async with feed`` starts its one task; leaving stops it. ``async for event in feed`` is the stream of all events;
    while no task iterates, updates wait there and coalesce.
    """

    _noun: ClassVar[str] = "feed"
    _what_is_missing: ClassVar[str] = "the status has not become known"

    def __init__(self) -> None:
        self._fanout = Fanout()
        self._stream: Subscription[Event] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        # Set when `ready` may return or raise: the status is known, or the feed has ended.
        self._settled = asyncio.Event()
        self._is_settled_well = False
        self._listeners: dict[object, Callable[[Any], object]] = {}
        self._state_times = StateTimes()

    # ---- public names -----------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def snapshot(self) -> Snapshot | None:
        """The present snapshot; None before the first."""

    @property
    @abstractmethod
    def health(self) -> FeedHealth:
        """The feed's condition."""

    @property
    def is_shared(self) -> bool:
        """Whether its streams carry only a part of the changes, because other consumers receive the rest.

        True for a `RedisFeed` with a group: its updates are not enough for figures of whole queues.
        """
        return False

    async def ready(self, timeout: float | None = None) -> Snapshot:  # noqa: ASYNC109  # a name of the contract
        """Wait until the present status is known, and return the snapshot.

        Args:
            timeout: How many seconds to wait; None waits for ever.

        Raises:
            TimeoutError: The status was not known in that time.
            RuntimeError: The feed is not running, or was closed first.
            BaseException: The error that ended the feed, if it failed.
        """
        self._check_started()
        _check_timeout(timeout)
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
        assert self.snapshot is not None  # noqa: S101  # `_settle` is called after the first snapshot only
        return self.snapshot

    def __aiter__(self) -> Subscription[Event]:
        """Return the one stream of all events. It begins when the feed is made, so that no event is lost before."""
        self._check_started()
        if self._stream is None:
            self._stream = self.subscribe()
        return self._stream

    def updates(self, *, max_pending: int = 64) -> Updates:
        """Return a new stream of the updates from now on; the feed need not be started yet.

        Args:
            max_pending: How many updates may be pending before they coalesce into one.

        Raises:
            ValueError: `max_pending` is below 1.
        """
        return Updates(self._mailbox(ALL_SEATS, (), max_pending), self._fanout.forget)

    @overload
    def subscribe(
        self,
        *,
        queue: str | None = None,
        extension: str | None = None,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        max_pending: int = 64,
    ) -> Subscription[Event]: ...
    @overload
    def subscribe(
        self,
        event_type: type[E1],
        /,
        *,
        queue: str | None = None,
        extension: str | None = None,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
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
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
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
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
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
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        max_pending: int = 64,
    ) -> Subscription[E1 | E2 | E3 | E4]: ...
    @overload
    def subscribe(
        self,
        *event_types: type[Event] | UnionType,
        queue: str | None = None,
        extension: str | None = None,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        max_pending: int = 64,
    ) -> Subscription[Event]: ...
    def subscribe(
        self,
        *event_types: Any,
        queue: str | None = None,
        extension: str | None = None,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        max_pending: int = 64,
    ) -> Subscription[Any]:
        """Return a new stream of the events from now on; the feed need not be started yet.

        Args:
            event_types: Only events of these classes, or unions of them; none means all. Type checkers infer
                the type of the events for up to four classes; for more, and for unions, it is `Event`.
            queue: Only this queue's events, and feed events, which concern every queue.
            extension: Only this extension's events, and feed events.
            queues: Only the events of these queues, and feed events.
            extensions: Only the events of these extensions, and feed events.
            max_pending: How many updates may be pending. When the consumer falls further behind, they coalesce into
                the difference between the snapshot that it saw last and the present one.

        Raises:
            TypeError: One of the types is not an event class.
            ValueError: `max_pending` is below 1; or there are no names or empty ones, or both `queue` and `queues`.
        """
        for event_type in event_types:
            if any(it not in get_args(Event) for it in get_args(event_type) or [event_type]):
                raise TypeError(f"{event_type!r} is not an event class of sipqueue_async")
        seats = SeatFilter(_one_or_several("queue", queue, queues), _one_or_several("extension", extension, extensions))
        topic = (seats.queues, seats.extensions)
        return Subscription(self._mailbox(topic, event_types, max_pending), self._fanout.forget)

    @overload
    async def wait_for(
        self,
        event_type: type[E1],
        /,
        *,
        queue: str | None = None,
        extension: str | None = None,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        where: Callable[[E1], bool] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> E1: ...
    @overload
    async def wait_for(
        self,
        event_type: type[E1],
        second: type[E2],
        /,
        *,
        queue: str | None = None,
        extension: str | None = None,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        where: Callable[[E1 | E2], bool] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> E1 | E2: ...
    @overload
    async def wait_for(
        self,
        *event_types: type[Event] | UnionType,
        queue: str | None = None,
        extension: str | None = None,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        where: Callable[[Event], bool] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Event: ...
    async def wait_for(
        self,
        *event_types: Any,
        queue: str | None = None,
        extension: str | None = None,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        where: Callable[[Any], bool] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # as of `ready`
    ) -> Any:
        """Wait for the next event of these classes and return it.

        Args:
            event_types: As for `subscribe`.
            queue: As for `subscribe`.
            extension: As for `subscribe`.
            queues: As for `subscribe`.
            extensions: As for `subscribe`.
            where: Only an event for which this function returns a true value.
            timeout: How many seconds to wait; None waits for ever.

        Raises:
            TimeoutError: No such event came in that time.
            RuntimeError: The feed is not running, or was closed first.
            TypeError: As for `subscribe`.
            ValueError: As for `subscribe`.
            BaseException: The error that ended the feed, if it failed.
        """
        self._check_started()
        _check_timeout(timeout)
        limit = asyncio.timeout(timeout)
        with self.subscribe(
            *event_types, queue=queue, extension=extension, queues=queues, extensions=extensions
        ) as events:
            try:
                async with limit:
                    async for event in events:
                        if where is None or where(event):
                            return event
            except TimeoutError:
                if not limit.expired():
                    raise
                wanted = ", ".join(getattr(it, "__name__", str(it)) for it in event_types) or "event"
                raise TimeoutError(f"no {wanted} came within {timeout:g} s") from None
        raise RuntimeError(f"the {self._noun} was closed before such an event came")

    def state_since(self, key: tuple[str, str]) -> StateSince:
        """Return when the present state of a seat began: the figure that `Tally`, `top` and the wallboard show.

        Args:
            key: The seat: a queue and an extension, such as an agent's `key`.

        Raises:
            KeyError: The present snapshot has no such seat.
        """
        known = self.snapshot
        if known is None or key not in known:
            raise KeyError(key)
        return self._state_times.of(SeatKey(*key), known.observed_at)

    def add_listener(self, callback: Callable[[FeedHealth], object]) -> Callable[[], None]:
        """Call a function with the new `health` after every poll or read; return a function that removes it.

        A watcher calls it after each poll, successful or failed; a reader of a relay when it has read something new,
        has found the relay unchanged (every few seconds), or cannot read.

        The function runs in the feed's task after all streams have received the update (`Updates.get_nowait` returns
        it), so it should be quick. Its exceptions are logged and otherwise ignored.
        """
        key = object()
        self._listeners[key] = callback

        def remove() -> None:
            self._listeners.pop(key, None)

        return remove

    def on_look(self, callback: Callable[[FeedHealth], object]) -> Callable[[], None]:
        """Deprecated alias of `add_listener`."""
        warnings.warn("on_look is deprecated; use add_listener", DeprecationWarning, stacklevel=2)
        return self.add_listener(callback)

    def _call_listeners(self) -> None:
        for callback in list(self._listeners.values()):
            try:
                callback(self.health)
            except Exception:  # noqa: BLE001  # a listener's error must not end the feed
                _log.exception("a listener of the %s failed", self._noun)

    def _mailbox(self, topic: Topic, types: Types, max_pending: int) -> Mailbox:
        return self._fanout.mailbox(topic, types, max_pending, self._when_asked())

    def _when_asked(self) -> Callable[[], None] | None:
        """Return a function to call when a new stream's consumer has processed all it received, if one is needed."""
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
            raise RuntimeError(f"the {self._noun} is not running: use it in 'async with'")
        return self._task

    @abstractmethod
    async def _work(self) -> None:
        """`_publish` what changes, for ever; an exception ends the feed."""

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

    def _note_states(self, update: Update | None) -> None:
        """Note which states a poll or a read shows to have begun, once `snapshot` and `health` are up to date."""
        known, health = self.snapshot, self.health
        if self._state_times.has_begun:
            self._state_times.fold(update)
        elif health.up and known is not None:
            self._state_times.begin(health.last_good_at or known.observed_at)

    def _publish(self, update: Update | None) -> None:
        if update is not None:
            self._fanout.publish(update)

    def _end(self, error: BaseException | None) -> bool:
        """End the feed and wake all waiting tasks; only the first call has an effect. Return whether this was it."""
        if self._fanout.ended:
            return False
        if error is not None:
            _log.error("the %s ends: %s: %s", self._noun, type(error).__name__, error)
        self._fanout.end(error)
        self._settled.set()
        return True


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None:
        check_at_least("timeout", timeout, 0, "second")


def _one_or_several(noun: str, one: str | None, several: Iterable[str] | None) -> Iterable[str] | None:
    if one is None:
        return several
    if several is not None:
        raise ValueError(f"give {noun} or {noun}s, not both")
    if not isinstance(one, str):
        raise ValueError(f"{noun} must be one name, not {one!r}; use {noun}s for several")  # noqa: TRY004  # as others
    return (one,)
