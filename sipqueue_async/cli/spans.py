"""Options of the commands that read a history: the database, the span, its zone and the seats."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs
import click

from sipqueue_async import SeatFilter
from sipqueue_async.cli import options
from sipqueue_async.cli.database import DatabaseOptions, database, history_of, opened_to_read
from sipqueue_async.cli.timespan import HELP, span_of

if TYPE_CHECKING:
    from sipqueue_async.history import History

_Command = TypeVar("_Command", bound=Callable[..., Any])

BY = ("hour", "day", "week", "queue", "agent", "hour_of_day")
"""What the rows of a report can be."""


class SpanOptions(DatabaseOptions):
    """The options that `span` adds."""

    since: str | None
    until: str | None
    zone_name: str | None


class ReadingOptions(SpanOptions):
    """The options that `reading` adds."""

    queues: frozenset[str]
    extensions: frozenset[str]


class Seats(TypedDict):
    """Which seats are read."""

    queue: list[str] | None
    extension: list[str] | None


@attrs.frozen(kw_only=True)
class Reading:
    """A part of a history."""

    history: History
    since: datetime
    until: datetime
    zone: tzinfo
    seats: Seats

    @property
    def filter(self) -> SeatFilter:
        """Which seats are read."""
        return SeatFilter(self.seats["queue"], self.seats["extension"])

    def opened(self) -> AbstractAsyncContextManager[History]:
        """Open the history for a block.

        Raises:
            Failure: As for `opened_to_read`.
        """
        return opened_to_read(self.history, self.filter)


def span(command: _Command) -> _Command:
    """Add the options that make up `SpanOptions`."""
    for option in (
        click.option(
            "--zone", "zone_name", help="The time zone of days, such as Asia/Shanghai; by default this machine's."
        ),
        click.option("--until", help="The end; a day means its end. By default that of --since, or now."),
        click.option("--since", help=f"The beginning, or a whole span, {HELP}; by default today."),
    ):
        command = option(command)
    return database(command)


def reading(command: _Command) -> _Command:
    """Add the options that make up `ReadingOptions`."""
    return span(options.queues(options.extensions(command)))


def reading_of(given: ReadingOptions) -> Reading:
    """Return the part of a history that the options name.

    Raises:
        click.UsageError: The span or the zone is invalid.
        Failure: As for `history_of`.
    """
    history = history_of(DatabaseOptions(db_url=given["db_url"], platform=given["platform"]), os.environ)
    zone = zone_of(given["zone_name"])
    since, until = span_of(given["since"] or "today", given["until"], zone, datetime.now(UTC))
    seats = Seats(queue=sorted(given["queues"]) or None, extension=sorted(given["extensions"]) or None)
    return Reading(history=history, since=since, until=until, zone=zone, seats=seats)


def zone_of(name: str | None) -> tzinfo:
    """Return the zone of a name, or this machine's without one.

    Raises:
        click.UsageError: There is no such zone.
    """
    if name is None:
        # Imported lazily: it comes with the history.
        from sipqueue_async.history.zones import LocalZone  # noqa: PLC0415

        return LocalZone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.UsageError(f"there is no time zone {name!r}: give one such as Asia/Shanghai or UTC") from None
