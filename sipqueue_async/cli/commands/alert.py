"""``sipqueue alert``: prints an alert when the condition of a rule has lasted, and again when it has ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final, Unpack

import click
from rich.text import Text

from sipqueue_async import Feed, SeatFilter, SipQueueError
from sipqueue_async._text import harmless
from sipqueue_async.alerts import Alert, Alerts, AlertState, RulesFile, SignedOut, read_rules
from sipqueue_async.cli import options
from sipqueue_async.cli.exits import Failure, complain
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, absent_names, feed_of, origin_of
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.simulation import Demonstration, stepped_feed
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.cli.terminal.lines import INDENT, clock, counted
from sipqueue_async.cli.terminal.output import Output, standard_output

SAVE_EVERY: Final = 10.0
"""Seconds between two saves while there are no alerts. After a crash the time since the last one is an outage."""


@click.command(
    "alert",
    epilog=options.examples(
        "sipqueue alert --rules rules.toml --check",
        "sipqueue alert --rules rules.toml --state-file alerts.json",
        "sipqueue alert --rules rules.toml --demo",
    ),
)
@click.option("--rules", "path", type=click.Path(path_type=Path), required=True, help="The file with the rules: TOML.")
@click.option("--check", is_flag=True, help="Only read the file, and say what is wrong with it.")
@options.queues
@options.extensions
@options.interval
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    help="Keep the raised alerts in this file, so that a restart neither repeats nor forgets one.",
)
@click.option("--demo", is_flag=True, help="Watch a simulated call centre instead.")
@options.demonstration(speed=60.0)
@options.origin
def command(
    *,
    path: Path,
    check: bool,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    state_file: Path | None,
    demo: bool,
    agents: int,
    demo_queues: int | None,
    speed: float,
    seed: int,
    **origin: Unpack[OriginOptions],
) -> Work:
    """Say when something lasts too long.

    It prints a line when an alert is raised and another when it clears, until Ctrl-C. With --demo, times are those of
    the simulated centre.
    """
    options.refuse_relay_with("--demo", demo, origin)
    options.refuse_together({"--state-file": state_file is not None, "--demo": demo})
    rules = _read(path)
    if check:
        return partial(_describe, rules, standard_output())
    seats = SeatFilter(queues or None, extensions or None)
    if demo:
        centre = Demonstration(agents=agents, queues=demo_queues, speed=speed, seed=seed)
        return partial(alert_demo, centre, standard_output(), rules, seats=seats, interval=interval)
    return partial(
        alert,
        origin_of(origin, os.environ),
        standard_output(),
        rules,
        seats=seats,
        interval=interval,
        state_file=None if state_file is None else state_file_of(state_file, rules),
    )


def _read(path: Path) -> RulesFile:
    try:
        return read_rules(path)
    except ValueError as error:
        raise Failure(str(error)) from None


def state_file_of(path: Path, rules: RulesFile) -> StateFile[AlertState]:
    """Return the file in which the state of these rules is kept."""
    return StateFile(path, partial(AlertState.from_json, rules=rules.rules))


async def _describe(rules: RulesFile, output: Output) -> None:
    output.line(f"the rules are valid: {', '.join(harmless(rule.name) for rule in rules.rules)}")


async def alert(
    origin: Origin,
    output: Output,
    rules: RulesFile,
    *,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    state_file: StateFile[AlertState] | None = None,
) -> None:
    """Print alerts until the feed ends, which takes an error that a retry cannot fix."""
    check_seats(rules, seats)
    saved = None if state_file is None else state_file.load()
    state = AlertState(rules.rules) if saved is None else saved
    async with feed_of(origin, interval=interval, seats=seats, baseline=state.snapshot) as feed, feed:
        await Run(feed, state, output, rules, state_file).run(_greet(feed, origin, output, rules, seats))


async def alert_demo(
    centre: Demonstration, output: Output, rules: RulesFile, *, seats: SeatFilter = ALL_SEATS, interval: float = 2.0
) -> None:
    """Print the alerts of a simulated call centre, in its own time."""
    check_seats(rules, seats)
    async with stepped_feed(centre, interval=interval, seats=seats) as (feed, client), feed:
        await Run(feed, AlertState(rules.rules), output, rules).run(_greet(feed, client, output, rules, seats))


def check_seats(rules: RulesFile, seats: SeatFilter) -> None:
    """Check that every rule is about seats that are watched.

    Raises:
        Failure: A rule names a queue or an extension that the options leave out.
    """
    for rule in rules.rules:
        extensions = rule.extensions if isinstance(rule, SignedOut) else rule.seats.extensions
        for noun, named, watched in (
            ("queue", rule.seats.queues, seats.queues),
            ("extension", extensions, seats.extensions),
        ):
            if watched is not None and (outside := sorted({*(named or ())} - watched)):
                raise Failure(f"the rule {rule.name!r} is about {noun} {outside[0]!r}, which --{noun} leaves out")


async def _greet(feed: Feed, origin: Origin, output: Output, rules: RulesFile, seats: SeatFilter) -> None:
    """Report named queues and extensions that do not exist and, on a terminal, print that the feed is up."""
    try:
        snapshot = await feed.ready()
    except SipQueueError:
        return  # The alerts end with the same error.
    queues = frozenset(seats.queues or ()).union(*(rule.seats.queues or () for rule in rules.rules))
    extensions = frozenset(seats.extensions or ()).union(*(rule.seats.extensions or () for rule in rules.rules))
    if absent := await absent_names(origin, SeatFilter(queues or None, extensions or None), snapshot):
        complain(f"{absent}; still watching for it")
    if output.terminal:
        watched = f"{counted(len(snapshot), 'seat')} by {counted(len(rules.rules), 'rule')}"
        output.wrapped(Text(f"watching {watched}; Ctrl-C ends", "dim"))


class Run:
    """One run of the command: prints each alert, then saves the state.

    The state includes alerts that were not printed yet, so it is saved only when there are none: after a crash an
    alert is repeated, not lost.
    """

    def __init__(
        self,
        feed: Feed,
        state: AlertState,
        output: Output,
        rules: RulesFile,
        state_file: StateFile[AlertState] | None = None,
    ) -> None:
        self._alerts = Alerts(feed, state)
        self._output = output
        self._language = rules.language
        self._state_file = state_file
        self._failed = False
        """Whether an alert could not be printed."""

    async def run(self, greet: Coroutine[Any, Any, None]) -> None:
        """Print until the feed ends or the command is cancelled, then save the state."""
        tasks = [asyncio.ensure_future(it) for it in (self._print_alerts(), self._save_regularly(), greet)]
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

    async def _print_alerts(self) -> None:
        async for it in self._alerts:
            self._print(it)
            self._save()

    def _print(self, it: Alert) -> None:
        self._failed = True
        self._output.wrapped(harmless(f"{clock(it.at)} {it.text(self._language)}"), INDENT)
        self._failed = False

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            self._save()

    def _save(self) -> None:
        if self._state_file is not None and not self._alerts.pending:
            self._state_file.save(self._alerts.state)
