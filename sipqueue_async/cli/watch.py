"""``sipqueue watch``: the event stream, as lines or as JSON, resumable through a state file."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

import attrs
from rich.text import Text

from sipqueue_async import Event, Feed, SipQueueError, Snapshot, Update, Updates
from sipqueue_async.cli.output import Output
from sipqueue_async.cli.render import KINDS, Lines, counted, event_json
from sipqueue_async.cli.source import Source, feed_of
from sipqueue_async.cli.statefile import StateFile


@attrs.frozen(kw_only=True)
class Choice:
    """What to watch, and what to print of it."""

    queues: Collection[str] = ()
    """Only these queues; empty for all."""
    extensions: Collection[str] = ()
    """Only these extensions; empty for all."""
    kinds: Collection[str] = ()
    """Only events of these kinds; empty for all."""

    def wants(self, event: Event) -> bool:
        """Tell whether an event is to be printed."""
        return not self.kinds or KINDS[type(event)] in self.kinds


async def watch(
    source: Source,
    output: Output,
    *,
    choice: Choice,
    interval: float = 2.0,
    state_file: StateFile[Snapshot] | None = None,
    as_json: bool = False,
) -> None:
    """Print events until the feed ends, which takes an error that trying again does not help against."""
    saved = None if state_file is None else state_file.load()
    made = feed_of(source, interval=interval, queues=choice.queues, extensions=choice.extensions, baseline=saved)
    async with made as feed, feed:
        await _Stream(feed, output, choice, state_file, as_json=as_json).run()


class _Stream:
    """One run of the command: what is printed, and then saved.

    Between taking an update and having saved it nothing is awaited. So whenever this is interrupted, whatever was taken
    is printed, and the file is never ahead of what was printed: a crash in between repeats an update and loses none.
    """

    def __init__(
        self,
        feed: Feed,
        output: Output,
        choice: Choice,
        state_file: StateFile[Snapshot] | None,
        *,
        as_json: bool,
    ) -> None:
        self._feed = feed
        self._updates: Updates = feed.updates()
        self._output = output
        self._choice = choice
        self._state_file = state_file
        self._as_json = as_json
        self._lines = Lines(output.arrow)

    async def run(self) -> None:
        """Print until something ends it, and save what is known then."""
        try:
            await asyncio.gather(self._print_updates(), self._greet())
        except (asyncio.CancelledError, SipQueueError):
            # Polls without a change are not in the file yet, nor the time of the last one.
            self._save_if_all_is_told()
            raise

    async def _print_updates(self) -> None:
        async for update in self._updates:
            self._print(update)
            self._save(update.snapshot)

    def _print(self, update: Update) -> None:
        for event in update.events:
            if self._choice.wants(event):
                now = datetime.now(UTC)
                self._output.line(event_json(event) if self._as_json else self._lines.line(event, now))

    async def _greet(self) -> None:
        """Save the first poll's outcome, which need not be a change, and tell a person that all is well."""
        try:
            snapshot = await self._feed.ready()
        except SipQueueError:
            return  # The stream of updates ends with the same error, once it has told what was before.
        self._save_if_all_is_told()
        if self._output.terminal and not self._as_json:
            seats = f"{counted(len(snapshot), 'seat')} in {counted(len(snapshot.queues), 'queue')}"
            self._output.line(Text(f"watching {seats}; Ctrl-C ends", "dim"))

    def _save_if_all_is_told(self) -> None:
        if not self._updates.pending:
            self._save(self._feed.snapshot)

    def _save(self, snapshot: Snapshot | None) -> None:
        if self._state_file is not None and snapshot is not None:
            self._state_file.save(snapshot)
