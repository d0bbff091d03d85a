"""``sipqueue config``: shows the settings in force, and the origin of each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, Unpack

import click
from rich.text import Text

from sipqueue_async import Settings
from sipqueue_async._language import translated
from sipqueue_async._settings_place import default_path
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import ServerOptions, client_of, settings_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.terminal.table import TableColumn, table_lines
from sipqueue_async.cli.words import _


@click.command(
    "config",
    epilog=options.examples("sipqueue config", "sipqueue config --config ~/other.toml"),
)
@options.server
def command(**server: Unpack[ServerOptions]) -> Work:
    """Show the settings in force, and where each comes from.

    Secrets are masked. It contacts no server; the exit code is 2 if the settings cannot work.
    """
    return partial(config, settings_of(server, os.environ), standard_output(), os.environ)


async def config(settings: Settings, output: Output, environ: Mapping[str, str]) -> None:
    """Print the settings.

    Raises:
        Failure: With these settings neither the platform nor a relay can be reached.
    """
    rows = [
        [(name, "bold"), (harmless(value), ""), (harmless(_origin(settings, name)), "dim")]
        for name, value in settings.shown().items()
    ]
    if rows:
        output.lines(table_lines(_COLUMNS, rows, output.width))
        output.line()
    label, path = _file(settings, environ)
    line = Text(f"{label} {path}".rstrip(), "dim")
    # A path is never broken, so that it can be copied.
    is_narrow = output.width is not None and line.cell_len > output.width
    output.lines([Text(label, "dim"), Text(path, "dim")] if is_narrow else [line])
    if settings.redis is None or settings.url is not None:
        # Created only to check the arguments.
        await client_of(settings).aclose()


_ORIGIN: Final = "origin"
_COLUMNS = (TableColumn("setting"), TableColumn("value"), TableColumn("from", labelled=True, context=_ORIGIN))


def _origin(settings: Settings, name: str) -> str:
    """Return where a setting comes from; the settings file is named once, below the table."""
    origin, file = settings.origins[name], f"{settings.file}, "
    if not origin.startswith(file):
        return translated(origin)
    return _("the file, line {number}").format(number=origin.removeprefix(f"{file}line "))


def _file(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return words about the settings file, and its path or where one could be."""
    if settings.file is not None:
        return _("settings file:"), _short(settings.file, environ)
    place = default_path(environ)
    return (
        (_("no settings file"), "") if place is None else (_("no settings file; it could be"), _short(place, environ))
    )


def _short(path: Path, environ: Mapping[str, str]) -> str:
    """Return a path, with ``~`` for the home directory."""
    home = environ.get("HOME")
    return harmless(f"~/{path.relative_to(home).as_posix()}" if home and path.is_relative_to(home) else str(path))
