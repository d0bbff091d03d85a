"""`Fold`: adds up updates to the figures of consecutive spans, without I/O and without a clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import attrs

from sipqueue_async import (
    AgentState,
    CallAnswered,
    FeedDown,
    FeedEvent,
    FeedUp,
    SeatEvent,
    SeatKey,
    Snapshot,
    Update,
)
from sipqueue_async.history.figures import MICROSECONDS, Figures, microseconds, moment_of
from sipqueue_async.tally import SeatTally, Tally

GapReason: TypeAlias = Literal["outage", "stopped", "clock"]
"""Why time is unseen: the feed was down, nothing was recorded, or the wall clock was set."""

_NO_TALKS: Final[Mapping[SeatKey, int]] = MappingProxyType({})


@attrs.define(eq=False)
class _Span:
    """Figures of one seat since the last take that a `Tally` does not have."""

    hidden: int = 0
    first_signed_in: int | None = None
    last_signed_in: int | None = None
    longest_talk: int = 0

    def signed_in(self, since: int, until: int) -> None:
        """Count a stretch of signed-in time, in microseconds since the epoch."""
        if until > since:
            self.first_signed_in = since if self.first_signed_in is None else self.first_signed_in
            self.last_signed_in = until


class Fold:
    """Adds up updates to figures of consecutive spans. A `Tally` counts, so its figures have the same meaning.

    Time is that of `observed_at`. It must increase from update to update. Monotonic times are ignored, so updates that
    were stored give the same figures as they did live.

    Args:
        snapshot: The records at the start; None if there are none.
        at: The start.
        talking: How long the talks under way at the start have lasted, in microseconds, as `talking` returned it.

    Raises:
        ValueError: The start is naive.
    """

    def __init__(self, snapshot: Snapshot | None, at: datetime, *, talking: Mapping[SeatKey, int] = _NO_TALKS) -> None:
        self._now = microseconds(at)
        self._tally = Tally(Snapshot(() if snapshot is None else snapshot.values(), observed_at=at))
        self._before: dict[SeatKey, Figures] = {}
        """The tally's figures at the last take."""
        self._spans: dict[SeatKey, _Span] = {}
        self._gaps: set[tuple[int, GapReason]] = set()
        """The gaps that have not ended: their beginnings, and why."""
        self._signed_in: dict[SeatKey, int] = {}
        """Since when each signed-in seat is seen, in microseconds since the epoch."""
        self._talks: dict[SeatKey, int] = {}
        """The talk time of each talking seat when its talk began; below 0 for one that began before the fold."""
        for key, seat in self._tally.seats.items():
            self._look_again(seat)
            if key in self._talks:
                self._talks[key] -= talking.get(key, 0)

    def update(self, update: Update) -> None:
        """Count an update, coalesced or not. It must be the one after the last update.

        An outage is counted once, even if it is given both as the update's events and as a gap.

        Raises:
            ValueError: The update is before the last update or take.
        """
        seats: list[SeatEvent] = []
        for event in update.events:
            if isinstance(event, FeedDown | FeedUp):
                self._change(update, seats)
                seats = []
                self._feed_changed(event)
            else:
                seats.append(event)
        self._change(update, seats)

    def gap(self, began: datetime, ended: datetime | None, reason: GapReason) -> None:
        """Count time as unseen.

        To take figures within a gap, begin the gap with an end of None, and end it by the same call with its end. A
        beginning before the last update or take counts as that moment.

        Args:
            began: When the gap began.
            ended: When it ended; None if it goes on.
            reason: Why the time is unseen. Gaps may overlap.

        Raises:
            ValueError: A moment is naive, or the end is before the last update or take.
        """
        name = (microseconds(began), reason)
        if ended is not None:
            self._check(microseconds(ended), "a gap's end")
        self._begin_gap(name)
        if ended is not None:
            self._end_gaps({name}, microseconds(ended))

    def take(self, until: datetime) -> dict[SeatKey, Figures]:
        """Return each seat's figures since the last take, or since the start. Seats without any are left out.

        Args:
            until: The end of the span, and the start of the next one.

        Raises:
            ValueError: The moment is naive, or before the last update or take.
        """
        end = microseconds(until)
        self._check(end, "the end of a span")
        for key, since in self._signed_in.items():
            self._span(key).signed_in(since, end)
            self._signed_in[key] = end
        for key, lasted in self.talking(until).items():
            self._span(key).longest_talk = max(self._span(key).longest_talk, lasted)
        found: dict[SeatKey, Figures] = {}
        for key, seat in self._tally.seats.items():
            total = _counted(seat, until)
            figures = _difference(total, self._before.get(key), self._spans.get(key))
            self._before[key] = total
            if figures != _NOTHING:
                found[key] = figures
        self._spans.clear()
        self._now = end
        return found

    def talking(self, until: datetime) -> dict[SeatKey, int]:
        """Return how long the talks under way have lasted, in microseconds, unseen time not included.

        Args:
            until: The moment up to which to count.

        Raises:
            ValueError: The moment is naive, or before the last update or take.
        """
        self._check(microseconds(until), "the moment")
        return {key: _talked(self._tally.seats[key], until) - began for key, began in self._talks.items()}

    # ---- implementation ----------------------------------------------------------------------------------------------

    def _check(self, at: int, what: str) -> None:
        if at < self._now:
            raise ValueError(f"{what}, {moment_of(at).isoformat()}, is before {moment_of(self._now).isoformat()}")

    def _span(self, key: SeatKey) -> _Span:
        return self._spans.setdefault(key, _Span())

    def _change(self, update: Update, events: list[SeatEvent]) -> None:
        if not events:
            return
        at = events[0].observed_at
        self._check(microseconds(at), "an update")
        self._now = microseconds(at)
        self._tally.update(attrs.evolve(update, snapshot=None, previous=None, events=tuple(events)))
        for event in events:
            if isinstance(event, CallAnswered) and event.hidden_count:
                self._span(event.key).hidden += event.hidden_count
        for key in dict.fromkeys(event.key for event in events):
            seat = self._tally.seats.get(key)
            if seat is not None:
                self._look_again(seat)

    def _look_again(self, seat: SeatTally) -> None:
        """Note when a seat that changed is signed in and talking."""
        key = seat.key
        if self._now == microseconds(seat.since):
            # Its state, even if it has the same name as the one before, began now.
            if key in self._talks:
                self._span(key).longest_talk = max(self._span(key).longest_talk, _talked(seat) - self._talks.pop(key))
            if seat.present and seat.state is AgentState.TALKING:
                self._talks[key] = _talked(seat)
        if not _is_signed_in(seat):
            if key in self._signed_in:
                self._span(key).signed_in(self._signed_in.pop(key), self._now)
        elif not self._gaps:
            self._signed_in.setdefault(key, self._now)

    def _feed_changed(self, event: FeedEvent) -> None:
        if isinstance(event, FeedDown):
            self._begin_gap((self._now if event.since is None else microseconds(event.since), "outage"))
        else:
            up = microseconds(event.observed_at)
            self._check(up, "an update")
            self._end_gaps({gap for gap in self._gaps if gap[1] == "outage"}, up)

    def _begin_gap(self, name: tuple[int, GapReason]) -> None:
        if not self._gaps:
            began = self._now = max(self._now, name[0])
            for key, since in self._signed_in.items():
                self._span(key).signed_in(since, began)
            self._signed_in.clear()
            # The tally's clock counts time as unseen while it knows of an outage.
            down = FeedDown(error=RuntimeError(name[1]), since=moment_of(began))
            self._tally.update(Update(sequence=0, snapshot=None, previous=None, events=(down,)))
        self._gaps.add(name)

    def _end_gaps(self, names: set[tuple[int, GapReason]], ended: int) -> None:
        open_before = bool(self._gaps)
        self._gaps -= names
        if self._gaps or not open_before:
            return
        outage = moment_of(ended) - moment_of(min(began for began, _ in names))
        up = FeedUp(observed_at=moment_of(ended), outage=outage, failures=1)
        self._tally.update(Update(sequence=0, snapshot=None, previous=None, events=(up,)))
        self._now = ended
        self._signed_in = {key: ended for key, seat in self._tally.seats.items() if _is_signed_in(seat)}


_NOTHING: Final = Figures()


def _is_signed_in(seat: SeatTally) -> bool:
    return seat.present and seat.state is not AgentState.OFFLINE


def _whole(seconds: float) -> int:
    """Return a tally's seconds as microseconds: exact for spans of less than a century."""
    return round(seconds * MICROSECONDS)


def _talked(seat: SeatTally, at: datetime | None = None) -> int:
    return _whole(seat.seconds(at)[AgentState.TALKING])


def _counted(seat: SeatTally, at: datetime) -> Figures:
    return Figures(
        answered=seat.calls_answered,
        missed=seat.calls_missed,
        elapsed={state: _whole(seconds) for state, seconds in seat.seconds(at).items()},
        unseen=_whole(seat.unseen(at)),
    )


def _difference(total: Figures, before: Figures | None, span: _Span | None) -> Figures:
    before, span = before or _NOTHING, span or _Span()
    return Figures(
        answered=total.answered - before.answered,
        hidden=span.hidden,
        missed=total.missed - before.missed,
        elapsed={state: elapsed - before.elapsed[state] for state, elapsed in total.elapsed.items()},
        unseen=total.unseen - before.unseen,
        first_signed_in=span.first_signed_in,
        last_signed_in=span.last_signed_in,
        longest_talk=span.longest_talk,
    )
