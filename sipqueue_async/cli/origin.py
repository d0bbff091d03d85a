"""A command's source of status: the platform, which it polls, or a relay's publications on Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import click

from sipqueue_async import Feed, SeatFilter, SeatKey, SipQueueClient, SipQueueError, Snapshot, StatusWatcher
from sipqueue_async.cli.absent import Platform, describe_absent, has_absent
from sipqueue_async.cli.exits import UNREACHABLE, Failure, complain
from sipqueue_async.cli.settings import ServerOptions, client_of, redis_of, settings_of, timeout_of

if TYPE_CHECKING:
    from sipqueue_async.redis import RedisFeed

DEFAULT_PREFIX: Final = "sipqueue"

PATIENCE: Final = 10.0
"""Default timeout in seconds for the first status of a relay."""

ALL_SEATS: Final = SeatFilter()


class OriginOptions(ServerOptions):
    """The options for the source of the status; None if an option is not given."""

    from_relay: bool
    redis_url: str | None
    prefix: str | None


@attrs.frozen(kw_only=True)
class RelayOrigin:
    """A relay's publications on Redis."""

    redis: str = attrs.field(repr=False)
    """The URL of a Redis; it may hold a password."""
    prefix: str = DEFAULT_PREFIX
    timeout: float = PATIENCE
    """Seconds to wait for the status, for a command that wants it once."""


Origin: TypeAlias = SipQueueClient | RelayOrigin


def origin_of(options: OriginOptions, environ: Mapping[str, str]) -> Origin:
    """Return the origin that the options, the environment and the settings file name, in this order of precedence.

    Raises:
        click.UsageError: Two options do not go together.
        Failure: A setting is missing or invalid; no message holds a secret.
    """
    redis, prefix = options["redis_url"], options["prefix"]
    if not options["from_relay"]:
        for option, value in (("--redis", redis), ("--prefix", prefix)):
            if value is not None:
                raise click.UsageError(f"{option} needs --from-relay")
        return client_of(settings_of(options, environ))
    settings = settings_of(options, environ)
    return RelayOrigin(
        redis=redis_of(settings, redis),
        prefix=DEFAULT_PREFIX if prefix is None else prefix,
        timeout=timeout_of(settings, PATIENCE),
    )


@asynccontextmanager
async def feed_of(
    origin: Origin, *, interval: float = 2.0, seats: SeatFilter = ALL_SEATS, baseline: Snapshot | None = None
) -> AsyncGenerator[Feed]:
    """Yield a feed that is not started yet.

    Args:
        origin: Where the status comes from.
        interval: Seconds between polls; a relay has its own.
        seats: Which seats to watch.
        baseline: The last snapshot of an earlier run.

    Raises:
        Failure: The relay's URL or prefix is invalid, or the extra is not installed.
    """
    if isinstance(origin, RelayOrigin):
        yield _redis_feed(origin, seats, baseline)
    else:
        async with origin as client:
            yield StatusWatcher(
                Platform(client), interval=interval, queues=seats.queues, extensions=seats.extensions, baseline=baseline
            )


def _redis_feed(origin: RelayOrigin, seats: SeatFilter, baseline: Snapshot | None) -> RedisFeed:
    try:
        # Imported lazily: polling must not require redis-py.
        from sipqueue_async.redis import RedisFeed  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from None
    try:
        return RedisFeed(
            origin.redis, prefix=origin.prefix, baseline=baseline, queues=seats.queues, extensions=seats.extensions
        )
    except ValueError as error:
        raise Failure(str(error)) from None


@asynccontextmanager
async def closing(origin: Origin) -> AsyncGenerator[None]:
    """Close the client at the end, if the origin is one."""
    if isinstance(origin, SipQueueClient):
        async with origin:
            yield
    else:
        yield


async def snapshot_of(origin: Origin, seats: SeatFilter = ALL_SEATS) -> Snapshot:
    """Return the present status of these seats. A client stays open.

    Raises:
        Failure: No status came from the relay in time, or as for `feed_of`.
        SipQueueError: The platform gave no good answer, or Redis refuses.
    """
    if isinstance(origin, SipQueueClient):
        # The platform filters by one queue and one extension only.
        return seats.apply(await Platform(origin).fetch_snapshot(queue=seats.queue, extension=seats.extension))
    async with feed_of(origin, seats=seats) as feed, feed:
        try:
            known = await feed.ready(origin.timeout)
        except TimeoutError as error:
            raise Failure(str(error), UNREACHABLE) from None
        # A reader's snapshot is as old as its last change; it was confirmed since.
        confirmed_at = feed.health.last_good_at or known.observed_at
        return known.with_changes({}, observed_at=confirmed_at, server_time=known.server_time, problems=known.problems)


async def absent_names(origin: Origin, seats: SeatFilter, known: Collection[SeatKey]) -> str | None:
    """Return which of the named queues and extensions do not exist, and which names exist.

    Args:
        origin: The source of the status. If a name is absent, it is asked once for all seats.
        seats: The names.
        known: The seats that were found.

    Returns:
        A sentence; None if every name exists, and at least one seat matches the filter.
    """
    if not has_absent(seats, known):
        return None
    try:
        everything = frozenset(await snapshot_of(origin))
    except (SipQueueError, Failure):
        # The sentence is useful without the existing names.
        everything = frozenset()
    return describe_absent(seats, known, everything)


async def report_absent(origin: Origin, seats: SeatFilter, known: Collection[SeatKey]) -> None:
    """Say on stderr which of the named queues and extensions do not exist yet; the arguments are `absent_names`'s."""
    if absent := await absent_names(origin, seats, known):
        complain(f"{absent}; still watching for it")


@asynccontextmanager
async def reporting_absent(
    origin: Origin, seats: SeatFilter, first: Callable[[], Awaitable[Snapshot]]
) -> AsyncGenerator[None]:
    """Inside the block, say on stderr if a queue or an extension that was named is not there yet.

    Args:
        origin: The source of the status.
        seats: The names.
        first: Returns the first status; if it fails, nothing is said, since the command reports the error.
    """
    task = asyncio.create_task(_report_absent(origin, seats, first))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _report_absent(origin: Origin, seats: SeatFilter, first: Callable[[], Awaitable[Snapshot]]) -> None:
    if seats == ALL_SEATS:
        return
    try:
        snapshot = await first()
    except SipQueueError:
        return
    await report_absent(origin, seats, snapshot)
