"""`HighWater`: decides which records of an answer are accepted, by evidence of their age and not by repetition."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Final

import attrs

from sipqueue_async._arguments import check_at_least
from sipqueue_async._diff import Change, compare
from sipqueue_async._evidence import (
    BACK,
    FORWARD,
    NEITHER,
    began_anew,
    counters_fell,
    direction_of_record,
    directions_of_times,
    has_joined_again,
    is_after_reset,
    is_at_zero,
    may_be_older,
)
from sipqueue_async._left_out import LeftOut, filled, left_out_of, with_known_counters
from sipqueue_async.models import AgentStatus, FieldProblem, SeatKey, Snapshot

_AT_LEAST: Final = 2
"""Answers before something old is accepted, even if `max_lag` has passed."""


@attrs.define(eq=False)
class _Suspect:
    """A seat whose records go back."""

    seen_at: float
    """When an answer last showed the known record or a newer one."""
    after_fall: AgentStatus | None
    """The first record after its counters last decreased. If there was a reset, calls are counted from here. None once
    a newer answer has shown the known record again: then the counters are those of another back end."""
    answers: int = 0


class HighWater:
    """Holds back records that are older than the known ones, such as those of a lagging back end.

    Several back ends of one platform, or several relays, may answer in turn, some of them seconds behind. Compared with
    the known record of its seat, a record *goes forward* if a call time (`last_answered_at`, `last_offered_at`) is
    later or new and none is earlier or gone. Otherwise it *goes back* if a call time is earlier or gone, or a counter
    decreased. If both records have `last_changed_at`, it counts as a third time. A record with another name and a later
    `last_changed_at` goes forward in any case: another person has signed in.

    - A record that goes back is held back: the known record stays. It is accepted once no answer has shown the known
      record or a newer one for `max_lag`, and in at least two answers. A record that goes forward is accepted at once.
    - For `max_lag` after accepting a record that went back, or one whose counters decreased, a record that may be from
      before counts as going back too.
    - An answer in which a record goes back and none goes forward is old as a whole, and held back for at most
      `max_lag`.
    - If a seat left less than `max_lag` ago and appears without a later `last_changed_at`, it has not joined again; if
      the platform does not send that time, any later time counts. If a seat joined less than `max_lag` ago and is
      missing, it has not left.
    - A counter that the platform left out keeps its known value, unless the name is another person's; `problems` lists
      it with `carried`. If it is lower when it is sent again, and its call time later than when it was last sent,
      it was reset: its value counts the calls since.

    - An answer about some of the seats (`accept_part`) is judged by its own records. It says nothing about other seats,
      and no seat joins or leaves by it.

    Pass every answer to `accept` or `accept_part`, in order, and compare the returned snapshots by `diff`. If no answer
    lags by more than `max_lag`, no call is then made up, and none is lost that the records show. A call whose record
    goes back is reported late: after the lag plus `max_lag` at most, and in the second answer at the earliest.

    Args:
        max_lag: How many seconds an answer may lag, by `Snapshot.seconds_since`.
        baseline: The snapshot from before the first answer.
        leave_after: After how many accepted answers without a seat it has left. An answer that shows the seat, accepted
            or not, restarts the count.

    Raises:
        ValueError: `max_lag` is negative or infinite, or `leave_after` is below 1.
    """

    def __init__(self, max_lag: float = 60.0, baseline: Snapshot | None = None, *, leave_after: int = 1) -> None:
        check_at_least("max_lag", max_lag, 0, "second")
        check_at_least("leave_after", leave_after, 1, "answer")
        self._max_lag = max_lag
        self._leave_after = leave_after
        self._known = baseline
        # The sum of the seconds between answers. It never decreases, even if the wall clock steps back.
        self._clock = 0.0
        self._last_answer = baseline
        # When the last answer about all seats came, and the later ones about some of them.
        self._answered_at = 0.0
        self._part_answered_at: dict[SeatKey, float] = {}
        self._accepted_at = 0.0
        self._old_in_a_row = 0
        self._suspects: dict[SeatKey, _Suspect] = {}
        # The last known records from before a reset or from before times went back, and when they were replaced.
        self._replaced: dict[SeatKey, tuple[AgentStatus, float]] = {}
        self._left_out = LeftOut()
        self._missing: dict[SeatKey, int] = {}
        self._joined_at: dict[SeatKey, float] = {}
        self._left: dict[SeatKey, tuple[AgentStatus, float]] = {}
        self._records_held_back = 0
        self._answers_held_back = 0

    def __repr__(self) -> str:
        seats = 0 if self._known is None else len(self._known)
        held_back = f"{self._records_held_back} records and {self._answers_held_back} answers held back"
        return f"<HighWater of {seats} seats, {held_back}>"

    @property
    def snapshot(self) -> Snapshot | None:
        """The last accepted snapshot; before the first, the baseline."""
        return self._known

    @property
    def records_held_back(self) -> int:
        """Records of accepted answers that were held back, counted in each answer."""
        return self._records_held_back

    @property
    def answers_held_back(self) -> int:
        """Answers that were old as a whole."""
        return self._answers_held_back

    def accept(self, polled: Snapshot) -> tuple[Snapshot, ...]:
        """Check an answer and return the accepted snapshots, in order: compare each with the one before by `diff`.

        Usually there is one, the answer with the known records in place of those that go back. There is none if the
        answer is old as a whole. There are two if a reset of counters is accepted: the first has the records just after
        the reset, from which the calls since then are counted.
        """
        known, last_answer = self._known, self._last_answer
        self._last_answer = polled
        if known is None or last_answer is None:
            self._known = polled
            return (polled,)
        self._clock += polled.seconds_since(last_answer)
        if polled.problems:
            polled = with_known_counters(polled, known)
        changed, gone, new = compare(known, polled)
        held, resets, is_newer = self._judge(changed, polled)
        self._answered_at, self._part_answered_at = self._clock, {}
        if held and not is_newer and self._is_old():
            self._answers_held_back += 1
            self.note_present(polled)
            return ()
        self._accepted_at, self._old_in_a_row = self._clock, 0
        self._records_held_back += len(held)
        kept: dict[SeatKey, AgentStatus | None] = {**held}
        if gone or self._missing:
            kept.update(self._not_left(gone, known, is_empty=not polled))
        if new:
            kept.update(self._not_joined(new, polled))
        self._known = _with_records(polled, kept, known) if kept else polled
        return (_with_records(self._known, resets, known), self._known) if resets else (self._known,)

    def accept_part(self, part: Snapshot) -> tuple[Snapshot, ...]:
        """Check an answer about some of the known seats and return the accepted snapshots, as `accept` does.

        These are of all seats. They have the known records and problems of all other seats, the known `server_time`,
        and the times of the answer's arrival. If a record in the answer goes back and none goes forward, the answer is
        old as a whole.

        Args:
            part: The answer. It must have known seats only.

        Raises:
            ValueError: There was no answer before, or a seat is not known.
        """
        known, last_answer = self._known, self._last_answer
        if known is None or last_answer is None or not part.keys() <= known.keys():
            raise ValueError("a part of the status must follow the whole, and have no other seats")
        self._clock += part.seconds_since(last_answer)
        self._last_answer = part
        if part.problems:
            part = with_known_counters(part, known)
        changed = [(key, known[key], shown) for key, shown in part.items() if shown != known[key]]
        held, resets, is_newer = self._judge(changed, part)
        self._part_answered_at.update(dict.fromkeys(part, self._clock))
        self.note_present(part)
        if held and not is_newer:
            self._answers_held_back += 1
            return ()
        self._records_held_back += len(held)
        accepted = {key: shown for key, _, shown in changed if key not in held}
        self._known = _with_part(known, part, accepted, part.keys() - held.keys())
        return (_with_records(self._known, resets, known), self._known) if resets else (self._known,)

    def note_present(self, polled: Snapshot) -> None:
        """Restart the count of answers that lacked a seat, for each seat that an answer shows."""
        if self._missing:
            self._missing = {key: answers for key, answers in self._missing.items() if key not in polled}

    def _judge(
        self, changed: Iterable[Change], polled: Snapshot
    ) -> tuple[dict[SeatKey, AgentStatus], dict[SeatKey, AgentStatus], bool]:
        """Return the known records of seats that go back, records just after resets, and whether any goes forward."""
        held: dict[SeatKey, AgentStatus] = {}
        resets: dict[SeatKey, AgentStatus] = {}
        is_newer = False
        suspects = self._suspects
        left_out = left_out_of(polled.problems) if polled.problems else {}
        for key, before, shown in changed:
            # A missing counter is no evidence: use its known value.
            after = filled(shown, before, left_out.get(key, ()))
            unseen = self._left_out.after_unseen_reset(key, before, after)
            evidence = direction_of_record(before, after) if unseen is None else FORWARD
            if (
                self._replaced
                and key in self._replaced
                and self._may_be_from_before(key, before, after, left_out.get(key, ()))
            ):
                evidence = BACK
            suspect = suspects.get(key)
            if evidence == BACK:
                suspect = suspect or _Suspect(self._part_answered_at.get(key, self._answered_at), after)
                if self._is_to_be_held(suspect, before, after):
                    suspects[key], held[key] = suspect, before
                    continue
            if evidence != NEITHER:
                is_newer = True
                if evidence == BACK or began_anew(before, after):
                    self._replaced[key] = before, self._clock
                first = unseen or _first_after_reset(None if key in left_out else suspect, before, after)
                if first is not None:
                    resets[key] = first
            self._left_out.note(key, before, left_out.get(key, ()))
            if evidence != NEITHER or counters_fell(after, before):
                # The counters continue from this record.
                suspects.pop(key, None)
        self._note_seen_again(polled, held, is_newer=is_newer)
        return held, resets, is_newer

    def _note_seen_again(self, polled: Snapshot, held: Mapping[SeatKey, AgentStatus], *, is_newer: bool) -> None:
        """Register the known records that appear again. If the answer is newer, there was no reset."""
        for key, suspect in self._suspects.items():
            if key not in held and key in polled:
                suspect.seen_at, suspect.answers = self._clock, 0
                if is_newer:
                    suspect.after_fall = None

    def _may_be_from_before(
        self, key: SeatKey, known: AgentStatus, record: AgentStatus, left_out: Collection[str]
    ) -> bool:
        """Return whether a record that seems newer than the known one may be from before the last reset."""
        replaced, at = self._replaced[key]
        if self._clock - at >= self._max_lag:
            del self._replaced[key]
            return False
        direction = direction_of_record(known, record)
        if direction == FORWARD:
            # If the reset kept the call times, an older record has no later ones.
            return BACK in directions_of_times(replaced, known) and may_be_older(replaced, record, left_out)
        return direction == NEITHER and counters_fell(record, known) and may_be_older(replaced, record, left_out)

    def _is_to_be_held(self, suspect: _Suspect, known: AgentStatus, record: AgentStatus) -> bool:
        suspect.answers += 1
        first = suspect.after_fall
        # Of several records of the same count, one that no older record can equal shows a reset best.
        if first is None or counters_fell(first, record) or is_at_zero(record, known):
            suspect.after_fall = record
        return suspect.answers < _AT_LEAST or self._clock - suspect.seen_at < self._max_lag

    def _is_old(self) -> bool:
        """Return whether an answer with nothing newer is still to be held back."""
        self._old_in_a_row += 1
        return self._old_in_a_row < _AT_LEAST or self._clock - self._accepted_at < self._max_lag

    def _not_left(self, gone: Sequence[SeatKey], known: Snapshot, *, is_empty: bool) -> dict[SeatKey, AgentStatus]:
        """Return the known records of missing seats that have not left yet, and register those that have."""
        self._missing = {key: self._missing.get(key, 0) + 1 for key in gone}
        self._forget_long_ago()
        stay = {
            key: known[key]
            for key, answers in self._missing.items()
            if answers < self._leave_after or key in self._joined_at
        }
        left = [key for key in gone if key not in stay]
        for key in left:
            # What goes back when the seat is there again says nothing about this time.
            self._suspects.pop(key, None)
            self._left_out.note(key, known[key], ())
        # An empty answer is more often a fault than a sign that all agents left at once: they may come back.
        if not is_empty or len(left) == 1:
            self._left.update({key: (known[key], self._clock) for key in left})
        return stay

    def _not_joined(self, new: Sequence[SeatKey], polled: Snapshot) -> dict[SeatKey, None]:
        """Return the new seats that only reappear after they left, and register those that joined."""
        self._forget_long_ago()
        again = {
            key: None for key in new if key in self._left and not has_joined_again(self._left[key][0], polled[key])
        }
        self._records_held_back += len(again)
        left_out = left_out_of(polled.problems) if polled.problems else {}
        for key in new:
            if key not in again:
                self._joined_at[key] = self._clock
                before, _ = self._left.pop(key, (None, 0.0))
                if before is not None and began_anew(before, filled(polled[key], before, left_out.get(key, ()))):
                    self._replaced[key] = before, self._clock
        return again

    def _forget_long_ago(self) -> None:
        since = self._clock - self._max_lag
        self._joined_at = {key: at for key, at in self._joined_at.items() if at > since}
        self._left = {key: (record, at) for key, (record, at) in self._left.items() if at > since}
        self._replaced = {key: (record, at) for key, (record, at) in self._replaced.items() if at > since}


def _with_records(polled: Snapshot, records: Mapping[SeatKey, AgentStatus | None], known: Snapshot) -> Snapshot:
    """Return an answer with other records for some seats, and with the known problems of these seats."""
    problems = _joined(polled.problems, known.problems, records)
    return polled.with_changes(
        records,
        observed_at=polled.observed_at,
        server_time=polled.server_time,
        problems=problems,
        steady_at=polled.steady_at,
    )


def _with_part(
    known: Snapshot, part: Snapshot, records: Mapping[SeatKey, AgentStatus], shown: Collection[SeatKey]
) -> Snapshot:
    """Return the known snapshot with other records for some seats, at the time of an answer that shows these seats."""
    problems = _joined(known.problems, part.problems, shown)
    return known.with_changes(
        records,
        observed_at=part.observed_at,
        server_time=known.server_time,
        problems=problems,
        steady_at=part.steady_at,
    )


def _joined(
    problems: tuple[FieldProblem, ...], others: tuple[FieldProblem, ...], seats: Container[object]
) -> tuple[FieldProblem, ...]:
    """Return problems, but for some seats the other ones."""
    return (
        *(it for it in problems if (it.queue, it.extension) not in seats),
        *(it for it in others if (it.queue, it.extension) in seats),
    )


def _first_after_reset(suspect: _Suspect | None, known: AgentStatus, record: AgentStatus) -> AgentStatus | None:
    first = None if suspect is None else suspect.after_fall
    return first if first is not None and is_after_reset(first, known, record) else None
