"""The tables that are exported: their columns and rows."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sipqueue_async import (
    AgentChanged,
    AgentLeft,
    AgentState,
    CallAnswered,
    CallMissed,
    Event,
    FeedDown,
    FeedUp,
    StateChanged,
)
from sipqueue_async.history.figures import Figures
from sipqueue_async.history.intervals import Call, StateInterval
from sipqueue_async.history.report import ReportRow
from sipqueue_async.history.writers import Column, Table, Value

_SEAT: Final = (Column("queue"), Column("extension"), Column("name"))

EVENTS: Final = Table(
    "events",
    (
        Column("observed_at", "time"),
        Column("event"),
        *_SEAT,
        Column("before"),
        Column("after"),
        Column("count", "count"),
        Column("hidden_count", "count"),
        Column("server_time"),
        Column("detail"),
    ),
)
"""Events. `server_time` is the time of the call or the change by the server's clock, as the platform sent it."""

CALLS: Final = Table(
    "calls",
    (
        Column("observed_at", "time"),
        *_SEAT,
        Column("outcome"),
        Column("count", "count"),
        Column("hidden_count", "count"),
        Column("server_time"),
    ),
)
"""Answered and missed calls."""

INTERVALS: Final = Table(
    "intervals",
    (
        *_SEAT,
        Column("state"),
        Column("began_at", "time"),
        Column("ended_at", "time"),
        Column("seconds", "seconds"),
        Column("unseen_seconds", "seconds"),
        Column("approximate", "flag"),
    ),
)
"""Times that a seat spent in one state."""

REPORT: Final = Table(
    "report",
    (
        Column("label"),
        Column("start", "time"),
        Column("end", "time"),
        *_SEAT,
        Column("calls_answered", "count"),
        Column("calls_missed", "count"),
        Column("calls_hidden", "count"),
        Column("answer_rate", "share"),
        *(Column(f"{state.value}_seconds", "seconds") for state in AgentState),
        Column("unseen_seconds", "seconds"),
        Column("signed_in_seconds", "seconds"),
        Column("occupancy", "share"),
        Column("mean_talk_seconds", "seconds"),
        Column("longest_talk_seconds", "seconds"),
        Column("first_signed_in_at", "time"),
        Column("last_signed_in_at", "time"),
    ),
)
"""A report's rows; the total is the sum of them and no row."""


def event_row(event: Event) -> tuple[Value, ...]:
    """Return an event's row of `EVENTS`."""
    if isinstance(event, FeedDown | FeedUp):
        detail = str(event.error) if isinstance(event, FeedDown) else f"after {event.outage.total_seconds():.3f} s"
        return event.observed_at, event.kind, None, None, None, None, None, None, None, None, detail
    before, after = event.previous, event.agent
    count = event.count if isinstance(event, CallAnswered | CallMissed) else None
    hidden = event.hidden_count if isinstance(event, CallAnswered) else None
    latest = event.previous if isinstance(event, AgentLeft) else event.agent
    return (
        event.observed_at,
        event.kind,
        *(event.queue, event.extension, latest.name),
        None if before is None else before.state.value,
        None if after is None else after.state.value,
        count,
        hidden,
        _isoformat(_server_time(event)),
        ", ".join(sorted(event.fields)) if isinstance(event, AgentChanged) else None,
    )


def _server_time(event: Event) -> datetime | None:
    match event:
        case CallAnswered():
            return event.answered_at
        case CallMissed():
            return event.offered_at
        case StateChanged():
            return event.occurred_at
        case _:
            return None


def _isoformat(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def call_row(call: Call) -> tuple[Value, ...]:
    """Return a row of `CALLS`."""
    key, counts = call.key, (call.count, call.hidden_count)
    return call.at, key.queue, key.extension, call.name, call.outcome, *counts, _isoformat(call.call_time)


def interval_row(it: StateInterval) -> tuple[Value, ...]:
    """Return a row of `INTERVALS`."""
    names = (it.key.queue, it.key.extension, it.name)
    return *names, it.state.value, it.began_at, it.ended_at, it.seconds, it.unseen.total_seconds(), it.approximate


def report_row(row: ReportRow) -> tuple[Value, ...]:
    """Return a report's row as one of `REPORT`."""
    return row.label, row.start, row.end, row.queue, row.extension, row.name, *figure_values(row.figures)


def figure_values(figures: Figures) -> tuple[Value, ...]:
    """Return figures in the order of the columns of `REPORT`."""
    return (
        figures.answered,
        figures.missed,
        figures.hidden,
        figures.answer_rate,
        *figures.seconds.values(),
        figures.unseen_seconds,
        figures.signed_in_seconds,
        figures.occupancy,
        figures.mean_talk_seconds,
        figures.longest_talk_seconds,
        figures.first_signed_in_at,
        figures.last_signed_in_at,
    )
