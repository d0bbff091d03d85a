"""The option ``--calls`` of ``sipqueue record``: records the platform's call records beside the status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import attrs
import click

from sipqueue_async import Feed, SipQueueClient
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.origin import Origin
from sipqueue_async.cli.timespan import HELP, span_of
from sipqueue_async.records import CallCursor, CallFeed

if TYPE_CHECKING:
    from sipqueue_async.history import CallRecorder, History
    from sipqueue_async.history.call_rows import Numbers

_Command = TypeVar("_Command", bound=Callable[..., Any])

_NUMBERS: Final = ("none", "prefix", "full")


class CallOptions(TypedDict):
    """The options that `call_options` adds."""

    calls: bool
    calls_since: str | None
    numbers: Numbers | None


@attrs.frozen(kw_only=True)
class CallPlan:
    """How calls are recorded."""

    since: datetime
    """Where the first run begins (aware, in the server's time zone)."""
    numbers: Numbers = "none"
    """What is stored of telephone numbers."""


def call_options(command: _Command) -> _Command:
    """Add the options that make up `CallOptions`."""
    for option in (
        click.option(
            "--numbers",
            type=click.Choice(_NUMBERS),
            help="With --calls: what to store of telephone numbers, which are personal data: nothing (the default), "
            "the first four digits, or everything.",
        ),
        click.option(
            "--calls-since",
            help=f"With --calls: where the first run begins, {HELP}; by default today. Later runs continue.",
        ),
        click.option("--calls", is_flag=True, help="Record the platform's call records too; needs --timezone."),
    ):
        command = option(command)
    return command


def call_plan(given: CallOptions, timezone: str | None) -> CallPlan | None:
    """Return how to record calls, or None if they are not asked for.

    Args:
        given: The options.
        timezone: The server's time zone, whose name the client has checked.

    Raises:
        click.UsageError: An option needs ``--calls``, or names no time.
        Failure: The time zone is not known.
    """
    since, numbers = given["calls_since"], given["numbers"]
    if not given["calls"]:
        for name, value in (("--calls-since", since), ("--numbers", numbers)):
            if value is not None:
                raise click.UsageError(f"{name} needs --calls")
        return None
    if timezone is None:
        raise Failure("the server's time zone is needed: use --timezone, such as --timezone Asia/Shanghai")
    zone = ZoneInfo(timezone)
    start, _ = span_of(since or "today", None, zone, datetime.now(UTC), option="--calls-since")
    return CallPlan(since=start.astimezone(zone), numbers=numbers or "none")


async def followed_calls(history: History, origin: Origin, feed: Feed, plan: CallPlan | None) -> CallFeed | None:
    """Return a feed that continues the recorded calls, if they are to be recorded."""
    if plan is None or not isinstance(origin, SipQueueClient):
        return None
    cursor = await history.call_cursor()
    return CallFeed(origin, cursor or CallCursor(since=plan.since), status=feed)


@asynccontextmanager
async def recording_calls(
    history: History, calls: CallFeed | None, plan: CallPlan | None
) -> AsyncGenerator[CallRecorder | None]:
    """Record calls inside the block, if there is a feed of them."""
    if calls is None or plan is None:
        yield None
        return
    # Imported lazily: it needs SQLAlchemy.
    from sipqueue_async.history import CallRecorder  # noqa: PLC0415

    async with CallRecorder(history, calls, numbers=plan.numbers) as recorder:
        yield recorder


async def first_of(*waits: Awaitable[None]) -> None:
    """Wait until one of several ends, and raise its error."""
    tasks = [asyncio.ensure_future(it) for it in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
