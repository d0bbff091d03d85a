"""`number_prefix`: the first digits of a number, and never the whole of it."""

from __future__ import annotations

from typing import Any

import pytest

from sipqueue_async.records import number_prefix

LISTED = ("0207", "02", "+86")


@pytest.mark.parametrize(
    ("number", "prefixes", "group"),
    [
        ("13812345678", 3, "138"),
        ("13812345678", 7, "1381234"),
        ("+8613812345678", 4, "+8613"),
        ("138****1234", 3, "138"),
        ("138****1234", 4, "masked"),
        ("+86138****1234", 4, "+8613"),
        ("****1234", 1, "masked"),
        ("anonymous", 3, "masked"),
        ("0207*", 4, "0207"),
        ("1001", 3, "short"),
        ("123456", 3, "short"),
        ("1234567", 3, "123"),
        ("10086", 1, "1"),
        ("+", 3, "short"),
        ("", 3, "unknown"),
        (None, 3, "unknown"),
        ("02079460123", LISTED, "0207"),
        ("02179460123", LISTED, "02"),
        ("+8613812345678", LISTED, "+86"),
        ("13812345678", LISTED, "other"),
        ("0207123", LISTED, "short"),
        ("02**", LISTED, "masked"),
        ("021*", LISTED, "02"),
        ("0207*", LISTED, "0207"),
        ("1****", LISTED, "other"),
        ("*", LISTED, "masked"),
        (None, LISTED, "unknown"),
    ],
)
def test_the_group_of_a_number(number: str | None, prefixes: Any, group: str) -> None:
    assert number_prefix(number, prefixes) == group


@pytest.mark.parametrize(
    ("prefixes", "error", "words"),
    [
        (0, ValueError, "from 1 to 7 digits, not 0"),
        (8, ValueError, "from 1 to 7 digits, not 8"),
        (True, TypeError, "not bool"),
        ("138", TypeError, "not str"),
        (3.0, TypeError, "not float"),
        ((), ValueError, "prefixes is empty"),
        (("138", "12345678"), ValueError, "from 1 to 7 digits, after a plus sign"),
        (("13x",), ValueError, "from 1 to 7 digits"),
    ],
)
def test_invalid_prefixes_are_refused(prefixes: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        number_prefix(None, prefixes)
