"""``sipqueue simulate``: a simulated platform alone, for other programs to talk to."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import click

from sipqueue_async.cli import options
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.simulation import lively_plan
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.simulator import Plan, PlatformOptions, Simulator

REFERENCE_TOKEN: Final = "ABCDEFG"  # noqa: S105  # printed in the platform's public reference
"""The token in the example of the platform's reference, which works as printed there."""


@click.command("simulate")
@options.host
@options.port(0)
@click.option("--agents", type=click.IntRange(min=1), default=12, show_default=True, help="How many agents.")
@click.option("--queues", type=click.IntRange(min=1), default=2, show_default=True, help="How many queues.")
@options.seed
@options.speed(1.0)
def command(*, host: str, port: int, agents: int, queues: int, seed: int, speed: float) -> Work:
    """Serve a simulated platform.

    Prints its URL and credentials as lines for a shell, and serves until Ctrl-C. It accepts SIPQUEUE_APPID and
    SIPQUEUE_ACCESSKEY where they are set, and always the token ABCDEFG.
    """
    plan = lively_plan(agents, queues)
    output = standard_output()
    return partial(simulate, output, os.environ, plan=plan, host=host, port=port, seed=seed, speed=speed)


async def simulate(
    output: Output,
    environ: Mapping[str, str],
    *,
    plan: Plan,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    speed: float = 1.0,
) -> None:
    """Print URL and credentials as lines for a shell, then serve until cancelled."""
    platform: PlatformOptions = {"tokens": (REFERENCE_TOKEN,)}
    if appid := environ.get("SIPQUEUE_APPID"):
        platform["appid"] = appid
    if accesskey := environ.get("SIPQUEUE_ACCESSKEY"):
        platform["accesskey"] = accesskey
    simulator = Simulator(plan, seed=seed, speed=speed, host=host, port=port, **platform)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(simulator)
        except OSError as error:
            reason = error.strerror or error
            raise Failure(f"cannot listen on {host}, port {port}: {reason}; try another --port, or 0") from None
        lines = {"SIPQUEUE_URL": simulator.url, "SIPQUEUE_APPID": simulator.appid}
        if not accesskey:
            # A key from the environment may be a real one, so it is not printed.
            lines["SIPQUEUE_ACCESSKEY"] = simulator.accesskey
        output.line("\n".join(f"export {name}={shlex.quote(value)}" for name, value in lines.items()))
        await asyncio.Event().wait()
