"""The day that a request names: its date in a time zone, and the hours that the zone's clocks show."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs
from aiohttp import web

from sipqueue_async._language import N_
from sipqueue_async.wallboard.languages import PARAMETER as LANGUAGE

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*", re.ASCII)
_YEARS: Final = range(1970, 3000)
_LONGEST: Final = 64
"""Characters of a zone's name."""
# The pages translate them.
_UNKNOWN_ZONE: Final = N_("The zone is unknown: give a name such as Europe/Berlin.")
_NO_DATE: Final = N_("The date must be a day such as 2026-01-05.")
_HOUR: Final = timedelta(hours=1)


@attrs.frozen
class Hour:
    """An hour of a zone's clocks, as far as it belongs to a day."""

    label: str
    """Such as ``09:00``; with the offset if the clocks show it twice."""
    start: datetime
    """Its beginning (aware UTC)."""
    end: datetime
    """Its end (aware UTC), which does not belong to it."""
    offset: int
    """Seconds by which the zone's clocks are ahead of UTC at its beginning."""


@attrs.frozen
class Day:
    """A day of a time zone."""

    day: date
    today: date
    """The present day of the zone."""
    zone: ZoneInfo | None
    """None for this machine's zone."""

    @property
    def start(self) -> datetime:
        """The first moment (aware UTC)."""
        return self._midnight(self.day)

    @property
    def end(self) -> datetime:
        """The first moment of the next day (aware UTC)."""
        return self._midnight(self.day + timedelta(days=1))

    @property
    def zone_name(self) -> str:
        """The zone's name, or the abbreviation of this machine's zone."""
        return f"{self.start.astimezone():%Z}" if self.zone is None else self.zone.key

    def hours(self) -> list[Hour]:
        """Return the hours: 23 or 25 when the clocks change."""
        starts: list[datetime] = []
        ends: list[datetime] = []
        at = self.start
        while at < self.end:
            starts.append(at)
            local = at.astimezone(self.zone)
            into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            at = min(self.end, at + (_HOUR - into))
            ends.append(at)
        local_starts = [start.astimezone(self.zone) for start in starts]
        shown = Counter(f"{local:%H}:00" for local in local_starts)
        return [
            Hour(
                label=f"{local:%H}:00" if shown[f"{local:%H}:00"] == 1 else f"{local:%H}:00 {local:%z}",
                start=start,
                end=end,
                offset=self.offset_at(start),
            )
            for start, end, local in zip(starts, ends, local_starts, strict=True)
        ]

    def offset_at(self, moment: datetime) -> int:
        """Return the seconds by which the zone's clocks are ahead of UTC at a moment (aware)."""
        return round((moment.astimezone(self.zone).utcoffset() or timedelta()).total_seconds())

    def _midnight(self, day: date) -> datetime:
        # A naive time is one of this machine's zone.
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


def day_of(request: web.Request, now: datetime, *, others: Collection[str] = ()) -> Day:
    """Return the day that the parameters ``date`` and ``zone`` name; by default today in this machine's zone.

    The parameter ``lang`` is allowed too.

    Args:
        request: Its query has the parameters.
        now: The time now (aware).
        others: Further parameters that are allowed.

    Raises:
        web.HTTPBadRequest: A parameter is unknown, empty, invalid or repeated.
    """
    query = request.query
    names = ("date", "zone", LANGUAGE, *others)
    for name in query:
        if name not in names:
            raise web.HTTPBadRequest(text=f"There is no such parameter; use {', '.join(names)}.\n")
        if len(query.getall(name)) > 1 or not query[name]:
            raise web.HTTPBadRequest(text=f"Give {name} once and not empty, or leave it out.\n")
    zone = _zone(query.get("zone"))
    today = now.astimezone(zone).date()
    return Day(_date(query.get("date"), today), today, zone)


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        # The pattern keeps paths away from the files of zones.
        if _ZONE.fullmatch(name) and len(name) <= _LONGEST:
            return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        # A directory of zones, such as "Europe", is an OSError.
        pass
    raise web.HTTPBadRequest(text=f"{_UNKNOWN_ZONE}\n")


def _date(text: str | None, today: date) -> date:
    if text is None:
        return today
    try:
        if _DATE.fullmatch(text) and int(text[:4]) in _YEARS:
            return date.fromisoformat(text)
    except ValueError:
        # There is no such day.
        pass
    raise web.HTTPBadRequest(text=f"{_NO_DATE}\n")
