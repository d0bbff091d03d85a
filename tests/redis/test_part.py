"""The part that a reader is for: what is chosen of snapshots and of publications."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import FieldProblem, Snapshot, diff
from sipqueue_async.redis.part import Part
from tests.kit.builders import agent, snapshot
from tests.kit.publications import change_of

SEATS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from("123")), st.sampled_from(["waiting", "talking"])
)
NAMES = st.none() | st.sets(st.sampled_from("abc"), min_size=1)
EXTENSIONS = st.none() | st.sets(st.sampled_from("123"), min_size=1)


def snapshot_of(seats: dict[tuple[str, str], str]) -> Snapshot:
    """Return a snapshot of seats and their states."""
    return snapshot(*(agent(extension, state, queue=queue) for (queue, extension), state in sorted(seats.items())))


@given(before=SEATS, after=SEATS, queues=NAMES, extensions=EXTENSIONS)
def test_what_is_told_is_what_happened_in_that_part(
    before: dict[tuple[str, str], str],
    after: dict[tuple[str, str], str],
    queues: set[str] | None,
    extensions: set[str] | None,
) -> None:
    """A reader of some queues is told of less or more than happened in them."""
    part, old, new = Part(queues, extensions), snapshot_of(before), snapshot_of(after)
    chosen = {
        seat: state
        for seat, state in after.items()
        if (queues is None or seat[0] in queues) and (extensions is None or seat[1] in extensions)
    }
    assert part.of_snapshot(new) == snapshot_of(chosen)
    assert part.of_change(change_of(old, new)).seat_events == diff(part.of_snapshot(old), part.of_snapshot(new))


def test_problems_of_others_are_left_out() -> None:
    """A reader of one queue is told of what is wrong in another, or not of what concerns all."""
    problems = [
        FieldProblem(queue, extension, "x", "is odd") for queue, extension in (("a", "1"), ("b", "1"), (None, None))
    ]
    known = snapshot(agent("1", queue="a"))
    odd = Snapshot(known.values(), observed_at=known.observed_at, problems=problems)
    part = Part("a")
    assert part.of_snapshot(odd).problems == (problems[0], problems[2])
    change = change_of(known, odd)
    assert change.moment is not None
    chosen = part.of_change(attrs.evolve(change, moment=attrs.evolve(change.moment, problems=tuple(problems))))
    assert chosen.moment is not None
    assert chosen.moment.problems == (problems[0], problems[2])
    assert part.of_change(attrs.evolve(change, moment=None)).moment is None
