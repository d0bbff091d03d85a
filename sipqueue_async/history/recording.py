"""Shared by both recorders: repeat a write until it works, and raise the error that ended a recorder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sipqueue_async._backoff import backoff, jittered
from sipqueue_async.history.errors import HistoryError

_log: Final = logging.getLogger("sipqueue_async")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0


async def write_until_done(
    what: str, attempt: Callable[[int], Awaitable[None]], failed: Callable[[HistoryError, int], None]
) -> None:
    """Write, and repeat it for ever with growing, randomised pauses.

    Args:
        what: What is done, for the log.
        attempt: Writes. It receives how many attempts failed before.
        failed: Called after each failure, with the error and the number of consecutive failures.

    Raises:
        HistoryError: Repeating it cannot help.
    """
    failures = 0
    while True:
        try:
            await attempt(failures)
        except HistoryError as error:
            failures += 1
            level = logging.ERROR if not error.retryable else logging.WARNING if failures == 1 else logging.DEBUG
            _log.log(level, "%s failed%s: %s", what, "; it is retried" if error.retryable else "", error)
            failed(error, failures)
            if not error.retryable:
                raise
        else:
            break
        await asyncio.sleep(jittered(backoff(failures, _FIRST_PAUSE, _LONGEST_PAUSE)))
    if failures:
        _log.info("%s works again, after %d failures", what, failures)


def raise_error(task: asyncio.Task[None]) -> None:
    """Raise the error that ended a task, unless it was cancelled."""
    if not task.cancelled():
        task.result()
