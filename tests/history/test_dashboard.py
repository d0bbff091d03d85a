"""The Grafana dashboard of a history: its queries run on a real PostgreSQL."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from sipqueue_async import AgentState, Snapshot, TransportError
from sipqueue_async.history import History
from sipqueue_async.history.history import store_of
from tests.kit.builders import START, agent, snapshot
from tests.kit.postgres_server import PostgresServer
from tests.kit.recording import record

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "grafana" / "history.json").read_text("utf-8")
)
VARIABLES: dict[str, str] = {it["name"]: it["query"] for it in DASHBOARD["templating"]["list"]}
QUERIES: dict[str, str] = {panel["title"]: panel["targets"][0]["rawSql"] for panel in DASHBOARD["panels"]}


def as_grafana_sends(sql: str) -> str:
    """Replace the macros and variables as Grafana does."""
    since, until = (f"'{START + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}'" for hours in (-1, 4))
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {since} AND {until}", sql)
    sql = sql.replace("${platform:sqlstring}", "'main'").replace("${queue:sqlstring}", "'queue-1','it''s'")
    assert "$" not in sql
    return sql


@pytest.fixture
async def rows(postgres_server: PostgresServer) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each panel and variable, from a history of two hours."""
    url = postgres_server.database()
    one, two = agent("1", calls_answered=2, no_answer_count=1), agent("2")
    answers: list[Snapshot | BaseException] = [
        snapshot(agent("1"), agent("2", AgentState.TALKING), at=0),
        snapshot(one, two, at=900),
        TransportError("away"),
        snapshot(attrs.evolve(one, state=AgentState.PAUSED, state_code=1217), two, at=8000),
    ]
    await record(url, answers)
    async with History(url) as history, store_of(history).database.reading() as connection:
        return {
            name: [tuple(row) for row in (await connection.exec_driver_sql(as_grafana_sends(sql))).fetchall()]
            for name, sql in {**VARIABLES, **QUERIES}.items()
            if name != "datasource"
        }


async def test_the_panels_show_the_recorded_day(rows: dict[str, list[tuple[Any, ...]]]) -> None:
    assert rows["platform"] == [("main",)]
    assert rows["queue"] == [("queue-1",)]
    assert rows["Answered calls"] == [(2,)]
    assert rows["Missed offers"] == [(1,)]
    assert float(rows["Answer rate"][0][0]) == pytest.approx(2 / 3)
    assert 0 < rows["Occupancy"][0][0] < 1
    assert sum(row[1] for row in rows["Calls by the hour"]) == 2
    assert len(rows["Occupancy by the hour"]) == len(rows["Calls by the hour"])
    assert {row[2] for row in rows["States of the agents"]} == {"waiting", "talking", "paused"}
    assert [row[1] for row in rows["Agents"]] == ["1", "2"]
    assert [(row[2], row[3]) for row in rows["Time without data"]] == [("outage", 7100)]


async def test_each_query_of_the_dashboard_uses_an_index(postgres_server: PostgresServer) -> None:
    """The index limits the span of time too: a dashboard of one day does not read a history of years."""
    url = postgres_server.database()
    await record(url, [snapshot(agent(), at=0), snapshot(agent(calls_answered=1), at=4000)])
    async with History(url) as history, store_of(history).database.reading() as connection:
        # PostgreSQL would scan tables of a few rows.
        await connection.exec_driver_sql("SET enable_seqscan = off")
        for name, sql in {**QUERIES, "calls": "SELECT * FROM v_calls WHERE $__timeFilter(at)"}.items():
            asked = await connection.exec_driver_sql(f"EXPLAIN {as_grafana_sends(sql)}")
            plan = "\n".join(row[0] for row in asked.fetchall())
            assert "Seq Scan" not in plan, f"{name}: {plan}"
            assert re.search(r"(Index|Recheck) Cond: .*to_timestamp\(.*00'::timestamp", plan), f"{name}: {plan}"
