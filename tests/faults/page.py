"""Writes the documentation page of the fault matrix from the catalogue and the results of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from sipqueue_async import AgentChanged, MalformedResponse, Snapshot
from tests.faults.catalogue import SECTIONS
from tests.faults.run import Asked, MatrixRun, Watched
from tests.faults.ways import Fault

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN = "<!-- The tables below are written by tests/faults/write_docs.py. -->"

_HEAD = "| fault | the server ... | a call gives | a watcher reports |\n|---|---|---|---|\n"
# Parts of error messages that differ between runs and machines.
_VARYING = (
    (re.compile(r"(?<=127\.0\.0\.1)(:|', )\d+"), r"\1PORT"),
    (re.compile(r"(?<=localhost):\d+"), ":PORT"),
    (re.compile(r"(?<=platform\.invalid):\d+"), ":PORT"),
    (re.compile(r" \(_ssl\.c:\d+\)"), ""),
)


def page(old: str, run: MatrixRun) -> str:
    """Return the page with new tables."""
    introduction, _, _ = old.partition(BEGIN)
    return f"{introduction}{BEGIN}\n{tables(run)}"


def tables(run: MatrixRun) -> str:
    """Return a table for each section of the catalogue."""
    return "".join(
        f"\n## {title}\n\n{_HEAD}{''.join(_row(it, run) for it in faults)}" for title, faults in SECTIONS.items()
    )


def _row(fault: Fault, run: MatrixRun) -> str:
    asked, watched = run.asked[fault.name], run.watched[fault.name]
    return f"| {fault.name} | {fault.server} | {_given(fault, asked)} | {_told(watched)} |\n"


def _given(fault: Fault, asked: Asked) -> str:
    outcome = asked.outcome
    if isinstance(outcome, Snapshot):
        return "a good snapshot" + "".join(_lacks(outcome))
    text = outcome.describe()
    if isinstance(outcome, MalformedResponse) and outcome.excerpt and not outcome.wrong_url:
        # The excerpt differs from run to run; the page only shows that there is one.
        text = f"malformed response: {outcome.reason}; it reads '...'"
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return f"`{type(outcome).__name__}`: {_as_code(text)}"


def _lacks(outcome: Snapshot) -> Iterator[str]:
    if not outcome:
        yield " without agents"
    for field in dict.fromkeys(problem.field for problem in outcome.problems):
        yield f", `{field}` not given and in `problems`"


def _as_code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}".replace("|", "\\|")


def _told(watched: Watched) -> str:
    told = [_name(it) for it in watched.told_of_fault]
    # The same event for several seats is listed once.
    names = ", ".join(f"`{name}`" for name, _ in groupby(told))
    if watched.end is not None:
        return f"{names}, and ends"
    return names or "nothing"


def _name(event: object) -> str:
    if isinstance(event, AgentChanged):
        return f"AgentChanged({', '.join(sorted(event.fields))})"
    return type(event).__name__
