"""``sipqueue demo``: watches a simulated call centre over HTTP, and compares what was reported with what was true."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime

import attrs
from rich import box
from rich.table import Table
from rich.text import Text

from sipqueue_async import (
    AppCredentials,
    CallAnswered,
    CallMissed,
    Event,
    SipQueueClient,
    SipQueueError,
    Snapshot,
    StatusWatcher,
    Update,
    Updates,
)
from sipqueue_async.cli.exits import DONE, FAILED
from sipqueue_async.cli.output import Output
from sipqueue_async.cli.render import KINDS, Lines, counted
from sipqueue_async.simulator import Plan, Simulator

_LAST_POLL = 1.0
"""Seconds that the last poll may take; it is one over loopback."""


@attrs.define
class Tally:
    """Counts what a watcher reports."""

    kinds: Counter[str] = attrs.Factory(Counter[str])
    """Events by kind."""
    answered: int = 0
    """Calls reported as answered."""
    hidden: int = 0
    """Those of them that no snapshot showed an agent talking for."""
    missed: int = 0
    """Offers reported as missed."""

    def add(self, event: Event) -> None:
        """Count one event."""
        self.kinds[KINDS[type(event)]] += 1
        if isinstance(event, CallAnswered):
            self.answered += event.count
            self.hidden += event.count - 1 + event.hidden
        elif isinstance(event, CallMissed):
            self.missed += event.count


@attrs.frozen(kw_only=True)
class Report:
    """What a demonstration comes to."""

    polls: int
    tally: Tally
    true_answered: int
    true_missed: int
    span: float
    """Model seconds from the first snapshot to the last, which the truth was counted over."""

    @property
    def exact(self) -> bool:
        """Whether every call was reported, and none that was not."""
        return (self.tally.answered, self.tally.missed) == (self.true_answered, self.true_missed)


class SteppedSource:
    """Snapshots of a simulated call centre whose time moves between requests only.

    Before each request the model is brought up to the loop's clock, and then it stands until the next. So every
    snapshot belongs to one known moment of model time, and the truth can be counted over exactly what was watched.

    Args:
        simulator: One whose own speed is 0.
        client: Whom to ask.
        speed: Model seconds for each second.
    """

    def __init__(self, simulator: Simulator, client: SipQueueClient, speed: float) -> None:
        self._simulator = simulator
        self._client = client
        self._speed = speed
        self._moved_at = asyncio.get_running_loop().time()
        self.first: float | None = None
        """The model second of the first snapshot."""
        self.last: float | None = None
        """The model second of the newest snapshot."""

    async def __call__(self) -> Snapshot:
        """Return the next snapshot."""
        now = asyncio.get_running_loop().time()
        self._simulator.advance((now - self._moved_at) * self._speed)
        self._moved_at = now
        snapshot = await self._client.fetch_snapshot()
        self.last = self._simulator.centre.now
        self.first = self.last if self.first is None else self.first
        return snapshot

    def report(self, polls: int, tally: Tally) -> Report:
        """Return the comparison up to the newest snapshot."""
        first, last = self.first or 0.0, self.last or 0.0
        truth = self._simulator.truth
        return Report(
            polls=polls,
            tally=tally,
            true_answered=truth.answered(first, last),
            true_missed=truth.missed(first, last),
            span=last - first,
        )


async def demo(
    output: Output, *, seconds: float = 30.0, interval: float = 0.5, speed: float = 10.0, seed: int = 0
) -> int:
    """Show a simulated call centre for some seconds, or with 0 until cancelled, and sum up."""
    simulator = Simulator(Plan.lively(), seed=seed, speed=0)
    async with simulator, SipQueueClient(simulator.url, credentials(simulator)) as client:
        if output.terminal:
            output.line(Text(f"a simulated call centre at {simulator.url}, {speed:g} times as fast as real", "dim"))
        source = SteppedSource(simulator, client, speed)
        watcher = StatusWatcher(source, interval=interval)
        show = _Show(output, watcher.updates())
        async with watcher:
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds or None):
                        await show.run()
            except asyncio.CancelledError:
                await _conclude(output, watcher, show, source)
                raise
            return await _conclude(output, watcher, show, source)


class _Show:
    """Prints updates and counts them."""

    def __init__(self, output: Output, updates: Updates) -> None:
        self._output = output
        self._updates = updates
        self._lines = Lines(output.arrow)
        self.tally = Tally()

    async def run(self) -> None:
        """Go on for as long as the watcher does."""
        async for update in self._updates:
            self._take(update)

    async def catch_up(self) -> None:
        """Take what is there already."""
        while self._updates.pending:
            self._take(await anext(self._updates))

    def _take(self, update: Update) -> None:
        for event in update.events:
            self.tally.add(event)
            self._output.line(self._lines.line(event, datetime.now(UTC)))


async def _conclude(output: Output, watcher: StatusWatcher, show: _Show, source: SteppedSource) -> int:
    # A poll that fails here leaves the one before as the last, up to which the report is as exact.
    with contextlib.suppress(SipQueueError, TimeoutError):
        async with asyncio.timeout(_LAST_POLL):
            await watcher.refresh()
    await show.catch_up()
    report = source.report(watcher.health.polls, show.tally)
    print_report(output, report)
    return DONE if report.exact else FAILED


def credentials(simulator: Simulator) -> AppCredentials:
    """Return what a simulator lets in."""
    return AppCredentials(simulator.appid, simulator.accesskey)


def print_report(output: Output, report: Report) -> None:
    """Print the summary: polls, events by kind, and what was true against what was reported."""
    tally = report.tally
    output.line()
    output.line(Text(f"{counted(report.polls, 'poll')} over {report.span:.1f} s of the call centre's time", "bold"))
    events = _table(output, "event", "number")
    for kind in KINDS.values():
        if tally.kinds[kind]:
            events.add_row(kind, str(tally.kinds[kind]))
    events.add_row("all events", str(tally.kinds.total()), style="bold")
    output.table(events)
    output.line()
    calls = _table(output, "calls", "true", "reported")
    calls.add_row("answered", str(report.true_answered), str(tally.answered))
    calls.add_row("missed", str(report.true_missed), str(tally.missed))
    output.table(calls)
    output.line()
    if report.exact:
        output.line(Text("Every call was reported, and no other.", "bold green"))
        if tally.hidden:
            story = f"{tally.hidden} of the {tally.answered} answered began and ended between two polls"
            output.line(Text(f"{story}: only the counters tell of them.", "dim"))
    else:
        output.line(Text("The report differs from the truth, which is a bug: please tell the project.", "bold red"))


def _table(output: Output, heading: str, *numbers: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD if output.terminal else None, show_edge=False, pad_edge=False, header_style="bold"
    )
    table.add_column(heading, min_width=len("state-changed"))
    for number in numbers:
        table.add_column(number, justify="right")
    return table
