"""How long to wait after failures in a row."""

from __future__ import annotations

import random
from typing import Final

_MOST_DOUBLINGS: Final = 64
"""More would overflow a float after about a thousand failures, and pass every limit anyway."""


def backoff(failures: int, first: float, longest: float) -> float:
    """Return the pause after so many consecutive failures: `first`, doubled with each further one, up to `longest`."""
    return min(longest, first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


def jittered(pause: float) -> float:
    """Return a random half to all of a pause, so that many clients of one server do not come at the same moment."""
    return random.uniform(pause / 2, pause)
