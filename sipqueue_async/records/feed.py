"""`CallFeed`: the records of finished calls, each once."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, Self, runtime_checkable

import attrs

from sipqueue_async import CallRecord, Feed, SipQueueError, StatusWatcher
from sipqueue_async._arguments import check_above_zero
from sipqueue_async._backoff import backoff
from sipqueue_async.records.cursor import CallCursor
from sipqueue_async.records.seats import Answers

_log: Final = logging.getLogger("sipqueue_async")

_AHEAD: Final = timedelta(days=2)
"""The end of the range: later than the server's local time in every zone."""
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""How far the server's clock may be ahead of this machine's, if the server's zone is known."""
_READ_EARLY: Final = timedelta(hours=1)
"""How much too early a time is read of the hour that comes twice when the clocks are set back."""
_LONGEST_PAUSE: Final = 300.0


@runtime_checkable
class CallSource(Protocol):
    """Where the records come from: a `SipQueueClient`."""

    def fetch_calls(self, since: datetime, until: datetime) -> AsyncIterator[CallRecord]:
        """Return the records of calls that were dialled in a range of time."""
        ...


@attrs.frozen
class FollowedCall:
    """A finished call, and its queue."""

    record: CallRecord
    """The call's record."""
    queue: str | None = None
    """The queue that it came from. None if it came from none, or if the status does not tell it for certain."""


@attrs.frozen(kw_only=True)
class CallFeedHealth:
    """Totals of a feed since it was made."""

    looks: int = 0
    """How often the records were asked for, successfully or not."""
    failures: int = 0
    """How often that failed."""
    failures_in_a_row: int = 0
    """Consecutive failures since the last success."""
    last_error: BaseException | None = None
    """The error of the last failure, even if it has succeeded since."""


class CallFeed:
    """Gives each record of a finished call once: ``async for call in feed``.

    It asks for the records while the loop waits, so it has no task and nothing to close. Errors that are `retryable`
    are retried for ever, at growing intervals; any other one is raised, and iterating again asks again. Only one task
    may iterate.

    A call's record appears at its end, and the platform finds it by its beginning. So each look reads the records of
    the calls that began up to `overlap` before the newest known one, and drops those that were given already, by their
    `id`. A call is missed if it takes longer than `overlap` less `interval`.

    `cursor` covers the records that were given. Save it after handling a call, and start the next feed from it. If the
    program saves what it does and the cursor together, each call is handled exactly once.

    Args:
        source: A `SipQueueClient`, or anything else with its `fetch_calls`.
        start: The earliest time of dialling, as for `fetch_calls`, or the cursor of an earlier feed.
        status: The feed of the seats' status, from the same platform and time zone, which tells the queues. Start it
            before the iteration.
        interval: Seconds between two looks.
        overlap: How long a call can take from its beginning to its record.
        recent: The same for the looks between, that `look` causes: they read less.
        min_interval: The least seconds between two looks.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument is invalid.
    """

    def __init__(
        self,
        source: CallSource,
        start: datetime | CallCursor,
        *,
        status: Feed | None = None,
        interval: float = 60.0,
        overlap: timedelta = timedelta(hours=2),
        recent: timedelta = timedelta(minutes=15),
        min_interval: float = 1.0,
    ) -> None:
        if not isinstance(source, CallSource):
            raise TypeError(f"source must be a SipQueueClient, not {type(source).__name__}")
        check_above_zero("interval", interval, "seconds")
        check_above_zero("min_interval", min_interval, "seconds")
        if not timedelta(0) < recent <= overlap:
            raise ValueError(f"recent ({recent}) must be above 0 and at most overlap ({overlap})")
        cursor = start if isinstance(start, CallCursor) else CallCursor(since=start)
        self._source = source
        self._since = cursor.since
        # Local times without a zone are compared as they are.
        self._read_early = timedelta(0) if cursor.since.tzinfo is None else _READ_EARLY
        self._newest = self._next_newest = cursor.newest
        self._known = dict(cursor.known)
        self._answers = Answers(cursor.answers)
        self._interval = interval
        self._overlap = overlap
        self._recent = recent
        self._min_interval = min_interval
        self._pending: deque[CallRecord] = deque()
        self._asked = asyncio.Event()
        self._looked_at = self._whole_due = -math.inf
        self._health = CallFeedHealth()
        self._status = status
        if status is not None:
            status.add_listener(self._note_status)

    @property
    def cursor(self) -> CallCursor:
        """How far the feed has come: it covers every record that was given, and no other."""
        return CallCursor(
            since=self._since, newest=self._newest, known=dict(self._known), answers=self._answers.saved()
        )

    @property
    def pending(self) -> int:
        """How many records were found and not given yet: the iteration gives these without waiting."""
        return len(self._pending)

    @property
    def health(self) -> CallFeedHealth:
        """How often the records were asked for."""
        return self._health

    def look(self) -> None:
        """Ask for new records at once, such as after a push: ``PushReceiver(watcher, on_record=feed.look)``."""
        self._asked.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FollowedCall:
        """Return the next record, in no certain order.

        Raises:
            SipQueueError: No good answer, and asking again cannot help.
        """
        while not self._pending:
            await self._pause()
            await self._look()
        record = self._pending.popleft()
        self._known[record.id] = record.started_at
        self._settle()
        return FollowedCall(record, self._answers.queue(record))

    def __repr__(self) -> str:
        return f"<CallFeed, {self._health.looks} looks, up to {self._newest or self._since}>"

    # ---- looking -----------------------------------------------------------------------------------------------------

    async def _pause(self) -> None:
        """Wait until the next look is due."""
        loop = asyncio.get_running_loop()
        failures = self._health.failures_in_a_row
        if failures:
            pause = backoff(failures, 2 * self._min_interval, _LONGEST_PAUSE)
            await asyncio.sleep(self._looked_at + pause - loop.time())
            return
        await asyncio.sleep(self._looked_at + self._min_interval - loop.time())
        timer = loop.call_at(max(loop.time(), self._whole_due), self._asked.set)
        try:
            await self._asked.wait()
        finally:
            timer.cancel()

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._asked.clear()
        self._looked_at = now
        is_whole = now >= self._whole_due
        found: dict[str, CallRecord] = {}
        try:
            await self._read(self._overlap if is_whole else self._recent, found)
        except Exception as error:
            self._count(error)
            if not isinstance(error, SipQueueError) or not error.retryable:
                raise
            _log.warning("the call records could not be read: %s", error)
        else:
            self._count(None)
        await self._find_queues(list(found.values()))
        # Nothing of a look that is cancelled up to here counts: the next one finds its records again.
        self._pending += found.values()
        if not self._health.failures_in_a_row:
            if is_whole:
                self._whole_due = now + self._interval
            # The pages of a look that failed may lack records that are older than those it found.
            self._next_newest = self._newest_of(found)
        self._settle()

    async def _read(self, window: timedelta, found: dict[str, CallRecord]) -> None:
        """Add the new records of the last calls, by id; those found before an error are good."""
        since = self._since if self._newest is None else max(self._since, self._newest - window)
        # A server that ignores the range would give records again whose ids are forgotten.
        earliest = max(self._since, since - self._read_early)
        async for record in self._source.fetch_calls(since, self._until):
            if record.id not in self._known and record.started_at >= earliest:
                found.setdefault(record.id, record)

    def _newest_of(self, found: Mapping[str, CallRecord]) -> datetime | None:
        """Return the latest time of dialling of all records so far."""
        times = [*self._known.values(), *(record.started_at for record in found.values())]
        # A time in the future is an error of the server's clock, and would hide every later call.
        ahead = _AHEAD if self._since.tzinfo is None else _CLOCKS_DIFFER
        latest = self._until - _AHEAD + ahead
        return max((moment for moment in times if moment <= latest), default=self._newest)

    @property
    def _until(self) -> datetime:
        return max(self._newest or self._since, datetime.now(self._since.tzinfo)) + _AHEAD

    def _settle(self) -> None:
        """Move the cursor's time on once every record up to there has been given, and forget old ids."""
        if self._pending or self._next_newest is None or self._next_newest == self._newest:
            return
        self._newest = self._next_newest
        oldest = self._newest - self._overlap - self._read_early
        self._known = {id_: moment for id_, moment in self._known.items() if moment >= oldest}

    def _count(self, error: BaseException | None) -> None:
        health = self._health
        self._health = attrs.evolve(
            health,
            looks=health.looks + 1,
            failures=health.failures + (error is not None),
            failures_in_a_row=0 if error is None else health.failures_in_a_row + 1,
            last_error=error or health.last_error,
        )

    # ---- queues ------------------------------------------------------------------------------------------------------

    def _note_status(self, _health: Any = None) -> None:
        if self._status is not None and self._status.snapshot is not None:
            self._answers.note(self._status.snapshot)

    async def _find_queues(self, records: list[CallRecord]) -> None:
        """Ask for the status if that could tell a call's queue: the record may be quicker than the next poll."""
        self._note_status()
        if not isinstance(self._status, StatusWatcher) or not any(map(self._answers.is_missing, records)):
            return
        try:
            await self._status.refresh(anew=True)
        except Exception:  # noqa: BLE001  # the watcher reports it to its consumers, and the queues stay unknown
            return
        self._note_status()
