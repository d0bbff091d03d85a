"""``sipqueue simulate``: a simulated platform alone, for other programs to talk to."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final, Unpack

import click

from sipqueue_async.cli import options
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.listening import cannot_listen
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.simulation import Demonstration
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.simulator import PlatformOptions, Pusher, Simulator

REFERENCE_TOKEN: Final = "ABCDEFG"  # noqa: S105  # printed in the platform's public reference
"""The token in the example of the platform's reference, which works as printed there."""


@click.command(
    "simulate",
    epilog=options.examples(
        "sipqueue simulate > simulator.env",
        "sipqueue simulate --port 8080 --agents 300 --queues 25",
    ),
)
@options.host
@options.port(0)
@options.demonstration(speed=1.0)
@click.option("--push", metavar="URL", multiple=True, help="POST the platform's pushes to this URL; may be repeated.")
def command(*, host: str, port: int, push: tuple[str, ...], **demonstration: Unpack[options.DemoOptions]) -> Work:
    """Serve a simulated platform.

    Prints its URL and credentials as lines for a shell, and serves until Ctrl-C. It accepts SIPQUEUE_APPID and
    SIPQUEUE_ACCESSKEY where they are set, and always the token ABCDEFG.
    """
    centre = options.demonstration_of(demonstration)
    return partial(simulate, standard_output(), os.environ, centre, host=host, port=port, push=push)


async def simulate(
    output: Output,
    environ: Mapping[str, str],
    centre: Demonstration,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    push: Sequence[str] = (),
) -> None:
    """Print URL and credentials as lines for a shell, then serve until cancelled."""
    platform: PlatformOptions = {"tokens": (REFERENCE_TOKEN,)}
    if appid := environ.get("SIPQUEUE_APPID"):
        platform["appid"] = appid
    if accesskey := environ.get("SIPQUEUE_ACCESSKEY"):
        platform["accesskey"] = accesskey
    simulator = Simulator(centre.plan, seed=centre.seed, speed=centre.speed, host=host, port=port, **platform)
    try:
        pusher = Pusher(simulator, push)
    except ValueError as error:
        raise Failure(f"--push: {error}") from None
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(simulator)
        except OSError as error:
            other = "another --port, or 0 for any free one"
            raise cannot_listen(host, port, error, address="--host", other=other) from None
        lines = {"SIPQUEUE_URL": simulator.url, "SIPQUEUE_APPID": simulator.appid}
        if not accesskey:
            # A key from the environment may be a real one, so it is not printed.
            lines["SIPQUEUE_ACCESSKEY"] = simulator.accesskey
        output.line("\n".join(f"export {name}={shlex.quote(value)}" for name, value in lines.items()))
        if push:
            await stack.enter_async_context(pusher)
        await asyncio.Event().wait()
