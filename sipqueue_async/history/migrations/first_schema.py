"""The first schema: platforms, seats, events, checkpoints, gaps, runs, and figures by hour and by day."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    """Create the tables and the views."""
    op.create_table(
        "platform",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
    )
    op.create_table(
        "seat",
        *_key(None, id=sa.Integer),
        sa.Column("queue", sa.String, nullable=False),
        sa.Column("extension", sa.String, nullable=False),
        sa.Column("name", sa.String),
        sa.UniqueConstraint("platform_id", "queue", "extension", name="seat_key"),
    )
    op.create_table(
        "event",
        *_key(n=sa.Integer),
        sa.Column("seat_id", sa.Integer, nullable=False),
        *(sa.Column(name, sa.SmallInteger, nullable=False) for name in ("kind", "state")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("count", "hidden_count")),
        sa.Column("begins_state", sa.SmallInteger, nullable=False),
        sa.Column("sequence", sa.Integer),
        sa.Column("server_lag", sa.BigInteger),
        sa.Column("extra", sa.LargeBinary),
        sa.Column("record", sa.LargeBinary),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoint", *_key(), sa.Column("snapshot", sa.LargeBinary, nullable=False), sqlite_with_rowid=False
    )
    op.create_table(
        "gap",
        *_key("began_at"),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("error", sa.String),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "watched", *_key("began_at"), sa.Column("until", sa.BigInteger, nullable=False), sqlite_with_rowid=False
    )
    op.create_table("hourly", *_key(None, hour=sa.Integer, seat_id=sa.Integer), *_figures(), sqlite_with_rowid=False)
    op.create_table("hourly_total", *_key(None, hour=sa.Integer), *_figures(), sqlite_with_rowid=False)
    op.create_table(
        "daily",
        *_key(None, day=sa.String(10), zone=sa.String, seat_id=sa.Integer),
        *_figures(),
        sqlite_with_rowid=False,
    )
    for statement in _views(op.get_bind().dialect.name):
        op.execute(sa.text(statement.replace(":", "\\:")))


def _key(at: str | None = "at", **more: Any) -> list[sa.Column[Any]]:
    """Return the columns of a primary key."""
    columns: list[sa.Column[Any]] = [sa.Column("platform_id", sa.Integer, primary_key=True, autoincrement=False)]
    if at is not None:
        columns.append(sa.Column(at, sa.BigInteger, primary_key=True, autoincrement=False))
    return [*columns, *(sa.Column(name, kind, primary_key=True, autoincrement=False) for name, kind in more.items())]


_STATES = ("idle", "waiting", "receiving", "talking", "paused", "offline", "unknown")


def _figures() -> list[sa.Column[Any]]:
    return [
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("answered", "hidden", "missed")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("unseen", *_STATES)),
        *(sa.Column(name, sa.BigInteger) for name in ("first_signed_in", "last_signed_in")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("longest_talk", "talk_under_way")),
    ]


_VIEWS = """
CREATE VIEW v_seats AS
SELECT p.name AS platform, x.queue, x.extension, x.name AS agent
FROM seat x JOIN platform p ON p.id = x.platform_id;

CREATE VIEW v_calls AS
SELECT SEAT, TIME(x.at) AS at, CASE x.kind WHEN 4 THEN 'answered' ELSE 'missed' END AS outcome,
    x.count AS calls, x.hidden_count AS hidden
FROM event x JOINS
WHERE x.kind IN (4, 5);

CREATE VIEW v_intervals AS
SELECT SEAT, CASE x.state STATES END AS state, TIME(x.at) AS began_at, TIME(x.until) AS ended_at,
    (x.until - x.at) / 1000000.0 AS seconds
FROM (
    SELECT platform_id, seat_id, state, at,
        LEAD(at) OVER (PARTITION BY platform_id, seat_id ORDER BY at, n) AS until
    FROM event
    WHERE begins_state = 1 OR kind = 2
) x JOINS
WHERE x.state <> 0 AND (x.until IS NULL OR x.until > x.at);

CREATE VIEW v_hourly AS
SELECT SEAT, TIME(CAST(x.hour AS BIGINT) * 3600000000) AS hour, x.answered, x.hidden, x.missed, FIGURES,
    TIME(x.first_signed_in) AS first_signed_in, TIME(x.last_signed_in) AS last_signed_in
FROM hourly x JOINS;

CREATE VIEW v_outages AS
SELECT p.name AS platform, x.reason, TIME(x.began_at) AS began_at, TIME(x.ended_at) AS ended_at,
    (x.ended_at - x.began_at) / 1000000.0 AS seconds, x.failures, x.error
FROM gap x JOIN platform p ON p.id = x.platform_id;
"""
# A row of a seat that begins or ends a state lasts until the next one. The last of an update has the state after it.

_TIMES = {
    "sqlite": r"strftime('%Y-%m-%d %H:%M:%f', (\1) / 1000000.0, 'unixepoch')",
    "postgresql": r"to_timestamp((\1) / 1000000.0)",
}
"""Readable times: text of UTC in SQLite, `timestamptz` in PostgreSQL."""


def _views(dialect: str) -> list[str]:
    """Return the statements that create the views."""
    seconds = [f"x.{name} / 1000000.0 AS {name}_seconds" for name in ("unseen", *_STATES, "longest_talk")]
    replaced = {
        "SEAT": "p.name AS platform, s.queue, s.extension, s.name AS agent",
        "JOINS": "JOIN seat s ON s.platform_id = x.platform_id AND s.id = x.seat_id "
        "JOIN platform p ON p.id = x.platform_id",
        "STATES": " ".join(f"WHEN {number} THEN '{state}'" for number, state in enumerate(_STATES, 1)),
        "FIGURES": ", ".join(seconds),
    }
    sql = re.sub(r"TIME\(((?:[^()]|\([^()]*\))*)\)", _TIMES[dialect], _VIEWS)
    for word, text in replaced.items():
        sql = re.sub(rf"\b{word}\b", text, sql)
    return [statement for statement in sql.split(";\n") if statement.strip()]
