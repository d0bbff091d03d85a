"""Updates of a simulated call centre without any I/O, and a feed that gives them to its consumers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from sipqueue_async import AgentStatus, Feed, SeatKey, Snapshot, Update, diff
from sipqueue_async.simulator import CallCentre, Plan, Seat

MORNING: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class GivenHealth:
    """The health of a feed that is up from its first snapshot on."""

    up: bool | None = None
    ended: bool = False
    last_error: BaseException | None = None
    last_good_at: datetime | None = None


class GivenFeed(Feed):
    """A feed that reports what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: Snapshot | None = None
        self._health = GivenHealth()

    @property
    def snapshot(self) -> Snapshot | None:
        """The last snapshot that it was given."""
        return self._snapshot

    @property
    def health(self) -> GivenHealth:
        """Up since the first snapshot."""
        return self._health

    async def _work(self) -> None:
        await asyncio.Event().wait()

    def give(self, snapshot: Snapshot, update: Update | None = None) -> None:
        """Report a snapshot, and the update that leads to it."""
        self._snapshot = snapshot
        self._health = GivenHealth(up=True, last_good_at=snapshot.observed_at)
        if update is not None:
            self._publish(update)
        self._call_listeners()


class Polled:
    """The snapshots of a call centre at an interval."""

    def __init__(self, plan: Plan, seed: int, *, began: datetime = MORNING) -> None:
        self.centre = CallCentre(plan, seed=seed)
        self._began = began
        self._records: dict[SeatKey, tuple[Seat, AgentStatus]] = {}
        self._last: Snapshot | None = None

    def poll(self) -> Snapshot:
        """Return the present status."""
        at = self._began + timedelta(seconds=self.centre.now)
        agents = {seat.key: self._record(seat) for seat in self.centre.seats()}
        last = self._last
        if last is None or last.keys() != agents.keys():
            self._last = Snapshot(agents.values(), observed_at=at, server_time=at)
        else:
            changes = {key: agent for key, agent in agents.items() if last[key] is not agent}
            self._last = last.with_changes(dict(changes), observed_at=at, server_time=at)
        return self._last

    def _record(self, seat: Seat) -> AgentStatus:
        known = self._records.get(seat.key)
        if known is None or known[0] is not seat:
            known = self._records[seat.key] = (seat, AgentStatus(**attrs.asdict(seat)))
        return known[1]

    def updates(self, seconds: float, interval: float) -> Iterator[tuple[Snapshot, Update | None]]:
        """Yield each poll's snapshot, and its update if anything changed."""
        previous, sequence = self.poll(), 0
        for _ in range(int(seconds / interval)):
            self.centre.advance(interval)
            now = self.poll()
            events = diff(previous, now)
            sequence += bool(events)
            update = Update(sequence=sequence, snapshot=now, previous=previous, events=events) if events else None
            yield now, update
            previous = now
