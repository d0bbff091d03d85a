"""A call in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")


def in_new_thread(function: Callable[..., _T], *arguments: Any) -> _T:
    """Call a function in a new thread, and return its result or raise its error.

    After a coroutine is cancelled, Python 3.11 no longer traces the functions below it on that thread's stack.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()
