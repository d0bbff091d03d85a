"""``sipqueue watch``: the event stream, as lines or as JSON, resumable through a state file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Unpack

import attrs
import click
from rich.text import Text

from sipqueue_async import Feed, FeedDown, SeatFilter, SipQueueError, Snapshot, Update
from sipqueue_async._json_lines import KINDS, event_json
from sipqueue_async.cli import options, pushing
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, feed_of, origin_of, reporting_absent
from sipqueue_async.cli.pushing import PushAddress, pushed, receiver_of, with_path
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.cli.terminal.lines import EventLines
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _, counted


def _kinds(_context: click.Context, _parameter: click.Parameter, lists: tuple[str, ...]) -> frozenset[str]:
    kinds = frozenset(kind.strip() for kind in ",".join(lists).split(",")) if lists else frozenset[str]()
    for kind in sorted(kinds.difference(KINDS)):
        raise click.BadParameter(f"{kind!r} is not a kind of event; there are {', '.join(KINDS)}")
    return kinds


def _complete_kinds(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{kind}" for kind in KINDS if kind.startswith(last)]


@click.command(
    "watch",
    epilog=options.examples(
        "sipqueue watch --queue queue-1 --only call-answered,call-missed",
        "sipqueue watch --json --state-file watch.json >> events.jsonl",
    ),
)
@options.queues
@options.extensions
@click.option(
    "--only",
    "kinds",
    callback=_kinds,
    shell_complete=_complete_kinds,
    multiple=True,
    metavar="KIND,KIND...",
    help=f"Only events of these kinds: {', '.join(KINDS)}.",
)
@options.interval
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    help="Keep what was printed in this file, and resume from it after a restart.",
)
@click.option(
    "--verbose", is_flag=True, help="Print every change of a record, and every queue of an agent with a call."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@pushing.option
@options.origin
def command(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    kinds: frozenset[str],
    interval: float,
    state_file: Path | None,
    verbose: bool,
    as_json: bool,
    push: PushAddress | None,
    **origin: Unpack[OriginOptions],
) -> Work:
    """Print changes as they happen.

    Errors that may pass are reported and retried; Ctrl-C ends.
    """
    options.refuse_relay_with("--push", push is not None, origin)
    return partial(
        watch,
        origin_of(origin, os.environ),
        standard_output(),
        seats=SeatFilter(queues or None, extensions or None),
        kinds=kinds,
        interval=interval,
        state_file=None if state_file is None else StateFile(state_file, Snapshot.from_json),
        verbose=verbose,
        as_json=as_json,
        push=with_path(push, origin["config"], os.environ),
    )


async def watch(
    origin: Origin,
    output: Output,
    *,
    seats: SeatFilter = ALL_SEATS,
    kinds: Collection[str] = (),
    interval: float = 2.0,
    state_file: StateFile[Snapshot] | None = None,
    verbose: bool = False,
    as_json: bool = False,
    push: PushAddress | None = None,
) -> None:
    """Print events until the feed ends, which takes an error that a retry cannot fix."""
    saved = None if state_file is None else state_file.load()
    async with (
        feed_of(origin, interval=interval, seats=seats, baseline=saved) as feed,
        feed,
        pushed(receiver_of(feed, push), push),
    ):
        lines = None if as_json else EventLines(output, verbose=verbose)
        stream = _Stream(feed, output, kinds, state_file, lines)
        async with reporting_absent(origin, seats, feed.ready):
            await stream.run()


class _Stream:
    """One run of the command: prints each update, then saves its snapshot.

    It awaits nothing between taking an update and saving it. So an interruption never leaves an update taken but not
    printed, and the file is never ahead of the output: after a crash in between, an update is repeated, not lost.
    """

    def __init__(
        self,
        feed: Feed,
        output: Output,
        kinds: Collection[str],
        state_file: StateFile[Snapshot] | None,
        lines: EventLines | None,
    ) -> None:
        self._feed = feed
        self._updates = feed.updates()
        self._output = output
        self._kinds = kinds
        self._state_file = state_file
        self._lines = lines
        """None for JSON."""

    async def run(self) -> None:
        """Print until the feed ends or the command is cancelled, then save the last known snapshot."""
        try:
            await asyncio.gather(self._print_updates(), self._greet())
        except (asyncio.CancelledError, SipQueueError):
            # The file lacks the polls without a change, and so the time of the last poll.
            self._save_if_all_is_printed()
            raise

    async def _print_updates(self) -> None:
        async for update in self._updates:
            self._print(update)
            self._save(update.snapshot)

    def _print(self, update: Update) -> None:
        if self._lines is not None:
            for line in self._lines.lines(self._without_the_end(update), datetime.now(UTC), self._kinds):
                self._output.line(line)
            return
        for event in update.events:
            if not self._kinds or event.kind in self._kinds:
                self._output.line(event_json(event))

    def _without_the_end(self, update: Update) -> Update:
        """Leave out the outage whose error ended the feed: that error is the command's last line, on stderr."""
        health = self._feed.health
        if not health.ended:
            return update
        events = [it for it in update.events if not (isinstance(it, FeedDown) and it.error is health.last_error)]
        return attrs.evolve(update, events=tuple(events))

    async def _greet(self) -> None:
        """Save the first poll's snapshot, even without an update, and on a terminal print that the feed is up."""
        try:
            snapshot = await self._feed.ready()
        except SipQueueError:
            return  # The updates end with the same error, after those that are pending.
        self._save_if_all_is_printed()
        if self._lines is not None:
            self._lines.fit(snapshot.values())
        if self._output.terminal and self._lines is not None:
            seats = _("{seats} in {queues}").format(
                seats=counted(len(snapshot), "seat"), queues=counted(len(snapshot.queues), "queue")
            )
            self._output.wrapped(Text(_("watching {seats}; Ctrl-C ends").format(seats=seats), "dim"))

    def _save_if_all_is_printed(self) -> None:
        if not self._updates.pending:
            self._save(self._feed.snapshot)

    def _save(self, snapshot: Snapshot | None) -> None:
        if self._state_file is not None and snapshot is not None:
            self._state_file.save(snapshot)
