"""The language in force, and words in it."""

from __future__ import annotations

import asyncio

import pytest

from sipqueue_async import AgentState
from sipqueue_async._codes import CODE_LABELS
from sipqueue_async._language import Words, code_word, language, of_preferences, speaking, state_word

WORDS = Words("codes")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], "en"),
        (["zh"], "zh"),
        (["zh_CN.UTF-8"], "zh"),
        (["zh-Hant-TW"], "zh"),
        (["ZH"], "zh"),
        ([" zh "], "zh"),
        (["C.UTF-8"], "en"),
        (["zhx"], "en"),
        (["fr_FR", "zh_CN", "en"], "zh"),
        (["fr", "en-US", "zh"], "en"),
    ],
)
def test_the_first_language_that_is_there_is_taken(names: list[str], expected: str) -> None:
    assert of_preferences(names) == expected


def test_a_language_is_in_force_in_its_block_only() -> None:
    assert language() == "en"
    with speaking("zh"):
        assert language() == "zh"
        assert WORDS.gettext("code {code}") == "代码 {code}"
        assert WORDS.gettext("code {code}", "en") == "code {code}"
    assert language() == "en"
    assert WORDS.gettext("code {code}") == "code {code}"
    assert WORDS.gettext("code {code}", "zh") == "代码 {code}"


async def test_tasks_that_start_in_a_block_keep_its_language() -> None:
    begin = asyncio.Event()

    async def later() -> str:
        await begin.wait()
        return language()

    with speaking("zh"):
        task = asyncio.create_task(later())
    begin.set()
    assert await task == "zh"


def test_numbers_take_their_form() -> None:
    assert [WORDS.ngettext("one", "many", number) for number in (0, 1, 2)] == ["many", "one", "many"]
    # A message without a translation stays as it is.
    assert WORDS.ngettext("one", "many", 2, "zh") == "many"


def test_scripts_get_all_messages() -> None:
    messages = WORDS.messages("zh")
    assert (messages["code {code}"], messages["state\4paused"], messages.get("")) == ("代码 {code}", "示忙", None)
    assert WORDS.messages() == {}


def test_english_words_for_states_and_codes_are_the_librarys() -> None:
    assert [state_word(state) for state in AgentState] == [state.value for state in AgentState]
    assert {code: code_word(code) for code in CODE_LABELS} == CODE_LABELS
    assert code_word(9999) == "code 9999"


def test_chinese_words_for_states_and_codes() -> None:
    words = {state.value: state_word(state, "zh") for state in AgentState}
    assert words == {
        "idle": "空闲",
        "waiting": "等待来电",
        "receiving": "振铃",
        "talking": "通话中",
        "paused": "示忙",
        "offline": "离线",
        "unknown": "未知",
    }
    assert [code_word(code, "zh") for code in (1202, 1204, 1014, 9999)] == ["振铃", "通话中", "未注册", "代码 9999"]
