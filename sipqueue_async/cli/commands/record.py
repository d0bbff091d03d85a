"""``sipqueue record``: writes what happens into a database until it is ended."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Unpack

import click

from sipqueue_async import SeatFilter
from sipqueue_async.cli import options, pushing
from sipqueue_async.cli.call_recording import (
    CallOptions,
    CallPlan,
    call_options,
    call_plan,
    first_of,
    followed_calls,
    recording_calls,
)
from sipqueue_async.cli.database import DatabaseOptions, baseline_of, database, history_of
from sipqueue_async.cli.logs import log_on_stderr
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, feed_of, origin_of, reporting_absent
from sipqueue_async.cli.pushing import PushAddress, pushed, receiver_of, with_path
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import settings_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _

if TYPE_CHECKING:
    from sipqueue_async.history import History


class _Given(OriginOptions, CallOptions):
    """The options that come from elsewhere."""


@click.command(
    "record",
    epilog=options.examples(
        "sipqueue record --db sqlite:///day.db",
        "sipqueue record --db postgresql://sipqueue@db.example/calls --platform north",
        "sipqueue record --db sqlite:///day.db --calls --timezone Asia/Shanghai",
    ),
)
@database
@options.queues
@options.extensions
@options.interval
@pushing.option
@call_options
@options.origin
def command(
    *,
    db_url: str | None,
    platform: str,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    push: PushAddress | None,
    **given: Unpack[_Given],
) -> Work:
    """Write what happens into a database.

    It goes on until Ctrl-C. The next run continues where the last one stopped. "sipqueue report --db" and "sipqueue
    history" read the database.

    With --calls it also writes the records of finished calls, each once; "sipqueue report --calls" gives figures of
    them.
    """
    options.refuse_relay_with("--push", push is not None, given)
    options.refuse_relay_with("--calls", given["calls"], given)
    history = history_of(DatabaseOptions(db_url=db_url, platform=platform), os.environ)
    origin = origin_of(given, os.environ)
    return partial(
        record,
        history,
        origin,
        standard_output(),
        seats=SeatFilter(queues or None, extensions or None),
        interval=interval,
        push=with_path(push, given["config"], os.environ),
        calls=call_plan(given, settings_of(given, os.environ, lambda _: None).timezone),
    )


async def record(
    history: History,
    origin: Origin,
    output: Output,
    *,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    push: PushAddress | None = None,
    calls: CallPlan | None = None,
) -> None:
    """Record until the feed ends, which takes an error that a retry cannot fix."""
    # Imported lazily: it needs SQLAlchemy, and `history_of` reports that it is missing.
    from sipqueue_async.history import Recorder  # noqa: PLC0415

    with log_on_stderr():
        async with (
            baseline_of(history, seats) as baseline,
            feed_of(origin, interval=interval, seats=seats, baseline=baseline) as feed,
        ):
            followed = await followed_calls(history, origin, feed, calls)
            receiver = receiver_of(feed, push, None if followed is None else followed.look)
            async with (
                Recorder(history, feed) as recorder,
                feed,
                pushed(receiver, push),
                recording_calls(history, followed, calls) as call_recorder,
            ):
                output.line(_("recording to {url} until Ctrl-C").format(url=history.url))
                async with reporting_absent(origin, seats, feed.ready):
                    waits = [] if call_recorder is None else [call_recorder.wait()]
                    await first_of(recorder.wait(), *waits)
            error = feed.health.last_error
            assert error is not None  # noqa: S101  # nothing else ends a feed
            raise error
