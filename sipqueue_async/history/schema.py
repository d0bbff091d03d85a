"""The tables of a history, the same in SQLite and PostgreSQL.

Times are whole microseconds since the epoch (UTC). A change of this module needs a migration: a test compares the two.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, SmallInteger, String, Table, UniqueConstraint

from sipqueue_async import AgentState

STATES: Final = (
    AgentState.IDLE,
    AgentState.WAITING,
    AgentState.RECEIVING,
    AgentState.TALKING,
    AgentState.PAUSED,
    AgentState.OFFLINE,
    AgentState.UNKNOWN,
)
"""The states in the order of their numbers in the tables, which begin with 1. 0 stands for a seat that has left."""

STATE_NUMBERS: Final = {state: number for number, state in enumerate(STATES, 1)}

metadata: Final = MetaData()

platform: Final = Table(
    "platform",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
)
"""The platforms that share the database."""

seat: Final = Table(
    "seat",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("queue", String, nullable=False),
    Column("extension", String, nullable=False),
    Column("name", String),
    UniqueConstraint("platform_id", "queue", "extension", name="seat_key"),
)
"""The seats, each with its agent's last name. Each platform numbers its seats from 1."""

event: Final = Table(
    "event",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("seat_id", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("hidden_count", Integer, nullable=False),
    Column("begins_state", SmallInteger, nullable=False),
    Column("sequence", Integer),
    Column("server_lag", BigInteger),
    Column("extra", LargeBinary),
    Column("record", LargeBinary),
    sqlite_with_rowid=False,
)
"""The events. All of one update have the same `at`; `n` numbers them. It is only appended to, so the primary key is
the only index that it needs."""

checkpoint: Final = Table(
    "checkpoint",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("snapshot", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""Snapshots with the effect of all events up to and including `at`: compressed JSON."""

gap: Final = Table(
    "gap",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("began_at", BigInteger, primary_key=True, autoincrement=False),
    Column("ended_at", BigInteger),
    Column("reason", String, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("error", String),
    sqlite_with_rowid=False,
)
"""Times in which the status was unknown. They do not overlap, and only the last one may have no end."""

watched: Final = Table(
    "watched",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("began_at", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""One row for each run of a recorder: from when, and up to when the recorded status is known to have held."""


def _figures() -> list[Column[Any]]:
    counts = [Column(name, Integer, nullable=False) for name in ("answered", "hidden", "missed")]
    times = [Column(name, BigInteger, nullable=False) for name in ("unseen", *STATES)]
    moments = [Column(name, BigInteger) for name in ("first_signed_in", "last_signed_in")]
    talks = [Column(name, BigInteger, nullable=False) for name in ("longest_talk", "talk_under_way")]
    return [*counts, *times, *moments, *talks]


hourly: Final = Table(
    "hourly",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("seat_id", Integer, primary_key=True, autoincrement=False),
    *_figures(),
    sqlite_with_rowid=False,
)
"""The figures of each hour (UTC; hours since the epoch) and seat."""

hourly_total: Final = Table(
    "hourly_total",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    *_figures(),
    sqlite_with_rowid=False,
)
"""The sums of `hourly` over all seats, so that a report of a year reads thousands of rows and not millions."""

daily: Final = Table(
    "daily",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("day", String(10), primary_key=True),
    Column("zone", String, primary_key=True),
    Column("seat_id", Integer, primary_key=True, autoincrement=False),
    *_figures(),
    sqlite_with_rowid=False,
)
"""The figures of each day, such as ``2026-01-05`` in a time zone, whose events were removed."""

FIGURES: Final = tuple(column.name for column in _figures())
"""The columns of `hourly` and `daily` after their key."""
