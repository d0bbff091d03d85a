"""``sipqueue alert``: prints an alert when the condition of a rule has lasted, and again when it has ended."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Unpack

import attrs
import click
from rich.text import Text

from sipqueue_async import Feed, SeatFilter, SipQueueError
from sipqueue_async._language import translated
from sipqueue_async._saved_format import SavedFormat
from sipqueue_async._text import harmless
from sipqueue_async.alerts import Alert, Alerts, AlertState, Destination, RulesFile
from sipqueue_async.cli import metrics as metrics_option
from sipqueue_async.cli import options
from sipqueue_async.cli.delivery import Delivery, Outbox, Send, in_thread, senders, trial
from sipqueue_async.cli.exits import UNREACHABLE, Failure, complain
from sipqueue_async.cli.metrics import Address, serving
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, feed_of, origin_of, report_absent
from sipqueue_async.cli.rules import check_seats, demo_rules, named_seats, rules_of
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.simulation import Demonstration, stepped_feed
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.cli.terminal.lines import INDENT, clock
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _, counted

SAVE_EVERY: Final = 10.0
"""Seconds between two saves while there are no alerts. After a crash the time since the last one is an outage."""


@click.command(
    "alert",
    epilog=options.examples(
        "sipqueue alert --rules rules.toml --check",
        "sipqueue alert --rules rules.toml --state-file alerts.json",
        "sipqueue alert --demo",
    ),
)
@click.option(
    "--rules",
    "path",
    type=click.Path(path_type=Path),
    help="The file with the rules: TOML. --demo has built-in ones.",
)
@click.option("--check", is_flag=True, help="Only read the file, and say what is wrong with it.")
@click.option("--dry-run", is_flag=True, help="Only print alerts, and deliver none.")
@click.option("--try", "test", is_flag=True, help="Only send a test message to each destination.")
@options.queues
@options.extensions
@options.interval
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    help="Keep the raised alerts in this file, so that a restart neither repeats nor forgets one.",
)
@metrics_option.option
@click.option("--demo", is_flag=True, help="Watch a simulated call centre instead.")
@options.demonstration(speed=60.0)
@options.origin
def command(
    *,
    path: Path | None,
    check: bool,
    dry_run: bool,
    test: bool,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    state_file: Path | None,
    metrics: Address | None,
    demo: bool,
    agents: int,
    demo_queues: int | None,
    speed: float,
    seed: int,
    **origin: Unpack[OriginOptions],
) -> Work:
    """Say when something lasts too long.

    It prints a line when an alert is raised and another when it clears, until Ctrl-C, and delivers both to
    the file's destinations. With --demo, times are those of the simulated centre, and nothing is delivered.
    """
    options.refuse_relay_with("--demo", demo, origin)
    options.refuse_together({"--state-file": state_file is not None, "--demo": demo})
    if path is None and not demo:
        raise click.UsageError("Missing option '--rules'; with --demo there are built-in rules")
    rules = demo_rules() if path is None else rules_of(path)
    if test:
        return partial(try_out, rules, senders(rules.destinations, os.environ), standard_output())
    send = {} if demo or dry_run else senders(rules.destinations, os.environ)
    seats = SeatFilter(queues or None, extensions or None)
    if check:
        check_seats(rules, seats)
        return partial(_describe, rules, standard_output())
    if demo:
        centre = Demonstration(agents=agents, queues=demo_queues, speed=speed, seed=seed)
        return partial(alert_demo, centre, standard_output(), rules, seats=seats, interval=interval, metrics=metrics)
    return partial(
        alert,
        origin_of(origin, os.environ),
        standard_output(),
        rules,
        send=send,
        seats=seats,
        interval=interval,
        state_file=None if state_file is None else state_file_of(state_file, rules, seats),
        saves=not dry_run,
        metrics=metrics,
    )


_FORMAT: Final = SavedFormat(kind="state of the alert command", name="sipqueue_async.cli.alert", version=1)


@attrs.frozen
class Progress:
    """What a restart needs: the state of the rules, and the alerts that were not delivered yet."""

    alerts: AlertState
    outboxes: Mapping[str, Outbox] = attrs.field(factory=dict)

    def to_json(self) -> bytes:
        """Return it as JSON in a versioned format."""
        outboxes = {name: outbox.to_dict() for name, outbox in self.outboxes.items()}
        return _FORMAT.dump({"alerts": json.loads(self.alerts.to_json()), "outboxes": outboxes})


def state_file_of(path: Path, rules: RulesFile, seats: SeatFilter = ALL_SEATS) -> StateFile[Progress]:
    """Return the file in which the progress with these rules is kept."""

    def read(data: bytes) -> Progress:
        document = _FORMAT.load(data)
        with _FORMAT.decoding():
            outboxes = {str(name): Outbox.from_dict(it) for name, it in document["outboxes"].items()}
            return Progress(AlertState.from_json(json.dumps(document["alerts"]), rules.rules, seats), outboxes)

    return StateFile(path, read)


async def try_out(rules: RulesFile, send: Mapping[Destination, Send], output: Output) -> None:
    """Send a test message to each destination at the same time, and print which ones accepted it.

    Raises:
        Failure: A destination did not accept it, or there is none.
    """
    if not send:
        raise Failure("the rules file has no destinations: write a table such as [destinations.duty], with its url")
    message = trial(rules.language)
    reasons = await asyncio.gather(*(in_thread(partial(it, message)) for it in send.values()))
    for destination, reason in zip(send, reasons, strict=True):
        output.line(harmless(f"{destination.name}: {_('delivered') if reason is None else translated(reason)}"))
    if failed := [repr(it.name) for it, reason in zip(send, reasons, strict=True) if reason is not None]:
        raise Failure(f"not delivered to {', '.join(failed)}", UNREACHABLE)


async def _describe(rules: RulesFile, output: Output) -> None:
    names = _(", ").join(harmless(rule.name) for rule in rules.rules)
    output.line(_("the rules are valid: {names}").format(names=names))


async def alert(
    origin: Origin,
    output: Output,
    rules: RulesFile,
    *,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    state_file: StateFile[Progress] | None = None,
    saves: bool = True,
    send: Mapping[Destination, Send] | None = None,
    metrics: Address | None = None,
) -> None:
    """Print and deliver alerts until the feed ends, which takes an error that a retry cannot fix.

    Without `saves` the state file is only read, and stays as it is.
    """
    check_seats(rules, seats)
    async with AsyncExitStack() as stack:
        if state_file is not None and saves:
            stack.enter_context(state_file.locked())
        saved = None if state_file is None else state_file.load()
        progress = Progress(AlertState(rules.rules)) if saved is None else saved
        # Without destinations the state file keeps what an earlier run has to deliver.
        delivery = Delivery(send, rules, progress.outboxes) if send else None
        baseline = progress.alerts.snapshot
        feed = await stack.enter_async_context(feed_of(origin, interval=interval, seats=seats, baseline=baseline))
        run = Run(feed, progress, output, rules, state_file=state_file if saves else None, delivery=delivery)
        async with run.serving(metrics), feed:
            await run.run(_greet(feed, origin, output, rules, seats))


async def alert_demo(
    centre: Demonstration,
    output: Output,
    rules: RulesFile,
    *,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    metrics: Address | None = None,
) -> None:
    """Print the alerts of a simulated call centre, in its own time."""
    check_seats(rules, seats)
    async with stepped_feed(centre, interval=interval, seats=seats) as (feed, client):
        run = Run(feed, Progress(AlertState(rules.rules)), output, rules)
        async with run.serving(metrics), feed:
            await run.run(_greet(feed, client, output, rules, seats))


async def _greet(feed: Feed, origin: Origin, output: Output, rules: RulesFile, seats: SeatFilter) -> None:
    """Report named queues and extensions that do not exist and, on a terminal, print that the feed is up."""
    try:
        snapshot = await feed.ready()
    except SipQueueError:
        return  # The alerts end with the same error.
    await report_absent(origin, named_seats(rules, seats), snapshot)
    if output.terminal:
        text = _("watching {seats} by {rules}; Ctrl-C ends")
        seats_rules = {"seats": counted(len(snapshot), "seat"), "rules": counted(len(rules.rules), "rule")}
        output.wrapped(Text(text.format(**seats_rules), "dim"))


class Run:
    """One run of the command: prints each alert and puts it into the outboxes, then saves the progress.

    The state includes alerts that were not printed yet, so it is saved only when there are none: after a crash an
    alert is repeated, not lost.
    """

    def __init__(
        self,
        feed: Feed,
        progress: Progress,
        output: Output,
        rules: RulesFile,
        *,
        state_file: StateFile[Progress] | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        self._feed = feed
        self._alerts = Alerts(feed, progress.alerts)
        self._outboxes = progress.outboxes if delivery is None else delivery.outboxes
        self._delivery = Delivery() if delivery is None else delivery
        self._output = output
        self._rules = rules
        self._state_file = state_file
        self._failed = False
        """Whether an alert could not be printed."""

    @asynccontextmanager
    async def serving(self, address: Address | None) -> AsyncGenerator[None]:
        """Serve metrics inside the block, and say where."""
        deliveries = self._delivery if self._delivery.outboxes else None
        async with serving(address, self._feed, self._alerts, deliveries) as served:
            if served is not None:
                complain(f"metrics are at {served.url}", level="info")
            yield

    async def run(self, greet: Coroutine[Any, Any, None]) -> None:
        """Print until the feed ends or the command is cancelled, then save the state."""
        tasks = [asyncio.ensure_future(it) for it in self._work(greet)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            if not self._failed:
                # A cancellation may leave alerts behind.
                while self._alerts.pending:
                    self._print(await anext(self._alerts))
                self._save()
            self._alerts.close()
            if number := self._delivery.number:
                kept = "no --state-file keeps them" if self._state_file is None else "the state file keeps them"
                complain(f"{counted(number, 'alert')} not delivered yet; {kept}")

    def _work(self, greet: Coroutine[Any, Any, None]) -> list[Coroutine[Any, Any, None]]:
        return [self._print_alerts(), self._save_regularly(), self._delivery.run(self._save), greet]

    async def _print_alerts(self) -> None:
        async for it in self._alerts:
            self._print(it)
            self._save()

    def _print(self, it: Alert) -> None:
        self._failed = True
        self._output.wrapped(harmless(f"{clock(it.at)} {self._rules.text(it)}"), INDENT)
        self._failed = False
        self._delivery.add(it)

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            self._save()

    def _save(self) -> None:
        if self._state_file is not None and not self._alerts.pending:
            self._state_file.save(Progress(self._alerts.state, self._outboxes))
