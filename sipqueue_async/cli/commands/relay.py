"""``sipqueue relay``: watches once for many programs, and publishes on Redis what changes."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Unpack

import attrs
import click

from sipqueue_async import SeatFilter, SipQueueClient, Snapshot
from sipqueue_async.cli import options, pushing
from sipqueue_async.cli.database import DatabaseOptions, baseline_of, chosen_history, database, recording
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.logs import log_on_stderr
from sipqueue_async.cli.origin import ALL_SEATS, DEFAULT_PREFIX, reporting_absent, snapshot_of
from sipqueue_async.cli.pushing import PushAddress, pushed, receiver_of, with_path
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import ServerOptions, client_of, redis_of, settings_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _

if TYPE_CHECKING:
    from sipqueue_async.history import History
    from sipqueue_async.redis import Relay


@attrs.frozen(kw_only=True)
class RelayTarget:
    """The relay's target: a Redis, a prefix and a lease."""

    redis: str = attrs.field(repr=False)
    """The URL of a Redis; it may hold a password."""
    prefix: str = DEFAULT_PREFIX
    lease: float = 10.0
    """Seconds without a sign of life after which another relay takes over."""


@click.command(
    "relay",
    epilog=options.examples("sipqueue relay", "sipqueue relay --redis redis://localhost:6379/0 --prefix north"),
)
@options.redis
@click.option(
    "--prefix", default=DEFAULT_PREFIX, show_default=True, help="The prefix of its keys: one for each platform."
)
@click.option(
    "--lease",
    type=click.FloatRange(min=0.1, max=3600),
    default=10.0,
    show_default=True,
    help="Seconds without a sign of life after which another relay takes over.",
)
@options.queues
@options.extensions
@options.interval
@pushing.option
@database
@options.server
def command(
    *,
    redis_url: str | None,
    prefix: str,
    lease: float,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    push: PushAddress | None,
    db_url: str | None,
    platform: str,
    **server: Unpack[ServerOptions],
) -> Work:
    """Watch once for many programs and publish on Redis.

    Several relays may run: one leads, the others stand by and take over. Programs read with RedisFeed.
    """
    settings = settings_of(server, os.environ)
    return partial(
        relay,
        client_of(settings),
        standard_output(),
        target=RelayTarget(redis=redis_of(settings, redis_url), prefix=prefix, lease=lease),
        seats=SeatFilter(queues or None, extensions or None),
        interval=interval,
        push=with_path(push, server["config"], os.environ),
        history=chosen_history(DatabaseOptions(db_url=db_url, platform=platform), os.environ),
    )


async def relay(
    client: SipQueueClient,
    output: Output,
    *,
    target: RelayTarget,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    push: PushAddress | None = None,
    history: History | None = None,
) -> None:
    """Publish until an error that a retry cannot fix; record what is published if a history is given."""
    with log_on_stderr():
        async with (
            baseline_of(history, seats) as baseline,
            client,
            _relay(client, target, seats, interval) as running,
            pushed(receiver_of(running, push), push),
            _recorded(history, target, baseline),
        ):
            output.line(_("the relay publishes to {where} until Ctrl-C").format(where=running.where))
            # Asked of the platform, since a relay that stands by knows no status.
            async with reporting_absent(client, seats, partial(snapshot_of, client, seats)):
                await running.wait()


@asynccontextmanager
async def _recorded(history: History | None, target: RelayTarget, baseline: Snapshot | None) -> AsyncGenerator[None]:
    """Record what the relays with this prefix publish, whichever of them leads, if there is an open history."""
    async with AsyncExitStack() as stack:
        if history is not None:
            # Imported lazily, as below.
            from sipqueue_async.redis import RedisFeed  # noqa: PLC0415

            feed = RedisFeed(target.redis, prefix=target.prefix, baseline=baseline)
            await stack.enter_async_context(recording(history, feed))
            await stack.enter_async_context(feed)
        yield


def _relay(client: SipQueueClient, target: RelayTarget, seats: SeatFilter, interval: float) -> Relay:
    try:
        # Imported lazily: the other commands must not require redis-py.
        from sipqueue_async.redis import Relay  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from None
    try:
        return Relay(
            client,
            target.redis,
            prefix=target.prefix,
            lease=target.lease,
            interval=interval,
            queues=seats.queues,
            extensions=seats.extensions,
        )
    except ValueError as error:
        raise Failure(str(error)) from None
