"""Which template translates a sentence, where several fit it."""

from __future__ import annotations

import re
import time
from itertools import product

import pytest
from babel.messages.pofile import read_po

from sipqueue_async._language import translated
from sipqueue_async._language.sentences import PLACE
from tests.language.catalogues import LOCALE

_VALUE = re.compile(r"\{(\w+)\}")


def catalogue() -> dict[str, str]:
    """Return the Chinese templates with values by their English ones."""
    with (LOCALE / "zh" / "LC_MESSAGES" / "sentences.po").open("rb") as file:
        messages = read_po(file, locale="zh")
    return {
        str(it.id): str(it.string)
        for it in messages
        if it.id and not it.context and it.id != PLACE and _VALUE.search(str(it.id))
    }


TEMPLATES = catalogue()
WORDS = ("q", "42", "/a/b.toml", "--since", "'x y'", "王小明", "SOME_NAME", "[x, y]", "pbx.example.com:443", "3.5e-7")
"""Values that are no sentences."""


def filled(template: str, translation: str, word: str) -> tuple[str, str]:
    """Return a sentence with values, and its translation.

    Of two values side by side, the first one is a place in a file, or the second one is empty, as in the sources.
    """
    names = list(dict.fromkeys(_VALUE.findall(template)))
    values, told = dict.fromkeys(names, word), dict.fromkeys(names, word)
    for first, second in re.findall(r"\{(\w+)\}\{(\w+)\}", template):
        if template.endswith(f"{{{second}}}"):
            values[second] = told[second] = ""
        else:
            values[first], told[first] = f"{word}: ", f"{word}："
            values[second] = told[second] = "word"
    return template.format(**values), translation.format(**told)


@pytest.mark.parametrize("word", WORDS)
def test_each_sentence_is_translated_by_its_own_template(word: str) -> None:
    pairs = [filled(template, translation, word) for template, translation in TEMPLATES.items()]
    assert len(pairs) > 250
    assert [(text, translated(text, "zh"), told) for text, told in pairs if translated(text, "zh") != told] == []


def with_reason(template: str, reason: str) -> tuple[str, str]:
    """Return a sentence that ends with a reason, which may be a sentence, and its translation."""
    values = dict.fromkeys(_VALUE.findall(template), "q") | {_VALUE.findall(template)[-1]: reason}
    told = {name: translated(it, "zh") for name, it in values.items()}
    return template.format(**values), TEMPLATES[template].format(**told)


def test_a_reason_within_a_sentence_takes_no_word_of_it() -> None:
    """A sentence that ends with a reason, such as ``ret {ret}: {advice}``, with each other sentence as the reason."""
    plain = [it for it in TEMPLATES if "}{" not in it]
    reasons = [it for it in (_VALUE.sub("q", it) for it in plain) if re.match(r"\w", it) and "; " not in it]
    around = [it for it in plain if re.search(r": \{\w+\}$", it)]
    pairs = [with_reason(*pair) for pair in product(around, reasons)]
    assert len(pairs) > 10_000
    assert [(text, translated(text, "zh"), told) for text, told in pairs if translated(text, "zh") != told] == []


def test_templates_with_the_same_english_have_the_same_translation() -> None:
    """That holds whatever their values are called, because a sentence does not show which template it comes from."""
    alike: dict[str, set[str]] = {}
    for template, translation in TEMPLATES.items():
        names = {name: f"{{{at}}}" for at, name in enumerate(dict.fromkeys(_VALUE.findall(template)))}
        english, chinese = (_VALUE.sub(lambda it: names[it[1]], text) for text in (template, translation))  # noqa: B023
        alike.setdefault(english, set()).add(chinese)
    assert {english: all_ for english, all_ in alike.items() if len(all_) > 1} == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # Of two templates that begin alike, the one with more fixed text is chosen.
        ("registration of extension 7", "分机 7 的注册信息"),
        ("registration 7", "注册信息 7"),
        ("a needs the key b", "a 缺少键 b"),
        ("a needs b", "a 需要 b"),
        ("the state file /x is not a regular file: choose another path", "状态文件 /x 不是普通文件：请换一个路径"),
        # The outermost sentence reads the text, not one within it.
        ("record of queue '', extension '': extnumber is empty", "队列 ''、分机 '' 的记录：extnumber 为空"),
        ("warning: a needs b", "警告：a 需要 b"),
        ("ret 9: a needs b (the server says: c)", "ret 9：a 需要 b（服务器说：c）"),
        ("destination 'a': delivered after 2 s", "目标 'a'：失败 2 s后已送达"),
    ],
)
def test_the_most_specific_and_then_the_outermost_sentence_is_chosen(text: str, told: str) -> None:
    assert translated(text, "zh") == told


def test_a_text_that_two_sentences_could_be_stays_english() -> None:
    text = "extension 7 is only in b is not a day of the calendar"
    assert translated(text, "zh") == text


def test_a_text_with_many_joints_is_read_in_a_moment() -> None:
    """A server's message may have any joints; without care each would double the time."""
    units = ("ret 1: ", "a is empty: ", "; a needs b", "a and b more: ", "no queue named x; ", "x (the server says: ")
    began = time.process_time()
    for unit, other in product(units, units):
        translated(((unit + other) * 60)[:256], "zh")
    assert time.process_time() - began < 30
