"""``sipqueue config``: shows the settings in force, and the origin of each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Unpack

import click
from rich.text import Text

from sipqueue_async import Settings
from sipqueue_async._text import harmless
from sipqueue_async.cli import options
from sipqueue_async.cli.running import Work
from sipqueue_async.cli.settings import ServerOptions, client_of, settings_of
from sipqueue_async.cli.terminal.output import Output, standard_output
from sipqueue_async.cli.terminal.table import TableColumn, table_lines
from sipqueue_async.settings import default_path


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
        [(name, "bold"), (harmless(value), ""), (harmless(settings.origins[name]), "dim")]
        for name, value in settings.shown().items()
    ]
    if rows:
        output.lines(table_lines(_COLUMNS, rows, output.width))
        output.line()
    output.wrapped(Text(_file(settings, environ), "dim"))
    if settings.redis is None or settings.url is not None:
        # Created only to check the arguments.
        await client_of(settings).aclose()


_COLUMNS = (TableColumn("setting"), TableColumn("value"), TableColumn("from", rank=1))


def _file(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return which settings file was read, or where one could be."""
    if settings.file is not None:
        return f"settings file: {settings.file}"
    place = default_path(environ)
    return "no settings file" if place is None else f"no settings file; it could be {place}"
