"""``sipqueue top``: who is doing what now, kept up to date on a terminal."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Unpack

import click

from sipqueue_async import SeatFilter
from sipqueue_async.alerts import RulesFile
from sipqueue_async.cli import options, rules, running
from sipqueue_async.cli.commands.status import status
from sipqueue_async.cli.exits import DONE
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, RelayOrigin, feed_of, origin_of
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.cli.terminal.live import LiveStatus
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import _
from sipqueue_async.simulator import Simulator


@click.command(
    "top",
    epilog=options.examples(
        "sipqueue top --queue queue-1 --interval 1", "sipqueue top --demo --agents 300 --queues 25"
    ),
)
@options.queues
@options.extensions
@options.interval
@rules.option
@click.option("--demo", is_flag=True, help="Watch a simulated call centre instead.")
@options.demonstration(speed=10.0)
@options.origin
def command(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    rules_path: Path | None,
    demo: bool,
    agents: int,
    demo_queues: int | None,
    speed: float,
    seed: int,
    **origin: Unpack[OriginOptions],
) -> running.Work:
    """Show who is doing what on the whole terminal, live.

    Keys: q quits, ? shows all others. In a pipe it prints one table, as status does.
    """
    options.refuse_relay_with("--demo", demo, origin)
    seats = SeatFilter(queues or None, extensions or None)
    shown = rules.shown_rules(rules_path, seats)
    if demo:
        centre = Demonstration(agents=agents, queues=demo_queues, speed=speed, seed=seed)
        return partial(top_demo, standard_output(), centre, seats=seats, interval=interval, alert_rules=shown)
    real = origin_of(origin, os.environ)
    return partial(top, real, standard_output(), seats=seats, interval=interval, alert_rules=shown)


async def top(
    origin: Origin,
    output: Output,
    *,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    title: str | None = None,
    alert_rules: RulesFile | None = None,
) -> int:
    """Show who is doing what until q is pressed; without a screen, print it once. Return the exit code.

    Args:
        origin: Where the status comes from.
        output: Where it is shown.
        seats: Which seats to show.
        interval: Seconds between polls.
        title: What is watched, for the first line.
        alert_rules: The rules whose raised alerts are shown.

    Raises:
        BaseException: The error that ended the feed.
    """
    if not output.screen:
        await status(origin, output, seats=seats)
        return DONE
    is_relayed = isinstance(origin, RelayOrigin)
    usual = _("read from a relay") if is_relayed else _("polled every {interval:g} s").format(interval=interval)
    async with feed_of(origin, interval=interval, seats=seats) as feed:
        live = LiveStatus(feed, title or usual, ellipsis=output.ellipsis, rules=alert_rules)
        async with feed:
            looking = asyncio.create_task(live.look_for_absent(origin, rules.named_seats(alert_rules, seats)))
            following = asyncio.create_task(live.follow_alerts())
            # Imported lazily: it takes as long as all that other commands import.
            from sipqueue_async.cli.terminal.app import show  # noqa: PLC0415

            try:
                code = await show(live, output.stream)
            finally:
                looking.cancel()
                following.cancel()
                await asyncio.wait([following])
            if feed.health.ended:
                await feed.ready()
            return code


async def top_demo(
    output: Output,
    centre: Demonstration,
    *,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    alert_rules: RulesFile | None = None,
) -> int:
    """Show a simulated call centre in the same way."""
    async with Simulator(centre.plan, seed=centre.seed, speed=centre.speed) as simulator:
        title = _("a simulated call centre, {speed:g} times as fast as real").format(speed=centre.speed)
        client = client_of(simulator)
        return await top(client, output, seats=seats, interval=interval, title=title, alert_rules=alert_rules)
