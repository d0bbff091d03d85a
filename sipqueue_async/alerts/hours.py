"""`Hours`: times of the week in a named zone, such as ``Mon-Fri 09:00-17:30``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import attrs

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PART: Final = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*)\s+)?(?P<start>\d{1,2}:\d{2})-(?P<end>\d{1,2}:\d{2})"
)
_DAYS_AROUND: Final = 16
"""More days than any hours can be open or closed without a change, unless they are open always.

Up to two weeks pass if a weekly change is in an hour that summer time skips.
"""
_FORM: Final = "write for example 'Mon-Fri 09:00-17:30; Sat 10:00-14:00'"


@attrs.frozen
class _Span:
    """A set of days, with a start and an end on each."""

    days: frozenset[int]
    """0 for Monday to 6 for Sunday."""
    start: time
    end: timedelta
    """The time since midnight; above 24 hours if the span ends on the next day."""


@attrs.frozen
class Hours:
    """Times of the week, in the local time of a zone, with its daylight saving time.

    A moment is within the hours if the zone's clock then shows a time within one of the spans. So a span starts after
    the hour that summer time skips at the earliest, and both passes of an hour that occurs twice count. Spans that
    follow each other without a gap are one.

    Args:
        text: Spans, separated by semicolons: days (every day if none are given), then start and end. A span whose end
            is not after its start ends on the next day: ``22:00-06:00``. ``00:00-24:00`` is a whole day.
        zone: The zone's name, such as ``Asia/Shanghai``.

    Raises:
        ValueError: The text does not have this form, or there is no such zone.
    """

    text: str
    zone: str = "UTC"
    _info: ZoneInfo = attrs.field(init=False, repr=False, eq=False)
    _spans: tuple[_Span, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        try:
            info = ZoneInfo(self.zone)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"there is no time zone named {self.zone!r}") from error
        object.__setattr__(self, "_info", info)
        object.__setattr__(self, "_spans", tuple(_span(part) for part in self.text.lower().split(";")))

    def __contains__(self, at: datetime) -> bool:
        return self.started_at(at) is not None

    def started_at(self, at: datetime) -> datetime | None:
        """Return when the hours began that contain a moment, or None outside of them.

        Hours that are open always began at the first moment that a datetime can have.
        """
        return next((start for start, end in self._around(at) if start <= at < end), None)

    def next_change(self, at: datetime) -> datetime:
        """Return the next moment after `at` at which the hours begin or end.

        For hours that are open always it is a later moment at which nothing changes.
        """
        return min(edge for span in self._around(at) for edge in span if edge > at)

    def _around(self, at: datetime) -> tuple[tuple[datetime, datetime], ...]:
        return _around(self._spans, self._info, at.astimezone(self._info).date())


@lru_cache(maxsize=1024)
def _around(spans: tuple[_Span, ...], zone: ZoneInfo, today: date) -> tuple[tuple[datetime, datetime], ...]:
    """Return the spans of the days before and after a day, as moments in UTC, in order and merged."""
    days = [today + timedelta(days=offset) for offset in range(-_DAYS_AROUND, _DAYS_AROUND + 1)]
    found = sorted(
        it for span in spans for day in days if day.weekday() in span.days for it in _moments(span, day, zone)
    )
    merged = found[:1]
    for start, end in found[1:]:
        last_start, last_end = merged[-1]
        if start <= last_end:
            merged[-1] = last_start, max(last_end, end)
        else:
            merged.append((start, end))
    return tuple(merged) if len(merged) > 1 else ((datetime.min.replace(tzinfo=UTC), merged[0][1]),)


def _moments(span: _Span, day: date, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """Return when a zone's clock shows the times of a span that starts on a day: twice if it is set back meanwhile."""
    midnight = datetime.combine(day, time())
    start, end = datetime.combine(day, span.start), midnight + span.end
    first = min(_in_utc(start, zone, fold) for fold in (0, 1))
    last = max(_in_utc(end, zone, fold) for fold in (0, 1))
    before, after = _offset(first, zone), _offset(last, zone)
    if before == after:
        return [(start.replace(tzinfo=UTC) - before, end.replace(tzinfo=UTC) - before)]
    change = _change(first, last, zone)
    old = start.replace(tzinfo=UTC) - before, min(end.replace(tzinfo=UTC) - before, change)
    new = max(start.replace(tzinfo=UTC) - after, change), end.replace(tzinfo=UTC) - after
    return [(since, until) for since, until in (old, new) if since < until]


def _in_utc(wall: datetime, zone: ZoneInfo, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).replace(tzinfo=UTC) - at


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment between two others at which a zone's offset changes, to the second."""
    old, second = _offset(before, zone), timedelta(seconds=1)
    while after - before > second:
        middle = before + (after - before) // second // 2 * second
        before, after = (middle, after) if _offset(middle, zone) == old else (before, middle)
    return after


def _span(part: str) -> _Span:
    found = _PART.fullmatch(part.strip())
    if found is None:
        raise ValueError(f"{part.strip()!r} is not a span of the week; {_FORM}")
    start, end = _since_midnight(found["start"]), _since_midnight(found["end"])
    if start >= timedelta(days=1):
        raise ValueError(f"{found['start']!r} is not a time of the day; {_FORM}")
    if end <= start:
        end += timedelta(days=1)
    return _Span(_days(found["days"]), time(*divmod(start // timedelta(minutes=1), 60)), end)


def _since_midnight(text: str) -> timedelta:
    hours, minutes = map(int, text.split(":"))
    if hours * 60 + minutes > 24 * 60 or minutes > 59:
        raise ValueError(f"{text!r} is not a time of the day; {_FORM}")
    return timedelta(hours=hours, minutes=minutes)


def _days(text: str | None) -> frozenset[int]:
    days: set[int] = set()
    for part in (text or "mon-sun").split(","):
        first, _, last = part.partition("-")
        for name in (first, last or first):
            if name not in _DAYS:
                raise ValueError(f"{name!r} is not a day; write one of {', '.join(day.capitalize() for day in _DAYS)}")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + (7 if end < start else 0) + 1)}
    return frozenset(days)
