"""Compares two records of one seat: which is newer, and whether counters were reset in between."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sipqueue_async._diff import is_later
from sipqueue_async.models import AgentState, AgentStatus

FORWARD, BACK, NEITHER = 1, -1, 0
COUNTERS: Final = (("calls_answered", "last_answered_at"), ("no_answer_count", "last_offered_at"))
"""The counters, each with the time of its last call."""
_IN_A_CALL: Final = frozenset({AgentState.RECEIVING, AgentState.TALKING})


def direction_of_record(before: AgentStatus, after: AgentStatus) -> int:
    """Return `FORWARD`, `BACK` or `NEITHER` for a seat's record compared with an earlier answer's.

    It goes forward if one of its times is later or new and none is earlier or gone. It goes back if a time is earlier
    or gone; or if all times are the same, and a counter decreased.
    """
    change = _change(before, after)
    if change == FORWARD and after.name not in {None, before.name}:
        # Another person has signed in, whose last call may have been earlier.
        return FORWARD
    answered = direction_of_time(before.last_answered_at, after.last_answered_at)
    offered = direction_of_time(before.last_offered_at, after.last_offered_at)
    if change < 0 or answered < 0 or offered < 0:
        return BACK
    if change or answered or offered:
        return FORWARD
    return BACK if counters_fell(before, after) or _external_fell(before, after) else NEITHER


def directions_of_times(before: AgentStatus, after: AgentStatus) -> set[int]:
    """Return the directions of the record's three times."""
    return {
        direction_of_time(before.last_answered_at, after.last_answered_at),
        direction_of_time(before.last_offered_at, after.last_offered_at),
        _change(before, after),
    }


def _change(before: AgentStatus, after: AgentStatus) -> int:
    """Return the direction of `last_changed_at`; a platform that sends it only now and then says nothing by that."""
    if before.last_changed_at is None or after.last_changed_at is None:
        return NEITHER
    return direction_of_time(before.last_changed_at, after.last_changed_at)


def direction_of_time(before: datetime | None, after: datetime | None) -> int:
    """Return `FORWARD` for a later or new time, `BACK` for an earlier one or one that is gone, otherwise `NEITHER`."""
    if before == after:
        return NEITHER
    if before is None:
        return FORWARD
    if after is None:
        return BACK
    if is_later(before, after):
        return FORWARD
    return BACK if is_later(after, before) else NEITHER


def counters_fell(before: AgentStatus, after: AgentStatus) -> bool:
    """Return whether a counter of calls decreased."""
    return after.calls_answered < before.calls_answered or after.no_answer_count < before.no_answer_count


def began_anew(before: AgentStatus, after: AgentStatus) -> bool:
    """Return whether counters or times went back, so that an older record may seem to be newer."""
    return BACK in directions_of_times(before, after) or counters_fell(before, after)


def _external_fell(before: AgentStatus, after: AgentStatus) -> bool:
    was, now = before.external_calls_count, after.external_calls_count
    return was is not None and now is not None and now < was


def may_be_older(replaced: AgentStatus, record: AgentStatus, left_out: Collection[str]) -> bool:
    """Return whether a record may be from before the same reset as `replaced`, so that it shows no calls after it.

    Between two resets, no counter decreases while a call time gets later. With the same call time, a counter differs by
    one call at most: the call of that time, which some platforms count when it ends.
    """
    directions = directions_of_times(replaced, record)
    if directions >= {FORWARD, BACK}:
        return False
    for counter, time in COUNTERS:
        if counter in left_out:
            continue
        growth = getattr(record, counter) - getattr(replaced, counter)
        if FORWARD in directions:
            fits = growth >= 0
        elif BACK in directions:
            fits = growth <= 0
        else:
            fits = growth >= -1 or getattr(record, time) is None
        if not fits:
            return False
    return True


def is_after_reset(first: AgentStatus, known: AgentStatus, record: AgentStatus) -> bool:
    """Return whether `first`, which went back, has the counters just after a reset that came before `record`.

    The times of `first` are then the known ones, or blank. There was a reset if the counters of `record` decreased
    against the known ones; or if those of `first` are 0 and no call is under way, because an older record with the
    known times cannot have such counters.
    """
    if first == record or counters_fell(first, record):
        return False
    if counters_fell(known, record):
        return _times(first) in {_times(known), (None, None)} and _is_reset_throughout(first, known, record)
    return is_at_zero(first, known)


def _is_reset_throughout(first: AgentStatus, known: AgentStatus, record: AgentStatus) -> bool:
    """Return whether every counter that is lower in `first` than in `known` was reset.

    A counter was reset if it is 0 in `first`, or still below the known value in `record`; otherwise `first` may be old.
    """
    counters = [[getattr(it, counter) for it in (first, known, record)] for counter, _ in COUNTERS]
    return all(at_first in {0, max(at_first, before)} or now < before for at_first, before, now in counters)


def is_at_zero(record: AgentStatus, known: AgentStatus) -> bool:
    """Return whether a record has counters of 0 with the known call times, which no older record can have.

    If the platform does not send the times of counted calls, this is no evidence, and the result is False.
    """
    if any(getattr(known, counter) and getattr(known, time) is None for counter, time in COUNTERS):
        return False
    is_zero = record.calls_answered == record.no_answer_count == 0
    return is_zero and _times(record) == _times(known) and record.state not in _IN_A_CALL


def _times(record: AgentStatus) -> tuple[datetime | None, datetime | None]:
    return record.last_answered_at, record.last_offered_at


def has_joined_again(left: AgentStatus, shown: AgentStatus) -> bool:
    """Return whether the record of a seat that left shows that it has joined again.

    A sign-in changes `last_changed_at`. Without a change, a later call time is that of a call before the seat left.
    """
    if shown.last_changed_at is None:
        return direction_of_record(left, shown) == FORWARD
    return direction_of_time(left.last_changed_at, shown.last_changed_at) == FORWARD
