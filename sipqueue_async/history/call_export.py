"""The exported tables of call records: their columns and rows."""

from __future__ import annotations

from typing import Final

from sipqueue_async.history.call_report import CallReportRow
from sipqueue_async.history.writers import Column, Table, Value
from sipqueue_async.records import CallFigures, FollowedCall

CALL_RECORDS: Final = Table(
    "call_records",
    (
        Column("started_at", "time"),
        Column("answered_at", "time"),
        Column("ended_at", "time"),
        Column("queue"),
        Column("extension"),
        Column("direction"),
        Column("method"),
        Column("waiting_seconds", "count"),
        Column("talk_seconds", "count"),
        Column("hang_up_side"),
        Column("hang_up_cause"),
        Column("id"),
        Column("uuid"),
        Column("caller"),
        Column("callee"),
    ),
)
"""Call records. `caller` and `callee` are empty unless numbers are asked for and stored."""

CALL_REPORT: Final = Table(
    "call_report",
    (
        Column("label"),
        Column("start", "time"),
        Column("end", "time"),
        Column("queue"),
        Column("extension"),
        Column("name"),
        Column("offered", "count"),
        Column("answered", "count"),
        Column("abandoned", "count"),
        Column("answered_within", "count"),
        Column("abandonment", "share"),
        Column("service_level", "share"),
        Column("average_speed_of_answer", "seconds"),
        Column("average_talk", "seconds"),
        Column("average_handle", "seconds"),
    ),
)
"""The rows of a report of calls."""


def call_record_row(call: FollowedCall, *, numbers: bool) -> tuple[Value, ...]:
    """Return a row of `CALL_RECORDS`."""
    record = call.record
    return (
        *(record.started_at, record.answered_at, record.ended_at),
        *(call.queue, record.extension, record.direction.value, record.method.value),
        *(record.waiting_seconds, record.talk_seconds),
        *(None if record.hang_up_side is None else record.hang_up_side.value, record.hang_up_cause),
        *(record.id, record.uuid),
        *((record.caller, record.callee) if numbers else (None, None)),
    )


def call_report_row(row: CallReportRow) -> tuple[Value, ...]:
    """Return a row of `CALL_REPORT`."""
    return row.label, row.start, row.end, row.queue, row.extension, row.name, *_values(row.figures)


def _values(it: CallFigures) -> tuple[Value, ...]:
    shares = it.abandonment, it.service_level
    means = it.average_speed_of_answer, it.average_talk, it.average_handle
    return it.offered, it.answered, it.abandoned, it.answered_within, *shares, *means
