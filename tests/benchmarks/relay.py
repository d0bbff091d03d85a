"""The relay's benchmark: throughput and delay through Redis, and the cost compared with separate pollers.

Everything runs on one machine, over loopback, with a private Redis that syncs its log once a second. Relay, readers and
Redis are separate processes. The compared participants take turns, round by round, or run at the same time. The result
is the ratio within each round: its median, and the 10th and 90th percentiles. Rounds during the warm-up do not count.
Events per second and delays depend on the machine, so the page names it.

Each round checks that every reader has every event, no update is coalesced, and the records at the end are right.

Run it with ``python tests/benchmarks/relay.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.append(str(Path(__file__).parents[2]))

from redis.asyncio import Redis

from tests.benchmarks import relay_cost, relay_delay, relay_rate
from tests.benchmarks.relay_track import redis_running, track
from tests.benchmarks.speed_measure import Section
from tests.benchmarks.speed_report import machine, show, write_page
from tests.kit.needs import COMPONENTS, find

_LIBRARIES: Final = ("redis", "aiohttp", "attrs", "msgspec")


class _Benchmark:
    """The parts of the benchmark, with the arguments of the command line."""

    def __init__(self, asked: argparse.Namespace, url: str) -> None:
        self._asked = asked
        self._url = url

    def _rounds(self, usual: int) -> int:
        effort: float = self._asked.effort
        return max(1, round(usual * effort))

    def rate(self) -> Section:
        rounds = self._rounds(relay_rate.ROUNDS)
        courses = relay_rate.courses(self._asked.changed, self._asked.updates)
        with track(self._url) as both:
            return relay_rate.section([asyncio.run(relay_rate.run(both, course, rounds)) for course in courses])

    def delay(self) -> Section:
        course = relay_delay.course(self._asked.pace, min(relay_delay.UPDATES, self._asked.updates))
        with track(self._url) as both:
            found = asyncio.run(relay_delay.run(both, course, self._rounds(relay_delay.ROUNDS)))
        return relay_delay.section(found)

    def cost(self) -> Section:
        plans = [
            relay_cost.Plan(readers=readers, interval=self._asked.interval, polls=self._asked.polls)
            for readers in self._asked.readers
        ]
        return relay_cost.section(relay_cost.run(self._url, plans, self._rounds(relay_cost.ROUNDS)))


_PARTS: Final[Mapping[str, Callable[[_Benchmark], Section]]] = {
    "rate": _Benchmark.rate,
    "delay": _Benchmark.delay,
    "cost": _Benchmark.cost,
}


async def _version(url: str) -> str:
    async with Redis.from_url(url) as client:
        info: Mapping[str, Any] = await client.info("server")
    return f"redis-server {info['redis_version']}"


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what goes through a relay, and what it saves and costs.")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS), help="only these")
    parser.add_argument("--effort", type=float, default=1.0, help="times the usual number of rounds (default: 1)")
    parser.add_argument("--changed", type=int, nargs="+", default=relay_rate.CHANGED, help="seats an update")
    parser.add_argument("--updates", type=int, default=relay_rate.UPDATES, help="a round, at most")
    parser.add_argument("--pace", type=float, default=relay_delay.INTERVAL, help="of the delay's updates, in seconds")
    parser.add_argument("--readers", type=int, nargs="+", default=relay_cost.READERS, help="that a relay is to save")
    parser.add_argument("--interval", type=float, default=relay_cost.INTERVAL, help="of their polls, in seconds")
    parser.add_argument("--polls", type=int, default=relay_cost.POLLS, help="of each of them, a round")
    parser.add_argument("--write", type=Path, metavar="DIR", help="put the tables into the page relay.md there")
    asked = parser.parse_args(argv)
    if find("redis") is None:
        parser.error(COMPONENTS["redis"].reason)
    return asked


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its tables, and return the exit status."""
    asked = _arguments(argv)
    with redis_running() as url:
        benchmark = _Benchmark(asked, url)
        (line,) = machine(others=_LIBRARIES).lines
        sections = [Section("machine", [f"{line.removesuffix('.')}, {asyncio.run(_version(url))}."])]
        show(sections[0])
        for part in asked.parts:
            sections.append(_PARTS[part](benchmark))
            show(sections[-1])
    if asked.write is not None:
        write_page(sections, asked.write, "relay")
    return 0


if __name__ == "__main__":
    sys.exit(main())
