"""Help for terminals of any width, in the language in force."""

from __future__ import annotations

import copy
import gettext
import inspect
import shutil
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import click

from sipqueue_async._language import ENGLISH, language
from sipqueue_async.cli.breaking import broken, cells
from sipqueue_async.cli.words import N_, _

_Command = TypeVar("_Command", bound=click.Command)

_NARROW: Final = 52
"""Click wraps help at 50 columns or more; on a narrower terminal, words would break."""
EXAMPLES: Final = N_("Examples:")
_METAVARS: Final = {
    "text": N_("TEXT"),
    "integer": N_("INTEGER"),
    "integer range": N_("INTEGER RANGE"),
    "float": N_("FLOAT"),
    "float range": N_("FLOAT RANGE"),
    "path": N_("PATH"),
}
"""What click writes for a value, by the name of the value's type."""


class HelpFormatter(click.HelpFormatter):
    """Formats help for terminals of any width. On narrow ones, an option's text begins on the line below its name."""

    def __init__(self, width: int | None = None, **options: Any) -> None:
        columns = shutil.get_terminal_size().columns
        self._is_narrow = columns < _NARROW
        # Click counts characters, and would write beside the lines of characters that take two cells.
        self._counts_cells = language() != ENGLISH
        super().__init__(width=columns - 2 if self._is_narrow else width, **options)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how a command is called."""
        if self._counts_cells:
            # Click's own message.
            lines = broken(f"{prefix or gettext.gettext('Usage:')}{prog} {args}", self.width - 4)
            self.write("\n    ".join(lines) + "\n")
        else:
            super().write_usage(prog, args, prefix)

    def write_heading(self, heading: str) -> None:
        """Write a heading."""
        if self._counts_cells:
            self.write(f"{' ' * self.current_indent}{heading}：\n")
        else:
            super().write_heading(heading)

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        if self._counts_cells:
            indent = " " * self.current_indent
            self.write("\n".join(f"{indent}{line}".rstrip() for line in _lines(text, self.width - len(indent))) + "\n")
        else:
            super().write_text(text)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and what they mean."""
        most = 4 if self._is_narrow else col_max
        if not self._counts_cells:
            super().write_dl(rows, most, col_spacing)
            return
        pairs = list(rows)
        first = min(max(cells(name) for name, _meaning in pairs), most) + col_spacing
        indent = " " * (first + self.current_indent)
        for name, meaning in pairs:
            begin = f"{' ' * self.current_indent}{name}"
            is_beside = cells(name) <= first - col_spacing
            lines = broken(meaning, max(self.width - first - 2, 10))
            lead = begin + " " * (first - cells(name)) if is_beside else f"{begin}\n{indent}"
            self.write(lead + f"\n{indent}".join(lines) + "\n")


def _lines(text: str, width: int) -> Iterator[str]:
    """Yield the lines of paragraphs; one that begins with a backspace character is not wrapped."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        if paragraph.startswith("\b\n"):
            yield from paragraph.split("\n")[1:]
        else:
            yield from broken(" ".join(paragraph.split("\n")), width)


class Context(click.Context):
    """A context whose help is formatted for terminals of any width."""

    formatter_class = HelpFormatter


def in_language(command: _Command) -> _Command:
    """Return a command with its help in the language in force."""
    if language() == ENGLISH:
        return command
    it = copy.copy(command)
    # Click keeps the option for help as it was when it was first used, in the language of that moment.
    it._help_option = None  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    it.help, it.epilog = _text(it.help), _epilog(it.epilog)
    it.options_metavar = it.options_metavar and _(it.options_metavar)
    it.params = [_parameter(parameter) for parameter in it.params]
    if isinstance(it, click.Group):
        it.subcommand_metavar = _(it.subcommand_metavar)
        it.commands = {name: in_language(each) for name, each in it.commands.items()}
    return it


def _parameter(parameter: click.Parameter) -> click.Parameter:
    it = copy.copy(parameter)
    if isinstance(it, click.Option):
        it.help = _text(it.help)
        if it.metavar is None and it.type.name in _METAVARS:
            it.metavar = _(_METAVARS[it.type.name])
    return it


def _text(text: str | None) -> str | None:
    return text and _(inspect.cleandoc(text))


def _epilog(text: str | None) -> str | None:
    examples = f"\b\n{EXAMPLES}\n"
    if text and text.startswith(examples):
        return f"\b\n{_(EXAMPLES)}\n{text.removeprefix(examples)}"
    return _text(text)
