"""The command line: finds the command, loads its module and runs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from sipqueue_async import __version__
from sipqueue_async.cli import exits

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "demo": "Watch a simulated call centre.",
        "status": "Show who is doing what now.",
        "watch": "Print changes as they happen.",
        "top": "Show who is doing what on the whole terminal, live.",
        "report": "Print the day's figures: who did what for how long.",
        "calls": "Print the records of finished calls.",
        "queues": "Show the queues, with their strategies and limits.",
        "agent": "Sign an extension in or out, pause or resume it, or end its call.",
        "record": "Write what happens into a database.",
        "history": "Read, export and prune what was recorded.",
        "reconcile": "Compare recorded calls with the platform's call records.",
        "alert": "Say when something lasts too long.",
        "forward": "Post events to other programs, signed.",
        "wallboard": "Serve a page for a big screen.",
        "relay": "Watch once for many programs and publish on Redis.",
        "simulate": "Serve a simulated platform.",
        "config": "Show the settings in force, and where each comes from.",
    }
)
"""The commands, each a module of `sipqueue_async.cli.commands`, with their summaries for the list of commands."""

_EPILOG: Final = """\
Commands that need a platform read its URL and the secrets from the environment:

\b
  SIPQUEUE_URL        the API's URL
  SIPQUEUE_APPID      the id, and
  SIPQUEUE_ACCESSKEY  the key; or
  SIPQUEUE_TOKEN      a token
  SIPQUEUE_REDIS_URL  a relay's URL

or from a TOML file with url, appid, accesskey, token: --config FILE, or the file that "sipqueue config" names. No
option takes a secret, because other users can see a program's arguments.

\b
Exit codes:
  0    done
  1    trouble on this machine
  2    wrong usage or settings
  3    credentials refused
  4    platform unreachable, or it refused
  5    no such queue or extension
  130  Ctrl-C
  141  the pipe's reader ended
  143  SIGTERM
"""


_NARROW: Final = 52
"""Click wraps help at 50 columns or more; on a narrower terminal, words would break."""


class _HelpFormatter(click.HelpFormatter):
    """Formats help for terminals of any width. On narrow ones, an option's text begins on the line below its name."""

    def __init__(self, width: int | None = None, **options: Any) -> None:
        columns = shutil.get_terminal_size().columns
        self._is_narrow = columns < _NARROW
        super().__init__(width=columns - 2 if self._is_narrow else width, **options)

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, 4 if self._is_narrow else col_max, col_spacing)


class _Context(click.Context):
    formatter_class = _HelpFormatter


class _LazyGroup(click.Group):
    """Loads a command's module when the command is used: most modules have imports that other commands do not need."""

    context_class = _Context

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"sipqueue_async.cli.commands.{cmd_name}").command
        for it in (command, *getattr(command, "commands", {}).values()):
            it.context_class = _Context
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            # Click would suggest only commands that are loaded.
            similar = get_close_matches(args[0], COMMANDS, n=1)
            if similar:
                raise click.UsageError(f"No such command {args[0]!r} (did you mean {similar[0]}?)", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


def _set_log_format(_context: click.Context, _parameter: click.Parameter, name: str) -> None:
    exits.write_json(name == "json")


@click.group(
    cls=_LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    envvar="SIPQUEUE_LOG_FORMAT",
    is_eager=True,
    expose_value=False,
    callback=_set_log_format,
    help="How lines on stderr are written, before SIPQUEUE_LOG_FORMAT: for people, or for programs that collect logs.",
)
@click.version_option(__version__, prog_name="sipqueue", message="%(prog)s %(version)s")
def cli() -> None:
    """Show who is doing what in a call centre's queues, and every change.

    Begin with "sipqueue demo", which needs no server.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The arguments without the program's name; by default the process's own.
    """
    try:
        # Click only parses arguments; commands run outside it so that exit codes and signals are ours.
        found: Any = cli.main(arguments, prog_name="sipqueue", standalone_mode=False)
        if isinstance(found, int):
            return found
        # Imported lazily: --help needs no asyncio.
        from sipqueue_async.cli import running  # noqa: PLC0415

        return running.run(found)
    except Exception as error:  # noqa: BLE001  # unexpected errors are re-raised
        return exits.end(error)
