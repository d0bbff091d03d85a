"""``sipqueue reconcile``: compares a history's answered calls with the platform's call records."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from sipqueue_async import CallAnswered, SipQueueClient
from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.exits import FAILED, Failure
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import client_of, settings_of
from sipqueue_async.cli.spans import Reading, reading, reading_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.terminal.table import TableColumn, table_lines
from sipqueue_async.cli.words import _, counted
from sipqueue_async.records import reconcile

_LONGEST_WAIT: Final = timedelta(hours=2)
"""A call can be dialled so long before its answer, and its event come so long after it."""
_SERVER: Final = ("url", "config", "timezone", "timeout")
_COLUMNS: Final = (
    TableColumn("hour"),
    TableColumn("extension"),
    TableColumn("events", right=True, labelled=True),
    TableColumn("records", right=True, labelled=True),
)


@click.command(
    "reconcile",
    epilog=options.examples("sipqueue reconcile --db sqlite:///day.db --since yesterday --timezone Asia/Shanghai"),
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reading
@options.server
def command(*, as_json: bool, **given: Any) -> Work:
    """Compare recorded calls with the platform's call records.

    It lists each hour in which the two have different numbers of answered calls for an extension, and ends with exit
    code 1 if there is one.
    """
    settings = settings_of({name: given[name] for name in _SERVER}, os.environ)  # type: ignore[arg-type]
    client = client_of(settings)
    if settings.timezone is None:
        raise Failure("the server's time zone is needed: use --timezone, such as --timezone Asia/Shanghai")
    # The client has checked the name.
    zone = ZoneInfo(settings.timezone)
    part = reading_of({name: value for name, value in given.items() if name not in _SERVER})  # type: ignore[arg-type]
    return partial(compare, part, client, standard_output(), zone, as_json=as_json)


async def compare(part: Reading, client: SipQueueClient, output: Output, zone: ZoneInfo, *, as_json: bool) -> None:
    """Print the differences.

    Raises:
        Failure: There are some, or the history has no status at the beginning.
    """
    since, until = part.since, part.until
    async with client, part.opened() as history:
        known = await history.snapshot_at(since)
        if known is None:
            raise Failure(f"the history begins after {since:%Y-%m-%d %H:%M}: choose a later --since")
        stream = history.events(since, until + _LONGEST_WAIT, **part.seats, types=CallAnswered)
        events = [event async for event in stream if isinstance(event, CallAnswered)]
        fetched = client.fetch_calls(since - _LONGEST_WAIT, until, extension=part.seats["extension"])
        records = [record async for record in fetched]
        last = await history.snapshot_at(until) or known
    extensions = {key.extension for key in (*known, *last)} | {event.extension for event in events}
    found = reconcile(events, records, since=since, until=until, zone=zone, extensions=extensions)
    if as_json:
        lines = [difference.to_dict() for difference in found.differences]
        output.line(
            json_line({"v": FORMAT_VERSION, "events": found.events, "records": found.records, "differences": lines})
        )
    else:
        if found.differences:
            rows = [
                [
                    (f"{it.hour:%Y-%m-%d %H:00}", ""),
                    (harmless(it.extension), ""),
                    (str(it.events), ""),
                    (str(it.records), ""),
                ]
                for it in found.differences
            ]
            output.lines(table_lines(_COLUMNS, rows, output.width))
            output.line()
        text = _("{events} in the history, {records} in the call records")
        output.wrapped(text.format(events=counted(found.events, "answered call"), records=found.records))
    if found.differences:
        raise Failure(f"they differ in {counted(len(found.differences), 'hour')} of an extension", FAILED)
