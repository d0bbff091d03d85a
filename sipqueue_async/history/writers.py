"""Writes tables of any length as CSV, Excel or Parquet, in bounded memory."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, tzinfo
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Literal, Protocol, TypeAlias

import attrs

from sipqueue_async._text import harmless, no_formula

Format: TypeAlias = Literal["csv", "xlsx", "parquet"]
"""The formats of files."""

Kind: TypeAlias = Literal["text", "count", "seconds", "share", "time", "flag"]
"""What the values of a column are: str, int, float, float, aware datetime or bool. Any may be None."""

Value: TypeAlias = str | int | float | datetime | bool | None
"""A value of a table."""

SHEET_ROWS: Final = 1_048_575
"""Rows that a sheet of Excel holds below its headings; further ones go to another sheet."""

_CELL: Final = 32_767
"""Characters that a cell of Excel holds."""


@attrs.frozen
class Column:
    """A column of a table."""

    name: str
    kind: Kind = "text"


@attrs.frozen
class Table:
    """What a table is called and what its columns are."""

    name: str
    columns: tuple[Column, ...]


class Writer(Protocol):
    """Writes the rows of a table; used as a context manager, in which a file is complete at the end of the block."""

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        """Append rows."""
        ...

    def __enter__(self) -> Writer: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class SupportsWrite(Protocol):
    """A stream of text."""

    def write(self, text: str, /) -> object:
        """Append text."""
        ...


class CsvWriter:
    """Writes CSV. A text that a spreadsheet would take for a formula gets an apostrophe in front.

    Args:
        stream: Where to write to.
        table: The table.
        zone: The time zone of times, which are ISO 8601 with an offset.
    """

    def __init__(self, stream: SupportsWrite, table: Table, zone: tzinfo) -> None:
        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow([column.name for column in table.columns])
        self._forms = [_csv_form(column.kind, zone) for column in table.columns]

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        """Append rows."""
        self._writer.writerows(
            ["" if value is None else form(value) for form, value in zip(self._forms, row, strict=True)] for row in rows
        )


def _csv_form(kind: Kind, zone: tzinfo) -> Callable[[Any], str]:
    forms: dict[Kind, Callable[[Any], str]] = {
        "text": no_formula,
        "count": str,
        "seconds": "{:.3f}".format,
        "share": "{:.4f}".format,
        "time": lambda at: at.astimezone(zone).isoformat(),
        "flag": lambda flag: "yes" if flag else "no",
    }
    return forms[kind]


class _File:
    """A file that appears under its name when it is complete, and not at all if the block fails."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A rename is atomic only within one file system.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(descriptor)
        self.temporary = Path(name)

    @contextmanager
    def opening(self) -> Generator[None]:
        """Remove the file if the block fails."""
        try:
            yield
        except BaseException:
            self.end(complete=False)
            raise

    def end(self, *, complete: bool) -> None:
        """Give the file its name, or remove it."""
        try:
            if complete:
                _publish(self.temporary, self._path)
        finally:
            with suppress(FileNotFoundError):
                self.temporary.unlink()


def _publish(temporary: Path, path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    # mkstemp's files are readable by their owner only.
    temporary.chmod(0o666 & ~mask)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


class CsvFile:
    """A CSV file, with the byte order mark that Excel needs for UTF-8."""

    def __init__(self, path: Path, table: Table, zone: tzinfo) -> None:
        self._file = _File(path)
        with self._file.opening():
            self._stream = self._file.temporary.open("w", encoding="utf-8-sig", newline="")
            self._writer = CsvWriter(self._stream, table, zone)

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        """Append rows."""
        self._writer.write(rows)

    def __enter__(self) -> CsvFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        complete = False
        try:
            # It writes the rest.
            self._stream.close()
            complete = kind is None
        finally:
            self._file.end(complete=complete)


class _Zipped:
    """A file for zipfile that ignores all calls once it is closed.

    After a failed write zipfile writes again when it is deleted, and Python would print that error.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._at = 0
        """The position that is pretended, once it is closed."""

    def write(self, data: bytes) -> int:
        if not self._file.closed:
            return self._file.write(data)
        self._at += len(data)
        return len(data)

    def seek(self, at: int) -> int:
        if not self._file.closed:
            return self._file.seek(at)
        self._at = at
        return at

    def tell(self) -> int:
        return self._at if self._file.closed else self._file.tell()

    def flush(self) -> None:
        # zipfile flushes at its end only. Closing does it.
        pass

    def close(self) -> None:
        self._file.close()


class ExcelFile:
    """An Excel file. Excel knows no time zones, so times are those of `zone`, which their headings name."""

    def __init__(self, path: Path, table: Table, zone: tzinfo) -> None:
        # Imported lazily: only this format needs it.
        import xlsxwriter  # noqa: PLC0415

        self._file = _File(path)
        self._table = table
        self._zone = zone
        self._sheets = 0
        with self._file.opening():
            # Beside the file, so that the error of a full disk names the right one.
            self._parts = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.")
            self._zipped = _Zipped(self._file.temporary)
            # zipfile needs fewer methods than xlsxwriter's types ask for.
            target: Any = self._zipped
            self._book: Any = xlsxwriter.Workbook(
                target,
                {
                    "constant_memory": True,
                    "default_date_format": "yyyy-mm-dd hh:mm:ss",
                    "tmpdir": self._parts.name,
                },
            )
            self._bold = self._book.add_format({"bold": True})
            formats = {"seconds": "0.000", "share": "0.0%"}
            self._formats = {kind: self._book.add_format({"num_format": form}) for kind, form in formats.items()}
            self._begin_sheet()

    def _begin_sheet(self) -> None:
        self._sheets += 1
        self._sheet: Any = self._book.add_worksheet(
            self._table.name if self._sheets == 1 else f"{self._table.name} {self._sheets}"
        )
        self._row = 0
        self._sheet.freeze_panes(1, 0)
        for at, column in enumerate(self._table.columns):
            self._sheet.set_column(at, at, _WIDTHS.get(column.kind, 12))
            title = f"{column.name} ({self._zone})" if column.kind == "time" else column.name
            self._sheet.write_string(0, at, title, self._bold)

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        """Append rows."""
        for row in rows:
            if self._row == SHEET_ROWS:
                self._begin_sheet()
            self._row += 1
            for at, (column, value) in enumerate(zip(self._table.columns, row, strict=True)):
                if value is not None:
                    self._cell(at, column.kind, value)

    def _cell(self, at: int, kind: Kind, value: Any) -> None:
        match kind:
            case "text":
                # As a string it is never a formula. A cell must not have control characters.
                self._sheet.write_string(self._row, at, harmless(value, plain_spaces=False)[:_CELL])
            case "time":
                self._sheet.write_datetime(self._row, at, value.astimezone(self._zone).replace(tzinfo=None))
            case "flag":
                self._sheet.write_boolean(self._row, at, value)
            case _:
                self._sheet.write_number(self._row, at, value, self._formats.get(kind))

    def __enter__(self) -> ExcelFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        complete = False
        try:
            if kind is None:
                self._close_book()
                complete = True
        finally:
            self._discard_parts()
            self._file.end(complete=complete)

    def _close_book(self) -> None:
        from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415

        try:
            self._book.close()
            self._zipped.close()
        except FileCreateError as error:
            cause: OSError = error.args[0]
            raise cause from None

    def _discard_parts(self) -> None:
        for file in (self._zipped, *(sheet.row_data_fh for sheet in self._book.worksheets())):
            # Closing writes what is buffered.
            with suppress(OSError):
                file.close()
        self._parts.cleanup()


class ParquetFile:
    """A Parquet file. Times are UTC, to the microsecond."""

    def __init__(self, path: Path, table: Table, zone: tzinfo) -> None:  # noqa: ARG002  # all files take the same
        # Imported lazily: it is an extra of its own.
        import pyarrow as arrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        kinds: Mapping[Kind, Any] = {
            "text": arrow.string(),
            "count": arrow.int64(),
            "seconds": arrow.float64(),
            "share": arrow.float64(),
            "time": arrow.timestamp("us", tz="UTC"),
            "flag": arrow.bool_(),
        }
        self._schema: Any = arrow.schema([(column.name, kinds[column.kind]) for column in table.columns])
        self._columns = table.columns
        self._batch: Any = arrow.record_batch
        self._array: Any = arrow.array
        self._file = _File(path)
        with self._file.opening():
            self._writer: Any = parquet.ParquetWriter(str(self._file.temporary), self._schema)

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        """Append rows as one group."""
        columns = [*zip(*rows, strict=True)]
        if columns:
            arrays = [
                self._array([_encodable(value) for value in values], type=field.type)
                for values, field in zip(columns, self._schema, strict=True)
            ]
            self._writer.write_batch(self._batch(arrays, schema=self._schema))

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        complete = False
        try:
            self._writer.close()
            complete = kind is None
        finally:
            self._file.end(complete=complete)


def _encodable(value: Value) -> Value:
    """Return a value whose text UTF-8 can encode: a name may contain a lone surrogate."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


_WIDTHS: Final[Mapping[Kind, int]] = MappingProxyType({"time": 28, "text": 20})
_FILES: Final[Mapping[Format, Callable[[Path, Table, tzinfo], Writer]]] = MappingProxyType(
    {"csv": CsvFile, "xlsx": ExcelFile, "parquet": ParquetFile}
)
FORMATS: Final[tuple[Format, ...]] = ("csv", "xlsx", "parquet")
"""All formats of files."""


def open_file(path: Path, form: Format, table: Table, zone: tzinfo) -> Writer:
    """Return a file to write a table to. It replaces another one only once it is complete.

    Args:
        path: The file.
        form: Its format.
        table: The table.
        zone: The time zone of times in CSV and Excel.

    Raises:
        ImportError: The library of the format is not installed; the text says what to install.
        OSError: The file cannot be created.
    """
    try:
        return _FILES[form](path, table, zone)
    except ImportError as error:
        extra = "parquet" if form == "parquet" else "history"
        raise ImportError(f"a file of the format {form} needs: pip install 'sipqueue_async[{extra}]'") from error
