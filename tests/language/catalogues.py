"""The catalogues of translations: where each domain's messages come from, and what is wrong with a catalogue.

To add a domain, add a row to `DOMAINS`, and run `nox -s words`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from gettext import GNUTranslations
from pathlib import Path
from typing import Final, NamedTuple

import attrs
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from sipqueue_async import _codes
from sipqueue_async._language import FOLDER, LANGUAGES
from sipqueue_async._language.codes import CODE, STATE
from sipqueue_async.errors import OPERATION_MEANINGS, RET_MEANINGS
from sipqueue_async.wallboard.languages import MARKED

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "sipqueue_async"
LOCALE: Final = PACKAGE / "_language" / FOLDER.name
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


def _errors_messages() -> Iterator[Found]:
    yield from map(Found, (*RET_MEANINGS.values(), *OPERATION_MEANINGS.values()))
    yield from in_sources("_language/errors.py")


def _wallboard_messages() -> Iterator[Found]:
    for pattern in ("wallboard/static/*.html", "wallboard/pages.py"):
        for path in sorted(PACKAGE.glob(pattern)):
            yield from map(Found, MARKED.findall(path.read_text(encoding="utf-8")))
    yield from in_sources("wallboard/static/*.js", method="javascript")
    yield from in_sources("wallboard/*.py")


DOMAINS: Final = (
    Domain("codes", _codes_messages),
    Domain("errors", _errors_messages),
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
    return sorted(re.findall(r"\{[^{}]*\}|%\(\w+\)\w|%[sd]|(?<![\w-])--[a-z][a-z-]*", text))


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
