"""Standard output as the commands see it: colour on a terminal only, and no character that it cannot take."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

ARROW: Final = "→"
ELLIPSIS: Final = "…"
_PLENTY: Final = 10_000


class Output:
    """Prints whole lines, each flushed before `line` returns.

    Args:
        stream: Where to.
        environ: The environment: ``NO_COLOR`` and ``TERM`` count.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self.terminal = stream.isatty()
        """Whether a person is likely to look on."""
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        self.arrow = ARROW if _takes(stream, ARROW) else "->"
        """How "became" is written here."""
        self.ellipsis = ELLIPSIS if _takes(stream, ELLIPSIS) else "~"
        """What stands here for what was cut off."""
        dumb = environ.get("TERM", "dumb") in {"", "dumb"}
        self.screen = self.terminal and not dumb
        """Whether it is a terminal that can be written to anywhere."""
        self.stream = stream
        """Where it prints to."""
        plain = not self.terminal or bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
        self.colour = not plain
        """Whether there is to be colour."""
        self._console = _Console(
            file=stream,
            force_terminal=self.terminal,
            # Without a colour system rich writes no escape sequence at all, where NO_COLOR alone would leave bold.
            color_system=None if plain else "auto",
            width=None if self.terminal else _PLENTY,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def line(self, text: Text | str = "") -> None:
        """Print one line, never wrapped or cut here."""
        self._console.print(text, soft_wrap=True)

    def text(self, text: str) -> None:
        """Write text as it is: for programs, and whole."""
        self._console.file.write(text)
        self._console.file.flush()

    def table(self, table: Table) -> None:
        """Print a table: as wide as the terminal allows, or in a pipe as wide as it is."""
        self._console.print(table)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command how to end; rich would end the process from in here."""
        raise  # noqa: PLE0704  # rich calls this while it handles the error


def _takes(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
