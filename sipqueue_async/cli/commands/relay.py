"""``sipqueue relay``: watches once for many programs, and publishes on Redis what changes."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Unpack

import attrs
import click

from sipqueue_async import SeatFilter, SipQueueClient
from sipqueue_async.cli import options
from sipqueue_async.cli.exits import Failure, complain
from sipqueue_async.cli.origin import ALL_SEATS, DEFAULT_PREFIX, reporting_absent, snapshot_of
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import ServerOptions, client_of, redis_of, settings_of
from sipqueue_async.cli.terminal.output import Output, standard_output

if TYPE_CHECKING:
    from sipqueue_async.redis import Relay

_log: Final = logging.getLogger("sipqueue_async")


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
@options.server
def command(
    *,
    redis_url: str | None,
    prefix: str,
    lease: float,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
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
    )


async def relay(
    client: SipQueueClient,
    output: Output,
    *,
    target: RelayTarget,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
) -> None:
    """Publish until an error that a retry cannot fix."""
    with _log_on_stderr():
        async with client, _relay(client, target, seats, interval) as running:
            output.line(f"the relay publishes to {running.where} until Ctrl-C")
            # Asked of the platform, since a relay that stands by knows no status.
            async with reporting_absent(client, seats, partial(snapshot_of, client, seats)):
                await running.wait()


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


@contextmanager
def _log_on_stderr() -> Generator[None]:
    """Print the library's log on stderr: who leads, and what is unreachable."""
    handler = _StderrHandler(logging.INFO)
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # The command itself reports the error that ends it.
        if record.levelno < logging.ERROR:
            complain(record.getMessage())
