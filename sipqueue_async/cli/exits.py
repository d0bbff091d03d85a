"""How the command line ends: its exit codes, and one line on stderr that says what went wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from datetime import UTC, datetime
from typing import Final

import click

from sipqueue_async import AuthError, SipQueueError
from sipqueue_async._language import ENGLISH, language, translated
from sipqueue_async._text import harmless
from sipqueue_async.cli.appending import ends_within_a_line

DONE: Final = 0
FAILED: Final = 1
"""Something failed on this machine while the command ran, such as a full disk."""
USAGE: Final = 2
"""The arguments, the settings or the state file are invalid; the command has not started."""
REFUSED: Final = 3
UNREACHABLE: Final = 4
"""The platform was not reached, or it refused or failed the request."""
ABSENT: Final = 5
"""A queue or an extension that the user named is not there."""
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141
"""The code that shells report for a program ended by SIGPIPE."""


class Failure(Exception):  # noqa: N818  # it ends a command; no caller handles it
    """Ends the command with one line on stderr.

    Args:
        message: What is wrong and what to do about it.
        code: The exit code.
    """

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


class _Log:
    """How lines on stderr are written."""

    is_json = False


def write_json(is_json: bool) -> None:
    """Choose whether lines on stderr are JSON objects, for programs that collect logs, or text for people."""
    _Log.is_json = is_json


def writes_json() -> bool:
    """Return whether lines on stderr are JSON objects."""
    return _Log.is_json


def complain(message: str, *, level: str = "warning", exception: str | None = None) -> None:
    """Print one line to stderr: text without control characters, which a narrow terminal gets wrapped, or JSON.

    Args:
        message: The text in English; people get it in the language in force.
        level: ``info``, ``warning`` or ``error``; only JSON shows it.
        exception: A traceback; only JSON shows it.
    """
    # stderr may be closed; the exit code is still right.
    with contextlib.suppress(OSError):
        # A full disk may have cut off the line before.
        if sys.stderr is not None and ends_within_a_line(sys.stderr):
            print(file=sys.stderr)
        print(_log_line(message, level, exception) if _Log.is_json else _line(message), file=sys.stderr, flush=True)


def _line(message: str) -> str:
    line = f"sipqueue: {harmless(_joined(' '.join(translated(message).split())))}"
    if sys.stderr is not None and sys.stderr.isatty():
        line = _fitted(line, os.get_terminal_size(sys.stderr.fileno()).columns)
    return line


def _joined(text: str) -> str:
    """Return a text without what joins sentences in English: click writes a space or a full stop between its own."""
    if language() == ENGLISH:
        return text
    return _SPACE.sub("", _STOP.sub("。", text))


_STOP: Final = re.compile(r"\. (?=[\u4e00-\u9fff])")
_SPACE: Final = re.compile(r"(?<=[。，；：？！）]) ")


def _log_line(message: str, level: str, exception: str | None) -> str:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    document = {"time": at, "level": level, "message": message}
    return json.dumps(document if exception is None else document | {"exception": exception}, separators=(",", ":"))


def _fitted(line: str, width: int) -> str:
    # Imported lazily: in a pipe no line is wrapped. A serial line may report a width of 0.
    from rich.text import Text  # noqa: PLC0415

    from sipqueue_async.cli.terminal.wrapping import wrapped  # noqa: PLC0415

    return "\n".join(it.plain for it in wrapped(Text(line), width or 80))


def end(error: Exception) -> int:
    """Print an expected error and return its exit code; re-raise any other."""
    match error:
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            code = USAGE
        case click.UsageError(ctx=context):
            command = "sipqueue" if context is None else context.command_path
            complain(f"{error.format_message().rstrip('.。')}; see {command} --help", level="error")
            code = USAGE
        case click.Abort():
            code = INTERRUPTED
        case Failure():
            complain(str(error), level="error")
            code = error.code
        case SipQueueError():
            complain(str(error), level="error")
            code = REFUSED if isinstance(error, AuthError) and not error.retryable else UNREACHABLE
        case BrokenPipeError():
            _give_up_stdout()
            code = CLOSED_PIPE
        case OSError():
            _give_up_stdout()
            reason = error.strerror or str(error)
            reason = reason if error.filename is None else f"{error.filename}: {reason}"
            complain(f"cannot continue: {reason}", level="error")
            code = FAILED
        case _:
            raise error
    return code


def _give_up_stdout() -> None:
    """Discard the unwritten output, or the interpreter would try again at exit and print an error."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
