"""The feed's outages as destinations know them: each begins and ends once, whatever restarts in between."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import attrs

from sipqueue_async import Event, FeedDown, FeedUp


@attrs.frozen
class Outage:
    """An outage whose beginning was forwarded, and whose end was not."""

    since: datetime | None
    """The last good snapshot's `observed_at`; None if there was none."""
    kept_at: float
    """When its beginning was put into the state file, in seconds since 1970."""

    def ended(self, at: datetime, failures: int = 1) -> FeedUp:
        """Return the end of the outage, with its whole length.

        Args:
            at: The good snapshot's `observed_at`.
            failures: The failures since the last restart.
        """
        began = self.since or datetime.fromtimestamp(self.kept_at, UTC)
        return FeedUp(observed_at=at, outage=max(at - began, timedelta(0)), failures=failures)


def follow(
    outage: Outage | None, events: Iterable[Event], now: float, up_at: datetime | None = None
) -> tuple[list[Event], Outage | None]:
    """Return what to forward of some events, and the outage after them.

    Events of the feed are forwarded if they change what the destinations know. A feed that is up after a restart
    reports no end of the outage before it; this function adds it.

    Args:
        outage: The outage before the events; None if the feed was up.
        events: The events, in order.
        now: The time in seconds since 1970.
        up_at: The `observed_at` of the snapshot after the events if the feed is up.
    """
    forwarded: list[Event] = []
    changes = 0
    for event in events:
        if isinstance(event, FeedDown):
            changes += 1
            if outage is not None:
                continue
            outage = Outage(event.since, now)
        elif isinstance(event, FeedUp):
            changes += 1
            if outage is None:
                continue
            forwarded.append(outage.ended(event.observed_at, event.failures))
            outage = None
            continue
        forwarded.append(event)
    if outage is not None and up_at is not None and not changes:
        forwarded.insert(0, outage.ended(up_at))
        outage = None
    return forwarded, outage
