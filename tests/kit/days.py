"""Random days of a call centre as a watcher sees them: polls, and outages between them."""

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
"""Microseconds from one poll to the next: up to some hours."""


def at(snapshot: Snapshot, moment: datetime) -> Snapshot:
    """Return the same records, observed at another time."""
    return Snapshot(snapshot.values(), observed_at=moment)


def timed(polls: Sequence[Snapshot], gaps: Sequence[int]) -> list[Snapshot]:
    """Return polls at such intervals."""
    moments, moment = [MIDNIGHT], MIDNIGHT
    for gap in gaps:
        moment += timedelta(microseconds=gap)
        moments.append(moment)
    return [at(poll, moment) for poll, moment in zip(polls, moments, strict=True)]


@attrs.frozen
class Day:
    """Polls, after some of which the feed is down until the next one."""

    polls: list[Snapshot]
    outages: list[bool]

    def updates(self) -> list[Update]:
        """Return what a watcher makes of them."""
        found: list[Update] = []
        for (old, new), outage in zip(pairwise(self.polls), self.outages, strict=True):
            if outage:
                found.append(down(old))
            news = update(old, new, *([up(new)] if outage else []))
            if news.events:
                found.append(news)
        return found

    def tally(self) -> Tally:
        """Return what the day comes to."""
        return folded(Tally(self.polls[0]), self.updates(), self.polls[-1].observed_at)


def folded(tally: Tally, updates: Sequence[Update], until: datetime) -> Tally:
    """Return a tally after some updates."""
    for news in updates:
        tally.update(news)
    tally.advance(until)
    return tally


@st.composite
def days(draw: st.DrawFn) -> Day:
    """Return any day."""
    polls = draw(st.lists(snapshots(), min_size=2, max_size=4))
    count = len(polls) - 1
    gaps = draw(st.lists(steps, min_size=count, max_size=count))
    return Day(timed(polls, gaps), draw(st.lists(st.booleans(), min_size=count, max_size=count)))
