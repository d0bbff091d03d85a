"""A write that fails is repeated until it works, however long that takes."""

from __future__ import annotations

import asyncio

import pytest

from sipqueue_async.history import HistoryError
from sipqueue_async.history.recording import write_until_done


@pytest.mark.virtual_time
async def test_a_database_may_be_away_for_days(caplog: pytest.LogCaptureFixture) -> None:
    failed: list[int] = []

    async def attempt(failures: int) -> None:
        if failures < 10_000:
            error = HistoryError("away")
            error.retryable = True
            raise error

    began = asyncio.get_running_loop().time()
    with caplog.at_level("INFO", logger="sipqueue_async"):
        await write_until_done("recording", attempt, lambda _, failures: failed.append(failures))
    assert failed == [*range(1, 10_001)]
    assert 10_000 * 14 < asyncio.get_running_loop().time() - began <= 10_000 * 30
    assert caplog.messages == ["recording failed; it is retried: away", "recording works again, after 10000 failures"]
