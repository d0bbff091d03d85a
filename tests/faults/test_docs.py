"""The page that shows the fault matrix says what the library does."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.faults.page import BEGIN, PAGE, page
from tests.faults.run import run_matrix

pytestmark = pytest.mark.timeout(300)
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the page has the words of Linux for errors")


@on_linux
def test_the_page_says_what_a_run_gives() -> None:
    """The page says what a run gives. Write it anew with `python -m tests.faults.write_docs`."""
    committed = PAGE.read_text(encoding="utf-8")
    assert page(committed, run_matrix()) == committed


@on_linux
def test_the_script_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script replaces the tables, and keeps the text above them."""
    path = tmp_path / "faults.md"
    path.write_text(f"# Faults\n\n{BEGIN}\nsomething old\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["write_docs.py", str(path)])
    runpy.run_path(str(Path(__file__).with_name("write_docs.py")))
    introduction, _, tables = path.read_text(encoding="utf-8").partition(BEGIN)
    assert introduction == "# Faults\n\n"
    assert tables == PAGE.read_text(encoding="utf-8").partition(BEGIN)[2]
