"""``sipqueue relay``: watches for everybody, and publishes on Redis what changes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import attrs

from sipqueue_async import SipQueueClient
from sipqueue_async.cli.exits import Failure, complain
from sipqueue_async.cli.output import Output

if TYPE_CHECKING:
    from sipqueue_async.redis import Relay

_log: Final = logging.getLogger("sipqueue_async")


@attrs.frozen(kw_only=True)
class Place:
    """Where to publish."""

    redis: str = attrs.field(repr=False)
    """The URL of a Redis; it may hold a password."""
    prefix: str
    lease: float
    """Seconds."""


async def relay(
    client: SipQueueClient,
    output: Output,
    *,
    place: Place,
    queues: Collection[str] = (),
    extensions: Collection[str] = (),
    interval: float = 2.0,
) -> None:
    """Publish until an error that trying again does not help against."""
    with _journal():
        async with client, _relay(client, place, queues, extensions, interval) as running:
            output.line(f"the relay publishes to {running.where} until Ctrl-C")
            await running.wait()


def _relay(
    client: SipQueueClient, place: Place, queues: Collection[str], extensions: Collection[str], interval: float
) -> Relay:
    try:
        # Here, so that the other commands need no client for Redis.
        from sipqueue_async.redis import Relay  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Failure(str(error)) from None
    try:
        return Relay(
            client,
            place.redis,
            prefix=place.prefix,
            lease=place.lease,
            interval=interval,
            queues=queues or None,
            extensions=extensions or None,
        )
    except ValueError as error:
        raise Failure(str(error)) from None


@contextmanager
def _journal() -> Generator[None]:
    """Print what the library logs, on stderr: who leads, and what is away."""
    handler = _Complaints(logging.INFO)
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)


class _Complaints(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # What ends the command is said by the command itself.
        if record.levelno < logging.ERROR:
            complain(record.getMessage())
