"""The catalogues of translations are complete, and compiled."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

from tests.language.catalogues import COMMAND, DOMAINS, LOCALE, TRANSLATIONS, Domain, Found, faults, po_path, write


@pytest.mark.parametrize("language", TRANSLATIONS)
@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_each_message_of_the_sources_is_translated_with_the_same_values(domain: Domain, language: str) -> None:
    assert faults(domain, language) == [], f"run `{COMMAND}` and translate what it lists"


def test_the_catalogues_are_as_the_command_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(LOCALE, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr("sys.argv", ["write_catalogues", str(tmp_path)])
    runpy.run_module("tests.language.write_catalogues")
    for path in tmp_path.rglob("*.po"):
        assert lines(path) == lines(LOCALE / path.relative_to(tmp_path)), f"run `{COMMAND}`"


def lines(path: Path) -> list[str]:
    """Return the lines of a catalogue without the version of Babel."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if "Generated-By" not in line]


def of(*messages: Found) -> Domain:
    """Return a domain with these messages."""
    return Domain("some", lambda: messages)


PLURAL = Found(("{n} call", "{n} calls"))


def test_the_command_says_what_is_wrong_with_a_catalogue(tmp_path: Path) -> None:
    said = of(Found("see {name}"), Found("  indented\n"), Found("old", "age", ("Translators: of a file",)), PLURAL)
    assert write(said, "zh", tmp_path) == 4
    assert faults(said, "zh", tmp_path) == [
        f"untranslated: {text}" for text in ("see {name}", "  indented\n", "old", "{n} call")
    ]
    path = po_path(said, "zh", tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "#. Translators: of a file" in text
    translated = text.replace('msgid "see {name}"\nmsgstr ""', '#, fuzzy\nmsgid "see {name}"\nmsgstr "看 {nam}"')
    translated = translated.replace('"  indented\\n"\nmsgstr ""', '"  indented\\n"\nmsgstr "缩进"')
    translated = translated.replace('msgid "old"\nmsgstr ""', 'msgid "old"\nmsgstr "旧"')
    path.write_text(translated.replace('msgstr[0] ""', 'msgstr[0] "{n} 个电话"'), encoding="utf-8")
    assert faults(said, "zh", tmp_path) == [
        "fuzzy: see {name}",
        "other values in the translation: see {name}",
        "another line break or space at an end of the translation:   indented\n",
        "not compiled: see {name}",
        "not compiled:   indented\n",
        "not compiled: old",
        "not compiled: {n} call",
    ]
    assert write(said, "zh", tmp_path) == 4
    other = of(Found("old", "age"), PLURAL, Found("new"))
    assert faults(other, "zh", tmp_path)[:3] == [
        "missing: new",
        "in no source: see {name}",
        "in no source:   indented\n",
    ]
    assert write(other, "zh", tmp_path) == 3
    assert faults(other, "zh", tmp_path) == ["untranslated: new"]
