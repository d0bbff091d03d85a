"""Random days of a call centre, seen by a watcher: polls, and outages between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import attrs
from hypothesis import strategies as st

from sipqueue_async import Snapshot, Update
from sipqueue_async.tally import Tally
from tests.kit.strategies import snapshots
from tests.kit.tally import down, up, update

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
steps = st.integers(0, 10**10)
"""Microseconds between two polls: up to some hours."""


def at(snapshot: Snapshot, moment: datetime) -> Snapshot:
    """Return a snapshot with the same records and another time of observation."""
    return Snapshot(snapshot.values(), observed_at=moment)


def timed(polls: Sequence[Snapshot], gaps: Sequence[int]) -> list[Snapshot]:
    """Return the polls, observed at these intervals."""
    moments, moment = [MIDNIGHT], MIDNIGHT
    for gap in gaps:
        moment += timedelta(microseconds=gap)
        moments.append(moment)
    return [at(poll, moment) for poll, moment in zip(polls, moments, strict=True)]


@attrs.frozen
class Day:
    """Polls; after some of them the feed is down until the next one."""

    polls: list[Snapshot]
    outages: list[bool]

    def updates(self) -> list[Update]:
        """Return the updates that a watcher derives from the polls."""
        found: list[Update] = []
        for (old, new), outage in zip(pairwise(self.polls), self.outages, strict=True):
            if outage:
                found.append(down(old))
            news = update(old, new, *([up(new)] if outage else []))
            if news.events:
                found.append(news)
        return found

    def tally(self) -> Tally:
        """Return the tally of the whole day."""
        return folded(Tally(self.polls[0]), self.updates(), self.polls[-1].observed_at)


def folded(tally: Tally, updates: Sequence[Update], until: datetime) -> Tally:
    """Return a tally after it was fed some updates."""
    for news in updates:
        tally.update(news)
    tally.advance(until)
    return tally


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Generate a day."""
    polls = draw(st.lists(snapshots(), min_size=2, max_size=4))
    count = len(polls) - 1
    gaps = draw(st.lists(steps, min_size=count, max_size=count))
    return Day(timed(polls, gaps), draw(st.lists(st.booleans(), min_size=count, max_size=count)))
