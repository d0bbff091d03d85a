"""The start-up cost of the library and of the command, compared with the packages that they use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import attrs

from tests.benchmarks.speed_measure import Limit, Section, Spread, number, table, verdict

ROUNDS: Final = 15
_CODE: Final = "import time; begun = time.process_time(); {}; print(time.process_time() - begun)"


@attrs.frozen
class Start:
    """Code whose CPU time in a new interpreter is measured, and code whose CPU time is the unit."""

    name: str
    code: str
    unit: str
    limit: float


_LIBRARY: Final = "from sipqueue_async import SipQueueClient, StatusWatcher"
_STARTS: Final = (
    Start(_LIBRARY, _LIBRARY, "import aiohttp", 1.3),
    # The unit takes 0.15 s. Another 0.15 s is the most that a user does not notice.
    Start("sipqueue --help", "from sipqueue_async.cli.app import run; run(['--help'])", "import click, rich", 2.0),
)


@attrs.frozen
class Found:
    """The CPU time of each start, in its units."""

    rounds: int
    ratios: Sequence[Spread]


def run(rounds: int) -> Found:
    """Run the code and its unit in turn, each time in a new interpreter."""
    ratios: list[Spread] = []
    for start in _STARTS:
        took: dict[str, list[float]] = {start.unit: [], start.code: []}
        for round_ in range(rounds + 1):
            for code in took if round_ % 2 else reversed(took):
                took[code].append(_seconds(code))
        base, own = (seconds[1:] for seconds in took.values())
        ratios.append(Spread.of_ratios(own, base))
    return Found(rounds, ratios)


def _seconds(code: str) -> float:
    command = [sys.executable, "-I", "-c", _CODE.format(code)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()[-1])


def section(found: Found) -> Section:
    """Return the table and the limits."""
    rows: list[tuple[str, ...]] = []
    limits: list[Limit] = []
    for start, ratio in zip(_STARTS, found.ratios, strict=True):
        limit = Limit(f"CPU time of {start.name}, in units of {start.unit}", ratio.median, start.limit)
        limits.append(limit)
        spread = f"{number(ratio.low)} to {number(ratio.high)}"
        rows.append((f"`{start.name}`", f"`{start.unit}`", f"**{number(ratio.median)}**", spread, verdict(limit)))
    headings = ("", "unit", "units of CPU time", "10th to 90th percentile", "at most")
    return Section("import", table(headings, *rows), limits)
