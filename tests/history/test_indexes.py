"""Each query that reads a history uses an index."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from sipqueue_async.history import History
from sipqueue_async.history.history import store_of
from tests.kit.builders import START, agent, snapshot
from tests.kit.recording import record


async def test_no_query_scans_a_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/day.db"
    await record(url, [snapshot(agent(), at=0), snapshot(agent(calls_answered=1), at=4000)])
    asked: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    async with History(url) as history:
        database = store_of(history).database
        engine = database._open_engine().sync_engine
        event.listen(engine, "before_cursor_execute", note)
        since, until = START, START + timedelta(hours=2)
        assert len([it async for it in history.events(since, until, queue="queue-1")]) == 1
        assert len([it async for it in history.intervals(since, until)]) == 1
        assert [it async for it in history.outages(since, until)] == []
        assert await history.baseline() is not None
        await history.report(since, until, by="hour")
        await history.report(since, until, by="agent", queue="queue-1")
        assert [it async for it in history.call_records(since, until, queue="queue-1")] == []
        for by in ("hour", "agent"):
            assert (await history.call_report(since, until, by=by, extension="100001")).rows == ()
        assert await history.call_cursor() is None
        event.remove(engine, "before_cursor_execute", note)
        assert len(asked) > 10
        async with database.reading() as connection:
            for statement, parameters in asked:
                plan: list[Any] = list(
                    (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).fetchall()
                )
                assert [step[3] for step in plan if step[3].startswith("SCAN")] == [], statement
