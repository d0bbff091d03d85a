"""The runs: a simulated day in virtual time, watched at one interval or another."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from typing import Final

import async_solipsism
import attrs

from sipqueue_async.simulator import CallCentre, LiveCentre, Plan, Platform
from tests.benchmarks.truth_check import Check, Result, Truth
from tests.benchmarks.truth_network import Faults, Network
from tests.benchmarks.truth_watch import ZONE, WatcherRun

DAY: Final = 86400.0
MIDNIGHT: Final = datetime(2026, 1, 6)  # noqa: DTZ001  # the records' times have no zone
INTERVALS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


@attrs.frozen(kw_only=True)
class Scenario:
    """A call centre, what goes wrong with its platform, and whether the watchers are restarted. Times are seconds."""

    name: str
    plan: Plan
    duration: float
    faults: Faults = attrs.field(factory=Faults)
    token_lifetime: float = 12 * 3600.0
    restart: tuple[float, float] | None = None
    """When every watcher is stopped, and when new ones go on from the snapshots that were saved then."""


def scenarios(hours: float, agents: int, queues: int) -> tuple[Scenario, ...]:
    """Return the scenarios; in a run of fewer than 24 hours the day is the shorter, and everything happens sooner.

    In the full day, shifts last four hours with two off between them, a token lives an hour, the platform is away for
    20 minutes twice, once by day and once over midnight, and the watchers are down for ten minutes.
    """
    duration = hours * 3600

    def part(seconds: float) -> float:
        return seconds * duration / DAY

    midnight = part(16 * 3600)
    steady = Plan(
        start=MIDNIGHT - timedelta(seconds=midnight),
        queues=queues,
        agents=agents,
        several_queues=0.1,
        calls_per_hour=10.0 * agents / queues,
        external_calls_per_hour=0.2,
    )
    shifts = attrs.evolve(steady, shift_hours=part(4 * 3600) / 3600, off_hours=part(2 * 3600) / 3600)
    faults = Faults(
        failing=0.05,
        outages=(
            (part(7 * 3600), part(7 * 3600 + 1200)),
            (midnight - part(600), midnight + part(600)),
        ),
        blank=0.005,
        stale=0.01,
    )
    restart = (part(12 * 3600), part(12 * 3600 + 600))
    return (
        Scenario(name="steady", plan=steady, duration=duration),
        Scenario(name="shifts", plan=shifts, duration=duration),
        Scenario(
            name="faults",
            plan=attrs.evolve(steady, counter_reset=True),
            duration=duration,
            faults=faults,
            token_lifetime=part(3600),
            restart=restart,
        ),
        Scenario(
            name="everything",
            plan=attrs.evolve(shifts, counter_reset=True),
            duration=duration,
            faults=faults,
            token_lifetime=part(3600),
            restart=restart,
        ),
    )


def run_scenario(scenario: Scenario, interval: float, seed: int) -> Result:
    """Do the same as `watch`, on a loop of virtual time of its own."""
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(watch(scenario, interval, seed))


async def watch(scenario: Scenario, interval: float, seed: int) -> Result:
    """Play a scenario, watch it at an interval, and hold what was told against what happened."""
    truth, run = await play(scenario, interval, seed)
    return Check(truth, run).result()


async def play(scenario: Scenario, interval: float, seed: int) -> tuple[Truth, WatcherRun]:
    """Play a scenario and watch it at an interval, on a loop of virtual time; return what happened and what was told.

    Plan and seed settle what happens in the call centre, so every interval is tried on the very same day.
    """
    # The watcher's pauses after failures are drawn from the generator that a whole program shares.
    random.seed(seed)
    loop = asyncio.get_running_loop()
    centre = CallCentre(scenario.plan, seed=seed)
    live = LiveCentre(centre, clock=loop.time)
    platform = Platform(live, token_lifetime=scenario.token_lifetime, clock=loop.time, timezone=ZONE)
    rng = random.Random(f"{seed} {scenario.name} {interval}")
    live.start()
    run = WatcherRun(interval, Network(centre, live, platform, rng, scenario.faults), platform, loop.time())
    saved = None
    if scenario.restart is not None:
        stop, start = scenario.restart
        saved = await run.live(stop)
        await asyncio.sleep(start - run.now())
    await run.live(scenario.duration, saved)
    live.stop()
    return Truth(centre.truth), run
