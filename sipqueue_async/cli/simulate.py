"""``sipqueue simulate``: the simulated platform alone, for other programs to talk to."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

import attrs

from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.output import Output
from sipqueue_async.simulator import Plan, PlatformOptions, Simulator

REFERENCE_TOKEN: Final = "ABCDEFG"  # noqa: S105  # printed in the platform's public reference
"""The token of the example in the platform's reference, which is to work as printed."""


def plan(agents: int, queues: int) -> Plan:
    """Return a lively plan of this size, as busy for its agents as the one of the demonstration."""
    lively = Plan.lively()
    size = (agents / lively.agents) / (queues / lively.queues)
    return attrs.evolve(
        lively,
        agents=agents,
        queues=queues,
        calls_per_hour=lively.calls_per_hour * size,
        opening_callers=round(lively.opening_callers * size),
    )


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
    """Serve until cancelled, after printing where, as lines for a shell."""
    options: PlatformOptions = {"tokens": (REFERENCE_TOKEN,)}
    if appid := environ.get("SIPQUEUE_APPID"):
        options["appid"] = appid
    if accesskey := environ.get("SIPQUEUE_ACCESSKEY"):
        options["accesskey"] = accesskey
    simulator = Simulator(plan, seed=seed, speed=speed, host=host, port=port, **options)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(simulator)
        except OSError as error:
            reason = error.strerror or error
            raise Failure(f"cannot listen on {host}, port {port}: {reason}; try another --port, or 0") from None
        lines = {"SIPQUEUE_URL": simulator.url, "SIPQUEUE_APPID": simulator.appid}
        if not accesskey:
            # A key that came from outside may be a real one, and whoever set it knows it.
            lines["SIPQUEUE_ACCESSKEY"] = simulator.accesskey
        output.line("\n".join(f"export {name}={shlex.quote(value)}" for name, value in lines.items()))
        await asyncio.Event().wait()
