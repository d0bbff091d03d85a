"""What is known of the platform, poll by poll: pure bookkeeping, in which every answer is a `diff` of two snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sipqueue_async._diff import diff
from sipqueue_async.events import AgentLeft, Event, FeedDown, FeedUp, SeatEvent, Update
from sipqueue_async.models import AgentStatus, SeatKey, Snapshot

_STALE_POLLS_BELIEVED: Final = 3


class Tracker:
    """Turns what polls bring into updates.

    Args:
        baseline: What was known before the first poll.
        initial: Whether, without a baseline, everybody in the first poll has joined.
        leave_after: In how many good polls in a row a seat must be absent to have left.
    """

    def __init__(self, baseline: Snapshot | None, *, initial: bool, leave_after: int) -> None:
        self._snapshot = baseline
        self._initial = initial
        self._leave_after = leave_after
        self._absences: dict[SeatKey, int] = {}
        self._server_time = None if baseline is None else baseline.server_time
        self._stale_in_a_row = 0
        self._old_in_a_row: dict[SeatKey, int] = {}
        self._failures = 0
        self._failing_since = 0.0
        self._sequence = 0

    @property
    def snapshot(self) -> Snapshot | None:
        """What is known; at first the baseline."""
        return self._snapshot

    @property
    def known(self) -> Snapshot:
        """What is known, once a poll has worked."""
        assert self._snapshot is not None  # noqa: S101  # asked for only then
        return self._snapshot

    @property
    def failures(self) -> int:
        """Polls that have failed since the last good one."""
        return self._failures

    def failed(self, error: Exception, now: float) -> Update | None:
        """Take note of a failed poll, at a monotonic time: only the first of a row is a change, and nobody left."""
        self._failures += 1
        if self._failures > 1:
            return None
        self._failing_since = now
        since = None if self._snapshot is None else self._snapshot.observed_at
        return self._update(self._snapshot, (FeedDown(error=error, since=since),))

    def is_stale(self, polled: Snapshot) -> bool:
        """Tell whether an answer is older than the last one, from a cache or a slower server of several.

        The third such answer in a row is believed: it is the server's clock that stepped back.
        """
        if polled.server_time is None or self._server_time is None or polled.server_time >= self._server_time:
            self._stale_in_a_row = 0
            return False
        self._stale_in_a_row += 1
        if self._stale_in_a_row < _STALE_POLLS_BELIEVED:
            return True
        self._stale_in_a_row = 0
        return False

    def polled(self, polled: Snapshot, now: float) -> Update | None:
        """Take a good answer, at a monotonic time, and return what changed, if anything did."""
        self._server_time = polled.server_time or self._server_time
        previous = self._snapshot
        if previous is None and not self._initial:
            previous = polled
        new, changes = polled, diff(previous, polled)
        if previous is not None and (kept := self._absent(changes) | self._old_records(previous, changes)):
            new = polled.with_changes(
                kept,
                observed_at=polled.observed_at,
                server_time=polled.server_time,
                problems=polled.problems,
                steady_at=polled.steady_at,
            )
            changes = diff(previous, new)
        events: list[Event] = []
        if self._failures:
            events.append(self._feed_up(new, now))
            self._failures = 0
        events += changes
        self._snapshot = new
        return self._update(previous, tuple(events)) if events else None

    def _absent(self, changes: Iterable[SeatEvent]) -> dict[SeatKey, AgentStatus]:
        """Return the last records of those who have not been absent for long enough to have left."""
        missing = {event.key: event.previous for event in changes if isinstance(event, AgentLeft)}
        self._absences = {key: self._absences.get(key, 0) + 1 for key in missing}
        return {key: missing[key] for key, times in self._absences.items() if times < self._leave_after}

    def _old_records(self, previous: Snapshot, changes: Iterable[SeatEvent]) -> dict[SeatKey, AgentStatus]:
        """Return what was known of the seats whose records are older than that, though their answer is not.

        A server that lags behind another of the same platform would make calls up: a counter that falls reads as a
        reset, and then it grows again. The third such record in a row is believed.
        """
        old = {it.key for it in changes if it.agent and it.previous and _is_older(it.agent, it.previous)}
        self._old_in_a_row = {key: self._old_in_a_row.get(key, 0) + 1 for key in old}
        return {key: previous[key] for key, times in self._old_in_a_row.items() if times < _STALE_POLLS_BELIEVED}

    def _feed_up(self, new: Snapshot, now: float) -> FeedUp:
        if self._snapshot is None:
            outage = timedelta(seconds=now - self._failing_since)
        else:
            # A wall clock may have been set back meanwhile.
            outage = max(timedelta(0), new.observed_at - self._snapshot.observed_at)
        return FeedUp(observed_at=new.observed_at, outage=outage, failures=self._failures)

    def _update(self, previous: Snapshot | None, events: tuple[Event, ...]) -> Update:
        self._sequence += 1
        return Update(sequence=self._sequence, snapshot=self._snapshot, previous=previous, events=events)


def _is_older(record: AgentStatus, known: AgentStatus) -> bool:
    """Tell whether a record is from before another one: a counter fell, and the time of a call went back with it.

    A reset sets counters back and leaves the times; the end of daylight saving time sets back times alone.
    """
    fell = record.calls_answered < known.calls_answered or record.no_answer_count < known.no_answer_count
    return fell and (
        _went_back(record.last_answered_at, known.last_answered_at)
        or _went_back(record.last_offered_at, known.last_offered_at)
    )


def _went_back(time: datetime | None, known: datetime | None) -> bool:
    if time is None or known is None or (time.tzinfo is None) != (known.tzinfo is None):
        return False
    return time < known
