"""`StoreSource`: what a report reads of a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from sipqueue_async import SeatFilter, SeatKey, Snapshot, Update
from sipqueue_async.history import schema
from sipqueue_async.history.figures import Figures, microseconds
from sipqueue_async.history.report import StoredDay
from sipqueue_async.history.store import Outage, Store


class StoreSource:
    """Reads a store for reports.

    Args:
        store: The open store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def covered(self) -> tuple[datetime, datetime] | None:
        """Return the beginning and the end of what is recorded, with days whose events were removed."""
        begun, until = await self._store.recorded_since(), await self._store.recorded_until()
        return None if begun is None or until is None else (begun, until)

    async def closed_hour(self) -> int:
        """Return the hour after the last one whose figures are stored; 0 if there is none."""
        hourly = schema.hourly.c
        query = select(func.max(hourly.hour)).where(hourly.platform_id == self._store.platform_id)
        async with self._store.database.reading() as connection:
            last = await connection.scalar(query)
        return 0 if last is None else last + 1

    async def hour_sums(self, first: int, end: int, seats: SeatFilter) -> list[tuple[int, Figures]]:
        """Return the figures of each hour from `first` until before `end`, summed over the seats."""
        found = await self._store.hourly_sums(first, end, seats, by_seat=False)
        return [(hour, figures) for hour, figures in found if isinstance(hour, int)]

    async def seat_sums(self, first: int, end: int, seats: SeatFilter) -> list[tuple[SeatKey, Figures]]:
        """Return the figures of each seat, summed over the hours from `first` until before `end`."""
        found = await self._store.hourly_sums(first, end, seats, by_seat=True)
        return [(key, figures) for key, figures in found if isinstance(key, SeatKey)]

    async def talking_at(self, hour: int) -> Mapping[SeatKey, int]:
        """Return how long the talks under way at the beginning of an hour have lasted, in microseconds."""
        return await self._store.talking_at(hour)

    async def stored_days(self, since: datetime, until: datetime, seats: SeatFilter) -> Sequence[StoredDay]:
        """Return the days whose hours were removed and of which a part is in a span, in order."""
        daily = schema.daily.c
        query = select(daily.zone).distinct().where(daily.platform_id == self._store.platform_id)
        async with self._store.database.reading() as connection:
            zones = (await connection.scalars(query)).all()
        found: list[StoredDay] = []
        for name in zones:
            zone = ZoneInfo(name)
            first, last = since.astimezone(zone).date(), until.astimezone(zone).date()
            days: dict[date, dict[SeatKey, Figures]] = {}
            for day, key, figures in await self._store.daily_sums(first, last + timedelta(days=1), name, seats):
                days.setdefault(day, {})[key] = figures
            found += [StoredDay(day, zone, figures) for day, figures in days.items() if _midnight(day, zone) < until]
        return sorted(found, key=lambda it: _midnight(it.day, it.zone))

    async def names(self) -> Mapping[SeatKey, str | None]:
        """Return the last known name of each seat's agent."""
        async with self._store.database.reading() as connection:
            await self._store.load_seats(connection)
        return self._store.names

    async def snapshot_at(self, moment: datetime) -> Snapshot | None:
        """Return the status at a moment, with the effect of an update at that moment."""
        return (await self._store.replay_at(microseconds(moment))).snapshot

    def timeline(self, since: datetime, until: datetime) -> AsyncIterator[Update | Outage]:
        """Yield updates and gaps in order, from `since` until before `until`; first a gap under way at `since`."""
        return self._store.timeline(microseconds(since), microseconds(until))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)
