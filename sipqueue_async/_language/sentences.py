"""Translates the sentences of exceptions and warnings, which are English, when they are shown to people.

Programs and searches depend on the English texts, so an exception has its text in English, with the values in it. The
catalogue ``sentences`` has the same sentences as templates, such as ``the name {host} cannot be resolved ({words})``,
which the checks of this project find in the sources. A text is translated by the template that it fits; its values,
which may be sentences themselves, are translated in the same way. A text that fits none stays as it is.

If a text fits several templates, these rules choose one, in this order:

1. the template that splits the text at its outermost joint;
2. the most specific one: ``{name} needs --calls`` rather than ``{name} needs {needed}``, which the same texts fit;
3. the one that leaves the least text in English.

If two different translations are left, the text stays English, which is better than the words of another sentence.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
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
_KEPT: Final = 4096
"""How many texts are kept with their translations."""
_JOINTS: Final = ((_SEMICOLON, "；"), (_COLON, "："), ("：", "："), (", ", "，"))
"""Pairs: the characters between two joined sentences in English, and those in translations."""
_PLACE: Final = re.compile(r"(.+) \((\S+) at (\S+)\)", re.DOTALL)
"""A text, and the service and the server of the request: the `where` of an error."""
_MARK: Final = "\N{LATIN LETTER BILABIAL CLICK}"
"""A letter around the words of a template's sample, which no sentence has."""
_VALUE: Final = re.compile(r"\{(\w+)\}")


def translated(text: str, name: str | None = None) -> str:
    """Return a text of an exception or a warning in a language, by default the one in force."""
    spoken = name or language()
    return text if spoken == ENGLISH else _sentences(spoken).translated(text)


class _Told(NamedTuple):
    """A translated text."""

    text: str
    left: int
    """The number of its characters that no message has."""


class _Template(NamedTuple):
    """A sentence with values."""

    pattern: str
    literals: tuple[str, ...]
    """The text before, between and after the values."""
    translation: str
    sample: str
    """The sentence with a word for each value."""

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
        words = [f"{_MARK}{names.index(name)}{_MARK}" for name in names]
        sample = literals[0] + "".join(word + literal for word, literal in zip(words, literals[1:], strict=True))
        return cls(pattern, literals, translation, sample)

    def yields_to(self, other: _Template) -> bool:
        """Return whether another template is more specific: its sentences fit this one, and not the other way round.

        Of two that have the same sentences, the one that tells more values apart is more specific.
        """
        if self is other or self.values(other.sample) is None:
            return False
        return other.values(self.sample) is None or len(other.literals) > len(self.literals)

    def joints(self, values: Mapping[str, str]) -> tuple[int, int]:
        """Return the numbers of semicolons and of colons in values that the outermost sentence would not have there.

        Semicolons separate more than colons, and a colon joins its sentence to all that follows. So the outermost
        sentence has no semicolons in its values, and colons only in a value at its end that follows a colon.
        """
        texts = list(values.values())
        inner = texts[:-1] if self.literals[-2].endswith(_COLON) and not self.literals[-1] else texts
        # A place in a file ends with a colon.
        colons = sum(text.removesuffix(_COLON).count(_COLON) for text in inner)
        return sum(text.count(_SEMICOLON) for text in texts), colons

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
        # Parts of a text are read several times, which would take exponential time for a text with many joints.
        self._told = lru_cache(_KEPT)(self._read)
        self._known = lru_cache(_KEPT)(self._chosen)

    def translated(self, text: str) -> str:
        """Return a text in this language, or unchanged if it is not a known sentence."""
        return self._told(text).text

    def _read(self, text: str) -> _Told:
        if (found := _PLACE.fullmatch(text)) is not None:
            what, service, server = found.groups()
            told = self._told(what)
            return _Told(f"{told.text}（{self._place.format(service=service, server=server)}）", told.left)
        return self._known(text) or self._by_parts(text) or _Told(text, len(text))

    def _chosen(self, text: str) -> _Told | None:
        """Return a known sentence in this language."""
        if (whole := self._whole.get(text)) is not None:
            return _Told(whole, 0)
        found = ((values, it) for it in self._templates if (values := it.values(text)) is not None)
        fitting = [(it.joints(values), values, it) for values, it in found if self._is_one(values.values(), it)]
        if not fitting:
            return None
        fewest = min(joints for joints, _, _ in fitting)
        if fewest[0] == 0 < fewest[1] and (joined := self._joined(text)) is not None:
            return joined
        outer = [(values, it) for joints, values, it in fitting if joints == fewest]
        specific = {self._filled(*pair) for pair in outer if not any(pair[1].yields_to(other) for _, other in outer)}
        best = [told for told in specific if told.left == min(it.left for it in specific)]
        return best[0] if len(best) == 1 else None

    def _filled(self, values: Mapping[str, str], template: _Template) -> _Told:
        told = {name: self._value(name, value) for name, value in values.items()}
        text = template.translation.format(**{name: it.text for name, it in told.items()})
        return _Told(text, sum(it.left for it in told.values()))

    def _joined(self, text: str) -> _Told | None:
        """Return two known sentences that a colon joins, in this language; None for other texts."""
        first, _, rest = text.partition(_COLON)
        begin, end = (self._known(first), self._known(rest)) if rest else (None, None)
        return None if begin is None or end is None else _Told(f"{begin.text}：{end.text}", begin.left + end.left)

    def _is_one(self, values: Iterable[str], template: _Template) -> bool:
        """Return whether a text with these values is one sentence: a semicolon joins sentences."""
        has_semicolon = any(_SEMICOLON in literal for literal in template.literals)
        return has_semicolon or all(_SEMICOLON not in value or self._known(value) is not None for value in values)

    def _value(self, name: str, value: str) -> _Told:
        if name in _NOUN_NAMES and value in self._nouns:
            return _Told(self._nouns[value], 0)
        if value.endswith(_COLON):
            told = self._told(value.removesuffix(_COLON))
            return told._replace(text=f"{told.text}：")
        return self._told(value)

    def _by_parts(self, text: str) -> _Told | None:
        for joint, translation in _JOINTS:
            first, _, rest = text.partition(joint)
            if not (first and rest):
                continue
            begin = self._told(first)
            # Some sentences begin with what joins them to another one.
            if (end := self._known(joint + rest)) is not None:
                return _Told(begin.text + end.text, begin.left + end.left)
            end = self._told(rest)
            if (begin.text, end.text) != (first, rest):
                return _Told(begin.text + translation + end.text, begin.left + end.left)
        return None


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
