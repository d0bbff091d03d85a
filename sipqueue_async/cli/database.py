"""The database of a history, as options of commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import click

from sipqueue_async import Feed, SeatFilter, SipQueueError, Snapshot
from sipqueue_async.cli.absent import check_all_watched, describe_absent
from sipqueue_async.cli.exits import ABSENT, FAILED, Failure, complain
from sipqueue_async.cli.logs import log_on_stderr
from sipqueue_async.cli.settings import has_password

if TYPE_CHECKING:
    from sipqueue_async.history import History, Recorder

VARIABLE: Final = "SIPQUEUE_DB"
"""Names the database, with a password if need be."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


class DatabaseOptions(TypedDict):
    """The options for a history, as `database` adds them; None if an option is not given."""

    db_url: str | None
    platform: str


def database(command: _Command) -> _Command:
    """Add the options that make up `DatabaseOptions`."""
    for option in (
        click.option(
            "--platform", default="main", show_default=True, help="The platform's name, if several share the database."
        ),
        click.option(
            "--db",
            "db_url",
            help="The history's database: sqlite:///day.db or postgresql://user@host/name, without a password. "
            "Overrides SIPQUEUE_DB.",
        ),
    ):
        command = option(command)
    return command


def history_of(options: DatabaseOptions, environ: Mapping[str, str]) -> History:
    """Return the history that the options or the environment name.

    Raises:
        Failure: There is none, its URL is invalid, or the extra is not installed.
    """
    option = options["db_url"]
    if option is not None and has_password(option):
        raise Failure(f"other users can see a program's arguments: put a URL with a password in {VARIABLE}")
    url = option or environ.get(VARIABLE)
    if not url:
        raise Failure(f"no database given: use --db, such as --db sqlite:///day.db, or set {VARIABLE}")
    try:
        # Imported lazily: the other commands must not require SQLAlchemy.
        from sipqueue_async.history import History  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise Failure(f"a history needs {error.name}: pip install 'sipqueue_async[history]'") from None
    try:
        return History(url, platform=options["platform"])
    except ValueError as error:
        raise Failure(str(error)) from None


def chosen_history(options: DatabaseOptions, environ: Mapping[str, str]) -> History | None:
    """Return the history to record to if ``--db`` is given, otherwise None.

    Raises:
        Failure: As for `history_of`.
    """
    return None if options["db_url"] is None else history_of(options, environ)


@asynccontextmanager
async def opened(history: History) -> AsyncGenerator[History]:
    """Open a database for the block.

    Raises:
        Failure: The database cannot be opened, read or written, also inside the block.
    """
    from sipqueue_async.history import HistoryError  # noqa: PLC0415

    try:
        async with history:
            yield history
    except HistoryError as error:
        raise Failure(str(error), FAILED) from None


@asynccontextmanager
async def opened_to_read(history: History, seats: SeatFilter | None = None) -> AsyncGenerator[History]:
    """Open an existing database for the block.

    Args:
        history: The history.
        seats: The queues and extensions to read.

    Raises:
        Failure: As for `opened`; or there is no such file, or a queue or an extension was never recorded.
    """
    _check_exists(history)
    async with opened(history):
        if seats is not None and (known := await history.seats()):
            absent = describe_absent(seats, filter(seats.admits, known), known)
            if absent is not None:
                raise Failure(absent, ABSENT)
        yield history


def _check_exists(history: History) -> None:
    _, is_sqlite, path = history.url.partition("sqlite:///")
    if is_sqlite and not Path(path.partition("?")[0]).exists():
        raise Failure(f"there is no database {path}; sipqueue record makes one")


@asynccontextmanager
async def baseline_of(history: History | None, seats: SeatFilter) -> AsyncGenerator[Snapshot | None]:
    """Open a database for the block, if there is one, and yield the last recorded status.

    Args:
        history: The history.
        seats: The seats that will be recorded.

    Raises:
        Failure: As for `opened`; or the status has other seats, which would be recorded as leaving.
    """
    async with AsyncExitStack() as stack:
        baseline = None
        if history is not None:
            await stack.enter_async_context(opened(history))
            baseline = await history.baseline()
            check_all_watched(baseline or (), seats, history.url, "another database or --platform")
        yield baseline


@asynccontextmanager
async def recording(history: History | None, feed: Feed) -> AsyncGenerator[None]:
    """Record a feed while the block runs, if there is an open history to record to; print what hinders it."""
    async with AsyncExitStack() as stack:
        if history is not None:
            from sipqueue_async.history import Recorder  # noqa: PLC0415

            stack.enter_context(log_on_stderr())
            recorder = await stack.enter_async_context(Recorder(history, feed))
            task = asyncio.create_task(_report_end(recorder))
            stack.callback(task.cancel)
        yield


async def _report_end(recorder: Recorder) -> None:
    try:
        await recorder.wait()
    except SipQueueError as error:
        complain(f"recording has ended: {error}", level="error")
