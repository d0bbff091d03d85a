"""The truth benchmark: recall and precision of a watcher's reports, compared with the ground truth.

Watchers observe a simulated call centre for a day of virtual time, at intervals from half a second to five minutes. The
benchmark compares each watcher's reports with everything that happened. It uses the whole library: a `StatusWatcher`
polls through a `SipQueueClient`, which logs in and decodes the simulated platform's bytes. Only the socket is missing:
instead of an aiohttp session, the client gets a stand-in that lets virtual time pass for each round trip, and causes
faults. Beside each watcher, a simple hand-written comparison (the plain differ) gets the same answers.

The figures:

- *answered* and *missed* calls: the sum of the events' `count`, compared with the number of true calls between the
  moments that the first and the last poll show;
- *not knowable*: calls that no comparison of records can find, computed independently from the true times (see
  `truth_check`). The watcher is exact if it reports all the other calls and no more, at each seat;
- *false events* of the watcher: a `StateChanged` whose `before` or `after` was not the seat's state at the moment that
  the respective answer shows; an `AgentJoined` or `AgentLeft` without a sign-in or sign-out since the last answer that
  showed otherwise; each call of a `count` beyond the calls that happened since the last answer that showed the seat;
- *false events* of the plain differ: a change, a joining or leaving that did not happen between its two answers, a call
  that did not happen or was already reported;
- *delay*: from a true change of state to its event's arrival at a consumer, over all reported changes (those that still
  hold when the platform answers). The limit of the median is half an interval and a round trip;
- *off by*: the difference between a `StateChanged`'s `occurred_at` and the true moment.

Run it with ``python tests/benchmarks/truth.py``; it fails if the watcher was not exact.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import product, repeat
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

from tests.benchmarks.truth_lag import cases, run_case
from tests.benchmarks.truth_report import lag_table, tables, write
from tests.benchmarks.truth_run import INTERVALS, run_scenario, scenarios


def _be_quiet() -> None:
    """Keep the many failed polls out of the terminal's log."""
    logging.getLogger().addHandler(logging.NullHandler())


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Hold what a watcher tells against what really happened.")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the simulated day (default: 24)")
    parser.add_argument("--agents", type=int, default=200, help="how many agents (default: 200)")
    parser.add_argument("--queues", type=int, default=5, help="how many queues (default: 5)")
    parser.add_argument("--intervals", type=float, nargs="+", default=INTERVALS, help="seconds between polls")
    parser.add_argument("--lags", type=int, help="how many of the cases with back ends that lag (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="settles what happens (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many processes (default: one a core)")
    parser.add_argument("--write", type=Path, metavar="DIR", help="put tables and picture into the pages there")
    return parser.parse_args(argv)


def _pool(jobs: int) -> Executor:
    if jobs > 1:
        return ProcessPoolExecutor(jobs, initializer=_be_quiet)
    return ThreadPoolExecutor(1, initializer=_be_quiet)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its tables, and return the exit status: 1 if the watcher was not exact."""
    asked = _arguments(argv)
    days = [day for day in scenarios(asked.hours, asked.agents, asked.queues) if day.name != "everything"]
    # The short intervals take longest, so start with them.
    tasks = list(product(sorted(asked.intervals), days))
    with _pool(asked.jobs) as pool:
        found = list(pool.map(run_scenario, *zip(*((day, each, asked.seed) for each, day in tasks), strict=True)))
        lagging = list(pool.map(run_case, cases(asked.hours / 24)[: asked.lags], repeat(asked.seed)))
    results = {day.name: found[number :: len(days)] for number, day in enumerate(days)}
    run = f"{asked.hours:g} hours, {asked.agents} agents, {asked.queues} queues, seed {asked.seed}."
    report = f"{run}\n\n{tables(results)}\n{lag_table(lagging)}"
    print(report)  # noqa: T201
    if asked.write is not None:
        write(results, report, asked.write)
    wrong = [
        f"{day.name} at {result.interval:g} s"
        for (_, day), result in zip(tasks, found, strict=True)
        if not result.exact
    ]
    wrong += [
        f"{it.case.kind} with a lag of {it.case.behind:g} s at {it.case.interval:g} s" for it in lagging if not it.exact
    ]
    print("Not exact: " + ", ".join(wrong) if wrong else "Exact at every interval.")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
