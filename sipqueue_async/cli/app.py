"""The command line's grammar: commands and their options. What a command does is in a module of its own."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, Unpack

import click

from sipqueue_async import AgentState, Snapshot, __version__
from sipqueue_async.cli import demo as demo_command
from sipqueue_async.cli import exits, running, settings
from sipqueue_async.cli import relay as relay_command
from sipqueue_async.cli import report as report_command
from sipqueue_async.cli import simulate as simulate_command
from sipqueue_async.cli import source as source_of
from sipqueue_async.cli import status as status_command
from sipqueue_async.cli import top as top_command
from sipqueue_async.cli import wallboard as wallboard_command
from sipqueue_async.cli import watch as watch_command
from sipqueue_async.cli.output import Output
from sipqueue_async.cli.render import KINDS
from sipqueue_async.cli.statefile import StateFile
from sipqueue_async.tally import Tally

_Command = TypeVar("_Command", bound=Callable[..., Any])

_EPILOG: Final = """\
\b
status, watch, report, top, wallboard and relay take the server and the secrets from the environment
  SIPQUEUE_URL                             the API's one URL
  SIPQUEUE_APPID and SIPQUEUE_ACCESSKEY    to log in with, or
  SIPQUEUE_TOKEN                           a ready token
  SIPQUEUE_REDIS_URL                       where relay publishes, and --from-relay reads
or from a TOML file with url, appid, accesskey, token: --config FILE.
Secrets are no options, because other users can see a program's arguments.

\b
exit codes
  0  done                      4    platform unreachable, or it refused
  1  trouble on this machine   130  Ctrl-C
  2  wrong usage or settings   141  the reader of a pipe has gone
  3  credentials refused       143  SIGTERM
"""


def _positive(_context: click.Context, _parameter: click.Parameter, number: float | None) -> float | None:
    if number is not None and not 0 < number < math.inf:
        raise click.BadParameter(f"it must be above 0, not {number:g}")
    return number


def _not_negative(_context: click.Context, _parameter: click.Parameter, number: float | None) -> float | None:
    if number is not None and not 0 <= number < math.inf:
        raise click.BadParameter(f"it must be 0 or more, not {number:g}")
    return number


def _names(_context: click.Context, _parameter: click.Parameter, names: tuple[str, ...]) -> frozenset[str]:
    if "" in names:
        raise click.BadParameter("a name cannot be empty; leave the option out to see all")
    return frozenset(names)


def _kinds(_context: click.Context, _parameter: click.Parameter, lists: tuple[str, ...]) -> frozenset[str]:
    kinds = frozenset(kind.strip() for kind in ",".join(lists).split(",")) if lists else frozenset[str]()
    for kind in sorted(kinds.difference(KINDS.values())):
        raise click.BadParameter(f"{kind!r} is no kind of event; there are {', '.join(KINDS.values())}")
    return kinds


def _server_options(command: _Command) -> _Command:
    """Add the options that say which server to ask, which make up `settings.Arguments`."""
    for option in (
        click.option(
            "--timeout",
            type=float,
            callback=_positive,
            envvar="SIPQUEUE_TIMEOUT",
            show_envvar=True,
            help="Seconds for one request (10).",
        ),
        click.option(
            "--timezone",
            envvar="SIPQUEUE_TIMEZONE",
            show_envvar=True,
            help="The server's time zone, such as Asia/Shanghai; without it its times are shown as sent.",
        ),
        click.option(
            "--config",
            type=click.Path(path_type=Path),
            envvar="SIPQUEUE_CONFIG",
            show_envvar=True,
            help="A TOML file with url, appid and accesskey or token, timezone, timeout, encoding.",
        ),
        click.option("--url", envvar="SIPQUEUE_URL", show_envvar=True, help="The API's URL."),
    ):
        command = option(command)
    return command


_redis = click.option(
    "--redis", "redis_url", help="The URL of a Redis, before SIPQUEUE_REDIS_URL; none with a password."
)


def _source_options(command: _Command) -> _Command:
    """Add the options that say where the status comes from, which make up `source.Arguments`."""
    for option in (
        click.option("--prefix", help="With --from-relay: what the relay's keys begin with (sipqueue)."),
        _redis,
        click.option(
            "--from-relay", is_flag=True, help="Read what a relay publishes on Redis, and ask the platform nothing."
        ),
    ):
        command = option(command)
    return _server_options(command)


_queues = click.option("--queue", "queues", callback=_names, multiple=True, help="Only this queue; may be repeated.")
_extensions = click.option(
    "--extension", "extensions", callback=_names, multiple=True, help="Only this extension; may be repeated."
)
_interval = click.option(
    "--interval", type=float, callback=_positive, default=2.0, show_default=True, help="Seconds between polls."
)
_seed = click.option("--seed", type=int, default=0, show_default=True, help="What happens; each seed is another day.")
_host = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sipqueue", message="%(prog)s %(version)s")
def cli() -> None:
    """Tell who is doing what in a call centre's queues, and every change of it.

    Begin with "sipqueue demo", which needs no server.
    """


@cli.command()
@click.option(
    "--seconds", type=float, callback=_not_negative, default=30.0, show_default=True, help="When to stop; 0 for never."
)
@click.option(
    "--interval", type=float, callback=_positive, default=0.5, show_default=True, help="Seconds between polls."
)
@click.option("--speed", type=float, callback=_positive, default=10.0, show_default=True, help="Times as fast as real.")
@_seed
def demo(*, seconds: float, interval: float, speed: float, seed: int) -> running.Work:
    """Watch a simulated call centre.

    It is polled over HTTP, like a real one. At the end, or on Ctrl-C, what was reported is compared with what the
    simulator knows to be true.
    """
    return partial(demo_command.demo, _output(), seconds=seconds, interval=interval, speed=speed, seed=seed)


@cli.command()
@_queues
@_extensions
@click.option(
    "--state",
    "states",
    type=click.Choice([state.value for state in AgentState]),
    multiple=True,
    help="Only agents in this state; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_source_options
def status(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    states: tuple[str, ...],
    as_json: bool,
    **source: Unpack[source_of.Arguments],
) -> running.Work:
    """Show who is doing what now."""
    return partial(
        status_command.status,
        source_of.chosen(source, os.environ),
        _output(),
        queues=queues,
        extensions=extensions,
        states=frozenset(map(AgentState, states)),
        as_json=as_json,
    )


@cli.command()
@_queues
@_extensions
@click.option(
    "--only",
    "kinds",
    callback=_kinds,
    multiple=True,
    metavar="KIND,KIND...",
    help=f"Only events of these kinds: {', '.join(KINDS.values())}.",
)
@_interval
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    help="Keep what was told in this file, and after a restart go on from there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@_source_options
def watch(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    kinds: frozenset[str],
    interval: float,
    state_file: Path | None,
    as_json: bool,
    **source: Unpack[source_of.Arguments],
) -> running.Work:
    """Print what changes, as it does.

    Trouble that may pass is reported and waited out; Ctrl-C ends.
    """
    return partial(
        watch_command.watch,
        source_of.chosen(source, os.environ),
        _output(),
        choice=watch_command.Choice(queues=queues, extensions=extensions, kinds=kinds),
        interval=interval,
        state_file=None if state_file is None else StateFile(state_file, Snapshot.from_json),
        as_json=as_json,
    )


@cli.command()
@_queues
@_extensions
@_interval
@click.option(
    "--seconds",
    type=float,
    callback=_not_negative,
    help="When to stop; 0 for never, which is the default (with --demo, 600 is).",
)
@click.option(
    "--state-file",
    type=click.Path(path_type=Path),
    help="Keep the figures in this file, and after a restart go on with the same day.",
)
@click.option("--saved", is_flag=True, help="Print what the state file has, without watching.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a line for each seat.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--demo", is_flag=True, help="Watch a simulated call centre instead, 60 times as fast as real.")
@_seed
@_source_options
def report(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    seconds: float | None,
    state_file: Path | None,
    saved: bool,
    demo: bool,
    as_csv: bool,
    as_json: bool,
    seed: int,
    **source: Unpack[source_of.Arguments],
) -> running.Job:
    """Print the day's figures: who did what for how long.

    Watches, since the platform keeps no such record; the figures are printed on Ctrl-C or after --seconds. With --demo,
    seconds are those of the simulated centre.
    """
    _refuse_together({"--csv": as_csv, "--json": as_json})
    _refuse_together({"--saved": saved, "--demo": demo})
    _refuse_together({"--state-file": state_file is not None, "--demo": demo})
    _refuse_relay_with("--demo", demo, source)
    _refuse_relay_with("--saved", saved, source)
    if saved and state_file is None:
        raise click.UsageError("--saved needs --state-file, which says what to print")
    if seconds is None:
        seconds = 600.0 if demo else 0.0
    command = report_command.Report(
        _output(),
        form=report_command.Form.CSV if as_csv else report_command.Form.JSON if as_json else report_command.Form.TABLE,
        queues=queues,
        extensions=extensions,
        interval=interval,
        seconds=seconds,
        state_file=None if state_file is None else StateFile(state_file, Tally.from_json),
    )
    if saved:
        return running.Job(command.saved, command.conclude)
    if demo:
        return running.Job(partial(command.demo, seed), command.conclude)
    return running.Job(partial(command.live, source_of.chosen(source, os.environ)), command.conclude)


@cli.command()
@_queues
@_extensions
@_interval
@click.option("--demo", is_flag=True, help="Watch a simulated call centre instead, 10 times as fast as real.")
@_seed
@_source_options
def top(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    demo: bool,
    seed: int,
    **source: Unpack[source_of.Arguments],
) -> running.Work:
    """Show who is doing what on the whole terminal, as it changes.

    q ends it, s sorts the agents another way, f shows one queue after the other, space shows those that there was no
    room for. In a pipe it prints one table, as status does.
    """
    _refuse_relay_with("--demo", demo, source)
    choice = top_command.Choice(queues=queues, extensions=extensions, interval=interval)
    if demo:
        return partial(top_command.demo_top, _output(), choice=choice, seed=seed)
    return partial(top_command.top, source_of.chosen(source, os.environ), _output(), choice=choice)


def _refuse_together(options: dict[str, bool]) -> None:
    if all(options.values()):
        raise click.UsageError(f"{' and '.join(options)} do not go together")


def _refuse_relay_with(option: str, given: bool, source: source_of.Arguments) -> None:
    relays = {"--from-relay": source["from_relay"], "--redis": source["redis_url"], "--prefix": source["prefix"]}
    for name, value in relays.items():
        _refuse_together({name: value not in {None, False}, option: given})


@cli.command()
@_queues
@_interval
@_host
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8088,
    show_default=True,
    help="The port to listen on; 0 for any free.",
)
@click.option(
    "--host-name",
    "host_names",
    callback=_names,
    multiple=True,
    help="A further name that browsers reach it by; may be repeated.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="A file with the access key, before SIPQUEUE_WALLBOARD_KEY; needed with an address that others can reach.",
)
@click.option("--demo", is_flag=True, help="Show a simulated call centre instead of a platform.")
@click.option("--agents", type=click.IntRange(min=1), default=24, show_default=True, help="How many agents it has.")
@click.option("--speed", type=float, callback=_positive, default=5.0, show_default=True, help="How fast it is.")
@_seed
@_source_options
def wallboard(
    *,
    queues: frozenset[str],
    interval: float,
    host: str,
    port: int,
    host_names: frozenset[str],
    key_file: Path | None,
    demo: bool,
    agents: int,
    speed: float,
    seed: int,
    **source: Unpack[source_of.Arguments],
) -> running.Work:
    """Serve a page for a big screen until Ctrl-C.

    It shows who is doing what, and changes as that does. "sipqueue wallboard --demo" needs no server.
    """
    _refuse_relay_with("--demo", demo, source)
    demonstration = wallboard_command.Demonstration(agents=agents, seed=seed, speed=speed)
    return partial(
        wallboard_command.wallboard,
        _output(),
        source=demonstration if demo else source_of.chosen(source, os.environ),
        site=wallboard_command.Site(
            host=host, port=port, host_names=host_names, key=wallboard_command.read_key(key_file, os.environ)
        ),
        queues=queues,
        interval=interval,
    )


@cli.command()
@_redis
@click.option("--prefix", default="sipqueue", show_default=True, help="What the keys begin with: one a platform.")
@click.option(
    "--lease",
    type=click.FloatRange(min=0.1, max=3600),
    default=10.0,
    show_default=True,
    help="Seconds after which another relay takes over from one that says nothing.",
)
@_queues
@_extensions
@_interval
@_server_options
def relay(
    *,
    redis_url: str | None,
    prefix: str,
    lease: float,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    **server: Unpack[settings.Arguments],
) -> running.Work:
    """Watch for any number of other programs, and publish on Redis what changes.

    Several may run: one leads, the others stand by and take over. The programs read with RedisFeed.
    """
    found = settings.Settings(server, os.environ)
    return partial(
        relay_command.relay,
        found.client(),
        _output(),
        place=relay_command.Place(redis=found.redis(redis_url), prefix=prefix, lease=lease),
        queues=queues,
        extensions=extensions,
        interval=interval,
    )


@cli.command()
@_host
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="The port to listen on; 0 for any free."
)
@click.option("--agents", type=click.IntRange(min=1), default=12, show_default=True, help="How many agents.")
@click.option("--queues", type=click.IntRange(min=1), default=2, show_default=True, help="How many queues.")
@_seed
@click.option("--speed", type=float, callback=_positive, default=1.0, show_default=True, help="Times as fast as real.")
def simulate(*, host: str, port: int, agents: int, queues: int, seed: int, speed: float) -> running.Work:
    """Serve a simulated platform until Ctrl-C.

    Prints where it is and how to log in as lines for a shell. SIPQUEUE_APPID and SIPQUEUE_ACCESSKEY, where they are
    set, are what it accepts; the token ABCDEFG always works.
    """
    return partial(
        simulate_command.simulate,
        _output(),
        os.environ,
        plan=simulate_command.plan(agents, queues),
        host=host,
        port=port,
        seed=seed,
        speed=speed,
    )


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: Without the program's name; by default the process's own.
    """
    # The library warns in its log of what the commands print themselves.
    logging.getLogger("sipqueue_async").addHandler(logging.NullHandler())
    try:
        # Click only finds out what is to be done: run by it, a command would end in its ways and not in ours.
        found: int | running.Work | running.Job = cli.main(arguments, prog_name="sipqueue", standalone_mode=False)
        return found if isinstance(found, int) else running.run(found)
    except Exception as error:  # noqa: BLE001  # what is not expected is raised again
        return exits.end(error)


def _output() -> Output:
    # Python has no stdout where the shell closed it (>&-).
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise exits.Failure("standard output is closed, so there is nowhere to print to", exits.FAILED)
    return Output(sys.stdout, os.environ)
