"""`collect`: waits for what a watcher tells, as long as it takes and no longer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable
from datetime import timedelta
from types import UnionType
from typing import TypeAlias, TypeVar, Union, get_args, get_origin

T = TypeVar("T")

Until: TypeAlias = int | type[object] | UnionType | timedelta | Callable[[T], object]
"""What can be waited for."""


async def collect(
    stream: AsyncIterable[T],
    *,
    until: Until[T],
    timeout: float = 5.0,  # noqa: ASYNC109  # it is this function's business, with a message of its own
) -> list[T]:
    """Return what a stream gives from now on, up to and including what it is waited for.

    Args:
        stream: A watcher, a subscription or a stream of updates. Collecting again goes on from there.
        until: How many to wait for; a class, or a union of some, for the first of it; a function, for the first that it
            is true of; or a `timedelta`, for whatever comes within that time of the event loop's clock, be it nothing.
        timeout: How many seconds to wait at most, unless a time was asked for.

    Raises:
        TimeoutError: It did not come in time; the message shows what did, and how the stream is.
        RuntimeError: The stream ended before.
        TypeError: `until` is none of these, or a function that would have to be awaited.
        ValueError: To wait for less than one, or for a time that is negative, makes no sense.
        BaseException: Whatever ended the watcher, if it failed.
    """
    gathered: list[T] = []
    is_last = _condition(until, gathered)
    limit = until.total_seconds() if isinstance(until, timedelta) else timeout
    time = asyncio.timeout(limit)
    try:
        async with time:
            async for item in stream:
                gathered.append(item)
                if is_last(item):
                    return gathered
    except TimeoutError:
        if not time.expired():
            raise
        if isinstance(until, timedelta):
            return gathered
        raise TimeoutError(f"not within {timeout:g} s from {stream!r}: {_shown(gathered)}") from None
    if isinstance(until, timedelta):
        return gathered
    raise RuntimeError(f"{stream!r} ended before: {_shown(gathered)}")


def _condition(until: Until[T], gathered: list[T]) -> Callable[[T], object]:
    match until:
        case int() if not isinstance(until, bool):
            if until < 1:
                raise ValueError(f"until must be 1 or more, not {until!r}")
            return lambda _: len(gathered) >= until
        case timedelta():
            if until < timedelta(0):
                raise ValueError(f"until must be a time of 0 or more, not {until!r}")
            return lambda _: False
        case type() | UnionType():
            return lambda item: isinstance(item, until)
        case _ if get_origin(until) is Union:
            return lambda item: isinstance(item, get_args(until))
        case _ if callable(until) and not inspect.iscoroutinefunction(until):
            return until
        case _:
            raise TypeError(
                f"until must be a number, a class or union of some, a function or a timedelta, not {until!r}"
            )


def _shown(gathered: list[T]) -> str:
    if not gathered:
        return "nothing was collected"
    return "\n  ".join([f"{len(gathered)} collected", *map(str, gathered)])
