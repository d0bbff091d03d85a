"""How the command line ends: its exit codes, and the one line on stderr that says what went wrong."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Final

import click

from sipqueue_async import AuthError, SipQueueError
from sipqueue_async.cli.text import harmless

DONE: Final = 0
FAILED: Final = 1
"""Something went wrong on this machine while it ran: a full disk, for instance."""
USAGE: Final = 2
"""The arguments, the settings or the state file cannot be used; nothing has been done."""
REFUSED: Final = 3
UNREACHABLE: Final = 4
"""No good answer: the platform was not reached, or refused or failed what it was asked."""
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141
"""What a shell reports for a program that SIGPIPE ended, as it does most."""


class Failure(Exception):  # noqa: N818  # it is how a command ends, not what a caller handles
    """Ends the command with one line on stderr.

    Args:
        message: What is wrong and what to do about it.
        code: The exit code.
    """

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


def complain(message: str) -> None:
    """Print one line to stderr, harmless whatever is in the message."""
    # Nobody may be there to read it; the exit code tells as well.
    with contextlib.suppress(OSError):
        print(f"sipqueue: {harmless(' '.join(message.split()))}", file=sys.stderr, flush=True)


def end(error: Exception) -> int:
    """Say what an expected error means, and return the exit code for it; any other is raised again."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            code = USAGE
        case click.UsageError(ctx=context):
            command = "sipqueue" if context is None else context.command_path
            complain(f"{error.format_message().rstrip('.')}; see {command} --help")
            code = USAGE
        case click.Abort():
            code = INTERRUPTED
        case Failure():
            complain(str(error))
            code = error.code
        case SipQueueError():
            complain(str(error))
            code = REFUSED if isinstance(error, AuthError) and not error.retryable else UNREACHABLE
        case BrokenPipeError():
            _give_up_stdout()
            code = CLOSED_PIPE
        case OSError():
            _give_up_stdout()
            complain(f"cannot go on: {error.strerror or error}")
            code = FAILED
        case _:
            raise error
    return code


def _give_up_stdout() -> None:
    """Let what could not be written go nowhere, or the interpreter would try again at its end and complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
