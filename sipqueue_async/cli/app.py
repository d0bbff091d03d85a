"""The command line: finds the command, loads its module and runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from sipqueue_async import __version__
from sipqueue_async._language import LANGUAGES
from sipqueue_async.cli import exits
from sipqueue_async.cli.completion import complete_values_after_equals_signs
from sipqueue_async.cli.help import Context, in_language
from sipqueue_async.cli.language import VARIABLE, chosen_language, in_force
from sipqueue_async.cli.words import N_, _

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "demo": N_("Watch a simulated call centre."),
        "status": N_("Show who is doing what now."),
        "watch": N_("Print changes as they happen."),
        "top": N_("Show who is doing what on the whole terminal, live."),
        "report": N_("Print the day's figures: who did what for how long."),
        "calls": N_("Print the records of finished calls."),
        "queues": N_("Show the queues, with their strategies and limits."),
        "agent": N_("Sign an extension in or out, pause or resume it, or end its call."),
        "record": N_("Write what happens into a database."),
        "history": N_("Read, export and prune what was recorded."),
        "reconcile": N_("Compare recorded calls with the platform's call records."),
        "alert": N_("Say when something lasts too long."),
        "forward": N_("Post events to other programs, signed."),
        "wallboard": N_("Serve a page for a big screen."),
        "relay": N_("Watch once for many programs and publish on Redis."),
        "simulate": N_("Serve a simulated platform."),
        "config": N_("Show the settings in force, and where each comes from."),
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


class _Text(click.types.StringParamType):
    """Text that can be encoded: Python keeps an argument's bytes that are not text as lone surrogates."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text: str = super().convert(value, param, ctx)
        try:
            text.encode()
        except UnicodeEncodeError:
            encoding = sys.getfilesystemencoding()
            self.fail(f"{text!r} is not text in {encoding}, the encoding of this locale", param, ctx)
        return text


class _LazyGroup(click.Group):
    """Loads a command's module when the command is used: most modules have imports that other commands do not need."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"sipqueue_async.cli.commands.{cmd_name}").command
        for it in (command, *getattr(command, "commands", {}).values()):
            it.context_class = Context
            for parameter in it.params:
                if parameter.type is click.STRING:
                    parameter.type = _Text()
        return in_language(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            # Click would suggest only commands that are loaded, and none of the group.
            similar = self._of_history(ctx, args[0]) or get_close_matches(args[0], COMMANDS, n=1)
            if similar:
                message = _("No such command {name!r} (did you mean {similar}?)")
                raise click.UsageError(message.format(name=args[0], similar=similar[0]), ctx)
        return super().resolve_command(ctx, args)

    def _of_history(self, ctx: click.Context, name: str) -> list[str]:
        """Return the command of this name in the group of history, with the group's name, if there is one."""
        group = self.get_command(ctx, "history")
        return ["history " + name] if isinstance(group, click.Group) and name in group.commands else []

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(text)) for name, text in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [
            CompletionItem(name, help=_(text)) for name, text in COMMANDS.items() if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


class _OptionOrVariable(click.Option):
    """An option whose errors name its environment variable if the value is from there."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return what an error calls the option."""
        if ctx is not None and ctx.get_parameter_source(str(self.name)) is ParameterSource.ENVIRONMENT:
            return str(self.envvar)
        return super().get_error_hint(ctx)


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
    cls=_OptionOrVariable,
    envvar="SIPQUEUE_LOG_FORMAT",
    is_eager=True,
    expose_value=False,
    callback=_set_log_format,
    help="How lines on stderr are written: for people, or for programs that collect logs. "
    "Overrides SIPQUEUE_LOG_FORMAT.",
)
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    cls=_OptionOrVariable,
    envvar=VARIABLE,
    is_eager=True,
    expose_value=False,
    help="The language of all text for people, by default the system's. Overrides SIPQUEUE_LANGUAGE.",
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
    given = sys.argv[1:] if arguments is None else list(arguments)
    with in_force(chosen_language(given, os.environ, sys.stdout)):
        return _run(given)


def _run(arguments: Sequence[str]) -> int:
    complete_values_after_equals_signs()
    try:
        # Click only parses arguments; commands run outside it so that exit codes and signals are ours.
        found: Any = in_language(cli).main(arguments, prog_name="sipqueue", standalone_mode=False)
        if isinstance(found, int):
            return found
        # Imported lazily: --help needs no asyncio.
        from sipqueue_async.cli import running  # noqa: PLC0415

        return running.run(found)
    except Exception as error:  # noqa: BLE001  # unexpected errors are re-raised
        return exits.end(error)
