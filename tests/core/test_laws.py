"""The four laws of the design, for random snapshots."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async import CallAnswered, CallMissed, SeatKey, Snapshot, apply, diff
from sipqueue_async._fanout import Fanout
from sipqueue_async._mailbox import ALL_SEATS
from sipqueue_async._streams import Updates
from sipqueue_async.events import Update
from tests.kit.strategies import chains_without_reset, snapshots


@given(old=st.none() | snapshots(), new=snapshots())
def test_replay(old: Snapshot | None, new: Snapshot) -> None:
    """Law 1, replay: applying the events of `diff` to the old snapshot yields the new records."""
    events = diff(old, new)
    if old is None and not events:
        assert not new
    else:
        assert dict(apply(old, events)) == dict(new)


@given(snapshot=snapshots(), seed=st.integers(0, 100))
def test_silence(snapshot: Snapshot, seed: int) -> None:
    """Law 2, silence: equal records yield no events, in any order."""
    records = list(snapshot.values())
    random.Random(seed).shuffle(records)
    assert diff(snapshot, Snapshot(records, observed_at=snapshot.observed_at)) == ()


@given(chain=chains_without_reset(), data=st.data())
def test_no_call_lost(chain: list[Snapshot], data: st.DataObject) -> None:
    """Law 3, no call lost: the number of reported calls does not depend on the frequency of polls."""
    kept = data.draw(st.lists(st.booleans(), min_size=len(chain) - 2, max_size=len(chain) - 2))
    polled = [chain[0], *(each for each, keep in zip(chain[1:-1], kept, strict=True) if keep), chain[-1]]
    step_by_step: Counter[tuple[type, SeatKey]] = Counter()
    for old, new in pairwise(polled):
        step_by_step += calls(old, new)
    assert step_by_step == calls(chain[0], chain[-1])


def calls(old: Snapshot, new: Snapshot) -> Counter[tuple[type, SeatKey]]:
    """Return how many calls each seat answered and missed."""
    told: Counter[tuple[type, SeatKey]] = Counter()
    for event in diff(old, new):
        if isinstance(event, CallAnswered | CallMissed):
            told[type(event), event.key] += event.count
    return told


@given(start=snapshots(), later=st.lists(snapshots(), min_size=1, max_size=8), max_pending=st.integers(1, 3))
async def test_coalescing(start: Snapshot, later: list[Snapshot], max_pending: int) -> None:
    """Law 4, coalescing: a slow consumer ends with the same snapshot as a fast one."""
    fanout = Fanout()
    fast = Updates(fanout.mailbox(ALL_SEATS, (), 64), fanout.forget)
    slow = Updates(fanout.mailbox(ALL_SEATS, (), max_pending), fanout.forget)
    before = start
    for sequence, now in enumerate(later):
        events = diff(before, now)
        if events:
            fanout.publish(Update(sequence=sequence, snapshot=now, previous=before, events=events))
        before = now
    fanout.end(None)
    assert await folded(fast, start) == await folded(slow, start) == later[-1]


async def folded(stream: Updates, start: Snapshot) -> Snapshot:
    """Return a consumer's snapshot after it applied its updates in turn."""
    seen = start
    async for update in stream:
        assert update.events
        assert update.previous == seen
        seen = apply(seen, update.events)
        assert seen == update.snapshot
    return seen
