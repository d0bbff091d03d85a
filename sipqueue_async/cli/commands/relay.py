"""``sipqueue relay``: watches once for many programs, and publishes on Redis what changes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Unpack

import attrs
import click

from sipqueue_async import SeatFilter, SipQueueClient
from sipqueue_async.cli import options, pushing
from sipqueue_async.cli.database import DatabaseOptions, baseline_of, chosen_history, database
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

_log: Final = logging.getLogger("sipqueue_async")

_LOOK: Final = 0.5
"""The interval at which a relay that records notices that it leads or no longer leads, in seconds."""
_PAUSE: Final = 2.0
"""Seconds after which recording begins anew after an error that ended it."""


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
            # Checks that these seats are the recorded ones, and keeps the database open.
            baseline_of(history, seats),
            client,
            _relay(client, target, seats, interval) as running,
            pushed(receiver_of(running, push), push),
            _recorded(history, target, running),
        ):
            output.line(_("the relay publishes to {where} until Ctrl-C").format(where=running.where))
            # Asked of the platform, since a relay that stands by knows no status.
            async with reporting_absent(client, seats, partial(snapshot_of, client, seats)):
                await running.wait()


@asynccontextmanager
async def _recorded(history: History | None, target: RelayTarget, running: Relay) -> AsyncGenerator[None]:
    """Record what the relays with this prefix publish while this one leads, if there is an open history."""
    recording = None if history is None else asyncio.create_task(_take_turns(history, target, running))
    try:
        yield
    finally:
        if recording is not None:
            recording.cancel()
            await asyncio.wait([recording])


async def _take_turns(history: History, target: RelayTarget, running: Relay) -> None:
    """Record while the relay leads: of several relays with one database, one writes."""
    # Imported lazily: `history_of` reports that SQLAlchemy is missing.
    from sipqueue_async.history import HistoryError  # noqa: PLC0415

    while True:
        await _until(running, leading=True)
        try:
            await _take_turn(history, target, running)
        except HistoryError as error:
            # For example, another relay led meanwhile and has written.
            _log.warning("recording begins anew: %s", error)
            await asyncio.sleep(_PAUSE)


async def _take_turn(history: History, target: RelayTarget, running: Relay) -> None:
    """Record from the last recorded status on, until the relay leads no longer."""
    from sipqueue_async.history import Recorder  # noqa: PLC0415
    from sipqueue_async.redis import RedisFeed  # noqa: PLC0415

    feed = RedisFeed(target.redis, prefix=target.prefix, baseline=await history.baseline())
    async with Recorder(history, feed) as recorder, feed:
        ends = [asyncio.ensure_future(it) for it in (recorder.wait(), _until(running, leading=False))]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)


async def _until(running: Relay, *, leading: bool) -> None:
    while running.leading is not leading:  # noqa: ASYNC110  # a relay has no event for it
        await asyncio.sleep(_LOOK)


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
