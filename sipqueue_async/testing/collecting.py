"""`collect`: gathers a stream's items up to the one that a test waits for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Callable
from datetime import timedelta
from types import UnionType
from typing import TypeAlias, TypeVar, Union, get_args, get_origin

T = TypeVar("T")

Until: TypeAlias = int | type[object] | UnionType | timedelta | Callable[[T], object]
"""The condition to wait for."""


async def collect(
    stream: AsyncIterable[T],
    *,
    until: Until[T],
    timeout: float = 5.0,  # noqa: ASYNC109  # its error message shows what did arrive
) -> list[T]:
    """Return a stream's items from now on, up to and including the first that meets a condition.

    Args:
        stream: A watcher, a subscription or a stream of updates. A further call continues where this one ends.
        until: A number of items; a class or a union of classes, for the first instance; a function, for the first item
            for which it returns true; or a `timedelta`, for all items within that time, possibly none.
        timeout: Seconds to wait; ignored if `until` is a `timedelta`.

    Raises:
        TimeoutError: The condition was not met in time; the message shows the items and the stream.
        RuntimeError: The stream ended first.
        TypeError: `until` has another type, or is an async function.
        ValueError: The number is less than 1, or the time is negative.
        BaseException: The error that ended the watcher, if it failed.
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
