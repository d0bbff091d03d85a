"""``sipqueue calls``: the records of finished calls, as a table or as JSON lines."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Final, Unpack
from zoneinfo import ZoneInfo

import attrs
import click

from sipqueue_async import CallDirection, CallRecord, SipQueueClient
from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import ServerOptions, client_of, settings_of
from sipqueue_async.cli.terminal.lines import counted, time_span
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines

_AHEAD: Final = timedelta(days=2)
"""The end of an open range: later than the present in every time zone."""


def _moment(_context: click.Context, _parameter: click.Parameter, given: str | None) -> datetime | None:
    try:
        return None if given is None else datetime.fromisoformat(given)
    except ValueError:
        raise click.BadParameter(f"{given!r} is not a time like 2026-01-31 or '2026-01-31 09:00'") from None


@attrs.frozen(kw_only=True)
class Wanted:
    """Which calls to print."""

    since: datetime
    until: datetime
    direction: CallDirection | None = None
    extensions: frozenset[str] = frozenset()


@click.command(
    "calls",
    epilog=options.examples(
        "sipqueue calls",
        "sipqueue calls --since '2026-01-31 09:00' --until '2026-01-31 17:00' --direction in",
        "sipqueue calls --since 2026-01-31 --json | jq 'select(.answered_at == null)'",
    ),
)
@click.option(
    "--since",
    callback=_moment,
    help="The earliest time of dialling, by the server's clock; by default the start of today.",
)
@click.option("--until", callback=_moment, help="The latest; by default there is no end.")
@click.option(
    "--direction",
    type=click.Choice([CallDirection.IN.value, CallDirection.OUT.value]),
    help="Only incoming or only outgoing calls.",
)
@options.extensions
@click.option("--numbers", is_flag=True, help="Show telephone numbers, which are personal data.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@options.server
def command(
    *,
    since: datetime | None,
    until: datetime | None,
    direction: str | None,
    extensions: frozenset[str],
    numbers: bool,
    as_json: bool,
    **server: Unpack[ServerOptions],
) -> Work:
    """Print the records of finished calls."""
    settings = settings_of(server, os.environ)
    client = client_of(settings)
    # The client has checked the name of the zone.
    zone = None if settings.timezone is None else ZoneInfo(settings.timezone)
    begin = _today(zone) if since is None else _in_zone("--since", since, zone)
    end = _open_end(begin) if until is None else _in_zone("--until", until, zone)
    if end < begin:
        raise click.UsageError("--until is before --since")
    wanted = Wanted(
        since=begin,
        until=end,
        direction=None if direction is None else CallDirection(direction),
        extensions=extensions,
    )
    return partial(calls, client, standard_output(), wanted, numbers=numbers, as_json=as_json)


def _in_zone(option: str, moment: datetime, zone: tzinfo | None) -> datetime:
    """Return a time by the server's clock, aware if the server's zone is known."""
    if moment.tzinfo is None:
        return moment if zone is None else moment.replace(tzinfo=zone)
    if zone is None:
        raise click.UsageError(f"{option} has a time zone; name the server's with --timezone, or leave it out")
    return moment


def _today(zone: tzinfo | None) -> datetime:
    return datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _open_end(since: datetime) -> datetime:
    return max(since, datetime.now(since.tzinfo) + _AHEAD)


async def calls(
    client: SipQueueClient, output: Output, wanted: Wanted, *, numbers: bool = False, as_json: bool = False
) -> None:
    """Print the records of the calls that are wanted."""
    async with client:
        found = client.fetch_calls(
            wanted.since, wanted.until, direction=wanted.direction, extension=sorted(wanted.extensions) or None
        )
        if as_json:
            async for call in found:
                output.line(json_line({"v": FORMAT_VERSION, **call.to_dict(numbers=numbers)}))
            return
        records = [call async for call in found]
    columns = [column for column in _COLUMNS if numbers or column.heading not in _NUMBERS]
    if records:
        output.lines(table_lines(columns, (_cells(call, numbers=numbers) for call in records), output.width))
        output.line()
    answered = sum(call.is_answered for call in records)
    output.wrapped(f"{counted(len(records), 'call')}, {answered} answered")


_NUMBERS: Final = ("caller", "called")
_COLUMNS: Final = (
    TableColumn("started"),
    TableColumn("way"),
    TableColumn("extension"),
    TableColumn("caller"),
    TableColumn("called", rank=2),
    TableColumn("waited", rank=1, right=True),
    TableColumn("talked", right=True),
    TableColumn("ended", rank=3),
)


def _cells(call: CallRecord, *, numbers: bool) -> list[Cell]:
    parties = [(harmless(call.caller or ""), ""), (harmless(call.callee or ""), "")] if numbers else []
    return [
        (f"{call.started_at:%Y-%m-%d %H:%M:%S}", ""),
        (call.direction.value, ""),
        (harmless(call.extension or ""), ""),
        *parties,
        ("" if call.waiting_seconds is None else time_span(call.waiting_seconds), ""),
        (time_span(call.talk_seconds or 0), "") if call.is_answered else ("not answered", "dim"),
        (call.hang_up_cause or "", ""),
    ]
