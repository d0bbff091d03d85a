"""The time zone of a report: this machine's, with its changes of the clocks, or another."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo

from sipqueue_async._time_zones import time_zone


class LocalZone(tzinfo):
    """The zone of this machine's clock. `datetime.astimezone` gives only the offset of one moment."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """Return the offset at a local time."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:  # noqa: ARG002  # the system does not say how much
        """Return None: the part of the offset that is daylight saving time is unknown."""
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """Return the zone's abbreviation at a local time."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """Return the local time of a moment."""
        local = dt.replace(tzinfo=UTC).astimezone()
        clock = local.replace(tzinfo=None)
        # `fold` tells apart the two hours of the night in which the clocks go back.
        return clock.replace(tzinfo=self, fold=int(clock.astimezone().utcoffset() != local.utcoffset()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalZone)

    def __hash__(self) -> int:
        return hash(LocalZone)

    def __str__(self) -> str:
        return "/".join(dict.fromkeys(time.tzname))

    def __repr__(self) -> str:
        return f"<LocalZone {self}>"


def zone_or_local(zone: tzinfo | str | None) -> tzinfo:
    """Return the time zone that an argument `zone` gives; by default this machine's.

    Raises:
        TypeError: It is neither a zone nor a name.
        ValueError: There is no zone of that name.
    """
    return LocalZone() if zone is None else time_zone("zone", zone)
