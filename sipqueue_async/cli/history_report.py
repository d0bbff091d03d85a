"""A history's report as a table for people, and as CSV or JSON for programs."""

from __future__ import annotations

import io
from typing import Any, Final

from sipqueue_async import AgentState
from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async._text import harmless
from sipqueue_async.cli.day import hours
from sipqueue_async.cli.terminal.lines import reported_span
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines
from sipqueue_async.cli.words import _
from sipqueue_async.history import Figures, Report, ReportRow
from sipqueue_async.history.tables import REPORT, figure_values, report_row
from sipqueue_async.history.writers import CsvWriter

_HEADINGS: Final = {"hour_of_day": "hour of day"}
_SHOWN_STATES: Final = (AgentState.WAITING, AgentState.PAUSED, AgentState.IDLE)

_COLUMNS: Final = (
    # In the order of the table; on a narrow terminal the highest rank is left out first.
    ("answered", 1),
    ("missed", 2),
    ("rate", 5),
    ("talking", 3),
    ("mean talk", 7),
    ("longest", 8),
    *zip((state.value for state in _SHOWN_STATES), (10, 9, 11), strict=True),
    ("signed in", 4),
    ("occupancy", 6),
)


def report_table(report: Report, output: Output) -> None:
    """Print a report's rows with anything in them, and their total."""
    rows = [row for row in report.rows if row.figures != Figures()]
    if not rows:
        output.line(_("nothing was recorded"))
        return
    unseen = any(row.figures.unseen for row in rows)
    columns = [*_name_columns(report), *(TableColumn(name, rank, right=True) for name, rank in _COLUMNS)]
    columns += [TableColumn("unseen", 12, right=True)] * unseen
    lines = [_line(_names(report, row), row.figures, unseen=unseen) for row in rows]
    names = [_("total"), *[""] * (len(_name_columns(report)) - 1)]
    lines.append(_line(names, report.total, unseen=unseen, style="bold"))
    output.lines(table_lines(columns, lines, output.width, other_forms="--csv, --json"))
    output.line()
    output.wrapped(reported_span(report.since, report.until, report.zone))


def report_csv(report: Report) -> str:
    """Return a line of column names, and one line for each row; none for the total."""
    text = io.StringIO()
    CsvWriter(text, REPORT, report.zone).write(map(report_row, report.rows))
    return text.getvalue()


def report_json(report: Report) -> str:
    """Return one object on one line, in ASCII."""
    return json_line(
        {
            "v": FORMAT_VERSION,
            "by": report.by,
            "zone": str(report.zone),
            "since": report.since,
            "until": report.until,
            "rows": [_row_json(row) for row in report.rows],
            "total": _figures_json(report.total),
        }
    )


def _name_columns(report: Report) -> list[TableColumn]:
    if report.by == "agent":
        return [TableColumn("queue"), TableColumn("extension"), TableColumn("name")]
    return [TableColumn(_HEADINGS.get(report.by, report.by))]


def _names(report: Report, row: ReportRow) -> list[str]:
    names = (row.queue, row.extension, row.name) if report.by == "agent" else (row.label,)
    return [harmless(name or "") for name in names]


def _line(names: list[str], figures: Figures, *, unseen: bool, style: str = "") -> list[Cell]:
    cells = [
        str(figures.answered),
        str(figures.missed),
        _share(figures.answer_rate),
        hours(figures.talk_seconds),
        "" if figures.mean_talk_seconds is None else hours(figures.mean_talk_seconds),
        hours(figures.longest_talk_seconds),
        *(hours(figures.seconds[state]) for state in _SHOWN_STATES),
        hours(figures.signed_in_seconds),
        _share(figures.occupancy),
    ]
    return [(text, style) for text in (*names, *cells, *[hours(figures.unseen_seconds)] * unseen)]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _row_json(row: ReportRow) -> dict[str, Any]:
    names = {"queue": row.queue, "extension": row.extension, "name": row.name}
    return {"label": row.label, "start": row.start, "end": row.end, **names, **_figures_json(row.figures)}


def _figures_json(figures: Figures) -> dict[str, Any]:
    names = [column.name for column in REPORT.columns][-len(figure_values(figures)) :]
    return dict(zip(names, figure_values(figures), strict=True))
