"""The noxfile's own session `tests` on a machine without the programs that tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.needs import COMPONENTS, HIDE, packages

pytestmark = [pytest.mark.one_python, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
TESTS = os.environ.get("GATE_TESTS", "").split()


@pytest.mark.skipif(not TESTS, reason="takes as long as the gate; part of the endurance session")
def test_the_gate_passes_without_redis_chromium_and_haproxy(tmp_path: Path) -> None:  # pragma: no cover
    """The session skips the tests that need them, and ends with what to install and that coverage was not checked."""
    checkout = tmp_path / "a 检出"  # a path that has to be quoted
    left_out = shutil.ignore_patterns(".git", ".nox", ".venv", "_build", "__pycache__", ".coverage*", ".*_cache")
    shutil.copytree(ROOT, checkout, ignore=left_out)
    command = [sys.executable, "-m", "nox", "-s", "coverage", "--", "-p", "no:cacheprovider", *TESTS]
    hidden = {HIDE: " ".join(COMPONENTS)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST", "NOX"))}
    run = subprocess.run(command, cwd=checkout, env=kept | hidden, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    told = run.stderr.partition("\nNot tested:\n")[2].splitlines()
    for component, line in zip(COMPONENTS.values(), told, strict=False):
        assert line == f"  {component.tested} ({component.program} is missing)"
    assert told[-2:] == [
        f"To test everything: apt-get install {' '.join(packages())}",
        "Coverage was not judged, because tests were skipped.",
    ]
