"""``sipqueue calls``: the records of finished calls, as a table or as JSON lines."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
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
from sipqueue_async.records import CallFigures

_GROUPS: Final[Mapping[str, Callable[[CallRecord], str]]] = {
    "hour": lambda call: f"{call.started_at:%Y-%m-%d %H:00}",
    "day": lambda call: f"{call.started_at:%Y-%m-%d}",
    "extension": lambda call: call.extension or "none",
}
"""What the lines of figures can be."""
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
        "sipqueue calls --since 2026-01-31 --figures --by hour",
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
@click.option("--figures", is_flag=True, help="Print figures of the incoming calls instead.")
@click.option("--by", type=click.Choice(list(_GROUPS)), help="A line of figures for each hour, day or extension.")
@click.option(
    "--within",
    type=click.FloatRange(min=0),
    default=20.0,
    show_default=True,
    help="The seconds of the service level.",
)
@click.option("--numbers", is_flag=True, help="Show telephone numbers, which are personal data.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@options.server
def command(
    *,
    since: datetime | None,
    until: datetime | None,
    direction: str | None,
    extensions: frozenset[str],
    figures: bool,
    by: str | None,
    within: float,
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
    if figures:
        options.refuse_together({"--figures": figures, "--numbers": numbers})
        return partial(print_figures, client, standard_output(), wanted, by=by, within=within, as_json=as_json)
    if by is not None:
        raise click.UsageError("--by needs --figures")
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
        found = _fetched(client, wanted)
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


async def print_figures(
    client: SipQueueClient,
    output: Output,
    wanted: Wanted,
    *,
    by: str | None = None,
    within: float = 20.0,
    as_json: bool = False,
) -> None:
    """Print figures of the incoming calls that are wanted, as a table or as a line of JSON for each group."""
    async with client:
        records = [call async for call in _fetched(client, wanted) if call.direction is CallDirection.IN]
    groups = [] if by is None else sorted(CallFigures.by(records, _GROUPS[by], within=within).items())
    groups.append(("total", CallFigures.of(records, within=within)))
    if as_json:
        for group, found in groups:
            output.line(json_line({"v": FORMAT_VERSION, by or "group": group, **found.to_dict()}))
        return
    columns = [TableColumn(by or ""), *(TableColumn(heading, right=True) for heading in _FIGURES)]
    output.lines(table_lines(columns, (_figures(harmless(group), found) for group, found in groups), output.width))
    output.line()
    output.wrapped(f"in time: answered within {within:g} s, of all offered calls")


def _fetched(client: SipQueueClient, wanted: Wanted) -> AsyncIterator[CallRecord]:
    return client.fetch_calls(
        wanted.since, wanted.until, direction=wanted.direction, extension=sorted(wanted.extensions) or None
    )


_FIGURES: Final = ("offered", "answered", "abandoned", "in time", "speed of answer", "talk")


def _figures(group: str, found: CallFigures) -> list[Cell]:
    means = (found.average_speed_of_answer, found.average_talk)
    texts = [
        *map(str, (found.offered, found.answered, found.abandoned)),
        "" if found.service_level is None else f"{100 * found.service_level:.0f} %",
        *("" if mean is None else f"{mean:.1f} s" for mean in means),
    ]
    return [(group, ""), *((text, "") for text in texts)]


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
