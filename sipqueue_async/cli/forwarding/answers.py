"""What an answer means for a message: delivered, to be retried, refused, or the end of the destination."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

import attrs

LONGEST_WISH: Final = 3600.0
"""Seconds for which a destination can put off the next attempt at most."""
_RETRYABLE: Final = frozenset({408, 425, 429})


class Outcome(Enum):
    """What becomes of a message after an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """Retry it."""
    REFUSED = "refused"
    """A retry would be refused too."""
    GONE = "gone"
    """The destination wants no more messages."""


@attrs.frozen
class Answer:
    """The result of an attempt."""

    outcome: Outcome
    reason: str = ""
    """Why it was not accepted, for people."""
    retry_after: float = 0.0
    """For how many seconds the destination wants no further attempt."""


def judge(status: int, retry_after: str | None, now: float) -> Answer:
    """Return what an HTTP status means.

    Args:
        status: The status.
        retry_after: The header ``Retry-After``: seconds or a date.
        now: The present time in seconds since 1970.
    """
    if 200 <= status < 300:
        return Answer(Outcome.DELIVERED)
    reason = f"it answered with the HTTP status {status}"
    if status == 410:
        return Answer(Outcome.GONE, reason)
    if 400 <= status < 500 and status not in _RETRYABLE:
        return Answer(Outcome.REFUSED, reason)
    if 300 <= status < 400:
        reason += ", and redirects are not followed"
    return Answer(Outcome.FAILED, reason, _seconds(retry_after, now))


def _seconds(retry_after: str | None, now: float) -> float:
    given = (retry_after or "").strip()
    if given.isascii() and given.isdecimal():
        # A number of any length; beyond the limit its value does not matter.
        seconds = math.inf if len(given) > 9 else float(given)
    else:
        try:
            seconds = parsedate_to_datetime(given).timestamp() - now
        except (ValueError, OverflowError):
            seconds = 0.0
    return min(max(seconds, 0.0), LONGEST_WISH)
