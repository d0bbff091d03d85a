"""Call records in a history: each once, with the figures of `CallFigures`, and numbers only on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from sipqueue_async import AuthError, CallDirection, CallMethod, CallRecord, TransportError
from sipqueue_async.history import CallRecorder, History, HistoryError, export
from sipqueue_async.history.call_store import CallWriter
from sipqueue_async.history.history import store_of
from sipqueue_async.records import CallCursor, CallFeed, CallFigures, FollowedCall, number_prefix
from tests.kit.builders import agent, snapshot
from tests.kit.recording import BEGINNING, END
from tests.kit.recording import record as record_status
from tests.kit.waiting import until

ZONE = ZoneInfo("Europe/Berlin")
NINE = datetime(2026, 1, 5, 9, tzinfo=ZONE)
CURSOR = CallCursor(since=NINE)
NUMBER = "02079460123"


def call(number: int, *, at: float = 0.0, answered: float | None = 4.0, **fields: Any) -> CallRecord:
    """Return the record of an incoming call that was dialled some seconds after nine."""
    began = NINE + timedelta(seconds=at)
    given: dict[str, Any] = {
        "id": str(number),
        "direction": CallDirection.IN,
        "direction_code": "callin",
        "method": CallMethod.GROUP,
        "extension": "100001",
        "started_at": began,
        "answered_at": None if answered is None else began + timedelta(seconds=answered),
        "waiting_seconds": 9 if answered is None else int(answered),
        "talk_seconds": None if answered is None else 30 + number,
        "caller": NUMBER,
        "callee": "4001",
    }
    return CallRecord(**given | fields)


FULL = call(
    1,
    uuid="u\0-\ud800",
    method=CallMethod.UNKNOWN,
    method_code=2**40,
    ended_at=NINE + timedelta(minutes=5),
    hang_up_side_code=10040,
    hang_up_cause_code=99999,
    recording_url="http://recordings.example/1.mp3",
    key_press="4815",
    task_id="3",
    task_round=1,
    company_code="1001",
    own_values={"userid": "crm-\0\N{GRINNING FACE}"},
)


class Source:
    """A platform with records; its faults come first."""

    def __init__(self, records: Iterable[CallRecord], *faults: Exception) -> None:
        self.records = [*records]
        self.faults = [*faults]

    async def fetch_calls(self, since: datetime, until: datetime) -> AsyncIterator[CallRecord]:
        """Yield the records, or raise an error."""
        if self.faults:
            raise self.faults.pop(0)
        for record in self.records:
            yield record


async def written(history: History, recorder: CallRecorder, records: int) -> None:
    """Wait until so many records are written."""
    await until(lambda: recorder.health.records >= records)


async def recorded(history: History, records: Sequence[CallRecord], numbers: Any = "none") -> None:
    """Record the records, from the cursor of the last run on."""
    feed = CallFeed(Source(records), await history.call_cursor() or CURSOR)
    async with CallRecorder(history, feed, numbers=numbers) as recorder:
        await written(history, recorder, len(records))


async def write(history: History, *calls: FollowedCall) -> None:
    """Write calls with their queues."""
    await CallWriter(store_of(history), "full").write(calls, CURSOR)


async def read(history: History, **filters: Any) -> list[FollowedCall]:
    """Return what is recorded."""
    return [it async for it in history.call_records(BEGINNING, END, **filters)]


# ---- records ---------------------------------------------------------------------------------------------------------


async def test_every_field_is_read_back(history_url: str) -> None:
    """So are texts that a database cannot store, and numbers beyond 32 bits."""
    async with History(history_url) as history:
        assert await history.call_cursor() is None
        await recorded(history, [FULL, call(2, at=60)], "full")
        found = await read(history)
        assert [it.record for it in found] == [FULL, call(2, at=60)]
        assert {it.record.started_at.tzinfo for it in found} == {UTC}
        cursor = await history.call_cursor()
        assert cursor is not None
        assert cursor.known.keys() == {"1", "2"}


async def test_a_record_is_written_once_whatever_the_cursor_says(history_url: str) -> None:
    """A later record with a known id changes nothing."""
    async with History(history_url) as history:
        await recorded(history, [call(1), call(2)])
        await CallWriter(store_of(history), "none").write([FollowedCall(call(2, at=60))], CURSOR)
        await recorded(history, [call(2, at=60), call(3)])
        found = await read(history)
        assert [it.record.id for it in found] == ["1", "2", "3"]
        assert found[1].record.started_at == NINE


@pytest.mark.parametrize(
    ("numbers", "caller", "callee"),
    [("none", None, None), ("prefix", "0207*", "*"), ("full", NUMBER, "4001")],
)
async def test_numbers_are_stored_only_on_request(
    numbers: str, caller: str | None, callee: str | None, tmp_path: Path
) -> None:
    """Nothing personal is anywhere in the file otherwise."""
    path = tmp_path / "day.db"
    async with History(f"sqlite:///{path}") as history:
        await recorded(history, [FULL, call(2, caller=None), call(3, caller="138****1234")], numbers)
        first, second, third = (it.record for it in await read(history))
        assert (first.caller, first.callee, second.caller) == (caller, callee, None)
        assert third.caller == {"none": None, "prefix": "138*", "full": "138****1234"}[numbers]
        assert (first.key_press, dict(first.own_values)) == (
            (FULL.key_press, dict(FULL.own_values)) if numbers == "full" else (None, {})
        )
    stored = b"".join(it.read_bytes() for it in tmp_path.iterdir())
    assert (NUMBER.encode() in stored) is (numbers == "full")
    assert (b"recordings.example" in stored) is (numbers == "full")


async def test_calls_are_chosen_by_queue_extension_direction_and_span(history_url: str) -> None:
    async with History(history_url) as history:
        out = call(3, at=20, direction=CallDirection.OUT, extension="100002")
        await write(history, FollowedCall(call(1), "sales"), FollowedCall(call(2, at=10)), FollowedCall(out))
        for filters, ids in (
            ({"queue": "sales"}, ["1"]),
            ({"extension": ["100001", "7"]}, ["1", "2"]),
            ({"direction": "out"}, ["3"]),
        ):
            assert [it.record.id for it in await read(history, **filters)] == ids
        ten = NINE + timedelta(seconds=10)
        span = [it async for it in history.call_records(ten, ten + timedelta(seconds=10))]
        assert [(it.record.id, it.queue) for it in span] == [("2", None)]


async def test_more_calls_than_a_page_or_a_transaction_holds(tmp_path: Path) -> None:
    """Thousands of them are of the same second."""
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        await recorded(history, [call(number, at=number // 4000) for number in range(10_001)])
        assert len({it.record.id for it in await read(history)}) == 10_001


# ---- the recorder ----------------------------------------------------------------------------------------------------


async def test_writing_is_retried_until_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The feed's own faults are retried too; no log line has a number."""
    failing, real = [HistoryError("no space"), HistoryError("no space")], CallWriter.write
    for error in failing:
        error.retryable = True

    async def write_later(self: CallWriter, calls: Any, cursor: Any) -> None:
        if failing:
            raise failing.pop()
        await real(self, calls, cursor)

    monkeypatch.setattr(CallWriter, "write", write_later)
    monkeypatch.setattr("sipqueue_async.history.recording._FIRST_PAUSE", 0.02)
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        feed = CallFeed(Source([FULL], TransportError("away")), CURSOR, min_interval=0.01)
        recorder = CallRecorder(history, feed, numbers="full")
        assert repr(recorder).endswith("nothing written yet, 0 records>")
        with caplog.at_level("DEBUG"):
            async with recorder:
                await written(history, recorder, 1)
        assert [it.record.id for it in await read(history)] == ["1"]
    assert repr(recorder).endswith("day.db>, up, 1 records>")
    assert (recorder.health.up, recorder.health.ended, recorder.health.failures_in_a_row) == (True, True, 0)
    assert str(recorder.health.last_error) == "no space"
    assert "recording calls failed; it is retried: no space" in caplog.text
    assert "recording calls works again, after 2 failures" in caplog.text
    assert NUMBER not in caplog.text


async def test_an_error_that_a_retry_cannot_fix_ends_the_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise HistoryError("rows exist")

    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        refused = CallRecorder(history, CallFeed(Source([], AuthError(603, "module not licensed")), CURSOR))
        with pytest.raises(AuthError):
            async with refused:
                await refused.wait()
        assert refused.health.ended
        monkeypatch.setattr(CallWriter, "write", refuse)
        recorder = CallRecorder(history, CallFeed(Source([FULL]), CURSOR))
        await recorder.__aenter__()
        await until(lambda: recorder.health.ended)
        with pytest.raises(HistoryError, match="rows exist"):
            await recorder.__aexit__(None, None, None)
        assert recorder.health.up is False


async def test_a_recorder_is_used_in_one_block(tmp_path: Path) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        recorder = CallRecorder(history, CallFeed(Source([]), CURSOR))
        with pytest.raises(RuntimeError, match="use it in 'async with'"):
            await recorder.wait()
        async with recorder:
            waiting = asyncio.create_task(recorder.wait())
            await asyncio.sleep(0)
        await waiting
        with pytest.raises(RuntimeError, match="runs once"):
            await recorder.__aenter__()


def test_invalid_arguments_are_refused(tmp_path: Path) -> None:
    history = History(f"sqlite:///{tmp_path}/day.db")
    naive = CallFeed(Source([]), NINE.replace(tzinfo=None))
    with pytest.raises(ValueError, match="give the client the server's timezone"):
        CallRecorder(history, naive)
    with pytest.raises(ValueError, match="numbers must be one of none, prefix, full, not 'all'"):
        CallRecorder(history, CallFeed(Source([]), CURSOR), numbers="all")  # type: ignore[arg-type]


# ---- reports ---------------------------------------------------------------------------------------------------------

CALLS = (
    FollowedCall(call(1), "sales"),
    FollowedCall(call(2, at=3599, answered=25.0), "sales"),
    FollowedCall(call(3, at=3600, answered=None, extension=None, caller="138****1234")),
    FollowedCall(call(4, at=3 * 3600, extension="100002", caller=None), "help"),
    FollowedCall(call(5, at=26 * 3600, uuid="twice", answered=None)),
    FollowedCall(call(6, at=26 * 3600 + 9, uuid="twice", extension="100002"), "help"),
    FollowedCall(call(7, at=50, direction=CallDirection.OUT)),
)
ROWS: dict[Any, list[tuple[str, list[int]]]] = {
    "hour": [
        ("2026-01-05 09:00", [1, 2]),
        ("2026-01-05 10:00", [3]),
        ("2026-01-05 11:00", []),
        ("2026-01-05 12:00", [4]),
        *((f"2026-01-{5 + hour // 24:02} {hour % 24:02}:00", []) for hour in range(13, 35)),
        ("2026-01-06 11:00", [5, 6]),
    ],
    "day": [("2026-01-05", [1, 2, 3, 4]), ("2026-01-06", [5, 6])],
    "week": [("2026-W02", [1, 2, 3, 4, 5, 6])],
    "hour_of_day": [("09:00", [1, 2]), ("10:00", [3]), ("11:00", [5, 6]), ("12:00", [4])],
    "queue": [("help", [4, 5, 6]), ("sales", [1, 2]), ("not known", [3])],
    "agent": [("100001", [1, 2]), ("100002", [4, 5, 6]), ("not known", [3])],
    "prefix": [("020", [1, 2, 5, 6]), ("138", [3]), ("unknown", [4])],
}


@pytest.mark.parametrize("by", ROWS)
async def test_a_report_has_the_figures_of_the_same_records(by: Any, tmp_path: Path) -> None:
    """Each row and the total are those of `CallFigures`, and the rows add up."""
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        await write(history, *CALLS)
        report = await history.call_report(BEGINNING, END, by=by, zone=ZONE, answer_within=10, wrap_up=5)
    records = {int(it.record.id): it.record for it in CALLS}
    assert [(row.label, row.figures) for row in report.rows] == [
        (label, CallFigures.of((records[it] for it in ids), within=10, wrap_up=5)) for label, ids in ROWS[by]
    ]
    assert report.total == CallFigures.of(records.values(), within=10, wrap_up=5)
    assert sum(row.figures.offered for row in report.rows) == report.total.offered == 5
    assert sum(row.figures.answered_within for row in report.rows) == report.total.answered_within == 3
    assert (report.by, report.zone) == (by, ZONE)
    assert (report.since, report.until) == (NINE, NINE + timedelta(seconds=26 * 3600 + 10))
    assert all((row.start is None) == (by in {"queue", "agent", "prefix", "hour_of_day"}) for row in report.rows)


async def test_a_report_names_agents_and_can_be_cut(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/day.db"
    names = [("100001", "Ada"), ("100002", "Bo"), ("100002", "Cy"), ("100003", None)]
    seats = [agent(it, name=name, queue=f"queue-{n}") for n, (it, name) in enumerate(names)]
    await record_status(url, [snapshot(*seats)])
    async with History(url) as history:
        await write(history, *CALLS)
        rows = (await history.call_report(BEGINNING, END, by="agent", zone=ZONE)).rows
        assert [(row.extension, row.name) for row in rows] == [("100001", "Ada"), ("100002", None), (None, None)]
        rows = (await history.call_report(BEGINNING, END, by="queue", zone=ZONE, extension="100002")).rows
        assert [(row.queue, row.figures.offered) for row in rows] == [("help", 2)]
        half = NINE + timedelta(minutes=30)
        cut = await history.call_report(half, half + timedelta(hours=1), zone=ZONE)
        assert (cut.since, cut.until) == (NINE + timedelta(seconds=3599), NINE + timedelta(seconds=3601))
        assert cut.total.offered == 2
        nothing = await history.call_report(BEGINNING, NINE, by="hour")
        assert (nothing.rows, nothing.total.offered, nothing.until) == ((), 0, BEGINNING)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"by": "year"}, ValueError, "by must be one of hour, day, week, queue, agent, prefix, hour_of_day"),
        ({"prefixes": 9}, ValueError, "from 1 to 7 digits"),
        ({"prefixes": "138"}, TypeError, "several strings"),
        ({"answer_within": -1}, ValueError, "within must be at least 0"),
        ({"until": NINE - timedelta(days=1)}, ValueError, "is before the beginning"),
        ({"since": NINE.replace(tzinfo=None)}, ValueError, "aware"),
    ],
    ids=str,
)
async def test_invalid_questions_are_refused(
    given: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        with pytest.raises(error, match=words):
            await history.call_report(**{"since": NINE, "until": END, **given})


@pytest.mark.parametrize("digits", [1, 2, 3, 4])
async def test_stored_prefixes_give_the_same_report(digits: int, tmp_path: Path) -> None:
    """With ``numbers="prefix"``, reports by up to four digits equal those of full numbers."""
    callers = (NUMBER, "02179460123", "+8613912345678", "138****1234", "", None)
    records = [call(number, caller=caller) for number, caller in enumerate(callers)]
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        await recorded(history, records, "prefix")
        found = (await history.call_report(BEGINNING, END, by="prefix", prefixes=digits)).rows
    expected = CallFigures.by(records, lambda it: number_prefix(it.caller, digits))
    assert {row.label: row.figures for row in found} == expected


# ---- removal and export ----------------------------------------------------------------------------------------------


async def test_pruning_removes_calls_and_earlier_their_numbers(history_url: str) -> None:
    """It removes whole days of the zone, counted back from the last recorded status, or else from the last call."""
    days = [call(number, at=number * 86400 - 9 * 3600) for number in range(10)]
    async with History(history_url) as history:
        pruned = await history.prune(timedelta(0), zone=ZONE)
        assert (pruned.call_records, pruned.numbers) == (0, 0)
        await write(history, *map(FollowedCall, days))
        pruned = await history.prune(timedelta(days=5), zone=ZONE, keep_numbers=timedelta(days=2))
        assert (pruned.call_records, pruned.numbers) == (4, 3)
        found = [it.record for it in await read(history)]
        assert [(it.id, it.caller) for it in found] == [
            *((str(number), None) for number in (4, 5, 6)),
            *((str(number), NUMBER) for number in (7, 8, 9)),
        ]
        pruned = await history.prune(timedelta(days=5), zone=ZONE, keep_numbers=timedelta(days=2))
        assert (pruned.call_records, pruned.numbers) == (0, 0)
        pruned = await history.prune(timedelta.max, zone=ZONE, keep_numbers=timedelta.max)
        assert (pruned.call_records, pruned.numbers) == (0, 0)
        with pytest.raises(ValueError, match="keep_numbers must not be negative"):
            await history.prune(timedelta(0), keep_numbers=timedelta(days=-1))


@pytest.mark.parametrize("numbers", [False, True])
async def test_an_export_has_numbers_only_on_request(numbers: bool, tmp_path: Path) -> None:
    async with History(f"sqlite:///{tmp_path}/day.db") as history:
        await write(history, FollowedCall(FULL, "sales"), FollowedCall(call(2, at=9, answered=None)))
        path = tmp_path / "calls.csv"
        assert await export(history, "call_records", path, BEGINNING, END, zone=ZONE, numbers=numbers) == 2
    lines = path.read_text("utf-8-sig").splitlines()
    assert lines[1].startswith("2026-01-05T09:00:00+01:00,2026-01-05T09:00:04+01:00,")
    assert ",sales,100001,in,unknown,4,31,caller,code 99999,1," in lines[1]
    assert (NUMBER in lines[1]) is numbers


async def test_the_view_has_readable_calls(history_url: str) -> None:
    async with History(history_url) as history:
        await write(history, FollowedCall(attrs.evolve(FULL, uuid="u"), "sales"))
        async with store_of(history).database.reading() as connection:
            (row,) = (await connection.exec_driver_sql("SELECT * FROM v_call_records")).mappings()
    assert (row["platform"], row["queue"], row["call"], row["direction"]) == ("main", "sales", "u", "in")
    assert str(row["started_at"]).startswith("2026-01-05 08:00:00")
