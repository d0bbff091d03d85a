"""The environment of stream comparisons: a Redis, a publishing process and a reading process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.relay_stream import Submit, Track
from tests.benchmarks.speed_process import processes
from tests.kit.redis_server import RedisServer


@contextmanager
def redis_running() -> Generator[str]:
    """Run a Redis that syncs its log once a second, a common setting; yield its URL."""
    with TemporaryDirectory() as folder:
        server = RedisServer(Path(folder), keeps=False, appendonly="yes", appendfsync="everysec")
        try:
            asyncio.run(server.start())
            yield server.url
        finally:
            server.kill()


@contextmanager
def track(url: str) -> Generator[Track]:
    """Run a process that publishes to a Redis, and one that reads from it."""
    with one_process() as publisher, one_process() as reader:
        yield Track(url=url, publisher=_submitting(publisher), reader=_submitting(reader))


def one_process() -> Executor:
    """Yield a function that runs functions in another process, one at a time."""
    return ProcessPoolExecutor(1, mp_context=processes())


def _submitting(pool: Executor) -> Submit:
    def submit(function: Callable[..., Coroutine[Any, Any, Any]], *arguments: object) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(pool, _run, function, *arguments)

    return submit


def _run(function: Callable[..., Coroutine[Any, Any, Any]], *arguments: object) -> Any:
    return asyncio.run(function(*arguments))
