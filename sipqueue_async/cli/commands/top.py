"""``sipqueue top``: who is doing what now, kept up to date on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Unpack

import click

from sipqueue_async import Feed, FeedHealth, SeatFilter, StatusWatcher
from sipqueue_async.cli import options, running
from sipqueue_async.cli.commands.status import status
from sipqueue_async.cli.origin import ALL_SEATS, Origin, OriginOptions, RelayOrigin, feed_of, origin_of
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.cli.terminal.board import Scene, compose
from sipqueue_async.cli.terminal.layout import Line
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.terminal.view import View
from sipqueue_async.simulator import Simulator
from sipqueue_async.tally import Tally

_TICK: Final = 1.0
"""Seconds between two pictures if nothing changes: times in state are shown to the second."""

_REST: Final = 0.05
"""Minimum seconds between two pictures; people cannot read faster."""


@click.command(
    "top",
    epilog=options.examples(
        "sipqueue top --queue queue-1 --interval 1", "sipqueue top --demo --agents 300 --queues 25"
    ),
)
@options.queues
@options.extensions
@options.interval
@click.option("--demo", is_flag=True, help="Watch a simulated call centre instead.")
@options.demonstration(speed=10.0)
@options.origin
def command(
    *,
    queues: frozenset[str],
    extensions: frozenset[str],
    interval: float,
    demo: bool,
    agents: int,
    demo_queues: int | None,
    speed: float,
    seed: int,
    **origin: Unpack[OriginOptions],
) -> running.Work:
    """Show who is doing what on the whole terminal, live.

    Keys: q quits, s changes the order of the agents, f shows one queue after the other, space shows the agents that
    did not fit. In a pipe it prints one table, as status does.
    """
    options.refuse_relay_with("--demo", demo, origin)
    seats = SeatFilter(queues or None, extensions or None)
    if demo:
        centre = Demonstration(agents=agents, queues=demo_queues, speed=speed, seed=seed)
        return partial(top_demo, standard_output(), centre, seats=seats, interval=interval)
    return partial(top, origin_of(origin, os.environ), standard_output(), seats=seats, interval=interval)


async def top(
    origin: Origin,
    output: Output,
    *,
    seats: SeatFilter = ALL_SEATS,
    interval: float = 2.0,
    title: str | None = None,
) -> None:
    """Show who is doing what until q is pressed, or print it once where there is no screen.

    Args:
        origin: Where the status comes from.
        output: Where it is shown.
        seats: Which seats to show.
        interval: Seconds between polls.
        title: What is watched, for the first line.
    """
    # Windows has no such module.
    if not output.screen or importlib.util.find_spec("termios") is None:
        await status(origin, output, seats=seats)
        return
    usual = "read from a relay" if isinstance(origin, RelayOrigin) else f"polled every {interval:g} s"
    async with feed_of(origin, interval=interval, seats=seats) as feed:
        live = LiveBoard(feed, output, title or usual)
        async with feed:
            await live.run()


async def top_demo(
    output: Output, centre: Demonstration, *, seats: SeatFilter = ALL_SEATS, interval: float = 2.0
) -> None:
    """Show a simulated call centre in the same way."""
    async with Simulator(centre.plan, seed=centre.seed, speed=centre.speed) as simulator:
        title = f"a simulated call centre, {centre.speed:g} times as fast as real"
        await top(client_of(simulator), output, seats=seats, interval=interval, title=title)


class LiveBoard:
    """Keeps the board on the screen up to date with a feed and with the keys that are pressed."""

    def __init__(self, feed: Feed, output: Output, title: str) -> None:
        self._feed = feed
        self._output = output
        self._title = title
        self._tally = Tally()
        self._view = View()
        self._last_good: tuple[datetime, float] | None = None
        """When the last good answer arrived, on its own clock and on the loop's."""
        self._answered_at: datetime | None = None
        """The last `last_good_at` of the feed's health."""
        self._news = asyncio.Event()
        self._quit = False
        self._tally.follow(feed)
        feed.add_listener(self._looked)

    def _looked(self, health: FeedHealth) -> None:
        if health.last_good_at is not None and health.last_good_at != self._answered_at:
            self._note_answer(health.last_good_at)
        self._news.set()

    def _note_answer(self, good_at: datetime) -> None:
        """Let the times on the screen count on from the last good answer.

        A watcher reports each answer at once. A relay's reader learns seconds late of an answer without a change; the
        times must not step back then.
        """
        was, self._answered_at = self._answered_at, good_at
        now, at = asyncio.get_running_loop().time(), good_at
        is_late = was is not None and was < good_at and not isinstance(self._feed, StatusWatcher)
        if self._last_good is not None and is_late:
            before, seen = self._last_good
            at = max(good_at, before + timedelta(seconds=now - seen))
        self._last_good = at, now

    async def run(self) -> None:
        """Show the board until q is pressed.

        Raises:
            BaseException: The error that ended the feed.
        """
        from sipqueue_async.cli.terminal.screen import Screen, Session  # noqa: PLC0415  # Windows lacks its modules

        stream = self._output.stream
        screen = Screen(stream.fileno(), _keyboard(), colour=self._output.colour, encoding=stream.encoding)
        with running.restoring(screen.give_back):
            screen.take()
            with Session(screen, press=self._press, changed=self._news.set):
                while not self._quit and not self._feed.health.ended:
                    self._news.clear()
                    screen.paint(self.picture(screen.size))
                    await self._something_new()
        if self._feed.health.ended:
            await self._feed.ready()

    async def _something_new(self) -> None:
        await asyncio.sleep(_REST)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK - _REST):
                await self._news.wait()

    def picture(self, size: os.terminal_size) -> list[Line]:
        """Return the lines to show now on a screen of this size."""
        now = datetime.now(UTC)
        health = self._feed.health
        at = now
        if self._last_good is not None:
            # Times count on from the last answer, but not during an outage, when nothing is known.
            at, seen = self._last_good
            if health.up:
                at += timedelta(seconds=asyncio.get_running_loop().time() - seen)
        scene = Scene(
            tally=self._tally, health=health, at=at, now=now, title=self._title, ellipsis=self._output.ellipsis
        )
        return compose(scene, self._view, size.columns, size.lines)

    def _press(self, key: str) -> None:
        """Handle a key; most do nothing."""
        match key.lower():
            case "q":
                self._quit = True
            case "s":
                self._view = self._view.next_sort()
            case "f":
                self._view = self._view.next_queue(self._tally.queues)
            case " ":
                self._view = self._view.next_page()
            case _:
                return
        self._news.set()


def _keyboard() -> int | None:
    return sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
