"""A fixture of the tests that only parse command lines."""

from __future__ import annotations

from typing import Any

import pytest

from sipqueue_async.cli import running


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that receives the work of commands instead of running it."""
    found: list[Any] = []

    def note(job: Any) -> int:
        found.append(job)
        return 0

    monkeypatch.setattr(running, "run", note)
    return found
