"""`CallRecorder`: writes call records into a history."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

import attrs

from sipqueue_async.history.call_rows import NUMBERS, Numbers
from sipqueue_async.history.call_store import CallWriter
from sipqueue_async.history.errors import HistoryError
from sipqueue_async.history.history import History, store_of
from sipqueue_async.history.recording import raise_error, write_until_done
from sipqueue_async.records import CallCursor, CallFeed, FollowedCall

_MOST_CALLS: Final = 20_000
"""Records after which a transaction is closed. Each has the whole cursor, which is large while old calls are read."""
_CALLS_AT_A_TIME: Final = 500
"""After so many records, other tasks of the event loop run."""


@attrs.frozen(kw_only=True)
class CallRecorderHealth:
    """The condition of a recorder of calls: totals since its start."""

    up: bool | None = None
    """Whether the last write worked; None before the first."""
    ended: bool = False
    """Whether it will write nothing more."""
    records: int = 0
    """Written call records."""
    failures_in_a_row: int = 0
    """Consecutive failed writes since the last success."""
    last_error: BaseException | None = None
    """The error of the last failed write, or the one that ended the recorder, even if there were successes since."""


class CallRecorder:
    """Records the calls of a feed into a history, from the moment that the block is entered until it is left.

    The records and the feed's cursor are written in one transaction. Whenever the program is killed, each record is in
    the database once or not at all, and the next feed, which begins with ``await history.call_cursor()``, finds the
    others. While the database is slow or away, writing is retried for ever.

    Telephone numbers are personal data, and by default none is stored.

    Example::

        async with History("sqlite:///day.db") as history:
            cursor = await history.call_cursor() or CallCursor(since=today)
            async with StatusWatcher(client) as watcher:
                async with CallRecorder(history, CallFeed(client, cursor, status=watcher)) as recorder:
                    await recorder.wait()

    Args:
        history: Where to write.
        feed: The calls. Only the recorder may iterate it. Its client must know the server's `timezone`.
        numbers: ``"none"``; ``"prefix"`` stores the first four digits of each number, for reports by prefix; ``"full"``
            stores the numbers and the other personal data: the recording, pressed keys and the operator's own values.

    Raises:
        ValueError: The feed's times have no zone, or `numbers` is none of these.
    """

    def __init__(self, history: History, feed: CallFeed, *, numbers: Numbers = "none") -> None:
        if feed.cursor.since.utcoffset() is None:
            raise ValueError("the feed's times have no zone: give the client the server's timezone, and aware times")
        if numbers not in NUMBERS:
            raise ValueError(f"numbers must be one of {', '.join(NUMBERS)}, not {numbers!r}")
        self._history = history
        self._feed = feed
        self._writer = CallWriter(store_of(history), numbers)
        self._health = CallRecorderHealth()
        self._task: asyncio.Task[None] | None = None

    @property
    def health(self) -> CallRecorderHealth:
        """The condition of the recorder."""
        return self._health

    def __repr__(self) -> str:
        condition = {None: "nothing written yet", True: "up", False: "down"}[self._health.up]
        return f"<CallRecorder to {self._history!r}, {condition}, {self._health.records} records>"

    async def __aenter__(self) -> Self:
        """Begin.

        Raises:
            RuntimeError: It was entered before.
        """
        if self._task is not None:
            raise RuntimeError("a recorder runs once: make a new one")
        self._task = asyncio.create_task(self._run(), name="sipqueue_async call recorder")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End. What is not written yet is found by the next feed.

        Raises:
            SipQueueError: The feed ended with it, because asking again cannot help.
            HistoryError: The recorder could not continue.
        """
        task = self._task
        assert task is not None  # noqa: S101  # the block was entered
        task.cancel()
        await asyncio.wait([task])
        if kind is None:
            raise_error(task)

    async def wait(self) -> None:
        """Wait until an error ends the recorder, and raise it.

        Raises:
            SipQueueError: The feed ended with it, because asking again cannot help.
            HistoryError: The recorder could not continue.
            RuntimeError: It is not running.
        """
        if self._task is None:
            raise RuntimeError("the recorder is not running: use it in 'async with'")
        await asyncio.wait([self._task])
        raise_error(self._task)

    # ---- implementation ----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                calls = [await anext(self._feed)]
                while self._feed.pending and len(calls) < _MOST_CALLS:
                    calls.append(await anext(self._feed))
                    if not len(calls) % _CALLS_AT_A_TIME:
                        await asyncio.sleep(0)
                await self._write(calls, self._feed.cursor)
        except Exception as error:
            self._health = attrs.evolve(self._health, last_error=error)
            raise
        finally:
            self._health = attrs.evolve(self._health, ended=True)

    async def _write(self, calls: list[FollowedCall], cursor: CallCursor) -> None:
        """Write calls; retry for ever. A commit that worked although no answer came does no harm."""
        await write_until_done("recording calls", lambda _: self._writer.write(calls, cursor), self._failed)
        records = self._health.records + len(calls)
        self._health = attrs.evolve(self._health, up=True, failures_in_a_row=0, records=records)

    def _failed(self, error: HistoryError, failures: int) -> None:
        self._health = attrs.evolve(self._health, up=False, failures_in_a_row=failures, last_error=error)
