"""`Recorder`: writes what a feed reports into a history."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import attrs

from sipqueue_async import Feed, FeedHealth, Update, Updates
from sipqueue_async._whole_feed import check_whole_feed
from sipqueue_async.history.batch import Batch, Writer
from sipqueue_async.history.errors import HistoryError
from sipqueue_async.history.figures import moment_of
from sipqueue_async.history.history import History, store_of
from sipqueue_async.history.past import read_past
from sipqueue_async.history.recording import raise_error, write_until_done
from sipqueue_async.history.transcript import Transcript, time_of

_log: Final = logging.getLogger("sipqueue_async")

_MOST_ROWS: Final = 5000
"""Rows after which a transaction is closed; an update is never split."""
_ROWS_AT_A_TIME: Final = 200
"""After so many rows, other tasks of the event loop run."""
_HEARTBEAT: Final = 60.0
"""While nothing changes, the time of the last good answer is written at this interval, in seconds."""
_LOOK: Final = 1.0
"""The interval at which the end of the feed is noticed, in seconds."""


@attrs.frozen(kw_only=True)
class RecorderHealth:
    """The condition of a recorder: totals since its start."""

    up: bool | None = None
    """Whether the last write worked; None before the first."""
    ended: bool = False
    """Whether it will write nothing more."""
    updates: int = 0
    """Recorded updates."""
    events: int = 0
    """Recorded rows: events, and the seats of the first known status."""
    coalesced: int = 0
    """Recorded updates that were merged from several: the database was slow or away."""
    failures_in_a_row: int = 0
    """Consecutive failed writes since the last success."""
    last_error: BaseException | None = None
    """The error of the last failed write, or the one that ended the recorder, even if there were successes since."""
    recorded_until: datetime | None = None
    """The last moment of which the status is in the database."""


class Recorder:
    """Records a feed into a history, from the moment that the block is entered until it is left.

    The feed never waits for the database. While the database is slow or away, writing is retried for ever, the feed's
    updates wait and, beyond `max_pending`, coalesce; the difference is recorded once the database is back. What is
    pending at the end is written for up to `close_timeout` seconds.

    Each update is recorded in one transaction. If the program is killed, the database has all updates up to some
    moment, and the next recorder continues from there. Give the feed ``await history.baseline()`` as its baseline.
    Without it the recorder compares the feed's first status with the recorded one itself.

    Example::

        async with History("sqlite:///day.db") as history:
            watcher = StatusWatcher(client, baseline=await history.baseline())
            async with Recorder(history, watcher) as recorder, watcher:
                await recorder.wait()

    Args:
        history: Where to write. Only one recorder may write a platform at a time.
        feed: A `StatusWatcher` or another feed, started or not.
        max_pending: How many updates may wait for the database before they coalesce into one.
        close_timeout: How many seconds the end of the block waits for the database.

    Raises:
        TypeError: The feed is not a feed.
        ValueError: The feed belongs to a group, so that it receives only a part of the changes; or `max_pending` is
            below 1.
    """

    def __init__(self, history: History, feed: Feed, *, max_pending: int = 1000, close_timeout: float = 10.0) -> None:
        check_whole_feed("feed", feed)
        self._store = store_of(history)
        self._history = history
        self._feed = feed
        self._close_timeout = close_timeout
        self._updates: Updates = feed.updates(max_pending=max_pending)
        self._held: Update | None = None
        """An update that waits for the next batch."""
        self._news = asyncio.Event()
        self._closing = False
        self._health = RecorderHealth()
        self._task: asyncio.Task[None] | None = None
        self._remove_listener: Callable[[], None] | None = None
        self._written_at = 0.0
        self._unwritten = 0
        """Updates that are rows of a batch."""

    @property
    def health(self) -> RecorderHealth:
        """The condition of the recorder."""
        return self._health

    @property
    def pending(self) -> int:
        """How many updates are not in the database yet."""
        return self._updates.pending + (self._held is not None) + self._unwritten

    def __repr__(self) -> str:
        condition = {None: "nothing written yet", True: "up", False: "down"}[self._health.up]
        return f"<Recorder to {self._history!r}, {condition}, {self._health.events} rows>"

    async def __aenter__(self) -> Self:
        """Read what is recorded already, and begin.

        Raises:
            HistoryError: The database cannot be read.
            RuntimeError: It was entered before.
        """
        if self._task is not None:
            raise RuntimeError("a recorder runs once: make a new one")
        past = await read_past(self._store)
        transcript = Transcript(self._store.platform_id, {key: it for it, key in self._store.seats.items()})
        if past is not None:
            transcript.resume(past)
        self._start(transcript)
        self._remove_listener = self._feed.add_listener(self._notice)
        self._task = asyncio.create_task(self._run(transcript), name="sipqueue_async recorder")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is pending, and end.

        Raises:
            HistoryError: The recorder could not continue, for example because another one writes.
        """
        task, remove = self._task, self._remove_listener
        assert task is not None  # noqa: S101  # the block was entered
        assert remove is not None  # noqa: S101
        remove()
        self._closing = True
        self._news.set()
        try:
            await asyncio.wait([task], timeout=self._close_timeout)
        finally:
            await self._cancel(task)
            self._updates.close()
        if kind is None:
            raise_error(task)

    async def _cancel(self, task: asyncio.Task[None]) -> None:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            _log.error(
                "recording ends before the database has accepted the last changes; "
                "the next recorder will write the difference"
            )

    async def wait(self) -> None:
        """Wait until the feed ends and everything is written.

        Raises:
            HistoryError: The recorder could not continue, for example because another one writes.
            RuntimeError: It is not running.
        """
        if self._task is None:
            raise RuntimeError("the recorder is not running: use it in 'async with'")
        await asyncio.wait([self._task])
        raise_error(self._task)

    # ---- implementation ----------------------------------------------------------------------------------------------

    def _notice(self, _: FeedHealth) -> None:
        self._news.set()

    def _start(self, transcript: Transcript) -> None:
        """Begin with what the feed knows already."""
        transcript.stopped()
        health, known = self._feed.health, self._feed.snapshot
        self._held = self._updates.get_nowait()
        if self._held is not None:
            # It was published while the store was read.
            return
        if known is not None and health.up is None and transcript.known is None:
            transcript.begin(known, known.observed_at)
            transcript.stopped()
        elif health.up is False and health.last_error is not None:
            if known is not None and transcript.known is None:
                transcript.begin(known, known.observed_at)
            transcript.down(health.last_error, health.last_good_at)

    async def _run(self, transcript: Transcript) -> None:
        writer = Writer(self._store)
        try:
            while True:
                # Both are noted before the rows are taken, so that nothing is left behind at the end.
                is_last = self._closing or self._feed.health.ended
                self._news.clear()
                is_full = await self._fill(transcript)
                if self._is_due(transcript.batch, is_last=is_last):
                    batch = transcript.take()
                    until = transcript.recorded_until
                    await self._write(writer, batch)
                    self._health = attrs.evolve(self._health, recorded_until=until)
                self._unwritten = 0
                if is_full:
                    continue
                if is_last:
                    return
                await self._wait()
        except Exception as error:
            if not isinstance(error, HistoryError):
                _log.exception("recording has ended")
                self._health = attrs.evolve(self._health, up=False, last_error=error)
            raise
        finally:
            self._health = attrs.evolve(self._health, ended=True)

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await self._news.wait()

    def _is_due(self, batch: Batch, *, is_last: bool) -> bool:
        if batch.size or batch.is_urgent:
            return True
        return is_last or asyncio.get_running_loop().time() - self._written_at >= _HEARTBEAT

    async def _fill(self, transcript: Transcript) -> bool:
        """Turn pending updates into rows; return whether more than one batch holds is pending."""
        rows = 0
        while True:
            update = self._held or self._updates.get_nowait()
            if update is None:
                return self._note_answer(transcript)
            self._held = update
            size = transcript.batch.size
            if size >= _MOST_ROWS or self._is_behind(transcript, update):
                return True
            self._held = None
            self._unwritten += 1
            transcript.update(update)
            rows += transcript.batch.size - size
            if rows >= _ROWS_AT_A_TIME:
                rows = 0
                await asyncio.sleep(0)

    def _is_behind(self, transcript: Transcript, update: Update) -> bool:
        snapshot = update.snapshot
        transcript.begin_before(update)
        return snapshot is not None and transcript.catch_up(snapshot, moment_of(time_of(update, snapshot)))

    def _note_answer(self, transcript: Transcript) -> bool:
        """Extend the recorded time to the feed's last good answer; return whether whole hours remain to be counted."""
        health, known = self._feed.health, self._feed.snapshot
        at = health.last_good_at
        if not health.up or known is None or at is None:
            return False
        if transcript.catch_up(known, at):
            return True
        transcript.seen(known, at)
        return False

    async def _write(self, writer: Writer, batch: Batch) -> None:
        """Write a batch; retry for ever."""
        await write_until_done("recording", lambda failures: writer.write(batch, again=failures > 0), self._failed)
        self._written_at = asyncio.get_running_loop().time()
        self._health = attrs.evolve(
            self._health,
            up=True,
            failures_in_a_row=0,
            updates=self._health.updates + batch.updates,
            events=self._health.events + len(batch.events),
            coalesced=self._health.coalesced + batch.coalesced,
        )

    def _failed(self, error: HistoryError, failures: int) -> None:
        self._health = attrs.evolve(self._health, up=False, failures_in_a_row=failures, last_error=error)
