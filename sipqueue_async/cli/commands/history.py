"""``sipqueue history``: reads, exports and prunes what ``sipqueue record`` has written."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack
from zoneinfo import ZoneInfo

import click

from sipqueue_async._json_lines import KINDS
from sipqueue_async.cli import options
from sipqueue_async.cli.call_figures import FigureOptions, figure_options
from sipqueue_async.cli.commands.report import counting_of_history, of_history
from sipqueue_async.cli.database import DatabaseOptions, database, history_of, opened_to_read
from sipqueue_async.cli.exits import FAILED, Failure
from sipqueue_async.cli.progress import progress
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.spans import BY, Reading, ReadingOptions, SpanOptions, reading, reading_of, span, zone_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _

if TYPE_CHECKING:
    from sipqueue_async.history import History

CONTENTS: Final = ("events", "calls", "intervals", "report", "call_records")
"""What can be exported."""


class _ReportOptions(ReadingOptions, FigureOptions):
    """The options that come from elsewhere."""


@click.group("history", epilog=options.examples("sipqueue history events --db sqlite:///day.db --since yesterday"))
def command() -> None:
    """Read, export and prune what was recorded."""


@command.command("events", epilog=options.examples("sipqueue history events --since 9:00-12:00 --only call-missed"))
@click.option("--only", "kinds", type=click.Choice(KINDS), multiple=True, help="Only this kind; may be repeated.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each event.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object for each event.")
@reading
def events(*, kinds: tuple[str, ...], as_csv: bool, as_json: bool, **given: Unpack[ReadingOptions]) -> Work:
    """Print events."""
    options.refuse_together({"--csv": as_csv, "--json": as_json})
    part, output = reading_of(given), standard_output()
    from sipqueue_async.cli import history_reading as to  # noqa: PLC0415

    form = to.csv_events if as_csv else to.json_events if as_json else to.print_events
    return partial(form, part, output, kinds)


@command.command("report", epilog=options.examples("sipqueue history report --since 'last week' --by day"))
@click.option("--by", type=click.Choice((*BY, "prefix")), default="day", show_default=True, help="What the rows are.")
@click.option("--calls", is_flag=True, help="Print figures of the call records instead.")
@figure_options
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each row.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reading
def report(*, by: str, calls: bool, as_csv: bool, as_json: bool, **given: Unpack[_ReportOptions]) -> Work:
    """Print figures: calls, times, occupancy. With --calls: service level, waiting, talk and handle time."""
    options.refuse_together({"--csv": as_csv, "--json": as_json})
    counting = counting_of_history(given, by, calls=calls)
    return of_history(reading_of(given), by, counting, as_csv=as_csv, as_json=as_json)


@command.command("calls", epilog=options.examples("sipqueue history calls --since yesterday --direction in"))
@click.option("--direction", type=click.Choice(["in", "out"]), help="Only incoming or only outgoing calls.")
@click.option("--numbers", is_flag=True, help="Show telephone numbers, as far as they are stored.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each call.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object for each call.")
@reading
def calls_command(
    *, direction: str | None, numbers: bool, as_csv: bool, as_json: bool, **given: Unpack[ReadingOptions]
) -> Work:
    """Print the recorded call records, with the queues that are known."""
    options.refuse_together({"--csv": as_csv, "--json": as_json})
    part, output = reading_of(given), standard_output()
    from sipqueue_async.cli import history_calls as to  # noqa: PLC0415

    form = to.csv_calls if as_csv else to.json_calls if as_json else to.print_calls
    return partial(form, part, output, direction, numbers=numbers)


@command.command("timeline", epilog=options.examples("sipqueue history timeline 100001 100002 --since yesterday"))
@click.argument("extension", nargs=-1)
@click.option("--table", "as_table", is_flag=True, help="Print a line for each interval, as without a terminal.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each interval.")
@options.queues
@span
def timeline(
    *,
    extension: tuple[str, ...],
    as_table: bool,
    as_csv: bool,
    queues: frozenset[str],
    **given: Unpack[SpanOptions],
) -> Work:
    """Show the day of agents as bars: when each was in which state.

    Without an EXTENSION, all agents are shown.
    """
    options.refuse_together({"--table": as_table, "--csv": as_csv})
    part, output = reading_of({**given, "queues": queues, "extensions": frozenset(extension)}), standard_output()
    from sipqueue_async.cli import history_reading as to  # noqa: PLC0415

    if as_csv:
        return partial(to.csv_timeline, part, output)
    if output.terminal and not as_table:
        return partial(to.print_bars, part, output, now=datetime.now(UTC))
    return partial(to.print_timeline, part, output)


@command.command("outages", epilog=options.examples("sipqueue history outages --since 'last week'"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object for each outage.")
@span
def outages(*, as_json: bool, **given: Unpack[SpanOptions]) -> Work:
    """Print the times in which the status was unknown, and why."""
    part = reading_of({**given, "queues": frozenset(), "extensions": frozenset()})
    from sipqueue_async.cli import history_reading as to  # noqa: PLC0415

    return partial(to.json_outages if as_json else to.print_outages, part, standard_output())


@command.command("export", epilog=options.examples("sipqueue history export calls.xlsx --since 'last month'"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--what", type=click.Choice(CONTENTS), default="calls", show_default=True, help="What to write.")
@click.option("--by", type=click.Choice(BY), default="day", show_default=True, help="What the rows of a report are.")
@click.option("--numbers", is_flag=True, help="With --what call_records: write telephone numbers that are stored.")
@reading
def export_command(*, file: Path, what: str, by: str, numbers: bool, **given: Unpack[ReadingOptions]) -> Work:
    """Write events, calls, intervals, a report or call records to a CSV, Excel or Parquet file.

    The file's ending determines the format: .csv, .xlsx or .parquet.
    """
    return partial(export, reading_of(given), standard_output(), file, what=what, by=by, numbers=numbers)


@command.command("prune", epilog=options.examples("sipqueue history prune --keep 400 --zone Asia/Shanghai"))
@click.option(
    "--keep", type=click.IntRange(0, timedelta.max.days), default=400, show_default=True, help="How many days to keep."
)
@click.option(
    "--keep-numbers",
    type=click.IntRange(0, timedelta.max.days),
    help="How many days to keep the telephone numbers of call records.",
)
@click.option("--zone", "zone_name", default="UTC", show_default=True, help="The time zone of the days.")
@click.option("--vacuum", is_flag=True, help="Give the space back to the file system afterwards.")
@database
def prune_command(
    *, keep: int, keep_numbers: int | None, zone_name: str, vacuum: bool, **given: Unpack[DatabaseOptions]
) -> Work:
    """Remove old events and call records; the daily figures of the events stay."""
    zone = zone_of(zone_name)
    assert isinstance(zone, ZoneInfo)  # noqa: S101  # it was given by name
    numbers = None if keep_numbers is None else timedelta(days=keep_numbers)
    work = partial(prune, history_of(given, os.environ), standard_output(), timedelta(days=keep), zone)
    return partial(work, keep_numbers=numbers, vacuum=vacuum)


async def export(part: Reading, output: Output, file: Path, *, what: str, by: str, numbers: bool = False) -> None:
    """Write a file, and say how many rows it has."""
    # Imported lazily: `history_of` reports that SQLAlchemy is missing.
    from sipqueue_async.history import export as write  # noqa: PLC0415

    given: dict[str, Any] = {"by": by, "zone": part.zone, "numbers": numbers, **part.seats}
    async with part.opened() as history:
        with progress(_("{:,} rows")) as show:
            try:
                rows = await write(history, what, file, part.since, part.until, progress=show, **given)  # type: ignore[arg-type]
            except (ImportError, ValueError) as error:
                raise Failure(str(error)) from None
            except OSError as error:
                raise Failure(f"{file} cannot be written: {error.strerror or error}", FAILED) from None
    output.line(_("{file}: {rows} rows").format(file=file, rows=rows))


async def prune(
    history: History,
    output: Output,
    keep: timedelta,
    zone: ZoneInfo,
    *,
    keep_numbers: timedelta | None = None,
    vacuum: bool,
) -> None:
    """Remove what is older, and say what was removed."""
    async with opened_to_read(history):
        with progress(_("pruning: {:.0%}")) as show:
            pruned = await history.prune(keep, zone=zone, keep_numbers=keep_numbers, progress=show)
        if vacuum:
            await history.vacuum()
    if pruned.kept_since is not None:
        text, kept = _("removed {events} rows from before {kept}"), pruned.kept_since.astimezone(zone)
        output.line(text.format(events=pruned.events, kept=f"{kept:%Y-%m-%d}"))
    elif not (pruned.call_records or pruned.numbers):
        output.line(_("nothing is older than {days} days").format(days=keep.days))
    if pruned.call_records:
        output.line(_("removed {number} call records").format(number=pruned.call_records))
    if pruned.numbers:
        output.line(_("removed the numbers of {number} call records").format(number=pruned.numbers))
