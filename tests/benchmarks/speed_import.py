"""What importing the library takes, against importing what it is built on."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import attrs

from tests.benchmarks.speed_measure import Limit, Section, Spread, number, table, verdict

ROUNDS: Final = 15
_LIMIT: Final = 1.3
_MODULES: Final = ("aiohttp", "sipqueue_async")
_CODE: Final = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"


@attrs.frozen
class Found:
    """What an import took, in units of aiohttp's."""

    rounds: int
    ratio: Spread


def run(rounds: int) -> Found:
    """Import in turn, each time in a new interpreter."""
    took: dict[str, list[float]] = {module: [] for module in _MODULES}
    for round_ in range(rounds + 1):
        for module in _MODULES if round_ % 2 else reversed(_MODULES):
            took[module].append(_seconds(module))
    base, own = (seconds[1:] for seconds in took.values())
    return Found(rounds, Spread.of_ratios(own, base))


def _seconds(module: str) -> float:
    command = [sys.executable, "-I", "-c", _CODE.format(module)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def section(found: Found) -> Section:
    """Return the table and the limit."""
    limit = Limit("importing the library, in units of importing aiohttp", found.ratio.median, _LIMIT)
    row = (
        "`import sipqueue_async`",
        f"**{number(found.ratio.median)}**",
        f"{number(found.ratio.low)} to {number(found.ratio.high)}",
        verdict(limit),
    )
    return Section("import", table(("", "times `import aiohttp`", "10th to 90th percentile", "at most"), row), [limit])
