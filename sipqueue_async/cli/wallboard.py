"""``sipqueue wallboard``: serves the page for a big screen, of a platform, a relay or a simulated call centre."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import attrs

from sipqueue_async import AppCredentials, Feed, SipQueueClient
from sipqueue_async.cli.exits import Failure, complain
from sipqueue_async.cli.output import Output
from sipqueue_async.cli.simulate import plan
from sipqueue_async.cli.source import Source, feed_of
from sipqueue_async.simulator import Simulator
from sipqueue_async.wallboard import Wallboard

KEY_VARIABLE: Final = "SIPQUEUE_WALLBOARD_KEY"
_REMEDY: Final = f"set {KEY_VARIABLE}, or use --key-file"

_STALE_AFTER: Final = 30.0
"""Seconds without a good poll after which what is shown is stale."""
_STALE_POLLS: Final = 5
"""Intervals after which it is, where they are longer."""

_AGENTS_A_QUEUE: Final = 12
"""In the demonstration."""


@attrs.frozen(kw_only=True)
class Site:
    """Where the page is to be, and for whom."""

    host: str = "127.0.0.1"
    port: int = 0
    host_names: Collection[str] = ()
    key: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Demonstration:
    """What call centre to simulate."""

    agents: int = 24
    seed: int = 0
    speed: float = 5.0


def read_key(file: Path | None, environ: Mapping[str, str], warn: Callable[[str], None] = complain) -> str | None:
    """Return the access key of a file or of the environment, if there is one.

    Raises:
        Failure: The file cannot be read, or has no key in it.
    """
    if file is None:
        return environ.get(KEY_VARIABLE) or None
    try:
        key = file.read_text(encoding="utf-8").strip()
        mode = file.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise Failure(f"the key file {file} cannot be read: {reason}") from None
    if not key:
        raise Failure(f"the key file {file} is empty: put the access key in it")
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warn(f"warning: other users can get at the access key in {file}; run: chmod 600 {file}")
    return key


async def wallboard(
    output: Output,
    *,
    source: Source | Demonstration,
    site: Site,
    queues: Collection[str] = (),
    interval: float = 2.0,
) -> None:
    """Serve until the feed ends, which takes an error that trying again does not help against."""
    async with _source(source) as real, feed_of(real, interval=interval, queues=queues) as feed:
        board = _wallboard(feed, site, interval)
        try:
            await board.start()
        except (OSError, UnicodeError) as error:
            raise Failure(f"cannot listen on {site.host}, port {site.port}: {_trouble(error)}") from None
        try:
            async with feed:
                output.line(f"the wallboard is at {board.url} until Ctrl-C")
                await board.wait()
        finally:
            await board.stop()


def _trouble(error: OSError | UnicodeError) -> str:
    """Return what is wrong with an address, and what to do."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return "no such name is known; give --host an address of this machine"
    # asyncio tells of no number where no address at all can be listened on.
    if error.errno in {None, errno.EADDRNOTAVAIL}:
        return "it is no address of this machine; give --host one that is, or 0.0.0.0 for all"
    return f"{error.strerror}; try another --port"


@asynccontextmanager
async def _source(source: Source | Demonstration) -> AsyncGenerator[Source]:
    """Start what is to be simulated."""
    if isinstance(source, Demonstration):
        size = plan(source.agents, max(1, round(source.agents / _AGENTS_A_QUEUE)))
        async with Simulator(size, seed=source.seed, speed=source.speed) as simulator:
            credentials = AppCredentials(simulator.appid, simulator.accesskey)
            yield SipQueueClient(simulator.url, credentials)
    else:
        yield source


def _wallboard(feed: Feed, site: Site, interval: float) -> Wallboard:
    try:
        return Wallboard(
            feed,
            host=site.host,
            port=site.port,
            key=site.key,
            host_names=site.host_names,
            stale_after=max(_STALE_AFTER, _STALE_POLLS * interval),
        )
    except ValueError as error:
        raise Failure(f"{error}; {_REMEDY}") from None
