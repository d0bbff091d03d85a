"""The spans of time that people type: ``yesterday``, ``last week``, ``2026-11-29``, ``9:00-12:00``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

import click

HELP: Final = (
    "such as yesterday, today, last week, this month, 2026-11-29, 9:00, 9:00-12:00, yesterday 9:00, or 2026-11-29T09:00"
)
"""Examples, for a sentence of an option's help."""

_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_DAY: Final = timedelta(days=1)


class InvalidTime(ValueError):  # noqa: N818  # its text becomes a usage error
    """The text names no time."""


def span_of(
    since: str, until: str | None, zone: tzinfo, now: datetime, *, option: str = "--since"
) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a span (aware UTC).

    Without `until` the span ends where `since` ends: a day, a week, a month or a range of hours does, and a moment goes
    on until now. An `until` that is a day, a week or a month means its end.

    Args:
        since: The beginning.
        until: The end; None if it is not given.
        zone: The time zone of days and clock times.
        now: The present time.
        option: The option that gave the beginning.

    Raises:
        click.UsageError: A text names no time, or the end is before the beginning.
    """
    try:
        start, end = _parsed(option, since, zone, now)
        if until is not None:
            moment, last = _parsed("--until", until, zone, now)
            end = moment if last is None else last
    except InvalidTime as error:
        raise click.UsageError(str(error)) from None
    end = max(now, start) if end is None else end
    if end < start:
        raise click.UsageError(f"--until, {end.isoformat()}, is before --since, {start.isoformat()}")
    return start, end


def _parsed(option: str, text: str, zone: tzinfo, now: datetime) -> tuple[datetime, datetime | None]:
    """Return a moment and None, or both ends of a span."""
    words = " ".join(text.lower().split())
    today = now.astimezone(zone).date()
    try:
        days, clocks = _days(words, today)
        if days is not None and not clocks:
            return _midnight(days[0], zone), _midnight(days[1], zone)
        if days is None or days[1] - days[0] == _DAY:
            found = _clocks(days[0] if days else today, clocks, zone)
            return found or (_exact(text, zone), None)
    except InvalidTime as error:
        raise InvalidTime(f"{option} {error}") from None
    except (ValueError, OverflowError):
        # Near the ends of the calendar a zone's offset, or the day after, may not exist.
        pass
    raise InvalidTime(f"{option} {text!r} is not a time: give one {HELP}")


def _days(words: str, today: date) -> tuple[tuple[date, date] | None, str]:
    """Return the days that a text begins with, up to the day after the last one, and the rest of the text."""
    for name, days in _NAMED.items():
        if words == name or words.startswith(f"{name} "):
            return days(today), words.removeprefix(name).strip()
    first, _, rest = words.partition(" ")
    try:
        if re.fullmatch(r"\d{4}-\d{2}", first):
            return _month(date.fromisoformat(f"{first}-01")), rest
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", first):
            day = date.fromisoformat(first)
            return (day, day + _DAY), rest
    except ValueError as error:
        raise InvalidTime(f"{first!r} is not a day of the calendar") from error
    return None, words


def _clocks(day: date, words: str, zone: tzinfo) -> tuple[datetime, datetime | None] | None:
    """Return the moment of a clock time, or both ends of a range of them; None if the text is neither."""
    first, dash, last = (it.strip() for it in words.partition("-"))
    match = _CLOCK.fullmatch(first)
    if match is None:
        return None
    start = _at(day, match, zone)
    if not dash:
        return start, None
    match = _CLOCK.fullmatch(last)
    if match is None:
        return None
    end = _midnight(day + _DAY, zone) if last in {"24:00", "0:00", "00:00"} else _at(day, match, zone)
    # A range may go over midnight.
    return start, end if end > start else _at(day + _DAY, match, zone)


def _at(day: date, clock: re.Match[str], zone: tzinfo) -> datetime:
    hour, minute, second = (int(it or 0) for it in clock.groups())
    return datetime.combine(day, time(hour, minute, second), zone).astimezone(UTC)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _exact(text: str, zone: tzinfo) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _week(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=7)


def _month(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


_NAMED: Final[dict[str, Callable[[date], tuple[date, date]]]] = {
    "today": lambda today: (today, today + _DAY),
    "yesterday": lambda today: (today - _DAY, today),
    "this week": _week,
    "last week": lambda today: _week(today - timedelta(days=7)),
    "this month": _month,
    "last month": lambda today: _month(today.replace(day=1) - _DAY),
}
"""The days that words mean."""
