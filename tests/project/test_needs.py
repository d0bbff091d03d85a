"""The external components that tests need."""

from __future__ import annotations

import pytest

from tests.kit.needs import HIDE, find, missing, packages, program


def test_a_hidden_component_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HIDE, "redis haproxy")
    assert find("redis") is None
    assert {"redis", "haproxy"} <= {component.name for component in missing()}
    with pytest.raises(FileNotFoundError, match="mark the test needs_redis"):
        program("redis")
    assert {"redis-server", "chromium", "haproxy"} <= set(packages())
