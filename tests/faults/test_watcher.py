"""Runs a watcher through every fault: it makes up no event, reports no leaving, and continues."""

from __future__ import annotations

import attrs
import pytest

from sipqueue_async import Event, FeedDown, FeedUp, diff
from tests.faults.run import run_matrix
from tests.faults.test_client import every_fault, known_of
from tests.faults.ways import Fault

pytestmark = pytest.mark.timeout(300)


def essence(event: Event) -> tuple[object, ...]:
    """Return an event without when it was seen."""
    when = {"observed_at", "error", "since", "outage", "failures"}
    names = [it.name for it in attrs.fields(type(event)) if it.init and it.name not in when]
    return type(event), {name: getattr(event, name) for name in names}


@every_fault
def test_a_watcher_tells_what_happened_and_goes_on(fault: Fault) -> None:
    """A watcher tells what happened and nothing else, and the first poll after the fault brings the news."""
    watched = run_matrix().watched[fault.name]
    # A record that lost its call time is held back, and so is an answer with nobody in it.
    is_held_back = fault.shows == "nobody" or fault.loses == "last_answered_at"
    known = watched.before if is_held_back else known_of(fault, watched.before)
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
    assert sum(it.began >= watched.mended_at for it in polls[:recovery]) <= fault.leaves_bytes
    assert polls[recovery].began - polls[recovery - 1].ended >= fault.pause
