"""The database: its URL, its schema and its migrations."""

from __future__ import annotations

import asyncio
import gc
import importlib
import pkgutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from sipqueue_async.history import History, HistoryError
from sipqueue_async.history.database import SCHEMAS, _set_up_file
from sipqueue_async.history.history import store_of
from sipqueue_async.history.migrations import versions
from sipqueue_async.history.schema import metadata
from tests.kit.postgres_server import PostgresServer

VIEWS = ("v_seats", "v_calls", "v_intervals", "v_hourly", "v_outages", "v_call_records")


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "the history's URL is invalid"),
        ("day.db", "the history's URL is invalid"),
        ("mysql://root:secret@host/x", "the history's URL begins with mysql: use sqlite:///FILE"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://host/day.db", "names no file"),
        ("sqlite:///a\0.db", "names no file"),
        ("postgresql://user:secret@host:port/x", "the history's URL is invalid"),
        ("postgresql://user:secret@host:99999/x", "has the port 99999: use one from 1 to 65535"),
        ("postgresql://user@host/x?password=secret", "has the parameter 'password': use only ssl, sslmode, host"),
    ],
)
def test_an_invalid_url_is_refused(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        History(url)
    assert "secret" not in str(caught.value)


def test_a_platform_needs_a_name() -> None:
    with pytest.raises(ValueError, match="platform needs a name"):
        History("sqlite:///day.db", platform="")


async def test_a_missing_server_is_an_error_without_the_password() -> None:
    history = History("postgresql://user:secret@127.0.0.1:1/day")
    with pytest.raises(HistoryError, match=r"the history postgresql://user:\*\*\*@127.0.0.1:1/day cannot be opened"):
        await history.__aenter__()
    assert "secret" not in repr(history)


async def test_a_url_of_postgresql_may_say_how_to_encrypt_as_other_programs_do(postgres_server: PostgresServer) -> None:
    url = postgres_server.database()
    async with History(f"{url}?sslmode=disable") as history:
        assert await history.baseline() is None
    with pytest.raises(HistoryError, match=r"cannot be opened: .* rejected SSL upgrade"):
        await History(f"{url}?sslmode=require").__aenter__()


async def test_an_unknown_database_is_an_error(postgres_server: PostgresServer) -> None:
    url = postgres_server.database()
    with pytest.raises(HistoryError, match='database "nowhere" does not exist'):
        await History(url.rpartition("/")[0] + "/nowhere").__aenter__()


async def test_a_file_that_is_not_a_database_is_left_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "day.db"
    path.write_text("not a database, but the only copy of something" * 100)
    with pytest.raises(HistoryError, match="cannot be opened: file is not a database"):
        await History(f"sqlite:///{path}").__aenter__()
    assert path.read_text().startswith("not a database")


async def test_an_error_says_what_a_file_of_sqlite_needs(tmp_path: Path) -> None:
    path = tmp_path / "day.db"
    async with History(f"sqlite:///{path}"):
        pass
    (tmp_path / "day.db-wal").mkdir()
    with pytest.raises(
        HistoryError, match="cannot be opened: SQLite cannot write files beside it, which it needs even"
    ):
        await History(f"sqlite:///{path}").__aenter__()
    with pytest.raises(HistoryError, match=r"cannot be opened: there is no folder .*nowhere"):
        await History(f"sqlite:///{tmp_path}/nowhere/day.db").__aenter__()
    with pytest.raises(HistoryError, match="cannot be opened: unable to open database file"):
        await History(f"sqlite:///{tmp_path}").__aenter__()


async def test_a_missing_file_is_made_unless_a_program_only_reads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/day.db"
    with pytest.raises(HistoryError, match=r"there is no history sqlite:///.*day\.db; a recorder makes one"):
        await History(url, create=False).__aenter__()
    assert not list(tmp_path.iterdir())
    async with History(url):
        pass
    async with History(url, create=False) as history:
        assert await history.baseline() is None


async def test_a_file_that_cannot_be_set_up_is_an_error_at_once(tmp_path: Path) -> None:
    """Only another program's lock is waited for."""
    path = tmp_path / "day.db"
    path.touch()
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        _set_up_file(connection)


async def test_a_file_that_another_program_opens_at_the_same_time_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself does not wait for a program that writes to a file of another mode."""
    with closing(sqlite3.connect(tmp_path / "day.db")) as other:
        other.executescript("CREATE TABLE other (a); BEGIN IMMEDIATE")
        opening = asyncio.create_task(History(f"sqlite:///{tmp_path}/day.db").__aenter__())
        await asyncio.wait([opening], timeout=1)
        assert not opening.done()
        other.rollback()
        history = await opening
        assert await history.baseline() is None
        await history.__aexit__(None, None, None)


async def test_closing_ends_although_it_is_cancelled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for steps in range(1, 20):
        history = await History(f"sqlite:///{tmp_path}/day.db").__aenter__()
        assert await history.baseline() is None
        closing_task = asyncio.create_task(history.__aexit__(None, None, None))
        for _ in range(steps):
            await asyncio.sleep(0)
        closing_task.cancel()
        await asyncio.wait([closing_task])
    # A connection that is left open warns when it is collected, and warnings are errors.
    gc.collect()
    assert not caplog.records


async def test_a_history_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="the history is not open: use it in 'async with'"):
        await History("sqlite:///day.db").baseline()


def test_each_version_of_the_schema_follows_the_one_before() -> None:
    names = [it.name for it in pkgutil.iter_modules(versions.__path__)]
    modules = [importlib.import_module(f"{versions.__name__}.{name}") for name in sorted(names)]
    assert tuple(it.revision for it in modules) == SCHEMAS
    assert [it.down_revision for it in modules] == [None, *SCHEMAS[:-1]]


async def test_the_migrations_make_the_schema(history_url: str) -> None:
    def differences(connection: Connection) -> object:
        # The tables do not have the indexes for the views of PostgreSQL.
        found = compare_metadata(MigrationContext.configure(connection), metadata)
        return [it for it in found if it[0] != "remove_index"]

    async with History(history_url) as history, store_of(history).database.reading() as connection:
        assert await connection.run_sync(differences) == []
        for view in VIEWS:
            assert (await connection.exec_driver_sql(f"SELECT * FROM {view}")).fetchall() == []


async def test_a_newer_schema_is_refused(history_url: str) -> None:
    async with History(history_url) as history, store_of(history).database.writing() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(HistoryError, match=r"has schema 9999, which a newer release wrote; .* upgrade sipqueue_async"):
        await History(history_url).__aenter__()
