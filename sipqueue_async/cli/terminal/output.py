"""Standard output as the commands see it: coloured on a terminal only, and without characters that it cannot encode."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Generator, Iterable, Mapping
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sipqueue_async.cli.appending import ends_within_a_line, written_whole
from sipqueue_async.cli.exits import FAILED, Failure
from sipqueue_async.cli.terminal.wrapping import wrapped

ARROW: Final = "→"
ELLIPSIS: Final = "…"
_UNLIMITED: Final = 10_000


class Output:
    """Prints whole lines and flushes each call.

    Args:
        stream: The stream to print to.
        environ: The environment; ``NO_COLOR`` and ``TERM`` are read.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self.stream = stream
        """The stream it prints to."""
        self.terminal = stream.isatty()
        """Whether it is a terminal."""
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        self.arrow = ARROW if _can_encode(stream, ARROW) else "->"
        """The sign between an old and a new value."""
        self.ellipsis = ELLIPSIS if _can_encode(stream, ELLIPSIS) else "~"
        """The sign for text that was cut off."""
        dumb = environ.get("TERM", "dumb") in {"", "dumb"}
        self.screen = self.terminal and not dumb
        """Whether it is a terminal with a cursor that can be moved."""
        plain = not self.terminal or bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        self.colour = not plain
        """Whether colours are used."""
        self._console = _Console(
            file=stream,
            force_terminal=self.terminal,
            # Without a colour system rich writes no escape sequence at all; NO_COLOR alone would leave bold.
            color_system=None if plain else "auto",
            width=None if self.terminal else _UNLIMITED,
            markup=False,
            emoji=False,
            highlight=False,
        )
        self._has_begun = False

    def can_show(self, text: str) -> bool:
        """Return whether the stream's encoding has all characters of a text."""
        return _can_encode(self.stream, text)

    def line(self, text: Text | str = "") -> None:
        """Print one line, which is neither wrapped nor cut."""
        with self._writing():
            self._console.print(text, soft_wrap=True)

    def wrapped(self, text: Text | str, indent: int = 0) -> None:
        """Print one line; on a terminal that is too narrow, wrap it between words.

        Args:
            text: The line.
            indent: How many cells the wrapped lines are indented.
        """
        line = text if isinstance(text, Text) else Text(text)
        self.lines([line] if self.width is None else wrapped(line, self.width, indent))

    def lines(self, lines: Iterable[Text]) -> None:
        """Print lines in one call: one by one, thousands take seconds."""
        self.line(Text("\n").join(lines))

    @property
    def width(self) -> int | None:
        """The terminal's width in cells; None if the output is not a terminal."""
        if not self.terminal:
            return None
        with contextlib.suppress(OSError):
            # A serial line may report 0.
            return os.get_terminal_size(self.stream.fileno()).columns or self._console.width
        return self._console.width

    def text(self, text: str) -> None:
        """Write text unchanged."""
        with self._writing():
            self.stream.write(text)
            self.stream.flush()

    def table(self, table: Table) -> None:
        """Print a table as wide as the terminal allows, or in a pipe as wide as it is."""
        with self._writing():
            self._console.print(table)

    @contextlib.contextmanager
    def _writing(self) -> Generator[None]:
        """End the line that an earlier run left unfinished in the file, and let errors say what cannot be written."""
        try:
            if not self._has_begun:
                self._has_begun = True
                if ends_within_a_line(self.stream):
                    self.stream.write("\n")
            yield
        except OSError as error:
            error.filename = "standard output"
            raise


def standard_output() -> Output:
    """Return the process's standard output.

    Raises:
        Failure: It is closed.
    """
    # Python has no stdout if the shell closed it (>&-).
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise Failure("standard output is closed, so there is nowhere to print to", FAILED)
    return Output(written_whole(sys.stdout), os.environ)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error instead of ending the process, as rich would."""
        raise  # noqa: PLE0704  # rich calls this while it handles the error


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
