"""`Tracker`: turns the results of polls into updates, without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sipqueue_async._diff import diff
from sipqueue_async._high_water import HighWater
from sipqueue_async.events import Event, FeedDown, FeedUp, Update
from sipqueue_async.models import Snapshot

_STALE_POLLS_BELIEVED: Final = 3


class Tracker:
    """Turns the results of polls into updates, each a `diff` of two snapshots.

    Args:
        baseline: The snapshot from before the first poll.
        initial: Whether, without a baseline, the first poll yields an `AgentJoined` for every agent.
        leave_after: In how many consecutive accepted polls a seat must be absent to have left.
        max_lag: How many seconds an answer may lag.
    """

    def __init__(self, baseline: Snapshot | None, *, initial: bool, leave_after: int, max_lag: float = 60.0) -> None:
        self._high_water = HighWater(max_lag, baseline, leave_after=leave_after)
        self._snapshot = baseline
        self._initial = initial
        self._server_time = None if baseline is None else baseline.server_time
        self._stale_in_a_row = 0
        self._is_held_back = False
        self._failures = 0
        self._failing_since = 0.0
        self._sequence = 0

    @property
    def snapshot(self) -> Snapshot | None:
        """The last accepted snapshot; before the first, the baseline."""
        return self._snapshot

    @property
    def known(self) -> Snapshot:
        """The last accepted snapshot, once there is one."""
        assert self._snapshot is not None  # noqa: S101  # called after the first accepted answer only
        return self._snapshot

    @property
    def failures(self) -> int:
        """Consecutive failures since the last success."""
        return self._failures

    def failed(self, error: Exception, now: float) -> Update | None:
        """Record a failed poll at a monotonic time; only the first of several in a row gives an update."""
        self._failures += 1
        if self._failures > 1:
            return None
        self._failing_since = now
        since = None if self._snapshot is None else self._snapshot.observed_at
        return self._update(self._snapshot, (FeedDown(error=error, since=since),))

    @property
    def records_held_back(self) -> int:
        """Records held back because they are older than the known ones, each counted once a poll."""
        return self._high_water.records_held_back

    @property
    def answers_held_back(self) -> int:
        """Answers held back because they are old as a whole."""
        return self._high_water.answers_held_back

    @property
    def is_held_back(self) -> bool:
        """Whether the last answer was held back as a whole."""
        return self._is_held_back

    def is_stale(self, polled: Snapshot) -> bool:
        """Return whether an answer's `server_time` is before the last one's: it comes from a cache or a lagging server.

        The third such answer in a row is accepted: the server's clock must have stepped back.
        """
        if polled.server_time is None or self._server_time is None or polled.server_time >= self._server_time:
            self._stale_in_a_row = 0
            return False
        self._stale_in_a_row += 1
        if self._stale_in_a_row < _STALE_POLLS_BELIEVED:
            self._high_water.note_present(polled)
            return True
        self._stale_in_a_row = 0
        return False

    def polled(self, polled: Snapshot, now: float) -> Update | None:
        """Process a good answer at a monotonic time, and return the update if anything changed."""
        accepted = self._high_water.accept(polled)
        self._is_held_back = not accepted
        if not accepted:
            return None
        self._server_time = polled.server_time or self._server_time
        events: list[Event] = []
        if self._failures:
            events.append(self._feed_up(accepted[-1], now))
            self._failures = 0
        return self._advance(accepted, events)

    def is_part_usable(self, part: Snapshot, extension: str) -> bool:
        """Return whether an answer shows the known seats of an extension, and is no older than the last whole one.

        Which seats there are is a question for whole answers.
        """
        seats = {key for key in self.known if key.extension == extension}
        is_old = part.server_time and self._server_time and part.server_time < self._server_time
        # Without a known seat, the answer says nothing about what is known.
        return bool(seats) and part.keys() == seats and not is_old

    def part_polled(self, part: Snapshot) -> Update | None:
        """Process a usable answer about one extension, and return the update if anything changed."""
        accepted = self._high_water.accept_part(part)
        self._is_held_back = not accepted
        return self._advance(accepted, []) if accepted else None

    def _advance(self, accepted: Sequence[Snapshot], events: list[Event]) -> Update | None:
        """Return the update to the last of these snapshots, after some events of the feed."""
        previous = self._snapshot
        if previous is None and not self._initial:
            previous = accepted[0]
        old = previous
        for new in accepted:
            events += diff(old, new)
            old = new
        self._snapshot = accepted[-1]
        return self._update(previous, tuple(events)) if events else None

    def _feed_up(self, new: Snapshot, now: float) -> FeedUp:
        seconds = now - self._failing_since if self._snapshot is None else new.seconds_since(self._snapshot)
        return FeedUp(observed_at=new.observed_at, outage=timedelta(seconds=seconds), failures=self._failures)

    def _update(self, previous: Snapshot | None, events: tuple[Event, ...]) -> Update:
        self._sequence += 1
        return Update(sequence=self._sequence, snapshot=self._snapshot, previous=previous, events=events)
