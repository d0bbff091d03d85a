"""Translates the sentences of exceptions and warnings, which are English, when they are shown to people.

Programs and searches depend on the English texts, so that they are made in English, with their values in them. The
catalogue ``sentences`` has the same sentences as templates, such as ``the name {host} cannot be resolved ({words})``,
which the checks of this project find in the sources. A text is translated by the template that it fits; its values,
which may be sentences themselves, are translated in the same way. A text that fits none stays as it is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

from sipqueue_async._language.catalogues import FOLDER
from sipqueue_async._language.spoken import ENGLISH, language

DOMAIN: Final = "sentences"
NOUN: Final = "noun"
"""The context of nouns, which are translated only as a value with one of the names in `_NOUN_NAMES`."""
PLACE: Final = "{service} at {server}"
"""The message for the place of an error; no other text fits it."""
_NOUN_NAMES: Final = frozenset({NOUN, "kind"})
_SEMICOLON: Final = "; "
_COLON: Final = ": "
_JOINTS: Final = ((_SEMICOLON, "；"), (_COLON, "："), ("：", "："), (", ", "，"))
"""Pairs: the characters between two joined sentences in English, and those in translations."""
_PLACE: Final = re.compile(r"(.+) \((\S+) at (\S+)\)", re.DOTALL)
"""A text, and the service and the server of the request: the `where` of an error."""
_VALUE: Final = re.compile(r"\{(\w+)\}")


def translated(text: str, name: str | None = None) -> str:
    """Return a text of an exception or a warning in a language, by default the one in force."""
    spoken = name or language()
    return text if spoken == ENGLISH else _sentences(spoken).translated(text)


class _Template(NamedTuple):
    """A sentence with values."""

    pattern: str
    literals: tuple[str, ...]
    """The text before, between and after the values."""
    translation: str

    @classmethod
    def of(cls, english: str, translation: str, nouns: Iterable[str]) -> _Template:
        parts = _VALUE.split(english)
        names, literals = parts[1::2], tuple(map(_plain, parts[::2]))
        pattern, known = re.escape(literals[0]), set[str]()
        for at, name in enumerate(names):
            if name in known:
                # The same value twice is the same text twice.
                pattern += f"(?P={name})"
            elif name in _NOUN_NAMES:
                pattern += f"(?P<{name}>{'|'.join(map(re.escape, nouns))}|.+?)"
            else:
                pattern += f"(?P<{name}>{_value_pattern(at, literals)})"
            pattern += re.escape(literals[at + 1])
            known.add(name)
        return cls(pattern, literals, translation)

    @property
    def weight(self) -> int:
        """The number of characters that are no values."""
        return sum(map(len, self.literals))

    def values(self, text: str) -> Mapping[str, str] | None:
        """Return the values in a text; None if the text is another sentence."""
        if not all(literal in text for literal in self.literals):
            return None  # Compiling a pattern takes much longer than this.
        found = re.fullmatch(self.pattern, text, re.DOTALL)
        return None if found is None else found.groupdict()


def _value_pattern(at: int, literals: Sequence[str]) -> str:
    """Return the pattern of a value; of two values side by side, the second one may be empty."""
    if at > 0 and not literals[at]:
        return r"\w+| \(.+\)| of .+|" if literals[at + 1] else ".*"
    is_greedy = not literals[at + 1] and at + 2 == len(literals) - 1 and not literals[-1]
    return ".+" if is_greedy else ".+?"


class _Sentences:
    """The sentences in one language."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        prefix = f"{NOUN}\4"
        nouns = {key.removeprefix(prefix): value for key, value in messages.items() if key.startswith(prefix)}
        self._nouns = dict(sorted(nouns.items(), key=lambda item: -len(item[0])))
        self._place = messages[PLACE]
        self._whole = {_plain(key): _plain(value) for key, value in messages.items() if not _VALUE.search(key)}
        self._templates = [
            _Template.of(key, value, self._nouns)
            for key, value in messages.items()
            if _VALUE.search(key) and key != PLACE
        ]

    def translated(self, text: str) -> str:
        """Return a text in this language, or unchanged if it is no known sentence."""
        if (found := _PLACE.fullmatch(text)) is not None:
            what, service, server = found.groups()
            return f"{self.translated(what)}（{self._place.format(service=service, server=server)}）"
        return self._known(text) or self._by_parts(text) or text

    def _known(self, text: str) -> str | None:
        """Return a known sentence in this language."""
        if (whole := self._whole.get(text)) is not None:
            return whole
        found = ((values, it) for it in self._templates if (values := it.values(text)) is not None)
        fitting = [(values, it) for values, it in found if self._is_one(values.values(), it)]
        if not fitting:
            return None
        # The best one leaves the fewest sentences to its values, and has most of the text itself.
        values, template = min(fitting, key=lambda pair: (_joints(pair[0].values()), -pair[1].weight, -len(pair[0])))
        return template.translation.format(**{name: self._value(name, it) for name, it in values.items()})

    def _is_one(self, values: Iterable[str], template: _Template) -> bool:
        """Return whether a text with these values is one sentence: a semicolon joins sentences."""
        has_semicolon = any(_SEMICOLON in literal for literal in template.literals)
        return has_semicolon or all(_SEMICOLON not in value or self._known(value) is not None for value in values)

    def _value(self, name: str, value: str) -> str:
        if name in _NOUN_NAMES and value in self._nouns:
            return self._nouns[value]
        if value.endswith(_COLON):
            return f"{self.translated(value.removesuffix(_COLON))}："
        return self.translated(value)

    def _by_parts(self, text: str) -> str | None:
        for joint, translation in _JOINTS:
            first, _, rest = text.partition(joint)
            if not (first and rest):
                continue
            # Some sentences begin with what joins them to another one.
            if (end := self._known(joint + rest)) is not None:
                return self.translated(first) + end
            parts = (self.translated(first), self.translated(rest))
            if parts != (first, rest):
                return translation.join(parts)
        return None


def _joints(values: Iterable[str]) -> int:
    return sum(value.count(joint) for value in values for joint in (_SEMICOLON, _COLON))


def _plain(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


@cache
def _sentences(name: str) -> _Sentences:
    return _Sentences(dict(_messages(f"{FOLDER}/{name}/LC_MESSAGES/{DOMAIN}.mo")))


def _messages(path: str) -> Iterator[tuple[str, str]]:
    """Yield the messages of a compiled catalogue with their translations; gettext itself can only look one up."""
    with open(path, "rb") as file:  # noqa: PTH123  # importing pathlib would delay every --help
        content = file.read()
    byte_order = "<" if content[:4] == b"\xde\x12\x04\x95" else ">"
    number, originals, translations = struct.unpack_from(f"{byte_order}3I", content, 8)
    for at in range(1, number):  # The first one is the header.
        texts: list[str] = []
        for table in (originals, translations):
            length, offset = struct.unpack_from(f"{byte_order}2I", content, table + 8 * at)
            texts.append(content[offset : offset + length].decode())
        yield texts[0], texts[1]
