"""The catalogues of translations: where each domain's messages come from, and what is wrong with a catalogue.

To add a domain, add a row to `DOMAINS`, and run `nox -s words`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from gettext import GNUTranslations
from pathlib import Path
from typing import Final, NamedTuple

import attrs
import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from sipqueue_async import CallDirection, QueueStrategy, _codes
from sipqueue_async._language import FOLDER, LANGUAGES
from sipqueue_async._language.codes import CODE, DIRECTION, HANG_UP, STATE, STRATEGY
from sipqueue_async._language.sentences import NOUN, PLACE
from sipqueue_async.calls import HANG_UP_LABELS
from sipqueue_async.cli.app import cli
from sipqueue_async.cli.help import EXAMPLES
from sipqueue_async.wallboard.languages import MARKED
from tests.language import click_words
from tests.language.templates import templates

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "sipqueue_async"
LOCALE: Final = PACKAGE / "_language" / Path(FOLDER).name
"""The catalogues in the sources."""
COMMAND: Final = "nox -s words"
TRANSLATIONS: Final = tuple(name for name in LANGUAGES if name != "en")
KEYWORDS: Final = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}
"""The functions whose arguments are messages; `N_` marks a message that is translated where it is used."""
_NO_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""The date in the header: a real one would change the file each time."""


class Found(NamedTuple):
    """A message in the sources."""

    id: str | tuple[str, str]
    """The message, or its forms for one and for many."""
    context: str | None = None
    comments: tuple[str, ...] = ()
    """What its translator should know: comments in the sources that begin with ``Translators:``."""


@attrs.frozen
class Domain:
    """The messages of one part of the package."""

    name: str
    messages: Callable[[], Iterable[Found]]


def in_sources(*patterns: str, method: str = "python") -> Iterator[Found]:
    """Yield the messages in the package's files.

    Args:
        patterns: Of paths below the package's folder.
        method: How messages are found in them: the name of one of Babel's methods, such as ``javascript``.
    """
    for path in sorted({path for pattern in patterns for path in PACKAGE.glob(pattern)}):
        for _, message, comments, context in extract_from_file(method, path, KEYWORDS, ("Translators:",)):
            id_ = (message[0], message[1]) if isinstance(message, tuple) else message
            yield Found(id_, context, tuple(comments))


def _codes_messages() -> Iterator[Found]:
    yield Found("code {code}")
    for state in _codes.AgentState:
        yield Found(state.value, STATE)
    for label in _codes.CODE_LABELS.values():
        yield Found(label, CODE)
    for label in HANG_UP_LABELS.values():
        yield Found(label, HANG_UP)
    for direction in CallDirection:
        yield Found(direction.value, DIRECTION)
    for strategy in QueueStrategy:
        yield Found(strategy.value, STRATEGY)


def _wallboard_messages() -> Iterator[Found]:
    for pattern in ("wallboard/static/*.html", "wallboard/pages.py"):
        for path in sorted(PACKAGE.glob(pattern)):
            yield from map(Found, MARKED.findall(path.read_text(encoding="utf-8")))
    yield from in_sources("wallboard/static/*.js", method="javascript")
    yield from in_sources("wallboard/*.py")


_SENTENCES: Final = (
    *("_arguments.py", "_error_text.py", "_exchange.py", "_requests.py", "_seat_filter.py", "_secrets.py", "_text.py"),
    *("_saved_format.py", "_toml_tables.py", "_wire/**/*.py", "alerts/hours.py", "alerts/rules*.py", "alerts/saved.py"),
    *("alerts/texts.py", "auth.py", "errors.py", "feed.py", "history/batch.py", "history/database.py"),
    *("history/report.py", "history/writers.py", "history/exports.py", "prometheus/__init__.py", "push/*.py"),
    *("redis/__init__.py", "redis/connection.py", "redis/publication.py", "redis/reader*.py", "redis/scripts.py"),
    *(
        "redis/store.py",
        "settings.py",
        "wallboard/access.py",
        "wallboard/live.py",
        "cli/*.py",
        "cli/commands/*.py",
        "cli/forwarding/*.py",
    ),
    "cli/terminal/output.py",
)
"""The files whose errors and warnings the command may print."""
_SHOWN: Final = {
    "_extras.py": "which is not installed",
    "_time_zones.py": "which is not the name of a time zone",
    "history/history.py": "^platform needs",
    "records/prefixes.py": "^a prefix has",
    "wallboard/server.py": "^other machines|^an events key|^the events key",
}
"""Sentences of other files that the command may print."""
_NOT_SHOWN: Final = (
    # SQL, Lua, styles, formats, patterns, expressions
    r"^<|^\s*(SELECT|PRAGMA|INSERT|DELETE|REPLACE|BEGIN|CREATE)|excluded|^destination = |= unpack|REDIS_VERSION",
    r"%[sdgr(]|\{:?,?\}|\(\?|\\d|^\^|^\\|yyyy|User-Agent|^(bold|dim|export|integer|float|application|pip|id \{)",
    r"^(sipqueue alert|sipqueue:|AppCred|code \{|\{name\} \(|\{service\} at|\{text\} \()",
    # what a repr or a log line says
    r"^(leads|stands|ended|not (started|read|running)|Commands)|^, (ended|closed|stopped)|Redis at|Sentinel",
    # answers of servers, which are compared
    r"cluster of|ACL failure|max number of clients|unauthenticated|^The user exec|^(Protocol|ERR|User)",
    # mistakes of programs
    r"must be .*, not \{name|'async with'|runs once|is deprecated|event class|^to \{asked|noun\}s, not|be one name",
    r"without a group|group has|this feed has|give both group|wanted|such an? event|_interval|_rate|serves http",
    r"of the class|whole_up_to|max_connections|above 0 seconds, not \{timeout",
    r"session must|base_url must be a|max_entries|stream entry|the script takes",
    # the message of alerts, in their own language; spans of time as they are given; what is counted
    r"Test message|^(this|last) (week|month)$|^answered call$|--csv, --json|--csv or",
)
"""Strings in these files that no error of the command has."""
_SYSTEM: Final = (
    "Address already in use",
    "Broken pipe",
    "Cannot assign requested address",
    "Connection refused",
    "Connection reset by peer",
    "Connection timed out",
    "Directory not empty",
    "Disk quota exceeded",
    "File exists",
    "File too large",
    "Input/output error",
    "Invalid argument",
    "Is a directory",
    "Name or service not known",
    "Network is unreachable",
    "No address associated with hostname",
    "No route to host",
    "No space left on device",
    "No such file or directory",
    "Not a directory",
    "Operation not permitted",
    "Permission denied",
    "Read-only file system",
    "Resource temporarily unavailable",
    "Temporary failure in name resolution",
    "Too many open files",
    "attempt to write a readonly database",
    "database disk image is malformed",
    "database is locked",
    "database or disk is full",
    "file is not a database",
    "unable to open database file",
    "self-signed certificate",
    "self-signed certificate in certificate chain",
    "certificate has expired",
    "unable to get local issuer certificate",
)
"""Reasons that the system, SQLite and OpenSSL give."""
_NOUNS: Final = (
    *("settings file", "rules file", "destinations file", "snapshot", "tally"),
    *("queue", "queues", "extension", "extensions", "watcher", "reader", "relay", "access key", "events key"),
)


def _sentences() -> Iterator[Found]:
    for noun in _NOUNS:
        yield Found(noun, NOUN)
    yield Found(PLACE)
    yield Found("the secrets")
    for reason in _SYSTEM:
        yield Found(reason)
    translated_elsewhere = {found.id for found in _sipqueue()}
    for path in sorted({path for pattern in _SENTENCES for path in PACKAGE.glob(pattern)}):
        for text in templates(path):
            if text not in translated_elsewhere and not any(re.search(pattern, text) for pattern in _NOT_SHOWN):
                # The command calls this argument as the setting is called.
                yield Found(re.sub("^base_url ", "url ", text))
    for name, pattern in _SHOWN.items():
        yield from (Found(text) for text in templates(PACKAGE / name) if re.search(pattern, text))


def _help() -> Iterator[Found]:
    """Yield what the command's help says: it is translated when it is shown."""
    # In the order of the list of commands, in which loading them does not depend on what is loaded already.
    context = click.Context(cli)
    yield from _help_of(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield from _help_of(command)
        for each in getattr(command, "commands", {}).values():
            yield from _help_of(each)


def _help_of(command: click.Command) -> Iterator[Found]:
    texts = [command.help, command.epilog, command.options_metavar, getattr(command, "subcommand_metavar", None)]
    texts += [getattr(parameter, "help", None) for parameter in command.params]
    for text in texts:
        if text and EXAMPLES not in text:
            yield Found(inspect.cleandoc(text))


def _click() -> Iterator[Found]:
    for message in click_words.MESSAGES:
        yield Found(message)


def _sipqueue() -> Iterator[Found]:
    yield from in_sources("cli/**/*.py")
    yield Found("from", "origin")
    yield from _help()


DOMAINS: Final = (
    Domain("click", _click),
    Domain("codes", _codes_messages),
    Domain("sentences", _sentences),
    Domain("sipqueue", _sipqueue),
    Domain("wallboard", _wallboard_messages),
)


def po_path(domain: Domain, language: str, folder: Path = LOCALE) -> Path:
    """Return the place of a catalogue as text; the compiled one stands beside it."""
    return folder / language / "LC_MESSAGES" / f"{domain.name}.po"


def template(domain: Domain) -> Catalog:
    """Return the messages that a domain should have."""
    catalog = Catalog(domain=domain.name)
    for found in domain.messages():
        catalog.add(found.id, context=found.context, auto_comments=found.comments)
    return catalog


def read(domain: Domain, language: str, folder: Path = LOCALE) -> Catalog:
    """Return a catalogue; an empty one if there is none yet."""
    path = po_path(domain, language, folder)
    if not path.exists():
        return Catalog(language, domain.name)
    with path.open("rb") as file:
        return read_po(file, language, domain.name)


def write(domain: Domain, language: str, folder: Path = LOCALE) -> int:
    """Bring a catalogue up to date with the sources, compile it, and return the number of its messages."""
    known = read(domain, language, folder)
    fresh = _empty(domain, language)
    for message in _messages(template(domain)):
        before = known.get(message.id, message.context)
        fresh.add(
            message.id,
            None if before is None else before.string,
            flags=() if before is None else before.flags & {"fuzzy"},
            auto_comments=message.auto_comments,
            context=message.context,
        )
    path = po_path(domain, language, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, fresh, width=120, no_location=True)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, fresh)
    return len(fresh)


def _empty(domain: Domain, language: str) -> Catalog:
    return Catalog(
        language,
        domain.name,
        header_comment=f"# Translations of sipqueue_async. After a change, run `{COMMAND}`, which compiles them.",
        project="sipqueue_async",
        version="1",
        msgid_bugs_address="none",
        last_translator="none",
        language_team="none",
        creation_date=_NO_DATE,
        revision_date=_NO_DATE,
        fuzzy=False,
    )


def faults(domain: Domain, language: str, folder: Path = LOCALE) -> list[str]:
    """Return what is wrong with a catalogue, each fault with the message."""
    wanted = {(_first(message), message.context): message for message in _messages(template(domain))}
    translated = {(_first(message), message.context): message for message in _messages(read(domain, language, folder))}
    found = [f"missing: {key[0]}" for key in wanted if key not in translated]
    found += [f"in no source: {key[0]}" for key in translated if key not in wanted]
    for message in translated.values():
        found += _faults_of(message)
    with po_path(domain, language, folder).with_suffix(".mo").open("rb") as file:
        compiled = GNUTranslations(file)
    found += [
        f"not compiled: {first}" for first in map(_first, filter(partial(_is_not_in, compiled), translated.values()))
    ]
    return found


def _messages(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def _first(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _strings(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def _faults_of(message: Message) -> Iterator[str]:
    first = _first(message)
    if message.fuzzy:
        yield f"fuzzy: {first}"
    many = message.id if isinstance(message.id, str) else message.id[-1]
    for string in _strings(message) or [""]:
        if not string:
            yield f"untranslated: {first}"
        elif _places(string) != _places(many):
            yield f"other values in the translation: {first}"
        elif _ends(string) != _ends(first):
            yield f"another line break or space at an end of the translation: {first}"


def _places(text: str) -> list[str]:
    """Return the values that a message is formatted with, and its options, which must not change."""
    return sorted(re.findall(r"\{[^{} ]*\}|%\(\w+\)\w|%[sd]|(?<![\w-])--[a-z][a-z-]*", text))


def _ends(text: str) -> tuple[str, str]:
    stripped = text.strip("\n")
    return text[: text.find(stripped)], text[text.find(stripped) + len(stripped) :]


def _is_not_in(compiled: GNUTranslations, message: Message) -> bool:
    """Return whether a compiled catalogue says something else than the text of the catalogue."""
    if not all(_strings(message)):
        return False  # Only what is translated is compiled.
    if isinstance(message.id, str):
        first = compiled.pgettext(message.context, message.id) if message.context else compiled.gettext(message.id)
    else:
        first = compiled.ngettext(message.id[0], message.id[1], 2)
    return first != _strings(message)[0]
