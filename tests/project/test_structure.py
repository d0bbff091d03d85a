"""The drawing of the source tree."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_drawing_shows_the_import_rules_and_the_page_describes_each_module() -> None:
    spec = importlib.util.spec_from_file_location("structure", ROOT / "docs" / "structure.py")
    assert spec is not None
    assert spec.loader is not None
    structure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(structure)
    rules = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    drawn = structure.PICTURE.read_text(encoding="utf-8")
    assert drawn == structure.drawing(rules), "run `python docs/structure.py`"
    layers, _ = structure.rows(rules)
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [name for layer in layers for name in layer if f"| `{name}` |" not in page] == []
