"""Options that several commands share, and the checks of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from sipqueue_async.cli.origin import OriginOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])


def positive(_context: click.Context, _parameter: click.Parameter, number: float | None) -> float | None:
    """Check that a number is finite and above 0."""
    if number is not None and not 0 < number < math.inf:
        raise click.BadParameter(f"it must be above 0, not {number:g}")
    return number


def not_negative(_context: click.Context, _parameter: click.Parameter, number: float | None) -> float | None:
    """Check that a number is finite and not below 0."""
    if number is not None and not 0 <= number < math.inf:
        raise click.BadParameter(f"it must be 0 or more, not {number:g}")
    return number


def names(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> frozenset[str]:
    """Check that no name is empty."""
    if "" in given:
        raise click.BadParameter("a name cannot be empty; leave the option out to see all")
    return frozenset(given)


def refuse_together(options: dict[str, bool]) -> None:
    """Raise a usage error if all of these options are given."""
    if all(options.values()):
        raise click.UsageError(f"{' and '.join(options)} do not go together")


def refuse_relay_with(option: str, given: bool, origin: OriginOptions) -> None:
    """Raise a usage error if an option is given together with one about the relay."""
    relay_options = {"--from-relay": origin["from_relay"], "--redis": origin["redis_url"], "--prefix": origin["prefix"]}
    for name, value in relay_options.items():
        refuse_together({name: value not in {None, False}, option: given})


queues: Final = click.option(
    "--queue", "queues", callback=names, multiple=True, help="Only this queue; may be repeated."
)
extensions: Final = click.option(
    "--extension", "extensions", callback=names, multiple=True, help="Only this extension; may be repeated."
)
interval: Final = click.option(
    "--interval", type=float, callback=positive, default=2.0, show_default=True, help="Seconds between polls."
)
seed: Final = click.option(
    "--seed", type=int, default=0, show_default=True, help="What happens; each seed is another day."
)
host: Final = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
redis: Final = click.option(
    "--redis", "redis_url", help="The URL of a Redis, before SIPQUEUE_REDIS_URL; none with a password."
)


def port(default: int) -> Callable[[_Command], _Command]:
    """Return the option for the port to listen on."""
    text = "The port to listen on; 0 for any free one."
    return click.option("--port", type=click.IntRange(0, 65535), default=default, show_default=True, help=text)


def speed(default: float) -> Callable[[_Command], _Command]:
    """Return the option for a simulated call centre's speed."""
    text = "The simulated centre's speed, in multiples of real time."
    return click.option("--speed", type=float, callback=positive, default=default, show_default=True, help=text)


def server(command: _Command) -> _Command:
    """Add the options that make up `settings.ServerOptions`: which server to ask."""
    for option in (
        click.option(
            "--timeout",
            type=float,
            callback=positive,
            help="Seconds for one request (10), before SIPQUEUE_TIMEOUT.",
        ),
        click.option(
            "--timezone",
            help="The server's time zone, such as Asia/Shanghai, before SIPQUEUE_TIMEZONE; "
            "without it its times are shown as sent.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="The settings file, before SIPQUEUE_CONFIG: TOML with url, appid and accesskey or token, timezone, "
            "timeout, encoding, redis.",
        ),
        click.option("--url", help="The API's URL, before SIPQUEUE_URL."),
    ):
        command = option(command)
    return command


def origin(command: _Command) -> _Command:
    """Add the options that make up `origin.OriginOptions`: where the status comes from."""
    for option in (
        click.option("--prefix", help="With --from-relay: the prefix of the relay's keys (sipqueue)."),
        redis,
        click.option(
            "--from-relay", is_flag=True, help="Read what a relay publishes on Redis instead of polling the platform."
        ),
    ):
        command = option(command)
    return server(command)
