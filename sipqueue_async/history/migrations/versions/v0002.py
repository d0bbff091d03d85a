"""Call records, and how far they were followed."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables and the view."""
    op.create_table(
        "call_record",
        _platform(),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("answered_at", "ended_at")),
        *(sa.Column(name, sa.String) for name in ("queue", "extension", "uuid")),
        sa.Column("direction", sa.String, nullable=False),
        sa.Column("direction_code", sa.String),
        sa.Column("method", sa.String, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("method_code", "waiting_seconds", "talk_seconds")),
        *(sa.Column(name, sa.BigInteger) for name in ("hang_up_side_code", "hang_up_cause_code")),
        sa.Column("task_id", sa.String),
        sa.Column("task_round", sa.BigInteger),
        *(sa.Column(name, sa.String) for name in ("company_code", "caller", "callee", "personal")),
        sqlite_with_rowid=False,
    )
    op.create_index("call_record_started", "call_record", ["platform_id", "started_at", "id"])
    op.create_table(
        "call_cursor", _platform(), sa.Column("cursor", sa.LargeBinary, nullable=False), sqlite_with_rowid=False
    )
    times = _TIMES[op.get_bind().dialect.name]
    op.execute(sa.text(re.sub(r"TIME\((.*?)\)", times, _VIEW).replace(":", "\\:")))


def _platform() -> sa.Column[Any]:
    return sa.Column("platform_id", sa.Integer, primary_key=True, autoincrement=False)


_VIEW = """
CREATE VIEW v_call_records AS
SELECT p.name AS platform, x.queue, x.extension, x.id, x.uuid AS call, x.direction, x.method,
    TIME(x.started_at) AS started_at, TIME(x.answered_at) AS answered_at, TIME(x.ended_at) AS ended_at,
    x.waiting_seconds, x.talk_seconds, x.hang_up_side_code, x.hang_up_cause_code, x.caller, x.callee
FROM call_record x JOIN platform p ON p.id = x.platform_id
"""
_TIMES = {
    "sqlite": r"strftime('%Y-%m-%d %H:%M:%f', (\1) / 1000000.0, 'unixepoch')",
    "postgresql": r"to_timestamp((\1) / 1000000.0)",
}
"""Readable times: text of UTC in SQLite, `timestamptz` in PostgreSQL."""
