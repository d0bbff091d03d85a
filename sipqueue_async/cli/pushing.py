"""The option ``--push``: listens for the platform's pushes beside a watcher."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import attrs
import click

from sipqueue_async import Feed, StatusWatcher
from sipqueue_async.cli.listening import cannot_listen

_FORM: Final = "HOST:PORT/SECRET-PATH"
_SHORTEST_PATH: Final = 16


@attrs.frozen
class PushAddress:
    """Where to listen for pushes."""

    host: str
    port: int
    path: str = attrs.field(repr=False)


def _address(_context: click.Context, _parameter: click.Parameter, given: str | None) -> PushAddress | None:
    if given is None:
        return None
    where, _, path = given.partition("/")
    host, _, port = where.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise click.BadParameter(f"it must be {_FORM}, such as 0.0.0.0:8090/ and a long random path")
    if len(path.strip("/")) < _SHORTEST_PATH:
        raise click.BadParameter(f"the path must have at least {_SHORTEST_PATH} characters that cannot be guessed")
    return PushAddress(host.strip("[]"), int(port), path)


option: Final = click.option(
    "--push",
    callback=_address,
    metavar=_FORM,
    help="Listen for the platform's pushes there, and poll at once when one arrives.",
)


@asynccontextmanager
async def pushed(feed: Feed, address: PushAddress | None) -> AsyncGenerator[None]:
    """Let pushes make a running watcher poll inside the block, if there is an address.

    Raises:
        Failure: The address cannot be listened on.
    """
    if address is None or not isinstance(feed, StatusWatcher):
        yield
        return
    # Imported lazily: without the option there is no web server.
    from sipqueue_async.push import PushReceiver, PushServer  # noqa: PLC0415

    async with PushReceiver(feed) as receiver:
        server = PushServer(receiver, host=address.host, port=address.port, path=address.path)
        try:
            await server.__aenter__()
        except (OSError, UnicodeError) as error:
            raise cannot_listen(
                address.host, address.port, error, address="--push", other="another port in --push"
            ) from None
        try:
            yield
        finally:
            await server.__aexit__(None, None, None)
