"""`StatusWatcher`: polls a source on schedule and publishes what changed."""

from __future__ import annotations

import asyncio
import logging
import math
import warnings
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeAlias, cast, runtime_checkable

import attrs

from sipqueue_async._arguments import check_above_zero, check_at_least
from sipqueue_async._refreshes import Refreshes
from sipqueue_async._schedule import Schedule, StaggerSlots, stagger_delay
from sipqueue_async._seat_filter import SeatFilter
from sipqueue_async._tracker import Tracker
from sipqueue_async.errors import HttpStatusError
from sipqueue_async.feed import Feed, FeedHealth
from sipqueue_async.models import AgentState, Snapshot

if TYPE_CHECKING:
    from sipqueue_async.client import SipQueueClient
    from sipqueue_async.settings import Settings

_log: Final = logging.getLogger("sipqueue_async")

_LONGEST_RETRY_AFTER: Final = 3600.0
_LONGEST_OVERRUN: Final = 1.0
"""Seconds for which a poll of one extension may go on after the next regular poll is due."""
_slots: Final = StaggerSlots()


@runtime_checkable
class FilteringSource(Protocol):
    """A source that can filter by queue and extension, as `SipQueueClient` does."""

    async def fetch_snapshot(
        self, *, queue: str | None = None, extension: str | None = None, state: AgentState | str | None = None
    ) -> Snapshot:
        """Return the present status."""
        ...


Source: TypeAlias = FilteringSource | Callable[[], Awaitable[Snapshot]]
"""Where a watcher's snapshots come from."""


@attrs.frozen(kw_only=True)
class WatcherHealth:
    """Polling statistics: totals since start, and timings of the last poll."""

    up: bool | None = None
    """Whether the last poll succeeded; None before the first has ended."""
    ended: bool = False
    """Whether there will be no further poll: the watcher was closed, or `last_error` is not retryable."""
    polls: int = 0
    """Completed polls of the whole status, successful or failed."""
    partial_polls: int = 0
    """Completed polls of single extensions, by `refresh_extensions`; the other counts and times leave them out."""
    failures: int = 0
    """Polls that failed."""
    failures_in_a_row: int = 0
    """Consecutive failures since the last success."""
    stale_polls: int = 0
    """Good answers that were dropped because their `server_time` was before the last one's."""
    held_back_answers: int = 0
    """Good answers that were held back because they are older than the snapshot: a back end lags. Those about single
    extensions count too."""
    held_back_records: int = 0
    """Records that were held back because they are older than those known of their seats, counted at every poll."""
    last_error: BaseException | None = None
    """The error of the last failed poll, even if polls have succeeded since."""
    last_good_at: datetime | None = None
    """The last good snapshot's `observed_at`."""
    last_duration: float | None = None
    """How long the last poll took, in seconds."""
    last_lateness: float | None = None
    """How long after its scheduled time the last poll began, in seconds."""


class StatusWatcher(Feed):
    """Polls a source at intervals and publishes what changed to any number of consumers.

    ``async with watcher`` starts its one polling task; leaving stops it. ``async for event in watcher`` is the stream
    of all events; while no task iterates, updates wait there and coalesce. A failed poll does not change the snapshot:
    errors that are `retryable` are retried for ever, at growing intervals; any other error ends the watcher and is
    raised from every iterator and from `ready`. An error with `wrong_url` is retried once there was a good answer, of
    this watcher or of the one that a baseline comes from; before that it ends the watcher.

    A watcher runs once. To continue after it has ended, make a new one with ``baseline=old.snapshot``.

    Args:
        source: A `SipQueueClient`, or any async function that returns a `Snapshot`.
        interval: Seconds from one poll's start to the next one's, on the event loop's clock; polls never overlap, and
            polls missed during a stall are skipped. If several watchers run in a process, each begins about 6 ms after
            the one before, so that they do not all poll at the same moment.
        queues: Watch only these queues. With exactly one, a client requests only that one.
        extensions: Watch only these extensions. With exactly one, a client requests only that one.
        baseline: The snapshot to compare the first poll with, to resume where an earlier watcher ended.
        initial: Without a baseline, whether the first poll yields an `AgentJoined` for every agent.
        leave_after: In how many consecutive good polls a seat must be absent before `AgentLeft`. Until then the
            watcher's snapshot keeps its last record.
        max_backoff: The longest pause after a failed poll, in seconds (or `interval`, if that is longer).
        max_lag: How many seconds one back end of the platform may lag behind another without an invented or lost call.
            A reset of counters that no call follows is reported with this delay.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is invalid.
    """

    _noun = "watcher"
    _what_is_missing = "no poll has worked"

    def __init__(
        self,
        source: Source,
        *,
        interval: float = 2.0,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        baseline: Snapshot | None = None,
        initial: bool = False,
        leave_after: int = 2,
        max_backoff: float = 60.0,
        max_lag: float = 60.0,
    ) -> None:
        check_above_zero("interval", interval)
        check_above_zero("max_backoff", max_backoff)
        check_at_least("leave_after", leave_after, 1, "poll")
        super().__init__()
        self._interval = interval
        self._max_backoff = max_backoff
        self._filter = SeatFilter(queues, extensions)
        self._fetch = _fetcher(source, self._filter)
        self._can_filter = isinstance(source, FilteringSource)
        if not isinstance(baseline, Snapshot | None):
            raise TypeError(f"baseline must be a Snapshot, not {baseline!r}")
        # Filter the baseline too, or its other seats would seem to have left.
        known = None if baseline is None else self._filter.apply(baseline)
        self._tracker = Tracker(known, initial=initial, leave_after=leave_after, max_lag=max_lag)
        self._max_lag = max_lag
        self._was_held_back = False
        self._has_been_good = known is not None
        if known is not None:
            self._state_times.begin(known.observed_at, watched=False)
        self._health = WatcherHealth()
        self._stream = self.subscribe()
        self._refreshes = Refreshes()
        # Until then poll the whole only, by the loop's clock: there was a sign of lag, or an unusable part.
        self._whole_until = -math.inf
        self._is_polling = False
        self._own_client: SipQueueClient | None = None

    @classmethod
    def from_env(
        cls,
        settings: Settings | None = None,
        *,
        interval: float = 2.0,
        queues: Iterable[str] | None = None,
        extensions: Iterable[str] | None = None,
        baseline: Snapshot | None = None,
        initial: bool = False,
        leave_after: int = 2,
        max_backoff: float = 60.0,
        max_lag: float = 60.0,
    ) -> Self:
        """Return a watcher with its own client, which it closes at the end: one ``async with`` covers both.

        Args:
            settings: Other settings than those of ``Settings.load()``, which describes the variables and the file.
            interval: As for the class.
            queues: As for the class.
            extensions: As for the class.
            baseline: As for the class.
            initial: As for the class.
            leave_after: As for the class.
            max_backoff: As for the class.
            max_lag: As for the class.

        Raises:
            SettingsError: A setting is missing or invalid; the text says which one, and where it comes from.
            TypeError: As for the class.
            ValueError: As for the class.
        """
        # Imported lazily: a watcher of another source must not load the HTTP client.
        from sipqueue_async.client import SipQueueClient  # noqa: PLC0415

        client = SipQueueClient.from_env(settings)
        watcher = cls(
            client,
            interval=interval,
            queues=queues,
            extensions=extensions,
            baseline=baseline,
            initial=initial,
            leave_after=leave_after,
            max_backoff=max_backoff,
            max_lag=max_lag,
        )
        watcher._own_client = client
        return watcher

    # ---- public names -----------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The last good snapshot; before the first, the baseline."""
        return self._tracker.snapshot

    @property
    def health(self) -> WatcherHealth:
        """Polling statistics."""
        return self._health

    async def refresh(self, *, anew: bool = False) -> Snapshot:
        """Poll now and return the snapshot; if a poll is under way, return the snapshot of that one.

        Args:
            anew: If a poll is under way, poll again after it: its answer may be older than this call.

        Raises:
            RuntimeError: The watcher is not running, or was closed meanwhile.
            BaseException: The error of the poll.
        """
        self._check_running()
        return await self._refreshes.wait(later=anew and self._is_polling)

    async def refresh_extensions(self, extensions: Iterable[str]) -> Snapshot:
        """Poll the seats of these extensions now, one extension after another, and return the snapshot of all seats.

        Every poll begins after this call. Each updates the seats of its extension, in all queues, and leaves the rest
        as it was: the other records, what is known of missing seats, the condition of the feed, and the times of the
        regular polls. No seat joins or leaves by it.

        The whole status is polled instead before the first good poll, while the feed is down, if the source cannot
        filter, and for `max_lag` after anything was held back or stale. It is also polled at once if such a poll fails,
        has no answer a second after the next regular poll is due, is held back, or shows other seats of the extension
        than the known ones. So an unknown extension costs a poll of the whole.

        Raises:
            RuntimeError: The watcher is not running, or was closed meanwhile.
            ValueError: There is no extension, or an empty one.
            BaseException: The error of the poll of the whole status.
        """
        wanted = SeatFilter(extensions=extensions).extensions or frozenset()
        self._check_running()
        await self._refreshes.wait_for_parts(wanted)
        return self._tracker.known

    @property
    def _whole_polls(self) -> int:
        return self._health.polls

    def _check_running(self) -> None:
        task = self._check_started()
        self._fanout.check()
        if task.done() or self._closing:
            raise RuntimeError("the watcher has ended: make a new one")

    def add_listener(self, callback: Callable[[WatcherHealth], object]) -> Callable[[], None]:
        """Call a function with the new `health` after every poll; return a function that removes it.

        It runs in the watcher's task after all streams have received the poll's update (`Updates.get_nowait` returns
        it), so it should be quick. Its exceptions are logged and otherwise ignored.
        """
        return super().add_listener(cast("Callable[[FeedHealth], object]", callback))

    def on_poll(self, callback: Callable[[WatcherHealth], object]) -> Callable[[], None]:
        """Deprecated alias of `add_listener`."""
        warnings.warn("on_poll is deprecated; use add_listener", DeprecationWarning, stacklevel=2)
        return self.add_listener(callback)

    def __repr__(self) -> str:
        condition = {None: "not polled yet", True: "up", False: "down"}[self._health.up]
        if self._health.ended:
            condition = f"ended, was {condition}"
        return f"<StatusWatcher every {self._interval:g} s, {condition}, {self._health.polls} polls>"

    # ---- running -----------------------------------------------------------------------------------------------------

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        finally:
            if self._own_client is not None:
                await self._own_client.aclose()

    async def _work(self) -> None:
        slot = _slots.acquire()
        try:
            await self._poll_for_ever(stagger_delay(slot, self._interval))
        finally:
            _slots.release(slot)

    def _end(self, error: BaseException | None) -> bool:
        is_the_end = super()._end(error)
        if is_the_end:
            self._health = attrs.evolve(self._health, ended=True)
            self._refreshes.end(error or RuntimeError("the watcher was closed"))
        return is_the_end

    async def _poll_for_ever(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        schedule = Schedule(due, interval=self._interval, max_backoff=self._max_backoff)
        while True:
            await self._refreshes.pause(due)
            began = loop.time()
            self._is_polling = True
            is_part = self._refreshes.wants_part and began < due and self._can_poll_parts(began)
            error = await (self._poll_part(due) if is_part else self._poll(lateness=max(0.0, began - due)))
            self._is_polling = False
            if self._closing:
                # The source suppressed CancelledError. It is tested, but Python 3.11 traces no line that runs after an
                # exception was thrown into a coroutine.
                return  # pragma: no cover
            if is_part:
                continue
            if error is None:
                due = schedule.after_success(began, loop.time())
            else:
                asked = error.retry_after if isinstance(error, HttpStatusError) else None
                at_least = min(asked or 0.0, _LONGEST_RETRY_AFTER)
                due = schedule.after_failure(loop.time(), self._tracker.failures, at_least)

    async def _poll(self, lateness: float) -> Exception | None:
        """Poll the whole status once and publish the result; return the error if it is retryable."""
        self._refreshes.want_whole()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcome: Snapshot | Exception = self._filtered(await self._fetched())
        except Exception as error:  # noqa: BLE001  # a fatal one is raised below, after it is published
            outcome = error
        now = loop.time()
        figures = {"polls": self._health.polls + 1, "last_duration": now - began, "last_lateness": lateness}
        if isinstance(outcome, Snapshot):
            self._took(outcome, now, figures)
            self._call_listeners()
            return None
        self._failed(outcome, now, figures)
        self._call_listeners()
        if not self._may_pass(outcome):
            raise outcome
        return outcome

    def _can_poll_parts(self, now: float) -> bool:
        return bool(self._health.up) and self._can_filter and now >= self._whole_until

    async def _poll_part(self, due: float) -> None:
        """Poll one extension and publish the result; if it is of no use, let the whole be polled at once.

        Args:
            due: When the next regular poll is due; this one is given up soon after.
        """
        extension, futures = self._refreshes.take_part()
        try:
            async with asyncio.timeout_at(due + _LONGEST_OVERRUN):
                part = self._filtered(await self._fetched(extension=extension))
        except Exception as error:  # noqa: BLE001  # only a poll of the whole tells whether the feed is down
            _log.debug("a poll of one extension failed: %s", error)
            part = None
        self._health = attrs.evolve(self._health, partial_polls=self._health.partial_polls + 1)
        if part is not None and self._took_part(part, extension):
            self._refreshes.answer_part(futures, self._tracker.known)
        else:
            self._poll_whole_for_a_while()
        self._call_listeners()

    def _took_part(self, part: Snapshot, extension: str) -> bool:
        """Publish an answer about one extension; return whether it was of use."""
        if not self._tracker.is_part_usable(part, extension):
            return False
        update = self._tracker.part_polled(part)
        figures = self._held_back()
        if self._tracker.is_held_back:
            self._health = attrs.evolve(self._health, **figures)
            return False
        self._health = attrs.evolve(self._health, last_good_at=part.observed_at, **figures)
        self._note_states(update)
        self._publish(update)
        return True

    def _poll_whole_for_a_while(self) -> None:
        self._whole_until = asyncio.get_running_loop().time() + self._max_lag

    def _held_back(self) -> dict[str, Any]:
        """Return how much was held back so far; if that has grown, poll the whole for a while."""
        figures = {
            "held_back_answers": self._tracker.answers_held_back,
            "held_back_records": self._tracker.records_held_back,
        }
        if any(getattr(self._health, name) != figure for name, figure in figures.items()):
            # One extension alone hardly shows that an answer is old.
            self._poll_whole_for_a_while()
        return figures

    def _may_pass(self, error: Exception) -> bool:
        """Return whether to poll again after an error."""
        if getattr(error, "wrong_url", False):
            return self._has_been_good
        return _is_retryable(error)

    async def _fetched(self, **part: str) -> object:
        try:
            return await self._fetch(**part)
        except StopAsyncIteration as error:
            # Raised from an iterator of events, it would look like a normal end.
            raise RuntimeError("the source has no more snapshots") from error

    def _filtered(self, polled: object) -> Snapshot:
        """Return the watched part of an answer."""
        if not isinstance(polled, Snapshot):
            raise TypeError(f"the source returned {polled!r}, not a Snapshot")
        return self._filter.apply(polled)

    def _took(self, polled: Snapshot, now: float, figures: dict[str, Any]) -> None:
        if self._tracker.is_stale(polled):
            # Callers of `refresh` go on waiting, so the next poll comes at once; the third stale answer is accepted.
            self._health = attrs.evolve(self._health, stale_polls=self._health.stale_polls + 1, **figures)
            self._poll_whole_for_a_while()
            return
        if not self._has_been_good:
            self._has_been_good = True
            for name in _absent(self._filter, polled):
                _log.warning("the first status has no %s; nothing is reported of it until it appears", name)
        failures = self._tracker.failures
        update = self._tracker.polled(polled, now)
        figures |= self._held_back()
        if self._tracker.is_held_back:
            if failures and not self._was_held_back:
                _log.warning(
                    "the platform answers again, but with older records than before; they are held back for up to %g s",
                    self._max_lag,
                )
            self._was_held_back = True
            self._health = attrs.evolve(self._health, **figures)
            # Return the known snapshot: another poll at once would not bring a newer one.
            self._refreshes.answer(self._tracker.known)
            return
        self._was_held_back = False
        self._health = attrs.evolve(
            self._health, up=True, failures_in_a_row=0, last_good_at=polled.observed_at, **figures
        )
        self._settle()
        self._note_states(update)
        if failures:
            _log.info("polling works again, after %d failures", failures)
        self._publish(update)
        self._refreshes.answer(self._tracker.known)

    def _failed(self, error: Exception, now: float, figures: dict[str, Any]) -> None:
        update = self._tracker.failed(error, now)
        self._health = attrs.evolve(
            self._health,
            up=False,
            failures=self._health.failures + 1,
            failures_in_a_row=self._tracker.failures,
            last_error=error,
            **figures,
        )
        _log.log(logging.DEBUG if update is None else logging.WARNING, "a poll failed: %s", error)
        self._note_states(update)
        self._publish(update)
        self._refreshes.refuse(error)


def _fetcher(source: Source, seats: SeatFilter) -> Callable[..., Awaitable[Snapshot]]:
    if isinstance(source, FilteringSource):
        return partial(source.fetch_snapshot, queue=seats.queue, extension=seats.extension)
    if callable(source):
        return source
    raise TypeError(f"source must be a SipQueueClient or an async function that returns a Snapshot, not {source!r}")


def _absent(seats: SeatFilter, status: Snapshot) -> list[str]:
    """Return the named queues and extensions that have no seat in a status."""
    queues = (seats.queues or frozenset()) - {key.queue for key in status}
    extensions = (seats.extensions or frozenset()) - {key.extension for key in status}
    return [f"queue {it!r}" for it in sorted(queues)] + [f"extension {it!r}" for it in sorted(extensions)]


def _is_retryable(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_retryable, error.exceptions))
    return bool(getattr(error, "retryable", False))
