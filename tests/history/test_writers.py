"""Files that are exported: what programs read from them."""

from __future__ import annotations

import csv
import gc
import io
import random
import resource
import sys
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from pyarrow import parquet

from sipqueue_async.history import writers
from sipqueue_async.history.writers import FORMATS, Column, CsvWriter, Format, Table, open_file

BERLIN = ZoneInfo("Europe/Berlin")
EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)
TABLE = Table(
    "calls",
    (
        Column("name"),
        Column("count", "count"),
        Column("lasted", "seconds"),
        Column("rate", "share"),
        Column("at", "time"),
        Column("hidden", "flag"),
    ),
)
ROWS: list[tuple[Any, ...]] = [
    ("=1+1", 3, 1.5, 0.25, EIGHT, True),
    ("王\x07\ud800", 0, 0.0, 1.0, EIGHT, False),
    (None, None, None, None, None, None),
]
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def written(path: Path, form: Format, *pages: list[tuple[Any, ...]]) -> Path:
    """Write pages of rows to a file."""
    with open_file(path, form, TABLE, BERLIN) as file:
        for page in pages:
            file.write(page)
    return path


def sheets(path: Path) -> list[list[list[tuple[str, str]]]]:
    """Return each sheet's rows of an Excel file: the type and the content of each cell."""
    found: list[list[list[tuple[str, str]]]] = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(it for it in archive.namelist() if it.startswith("xl/worksheets/")):
            root = ElementTree.fromstring(archive.read(name))
            found.append(
                [[(cell.get("t", "n"), "".join(cell.itertext())) for cell in row] for row in root.iter(f"{MAIN}row")]
            )
            assert not [*root.iter(f"{MAIN}f")], "a formula"
    return found


def test_csv_is_safe_and_has_times_with_an_offset(tmp_path: Path) -> None:
    text = written(tmp_path / "calls.csv", "csv", ROWS).read_text(encoding="utf-8")
    assert text.startswith("\N{BYTE ORDER MARK}name,")
    assert [*csv.reader(io.StringIO(text))][1:] == [
        ["'=1+1", "3", "1.500", "0.2500", "2026-01-05T09:00:00+01:00", "yes"],
        ["王\\x07\\ud800", "0", "0.000", "1.0000", "2026-01-05T09:00:00+01:00", "no"],
        [""] * 6,
    ]
    stream = io.StringIO()
    CsvWriter(stream, TABLE, BERLIN).write(ROWS)
    assert stream.getvalue() == text.removeprefix("\N{BYTE ORDER MARK}")


def test_excel_gets_text_numbers_and_local_times(tmp_path: Path) -> None:
    """A name is a string even if it looks like a formula; a time is a number that Excel shows as one."""
    ((heading, first, second),) = sheets(written(tmp_path / "calls.xlsx", "xlsx", ROWS))
    assert heading[4] == ("inlineStr", "at (Europe/Berlin)")
    assert first[:4] == [("inlineStr", "=1+1"), ("n", "3"), ("n", "1.5"), ("n", "0.25")]
    assert first[4][0] == "n"
    assert float(first[4][1]) == (datetime(2026, 1, 5, 9) - datetime(1899, 12, 30)).total_seconds() / 86400  # noqa: DTZ001
    assert first[5] == ("b", "1")
    assert second[0] == ("inlineStr", "王\\x07\\ud800")


def test_excel_goes_on_in_another_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a sheet is full."""
    monkeypatch.setattr(writers, "SHEET_ROWS", 2)
    found = sheets(written(tmp_path / "calls.xlsx", "xlsx", ROWS[:2], ROWS[:1]))
    assert [len(sheet) for sheet in found] == [3, 2]
    assert found[0][0] == found[1][0]
    assert found[0][1] == found[1][1]


def test_parquet_keeps_types(tmp_path: Path) -> None:
    """Times are instants, and what is not known is null."""
    table = parquet.read_table(written(tmp_path / "calls.parquet", "parquet", ROWS[:1], [], ROWS[1:]))
    assert table.column_names == [column.name for column in TABLE.columns]
    assert table.to_pylist() == [
        {"name": "=1+1", "count": 3, "lasted": 1.5, "rate": 0.25, "at": EIGHT, "hidden": True},
        {"name": "王\x07\\ud800", "count": 0, "lasted": 0.0, "rate": 1.0, "at": EIGHT, "hidden": False},
        dict.fromkeys(table.column_names),
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_without_rows_has_its_columns(form: Format, tmp_path: Path) -> None:
    path = written(tmp_path / "file", form)
    if form == "parquet":
        assert parquet.read_table(path).num_rows == 0
    elif form == "xlsx":
        assert [len(sheet) for sheet in sheets(path)] == [1]
    else:
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_failed_export_leaves_the_old_file_and_nothing_else(form: Format, tmp_path: Path) -> None:
    """The new file replaces the old one only when it is complete."""
    path = tmp_path / "calls"
    path.write_text("old")

    def fail() -> None:
        with open_file(path, form, TABLE, BERLIN) as file:
            file.write(ROWS)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [it.name for it in tmp_path.iterdir()] == ["calls"]


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """Refuse to write more than some bytes to a file, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("form", "pages", "room"),
    [
        # The beginning, the only page, a page in between or the end does not fit.
        *[("csv", 1, 0), ("csv", 10, 4096), ("csv", 200, 4096)],
        *[("xlsx", 10, 4096), ("xlsx", 40, 65_536)],
        *[("parquet", 0, 0), ("parquet", 1, 1024), ("parquet", 10, 4096)],
    ],
)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    form: Format, pages: int, room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is an OSError, and nothing is printed later."""
    monkeypatch.setattr(writers, "SHEET_ROWS", 100)  # each sheet fits, but not all of them
    path, chance = tmp_path / "calls", random.Random(1)
    path.write_text("old")
    rows = [[(f"{chance.getrandbits(800):x}", 1, 1.5, 0.25, EIGHT, True) for _ in range(20)] for _ in range(pages)]
    with pytest.raises(OSError, match="File too large"), files_of_at_most(room):
        written(path, form, *rows)
    gc.collect()
    assert path.read_text() == "old"
    assert [it.name for it in tmp_path.iterdir()] == ["calls"]


def test_a_file_is_as_readable_as_others(tmp_path: Path) -> None:
    """Its mode follows the umask, although it begins as a private temporary file."""
    other = tmp_path / "other"
    other.touch()
    assert written(tmp_path / "calls.csv", "csv").stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize(
    ("form", "module", "extra"), [("parquet", "pyarrow", "parquet"), ("xlsx", "xlsxwriter", "history")]
)
def test_a_missing_library_is_named(
    form: Format, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install, and no file is left."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"format {form} needs: pip install 'sipqueue_async\[{extra}\]'"):
        open_file(tmp_path / "calls", form, TABLE, BERLIN)
    assert not [*tmp_path.iterdir()]
