"""Time zones that callers give as an object or by name."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def time_zone(argument: str, zone: tzinfo | str) -> tzinfo:
    """Return the time zone that an argument gives.

    Raises:
        TypeError: It is neither a zone nor a name.
        ValueError: There is no zone of that name.
    """
    if isinstance(zone, tzinfo):
        return zone
    if not isinstance(zone, str):
        raise TypeError(f"{argument} must be a tzinfo or a name like Asia/Shanghai, not {zone!r}")
    return named_zone(argument, zone)


def named_zone(argument: str, name: str) -> ZoneInfo:
    """Return the time zone of a name.

    Raises:
        ValueError: There is no zone of that name.
    """
    try:
        return ZoneInfo(name)
    # Some versions of Python raise OSError for the name of a directory of zones.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{argument} is {name!r}, which is not the name of a time zone such as Asia/Shanghai"
        ) from None
