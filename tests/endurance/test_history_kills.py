"""Recorders that are killed at random moments, databases that restart, and a disk that is full.

`HISTORY_KILLS` sets the number of kills: 50 for the full size, fewer in the gate.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from sipqueue_async import CallAnswered, CallMissed, FeedDown, FeedUp, Snapshot, Update
from sipqueue_async.history import History, Recorder
from sipqueue_async.history.history import store_of
from sipqueue_async.records import CallFigures
from sipqueue_async.simulator import Plan, Simulator
from tests.kit.cli import environment, sipqueue
from tests.kit.history_process import INTERVAL, PLAN, PROGRAM, SEED, Truth
from tests.kit.postgres_server import PostgresServer
from tests.kit.preloaded import Preloaded
from tests.kit.recording import BEGINNING, END
from tests.kit.simulated_updates import MORNING, GivenFeed, Polled
from tests.kit.waiting import until

KILLS: Final = int(os.environ.get("HISTORY_KILLS", "3"))
ROOT: Final = Path(__file__).parents[2]

pytestmark = [pytest.mark.timeout(120 + 30 * KILLS), pytest.mark.one_python]


async def until_recorded(history: History, moment: datetime) -> None:
    """Wait until something after a moment is recorded."""
    async with asyncio.timeout(60):
        while (known := await store_of(history).recorded_until()) is None or known <= moment:
            await asyncio.sleep(0.02)


async def check(history: History) -> None:
    """Check that the record is one chain of updates with the true status, without a lost or invented call."""
    truth, known, calls, is_down = Truth(), None, [0, 0], False
    first: Snapshot | None = None
    async for update in history.updates(BEGINNING, END):
        now = update.snapshot
        assert now is not None
        assert known is None or update.previous == known
        first, known = first or update.previous, now
        for event in update.events:
            if isinstance(event, FeedDown | FeedUp):
                assert is_down != isinstance(event, FeedDown)
                is_down = not is_down
            elif isinstance(event, CallAnswered | CallMissed):
                calls[isinstance(event, CallMissed)] += event.count
        if not isinstance(update.events[0], FeedDown):
            assert now == truth.at(now.observed_at)
    assert first is not None
    assert known is not None
    assert calls == [
        sum(agent.calls_answered for agent in known.values()) - sum(it.calls_answered for it in first.values()),
        sum(agent.no_answer_count for agent in known.values()) - sum(it.no_answer_count for it in first.values()),
    ]
    assert calls[0] > 0


async def test_recorders_are_killed(history_url: str, tmp_path: Path) -> None:
    """Whenever a recorder is killed, the record is a prefix of what happened, and the next one continues it."""
    chance, start = random.Random(5), 0.0
    with Preloaded("sipqueue_async.history", "sipqueue_async.simulator", "alembic.command", options=()) as python:
        async with History(history_url) as history:
            for number in range(KILLS):
                code = PROGRAM.format(root=str(ROOT), url=history_url, start=start, chance=number)
                program = await python.start(code, tmp_path, {})
                await until_recorded(history, MORNING + timedelta(seconds=start))
                await asyncio.sleep(chance.uniform(0, 0.4))
                program.send_signal(signal.SIGKILL)
                assert await program.wait() == -signal.SIGKILL
                recorded = await store_of(history).recorded_until()
                assert recorded is not None
                # The platform went on: what was polled and not recorded may not come again.
                start = (recorded - MORNING).total_seconds() + chance.choice([0, INTERVAL, 3600.0])
            await check(history)
            stops = [gap async for gap in history.outages(BEGINNING, END) if gap.reason == "stopped"]
            assert len(stops) <= KILLS - 1


CALLS: Final = "App.Sip_Cdr.GetBill"
BUSY: Final = Plan(agents=60, calls_per_hour=1500, talk_median=20, patience=15, external_calls_per_hour=10)


async def test_recorders_of_calls_are_killed(history_url: str) -> None:
    """Through kills and faults of pages, ``sipqueue record --calls`` writes each call once, and figures are true."""
    chance, command = random.Random(9), ("record", "--calls", "--calls-since", "2026-01-05", "--interval", "0.2")
    async with Simulator(BUSY, seed=4, speed=0) as simulator, History(history_url) as history:
        simulator.advance(900)
        env = environment(simulator, SIPQUEUE_TIMEZONE=str(ZONE), SIPQUEUE_DB=history_url)
        for number in range(KILLS + 1):
            simulator.faults.clear()
            # A feed waits longer after each fault, and the last run gets everything.
            for _ in range(3 if number < KILLS else 1):
                simulator.faults.next(delay=0.01, times=chance.randrange(1, 4), service=CALLS)
                simulator.faults.next(**chance.choice(FAULTS), service=CALLS)
            async with sipqueue(*command, "--numbers", "full", env=env) as program:
                await program.line_with("recording to")
                if number < KILLS:
                    await asyncio.sleep(chance.uniform(0, 1))
                    simulator.advance(60)
                else:
                    await until_all(history, len(simulator.centre.past_calls()))
                program.send(signal.SIGKILL)
                assert await program.code() == -signal.SIGKILL
        truth = {str(call.id): call for call in simulator.centre.past_calls()}
        found = [call async for call in history.call_records(BEGINNING, END)]
        assert sorted(call.record.id for call in found) == sorted(truth)
        for call in found:
            record, true = call.record, truth[call.record.id]
            assert record.started_at == true.started_at.replace(tzinfo=ZONE)
            assert record.is_answered == (true.answered_at is not None)
            assert (record.extension, record.talk_seconds) == (true.extension, true.talk_seconds)
            assert call.queue in {None, true.queue}
            assert true.number in {record.caller, record.callee}
        came_in = [call for call in truth.values() if not call.outgoing]
        report = await history.call_report(BEGINNING, END, by="hour", zone=ZONE)
        assert report.total == CallFigures.of(call.record for call in found)
        assert (report.total.offered, report.total.answered) == (
            len(came_in),
            sum(call.answered_at is not None for call in came_in),
        )


ZONE: Final = ZoneInfo("Asia/Shanghai")
FAULTS: Final[list[Any]] = [{"truncated": True}, {"reset": True}, {"status": 502}, {"ret": 500}, {"body": b"<html>"}]


async def until_all(history: History, calls: int) -> None:
    """Wait until so many calls are recorded."""
    async with asyncio.timeout(120):
        while len([call async for call in history.call_records(BEGINNING, END)]) < calls:
            await asyncio.sleep(0.1)


class Office:
    """A simulated call centre that a recorder of this process watches."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._polled = Polled(PLAN, SEED)
        self._polls = self._polled.updates(10**9, INTERVAL)
        self.told: list[Update] = []
        self._feed = GivenFeed()
        self._feed.give(self._polled.poll())
        self.recorder = Recorder(history, self._feed, max_pending=10, close_timeout=60)

    async def go_on(self, polls: int) -> None:
        """Poll, and let the recorder run."""
        for _ in range(polls):
            snapshot, update = next(self._polls)
            self._feed.give(snapshot, update)
            await asyncio.sleep(0)

    async def written(self) -> None:
        """Wait until everything is recorded."""
        await until(lambda: self.recorder.health.up and not self.recorder.pending, patience=120)

    async def failed(self) -> None:
        """Go on until a write fails."""
        async with asyncio.timeout(120):
            while not self.recorder.health.failures_in_a_row:
                await self.go_on(1)
                await asyncio.sleep(0.001)

    async def __aenter__(self) -> Office:
        await self.recorder.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.recorder.__aexit__(None, None, None)


async def test_the_database_restarts(postgres_server: PostgresServer) -> None:
    """Killed or shut down, it has a prefix, and gets the difference once it is back."""
    async with History(postgres_server.database()) as history:
        async with Office(history) as office:
            await office.go_on(50)
            await office.written()
            for number in range(max(2, KILLS // 5)):
                if number % 2:
                    postgres_server.kill()
                else:
                    postgres_server.stop()
                await office.failed()
                await office.go_on(30)
                postgres_server.start()
                await office.written()
            assert office.recorder.health.coalesced
        await check(history)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of a few hundred kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:  # pragma: no cover
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_damages_nothing(small_disk: Path) -> None:
    """Writing is retried until there is space again, and the difference is recorded."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes(300_000))
    async with History(f"sqlite:///{small_disk}/day.db") as history:
        async with Office(history) as office:
            await office.failed()
            assert "full" in str(office.recorder.health.last_error)
            await office.go_on(50)
            filler.unlink()
            await office.written()
        await check(history)
        async with store_of(history).database.reading() as connection:
            assert (await connection.exec_driver_sql("PRAGMA integrity_check")).scalar() == "ok"
