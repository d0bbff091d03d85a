"""The option ``--push``: listens for the platform's pushes beside a watcher."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import click

from sipqueue_async import Feed, Settings, SettingsError
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.listening import cannot_listen

if TYPE_CHECKING:
    from sipqueue_async.push import PushReceiver
    from sipqueue_async.redis import Relay

VARIABLE: Final = "SIPQUEUE_PUSH"
_FORM: Final = "HOST:PORT[/SECRET-PATH]"
_SHORTEST_PATH: Final = 16


@attrs.frozen
class PushAddress:
    """Where to listen for pushes."""

    host: str
    port: int
    path: str = attrs.field(repr=False)
    """The secret path; empty if it is not among the arguments."""


def _address(_context: click.Context, _parameter: click.Parameter, given: str | None) -> PushAddress | None:
    if given is None:
        return None
    where, _, path = given.partition("/")
    host, _, port = where.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise click.BadParameter(f"it must be {_FORM}, such as 0.0.0.0:8090; the path can be in {VARIABLE}")
    if path and (problem := _weakness(path)):
        raise click.BadParameter(problem)
    return PushAddress(host.strip("[]"), int(port), path)


def _weakness(path: str) -> str | None:
    is_short = len(path.strip("/")) < _SHORTEST_PATH
    return f"the path must have at least {_SHORTEST_PATH} characters that cannot be guessed" if is_short else None


option: Final = click.option(
    "--push",
    callback=_address,
    metavar=_FORM,
    help="Listen for the platform's pushes there, and poll at once when one arrives; the path also from SIPQUEUE_PUSH.",
)


def with_path(address: PushAddress | None, config: Path | None, environ: Mapping[str, str]) -> PushAddress | None:
    """Return an address with its secret path, which the environment or the settings file has if the option has none.

    Args:
        address: The option's value.
        config: The settings file that an option names.
        environ: The environment.

    Raises:
        Failure: There is no path, it is too short, or the settings file cannot be read.
    """
    if address is None or address.path:
        return address
    try:
        path = Settings.load(config, environ).push
    except SettingsError as error:
        raise Failure(str(error)) from None
    if path is None:
        raise Failure(f"--push has no secret path: set {VARIABLE}, or put push in the settings file")
    if problem := _weakness(path):
        raise Failure(f"{VARIABLE} or push in the settings file: {problem}")
    return attrs.evolve(address, path=path)


def receiver_of(
    source: Feed | Relay, address: PushAddress | None, on_record: Callable[[], object] | None = None
) -> PushReceiver | None:
    """Return a receiver for `pushed`, not started, if there is an address and the source polls.

    Args:
        source: What polls at a push.
        address: Where to listen.
        on_record: Called when a call's record is pushed.
    """
    if address is None:
        return None
    # Imported lazily: without the option there is no web server.
    from sipqueue_async.push import Pollable, PushReceiver  # noqa: PLC0415

    return PushReceiver(source, on_record=on_record) if isinstance(source, Pollable) else None


@asynccontextmanager
async def pushed(receiver: PushReceiver | None, address: PushAddress | None) -> AsyncGenerator[None]:
    """Listen for pushes inside the block, if there are a receiver and an address.

    Raises:
        Failure: The address cannot be listened on.
    """
    if receiver is None or address is None:
        yield
        return
    from sipqueue_async.push import PushServer  # noqa: PLC0415

    async with receiver:
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
