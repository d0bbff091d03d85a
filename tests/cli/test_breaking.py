"""Lines of Chinese and English text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipqueue_async.cli.breaking import broken, cells, has_wide


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 4, [""]),
        ("一二三四", 4, ["一二", "三四"]),
        ("一二，三", 4, ["一", "二，", "三"]),
        ("一（二）", 4, ["一", "（二", "）"]),
        ("看 config 的值", 9, ["看 config", "的值"]),
        ("abc defg", 4, ["abc", "defg"]),
        ("abcdefg", 4, ["abcd", "efg"]),
        ("中abc", 4, ["中", "abc"]),
    ],
)
def test_lines_break_between_words_and_between_chinese_characters(text: str, width: int, lines: list[str]) -> None:
    assert broken(text, width) == lines


@given(st.text("中，（）a b-", max_size=40), st.integers(2, 12))
def test_no_line_is_too_long_and_no_character_is_lost(text: str, width: int) -> None:
    lines = broken(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_wide_characters_are_found() -> None:
    assert [has_wide(text) for text in ("abc", "é", "中")] == [False, False, True]
