"""`Database`: the engine, its transactions, and the schema's migrations."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import asyncpg
from sqlalchemy import Connection, event, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sipqueue_async._closing import run_uncancelled
from sipqueue_async.history.errors import HistoryError

SCHEMAS: Final = ("0001", "0002", "0003")
"""The versions of the schema, the newest last."""

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_PARAMETERS: Final = ("ssl", "sslmode", "host", "port", "passfile", "target_session_attrs")
"""The parameters of a URL of PostgreSQL."""
_WRITES: Final = "sipqueue_writes"
_BUSY_TIMEOUT: Final = 30
"""How many seconds a connection to SQLite waits for another one to end its transaction."""
_CLOSE_TIMEOUT: Final = 5
"""How many seconds a server that does not answer delays the closing of its connections."""
_MIGRATION_LOCK: Final = 0x5153_4951
"""The advisory lock in PostgreSQL that lets only one program migrate."""

DATABASE_ERRORS: Final = (SQLAlchemyError, OSError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""The errors of SQLAlchemy, and those of the drivers that it does not wrap: in scripts, and while connecting."""


class Database:
    """One database.

    Args:
        url: ``sqlite:///day.db`` (relative), ``sqlite:////var/lib/day.db`` (absolute), or
            ``postgresql://user:password@host/name``.
        create: Whether a file of SQLite that is missing is made.

    Raises:
        ValueError: The URL is invalid.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._url = _checked(url)
        self._create = create
        self._engine: AsyncEngine | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite."""
        return self._url.get_backend_name() == "sqlite"

    @property
    def dialect(self) -> Any:
        """SQLAlchemy's dialect."""
        return self._open_engine().dialect

    def __str__(self) -> str:
        """Return the URL without the password."""
        return self._url.set(drivername=self._url.get_backend_name()).render_as_string(hide_password=True)

    async def open(self) -> None:
        """Connect, and bring the schema up to date.

        Raises:
            HistoryError: There is no connection, the file is missing and is not to be made, or a newer release wrote
                the schema.
        """
        if self.is_sqlite:
            await asyncio.to_thread(self._probe)
        engine = _engine(self._url)
        try:
            with self.translated("opened"):
                async with engine.connect() as connection:
                    version = await connection.run_sync(_version)
                self._check(version)
                if version != SCHEMAS[-1]:
                    async with engine.execution_options(**{_WRITES: True}).begin() as connection:
                        await connection.run_sync(self._migrate)
        except BaseException:
            await run_uncancelled(partial(_dispose, engine))
            raise
        self._engine = engine

    def _probe(self) -> None:
        if not self._create and not Path(str(self._url.database)).exists():
            raise HistoryError(f"there is no history {self}; a recorder makes one")
        # If aiosqlite cannot open a file, its thread may outlive the event loop, and prints a traceback.
        try:
            with closing(sqlite3.connect(str(self._url.database), timeout=_BUSY_TIMEOUT)) as connection:
                _set_up_file(connection)
        except sqlite3.Error as error:
            raise HistoryError(self._failure("opened", _why_unopened(error, Path(str(self._url.database))))) from None

    async def close(self) -> None:
        """Close all connections."""
        engine, self._engine = self._open_engine(), None
        # If this were cancelled, as by a second Ctrl-C, SQLAlchemy would print a traceback for each connection.
        await run_uncancelled(partial(_dispose, engine))

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """Give a connection to read with: a transaction, which sees one state of the database.

        Raises:
            HistoryError: The database cannot be read.
        """
        with self.translated("read"):
            async with self._open_engine().connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """Give a transaction to write in; it is committed at the end, and rolled back after an exception.

        Raises:
            HistoryError: The database cannot be written.
        """
        with self.translated("written"):
            async with self._open_engine().execution_options(**{_WRITES: True}).begin() as connection:
                yield connection

    @asynccontextmanager
    async def plain(self) -> AsyncGenerator[AsyncConnection]:
        """Give a connection without transactions, for maintenance.

        Raises:
            HistoryError: The database cannot be written.
        """
        with self.translated("written"):
            async with self._open_engine().connect() as connection:
                yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def translated(self, what: Literal["opened", "read", "written"]) -> Generator[None]:
        """Translate the errors of drivers inside the block.

        Raises:
            HistoryError: One of them was raised.
        """
        try:
            yield
        except DATABASE_ERRORS as error:
            failure = HistoryError(self._failure(what, _reason(error)))
            # Only rows that exist already stay a reason for ever.
            failure.retryable = not isinstance(error, IntegrityError)
            raise failure from None

    def _failure(self, what: str, reason: str) -> str:
        # Whole sentences, because these are translated.
        match what:
            case "opened":
                return f"the history {self} cannot be opened: {reason}"
            case "read":
                return f"the history {self} cannot be read: {reason}"
            case _:
                return f"the history {self} cannot be written: {reason}"

    def _open_engine(self) -> AsyncEngine:
        if self._engine is None:
            raise RuntimeError("the history is not open: use it in 'async with'")
        return self._engine

    def _check(self, version: str | None) -> None:
        if version is not None and version not in SCHEMAS:
            raise HistoryError(
                f"the history {self} has schema {version}, which a newer release wrote; this release knows schemas up "
                f"to {SCHEMAS[-1]}: upgrade sipqueue_async"
            )

    def _migrate(self, connection: Connection) -> None:
        """Apply the migrations that are missing, while no other program does."""
        if not self.is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        # Another program may have done it meanwhile; then there is nothing left to do.
        upgrade(connection)


def _why_unopened(error: sqlite3.Error, path: Path) -> str:
    """Return the reason with what to do about it: SQLite has one sentence for several reasons."""
    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN:
        return str(error)
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if path.is_file():
        return "SQLite cannot write files beside it, which it needs even to read: use a folder that you may write to"
    return str(error)


async def _dispose(engine: AsyncEngine) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await engine.dispose()


def upgrade(connection: Connection) -> None:
    """Apply the missing migrations in a transaction."""
    # Imported lazily: Alembic is needed only when the schema changes.
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, _: object) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    with EnvironmentContext(config, script, fn=steps, destination_rev="head") as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()


def _version(connection: Connection) -> str | None:
    """Return the version of the schema, or None if there is no schema yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("the history's URL is invalid: use sqlite:///FILE or postgresql://USER@HOST/NAME") from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise ValueError(
            f"the history's URL begins with {parsed.drivername}: use sqlite:///FILE or postgresql://USER@HOST/NAME"
        )
    parsed = parsed.set(drivername=driver)
    return _checked_file(parsed) if parsed.get_backend_name() == "sqlite" else _checked_server(parsed)


def _checked_file(url: URL) -> URL:
    if url.host or url.database in {None, "", ":memory:"} or "\0" in str(url.database):
        raise ValueError("the history's URL names no file: use sqlite:///FILE, such as sqlite:///day.db")
    return url


def _checked_server(url: URL) -> URL:
    if url.port is not None and url.port not in range(1, 65536):
        raise ValueError(f"the history's URL has the port {url.port}: use one from 1 to 65535")
    for name in url.query:
        if name not in _PARAMETERS:
            raise ValueError(f"the history's URL has the parameter {name!r}: use only {', '.join(_PARAMETERS)}")
    # asyncpg has another name for libpq's parameter.
    mode = url.query.get("sslmode")
    return url if mode is None else url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, connect_args={"timeout": _BUSY_TIMEOUT})
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    # A connection that the server closed is noticed before it is used.
    return create_async_engine(url, pool_pre_ping=True, connect_args={"timeout": 10, "command_timeout": 60})


def _set_up_file(connection: sqlite3.Connection) -> None:
    """Make the settings that SQLite keeps in the file."""
    give_up_at = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            # Takes effect in a new file only: removed rows can then be given back to the file system bit by bit.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait here, in spite of the timeout, if another program opens the new file too.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return


def _set_up_sqlite(connection: Any, _: object) -> None:
    # The driver begins transactions late and commits before some statements; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A crash of the program loses nothing. A power failure may lose the last transactions, but damages nothing.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    # A transaction that reads first and writes later can fail if another program writes in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES) else "BEGIN")


def _reason(error: BaseException) -> str:
    """Return what a driver says, without the statement and its values."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    return str(error).splitlines()[0] if str(error) else type(error).__name__
