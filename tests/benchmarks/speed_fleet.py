"""A single process that watches very many platforms: whether it keeps its schedule, and at what cost."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from typing import Final

import aiohttp
import attrs

from sipqueue_async import SipQueueClient, StatusWatcher, WatcherHealth
from tests.benchmarks.speed_bodies import Story
from tests.benchmarks.speed_measure import Limit, Section, WrongAnswer, clock, percentile, table, tuned_gc
from tests.benchmarks.speed_process import processes
from tests.benchmarks.speed_server import pin, playing

_SHARE: Final = 0.01
_SETTLING: Final = 2.5
"""Polling intervals between the start and the measured time."""
_POLLS_LIMIT: Final = 99.9
_LATENESS_LIMIT: Final = 10.0
_CPU_LIMIT: Final = 65.0


@attrs.frozen(kw_only=True)
class Plan:
    """The number of watchers, the size of their platforms, and the duration. Times are seconds."""

    watchers: int = 1_000
    seats: int = 200
    interval: float = 1.0
    seconds: float = 60.0
    tuned: bool = True
    """Whether the garbage collector is tuned for a large, long-lived process."""

    def __str__(self) -> str:
        when = f"every {self.interval:g} s for {self.seconds:g} s"
        gc_is = "gc tuned" if self.tuned else "gc as it is"
        return f"{self.watchers:,} watchers of {self.seats:,} seats, {when}, {gc_is}"

    @property
    def story(self) -> Story:
        """The answers for each watcher."""
        # Long enough even if the start is slow.
        return Story(records=self.seats, share=_SHARE, polls=round((self.seconds + 60) / self.interval))


@attrs.frozen
class Found:
    """The results."""

    plan: Plan
    polls: float
    """Successful polls, as a share of those that were due."""
    lateness_median: float
    """The median delay of a poll's start, in seconds."""
    lateness_p99: float
    cpu: float
    """Seconds of processor time per second."""


def run(plan: Plan) -> Found:
    """Run the watchers in a fresh process, on the first core."""
    pool = ProcessPoolExecutor(1, mp_context=processes(), initializer=pin, initargs=(0,))
    with playing(plan.story) as url, pool:
        return pool.submit(watch, plan, url).result()


def watch(plan: Plan, url: str) -> Found:
    """Run the watchers in this process."""
    return asyncio.run(_watch(plan, url))


class _Member:
    """One watcher, its consumer, and their figures."""

    def __init__(self, session: aiohttp.ClientSession, url: str, number: int, interval: float) -> None:
        self.watcher = StatusWatcher(SipQueueClient(url, f"watcher-{number}", session=session), interval=interval)
        self.watcher.add_listener(self._note)
        self.lateness: list[float] = []
        self.events = 0

    def _note(self, health: WatcherHealth) -> None:
        assert health.last_lateness is not None
        self.lateness.append(health.last_lateness)

    async def consume(self) -> None:
        """Consume every event, like a real program."""
        async for event in self.watcher:
            self.events += event.key is not None

    @property
    def polls(self) -> int:
        """The number of completed polls."""
        return self.watcher.health.polls

    @property
    def failures(self) -> int:
        """The number of failed polls."""
        return self.watcher.health.failures


async def _watch(plan: Plan, url: str) -> Found:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        members = [_Member(session, url, number, plan.interval) for number in range(plan.watchers)]
        async with asyncio.TaskGroup() as consumers, AsyncExitStack() as running:
            for member in members:
                await running.enter_async_context(member.watcher)
                consumers.create_task(member.consume())
            await asyncio.gather(*(member.watcher.ready(60) for member in members))
            if plan.tuned:
                running.enter_context(tuned_gc())
            await asyncio.sleep(_SETTLING * plan.interval)
            found = await _measure(plan, members)
    events = [step.events for step in plan.story.steps()]
    if any(member.events != sum(events[1 : member.polls]) for member in members if not member.failures):
        raise WrongAnswer("a watcher of the fleet told other events than there were")
    return found


async def _measure(plan: Plan, members: list[_Member]) -> Found:
    for member in members:
        member.lateness.clear()
    worked = sum(member.polls - member.failures for member in members)
    begun, cpu = clock(), time.process_time()
    await asyncio.sleep(plan.seconds)
    seconds, cpu = clock() - begun, time.process_time() - cpu
    worked = sum(member.polls - member.failures for member in members) - worked
    late = [it for member in members for it in member.lateness]
    due = plan.watchers * seconds / plan.interval
    return Found(plan, worked / due, percentile(late, 0.5), percentile(late, 0.99), cpu / seconds)


def section(found: list[Found]) -> Section:
    """Return the table, with limits for the tuned fleets."""
    rows = [("", "polls done, of those due", "late by, median", "late by, p99", "of one core")]
    limits: list[Limit] = []
    for it in found:
        polls = Limit("the fleet's polls, % of those due", 100 * it.polls, _POLLS_LIMIT, at_least=True)
        late = Limit("lateness of the fleet's polls, p99, in ms", 1000 * it.lateness_p99, _LATENESS_LIMIT)
        cpu = Limit("the fleet's share of a core, in %", 100 * it.cpu, _CPU_LIMIT)
        rows.append(
            (
                str(it.plan),
                f"{polls.measured:.2f} %",
                f"{1000 * it.lateness_median:.1f} ms",
                f"{late.measured:.1f} ms",
                f"{cpu.measured:.0f} %",
            )
        )
        if it.plan.tuned:
            limits += [polls, late, cpu]
            rows.append(("wanted", f"at least {_POLLS_LIMIT:g} %", "", f"{_LATENESS_LIMIT:g} ms", f"{_CPU_LIMIT:g} %"))
    return Section("fleet", table(*rows), limits)
