"""The runs: a simulated day in virtual time, watched at a given interval."""

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
    """A call centre, its platform's faults, and an optional restart of the watchers. Times are seconds."""

    name: str
    plan: Plan
    duration: float
    faults: Faults = attrs.field(factory=Faults)
    token_lifetime: float = 12 * 3600.0
    restart: tuple[float, float] | None = None
    """The times at which every watcher stops and at which new ones resume from the saved snapshots."""


def scenarios(hours: float, agents: int, queues: int) -> tuple[Scenario, ...]:
    """Return the scenarios; a run of fewer than 24 hours has a shorter day in which everything happens sooner.

    In the full day, shifts last four hours with two hours off between them, a token is valid for an hour, the platform
    is away for 20 minutes twice, once by day and once over midnight, and the watchers are down for ten minutes.
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
    """Run `watch` on a new loop of virtual time."""
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        return runner.run(watch(scenario, interval, seed))


async def watch(scenario: Scenario, interval: float, seed: int) -> Result:
    """Play a scenario, watch it at an interval, and compare the reports with the ground truth."""
    truth, run = await play(scenario, interval, seed)
    return Check(truth, run).result()


async def play(scenario: Scenario, interval: float, seed: int) -> tuple[Truth, WatcherRun]:
    """Play a scenario, watch it at an interval on a loop of virtual time, and return the truth and the watcher's run.

    Plan and seed determine all that happens in the call centre, so every interval watches the same day.
    """
    # The watcher draws its pauses after failures from the shared generator.
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
