"""Writes the results into a Markdown page: each part between its own marks."""

from __future__ import annotations

import gc
import os
import platform
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.benchmarks.pages import replace_part
from tests.benchmarks.speed_decode import Found
from tests.benchmarks.speed_measure import Limit, Section
from tests.benchmarks.speed_picture import picture

_LIBRARIES: Final = ("aiohttp", "attrs", "msgspec", "orjson", "pydantic", "cattrs", "deepdiff")
_CPUS: Final = Path("/proc/cpuinfo")


def machine(cpus: Path = _CPUS, others: Sequence[str] = _LIBRARIES) -> Section:
    """Return the machine, and the versions of Python and of the compared libraries."""
    found = re.search(r"^model name\s*: (.+)$", cpus.read_text("utf-8"), re.MULTILINE) if cpus.exists() else None
    model = found[1] if found else platform.machine()
    libraries = ", ".join(f"{name} {version(name)}" for name in others)
    line = (
        f"Measured on {model}, {os.cpu_count()} cores, {platform.system()}, {platform.python_implementation()} "
        f"{platform.python_version()}, gc thresholds {gc.get_threshold()}; {libraries}."
    )
    return Section("machine", [line])


def begin(part: str, program: str = "speed") -> str:
    """Return the mark before a program's part."""
    return f"<!-- written by tests/benchmarks/{program}.py, {part}: begin -->"


def end(part: str, program: str = "speed") -> str:
    """Return the mark after a program's part."""
    return f"<!-- written by tests/benchmarks/{program}.py, {part}: end -->"


def verdicts(sections: Iterable[Section]) -> tuple[list[str], list[Limit]]:
    """Return a line for each limit, and the list of missed limits."""
    limits = [limit for section in sections for limit in section.limits]
    lines = [f"{'met' if it.met else 'NOT MET'}{' (only a goal)' if it.stretch else ''}: {it}" for it in limits]
    return lines, [it for it in limits if not it.met and not it.stretch]


def show(section: Section) -> None:
    """Print a section and an empty line, at once."""
    print(*section.lines, "", sep="\n", flush=True)  # noqa: T201


def write_page(sections: Iterable[Section], directory: Path, program: str) -> None:
    """Write the sections into the program's page in a directory, each between its marks."""
    page = directory / f"{program}.md"
    for section in sections:
        part = section.part
        replace_part(page, begin(part, program), end(part, program), "\n".join(section.lines))


def write(sections: Iterable[Section], found: Sequence[Found], directory: Path) -> None:
    """Write the sections into the directory's ``speed.md``, and the picture into ``_static``."""
    write_page(sections, directory, "speed")
    if found:
        static = directory / "_static"
        static.mkdir(exist_ok=True)
        (static / "speed.svg").write_text(picture(found), "utf-8")
