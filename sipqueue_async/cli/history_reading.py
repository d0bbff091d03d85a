"""Prints what was recorded: events, an agent's day, and reports."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import attrs
from rich.text import Text

from sipqueue_async import FeedDown, FeedUp, SeatFilter, SeatKey, Update
from sipqueue_async._json_lines import event_json
from sipqueue_async._language import state_word
from sipqueue_async._text import harmless
from sipqueue_async.cli.day import hours
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.history_report import report_csv, report_json, report_table
from sipqueue_async.cli.spans import Reading
from sipqueue_async.cli.terminal.bars import BLOCKS, LETTERS, Bar, Piece, bar_lines
from sipqueue_async.cli.terminal.lines import STATE_STYLES, EventLines
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.cli.terminal.table import TableColumn, table_lines
from sipqueue_async.cli.words import _
from sipqueue_async.history import Outage, StateInterval
from sipqueue_async.history.tables import EVENTS, INTERVALS, event_row, interval_row
from sipqueue_async.history.writers import CsvWriter

_STATE: Final = 3
"""The column of the state."""
_WIDTH: Final = 80
"""Cells of a bar and its name, if there is no terminal that says how many it has."""
_UNCONFIRMED: Final = timedelta(minutes=2)
"""So long after the last confirmation the status is unknown: a recorder confirms it once a minute."""
_SHORTEST: Final = timedelta(seconds=1)
"""The shortest time that is drawn up to the present: its cells need some length."""


async def print_events(part: Reading, output: Output, kinds: Collection[str]) -> None:
    """Print a line for each change, and one for each day."""
    lines = EventLines(output)
    day: date | None = None
    async with part.opened() as history:
        async for update in history.updates(part.since, part.until):
            chosen = _chosen(update, part.filter)
            at = part.until if update.snapshot is None else update.snapshot.observed_at
            for line in lines.lines(chosen, at, kinds):
                if day != at.astimezone().date():
                    day = at.astimezone().date()
                    output.line(Text(str(day), "bold"))
                output.line(line)
    if day is None:
        output.line(_("nothing was recorded"))


def _chosen(update: Update, seats: SeatFilter) -> Update:
    events = (it for it in update.events if isinstance(it, FeedDown | FeedUp) or seats.admits(it.key))
    return attrs.evolve(update, events=tuple(events))


async def json_events(part: Reading, output: Output, kinds: Collection[str]) -> None:
    """Print an object for each event."""
    async with part.opened() as history:
        async for event in history.events(part.since, part.until, **part.seats):
            if not kinds or event.kind in kinds:
                output.line(event_json(event))


async def csv_events(part: Reading, output: Output, kinds: Collection[str]) -> None:
    """Print column names, and a line for each event."""
    writer = CsvWriter(OutputStream(output), EVENTS, part.zone)
    async with part.opened() as history:
        async for event in history.events(part.since, part.until, **part.seats):
            if not kinds or event.kind in kinds:
                writer.write([event_row(event)])


async def print_bars(part: Reading, output: Output, *, now: datetime) -> None:
    """Print a bar for each seat: when it was in which state, and when that was unknown.

    A span that is under way is drawn up to the present. The time after what is recorded is unknown: an outage goes on,
    or no recorder runs.

    Args:
        part: The seats and the span.
        output: The terminal.
        now: The present time.
    """
    bars: dict[SeatKey, Bar] = {}
    end = min(part.until, now)
    async with part.opened() as history:
        gaps = [it async for it in history.outages(part.since, part.until)]
        async for it in history.intervals(part.since, part.until, **part.seats):
            bar = bars.setdefault(it.key, Bar(""))
            # The interval in the end has the agent's last name.
            bar.name = " ".join(harmless(text) for text in (it.key.queue, it.key.extension, it.name) if text)
            bar.pieces += _pieces(it, gaps)
            if it.goes_on and it.ended_at + _UNCONFIRMED <= end:
                bar.pieces.append((it.ended_at, end, "unseen"))
    if bars:
        rows = [bars[key] for key in sorted(bars)]
        signs = BLOCKS if output.can_show("".join(BLOCKS.values())) else LETTERS
        ends_now = part.since + _SHORTEST <= now < part.until
        span = part.since, now if ends_now else part.until
        width = output.width or _WIDTH
        output.lines(bar_lines(rows, span, part.zone, width, signs=signs, ends_now=ends_now))
    else:
        output.line(_("nothing was recorded"))


def _pieces(interval: StateInterval, gaps: Sequence[Outage]) -> Iterator[Piece]:
    """Yield the parts of an interval: in its state, or unseen."""
    at = interval.began_at
    for gap in gaps:
        began, ended = max(at, gap.began_at), min(interval.ended_at, gap.ended_at or interval.ended_at)
        if began < ended:
            yield at, began, interval.state
            yield began, ended, "unseen"
            at = ended
    yield at, interval.ended_at, interval.state


async def print_timeline(part: Reading, output: Output) -> None:
    """Print a row for each interval."""
    columns = [TableColumn("from"), TableColumn("to"), TableColumn("lasted", right=True), TableColumn("state")]
    columns += [TableColumn("queue", 1), TableColumn("extension", 1), TableColumn("name", 2)]
    rows = []
    async with part.opened() as history:
        async for it in history.intervals(part.since, part.until, **part.seats):
            began, ended = (
                f"{moment.astimezone(part.zone):%Y-%m-%d %H:%M:%S}" for moment in (it.began_at, it.ended_at)
            )
            texts = [began, ended, hours(it.seconds), state_word(it.state)]
            texts += [harmless(text) for text in (it.key.queue, it.key.extension, it.name or "")]
            rows.append([(text, STATE_STYLES[it.state] if at == _STATE else "") for at, text in enumerate(texts)])
    if rows:
        output.lines(table_lines(columns, sorted(rows), output.width, other_forms="--csv"))
    else:
        output.line(_("nothing was recorded"))


async def csv_timeline(part: Reading, output: Output) -> None:
    """Print column names, and a line for each interval."""
    writer = CsvWriter(OutputStream(output), INTERVALS, part.zone)
    async with part.opened() as history:
        async for interval in history.intervals(part.since, part.until, **part.seats):
            writer.write([interval_row(interval)])


async def print_outages(part: Reading, output: Output) -> None:
    """Print a row for each time in which the status was unknown."""
    words = {"outage": _("no answer"), "stopped": _("no recorder"), "clock": _("clock set")}
    columns = [TableColumn("from"), TableColumn("to"), TableColumn("lasted", right=True), TableColumn("reason")]
    columns += [TableColumn("error", 1)]
    rows = []
    async with part.opened() as history:
        async for it in history.outages(part.since, part.until):
            began, ended = (
                _("goes on") if moment is None else f"{moment.astimezone(part.zone):%Y-%m-%d %H:%M:%S}"
                for moment in (it.began_at, it.ended_at)
            )
            lasted = "" if it.ended_at is None else hours((it.ended_at - it.began_at).total_seconds())
            texts = [began, ended, lasted, words[it.reason], harmless(it.error or "")]
            rows.append([(text, "") for text in texts])
    if rows:
        output.lines(table_lines(columns, rows, output.width, other_forms="--json"))
    else:
        output.line(_("no outages"))


async def json_outages(part: Reading, output: Output) -> None:
    """Print an object for each time in which the status was unknown."""
    async with part.opened() as history:
        async for it in history.outages(part.since, part.until):
            told = {
                "v": 1,
                "began_at": it.began_at.isoformat(),
                "ended_at": None if it.ended_at is None else it.ended_at.isoformat(),
                "reason": it.reason,
                "failures": it.failures,
                "error": it.error,
            }
            output.line(json.dumps(told))


async def print_report(part: Reading, output: Output, by: Any, *, form: str) -> None:
    """Print a report as a ``table``, as ``csv`` or as ``json``."""
    async with part.opened() as history:
        try:
            report = await history.report(part.since, part.until, by=by, zone=part.zone, **part.seats)
        except ValueError as error:
            raise Failure(str(error)) from None
    if form == "csv":
        output.text(report_csv(report))
    elif form == "json":
        output.line(report_json(report))
    else:
        report_table(report, output)


class OutputStream:
    """Lets a CSV writer write to an output."""

    def __init__(self, output: Output) -> None:
        self.write = output.text
