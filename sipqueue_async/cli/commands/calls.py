"""``sipqueue calls``: the records of finished calls, as a table or as JSON lines."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Final, Unpack
from zoneinfo import ZoneInfo

import attrs
import click

from sipqueue_async import CallAnswered, CallDirection, CallRecord, SipQueueClient
from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async._language import label_word
from sipqueue_async._language.codes import DIRECTION, HANG_UP
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.call_figures import (
    Counting,
    FigureOptions,
    counting_of,
    figure_options,
    figures_lines,
    figures_table,
    refuse_figure_options,
)
from sipqueue_async.cli.database import DatabaseOptions, database, history_of, opened_to_read
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import ServerOptions, client_of, settings_of
from sipqueue_async.cli.terminal.lines import time_span
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines
from sipqueue_async.cli.timespan import HELP, span_of
from sipqueue_async.cli.words import _, counted
from sipqueue_async.records import CallFigures, CallQueues, number_prefix

if TYPE_CHECKING:
    from sipqueue_async.history import History

_BY: Final = ("hour", "day", "extension", "queue", "prefix")
"""What the lines of figures can be."""
_LONGEST_WAIT: Final = timedelta(hours=2)
"""A call's event can come so long after the call was dialled."""
_AHEAD: Final = timedelta(days=2)
"""Added to the end of an open span if the server's zone is unknown: its clock may be ahead of this machine's."""


_COUNTING: Final = Counting()


class _Given(ServerOptions, FigureOptions):
    """The options that come from elsewhere."""


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
        "sipqueue calls --since yesterday --figures --by queue --db sqlite:///day.db --timezone Asia/Shanghai",
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
@click.option("--by", type=click.Choice(_BY), help="How to group the figures.")
@figure_options
@database
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
    numbers: bool,
    as_json: bool,
    db_url: str | None,
    platform: str,
    **given: Unpack[_Given],
) -> Work:
    """Print the records of finished calls.

    "--by queue" needs the history of that time, which "sipqueue record" has written: records name no queue.
    """
    server = ServerOptions(
        url=given["url"], config=given["config"], timezone=given["timezone"], timeout=given["timeout"]
    )
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
        counting = counting_of(given, by)
        history = None
        if by == "queue":
            if zone is None:
                raise Failure("the server's time zone is needed: use --timezone, such as --timezone Asia/Shanghai")
            history = history_of(DatabaseOptions(db_url=db_url, platform=platform), os.environ)
        elif db_url is not None:
            raise click.UsageError("--db needs --by queue")
        figures_of = partial(print_figures, client, standard_output(), wanted, by=by, counting=counting)
        return partial(figures_of, history=history, as_json=as_json)
    for name, value in (("--by", by), ("--db", db_url)):
        if value is not None:
            raise click.UsageError(f"{name} needs --figures")
    refuse_figure_options(given, "--figures")
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
        output.lines(
            table_lines(
                columns, (_cells(call, numbers=numbers) for call in records), output.width, other_forms="--json"
            )
        )
        output.line()
    answered = sum(call.is_answered for call in records)
    summary = _("{calls}, {answered} answered").format(calls=counted(len(records), "call"), answered=answered)
    if not records:
        since, until = (f"{it:%Y-%m-%d %H:%M}" for it in (wanted.since, wanted.until))
        summary += _(", from {since} to {until} by the server's clock").format(since=since, until=until)
    output.wrapped(summary)


async def print_figures(
    client: SipQueueClient,
    output: Output,
    wanted: Wanted,
    *,
    by: str | None = None,
    counting: Counting = _COUNTING,
    history: History | None = None,
    as_json: bool = False,
) -> None:
    """Print figures of the incoming calls that are wanted, as a table or as a line of JSON for each group.

    Args:
        client: The platform.
        output: Where to print.
        wanted: The calls.
        by: What the lines are; None for a total only.
        counting: How to count.
        history: What was recorded of that time, which tells the queues.
        as_json: Whether to print JSON.
    """
    async with client:
        records = [call async for call in _fetched(client, wanted) if call.direction is CallDirection.IN]
    queues = None if history is None else await _queues(history, wanted)
    options = {"within": counting.within, "wrap_up": counting.wrap_up}
    groups: list[tuple[str | None, CallFigures]] = []
    if by is not None:
        found = CallFigures.by(records, _key(by, counting, queues), **options)
        groups += sorted(found.items(), key=lambda it: (it[0] is None, it[0] or ""))
    groups.append(("total" if as_json else _("total"), CallFigures.of(records, **options)))
    if as_json:
        figures_lines(by or "group", groups, output)
    else:
        figures_table(by or "", groups, output, counting)


def _key(by: str, counting: Counting, queues: CallQueues | None) -> Callable[[CallRecord], str | None]:
    """Return what tells the group of a call."""
    keys: dict[str, Callable[[CallRecord], str | None]] = {
        "hour": lambda call: f"{call.started_at:%Y-%m-%d %H:00}",
        "day": lambda call: f"{call.started_at:%Y-%m-%d}",
        "extension": lambda call: call.extension or "none",
        "queue": lambda call: None if queues is None else queues.queue(call),
        "prefix": lambda call: number_prefix(call.caller, counting.prefixes),
    }
    return keys[by]


async def _queues(history: History, wanted: Wanted) -> CallQueues:
    """Return what the recorded events tell of the calls' queues."""
    async with opened_to_read(history):
        stream = history.events(wanted.since, wanted.until + _LONGEST_WAIT, types=CallAnswered)
        return CallQueues([event async for event in stream if isinstance(event, CallAnswered)])


def _fetched(client: SipQueueClient, wanted: Wanted) -> AsyncIterator[CallRecord]:
    return client.fetch_calls(
        wanted.since, wanted.until, direction=wanted.direction, extension=sorted(wanted.extensions) or None
    )


_NUMBERS: Final = ("caller", "called")
_COLUMNS: Final = (
    TableColumn("started"),
    TableColumn("way"),
    TableColumn("extension"),
    TableColumn("caller", labelled=True),
    TableColumn("called", rank=2),
    TableColumn("waited", rank=1, right=True),
    TableColumn("talked", right=True, labelled=True),
    TableColumn("ended", rank=3),
)


def _cells(call: CallRecord, *, numbers: bool) -> list[Cell]:
    parties = [(harmless(call.caller or ""), ""), (harmless(call.callee or ""), "")] if numbers else []
    return [
        (f"{call.started_at:%Y-%m-%d %H:%M:%S}", ""),
        (label_word(DIRECTION, call.direction.value), ""),
        (harmless(call.extension or ""), ""),
        *parties,
        ("" if call.waiting_seconds is None else time_span(call.waiting_seconds), ""),
        (time_span(call.talk_seconds or 0), "") if call.is_answered else (_("not answered"), "dim"),
        (label_word(HANG_UP, call.hang_up_cause) if call.hang_up_cause else "", ""),
    ]
