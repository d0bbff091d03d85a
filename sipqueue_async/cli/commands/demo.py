"""``sipqueue demo``: watches a simulated call centre over HTTP, then compares the report with the truth."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Final, Unpack

import attrs
import click
from rich import box
from rich.table import Table
from rich.text import Text

from sipqueue_async import CallAnswered, CallMissed, Event, SipQueueError, StatusWatcher, Update, Updates
from sipqueue_async._json_lines import KINDS
from sipqueue_async.cli import options
from sipqueue_async.cli.exits import DONE, FAILED
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.simulation import Demonstration, SteppedSource, client_of
from sipqueue_async.cli.terminal.lines import EventLines
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _, counted, heading
from sipqueue_async.simulator import GroundTruth, Simulator

_USUAL: Final = Demonstration(speed=10.0)

_LAST_POLL: Final = 1.0
"""Timeout in seconds of the last poll, which goes over the loopback interface."""


@click.command(
    "demo",
    epilog=options.examples("sipqueue demo", "sipqueue demo --seconds 0 --agents 60 --queues 5 --speed 1"),
)
@click.option(
    "--seconds",
    type=float,
    callback=options.not_negative,
    default=30.0,
    show_default=True,
    help="When to stop; 0 for never.",
)
@click.option(
    "--interval", type=float, callback=options.positive, default=0.5, show_default=True, help="Seconds between polls."
)
@options.demonstration(speed=10.0)
def command(*, seconds: float, interval: float, **demonstration: Unpack[options.DemoOptions]) -> Work:
    """Watch a simulated call centre.

    It is polled over HTTP, like a real one. At the end, or on Ctrl-C, the reported calls are compared with those that
    the simulator knows to be true.
    """
    centre = options.demonstration_of(demonstration)
    return partial(demo, standard_output(), centre, seconds=seconds, interval=interval)


async def demo(output: Output, centre: Demonstration = _USUAL, *, seconds: float = 30.0, interval: float = 0.5) -> int:
    """Show a simulated call centre for `seconds` (0: until cancelled), then print the comparison."""
    simulator = Simulator(centre.plan, seed=centre.seed, speed=0)
    async with simulator, client_of(simulator) as client:
        if output.terminal:
            output.wrapped(
                Text(
                    _("a simulated call centre at {url}, {speed:g} times as fast as real").format(
                        url=simulator.url, speed=centre.speed
                    ),
                    "dim",
                )
            )
        source = SteppedSource(simulator, client, centre.speed)
        watcher = StatusWatcher(source, interval=interval)
        printer = _Printer(output, watcher.updates())

        async def conclude() -> Comparison:
            await _print_last_poll(watcher, printer)
            comparison = Comparison.of(source, simulator.truth, watcher.health.polls, printer.counts)
            comparison.print(output)
            return comparison

        async with watcher:
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds or None):
                        await printer.run()
                comparison = await conclude()
            except asyncio.CancelledError:
                await conclude()
                raise
            return DONE if comparison.exact else FAILED


class _Printer:
    """Prints updates and counts their events."""

    def __init__(self, output: Output, updates: Updates) -> None:
        self._output = output
        self._updates = updates
        self._lines = EventLines(output)
        self.counts = EventCounts()

    async def run(self) -> None:
        """Print until the watcher ends."""
        async for update in self._updates:
            self._print(update)

    def print_pending(self) -> None:
        """Print the updates that are there already."""
        while update := self._updates.get_nowait():
            self._print(update)

    def _print(self, update: Update) -> None:
        for event in update.events:
            self.counts.add(event)
        for line in self._lines.lines(update, datetime.now(UTC)):
            self._output.line(line)


async def _print_last_poll(watcher: StatusWatcher, printer: _Printer) -> None:
    # If this poll fails, the comparison ends with the one before.
    with contextlib.suppress(SipQueueError, TimeoutError):
        async with asyncio.timeout(_LAST_POLL):
            await watcher.refresh()
    printer.print_pending()


@attrs.define
class EventCounts:
    """The number of reported events and calls."""

    kinds: Counter[str] = attrs.Factory(Counter[str])
    """Events by kind."""
    answered: int = 0
    """Calls reported as answered."""
    hidden: int = 0
    """The answered calls for which no snapshot showed the agent talking."""
    missed: int = 0
    """Offers reported as missed."""

    def add(self, event: Event) -> None:
        """Count one event."""
        self.kinds[event.kind] += 1
        if isinstance(event, CallAnswered):
            self.answered += event.count
            self.hidden += event.hidden_count
        elif isinstance(event, CallMissed):
            self.missed += event.count


@attrs.frozen(kw_only=True)
class Comparison:
    """The reported calls against the true ones."""

    polls: int
    counts: EventCounts
    true_answered: int
    true_missed: int
    span: float
    """Model seconds from the first snapshot to the last, over which the truth was counted."""

    @classmethod
    def of(cls, source: SteppedSource, truth: GroundTruth, polls: int, counts: EventCounts) -> Comparison:
        """Compare what was counted with the truth up to the newest snapshot."""
        first, last = source.first or 0.0, source.last or 0.0
        return cls(
            polls=polls,
            counts=counts,
            true_answered=truth.answered(first, last),
            true_missed=truth.missed(first, last),
            span=last - first,
        )

    @property
    def exact(self) -> bool:
        """Whether every call was reported, and no other."""
        return (self.counts.answered, self.counts.missed) == (self.true_answered, self.true_missed)

    def print(self, output: Output) -> None:
        """Print the polls, the events by kind, and the reported calls beside the true ones."""
        counts = self.counts
        output.line()
        span = _("{polls} over {span:.1f} s of the call centre's time")
        output.line(Text(span.format(polls=counted(self.polls, "poll"), span=self.span), "bold"))
        events = _table(output, _("event"), _("number"))
        for kind in KINDS:
            if counts.kinds[kind]:
                events.add_row(kind, str(counts.kinds[kind]))
        events.add_row(_("all events"), str(counts.kinds.total()), style="bold")
        output.table(events)
        output.line()
        calls = _table(output, _("calls"), _("true"), _("reported"))
        calls.add_row(heading("answered"), str(self.true_answered), str(counts.answered))
        calls.add_row(heading("missed"), str(self.true_missed), str(counts.missed))
        output.table(calls)
        output.line()
        if not self.exact:
            text = _("The report differs from the truth, which is a bug: please tell the project.")
            output.line(Text(text, "bold red"))
            return
        output.line(Text(_("Every call was reported, and no other."), "bold green"))
        if counts.hidden:
            story = _(
                "{hidden} of the {answered} answered began and ended between two polls: only the counters show them."
            )
            output.wrapped(Text(story.format(hidden=counts.hidden, answered=counts.answered), "dim"))


def _table(output: Output, heading: str, *numbers: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD if output.terminal else None, show_edge=False, pad_edge=False, header_style="bold"
    )
    table.add_column(heading, min_width=len("state-changed"))
    for number in numbers:
        table.add_column(number, justify="right")
    return table
