"""``sipqueue top``: who is doing what now, kept up to date on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import sys
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from sipqueue_async import Feed, FeedHealth, SipQueueClient, StatusWatcher
from sipqueue_async.cli import demo, running
from sipqueue_async.cli.board import Scene, compose
from sipqueue_async.cli.exits import DONE
from sipqueue_async.cli.layout import Line
from sipqueue_async.cli.output import Output
from sipqueue_async.cli.source import Relayed, Source, feed_of
from sipqueue_async.cli.status import status
from sipqueue_async.cli.view import View
from sipqueue_async.simulator import Plan, Simulator
from sipqueue_async.tally import Tally

DEMO_SPEED: Final = 10.0
"""How many times as fast as real a demonstration is."""

_TICK: Final = 1.0
"""Seconds from one picture to the next when nothing happens: times in state are shown to the second."""

_REST: Final = 0.05
"""Seconds between two pictures at least: nobody can read faster."""


@attrs.frozen(kw_only=True)
class Choice:
    """What to watch, and how often."""

    queues: Collection[str] = ()
    """Only these queues; empty for all."""
    extensions: Collection[str] = ()
    """Only these extensions; empty for all."""
    interval: float = 2.0
    """Seconds between polls."""


async def top(source: Source, output: Output, *, choice: Choice, title: str | None = None) -> int:
    """Show who is doing what until somebody presses q, or where there is no screen to show it on, print it once.

    Args:
        source: Whom to ask.
        output: Where it is shown.
        choice: What of it.
        title: What is watched, in words.
    """
    # There is no such module on Windows.
    if not output.screen or importlib.util.find_spec("termios") is None:
        return await status(source, output, queues=choice.queues, extensions=choice.extensions)
    usual = "read from a relay" if isinstance(source, Relayed) else f"polled every {choice.interval:g} s"
    made = feed_of(source, interval=choice.interval, queues=choice.queues, extensions=choice.extensions)
    async with made as feed:
        board = _Board(feed, output, title or usual)
        async with feed:
            await board.run()
    return DONE


async def demo_top(output: Output, *, choice: Choice, seed: int = 0) -> int:
    """Do so with a simulated call centre."""
    async with Simulator(Plan.lively(), seed=seed, speed=DEMO_SPEED) as simulator:
        client = SipQueueClient(simulator.url, demo.credentials(simulator))
        title = f"a simulated call centre, {DEMO_SPEED:g} times as fast as real"
        return await top(client, output, choice=choice, title=title)


class _Board:
    """What is known, and how the person wants to see it."""

    def __init__(self, feed: Feed, output: Output, title: str) -> None:
        self._feed = feed
        self._updates = feed.updates()
        self._output = output
        self._title = title
        self._tally = Tally()
        self._view = View()
        self._last_good: tuple[datetime, float] | None = None
        """When the last good answer had arrived, by its own time and by the loop's."""
        self._answered_at: datetime | None = None
        """When it had, as it was told."""
        self._news = asyncio.Event()
        self._had_enough = False
        feed.add_listener(self._looked)

    def _looked(self, health: FeedHealth) -> None:
        while update := self._updates.get_nowait():
            self._tally.update(update)
        known = self._feed.snapshot
        if known is not None and self._tally.started_at is None:
            # What is known first is no change of anything.
            self._tally = Tally(known)
        if health.last_good_at is not None and health.last_good_at != self._answered_at:
            self._note_answer(health.last_good_at)
        self._news.set()

    def _note_answer(self, good_at: datetime) -> None:
        """Let the times on the screen tick on from the last good answer.

        A watcher tells of each at once. A reader of a relay learns some seconds late of one without a change, and by
        that the times are not to step back.
        """
        was, self._answered_at = self._answered_at, good_at
        now, at = asyncio.get_running_loop().time(), good_at
        is_late = was is not None and was < good_at and not isinstance(self._feed, StatusWatcher)
        if self._last_good is not None and is_late:
            before, seen = self._last_good
            at = max(good_at, before + timedelta(seconds=now - seen))
        self._last_good = at, now

    async def run(self) -> None:
        """Show it until somebody has had enough.

        Raises:
            BaseException: What ended the feed.
        """
        from sipqueue_async.cli.screen import Screen, Session  # noqa: PLC0415  # not every system has what it needs

        stream = self._output.stream
        screen = Screen(stream.fileno(), _keyboard(), colour=self._output.colour, encoding=stream.encoding)
        with running.restoring(screen.give_back):
            screen.take()
            with Session(screen, press=self._press, changed=self._news.set):
                while not self._had_enough and not self._feed.health.ended:
                    self._news.clear()
                    screen.paint(self._picture(screen.size))
                    await self._something_new()
        if self._feed.health.ended:
            await self._feed.ready()

    async def _something_new(self) -> None:
        await asyncio.sleep(_REST)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK - _REST):
                await self._news.wait()

    def _picture(self, size: os.terminal_size) -> list[Line]:
        now = datetime.now(UTC)
        health = self._feed.health
        at = now
        if self._last_good is not None:
            # Ticking on from the last answer; while the feed is down, nothing is known of the time since.
            at, seen = self._last_good
            if health.up:
                at += timedelta(seconds=asyncio.get_running_loop().time() - seen)
        scene = Scene(
            tally=self._tally, health=health, at=at, now=now, title=self._title, ellipsis=self._output.ellipsis
        )
        return compose(scene, self._view, size.columns, size.lines)

    def _press(self, key: str) -> None:
        """Do what a key asks for; most ask for nothing."""
        match key.lower():
            case "q":
                self._had_enough = True
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
