"""``sipqueue calls``: the records of finished calls, as a table or as JSON lines."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
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
from sipqueue_async.cli.timespan import HELP, span_of
from sipqueue_async.records import CallFigures

_GROUPS: Final[Mapping[str, Callable[[CallRecord], str]]] = {
    "hour": lambda call: f"{call.started_at:%Y-%m-%d %H:00}",
    "day": lambda call: f"{call.started_at:%Y-%m-%d}",
    "extension": lambda call: call.extension or "none",
}
"""What the lines of figures can be."""
_AHEAD: Final = timedelta(days=2)
"""Added to the end of an open span if the server's zone is unknown: its clock may be ahead of this machine's."""


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
        "sipqueue calls --since yesterday",
        "sipqueue calls --since '2026-01-31 09:00' --until '2026-01-31 17:00' --direction in",
        "sipqueue calls --since 2026-01-31 --figures --by hour",
        "sipqueue calls --since 2026-01-31 --json | jq 'select(.answered_at == null)'",
    ),
)
@click.option(
    "--since",
    help=f"The earliest time of dialling, or a whole span, by the server's clock, {HELP}; by default today.",
)
@click.option("--until", help="The latest; a day means its end. By default where --since ends, or now.")
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
    since: str | None,
    until: str | None,
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
    begin, end = _span(since or "today", until, zone)
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


def _span(since: str, until: str | None, zone: tzinfo | None) -> tuple[datetime, datetime]:
    """Return both ends of the span by the server's clock, aware if the server's zone is known."""
    for option, text in (("--since", since), ("--until", until)):
        if zone is None and text is not None and _has_zone(text):
            raise click.UsageError(f"{option} has a time zone; name the server's with --timezone, or leave it out")
    # Without its zone, the server's clock is taken for one in UTC that shows the same time as this machine's.
    now = datetime.now(UTC).astimezone(zone)
    now = now if zone is not None else now.replace(tzinfo=UTC)
    start, end = span_of(since, until, zone or UTC, now)
    if zone is not None:
        return start.astimezone(zone), end.astimezone(zone)
    if until is None and end == max(now, start):
        end += _AHEAD
    return start.replace(tzinfo=None), end.replace(tzinfo=None)


def _has_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


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
    summary = f"{counted(len(records), 'call')}, {answered} answered"
    if not records:
        summary += f", from {wanted.since:%Y-%m-%d %H:%M} to {wanted.until:%Y-%m-%d %H:%M} by the server's clock"
    output.wrapped(summary)


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
