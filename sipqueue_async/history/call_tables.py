"""The tables of call records, the same in SQLite and PostgreSQL. Times are as in `schema`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from sipqueue_async.history.schema import metadata

call_record: Final = Table(
    "call_record",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("id", String, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("queue", String),
    Column("extension", String),
    Column("uuid", String),
    Column("direction", String, nullable=False),
    Column("direction_code", String),
    Column("method", String, nullable=False),
    Column("method_code", BigInteger),
    Column("waiting_seconds", BigInteger),
    Column("talk_seconds", BigInteger),
    Column("hang_up_side_code", BigInteger),
    Column("hang_up_cause_code", BigInteger),
    Column("task_id", String),
    Column("task_round", BigInteger),
    Column("company_code", String),
    Column("caller", String),
    Column("callee", String),
    Column("personal", String),
    Index("call_record_started", "platform_id", "started_at", "id"),
    sqlite_with_rowid=False,
)
"""The records of finished calls, each once by its `id`. The last three columns hold personal data, or nothing."""

call_cursor: Final = Table(
    "call_cursor",
    metadata,
    Column("platform_id", Integer, primary_key=True, autoincrement=False),
    Column("cursor", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""How far the records of a platform were followed: compressed JSON. It is written together with the records."""
