"""``sipqueue report``: watches until it is ended, and then prints what the day came to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from rich.text import Text

from sipqueue_async import (
    Feed,
    FeedDown,
    FeedHealth,
    FeedUp,
    SipQueueClient,
    SipQueueError,
    Snapshot,
    StatusWatcher,
    Update,
    Updates,
)
from sipqueue_async.cli import demo
from sipqueue_async.cli.day import Day
from sipqueue_async.cli.exits import UNREACHABLE, Failure, complain
from sipqueue_async.cli.output import Output
from sipqueue_async.cli.render import Lines, counted
from sipqueue_async.cli.source import Source, as_of_now, feed_of
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.simulator import Plan, Simulator
from sipqueue_async.tally import Tally

SAVE_EVERY: Final = 10.0
"""Seconds from one saving to the next. A crash leaves so much of the day unseen at most, and loses no call."""

DEMO_SPEED: Final = 60.0
"""How many times as fast as real a demonstration is."""


class Form(Enum):
    """How the figures are printed."""

    TABLE = auto()
    CSV = auto()
    JSON = auto()


class Report:
    """One run of the command: one of the three ways to a tally, and then `conclude`.

    Args:
        output: Where the figures go.
        form: How they are printed.
        queues: Only these queues; empty for all.
        extensions: Only these extensions; empty for all.
        interval: Seconds between polls.
        seconds: When to stop; 0 for never.
        state_file: Where the tally is kept.
    """

    def __init__(
        self,
        output: Output,
        *,
        form: Form = Form.TABLE,
        queues: Collection[str] = (),
        extensions: Collection[str] = (),
        interval: float = 2.0,
        seconds: float = 0.0,
        state_file: StateFile[Tally] | None = None,
    ) -> None:
        self._output = output
        self._form = form
        self._queues = queues
        self._extensions = extensions
        self._interval = interval
        self._seconds = seconds
        self._state_file = state_file
        self._tally = Tally()
        self._is_resumed = False
        self._answered = False

    async def live(self, source: Source) -> None:
        """Watch a platform or a relay, from the saved tally on if there is one."""
        self._tally = self._resumed()
        made = feed_of(
            source,
            interval=self._interval,
            queues=self._queues,
            extensions=self._extensions,
            baseline=self._tally.snapshot,
        )
        async with made as feed:
            await self._watch(feed)

    async def demo(self, seed: int) -> None:
        """Watch a simulated call centre by its own time, of which a minute passes in each second."""
        simulator = Simulator(Plan.lively(), seed=seed, speed=0)
        async with simulator, SipQueueClient(simulator.url, demo.credentials(simulator)) as client:
            stepped = demo.SteppedSource(simulator, client, DEMO_SPEED)

            async def source() -> Snapshot:
                polled = await stepped()
                # In this machine's zone, the centre's times are printed as it has them.
                now = simulator.centre.local_time.astimezone()
                return Snapshot(polled.values(), observed_at=now, server_time=polled.server_time)

            watcher = StatusWatcher(
                source,
                interval=self._interval / DEMO_SPEED,
                queues=self._queues or None,
                extensions=self._extensions or None,
            )
            await self._watch(watcher, speed=DEMO_SPEED)

    async def saved(self) -> None:
        """Only look at the saved tally."""
        tally = self._loaded()
        if tally is None or tally.started_at is None:
            raise Failure("there is nothing saved in the state file yet")
        self._tally = tally

    def conclude(self) -> None:
        """Print the figures, if there are any."""
        if self._tally.started_at is None:
            return
        day = Day(self._tally, queues=self._queues, extensions=self._extensions)
        match self._form:
            case Form.TABLE:
                day.print(self._output)
            case Form.CSV:
                self._output.text(day.csv())
            case _:
                self._output.text(day.json() + "\n")

    # ---- the saved tally ---------------------------------------------------------------------------------------------

    def _loaded(self) -> Tally | None:
        return None if self._state_file is None else self._state_file.load()

    def _resumed(self) -> Tally:
        tally = self._loaded() or Tally()
        for queue, extension in tally.seats:
            if (self._queues and queue not in self._queues) or (self._extensions and extension not in self._extensions):
                raise Failure(
                    f"the state file has queue {queue}, extension {extension}, which would not be watched now: "
                    "take the same filters as before, or another file"
                )
        if tally.started_at is not None and tally.started_at.astimezone().date() != datetime.now().astimezone().date():
            complain(f"warning: the tally of the state file began on {tally.started_at.astimezone():%Y-%m-%d}")
        return tally

    # ---- watching ----------------------------------------------------------------------------------------------------

    async def _watch(self, feed: Feed, speed: float = 1.0) -> None:
        updates = feed.updates()
        self._is_resumed = self._tally.started_at is not None
        feed.add_listener(lambda health: self._looked(feed, updates, health))
        async with feed:
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds / speed or None):
                        await asyncio.gather(self._fold(feed, updates), self._greet(feed, updates))
            finally:
                self._save(feed, updates)
        if not self._answered:
            reason = feed.health.last_error or "it is silent"
            raise Failure(f"nothing became known within {self._seconds:g} s: {reason}", UNREACHABLE)

    @property
    def _has_begun(self) -> bool:
        """Whether there are figures: of an earlier run, or because the status has become known in this one."""
        return self._is_resumed or self._answered

    def _looked(self, feed: Feed, updates: Updates, health: FeedHealth) -> None:
        """Begin as soon as the status is known, which need not be a change.

        A relay that is away tells what was so before, and once it is back what happened since: that is no day of this.
        """
        if self._answered or not health.up or feed.snapshot is None:
            return
        self._answered = True
        if not self._is_resumed:
            self._tally = Tally(as_of_now(feed, feed.snapshot))
            while update := updates.get_nowait():
                self._tell(update)

    async def _fold(self, feed: Feed, updates: Updates) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SAVE_EVERY):
                    while True:
                        self._take(await anext(updates))
            self._save(feed, updates)

    def _take(self, update: Update) -> None:
        if self._has_begun:
            self._tally.update(update)
        self._tell(update)

    def _tell(self, update: Update) -> None:
        for event in update.events:
            if isinstance(event, FeedDown | FeedUp):
                complain(Lines().line(event, datetime.now(UTC)).plain)

    async def _greet(self, feed: Feed, updates: Updates) -> None:
        """Save what the report begins with, and tell a person that all is well."""
        try:
            snapshot = await feed.ready()
        except SipQueueError:
            return  # The stream of updates ends with the same error, once it has told what was before.
        self._save(feed, updates)
        if self._output.terminal and self._form is Form.TABLE:
            seats = f"{counted(len(snapshot), 'seat')} in {counted(len(snapshot.queues), 'queue')}"
            self._output.line(Text(f"watching {seats}; Ctrl-C prints the report", "dim"))

    def _save(self, feed: Feed, updates: Updates) -> None:
        """Bring the tally up to the last good poll, which need not have been a change, and save it."""
        if not updates.pending and feed.health.last_good_at is not None:
            self._tally.advance(feed.health.last_good_at)
        if self._state_file is not None and self._has_begun:
            self._state_file.save(self._tally)
