"""``sipqueue report``: watches until it is ended, then prints the day's figures."""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Final, Unpack, assert_never

import click
from rich.text import Text

from sipqueue_async import (
    Feed,
    FeedDown,
    FeedHealth,
    FeedUp,
    SeatFilter,
    SipQueueError,
    StatusWatcher,
    Subscription,
)
from sipqueue_async.cli import options
from sipqueue_async.cli.absent import check_all_watched
from sipqueue_async.cli.call_figures import (
    Counting,
    FigureOptions,
    counting_of,
    figure_options,
    refuse_figure_options,
)
from sipqueue_async.cli.day import Day
from sipqueue_async.cli.exits import ABSENT, UNREACHABLE, Failure, complain
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, absent_names, feed_of, origin_of
from sipqueue_async.cli.running import Job, Work
from sipqueue_async.cli.simulation import Demonstration, stepped_feed
from sipqueue_async.cli.spans import BY, Reading, ReadingOptions, reading, reading_of
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.cli.terminal.lines import feed_line
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _, counted
from sipqueue_async.tally import Tally

SAVE_EVERY: Final = 10.0
"""Seconds between two saves. A crash makes at most this much of the day unseen, and loses no call."""

_LAST_POLL: Final = 2.0
"""Timeout in seconds of the poll at the end of the period."""

DEMO_SECONDS: Final = 600.0
"""The default length of the demonstration, in the simulated centre's seconds."""


class Form(Enum):
    """How the figures are printed."""

    TABLE = auto()
    CSV = auto()
    CSV_WITH_BOM = auto()
    JSON = auto()


class _Given(ReadingOptions, FigureOptions, OriginOptions):
    """The options that come from elsewhere."""


@click.command(
    "report",
    epilog=options.examples(
        "sipqueue report --seconds 3600 --csv > hour.csv",
        "sipqueue report --state-file day.json",
        "sipqueue report --db sqlite:///day.db --since yesterday",
        "sipqueue report --db sqlite:///day.db --since yesterday --calls --by queue",
    ),
)
@reading
@click.option("--by", type=click.Choice((*BY, "prefix")), help="With --db: what the rows are; by default agent.")
@click.option("--calls", is_flag=True, help="With --db: print figures of the recorded call records.")
@figure_options
@options.interval
@click.option(
    "--seconds",
    type=float,
    callback=options.not_negative,
    help="When to stop; 0 for never, which is the default (with --demo, 600 is).",
)
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    help="Keep the figures in this file, and after a restart go on with the same day.",
)
@click.option("--saved", is_flag=True, help="Print the figures in the state file, without watching.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each seat.")
@click.option("--bom", is_flag=True, help="With --csv: begin with a byte order mark, which Excel needs for UTF-8.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--demo", is_flag=True, help="Watch a simulated call centre instead.")
@options.demonstration(speed=60.0)
@options.origin
def command(
    *,
    interval: float,
    seconds: float | None,
    state_file: Path | None,
    saved: bool,
    demo: bool,
    as_csv: bool,
    bom: bool,
    as_json: bool,
    agents: int,
    demo_queues: int | None,
    speed: float,
    seed: int,
    by: str | None,
    calls: bool,
    **given: Unpack[_Given],
) -> Job | Work:
    """Print the day's figures: who did what for how long.

    The platform keeps no such record, so the command watches, and prints the figures on Ctrl-C or after --seconds.
    With --demo, seconds are those of the simulated centre. With --db it prints figures that "sipqueue record" wrote.
    """
    options.refuse_together({"--csv": as_csv, "--json": as_json})
    watching = {"--demo": demo, "--saved": saved, "--state-file": state_file is not None}
    if _is_of_history(given, by, calls, {**watching, "--bom": bom, "--seconds": seconds is not None}):
        counting = counting_of_history(given, by, calls=calls)
        return of_history(reading_of(given), by or "agent", counting, as_csv=as_csv, as_json=as_json)
    refuse_figure_options(given, "--calls")
    options.refuse_together({"--saved": saved, "--demo": demo})
    options.refuse_together({"--state-file": state_file is not None, "--demo": demo})
    options.refuse_relay_with("--demo", demo, given)
    options.refuse_relay_with("--saved", saved, given)
    if bom and not as_csv:
        raise click.UsageError("--bom needs --csv")
    if saved and state_file is None:
        raise click.UsageError("--saved needs --state-file, which names the file to print")
    if seconds is None:
        seconds = DEMO_SECONDS if demo else 0.0
    report = Report(
        standard_output(),
        form=_form(as_csv=as_csv, bom=bom, as_json=as_json),
        seats=SeatFilter(given["queues"] or None, given["extensions"] or None),
        interval=interval,
        seconds=seconds,
        state_file=None if state_file is None else StateFile(state_file, Tally.from_json),
    )
    if saved:
        return Job(report.load_saved, report.print)
    if demo:
        centre = Demonstration(agents=agents, queues=demo_queues, speed=speed, seed=seed)
        return Job(partial(report.watch_demo, centre), report.print)
    return Job(partial(report.watch, origin_of(given, os.environ)), report.print)


def _is_of_history(given: _Given, by: str | None, calls: bool, watching: dict[str, bool]) -> bool:
    """Return whether the figures are those of a history.

    Raises:
        click.UsageError: Options of a history are given together with options for watching.
    """
    of_history = {"--since": given["since"], "--until": given["until"], "--zone": given["zone_name"], "--by": by}
    of_history["--calls"] = "yes" if calls else None
    names = [name for name, value in {"--db": given["db_url"], **of_history}.items() if value is not None]
    for name, is_given in watching.items():
        if names:
            options.refuse_together({names[0]: True, name: is_given})
    return bool(names)


def counting_of_history(given: FigureOptions, by: str | None, *, calls: bool) -> Counting | None:
    """Return how to count a history's call records; None for a report of its events.

    Raises:
        click.UsageError: An option needs ``--calls``, or as for `counting_of`.
    """
    if calls:
        return counting_of(given, by)
    if by == "prefix":
        raise click.UsageError("--by prefix needs --calls")
    refuse_figure_options(given, "--calls")
    return None


def of_history(part: Reading, by: str, counting: Counting | None, *, as_csv: bool, as_json: bool) -> Work:
    """Return what prints a report of a history, of its call records if it is told how to count them."""
    # Imported lazily: it needs SQLAlchemy, and `reading_of` reports that it is missing.
    from sipqueue_async.cli.history_calls import print_call_report  # noqa: PLC0415
    from sipqueue_async.cli.history_reading import print_report  # noqa: PLC0415

    form = "csv" if as_csv else "json" if as_json else "table"
    if counting is not None:
        return partial(print_call_report, part, standard_output(), by, counting, form=form)
    return partial(print_report, part, standard_output(), by, form=form)


def _form(*, as_csv: bool, bom: bool, as_json: bool) -> Form:
    if as_csv:
        return Form.CSV_WITH_BOM if bom else Form.CSV
    return Form.JSON if as_json else Form.TABLE


class Report:
    """One run of the command: fills a tally in one of three ways, then prints it.

    Args:
        output: Where the figures are printed.
        form: How they are printed.
        seats: Which seats to watch and to print.
        interval: Seconds between polls.
        seconds: When to stop; 0 for never.
        state_file: Where the tally is kept.
    """

    def __init__(
        self,
        output: Output,
        *,
        form: Form = Form.TABLE,
        seats: SeatFilter = ALL_SEATS,
        interval: float = 2.0,
        seconds: float = 0.0,
        state_file: StateFile[Tally] | None = None,
    ) -> None:
        self._output = output
        self._form = form
        self._seats = seats
        self._interval = interval
        self._seconds = seconds
        self._state_file = state_file
        self.tally = Tally()
        """The figures so far."""
        self._has_figures = False
        """Whether the tally has begun: in an earlier run, or with the first known status in this one."""

    async def watch(self, origin: Origin) -> None:
        """Watch a platform or a relay, resuming from the saved tally if there is one."""
        self.tally = self._load() or self.tally
        self._has_figures = self.tally.started_at is not None
        self._check_resumed()
        async with feed_of(origin, interval=self._interval, seats=self._seats, baseline=self.tally.snapshot) as feed:
            await self._follow(feed, origin)

    async def watch_demo(self, centre: Demonstration) -> None:
        """Watch a simulated call centre in its own time."""
        async with stepped_feed(centre, interval=self._interval, seats=self._seats) as (watcher, client):
            await self._follow(watcher, client, centre.speed)

    async def load_saved(self) -> None:
        """Load the saved tally without watching."""
        tally = self._load()
        if tally is None or tally.started_at is None:
            raise Failure("there is nothing saved in the state file yet")
        self.tally = tally
        self._has_figures = True

    def print(self) -> None:
        """Print the figures, if there are any."""
        if not self._has_figures:
            return
        day = Day(self.tally, self._seats)
        match self._form:
            case Form.TABLE:
                day.print(self._output)
            case Form.CSV:
                self._output.text(day.csv())
            case Form.CSV_WITH_BOM:
                self._output.text(f"\N{BYTE ORDER MARK}{day.csv()}")
            case Form.JSON:
                self._output.text(day.json() + "\n")
            case _:
                assert_never(self._form)

    # ---- the saved tally ---------------------------------------------------------------------------------------------

    def _load(self) -> Tally | None:
        return None if self._state_file is None else self._state_file.load()

    def _save(self) -> None:
        if self._state_file is not None and self._has_figures:
            self._state_file.save(self.tally)

    def _check_resumed(self) -> None:
        check_all_watched(self.tally.seats, self._seats, "the state file", "another file")
        began = self.tally.started_at
        if began is not None and began.astimezone().date() != datetime.now().astimezone().date():
            complain(f"warning: the tally of the state file began on {began.astimezone():%Y-%m-%d}")

    # ---- watching ----------------------------------------------------------------------------------------------------

    async def _follow(self, feed: Feed, origin: Origin, speed: float = 1.0) -> None:
        up = asyncio.Event()

        def looked(health: FeedHealth) -> None:
            if health.up:
                up.set()
                self._has_figures = True

        stop = self.tally.follow(feed)
        feed.add_listener(looked)
        outages = feed.subscribe(FeedDown, FeedUp)
        async with feed:
            try:
                try:
                    async with asyncio.timeout(self._seconds / speed or None):
                        await asyncio.gather(_report(outages), self._greet(feed, origin), self._save_regularly())
                except TimeoutError:
                    await _poll_once_more(feed)
            finally:
                stop()
                self._save()
        if not up.is_set():
            reason = feed.health.last_error or "it is silent"
            raise Failure(f"no status came within {self._seconds:g} s: {reason}", UNREACHABLE)

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            self._save()

    async def _greet(self, feed: Feed, origin: Origin) -> None:
        """Save the first status and, on a terminal, print that the feed is up.

        Raises:
            Failure: A named queue or extension does not exist.
        """
        try:
            snapshot = await feed.ready()
        except SipQueueError:
            return  # The subscription ends with the same error, after the events that are pending.
        if absent := await absent_names(origin, self._seats, {*snapshot, *self.tally.seats}):
            self._has_figures = False
            raise Failure(absent, ABSENT)
        self._save()
        if self._output.terminal and self._form is Form.TABLE:
            seats = _("{seats} in {queues}").format(
                seats=counted(len(snapshot), "seat"), queues=counted(len(snapshot.queues), "queue")
            )
            self._output.wrapped(Text(_("watching {seats}; Ctrl-C prints the report").format(seats=seats), "dim"))


async def _poll_once_more(feed: Feed) -> None:
    """Poll once more, so that the figures include the time since the last poll."""
    if feed.health.up and isinstance(feed, StatusWatcher):
        with contextlib.suppress(SipQueueError, TimeoutError):
            async with asyncio.timeout(_LAST_POLL):
                await feed.refresh()


async def _report(outages: Subscription[FeedDown | FeedUp]) -> None:
    """Report outages on stderr until the feed ends."""
    async for event in outages:
        complain(feed_line(event, datetime.now(UTC)).plain)
