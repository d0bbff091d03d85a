"""Every fault, met by a watcher between two good times: nothing is made up, nobody leaves, and it recovers at once."""

from __future__ import annotations

import attrs

from sipqueue_async import Event, FeedDown, FeedUp, diff
from tests.faults.run import INTERVAL, watch
from tests.faults.test_client import every_fault, known_of
from tests.faults.ways import Fault

SLACK = 0.25
"""How late a poll may begin on a machine that is busy, in seconds."""


def essence(event: Event) -> tuple[object, ...]:
    """Return an event without when it was seen."""
    when = {"observed_at", "error", "since", "outage", "failures"}
    names = [it.name for it in attrs.fields(type(event)) if it.init and it.name not in when]
    return type(event), {name: getattr(event, name) for name in names}


@every_fault
async def test_a_watcher_tells_what_happened_and_goes_on_at_once(fault: Fault) -> None:
    """A fault is told as something that did not happen, ends a watcher that could go on, or is not got over at once."""
    watched = await watch(fault)
    known = known_of(fault, watched.before) if fault.shows == "everyone" else watched.before
    told = [essence(it) for it in watched.told]
    if not fault.goes_on:
        assert fault.error is not None
        assert [kind for kind, _ in told] == [FeedDown]
        assert type(watched.end) is fault.error
        assert fault.says in str(watched.end)
        assert watched.after == watched.before
        return
    assert watched.end is None
    assert watched.stale >= fault.stale
    assert watched.during == known
    lost = [essence(it) for it in diff(watched.before, known)]
    news = [essence(it) for it in diff(known, watched.after)]
    feed: list[tuple[object, ...]] = [] if fault.error is None else [(FeedDown, {}), (FeedUp, {})]
    assert told == [*lost, *feed, *news]
    polls = watched.polls
    (recovery, *_) = (number for number, it in enumerate(polls) if it.outcome == watched.after)
    # A poll that was under way may still have met the fault, and no other one.
    assert all(it.began < watched.mended_at for it in polls[:recovery])
    pause = polls[recovery].began - polls[recovery - 1].ended
    assert fault.pause <= pause <= max(fault.pause, INTERVAL) + SLACK
