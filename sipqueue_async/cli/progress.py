"""Progress of long work, as one line on stderr that is overwritten; only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, TextIO

EVERY: Final = 0.2
"""Seconds between two lines."""


@contextmanager
def progress(
    line: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Generator[Callable[[float], None]]:
    """Yield a function to call with a number; it shows the number now and then, and nothing remains after the block.

    Args:
        line: What is shown, with ``{}`` for the number, or ``{:.0%}`` for a share.
        stream: Where to show it; by default stderr.
        clock: Returns the time in seconds.
    """
    target = sys.stderr if stream is None else stream
    # Python has no stderr if the shell closed it.
    if target is None or not target.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        yield lambda _: None
        return
    due, width = clock() + EVERY, 0

    def show(number: float) -> None:
        nonlocal due, width
        if clock() >= due:
            due = clock() + EVERY
            text = line.format(number)
            target.write(f"\r{text:{width}}")
            target.flush()
            width = max(width, len(text))

    try:
        yield show
    finally:
        if width:
            target.write(f"\r{'':{width}}\r")
            target.flush()
