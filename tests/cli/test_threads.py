"""Blocking calls in threads of their own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sipqueue_async.cli.threads import in_own_thread
from tests.kit.waiting import PATIENCE, until


def fail() -> None:
    raise OSError("no such name")


async def test_the_result_or_the_error_of_the_call_is_the_callers() -> None:
    assert await in_own_thread(threading.get_ident, "one") != threading.get_ident()
    with pytest.raises(OSError, match="no such name"):
        await in_own_thread(fail, "one")


async def test_any_number_of_calls_that_hang_delay_no_other() -> None:
    release = threading.Event()
    hanging = [asyncio.ensure_future(in_own_thread(release.wait, "hangs")) for _ in range(50)]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        assert await in_own_thread(threading.active_count, "quick") > 50
        hanging[0].cancel()
        await asyncio.wait(hanging[:1])
        release.set()
        assert await asyncio.gather(*hanging[1:]) == [True] * 49
    await until(lambda: not any(it.name == "hangs" for it in threading.enumerate()))


def test_a_call_that_outlives_the_loop_ends_quietly() -> None:
    release = threading.Event()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await in_own_thread(release.wait, "late")

    asyncio.run(leave())
    (late,) = (it for it in threading.enumerate() if it.name == "late")
    release.set()
    late.join(PATIENCE)
    assert not late.is_alive()
