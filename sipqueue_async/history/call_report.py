"""Reports of call records: `CallFigures` of any span by hour, day, week, queue, agent, prefix or hour of day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final, Literal, TypeAlias, get_args

import attrs

from sipqueue_async import CallDirection, SeatFilter
from sipqueue_async.history.buckets import Bucket, buckets
from sipqueue_async.history.call_store import call_span, read_calls
from sipqueue_async.history.figures import microseconds
from sipqueue_async.history.store import Store
from sipqueue_async.records import CallCounter, CallFigures, FollowedCall, number_prefix
from sipqueue_async.records.prefixes import check_prefixes

CallBy: TypeAlias = Literal["hour", "day", "week", "queue", "agent", "prefix", "hour_of_day"]
"""What a report's rows are."""

CALL_BY: Final[tuple[CallBy, ...]] = get_args(CallBy)
"""All of them."""

NOT_KNOWN: Final = "not known"
"""The label of calls whose queue or agent is not known."""


@attrs.frozen(kw_only=True)
class CallReportRow:
    """One row of a report of calls."""

    label: str
    """The row's name: an hour such as ``2026-01-05 09:00``, a day, a week such as ``2026-W02``, a queue, an extension,
    a prefix, or an hour of day such as ``09:00``; ``not known`` for calls whose queue or agent is not known."""
    start: datetime | None = None
    """When the row's span begins, in the report's zone; None if the row is not a span of time."""
    end: datetime | None = None
    """When the row's span ends, in the report's zone; None if the row is not a span of time."""
    queue: str | None = None
    """The queue of a row by queue; None if it is not known."""
    extension: str | None = None
    """The extension of a row by agent; None if no agent answered and none was called."""
    name: str | None = None
    """The agent's last recorded name, of a row by agent; None if the extension has different names in its queues."""
    figures: CallFigures
    """The figures."""


@attrs.frozen(kw_only=True)
class CallReport:
    """Figures of the incoming calls that were dialled in a span of time, in rows."""

    by: CallBy
    """What the rows are."""
    zone: tzinfo
    """The time zone of days and hours."""
    since: datetime
    """The beginning (aware): as asked for, or the first call if that is later."""
    until: datetime
    """The end (aware), exclusive: as asked for, or after the last call if that is earlier."""
    rows: tuple[CallReportRow, ...]
    """The rows, in order of time or name; calls without a name come last. Each call is in one row."""
    total: CallFigures
    """The figures of all calls. Its counts are the sums of those of the rows."""


async def make_call_report(
    store: Store,
    since: datetime,
    until: datetime,
    *,
    by: CallBy,
    zone: tzinfo,
    seats: SeatFilter,
    counter: CallCounter[str | None],
    prefixes: int | Collection[str],
) -> CallReport:
    """Return the figures of a span of a platform's call records.

    Raises:
        ValueError: A time is naive, the end is before the beginning, or `by` or a prefix is invalid.
    """
    begin, end = microseconds(since), microseconds(until)
    if end < begin:
        raise ValueError(f"the end, {until.isoformat()}, is before the beginning, {since.isoformat()}")
    if by not in CALL_BY:
        raise ValueError(f"by must be one of {', '.join(CALL_BY)}, not {by!r}")
    check_prefixes(prefixes)
    found = await call_span(store, begin, end, seats, CallDirection.IN)
    if found is None:
        return CallReport(by=by, zone=zone, since=since, until=since, rows=(), total=counter.total())
    # Records have whole seconds.
    first, last = max(since, found[0]), min(until, found[1] + timedelta(seconds=1))
    spans = _spans_of(first, last, by, zone)
    starts = [it.start for it in spans]
    async for call in read_calls(store, begin, end, seats, CallDirection.IN):
        group = _group(call, by, prefixes)
        if spans:
            group = spans[bisect_right(starts, call.record.started_at) - 1].label
        counter.add(group, call.record)
    groups, total = counter.groups(), counter.total()
    if by in {"hour", "day", "week"}:
        rows = _span_rows(spans, groups, CallFigures(within=total.within, wrap_up=total.wrap_up), zone)
    else:
        rows = _named_rows(groups, by, await _names(store) if by == "agent" else {})
    return CallReport(by=by, zone=zone, since=first, until=last, rows=tuple(rows), total=total)


def _spans_of(first: datetime, last: datetime, by: CallBy, zone: tzinfo) -> list[Bucket]:
    match by:
        case "hour" | "day" | "week" | "hour_of_day":
            return buckets(first, last, by, zone)
        case _:
            return []


async def _names(store: Store) -> dict[str, str | None]:
    """Return the last recorded name of each extension's agent, unless its seats have different names."""
    async with store.database.reading() as connection:
        await store.load_seats(connection)
    names: dict[str, set[str]] = {}
    for key, name in store.names.items():
        if name is not None:
            names.setdefault(key.extension, set()).add(name)
    return {extension: min(found) for extension, found in names.items() if len(found) == 1}


def _group(call: FollowedCall, by: CallBy, prefixes: int | Collection[str]) -> str | None:
    """Return the group of a call, in a report whose rows are not spans of time."""
    match by:
        case "queue":
            return call.queue
        case "prefix":
            return number_prefix(call.record.caller, prefixes)
        case _:
            return call.record.extension


def _span_rows(
    spans: Sequence[Bucket], groups: Mapping[str | None, CallFigures], none: CallFigures, zone: tzinfo
) -> list[CallReportRow]:
    return [
        CallReportRow(
            label=it.label,
            start=it.start.astimezone(zone),
            end=it.end.astimezone(zone),
            figures=groups.get(it.label, none),
        )
        for it in spans
    ]


def _named_rows(
    groups: Mapping[str | None, CallFigures], by: CallBy, names: Mapping[str, str | None]
) -> list[CallReportRow]:
    return [
        CallReportRow(
            label=NOT_KNOWN if group is None else group,
            queue=group if by == "queue" else None,
            extension=group if by == "agent" else None,
            name=names.get(group or ""),
            figures=figures,
        )
        for group, figures in sorted(groups.items(), key=lambda it: (it[0] is None, it[0] or ""))
    ]
