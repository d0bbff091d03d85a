"""Where a command's status comes from: the platform, which it polls itself, or what a relay publishes on Redis."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import click

from sipqueue_async import Feed, SipQueueClient, Snapshot, StatusWatcher
from sipqueue_async.cli import settings
from sipqueue_async.cli.exits import UNREACHABLE, Failure

if TYPE_CHECKING:
    from sipqueue_async.redis import RedisFeed

DEFAULT_PREFIX: Final = "sipqueue"

PATIENCE: Final = 10.0
"""Seconds to wait for a relay's words, where nothing else is said."""


class Arguments(settings.Arguments):
    """What the arguments say about where the status comes from; None is not given."""

    from_relay: bool
    redis_url: str | None
    prefix: str | None


@attrs.frozen(kw_only=True)
class Relayed:
    """What a relay publishes."""

    redis: str = attrs.field(repr=False)
    """The URL of a Redis; it may hold a password."""
    prefix: str = DEFAULT_PREFIX
    timeout: float = PATIENCE
    """Seconds to wait for one answer, where one is all that is wanted."""


Source: TypeAlias = SipQueueClient | Relayed


def chosen(arguments: Arguments, environ: Mapping[str, str]) -> Source:
    """Return what the arguments, the environment and the settings file say, each before the next.

    Raises:
        click.UsageError: There are options that do not go together.
        Failure: Something is missing or makes no sense; no message holds a secret.
    """
    redis, prefix = arguments["redis_url"], arguments["prefix"]
    if not arguments["from_relay"]:
        for option, value in (("--redis", redis), ("--prefix", prefix)):
            if value is not None:
                raise click.UsageError(f"{option} is of use with --from-relay only")
        return settings.Settings(arguments, environ).client()
    found = settings.Settings(arguments, environ)
    return Relayed(
        redis=found.redis(redis), prefix=DEFAULT_PREFIX if prefix is None else prefix, timeout=found.timeout(PATIENCE)
    )


@asynccontextmanager
async def feed_of(
    source: Source,
    *,
    interval: float = 2.0,
    queues: Collection[str] = (),
    extensions: Collection[str] = (),
    baseline: Snapshot | None = None,
) -> AsyncGenerator[Feed]:
    """Make a feed, which is not started yet.

    Args:
        source: Where it is from.
        interval: Seconds between polls; a relay has its own.
        queues: Only these queues; empty for all.
        extensions: Only these extensions; empty for all.
        baseline: What is known from an earlier run.

    Raises:
        Failure: The place of the relay makes no sense, or the extra is not installed.
    """
    if isinstance(source, Relayed):
        yield _reader(source, queues, extensions, baseline)
    else:
        async with source as client:
            yield StatusWatcher(
                client,
                interval=interval,
                queues=queues or None,
                extensions=extensions or None,
                baseline=baseline,
            )


def _reader(
    source: Relayed, queues: Collection[str], extensions: Collection[str], baseline: Snapshot | None
) -> RedisFeed:
    try:
        # Here, so that whoever polls needs no client for Redis.
        from sipqueue_async.redis import RedisFeed  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from None
    try:
        return RedisFeed(
            source.redis,
            prefix=source.prefix,
            baseline=baseline,
            queues=queues or None,
            extensions=extensions or None,
        )
    except ValueError as error:
        raise Failure(str(error)) from None


async def snapshot_of(source: Source, *, queues: Collection[str] = (), extensions: Collection[str] = ()) -> Snapshot:
    """Return the status now; of a platform that can be asked for a part, that part or more.

    Raises:
        Failure: A relay's words did not come in time, or as `feed_of`.
        SipQueueError: The platform gave no good answer, or Redis refuses.
    """
    if isinstance(source, SipQueueClient):
        async with source as client:
            return await client.fetch_snapshot(queue=_only(queues), extension=_only(extensions))
    async with feed_of(source, queues=queues, extensions=extensions) as feed, feed:
        try:
            known = await feed.ready(source.timeout)
        except TimeoutError as error:
            raise Failure(str(error), UNREACHABLE) from None
        return as_of_now(feed, known)


def as_of_now(feed: Feed, known: Snapshot) -> Snapshot:
    """Return what a feed that is up knows, as of when that was last confirmed.

    What a reader knows is of the time when something last changed, and that can be long ago.
    """
    seen = feed.health.last_good_at or known.observed_at
    return known.with_changes({}, observed_at=seen, server_time=known.server_time, problems=known.problems)


def _only(names: Collection[str]) -> str | None:
    return next(iter(names)) if len(names) == 1 else None
