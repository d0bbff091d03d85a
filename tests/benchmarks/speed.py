"""The speed benchmark: the cost of a poll, always in units of a reference that is measured beside it.

Absolute times depend on the machine as much as on the program, so the tables have only ratios, except for the delay of
a fleet's polls. The contestants take turns in one process, round by round. The result is the ratio within each round:
its median, and the 10th and 90th percentiles. The first rounds are a warm-up and do not count. The garbage collector
has Python's default settings, except where a table says otherwise.

Each round checks that every contestant finds exactly the right changes.

Run it with ``python tests/benchmarks/speed.py``; with ``--check`` it fails if a limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).parents[2]))

from tests.benchmarks import (
    speed_alerts,
    speed_decode,
    speed_fanout,
    speed_fleet,
    speed_import,
    speed_memory,
    speed_poll,
)
from tests.benchmarks.speed_fleet import Plan
from tests.benchmarks.speed_measure import Section
from tests.benchmarks.speed_report import machine, show, verdicts, write


class _Benchmark:
    """The parts of the benchmark, with the arguments of the command line."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self.decoded: list[speed_decode.Found] = []

    def _rounds(self, usual: int) -> int:
        effort: float = self._asked.effort
        return max(1, round(usual * effort))

    def decode(self) -> Section:
        self.decoded = speed_decode.run(self._asked.sizes, self._asked.effort)
        return speed_decode.section(self.decoded)

    def poll(self) -> Section:
        records = min(speed_poll.RECORDS, self._asked.seats)
        return speed_poll.section(asyncio.run(speed_poll.run(records, self._rounds(speed_poll.ROUNDS))))

    def alerts(self) -> Section:
        records = min(speed_alerts.RECORDS, self._asked.seats)
        return speed_alerts.section(speed_alerts.run(records, self._rounds(speed_alerts.ROUNDS)))

    def memory(self) -> Section:
        return speed_memory.section(speed_memory.run(self._asked.seats))

    def fleet(self) -> Section:
        asked = self._asked
        plans = [
            Plan(watchers=asked.watchers, interval=asked.interval, seconds=asked.seconds / part, tuned=part == 1)
            for part in (1, 2)
        ]
        return speed_fleet.section([speed_fleet.run(plan) for plan in plans])

    def fanout(self) -> Section:
        return speed_fanout.section(speed_fanout.run(self._asked.subscriptions, self._rounds(speed_fanout.ROUNDS)))

    def import_(self) -> Section:
        return speed_import.section(speed_import.run(self._rounds(speed_import.ROUNDS)))


_PARTS: Final[Mapping[str, Callable[[_Benchmark], Section]]] = {
    # Parts that run in this process are in order of the memory that they leave occupied, the smallest first.
    "import": _Benchmark.import_,
    "memory": _Benchmark.memory,
    "poll": _Benchmark.poll,
    "alerts": _Benchmark.alerts,
    "decode": _Benchmark.decode,
    "fanout": _Benchmark.fanout,
    "fleet": _Benchmark.fleet,
}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what a poll costs, in units of what is measured beside it.")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS), help="only these")
    parser.add_argument("--effort", type=float, default=1.0, help="times the usual number of rounds (default: 1)")
    parser.add_argument("--sizes", type=int, nargs="+", default=speed_decode.SIZES, help="records of a body")
    parser.add_argument("--seats", type=int, default=speed_memory.SEATS, help="for memory, and at most for polls")
    parser.add_argument("--subscriptions", type=int, default=speed_fanout.SUBSCRIPTIONS, help="of the fan-out")
    parser.add_argument("--watchers", type=int, default=Plan().watchers, help="of the fleet")
    parser.add_argument("--interval", type=float, default=Plan().interval, help="of the fleet, in seconds")
    parser.add_argument("--seconds", type=float, default=Plan().seconds, help="how long the fleet is watched")
    parser.add_argument("--check", action="store_true", help="fail if a limit is missed")
    parser.add_argument("--write", type=Path, metavar="DIR", help="put tables and picture into the pages there")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its tables, and return the exit status."""
    asked = _arguments(argv)
    benchmark = _Benchmark(asked)
    sections = [machine()]
    show(sections[0])
    for part in asked.parts:
        sections.append(_PARTS[part](benchmark))
        show(sections[-1])
    lines, missed = verdicts(sections)
    print(*lines, sep="\n")  # noqa: T201
    if asked.write is not None:
        write(sections, benchmark.decoded, asked.write)
    return 1 if missed and asked.check else 0


if __name__ == "__main__":
    sys.exit(main())
