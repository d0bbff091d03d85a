"""The commands that read a history, run in the tests' own process."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs
import pytest
from rich.cells import cell_len

from sipqueue_async import Snapshot, TransportError
from sipqueue_async.cli import app
from sipqueue_async.cli.call_figures import Counting
from sipqueue_async.cli.history_calls import print_call_report, print_calls
from sipqueue_async.cli.history_reading import print_bars, print_events, print_report, print_timeline
from sipqueue_async.cli.progress import progress
from sipqueue_async.cli.spans import Reading, Seats
from sipqueue_async.history import History
from tests.history.test_call_records import CALLS, NUMBER
from tests.history.test_call_records import write as write_calls
from tests.kit.builders import START, agent, snapshot
from tests.kit.cli import Paper
from tests.kit.recording import record

SPAN = ("--since", "2026-01-05", "--zone", "UTC")


def answers() -> list[Snapshot | BaseException]:
    """Return what a platform shows on a morning, with an outage."""
    first = agent("100001", name="王小明", queue="挂号")
    talking = agent("100001", "talking", name="王小明", queue="挂号", calls_answered=1)
    after = agent("100001", name="王小明", queue="挂号", calls_answered=1, no_answer_count=1)
    second = agent("100002", name="Ada")
    return [
        snapshot(first, second, at=0),
        snapshot(talking, second, at=600),
        TransportError("no route to host"),
        snapshot(after, second, at=1200),
        snapshot(after, agent("100002", "paused", name="Ada"), at=90_000),
        snapshot(after, agent("100002", "paused", name="Ada"), at=90_000),
    ]


def recorded(url: str) -> str:
    """Record the answers, in a thread of its own because the caller may have an event loop."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, record(url, answers())).result()
    return url


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a history to read."""
    return recorded(f"sqlite:///{tmp_path_factory.mktemp('history')}/day.db")


@pytest.fixture(autouse=True)
def _settings(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the history in the environment."""
    monkeypatch.setenv("SIPQUEUE_DB", database)


def ran(*arguments: str) -> int:
    """Run the command line; return its exit code."""
    return app.run([*arguments])


def test_a_report_has_a_row_for_each_agent(capsys: pytest.CaptureFixture[str]) -> None:
    """``report --since`` reads the history that the environment names; rows end with a total."""
    assert ran("report", *SPAN) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:5] == ["queue", "extension", "name", "answered", "missed"]
    assert [line[:4] for line in lines[1:3]] == [["queue-1", "100002", "Ada", "0"], ["挂号", "100001", "王小明", "1"]]
    assert lines[3][:3] == ["total", "1", "1"]
    assert lines[-1] == ["2026-01-05", "08:00:00", "to", "2026-01-06", "00:00:00,", "UTC"]


def test_a_report_is_csv_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`history report` and `report` print the same, with every figure."""
    assert ran("history", "report", "--by", "hour", "--csv", *SPAN) == 0
    text = capsys.readouterr().out
    assert ran("report", "--by", "hour", "--csv", *SPAN) == 0
    assert capsys.readouterr().out == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert (rows[0]["label"], rows[0]["calls_answered"]) == ("2026-01-05 08:00", "1")
    assert ran("report", "--by", "hour_of_day", "--json", *SPAN) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["v"], told["by"], told["zone"]) == (1, "hour_of_day", "UTC")
    assert told["rows"][0]["label"] == "08:00"
    assert told["total"]["calls_missed"] == 1


def test_events_are_lines_csv_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Events come in order, those of a new day after a line with its date, and filters apply."""
    span = ("--since", "2026-01-01", "--until", "2026-01-31")
    assert ran("history", "events", *span) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("answered a call" in line and "王小明" in line for line in lines)
    assert any("feed down" in line for line in lines)
    assert len([line for line in lines if line.startswith("2026-01-0")]) == 2
    assert ran("history", "events", *span, "--json", "--only", "call-missed", "--queue", "挂号") == 0
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["event"], told["extension"]) == ("call-missed", "100001")
    assert ran("history", "events", *span, "--csv", "--only", "call-answered", "--extension", "100001") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["event"], row["name"]) == ("call-answered", "王小明")


def test_outages_are_lines_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each outage has its beginning, end, length, reason and error; one that lasts has no end."""
    base = ("history", "outages", "--db", f"sqlite:///{tmp_path}/day.db", *SPAN)
    asyncio.run(record(base[3], answers()[:4]))
    asyncio.run(record(base[3], [snapshot(agent(), at=3600), TransportError("no route to host")]))
    assert ran(*base) == 0
    rows = [re.split(r"\s{2,}", line) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["from", "to", "lasted", "reason", "error"],
        ["2026-01-05 08:10:00", "2026-01-05 08:20:00", "0:10:00", "no answer", "no route to host"],
        ["2026-01-05 08:20:00", "2026-01-05 09:00:00", "0:40:00", "no recorder", ""],
        ["2026-01-05 09:00:00", "goes on", "no answer", "no route to host"],
    ]
    assert ran(*base, "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [it["reason"] for it in told] == ["outage", "stopped", "outage"]
    assert told[0] == {
        "v": 1,
        "began_at": "2026-01-05T08:10:00+00:00",
        "ended_at": "2026-01-05T08:20:00+00:00",
        "reason": "outage",
        "failures": 1,
        "error": "no route to host",
    }
    assert told[2]["ended_at"] is None
    assert ran(*base, "--until", "2026-01-05T08:05") == 0
    assert capsys.readouterr().out == "no outages\n"


def test_a_timeline_has_an_agents_states(capsys: pytest.CaptureFixture[str]) -> None:
    """The states come in order, each with its duration."""
    assert ran("history", "timeline", "100001", *SPAN) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[4:6] for line in lines[1:3]] == [["0:10:00", "waiting"], ["0:00:00", "talking"]]
    assert ran("history", "timeline", "100001", "--queue", "挂号", "--csv", *SPAN) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(lines)
    assert ran("history", "timeline", "--table", *SPAN) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[-1] for line in lines[1:]} == {"Ada", "王小明"}


def test_a_timeline_on_a_terminal_is_a_bar_for_each_seat(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--table` prints the table there too."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    span = ("--since", "2026-01-05T08:00", "--until", "2026-01-05T08:40", "--zone", "UTC")
    assert ran("history", "timeline", *span) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["08:00", "08:05"]
    assert "╳" in lines[1]
    assert lines[2].startswith("挂号 100001 王小明 ▒")
    assert lines[-1] == "▒ waiting  ╳ unseen"
    assert ran("history", "timeline", "--table", "100002", *span) == 0
    assert "lasted" in capsys.readouterr().out
    assert ran("history", "timeline", "--since", "2020-01-01") == 0
    assert capsys.readouterr().out == "nothing was recorded\n"


async def test_a_day_under_way_is_drawn_up_to_now(database: str) -> None:
    """A past day is drawn up to its end, and a day to come too."""
    seats = Seats(queue=None, extension=["100002"])
    midnight = START.replace(hour=0)
    part = Reading(
        history=History(database), since=midnight, until=midnight + timedelta(days=1), zone=ZoneInfo("UTC"), seats=seats
    )
    drawn: dict[float, tuple[str, int]] = {}
    for hours in (-1, 0, 12, 16.5, 24, 30):
        paper = Paper(terminal=True)
        await print_bars(part, paper.output(NO_COLOR="1", TERM="xterm"), now=midnight + timedelta(hours=hours))
        scale, bar, *_ = paper.lines
        drawn[hours] = scale.partition("now")[2], bar.index("▒") - len("queue-1 100002 Ada ")
    assert [drawn[hours][0] for hours in drawn] == ["", "", " 12:00", " 16:30", "", ""]
    # The first status, at eight, is further to the right the shorter the drawn part is.
    assert drawn[24][1] == drawn[30][1] == drawn[-1][1] == drawn[0][1] < drawn[16.5][1] < drawn[12][1]


@pytest.mark.parametrize(("hours", "shown"), [(4, "▒▒╳╳"), (2.01, "▒▒"), (2, "▒▒")])
async def test_time_after_what_is_recorded_is_unknown(tmp_path: Path, hours: float, shown: str) -> None:
    """An outage that goes on is not blank, which would mean that the seats were not there."""
    url = f"sqlite:///{tmp_path}/today.db"
    await record(url, [snapshot(agent(), at=0), snapshot(agent(), at=7200), TransportError("no route to host")])
    seats = Seats(queue=None, extension=None)
    day = timedelta(days=1)
    part = Reading(history=History(url), since=START, until=START + day, zone=ZoneInfo("UTC"), seats=seats)
    paper = Paper(terminal=True)
    await print_bars(part, paper.output(NO_COLOR="1", TERM="xterm"), now=START + timedelta(hours=hours))
    bar = paper.lines[1].split()[-1]
    assert "".join(bar[len(bar) * at // 8] for at in (1, 3, 5, 7))[: len(shown)] == shown
    assert set(bar) == set(shown)


def test_today_ends_now(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes this machine's clock."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    now = datetime.now(UTC)
    url = f"sqlite:///{tmp_path}/today.db"
    seen = [Snapshot([agent("100001")], observed_at=now - timedelta(minutes=minutes)) for minutes in (60, 30)]
    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, record(url, seen)).result()
    monkeypatch.setenv("SIPQUEUE_DB", url)
    span = ("--since", f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M}", "--until", f"{now + timedelta(days=1):%Y-%m-%d}")
    assert ran("history", "timeline", *span, "--zone", "UTC") == 0
    scale = capsys.readouterr().out.splitlines()[0]
    # A minute may have begun since.
    assert re.search(r" now \d\d:\d\d$", scale)


@pytest.mark.parametrize(
    "line",
    ["report --since 2020-01-01", "history events --since 2020-01-01", "history timeline 100001 --since 2020-01-01"],
)
def test_an_empty_span_is_said(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(*line.split()) == 0
    assert capsys.readouterr().out == "nothing was recorded\n"


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
async def test_tables_fit_the_terminal(
    width: int, database: str, calls_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider than the terminal, even with Chinese names."""
    monkeypatch.setenv("COLUMNS", str(width))
    nobody = Seats(queue=None, extension=None)
    until = START + timedelta(days=2)
    part = Reading(history=History(database), since=START, until=until, zone=ZoneInfo("Asia/Shanghai"), seats=nobody)
    paper = Paper(terminal=True)
    for by in ("agent", "hour", "week"):
        await print_report(part, paper.output(NO_COLOR="1", TERM="xterm"), by, form="table")
    await print_timeline(part, paper.output(NO_COLOR="1", TERM="xterm"))
    await print_bars(part, paper.output(NO_COLOR="1", TERM="xterm"), now=START + timedelta(hours=5))
    await print_events(part, paper.output(NO_COLOR="1", TERM="xterm"), ())
    assert "王小明" in paper.text
    calls = attrs.evolve(part, history=History(calls_database))
    await print_calls(calls, paper.output(NO_COLOR="1", TERM="xterm"), None, numbers=True)
    await print_call_report(calls, paper.output(NO_COLOR="1", TERM="xterm"), "day", Counting(), form="table")
    # Also a block of lines says what each figure is.
    assert {"talked", "abandoned", "handle"} <= set(paper.text.split())
    assert max(map(cell_len, paper.lines)) <= width
    without_blocks = Paper(terminal=True, encoding="ascii")
    await print_bars(part, without_blocks.output(NO_COLOR="1", TERM="xterm"), now=until)
    assert without_blocks.lines[-1].startswith("W waiting")


def with_calls(folder: Path) -> str:
    """Return a history with call records."""
    url = recorded(f"sqlite:///{folder}/day.db")

    async def add() -> None:
        async with History(url) as history:
            await write_calls(history, *CALLS)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, add()).result()
    return url


@pytest.fixture(scope="module")
def calls_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a history with call records."""
    return with_calls(tmp_path_factory.mktemp("calls"))


@pytest.mark.parametrize("command", ["report", "history report"])
def test_figures_of_call_records(command: str, calls_database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures come as a table, CSV or JSON, and the options change their definitions."""
    base = (*command.split(), "--calls", "--db", calls_database, "--since", "2026-01-05", "--until", "2026-01-06")
    zone = ("--zone", "Europe/Berlin")
    assert ran(*base, *zone, "--by", "agent", "--within", "10", "--wrap-up", "5") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == [
        "agent",
        *["offered", "answered", "abandoned", "in", "time", "speed", "of", "answer", "talk", "handle"],
    ]
    assert lines[1][:4] == ["100001", "王小明", "2", "2"]
    assert [lines[3][:2], lines[4][:4]] == [["not", "known"], ["total", "5", "4", "1"]]
    assert lines[-2][:5] == ["in", "time:", "answered", "within", "10"]
    assert lines[-1][0] == "2026-01-05"
    assert ran(*base, *zone, "--by", "day", "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["label"], row["offered"], row["answered_within"]) for row in rows] == [
        ("2026-01-05", "4", "2"),
        ("2026-01-06", "1", "1"),
    ]
    assert ran(*base, *zone, "--by", "prefix", "--number-prefix", "02", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["label"]: row["offered"] for row in told["rows"]} == {"02": 3, "other": 1, "unknown": 1}
    assert (told["by"], told["total"]["average_handle"]) == ("prefix", told["total"]["average_talk"])
    assert ran(*base, "--by", "hour") == 0
    assert "2026-01-05" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("by", "first"),
    [("queue", {"队列", "help", "sales", "未知"}), ("prefix --number-prefix 02", {"号段", "02", "其他", "未知"})],
)
def test_a_report_of_calls_is_in_chinese(
    by: str, first: set[str], calls_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The groups of calls without a queue or a known number have Chinese names too."""
    span = ("--since", "2026-01-05", "--until", "2026-01-06", "--zone", "Europe/Berlin")
    assert ran("--language", "zh", "report", "--calls", "--db", calls_database, *span, "--by", *by.split()) == 0
    table = capsys.readouterr().out.partition("\n\n")[0]
    assert {line.split()[0] for line in table.splitlines()} == {*first, "合计"}


def test_recorded_calls_are_printed(calls_database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Telephone numbers are printed only on request."""
    base = (
        "history",
        "calls",
        "--db",
        calls_database,
        "--since",
        "2026-01-05",
        "--until",
        "2026-01-06",
        "--zone",
        "UTC",
    )
    assert ran(*base) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["started", "way", "queue", "extension", "waited", "talked", "ended"]
    assert lines[1][:5] == ["2026-01-05", "08:00:00", "in", "sales", "100001"]
    assert out.splitlines()[-1] == "7 calls, 5 answered"
    assert "not answered" in out
    assert NUMBER not in out
    assert ran(*base, "--numbers", "--direction", "out") == 0
    assert NUMBER in capsys.readouterr().out
    for form in ("--csv", "--json"):
        for numbers in ((), ("--numbers",)):
            assert ran(*base, form, *numbers) == 0
            out = capsys.readouterr().out
            assert (NUMBER in out) is bool(numbers)
    first = json.loads(out.splitlines()[0])
    assert (first["v"], first["id"], first["queue"], first["caller"]) == (1, "1", "sales", NUMBER)
    path = Path(calls_database.removeprefix("sqlite:///")).with_name("calls.csv")
    assert ran("history", "export", str(path), "--what", "call_records", *base[2:]) == 0
    assert NUMBER not in path.read_text("utf-8")


@pytest.mark.parametrize("line", ["report --calls", "history calls", "history report --calls"])
def test_without_call_records_it_says_so(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(*line.split(), *SPAN) == 0
    assert capsys.readouterr().out == "no call records were recorded; sipqueue record --calls records them\n"


def test_a_prune_says_how_many_calls_it_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = with_calls(tmp_path)
    assert ran("history", "prune", "--db", url, "--keep-numbers", "0") == 0
    assert capsys.readouterr().out == "removed the numbers of 5 call records\n"
    assert ran("history", "prune", "--db", url, "--keep", "0") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "removed 5 call records"


def test_an_export_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file name's suffix decides the format."""
    path = tmp_path / "calls.csv"
    assert ran("history", "export", str(path), *SPAN) == 0
    assert capsys.readouterr().out == f"{path}: 2 rows\n"
    assert ran("history", "export", str(tmp_path / "report.xlsx"), "--what", "report", "--by", "queue", *SPAN) == 0
    assert capsys.readouterr().out.endswith("report.xlsx: 2 rows\n")


def test_a_prune_says_what_it_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The figures of the removed days remain."""
    url = recorded(f"sqlite:///{tmp_path}/day.db")
    assert ran("history", "prune", "--db", url) == 0
    assert capsys.readouterr().out == "nothing is older than 400 days\n"
    assert ran("history", "prune", "--db", url, "--keep", "0", "--vacuum") == 0
    assert capsys.readouterr().out.endswith(" rows from before 2026-01-06\n")
    assert ran("report", "--db", url, "--by", "day", "--json", *SPAN) == 0
    assert json.loads(capsys.readouterr().out)["total"]["calls_answered"] == 1
    assert ran("report", "--db", url, "--by", "hour", *SPAN) == 2
    assert "the hours of 2026-01-05 were removed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("report --db sqlite:////proc/version", 1, "cannot be opened"),
        ("report --db nonsense", 2, "the history's URL is invalid"),
        ("report --db postgresql://me:secret@host/db", 2, "put a URL with a password in SIPQUEUE_DB"),
        ("report --since yesterday --seconds 5", 2, "--since and --seconds do not go together"),
        ("report --db sqlite:///x.db --demo", 2, "--db and --demo do not go together"),
        ("report --since soon", 2, "--since 'soon' is not a time"),
        ("report --since today --zone Mars", 2, "there is no time zone 'Mars'"),
        ("report --since today --by prefix", 2, "--by prefix needs --calls"),
        ("report --since today --within 30", 2, "--within needs --calls"),
        ("report --wrap-up 3", 2, "--wrap-up needs --calls"),
        ("report --calls --demo", 2, "--calls and --demo do not go together"),
        ("history report --number-prefix 02", 2, "--number-prefix needs --calls"),
        ("history report --calls --by day --prefix-digits 2", 2, "--prefix-digits needs --by prefix"),
        ("history calls --csv --json", 2, "--csv and --json do not go together"),
        ("history events --csv --json", 2, "--csv and --json do not go together"),
        ("history report --csv --json", 2, "--csv and --json do not go together"),
        ("history export calls.txt --since 2026-01-05", 2, "must end with .csv, .xlsx or .parquet"),
        ("history export /nowhere/calls.csv --since 2026-01-05", 1, "/nowhere/calls.csv cannot be written"),
    ],
)
def test_an_error_is_one_line(line: str, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The line is on stderr with the exit code of its kind, and shows no password."""
    assert ran(*line.split()) == code
    (told,) = capsys.readouterr().err.splitlines()
    assert message in told
    assert "secret" not in told


def test_a_database_must_be_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SIPQUEUE_DB")
    assert ran("report", "--since", "today") == 2
    assert capsys.readouterr().err.startswith("sipqueue: no database given: use --db, such as --db sqlite:///day.db")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [it for it in sys.modules if it.startswith("sipqueue_async.history")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    assert ran("report", "--since", "today") == 2
    assert "a history needs sqlalchemy: pip install 'sipqueue_async[history]'" in capsys.readouterr().err


def test_progress_is_shown_on_a_terminal_only() -> None:
    """It overwrites one line a few times a second, and clears it at the end."""
    times = iter([0.0, 0.1, 0.3, 0.3, 0.4, 0.6, 0.6])
    paper = Paper(terminal=True)
    with progress("{} rows", paper, lambda: next(times)) as show:
        for number in (1000, 2000, 3000, 4):
            show(number)
    paper.flush()
    assert paper.text == "\r2000 rows\r4 rows   \r         \r"
    for terminal in (False, True):
        quiet = Paper(terminal=terminal)
        with progress("{} rows", quiet, lambda: 0.0) as show:
            show(1)
        quiet.flush()
        assert quiet.text == ""


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("history events --queue nope", 5, "no queue named 'nope'; there are queue-1, 挂号"),
        ("history timeline 999", 5, "no extension named '999'; there are 100001, 100002"),
        ("report --since 2026-01-05 --extension 100002 --queue 挂号", 5, "extension '100002' is only in queue-1"),
        ("history events --db sqlite:///nofile.db", 2, "there is no database nofile.db; sipqueue record makes one"),
        ("history prune --keep 1000000000", 2, "1000000000 is not in the range 0<=x<=999999999"),
        ("history prune --keep-numbers 1000000000", 2, "1000000000 is not in the range 0<=x<=999999999"),
        ("history prune --db sqlite:///nofile.db", 2, "there is no database nofile.db; sipqueue record makes one"),
    ],
)
def test_an_absent_queue_extension_or_database_is_named(
    line: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.chdir(folder)
        assert ran(*line.split()) == code
        assert not any(Path(folder).iterdir())
    assert words in capsys.readouterr().err
