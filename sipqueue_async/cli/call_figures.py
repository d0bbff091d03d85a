"""Figures of call records: the options that choose them, and their lines as a table or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypedDict, TypeVar

import attrs
import click

from sipqueue_async._json_lines import FORMAT_VERSION, json_line
from sipqueue_async._text import harmless
from sipqueue_async.cli.options import not_negative
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.cli.terminal.table import Cell, TableColumn, table_lines
from sipqueue_async.cli.words import N_, _, heading
from sipqueue_async.records import CallFigures, number_prefix

_Command = TypeVar("_Command", bound=Callable[..., Any])

UNKNOWN: Final = N_("not known")
"""What stands in a table for a group without a name."""

_WITHIN: Final = 20.0
_HEADINGS: Final = ("offered", "answered", "abandoned", "in time", "speed of answer", "talk", "handle")
_DIGITS: Final = 3


class FigureOptions(TypedDict):
    """The options that `figure_options` adds."""

    within: float | None
    wrap_up: float | None
    digits: int | None
    prefixes: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Counting:
    """How calls are counted."""

    within: float = _WITHIN
    """The seconds of the service level."""
    wrap_up: float = 0.0
    """The seconds of after-call work."""
    prefixes: int | tuple[str, ...] = _DIGITS
    """How many digits of a number make a group, or which prefixes do."""


def figure_options(command: _Command) -> _Command:
    """Add the options that make up `FigureOptions`."""
    for option in (
        click.option(
            "--number-prefix",
            "prefixes",
            multiple=True,
            help="With --by prefix: a prefix whose callers are counted separately; may be repeated.",
        ),
        click.option(
            "--prefix-digits",
            "digits",
            type=int,
            help=f"With --by prefix: how many digits of a caller's number make a group, 1 to 7 ({_DIGITS}).",
        ),
        click.option(
            "--wrap-up",
            type=float,
            callback=not_negative,
            help="The seconds of after-call work that the handle time of calls includes (0).",
        ),
        click.option(
            "--within",
            type=float,
            callback=not_negative,
            help=f"The service level counts calls that were answered within so many seconds ({_WITHIN:g}).",
        ),
    ):
        command = option(command)
    return command


def counting_of(given: FigureOptions, by: str | None) -> Counting:
    """Return how to count.

    Raises:
        click.UsageError: The prefixes are invalid, or there are some without ``--by prefix``.
    """
    digits, prefixes = given["digits"], given["prefixes"]
    if digits is not None and prefixes:
        raise click.UsageError("--prefix-digits and --number-prefix do not go together")
    if by != "prefix" and (digits is not None or prefixes):
        raise click.UsageError(f"{'--number-prefix' if prefixes else '--prefix-digits'} needs --by prefix")
    chosen = prefixes or (_DIGITS if digits is None else digits)
    try:
        number_prefix(None, chosen)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    within = _WITHIN if given["within"] is None else given["within"]
    return Counting(within=within, wrap_up=given["wrap_up"] or 0.0, prefixes=chosen)


def refuse_figure_options(given: FigureOptions, needed: str) -> None:
    """Raise a usage error if an option of figures is given without the one that it needs."""
    values = {
        "--within": given["within"],
        "--wrap-up": given["wrap_up"],
        "--prefix-digits": given["digits"],
        "--number-prefix": given["prefixes"] or None,
    }
    for name, value in values.items():
        if value is not None:
            raise click.UsageError(f"{name} needs {needed}")


def figures_table(
    name: str, groups: Iterable[tuple[str | None, CallFigures]], output: Output, counting: Counting
) -> None:
    """Print a line for each group, the last of which is the total."""
    columns = [TableColumn(name), *(TableColumn(it, right=True, labelled=True) for it in _HEADINGS)]
    lines = (_cells(_shown(name, group), found) for group, found in groups)
    output.lines(table_lines(columns, lines, output.width))
    output.line()
    text = _("in time: answered within {within:g} s, of all offered calls")
    output.wrapped(text.format(within=counting.within))


def figures_lines(name: str, groups: Iterable[tuple[str | None, CallFigures]], output: Output) -> None:
    """Print an object for each group."""
    for group, found in groups:
        output.line(json_line({"v": FORMAT_VERSION, name: group, **found.to_dict()}))


def _shown(name: str, group: str | None) -> str:
    if group is None:
        return _(UNKNOWN)
    # Besides digits, a prefix is one of the words of `number_prefix`.
    return heading(group) if name == "prefix" else harmless(group)


def _cells(group: str, found: CallFigures) -> list[Cell]:
    means = (found.average_speed_of_answer, found.average_talk, found.average_handle)
    texts = [
        *map(str, (found.offered, found.answered, found.abandoned)),
        "" if found.service_level is None else f"{found.service_level:.0%}",
        *("" if mean is None else _("{seconds:.1f} s").format(seconds=mean) for mean in means),
    ]
    return [(group, ""), *((text, "") for text in texts)]
