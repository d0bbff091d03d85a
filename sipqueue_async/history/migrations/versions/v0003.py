"""Indexes for the views in PostgreSQL, by which other tools read a span of time without the whole history."""

from __future__ import annotations

import re

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the indexes, and the view of intervals anew: it looks up the end of each interval that is asked for."""
    # In SQLite the views' times are text, which no index has.
    if op.get_bind().dialect.name == "postgresql":
        for statement in _STATEMENTS:
            # As the views have it: an index serves only the same expression.
            op.execute(re.sub(r"TIME\(((?:[^()]|\([^()]*\))*)\)", r"to_timestamp((\1) / 1000000.0)", statement))


_STATEMENTS = (
    "CREATE INDEX hourly_time ON hourly (platform_id, (TIME(CAST(hour AS BIGINT) * 3600000000)))",
    "CREATE INDEX gap_time ON gap (platform_id, (TIME(began_at)))",
    # Events are appended in the order of time, so a few bytes for each range of pages are enough.
    "CREATE INDEX event_time ON event USING brin ((TIME(at))) WITH (autosummarize = on, pages_per_range = 32)",
    # Of the rows that begin or end a state.
    "CREATE INDEX event_state ON event (platform_id, seat_id, (TIME(at)), n) WHERE begins_state = 1 OR kind = 2",
    """
CREATE OR REPLACE VIEW v_intervals AS
SELECT p.name AS platform, s.queue, s.extension, s.name AS agent,
    CASE x.state WHEN 1 THEN 'idle' WHEN 2 THEN 'waiting' WHEN 3 THEN 'receiving' WHEN 4 THEN 'talking'
        WHEN 5 THEN 'paused' WHEN 6 THEN 'offline' WHEN 7 THEN 'unknown' END AS state,
    TIME(x.at) AS began_at, TIME(y.until) AS ended_at, (y.until - x.at) / 1000000.0 AS seconds
FROM event x JOIN seat s ON s.platform_id = x.platform_id AND s.id = x.seat_id
    JOIN platform p ON p.id = x.platform_id
    LEFT JOIN LATERAL (
        SELECT z.at AS until FROM event z
        WHERE z.platform_id = x.platform_id AND z.seat_id = x.seat_id AND (z.begins_state = 1 OR z.kind = 2)
            AND TIME(z.at) >= TIME(x.at) AND (z.at, z.n) > (x.at, x.n)
        ORDER BY TIME(z.at), z.n LIMIT 1
    ) y ON TRUE
WHERE (x.begins_state = 1 OR x.kind = 2) AND x.state <> 0 AND (y.until IS NULL OR y.until > x.at)
""",
)
