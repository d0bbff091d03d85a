"""A watcher that is cancelled at its first, second, third… suspension, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from sipqueue_async import AppCredentials, SipQueueClient, Snapshot, StatusWatcher
from sipqueue_async.simulator import Plan, Simulator

T = TypeVar("T")


class AtSuspension(Generic[T]):
    """Awaits something, and calls back at each suspension."""

    def __init__(self, awaitable: Awaitable[T], suspended: Callable[[], None]) -> None:
        self._awaitable = awaitable
        self._suspended = suspended

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._awaitable.__await__()
        step = partial(steps.send, None)
        while True:
            try:
                waits_for = step()
            except StopIteration as stop:
                return cast("T", stop.value)
            self._suspended()
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001  # it is passed on to the suspended coroutine
                step = partial(steps.throw, error)
            else:
                step = partial(steps.send, sent)


def sockets() -> int:
    """Return the number of open sockets of this process."""
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        # The descriptor of the listed directory is already closed.
        with contextlib.suppress(OSError):
            found += str(path.readlink()).startswith("socket:")
    return found


async def test_a_watcher_cancelled_at_any_suspension_leaves_nothing() -> None:
    """No task or socket is left, and the client can be used again."""
    idle = sockets()
    async with Simulator(Plan.lively(), seed=1, speed=50) as simulator:
        suspension = 0
        finished = False
        while not finished:
            suspension += 1
            credentials = AppCredentials(simulator.appid, simulator.accesskey)
            async with SipQueueClient(simulator.url, credentials) as client:
                finished = await watched_until(client, suspension)
                left = {task for task in asyncio.all_tasks() if "sipqueue" in task.get_name()}
                assert not left, f"after suspension {suspension}: {left}"
                async with StatusWatcher(client, interval=60) as again:
                    assert await again.ready(timeout=10)
            await asyncio.sleep(0)
        assert suspension > 5, "a login and three polls suspend more often than that"
    # Give asyncio time to release the closed connections.
    await asyncio.sleep(0.1)
    assert sockets() <= idle


async def watched_until(client: SipQueueClient, suspension: int) -> bool:
    """Watch for three polls, or cancel the polling task at the given suspension; return whether it finished."""
    suspensions = 0

    def suspended() -> None:
        nonlocal suspensions
        suspensions += 1
        if suspensions == suspension:
            watching.cancel()

    async def source() -> Snapshot:
        return await AtSuspension(client.fetch_snapshot(), suspended)

    async def watch() -> None:
        async with StatusWatcher(source, interval=0.01) as watcher:
            while watcher.health.polls < 3:
                await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    await asyncio.wait([watching])
    return not watching.cancelled()
