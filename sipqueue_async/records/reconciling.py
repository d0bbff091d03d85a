"""`reconcile`: compares the calls of the status stream with the call records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import attrs

from sipqueue_async import CallAnswered, CallDirection, CallMethod, CallRecord

_METHODS: Final = frozenset({CallMethod.GROUP, CallMethod.UNKNOWN})


@attrs.frozen(kw_only=True, order=True)
class Difference:
    """An hour in which events and records have different numbers of answered calls for an extension."""

    hour: datetime
    """The beginning of the hour, in the server's time zone (aware)."""
    extension: str
    """The extension."""
    events: int
    """The calls of the queues that the events report."""
    records: int
    """The incoming calls that have records."""

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as values for JSON."""
        return attrs.asdict(self) | {"hour": self.hour.isoformat()}


@attrs.frozen(kw_only=True)
class Reconciliation:
    """Whether events and records have the same answered calls."""

    events: int
    """The calls of the queues that the events report."""
    records: int
    """The incoming calls that have records."""
    differences: tuple[Difference, ...]
    """Where they differ, by hour and extension."""


def reconcile(
    events: Iterable[CallAnswered],
    records: Iterable[CallRecord],
    *,
    since: datetime,
    until: datetime,
    zone: tzinfo,
    extensions: Collection[str] | None = None,
) -> Reconciliation:
    """Compare the answered calls of the status stream with the records, for each extension and hour.

    A record names no queue, so all queues of an extension count together. Of the records only those of incoming calls
    count that came through a queue (`CallMethod.GROUP`) or have no known method. An event that reports several calls
    has only the time of the last.

    Args:
        events: The events of these extensions, also those observed some time after `until`.
        records: The records of calls that were dialled in the span, or some time before.
        since: The beginning of the span (aware); a call belongs to it by the time of its answer.
        until: The end, which is not part of it.
        zone: The server's time zone, for times without one.
        extensions: Only calls of these.

    Raises:
        ValueError: `since` or `until` is naive.
    """
    for name, end in (("since", since), ("until", until)):
        if end.utcoffset() is None:
            raise ValueError(f"{name} has no time zone")

    def placed(extension: str | None, moment: datetime) -> tuple[datetime, str] | None:
        """Return the hour and the extension of a call that counts."""
        aware = (moment.replace(tzinfo=zone) if moment.tzinfo is None else moment).astimezone(UTC)
        if not since <= aware < until or extension is None or (extensions is not None and extension not in extensions):
            return None
        return aware.astimezone(zone).replace(minute=0, second=0, microsecond=0), extension

    told, recorded = Counter[tuple[datetime, str]](), Counter[tuple[datetime, str]]()
    for event in events:
        place = placed(event.extension, event.answered_at or event.observed_at)
        if place is not None:
            told[place] += event.count
    for record in records:
        if record.answered_at is not None and record.direction is CallDirection.IN and record.method in _METHODS:
            place = placed(record.extension, record.answered_at)
            if place is not None:
                recorded[place] += 1
    differences = (
        Difference(hour=place[0], extension=place[1], events=told[place], records=recorded[place])
        for place in told.keys() | recorded.keys()
        if told[place] != recorded[place]
    )
    return Reconciliation(events=told.total(), records=recorded.total(), differences=tuple(sorted(differences)))
