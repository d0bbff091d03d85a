"""What pytest is told about these tests: which event loop each of them runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import async_solipsism
import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Announce the marks."""
    config.addinivalue_line("markers", "virtual_time: the loop's clock jumps to the next thing to do; no real network")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give tests that are marked `virtual_time` a loop that never waits."""
    if item.get_closest_marker("virtual_time"):
        return {"virtual": async_solipsism.EventLoop}
    return {"real": asyncio.new_event_loop}
