"""Exports parts of a history to files, in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, tzinfo
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from sipqueue_async.history.buckets import By
from sipqueue_async.history.call_export import CALL_RECORDS, call_record_row
from sipqueue_async.history.store import Names
from sipqueue_async.history.tables import (
    CALLS,
    EVENTS,
    INTERVALS,
    REPORT,
    call_row,
    event_row,
    interval_row,
    report_row,
)
from sipqueue_async.history.writers import FORMATS, Format, Table, Value, open_file
from sipqueue_async.history.zones import zone_or_local

if TYPE_CHECKING:
    from sipqueue_async.history.history import History

Content: TypeAlias = Literal["events", "calls", "intervals", "report", "call_records"]
"""What can be exported."""

CONTENTS: Final[tuple[Content, ...]] = get_args(Content)
"""All of it."""

PAGE: Final = 10_000
"""Rows that are kept in memory."""


def format_of(path: Path) -> Format:
    """Return the format that a file's name ends with.

    Raises:
        ValueError: It ends with none.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise ValueError(
            f"the file's name must end with .csv, .xlsx or .parquet, which selects the format: {path.name}"
        )
    return ending


async def export(
    history: History,
    content: Content,
    path: str | PathLike[str],
    since: datetime,
    until: datetime,
    *,
    queue: Names = None,
    extension: Names = None,
    by: By = "day",
    zone: tzinfo | str | None = None,
    numbers: bool = False,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write a span of a history to a file; return the number of rows.

    The file replaces another one once it is complete; memory is bounded. In CSV and Excel no text is a formula. Excel
    knows no time zones, so its times are those of `zone`.

    Args:
        history: The open history.
        content: ``"events"``, ``"calls"`` (answered and missed ones, from the events), ``"intervals"`` (the time of
            each agent in each state), ``"report"`` or ``"call_records"`` (what a `CallRecorder` wrote).
        path: The file. Its ending selects the format: ``.csv``, ``.xlsx`` or ``.parquet``, which needs the extra
            ``parquet``.
        since: The beginning.
        until: The end.
        queue: Only this queue or these queues.
        extension: Only this extension or these extensions.
        by: What the rows of a report are.
        zone: The time zone or its name; by default this machine's.
        numbers: Whether call records have their telephone numbers, as far as they are stored.
        progress: Called with the number of rows so far, now and then.

    Raises:
        HistoryError: The database cannot be read.
        ImportError: The library of the format is not installed.
        OSError: The file cannot be written.
        ValueError: The file's name has no known ending, or as for `History.report`.
    """
    zone = zone_or_local(zone)
    target, seats = Path(path), {"queue": queue, "extension": extension}
    table, rows = _content(history, content, (since, until), seats, {"by": by, "zone": zone}, numbers=numbers)
    count = 0
    # Threads compress and write: the event loop may serve others.
    writer = await asyncio.to_thread(open_file, target, format_of(target), table, zone)
    with writer:
        async for page in _pages(rows):
            await asyncio.to_thread(writer.write, page)
            count += len(page)
            if progress is not None:
                progress(count)
    return count


_Row: TypeAlias = tuple[Value, ...]


def _content(
    history: History,
    content: Content,
    span: tuple[datetime, datetime],
    seats: dict[str, Any],
    rows: dict[str, Any],
    *,
    numbers: bool,
) -> tuple[Table, AsyncIterator[_Row]]:
    match content:
        case "events":
            return EVENTS, _rows(event_row, history.events(*span, **seats))
        case "calls":
            return CALLS, _rows(call_row, history.calls(*span, **seats))
        case "intervals":
            return INTERVALS, _rows(interval_row, history.intervals(*span, **seats))
        case "report":
            return REPORT, _report_rows(history, span, {**seats, **rows})
        case "call_records":
            row = partial(call_record_row, numbers=numbers)
            return CALL_RECORDS, _rows(row, history.call_records(*span, **seats))
    raise ValueError(f"content must be one of {', '.join(CONTENTS)}, not {content!r}")


async def _rows(row: Callable[[Any], _Row], items: AsyncIterator[Any]) -> AsyncIterator[_Row]:
    async for item in items:
        yield row(item)


async def _report_rows(
    history: History, span: tuple[datetime, datetime], choice: dict[str, Any]
) -> AsyncIterator[_Row]:
    report = await history.report(*span, **choice)
    for row in map(report_row, report.rows):
        yield row


async def _pages(rows: AsyncIterator[_Row]) -> AsyncIterator[list[_Row]]:
    page: list[_Row] = []
    async for row in rows:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
