"""Change the code in small ways and count the changes that the tests notice: `nox -s mutation` runs this.

Cosmic-ray makes the changes (mutants) in a copy of the checkout, one at a time, and runs the tests beside the changed
module. A mutant is killed when a test fails or hangs. Mutants are drawn at random with a fixed seed, so two runs on one
commit try the same ones.
"""

from __future__ import annotations

import argparse
import ast
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).parents[1]
COPIED = ("sipqueue_async", "tests", "docs", "pyproject.toml", "README.md", "CHANGELOG.md", "noxfile.py")


@dataclass(frozen=True, slots=True)
class Target:
    """Modules and the tests that are to notice changes in them, as globs; the fastest tests come first."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


TARGETS = {
    "_diff": Target(("_diff.py",), ("core/test_diff*.py", "core/test_tracker.py", "core/test_laws.py")),
    "_tracker": Target(("_tracker.py",), ("core/test_tracker.py", "core/test_watcher*.py")),
    "_high_water": Target(
        ("_high_water.py", "_evidence.py", "_left_out.py"), ("core/test_high_water.py", "core/test_tracker.py")
    ),
    "_fanout": Target(("_fanout.py", "_mailbox.py", "_streams.py"), ("core/test_fanout*.py",)),
    "_wire": Target(("_wire/*.py",), ("wire", "core/test_client.py", "core/test_client_canned.py")),
    "tally": Target(("tally/*.py",), ("tally/test_fold*.py", "tally/test_saved*.py", "tally/test_laws.py")),
    "redis": Target(("redis/reader*.py", "redis/follower.py"), ("redis/test_reader*.py", "redis/test_follower.py")),
}

# `is` and `==` say the same of None and of enum members.
EQUIVALENT = ("Comparison_Is_Eq", "Comparison_IsNot_NotEq", "Operator_Is_Eq", "Operator_IsNot_NotEq")


def _globbed(folder: str, patterns: tuple[str, ...]) -> list[str]:
    found = [path for pattern in patterns for path in sorted(Path(folder).glob(pattern))]
    return [str(path) for path in found if path.name != "__init__.py"]


def _annotations(path: Path) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where annotations begin and end: nothing runs there."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if isinstance(part, ast.expr):
                assert part.end_lineno is not None
                assert part.end_col_offset is not None
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def _counts(item: WorkItem) -> bool:
    """Tell whether a test could notice a mutant."""
    (mutation,) = item.mutations
    if mutation.operator_name.endswith(EQUIVALENT):
        return False
    return not any(
        begin <= tuple(mutation.start_pos) and tuple(mutation.end_pos) <= end
        for begin, end in _annotations(mutation.module_path)
    )


def _draw(db: WorkDB, size: int, seed: str) -> int:
    """Mark all but some mutants as skipped; return how many a test could notice."""
    every = list(db.work_items)
    some = sorted(filter(_counts, every), key=lambda item: (str(item.mutations[0].module_path), *_identity(item)))
    tried = {item.job_id for item in random.Random(seed).sample(some, min(size, len(some)))}
    others = [item.job_id for item in every if item.job_id not in tried]
    db.set_multiple_results(others, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    return len(some)


def _identity(item: WorkItem) -> tuple[str, int]:
    return item.mutations[0].operator_name, item.mutations[0].occurrence


def _try(name: str, target: Target, size: int) -> tuple[int, Counter[str], list[str]]:
    """Try mutants of one target; return how many there are, the outcomes, and the surviving changes."""
    modules, tests = _globbed("sipqueue_async", target.modules), _globbed("tests", target.tests)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    limit = 60 + 5 * (time.monotonic() - began)
    Path("mutation.toml").write_text(
        f"[cosmic-ray]\nmodule-path = {modules}\ntimeout = {limit:.0f}\nexcluded-modules = []\n"
        f'test-command = "{" ".join(command)}"\n[cosmic-ray.distributor]\nname = "local"\n',
        encoding="utf-8",
    )
    session = f"{name}.sqlite"
    tool = str(Path(sys.executable).parent / "cosmic-ray")
    subprocess.run([tool, "init", "mutation.toml", session], check=True)
    with use_db(session) as db:
        total = _draw(db, size, name)
    subprocess.run([tool, "exec", "mutation.toml", session], check=True)
    outcomes, alive = Counter[str](), list[str]()
    with use_db(session) as db:
        for _, result in db.results:
            if result.worker_outcome is not WorkerOutcome.SKIPPED:
                outcomes["survived" if not result.is_killed else "killed"] += 1
                alive += [result.diff or ""] * (not result.is_killed)
    return total, outcomes, alive


def main() -> None:
    """Try mutants of the targets asked for; print a table, and the changes that no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=f"some of {', '.join(TARGETS)}")
    parser.add_argument("--sample", type=int, default=40, help="mutants to try of each target (default: 40)")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to try (default: this one)")
    asked = parser.parse_args()
    rows = ["target       mutants  tried  killed"]
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            copy = shutil.copytree if (asked.tree / name).is_dir() else shutil.copy
            copy(asked.tree / name, Path(folder) / name)
        with chdir(folder):
            for name in asked.targets:
                total, outcomes, alive = _try(name, TARGETS[name], asked.sample)
                rows.append(f"{name:11}  {total:7}  {outcomes.total():5}  {outcomes['killed']:6}")
                print(*alive, rows[-1], sep="\n", flush=True)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
