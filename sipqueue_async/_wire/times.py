"""Times between the server's local time, as it is on the wire, and Python."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from sipqueue_async._wire.values import Nonsense, naive_time


def server_time(value: object, zone: tzinfo | None) -> datetime | None:
    """Return a time of a record, aware if the server's zone is known; None for any spelling of "never"."""
    moment = naive_time(value)
    if moment is None or zone is None:
        return moment
    # Attach the offset at that moment, not the zone: such times are equal after a round trip through JSON, and
    # their differences are right across a change of the clocks.
    try:
        offset = zone.utcoffset(moment)
    except Exception as error:  # the caller's zone may raise for an ambiguous time
        raise Nonsense(f"is {moment}, which the time zone refuses: {error!r}") from error
    return moment if offset is None else moment.replace(tzinfo=timezone(offset))


def local_range(since: datetime, until: datetime, zone: tzinfo | None) -> tuple[str, str]:
    """Return the two ends of a range of time as the server's local time, for a request.

    If the clocks are set back within the range, the local times of its ends could be in the wrong order, so the range
    is widened to contain every local time in it.

    Raises:
        TypeError: An end is not a datetime.
        ValueError: One is aware and the zone is unknown, or the other way round; or the range ends before it begins.
    """
    for name, end in (("since", since), ("until", until)):
        if not isinstance(end, datetime):
            raise TypeError(f"{name} must be a datetime, not {type(end).__name__}")
        is_aware = end.utcoffset() is not None
        if zone is None and is_aware:
            raise ValueError(f"{name} has a time zone; give the client the server's `timezone`, or a naive local time")
        if zone is not None and not is_aware:
            raise ValueError(f"{name} has no time zone, which it needs because the client has the server's `timezone`")
    if until < since:
        raise ValueError(f"until ({until}) is before since ({since})")
    if zone is not None:
        offsets = [timezone(end.astimezone(zone).utcoffset() or timedelta(0)) for end in (since, until)]
        since, until = (
            min(since.astimezone(offset).replace(tzinfo=None) for offset in offsets),
            max(until.astimezone(offset).replace(tzinfo=None) for offset in offsets),
        )
    # Not `strftime`, which does not pad years before 1000 everywhere.
    return since.isoformat(" ", "seconds"), until.isoformat(" ", "seconds")
