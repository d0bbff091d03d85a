"""Records scripted answers of a platform into a history, and collects the updates of another consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import attrs

from sipqueue_async import Event, FeedDown, SipQueueError, Snapshot, StatusWatcher, Update, Updates, diff
from sipqueue_async.history import History, Recorder
from sipqueue_async.testing import ScriptedSource
from tests.kit.simulated_updates import GivenFeed

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)


@attrs.define
class Run:
    """A recorder, its watcher, and the updates of another consumer of the watcher."""

    history: History
    recorder: Recorder
    watcher: StatusWatcher
    told: Updates

    async def poll(self, times: int = 1) -> None:
        """Make the watcher poll."""
        for _ in range(times):
            with suppress(SipQueueError):
                await self.watcher.refresh()

    async def recorded(self) -> None:
        """Wait until the recorder has written the first status and all pending updates."""
        while self.recorder.pending or (self.watcher.health.up and self.recorder.health.recorded_until is None):
            await asyncio.sleep(0.001)

    def updates(self) -> list[Update]:
        """Return the other consumer's updates since the last call."""
        return list(iter(self.told.get_nowait, None))


@asynccontextmanager
async def running(
    url: str,
    answers: Iterable[Snapshot | BaseException],
    *,
    baseline: Snapshot | None = None,
    resume: bool = False,
    initial: bool = False,
    max_pending: int = 1000,
    close_timeout: float = 30.0,
) -> AsyncIterator[Run]:
    """Yield a running recorder whose watcher polls only when the test calls `poll`."""
    async with History(url) as history:
        watcher = StatusWatcher(
            ScriptedSource(answers),
            interval=86400,
            max_backoff=86400,
            leave_after=1,
            baseline=await history.baseline() if resume else baseline,
            initial=initial,
        )
        recorder = Recorder(history, watcher, max_pending=max_pending, close_timeout=close_timeout)
        told = watcher.updates(max_pending=10_000)
        # The watcher polls once by itself; the test's first `poll` waits for that poll.
        async with recorder, watcher:
            yield Run(history, recorder, watcher, told)


async def record(
    url: str,
    answers: Sequence[Snapshot | BaseException],
    *,
    baseline: Snapshot | None = None,
    resume: bool = False,
    initial: bool = False,
) -> list[Update]:
    """Record answers; return the updates of another consumer."""
    async with running(url, answers, baseline=baseline, resume=resume, initial=initial) as run:
        for _ in answers:
            await run.poll()
            await run.recorded()
        return run.updates()


async def recorded(url: str) -> list[Update]:
    """Return all updates of a history."""
    async with History(url) as history:
        return [update async for update in history.updates(BEGINNING, END)]


def comparable(events: Iterable[Event]) -> list[object]:
    """Return events in comparable form: errors as their text."""
    return [(event.since, str(event.error)) if isinstance(event, FeedDown) else event for event in events]


async def give(url: str, given: Iterable[Snapshot]) -> None:
    """Record snapshots of a feed that knows the first one already."""
    first, *others = given
    async with History(url) as history:
        feed = GivenFeed()
        feed.give(first)
        async with Recorder(history, feed, max_pending=100_000) as recorder, feed:
            previous = first
            while recorder.health.recorded_until is None:
                await asyncio.sleep(0.001)
            for number, now in enumerate(others):
                events = diff(previous, now)
                update = Update(sequence=number, snapshot=now, previous=previous, events=events) if events else None
                feed.give(now, update)
                previous = now
                # The recorder notes each answer, also one without a change.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            while recorder.pending:
                await asyncio.sleep(0.001)
