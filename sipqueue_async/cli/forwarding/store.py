"""The state file of ``sipqueue forward``: an SQLite database with what was not delivered yet, and the dead letters."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import attrs

from sipqueue_async import Snapshot
from sipqueue_async.cli.exits import FAILED, Failure
from sipqueue_async.cli.filelock import locked
from sipqueue_async.cli.forwarding.outages import Outage

DEAD_KEPT: Final = 100_000
"""How many dead letters are kept; beyond it the oldest are deleted."""

_KIND: Final = 0x53515746
"""The application id in the file's header, by which files of other programs are recognised."""
_VERSION: Final = 1
_BUSY: Final = 30.0
"""Seconds to wait for a process that reads the dead letters."""

_TABLES: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE progress (one INTEGER PRIMARY KEY CHECK (one = 1), snapshot BLOB NOT NULL);
CREATE TABLE pending (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    kept_at REAL NOT NULL
);
CREATE INDEX pending_by_destination ON pending (destination, number);
CREATE TABLE dead (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    kept_at REAL NOT NULL,
    died_at REAL NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE gone (destination TEXT PRIMARY KEY, fingerprint TEXT NOT NULL);
PRAGMA application_id = {_KIND};
PRAGMA user_version = {_VERSION};
COMMIT;
"""
# Added to the files of earlier releases, which ignore them.
_ADDED_TABLES: Final = """
CREATE TABLE IF NOT EXISTS outage (one INTEGER PRIMARY KEY CHECK (one = 1), since TEXT, kept_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS pauses (
    destination TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, failures INTEGER NOT NULL, until REAL NOT NULL
);
"""


@attrs.frozen
class Message:
    """An event on its way to one destination."""

    number: int
    """Its place in the order."""
    id: str
    """The same for every attempt and every destination."""
    body: bytes
    kept_at: float
    """When it was put into the file, in seconds since 1970."""


@attrs.frozen
class DeadLetter:
    """An event that a destination did not get."""

    destination: str
    id: str
    body: bytes
    kept_at: float
    died_at: float
    """When it was given up, in seconds since 1970."""
    reason: str


@attrs.frozen
class Pause:
    """How long a destination is left alone after failures."""

    failures: int
    """Failed attempts since the last success."""
    until: float
    """When the next attempt is due, in seconds since 1970."""


class Store:
    """The state file. Each change is one transaction, which is on the disk when the method returns.

    Only one process can write it. Others can read the dead letters at the same time.

    Args:
        path: The file; it is created if it does not exist.
        read_only: Only read the dead letters of an existing file.

    Raises:
        Failure: The file cannot be used, or another process writes it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._given = path
        self._path = path.resolve()
        with ExitStack() as stack:
            self._check_place(must_exist=read_only)
            if not read_only:
                stack.enter_context(locked(self._path, path))
            self._database = stack.enter_context(closing(self._opened(read_only=read_only)))
            self._open = stack.pop_all()

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # ---- opening ------------------------------------------------------------------------------------------------

    def _check_place(self, *, must_exist: bool) -> None:
        if not self._path.parent.is_dir():
            raise Failure(
                f"the state file {self._given} cannot be written: its directory does not exist; create it first"
            )
        if self._path.exists() and not self._path.is_file():
            raise Failure(f"the state file {self._given} is not a regular file: choose another path")
        if self._path.exists() and self._path.stat().st_nlink > 1:
            # Neither the lock nor SQLite's own files would be found by the other name.
            raise Failure(f"the state file {self._given} has a second name, a hard link: delete one of the names")
        # Opening an empty file would disturb the process that is creating its tables.
        if must_exist and not (self._path.exists() and self._path.stat().st_size):
            raise Failure(f"there is no state file {self._given}")

    def _opened(self, *, read_only: bool) -> sqlite3.Connection:
        with ExitStack() as stack:
            try:
                # SQLite would create the file readable by other users; it contains names.
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
                if not read_only:
                    self._make_private()
                database = sqlite3.connect(self._path, timeout=_BUSY, isolation_level=None)
                stack.enter_context(closing(database))
                self._prepare(database, read_only=read_only)
            except (OSError, sqlite3.Error) as error:
                raise self._failure("cannot be used", error) from None
            stack.pop_all()
        return database

    def _make_private(self) -> None:
        """Take the access of other users to an existing file away, and to the files of SQLite beside it."""
        for suffix in ("", "-wal", "-shm"):
            path = self._path.with_name(self._path.name + suffix)
            if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                path.chmod(0o600)

    def _prepare(self, database: sqlite3.Connection, *, read_only: bool) -> None:
        database.execute("BEGIN")
        (kind,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        database.execute("COMMIT")
        is_empty = (kind, version, tables) == (0, 0, 0)
        if not is_empty and (kind, version) != (_KIND, _VERSION):
            what = f"its version is {version}, not {_VERSION}" if kind == _KIND else "another program wrote it"
            raise Failure(f"the state file {self._given} cannot be used: {what}; choose another path")
        if read_only:
            if is_empty:
                raise Failure(f"the state file {self._given} is still empty")
            return
        # The write-ahead log lets others read; FULL waits for the disk at each commit.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        if is_empty:
            database.executescript(_TABLES)
        database.executescript(_ADDED_TABLES)

    # ---- writing ------------------------------------------------------------------------------------------------

    def _failure(self, what: str, error: Exception) -> Failure:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return Failure(f"the state file {self._given} {what}: {reason}", FAILED)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise self._failure("cannot be written", error) from None

    def keep(
        self,
        snapshot: Snapshot | None,
        messages: Iterable[tuple[str, str, bytes]],
        now: float,
        outage: Outage | None = None,
    ) -> None:
        """Put messages into the file, together with the snapshot that a restart continues from.

        Args:
            snapshot: The snapshot after the events; None if there is none yet.
            messages: For each its destination, id and body, in order.
            now: The time in seconds since 1970.
            outage: The outage of the feed after the events; None if the feed is up.
        """
        rows = [(*it, now) for it in messages]
        with self._transaction() as database:
            database.executemany("INSERT INTO pending (destination, id, body, kept_at) VALUES (?, ?, ?, ?)", rows)
            if snapshot is not None:
                database.execute("REPLACE INTO progress VALUES (1, ?)", (snapshot.to_json(),))
            database.execute("DELETE FROM outage")
            if outage is not None:
                since = None if outage.since is None else outage.since.isoformat()
                database.execute("INSERT INTO outage VALUES (1, ?, ?)", (since, outage.kept_at))

    def done(self, message: Message) -> None:
        """Forget a delivered message."""
        with self._transaction() as database:
            database.execute("DELETE FROM pending WHERE number = ?", (message.number,))

    def bury(
        self,
        destination: str,
        reason: str,
        now: float,
        *,
        until: int | None = None,
        kept_before: float | None = None,
        spare: int | None = None,
    ) -> int:
        """Turn messages of a destination into dead letters, and return how many.

        Args:
            destination: The destination's name.
            reason: Why they are given up.
            now: The time in seconds since 1970.
            until: Only messages up to this number.
            kept_before: Only messages that were put into the file before this time, or at it.
            spare: Not the message with this number.
        """
        which = (
            "destination = :destination AND (:until IS NULL OR number <= :until)"
            " AND (:kept_before IS NULL OR kept_at <= :kept_before) AND number IS NOT :spare"
        )
        values = {
            "destination": destination, "until": until, "kept_before": kept_before, "spare": spare, "now": now,
            "reason": reason, "most": DEAD_KEPT,
        }  # fmt: skip
        with self._transaction() as database:
            database.execute(
                "INSERT INTO dead (destination, id, body, kept_at, died_at, reason)"  # noqa: S608  # a constant
                f" SELECT destination, id, body, kept_at, :now, :reason FROM pending WHERE {which} ORDER BY number",
                values,
            )
            number = database.execute(f"DELETE FROM pending WHERE {which}", values).rowcount  # noqa: S608
            database.execute("DELETE FROM dead WHERE number <= (SELECT max(number) FROM dead) - :most", values)
        return number

    def end(self, destination: str, fingerprint: str) -> None:
        """Note that a destination wants no more messages."""
        with self._transaction() as database:
            database.execute("REPLACE INTO gone VALUES (?, ?)", (destination, fingerprint))

    def pause(self, destination: str, fingerprint: str, pause: Pause) -> None:
        """Note how long a destination is left alone."""
        with self._transaction() as database:
            values = (destination, fingerprint, pause.failures, pause.until)
            database.execute("REPLACE INTO pauses VALUES (?, ?, ?, ?)", values)

    def resume(self, destination: str) -> None:
        """Forget the pause of a destination that has answered."""
        with self._transaction() as database:
            database.execute("DELETE FROM pauses WHERE destination = ?", (destination,))

    # ---- reading ------------------------------------------------------------------------------------------------

    def _rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._database.execute(query, values)
        except sqlite3.Error as error:
            raise self._failure("cannot be read", error) from None

    def _number(self, query: str, *values: object) -> int | None:
        for (number,) in self._rows(query, *values):
            return int(number)
        return None

    def snapshot(self) -> Snapshot | None:
        """Return the snapshot to continue from; None if there is none.

        Raises:
            Failure: The file cannot be read, or the snapshot is damaged.
        """
        try:
            for (data,) in self._rows("SELECT snapshot FROM progress"):
                return Snapshot.from_json(data)
        except ValueError as error:
            raise Failure(f"the state file {self._given} cannot be used: {error}; move it away to begin anew") from None
        return None

    def outage(self) -> Outage | None:
        """Return the outage that the last events left the feed in; None if it was up."""
        for since, kept_at in self._rows("SELECT since, kept_at FROM outage"):
            return Outage(None if since is None else datetime.fromisoformat(since), kept_at)
        return None

    def paused(self, destination: str, fingerprint: str) -> Pause | None:
        """Return how long the destination with this fingerprint is left alone; None if its last attempt succeeded."""
        query = "SELECT failures, until FROM pauses WHERE destination = ? AND fingerprint = ?"
        return next((Pause(*row) for row in self._rows(query, destination, fingerprint)), None)

    def first(self, destination: str) -> Message | None:
        """Return a destination's next message; None if it has got all."""
        query = "SELECT number, id, body, kept_at FROM pending WHERE destination = ? ORDER BY number LIMIT 1"
        return next((Message(*row) for row in self._rows(query, destination)), None)

    def pending(self, destination: str | None = None) -> int:
        """Return the number of messages that wait for a destination, or for any."""
        query = "SELECT count(*) FROM pending WHERE ? IS NULL OR destination = ?"
        return self._number(query, destination, destination) or 0

    def surplus(self, destination: str, most: int) -> int | None:
        """Return the number of the last message that is older than the newest `most` ones; None if there is none."""
        query = "SELECT number FROM pending WHERE destination = ? ORDER BY number DESC LIMIT 1 OFFSET ?"
        return self._number(query, destination, most)

    def waiting_for_others(self, destinations: Collection[str]) -> list[str]:
        """Return the destinations other than these for which messages wait."""
        found = [str(name) for (name,) in self._rows("SELECT DISTINCT destination FROM pending")]
        return sorted(set(found).difference(destinations))

    def has_ended(self, destination: str, fingerprint: str) -> bool:
        """Return whether the destination wants no more messages at the URL with this fingerprint."""
        query = "SELECT 1 FROM gone WHERE destination = ? AND fingerprint = ?"
        return self._number(query, destination, fingerprint) is not None

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Yield the dead letters, the oldest first."""
        query = "SELECT destination, id, body, kept_at, died_at, reason FROM dead ORDER BY number"
        for row in self._rows(query):
            yield DeadLetter(*row)
