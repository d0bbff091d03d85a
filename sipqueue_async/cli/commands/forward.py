"""``sipqueue forward``: posts events to other programs as signed webhooks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Unpack

import click
from rich.text import Text

from sipqueue_async import Feed, SeatFilter, SipQueueError, Update
from sipqueue_async._json_lines import FORMAT_VERSION, event_json, json_line
from sipqueue_async._language import translated
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.exits import UNREACHABLE, Failure, complain
from sipqueue_async.cli.forwarding.answers import Answer
from sipqueue_async.cli.forwarding.destinations import Target, Webhook, read_webhooks, targets_of
from sipqueue_async.cli.forwarding.forwarder import Forwarder, Send, new_id
from sipqueue_async.cli.forwarding.sending import Sender
from sipqueue_async.cli.forwarding.store import DeadLetter, Store
from sipqueue_async.cli.origin import Origin, OriginOptions, feed_of, origin_of, reporting_absent
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _, counted


@click.command(
    "forward",
    epilog=options.examples(
        "sipqueue forward --rules forward.toml --check",
        "sipqueue forward --rules forward.toml --state-file forward.db",
        "sipqueue forward --dead-letters --state-file forward.db",
    ),
)
@click.option("--rules", "path", type=click.Path(path_type=Path), help="The file with the destinations: TOML.")
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    help="Keep events in this file until they are delivered, and the dead letters.",
)
@click.option("--check", is_flag=True, help="Only read the file, and say what is wrong with it.")
@click.option("--dry-run", is_flag=True, help="Only print events with their destination, and send none.")
@click.option("--try", "test", is_flag=True, help="Only send a test event to each destination.")
@click.option("--dead-letters", is_flag=True, help="Only print the events that were given up, as JSON lines.")
@options.interval
@options.origin
def command(
    *,
    path: Path | None,
    state_file: Path | None,
    check: bool,
    dry_run: bool,
    test: bool,
    dead_letters: bool,
    interval: float,
    **origin: Unpack[OriginOptions],
) -> Work:
    """Post events to other programs, signed.

    The signature is that of Standard Webhooks. Each destination gets its events in order and at least once, and
    delays no other. The state file keeps them across outages and restarts.
    """
    if dead_letters:
        return partial(print_dead_letters, _given(state_file, "--state-file"), standard_output())
    webhooks = read_webhooks(_given(path, "--rules"))
    targets = () if dry_run and not test else targets_of(webhooks, os.environ)
    if test:
        return partial(try_out, targets, standard_output())
    if check:
        return partial(_describe, webhooks, standard_output())
    if dry_run:
        return partial(print_events, origin_of(origin, os.environ), standard_output(), webhooks, interval=interval)
    kept = _given(state_file, "--state-file")
    return partial(
        forward, origin_of(origin, os.environ), standard_output(), targets, state_file=kept, interval=interval
    )


def _given(path: Path | None, option: str) -> Path:
    if path is None:
        raise click.UsageError(f"Missing option {option!r}")
    return path


async def _describe(webhooks: Iterable[Webhook], output: Output) -> None:
    names = _(", ").join(harmless(it.name) for it in webhooks)
    output.line(_("the destinations are valid: {names}").format(names=names))


async def print_dead_letters(path: Path, output: Output) -> None:
    """Print the dead letters of a state file as JSON lines, the oldest first.

    Raises:
        Failure: There is no such file, or it cannot be used.
    """
    with Store(path, read_only=True) as store:
        for letter in store.dead_letters():
            output.line(_letter_json(letter))


def _letter_json(letter: DeadLetter) -> str:
    return json_line(
        {
            "destination": letter.destination,
            "id": letter.id,
            "kept_at": datetime.fromtimestamp(letter.kept_at, UTC),
            "died_at": datetime.fromtimestamp(letter.died_at, UTC),
            "reason": letter.reason,
            # A text: its bytes are those that were signed.
            "body": letter.body.decode(),
        }
    )


async def try_out(targets: Iterable[Target], output: Output) -> None:
    """Send a test event to each destination at the same time, and print which ones accepted it.

    Raises:
        Failure: A destination did not accept it.
    """
    targets = tuple(targets)
    answers = await asyncio.gather(*map(_try, targets))
    for target, answer in zip(targets, answers, strict=True):
        output.line(harmless(f"{target.name}: {translated(answer.reason or '') or _('delivered')}"))
    failed = [repr(it.name) for it, answer in zip(targets, answers, strict=True) if answer.reason]
    if failed:
        raise Failure(f"not delivered to {', '.join(failed)}", UNREACHABLE)


async def _try(target: Target) -> Answer:
    body = json_line({"v": FORMAT_VERSION, "event": "test", "observed_at": datetime.now(UTC)}).encode()
    async with Sender(target) as sender:
        return await sender.send(new_id(), body)


async def print_events(origin: Origin, output: Output, webhooks: Iterable[Webhook], *, interval: float = 2.0) -> None:
    """Print each event that a destination would get, after the destination's name."""
    async with feed_of(origin, interval=interval) as feed, feed:
        updates = feed.updates()
        async with reporting_absent(origin, _named_seats(webhooks), feed.ready):
            async for update in updates:
                for event in update.events:
                    for webhook in webhooks:
                        if webhook.wants(event):
                            output.line(f"{harmless(webhook.name)} {event_json(event)}")


def _named_seats(webhooks: Iterable[Webhook]) -> SeatFilter:
    """Return the queues and extensions that the file names."""
    queues, extensions = set[str](), set[str]()
    for webhook in webhooks:
        queues |= webhook.seats.queues or frozenset()
        extensions |= webhook.seats.extensions or frozenset()
    return SeatFilter(queues or None, extensions or None)


async def forward(
    origin: Origin, output: Output, targets: Iterable[Target], *, state_file: Path, interval: float = 2.0
) -> None:
    """Forward events until the feed ends, which takes an error that a retry cannot fix.

    Raises:
        Failure: The state file cannot be used or written.
    """
    targets = tuple(targets)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(Store(state_file))
        sends: dict[Target, Send] = {it: (await stack.enter_async_context(Sender(it))).send for it in targets}
        forwarder = Forwarder(store, sends)
        feed = await stack.enter_async_context(feed_of(origin, interval=interval, baseline=store.snapshot()))
        await stack.enter_async_context(feed)
        run = Run(feed, forwarder, output)
        try:
            async with reporting_absent(origin, _named_seats(it.webhook for it in targets), feed.ready):
                await run.run()
        finally:
            if number := store.pending():
                complain(f"{counted(number, 'event')} not delivered yet; the state file keeps them", level="info")


class Run:
    """One run of the command: puts each update into the state file, from which it is sent."""

    def __init__(self, feed: Feed, forwarder: Forwarder, output: Output) -> None:
        self._feed = feed
        self._updates = feed.updates()
        self._forwarder = forwarder
        self._output = output

    async def run(self) -> None:
        """Forward until the feed ends or the command is cancelled, then keep what is pending."""
        tasks = [asyncio.ensure_future(it) for it in (self._keep_updates(), self._forwarder.run(), self._greet())]
        try:
            await asyncio.gather(*tasks)
        except (asyncio.CancelledError, SipQueueError):
            while update := self._updates.get_nowait():
                self._keep(update)
            self._keep_present()
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _keep_updates(self) -> None:
        async for update in self._updates:
            self._keep(update)

    def _keep(self, update: Update) -> None:
        self._forwarder.keep(update.events, update.snapshot, is_up=self._is_up)

    @property
    def _is_up(self) -> bool:
        return self._feed.health.up is True

    async def _greet(self) -> None:
        """Keep the first poll's snapshot, even without an update, and on a terminal print that the feed is up."""
        try:
            snapshot = await self._feed.ready()
        except SipQueueError:
            return  # The updates end with the same error.
        self._keep_present()
        if self._output.terminal:
            seats = counted(len(snapshot), "seat")
            self._output.wrapped(Text(_("forwarding the events of {seats}; Ctrl-C ends").format(seats=seats), "dim"))

    def _keep_present(self) -> None:
        # A pending update's events are not in the file yet, so neither may its snapshot be.
        if not self._updates.pending:
            self._forwarder.keep((), self._feed.snapshot, is_up=self._is_up)
