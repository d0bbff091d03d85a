"""Descriptions of errors in other languages."""

from __future__ import annotations

import re

import pytest

from sipqueue_async import ApiError, AuthError, HttpStatusError, MalformedResponse, OperationFailed
from sipqueue_async._error_text import reason
from sipqueue_async._language import speaking, translated
from sipqueue_async.errors import OPERATION_MEANINGS, RET_MEANINGS, WEB_PAGE
from tests.language.catalogues import ROOT

CHINESE = re.compile("[\u4e00-\u9fff]")
FAULTS = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "cannot connect to pbx.example.com:443 (Connection refused); check the URL and that the server runs",
            "无法连接 pbx.example.com:443（连接被拒绝）；请检查网址，并确认服务器正在运行",
        ),
        (
            "Redis is away: no whole answer within 5 s: the server is slow, silent or out of reach",
            "无法连接 Redis：5 秒内没有收到完整应答：服务器太慢、没有响应或无法连接",
        ),
        ("HTTP 503 Service Unavailable: try again in 5 s", "HTTP 503 Service Unavailable：请在 5 秒后再试"),
        ("malformed response: the program's log says more", "应答格式错误：详见程序日志"),
        ("ret 600: the platform does not accept the token", "ret 600：平台不接受该令牌"),
        ("error 1003: the operation failed", "错误 1003：操作失败"),
        ("the history day.db cannot be read: disk I/O error", "无法读取历史 day.db：disk I/O error"),
        (
            "the history day.db cannot be written: database or disk is full",
            "无法写入历史 day.db：磁盘或数据库已满",
        ),
        ("the history day.db cannot be opened: Connection refused", "无法打开历史 day.db：连接被拒绝"),
        ("ZeroDivisionError", "ZeroDivisionError"),
        ("the operation {failed}", "the operation {failed}"),
        ("", ""),
    ],
)
def test_a_description_is_translated_with_its_values(text: str, told: str) -> None:
    assert translated(text, "zh") == told
    assert translated(text) == text
    with speaking("zh"):
        assert translated(text) == told


def test_each_code_and_each_status_is_told() -> None:
    known = [
        *(ApiError(ret) for ret in (*RET_MEANINGS, 599)),
        *(OperationFailed(code) for code in (*OPERATION_MEANINGS, 9, None)),
        *(AuthError(ret) for ret in (601, 602, 603, 604)),
        *(HttpStatusError(status) for status in (302, 400, 404, 429, 502, 700)),
        HttpStatusError(503, retry_after=5),
        MalformedResponse("anything"),
        MalformedResponse(f"{WEB_PAGE}: x"),
    ]
    assert [text for text in map(reason, known) if not CHINESE.search(translated(text, "zh"))] == []


def test_each_failure_of_the_network_is_told() -> None:
    failures = re.findall(r"`TransportError`: `([^`]*)`", FAULTS)
    assert len(failures) > 10
    assert [text for text in failures if not CHINESE.search(translated(text, "zh"))] == []
