"""Times for tests: moments after the start, a clock that stands still, and a time zone without an offset."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

import attrs

from tests.kit.builders import START


def moment(seconds: float) -> datetime:
    """Return START plus some seconds."""
    return START + timedelta(seconds=seconds)


@attrs.define
class Clock:
    """A clock that moves only when a test sets it."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class NoOffset(tzinfo):
    """A time zone without an offset, which leaves a datetime naive."""

    def utcoffset(self, moment: datetime | None) -> None:
        """Return no offset."""

    def tzname(self, moment: datetime | None) -> None:
        """Return no name."""

    def dst(self, moment: datetime | None) -> None:
        """Return no offset."""
