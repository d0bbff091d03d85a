"""``sipqueue wallboard``: serves the page for a big screen, of a platform, a relay or a simulated call centre."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack

import attrs
import click

from sipqueue_async import Feed, SeatFilter
from sipqueue_async._language import LANGUAGES
from sipqueue_async.alerts import RulesFile
from sipqueue_async.cli import options, pushing, rules, thresholds
from sipqueue_async.cli.database import DatabaseOptions, baseline_of, chosen_history, database, recording
from sipqueue_async.cli.exits import Failure, complain
from sipqueue_async.cli.listening import cannot_listen
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, feed_of, origin_of, reporting_absent
from sipqueue_async.cli.pushing import PushAddress, pushed, receiver_of, with_path
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.simulation import Demonstration, client_of, name_people
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.thresholds import demonstration_thresholds, thresholds_of
from sipqueue_async.cli.troubles import troubled
from sipqueue_async.cli.words import _
from sipqueue_async.simulator import Simulator
from sipqueue_async.wallboard import Thresholds, Wallboard
from sipqueue_async.wallboard.journal import KEEP

if TYPE_CHECKING:
    from sipqueue_async.history import History
    from sipqueue_async.push import PushReceiver

KEY_VARIABLE: Final = "SIPQUEUE_WALLBOARD_KEY"
EVENTS_KEY_VARIABLE: Final = "SIPQUEUE_EVENTS_KEY"
_REMEDY: Final = f"set {KEY_VARIABLE}, or use --key-file"
_EVENTS_REMEDY: Final = f"set {EVENTS_KEY_VARIABLE}, or use --events-key-file"

_STALE_AFTER: Final = 30.0
"""Seconds without a good poll after which the page shows its figures as stale."""
_STALE_POLLS: Final = 5
"""The same in polling intervals; the longer of the two counts."""


@click.command(
    "wallboard",
    epilog=options.examples(
        "sipqueue wallboard --demo --agents 60 --queues 5",
        "sipqueue wallboard --host 0.0.0.0 --key-file wallboard.key",
    ),
)
@options.queues
@options.extensions
@options.interval
@options.host
@options.port(8088)
@click.option(
    "--host-name",
    "host_names",
    callback=options.names,
    multiple=True,
    help="Another host name by which browsers reach it; may be repeated.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    help="A file with the access key. Overrides SIPQUEUE_WALLBOARD_KEY. Needed with an address that others can reach.",
)
@click.option(
    "--events-key-file",
    type=click.Path(path_type=Path),
    help="A file with a second key, which opens only /api/events, /api/snapshot and /api/openapi.json. "
    "Overrides SIPQUEUE_EVENTS_KEY.",
)
@click.option(
    "--events-kept",
    type=click.IntRange(min=1),
    default=KEEP,
    show_default=True,
    help="How many updates /api/events keeps for programs that reconnect.",
)
@click.option("--title", help="The heading of the pages; by default Wallboard, in their language.")
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    help="The language of the pages, instead of the browser's; ?lang= in a page's address overrides it.",
)
@thresholds.options
@rules.option
@database
@click.option("--demo", is_flag=True, help="Show a simulated call centre instead of a platform.")
@options.demonstration(agents=24, speed=5.0)
@pushing.option
@options.origin
def command(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    host: str,
    port: int,
    host_names: frozenset[str],
    key_file: Path | None,
    events_key_file: Path | None,
    events_kept: int,
    title: str | None,
    language: str | None,
    rules_path: Path | None,
    demo: bool,
    agents: int,
    demo_queues: int | None,
    speed: float,
    seed: int,
    push: PushAddress | None,
    db_url: str | None,
    platform: str,
    talk: float | None,
    ring: float | None,
    wait: float | None,
    idle: float | None,
    pause: float | None,
    least: int | None,
    **origin: Unpack[OriginOptions],
) -> Work:
    """Serve a page for a big screen.

    It shows who is doing what, live, until Ctrl-C. "sipqueue wallboard --demo" needs no server.
    """
    options.refuse_relay_with("--demo", demo, origin)
    options.refuse_relay_with("--push", push is not None, origin)
    seats = SeatFilter(queues or None, extensions or None)
    shown = rules.shown_rules(rules_path, seats)
    given = {"talk": talk, "ring": ring, "wait": wait, "idle": idle, "pause": pause, "least": least}
    demonstration = Demonstration(agents=agents, queues=demo_queues, seed=seed, speed=speed)
    return partial(
        wallboard,
        demonstration if demo else origin_of(origin, os.environ),
        standard_output(),
        site=Site(
            host=host,
            port=port,
            host_names=host_names,
            key=read_key(key_file, os.environ),
            events_key=read_key(events_key_file, os.environ, variable=EVENTS_KEY_VARIABLE, what="the events key"),
            events_kept=events_kept,
            title=title,
            language=language,
            rules=shown,
            thresholds=demonstration_thresholds(given, speed)
            if demo
            else thresholds_of(given, origin["config"], os.environ),
        ),
        seats=seats,
        interval=interval,
        push=with_path(push, origin["config"], os.environ),
        history=chosen_history(DatabaseOptions(db_url=db_url, platform=platform), os.environ),
    )


@attrs.frozen(kw_only=True)
class Site:
    """The page's address, access and content."""

    host: str = "127.0.0.1"
    port: int = 0
    host_names: Collection[str] = ()
    key: str | None = attrs.field(default=None, repr=False)
    events_key: str | None = attrs.field(default=None, repr=False)
    events_kept: int = KEEP
    title: str | None = None
    language: str | None = None
    """The language of the pages; None for the browser's."""
    rules: RulesFile | None = None
    """The rules whose alerts the page shows."""
    thresholds: Thresholds = attrs.field(factory=Thresholds)


def read_key(
    file: Path | None,
    environ: Mapping[str, str],
    warn: Callable[[str], None] = complain,
    *,
    variable: str = KEY_VARIABLE,
    what: str = "the access key",
) -> str | None:
    """Return the key of a file or of a variable of the environment, if there is one.

    Args:
        file: The file.
        environ: The environment.
        warn: Is told that other users can read the file.
        variable: The variable.
        what: What messages call the key.

    Raises:
        Failure: The file cannot be read, or it is empty.
    """
    if file is None:
        return environ.get(variable) or None
    try:
        key = file.read_text(encoding="utf-8").strip()
        mode = file.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise Failure(f"the key file {file} cannot be read: {reason}") from None
    if not key:
        raise Failure(f"the key file {file} is empty: put {what} in it")
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warn(f"warning: other users can read {what} in {file}; run: chmod 600 {file}")
    return key


async def wallboard(
    origin: Origin | Demonstration,
    output: Output,
    *,
    site: Site,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    push: PushAddress | None = None,
    history: History | None = None,
) -> None:
    """Serve until the feed ends, which takes an error that a retry cannot fix; record to a history if one is given."""
    async with (
        _started(origin) as real,
        baseline_of(history, seats) as baseline,
        feed_of(real, interval=interval, seats=seats, baseline=baseline) as feed,
    ):
        receiver = receiver_of(feed, push)
        board = _wallboard(feed, site, interval, history, receiver)
        try:
            await board.start()
        except (OSError, UnicodeError) as error:
            raise cannot_listen(site.host, site.port, error, address="--host", other="another --port") from None
        try:
            async with recording(history, feed), feed, pushed(receiver, push):
                try:
                    output.line(_("the wallboard is at {url} until Ctrl-C").format(url=board.url))
                    async with reporting_absent(real, rules.named_seats(site.rules, seats), feed.ready):
                        await board.wait()
                except asyncio.CancelledError:
                    # Stop before the feed closes: for readers of the events, a restart is not the end of the feed.
                    await board.stop()
                    raise
        finally:
            await board.stop()


@asynccontextmanager
async def _started(origin: Origin | Demonstration) -> AsyncGenerator[Origin]:
    """Start the simulation, if there is one."""
    if isinstance(origin, Demonstration):
        simulator = Simulator(origin.plan, seed=origin.seed, speed=origin.speed)
        name_people(simulator.centre)
        async with simulator, troubled(simulator):
            yield client_of(simulator)
    else:
        yield origin


def _wallboard(
    feed: Feed, site: Site, interval: float, history: History | None, pushes: PushReceiver | None
) -> Wallboard:
    try:
        return Wallboard(
            feed,
            host=site.host,
            port=site.port,
            key=site.key,
            host_names=site.host_names,
            events_key=site.events_key,
            events_kept=site.events_kept,
            title=site.title,
            language=site.language,
            rules=site.rules,
            thresholds=site.thresholds,
            history=history,
            stale_after=max(_STALE_AFTER, _STALE_POLLS * interval),
            pushes=pushes,
        )
    except ValueError as error:
        raise Failure(f"{error}; {_remedy(str(error))}") from None


def _remedy(reason: str) -> str:
    if reason.startswith("this is not a host name"):
        return "see --host-name"
    return _EVENTS_REMEDY if reason.startswith("the events key") else _REMEDY
