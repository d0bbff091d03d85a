"""Fixtures of the tests of the command line."""

from __future__ import annotations

import sys
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


@pytest.fixture
def without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behave as if the extra for Redis were not installed."""
    for name in [name for name in sys.modules if name.startswith("sipqueue_async.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
