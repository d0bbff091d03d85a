"""The public interface, compared with the documentation."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.api.surface import public_modules

PAGES = Path(__file__).parents[2] / "docs"
DESCRIBED = re.compile(r"^\.\. (?:auto\w+|py:data):: ([\w.]+)", re.MULTILINE)


@pytest.mark.parametrize("module", public_modules())
def test_the_reference_has_every_public_name(module: str) -> None:
    told = {name for page in PAGES.glob("*.md") for name in DESCRIBED.findall(page.read_text(encoding="utf-8"))}
    assert [name for name in import_module(module).__all__ if f"{module}.{name}" not in told] == []
