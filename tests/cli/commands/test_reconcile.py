"""``sipqueue reconcile``: a history of a simulated platform against its call records."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from sipqueue_async import AppCredentials, SipQueueClient, Snapshot, StatusWatcher
from sipqueue_async.cli import app
from sipqueue_async.cli.commands.reconcile import compare
from sipqueue_async.cli.exits import FAILED, Failure
from sipqueue_async.cli.spans import Reading, Seats
from sipqueue_async.history import History, Recorder
from sipqueue_async.simulator import PastCall, Plan, Simulator
from tests.kit.cli import Paper
from tests.kit.waiting import until

ZONE = ZoneInfo("Asia/Shanghai")
PLAN = attrs.evolve(Plan.lively(), external_calls_per_hour=10.0)


async def compared(
    path: Path, simulator: Simulator, paper: Paper, *, as_json: bool = False, early: bool = False
) -> None:
    """Record half an hour, let the calls end, and compare."""
    history = History(f"sqlite:///{path}/day.db")

    def client() -> SipQueueClient:
        credentials = AppCredentials(simulator.appid, simulator.accesskey)
        return SipQueueClient(simulator.url, credentials, timezone=ZONE, timeout=60)

    def now() -> Any:
        return simulator.centre.local_time.replace(tzinfo=ZONE).astimezone(UTC)

    since = now()
    async with client() as polled:

        async def poll() -> Snapshot:
            simulator.advance(10)
            shown = await polled.fetch_snapshot()
            return shown.with_changes({}, observed_at=now(), server_time=shown.server_time, problems=shown.problems)

        async with history:
            watcher = StatusWatcher(poll, interval=3600)
            async with Recorder(history, watcher) as recorder, watcher:
                await watcher.ready()
                await until(lambda: recorder.health.recorded_until)
                begin = now() + timedelta(seconds=1)
                for _ in range(180):
                    await watcher.refresh()
                end = now()
                for _ in range(90):
                    await watcher.refresh()
    part = Reading(
        history=History(f"sqlite:///{path}/day.db"),
        since=since - timedelta(days=1) if early else begin,
        until=end,
        zone=ZONE,
        seats=Seats(queue=None, extension=None),
    )
    await compare(part, client(), paper.output(), ZONE, as_json=as_json)


@pytest.mark.one_python
async def test_events_and_records_agree(tmp_path: Path) -> None:
    async with Simulator(PLAN, seed=3, speed=0) as simulator:
        simulator.advance(60)
        paper = Paper()
        await compared(tmp_path, simulator, paper)
    words = paper.lines[-1].split()
    assert int(words[0]) == int(words[6]) > 20
    assert paper.lines[-1].endswith("in the call records")


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_call_without_a_record_is_a_difference(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper = Paper()
    async with Simulator(PLAN, seed=3, speed=0) as simulator:
        simulator.advance(60)
        records = simulator.platform._bills.result

        def without_one(calls: Any, fields: Any) -> Any:
            found: list[PastCall] = [it for it in calls if it.queue and it.answered_at]
            return records([it for it in calls if it is not found[len(found) // 3]], fields)

        monkeypatch.setattr(simulator.platform._bills, "result", without_one)
        with pytest.raises(Failure, match="they differ in 1 hour of an extension") as failure:
            await compared(tmp_path, simulator, paper, as_json=as_json)
    assert failure.value.code == FAILED
    if as_json:
        found = json.loads(paper.text)
        assert [it["events"] - it["records"] for it in found["differences"]] == [1]
        assert found["events"] == found["records"] + 1
    else:
        assert paper.lines[0].split() == ["hour", "extension", "events", "records"]
        assert len(paper.lines) == 4


async def test_a_history_that_begins_later_is_refused(tmp_path: Path) -> None:
    async with Simulator(PLAN, seed=3, speed=0) as simulator:
        with pytest.raises(Failure, match=r"the history begins after .*: choose a later --since"):
            await compared(tmp_path, simulator, Paper(), early=True)


def test_the_servers_zone_is_needed(
    work: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIPQUEUE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "good-token")
    line = ["reconcile", "--db", "sqlite:///day.db", "--since", "yesterday", "--json"]
    assert app.run(line) == 2
    assert "the server's time zone is needed: use --timezone" in capsys.readouterr().err
    assert app.run([*line, "--timezone", "Asia/Shanghai"]) == 0
    assert (work[0].func, work[0].keywords) == (compare, {"as_json": True})
    assert work[0].args[3] == ZONE
