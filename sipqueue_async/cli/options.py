"""Options that several commands share, and the checks of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import click

from sipqueue_async.cli.help import EXAMPLES
from sipqueue_async.cli.origin import OriginOptions

if TYPE_CHECKING:
    from sipqueue_async.cli.simulation import Demonstration

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
    """Raise a usage error if both of two options are given."""
    first, second = options
    if all(options.values()):
        raise click.UsageError(f"{first} and {second} do not go together")


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
host: Final = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
redis: Final = click.option(
    "--redis", "redis_url", help="The URL of a Redis, without a password. Overrides SIPQUEUE_REDIS_URL."
)


def port(default: int) -> Callable[[_Command], _Command]:
    """Return the option for the port to listen on."""
    text = "The port to listen on; 0 for any free one."
    return click.option("--port", type=click.IntRange(0, 65535), default=default, show_default=True, help=text)


class DemoOptions(TypedDict):
    """The options for a simulated call centre, as `demonstration` adds them."""

    agents: int
    demo_queues: int | None
    speed: float
    seed: int


def demonstration_of(options: DemoOptions) -> Demonstration:
    """Return the call centre to simulate."""
    # Imported lazily: commands without a demonstration must not load the simulator.
    from sipqueue_async.cli.simulation import Demonstration  # noqa: PLC0415

    return Demonstration(
        agents=options["agents"], queues=options["demo_queues"], speed=options["speed"], seed=options["seed"]
    )


def demonstration(*, agents: int = 12, speed: float) -> Callable[[_Command], _Command]:
    """Return the options that make up `DemoOptions`, with these defaults."""
    texts = {
        "agents": "How many agents the simulated centre has.",
        "queues": "How many queues it has; by default one for each dozen agents, at least 2.",
        "speed": "Its speed, in multiples of real time.",
        "seed": "What happens in it; each seed is another day.",
    }
    # Ten times as many need 9 GB and minutes before anything is shown.
    many = click.IntRange(min=1, max=10_000)

    def add(command: _Command) -> _Command:
        for option in (
            click.option("--seed", type=int, default=0, show_default=True, help=texts["seed"]),
            click.option(
                "--speed", type=float, callback=positive, default=speed, show_default=True, help=texts["speed"]
            ),
            click.option("--queues", "demo_queues", type=many, help=texts["queues"]),
            click.option("--agents", type=many, default=agents, show_default=True, help=texts["agents"]),
        ):
            command = option(command)
        return command

    return add


def examples(*lines: str) -> str:
    """Return the end of a command's help: lines to type."""
    return f"\b\n{EXAMPLES}\n" + "\n".join(f"  {line}" for line in lines)


def server(command: _Command) -> _Command:
    """Add the options that make up `settings.ServerOptions`: the server and how to reach it."""
    for option in (
        click.option(
            "--timeout",
            type=float,
            callback=positive,
            help="Seconds for one request (10). Overrides SIPQUEUE_TIMEOUT.",
        ),
        click.option(
            "--timezone",
            help="The server's time zone, such as Asia/Shanghai; without it, the server's times are shown as sent. "
            "Overrides SIPQUEUE_TIMEZONE.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            help="The settings file: TOML with url, appid and accesskey or token, timezone, timeout, encoding, redis, "
            "push, language, [wallboard]. Overrides SIPQUEUE_CONFIG.",
        ),
        click.option("--url", help="The API's URL. Overrides SIPQUEUE_URL."),
    ):
        command = option(command)
    return command


def origin(command: _Command) -> _Command:
    """Add the options that make up `origin.OriginOptions`: the source of the status."""
    for option in (
        click.option("--prefix", help="With --from-relay: the prefix of the relay's keys (sipqueue)."),
        redis,
        click.option(
            "--from-relay", is_flag=True, help="Read what a relay publishes on Redis instead of polling the platform."
        ),
    ):
        command = option(command)
    return server(command)
