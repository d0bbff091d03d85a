"""``sipqueue record``: writes what happens into a database until it is ended."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Unpack

import click

from sipqueue_async import SeatFilter
from sipqueue_async.cli import options, pushing
from sipqueue_async.cli.database import DatabaseOptions, baseline_of, database, history_of
from sipqueue_async.cli.logs import log_on_stderr
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, feed_of, origin_of, reporting_absent
from sipqueue_async.cli.pushing import PushAddress, pushed, receiver_of, with_path
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.terminal.output import Output, standard_output

if TYPE_CHECKING:
    from sipqueue_async.history import History


@click.command(
    "record",
    epilog=options.examples(
        "sipqueue record --db sqlite:///day.db",
        "sipqueue record --db postgresql://sipqueue@db.example/calls --platform north",
    ),
)
@database
@options.queues
@options.extensions
@options.interval
@pushing.option
@options.origin
def command(
    *,
    db_url: str | None,
    platform: str,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    push: PushAddress | None,
    **origin: Unpack[OriginOptions],
) -> Work:
    """Write what happens into a database.

    It goes on until Ctrl-C. The next run continues where the last one stopped. "sipqueue report --db" and "sipqueue
    history" read the database.
    """
    options.refuse_relay_with("--push", push is not None, origin)
    return partial(
        record,
        history_of(DatabaseOptions(db_url=db_url, platform=platform), os.environ),
        origin_of(origin, os.environ),
        standard_output(),
        seats=SeatFilter(queues or None, extensions or None),
        interval=interval,
        push=with_path(push, origin["config"], os.environ),
    )


async def record(
    history: History,
    origin: Origin,
    output: Output,
    *,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    push: PushAddress | None = None,
) -> None:
    """Record until the feed ends, which takes an error that a retry cannot fix."""
    # Imported lazily: it needs SQLAlchemy, and `history_of` reports that it is missing.
    from sipqueue_async.history import Recorder  # noqa: PLC0415

    with log_on_stderr():
        async with (
            baseline_of(history, seats) as baseline,
            feed_of(origin, interval=interval, seats=seats, baseline=baseline) as feed,
        ):
            async with Recorder(history, feed) as recorder, feed, pushed(receiver_of(feed, push), push):
                output.line(f"recording to {history.url} until Ctrl-C")
                async with reporting_absent(origin, seats, feed.ready):
                    await recorder.wait()
            error = feed.health.last_error
            assert error is not None  # noqa: S101  # nothing else ends a feed
            raise error
