"""``sipqueue agent``: signs an extension in or out, pauses or resumes it, or ends its call."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from typing import Final, Unpack

import click

from sipqueue_async import SipQueueClient
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.exits import FAILED, Failure, complain
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import ServerOptions, client_of, settings_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.words import N_, _


class Action(StrEnum):
    """What is done to an extension."""

    SIGN_IN = "sign-in"
    SIGN_OUT = "sign-out"
    PAUSE = "pause"
    RESUME = "resume"
    HANG_UP = "hang-up"


_QUESTIONS: Final = {
    Action.SIGN_IN: N_("Sign {extension} in to {queue}?"),
    Action.SIGN_OUT: N_("Sign {extension} out of {queue}?"),
    Action.PAUSE: N_("Pause {extension}, so that it is given no more calls?"),
    Action.RESUME: N_("Let {extension} take calls again?"),
    Action.HANG_UP: N_("End the call of {extension}?"),
}
_ACTIONS: Final = (N_("sign-in"), N_("sign-out"), N_("pause"), N_("resume"), N_("hang-up"))
"""The values of `Action`, for the catalogue."""
_NEEDS_QUEUE: Final = frozenset({Action.SIGN_IN, Action.SIGN_OUT})


@click.command(
    "agent",
    epilog=options.examples(
        "sipqueue agent pause 100001",
        "sipqueue agent sign-out 100001 --queue queue-1 --yes",
    ),
)
@click.argument("action", type=click.Choice([action.value for action in Action]))
@click.argument("extension")
@click.option("--queue", help="The queue; sign-in and sign-out need one.")
@click.option("--yes", is_flag=True, help="Act without asking.")
@options.server
def command(*, action: str, extension: str, queue: str | None, yes: bool, **server: Unpack[ServerOptions]) -> Work:
    """Sign an extension in or out, pause or resume it, or end its call.

    It asks before it acts, and acts once: nothing is repeated after a timeout or a broken connection.
    """
    what = Action(action)
    if not extension or "," in extension:
        raise click.UsageError("EXTENSION must name one extension")
    if queue is None and what in _NEEDS_QUEUE:
        raise click.UsageError(f"{what} needs --queue")
    if queue is not None and (not queue or what is Action.HANG_UP):
        raise click.UsageError("--queue cannot be empty" if not queue else f"{what} takes no --queue")
    client = client_of(settings_of(server, os.environ))
    output = standard_output()
    if not yes:
        _ask(_(_QUESTIONS[what]).format(extension=harmless(extension), queue=harmless(queue or "")))
    return partial(act, client, output, what, extension, queue)


def _ask(question: str) -> None:
    """Ask on the terminal.

    Raises:
        Failure: The answer is no, or there is no terminal to ask on.
    """
    if sys.stdin is None or not sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        raise Failure("standard input is not a terminal, so the command cannot ask; use --yes to act without asking")
    if not click.confirm(question, err=True):
        raise Failure("nothing was done", FAILED)


async def act(client: SipQueueClient, output: Output, action: Action, extension: str, queue: str | None) -> None:
    """Do it, and say so."""
    acts: dict[Action, Callable[[], Awaitable[None]]] = {
        Action.SIGN_IN: lambda: client.sign_in(queue or "", extension),
        Action.SIGN_OUT: lambda: client.sign_out(queue or "", extension),
        Action.PAUSE: lambda: client.pause(extension, queue=queue),
        Action.RESUME: lambda: client.resume(extension, queue=queue),
        Action.HANG_UP: lambda: client.hang_up(extension),
    }
    async with client:
        try:
            await acts[action]()
        except asyncio.CancelledError:
            complain("no answer came; the command may have been executed, so check the status before you repeat it")
            raise
    done = _("{action}: {extension}, done") if queue is None else _("{action}: {extension} in {queue}, done")
    output.line(done.format(action=_(action), extension=harmless(extension), queue=harmless(queue or "")))
