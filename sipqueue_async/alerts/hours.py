"""`Hours`: times of the week in a named zone, such as ``Mon-Fri 09:00-17:30``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PART: Final = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*)\s+)?(?P<start>\d{1,2}:\d{2})-(?P<end>\d{1,2}:\d{2})"
)
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
        return any(start <= at < end for start, end in self._around(at))

    def started_at(self, at: datetime) -> datetime | None:
        """Return the start of the span that contains a moment, or None outside of all spans."""
        return min((start for start, end in self._around(at) if start <= at < end), default=None)

    def next_change(self, at: datetime) -> datetime:
        """Return the next moment after `at` at which a span starts or ends."""
        return min(edge for span in self._around(at) for edge in span if edge > at)

    def _around(self, at: datetime) -> list[tuple[datetime, datetime]]:
        """Return the spans from the day before to a week after, as moments in UTC."""
        today = at.astimezone(self._info).date()
        days = [today + timedelta(days=offset) for offset in range(-1, 9)]
        return [self._moments(span, day) for span in self._spans for day in days if day.weekday() in span.days]

    def _moments(self, span: _Span, day: date) -> tuple[datetime, datetime]:
        midnight = datetime.combine(day, time())
        start = datetime.combine(day, span.start, self._info)
        return start.astimezone(UTC), (midnight + span.end).replace(tzinfo=self._info).astimezone(UTC)


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
