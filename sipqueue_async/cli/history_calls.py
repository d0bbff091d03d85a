"""Prints the call records of a history, and figures of them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any, Final

from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async._language import label_word
from sipqueue_async._language.codes import DIRECTION, HANG_UP
from sipqueue_async._text import harmless
from sipqueue_async.cli.call_figures import Counting, figures_table
from sipqueue_async.cli.history_reading import OutputStream
from sipqueue_async.cli.spans import Reading
from sipqueue_async.cli.terminal.lines import reported_span, time_span
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines
from sipqueue_async.cli.words import _, counted
from sipqueue_async.history import CallReport, CallReportRow, History
from sipqueue_async.history.call_export import CALL_RECORDS, CALL_REPORT, call_record_row, call_report_row
from sipqueue_async.history.call_report import NOT_KNOWN
from sipqueue_async.history.writers import CsvWriter
from sipqueue_async.records import FollowedCall

_NUMBERS: Final = ("caller", "called")
_COLUMNS: Final = (
    TableColumn("started"),
    TableColumn("way"),
    TableColumn("queue", rank=1),
    TableColumn("extension"),
    TableColumn("caller", labelled=True),
    TableColumn("called", rank=3),
    TableColumn("waited", rank=2, right=True),
    TableColumn("talked", right=True, labelled=True),
    TableColumn("ended", rank=4),
)


async def print_calls(part: Reading, output: Output, direction: str | None, *, numbers: bool) -> None:
    """Print a row for each call."""
    async with part.opened() as history:
        found = [call async for call in _calls(part, history, direction)]
    if not found:
        output.line(_("no call records were recorded; sipqueue record --calls records them"))
        return
    columns = [column for column in _COLUMNS if numbers or column.heading not in _NUMBERS]
    rows = (_cells(part, call, numbers=numbers) for call in found)
    output.lines(table_lines(columns, rows, output.width, other_forms="--csv, --json"))
    output.line()
    answered = sum(call.record.is_answered for call in found)
    summary = _("{calls}, {answered} answered")
    output.wrapped(summary.format(calls=counted(len(found), "call"), answered=answered))


async def json_calls(part: Reading, output: Output, direction: str | None, *, numbers: bool) -> None:
    """Print an object for each call."""
    async with part.opened() as history:
        async for call in _calls(part, history, direction):
            fields = call.record.to_dict(numbers=numbers)
            output.line(json_line({"v": FORMAT_VERSION, "queue": call.queue, **fields}))


async def csv_calls(part: Reading, output: Output, direction: str | None, *, numbers: bool) -> None:
    """Print column names, and a line for each call."""
    writer = CsvWriter(OutputStream(output), CALL_RECORDS, part.zone)
    async with part.opened() as history:
        async for call in _calls(part, history, direction):
            writer.write([call_record_row(call, numbers=numbers)])


def _calls(part: Reading, history: History, direction: str | None) -> AsyncIterator[FollowedCall]:
    return history.call_records(part.since, part.until, direction=direction, **part.seats)


def _cells(part: Reading, call: FollowedCall, *, numbers: bool) -> list[Cell]:
    record = call.record
    parties = [record.caller or "", record.callee or ""] if numbers else []
    texts = [
        f"{record.started_at.astimezone(part.zone):%Y-%m-%d %H:%M:%S}",
        label_word(DIRECTION, record.direction.value),
        *map(harmless, (call.queue or "", record.extension or "", *parties)),
        "" if record.waiting_seconds is None else time_span(record.waiting_seconds),
    ]
    talked = (time_span(record.talk_seconds or 0), "") if record.is_answered else (_("not answered"), "dim")
    return [
        *((text, "") for text in texts),
        talked,
        (label_word(HANG_UP, record.hang_up_cause) if record.hang_up_cause else "", ""),
    ]


async def print_call_report(part: Reading, output: Output, by: Any, counting: Counting, *, form: str) -> None:
    """Print a report of calls as a ``table``, as ``csv`` or as ``json``."""
    async with part.opened() as history:
        report = await history.call_report(
            part.since,
            part.until,
            by=by,
            zone=part.zone,
            **part.seats,
            answer_within=counting.within,
            wrap_up=counting.wrap_up,
            prefixes=counting.prefixes,
        )
    if form == "csv":
        text = io.StringIO()
        CsvWriter(text, CALL_REPORT, report.zone).write(map(call_report_row, report.rows))
        output.text(text.getvalue())
    elif form == "json":
        output.line(_json(report))
    elif not report.rows:
        output.line(_("no call records were recorded; sipqueue record --calls records them"))
    else:
        _table(report, output, counting)


def _table(report: CallReport, output: Output, counting: Counting) -> None:
    rows = [(_name(row), row.figures) for row in report.rows if row.figures.offered]
    figures_table(report.by.replace("_", " "), [*rows, (_("total"), report.total)], output, counting)
    output.wrapped(reported_span(report.since, report.until, report.zone))


def _name(row: CallReportRow) -> str | None:
    """Return what stands in the table for a row; None if its queue or agent is not known."""
    if row.label == NOT_KNOWN and row.queue is None and row.extension is None:
        return None
    return f"{row.label} {row.name}" if row.name else row.label


def _json(report: CallReport) -> str:
    rows = [
        {
            **{name: getattr(row, name) for name in ("label", "start", "end", "queue", "extension", "name")},
            **row.figures.to_dict(),
        }
        for row in report.rows
    ]
    head = {"by": report.by, "zone": str(report.zone), "since": report.since, "until": report.until}
    return json_line({"v": FORMAT_VERSION, **head, "rows": rows, "total": report.total.to_dict()})
