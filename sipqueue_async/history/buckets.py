"""The spans of a report: hours, days and weeks of a time zone, also where its clocks change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal, TypeAlias

import attrs

By: TypeAlias = Literal["hour", "day", "week", "queue", "agent", "hour_of_day"]
"""What a report's rows are: spans of time, queues, agents in their queues, or the hours of all days together."""

BY: Final[tuple[By, ...]] = ("hour", "day", "week", "queue", "agent", "hour_of_day")
"""All of them."""

_HOUR: Final = timedelta(hours=1)


@attrs.frozen
class Bucket:
    """A span of time that is a row of a report, or a part of one."""

    label: str
    """The row's name. Buckets with the same label are one row."""
    start: datetime
    """Its beginning (aware UTC)."""
    end: datetime
    """Its end (aware UTC), which does not belong to it."""


def buckets(since: datetime, until: datetime, by: By, zone: tzinfo) -> list[Bucket]:
    """Return the spans from `since` to `until`, in order; the first and the last may be cut.

    Rows that are not spans of time have one bucket. Days and hours are those of the zone's clocks: a day may have 23 or
    25 hours, and an hour of the night that is repeated is two buckets.
    """
    following = _FOLLOWING.get(by)
    if following is None:
        return [Bucket("", since, until)] if since < until else []
    found: list[Bucket] = []
    start = since
    while start < until:
        local = start.astimezone(zone)
        end = min(until, following(local))
        found.append(Bucket(_LABELS[by](local), start, end))
        start = end
    return list(_distinct(found, zone)) if by == "hour" else found


def first_day(until: datetime, keep: timedelta, zone: tzinfo) -> date:
    """Return the day of the moment that is `keep` before `until`; one in the year 1 at the earliest."""
    # A day is left at the beginning for the offset of the zone.
    first = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
    return (until - min(keep, until - first)).astimezone(zone).date()


def day_start(day: date, zone: tzinfo) -> datetime:
    """Return the first moment of a day in a zone (aware UTC)."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _next_hour(local: datetime) -> datetime:
    into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return local.astimezone(UTC) + (_HOUR - into)


def _next_day(local: datetime) -> datetime:
    return day_start(local.date() + timedelta(days=1), _zone(local))


def _next_week(local: datetime) -> datetime:
    return day_start(local.date() + timedelta(days=7 - local.weekday()), _zone(local))


def _zone(local: datetime) -> tzinfo:
    return local.tzinfo or UTC


def _week(local: datetime) -> str:
    year, week, _ = local.isocalendar()
    return f"{year}-W{week:02}"


def _distinct(found: list[Bucket], zone: tzinfo) -> Iterator[Bucket]:
    """Yield the buckets; add the offset to the label of an hour that the clocks show twice."""
    labels = [bucket.label for bucket in found]
    for at, bucket in enumerate(found):
        if bucket.label in (*labels[max(0, at - 2) : at], *labels[at + 1 : at + 3]):
            yield attrs.evolve(bucket, label=f"{bucket.label} {bucket.start.astimezone(zone):%z}")
        else:
            yield bucket


_FOLLOWING: Final[dict[By, Callable[[datetime], datetime]]] = {
    "hour": _next_hour,
    "day": _next_day,
    "week": _next_week,
    "hour_of_day": _next_hour,
}
_LABELS: Final[dict[By, Callable[[datetime], str]]] = {
    "hour": lambda local: f"{local:%Y-%m-%d %H}:00",
    "day": lambda local: f"{local:%Y-%m-%d}",
    "week": _week,
    "hour_of_day": lambda local: f"{local:%H}:00",
}
