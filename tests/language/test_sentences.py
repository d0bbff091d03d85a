"""The sentences of errors and warnings in Chinese."""

from __future__ import annotations

import pytest

from sipqueue_async._language import translated
from sipqueue_async.errors import RET_MEANINGS

KEPT = "it is left as it is, so move it away to start afresh"
TABLE = "rules: write each as a table of its own, such as"
LOST = "the command may have been executed, so check the status before you repeat it"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no queue named 'x'; there are a, b", "没有名为 'x' 的队列；现有 a, b"),
        (
            "no queues named 'a,b', 'c'; there are d and 3 more; repeat --queue for several",
            "没有名为 'a,b', 'c' 的队列；现有 d 等，另有 3 个；多个时请重复 --queue",
        ),
        ("no extension named '1'; there are a; still watching for it", "没有名为 '1' 的分机；现有 a；会继续等它出现"),
        (
            "warning: other users can read the secrets in /a/b; run: chmod 600 /a/b",
            "警告：其他用户能读取 /a/b 里的密钥；请运行：chmod 600 /a/b",
        ),
        ("/x.toml, line 3: url must be a non-empty text in quotes", "/x.toml 第 3 行：url 必须是带引号的非空文本"),
        ("the settings file /x is not valid TOML: odd", "设置文件 /x 不是有效的 TOML：odd"),
        (
            f"the state file /x cannot be used: the saved snapshot is damaged: the field 'x' is missing; {KEPT}",
            "状态文件 /x 无法使用：保存的快照已损坏：缺少字段 'x'；文件保持原样，要重新开始请把它移走",
        ),
        (
            f"ret 601: {RET_MEANINGS[601]} (the server says: 不行) (App.X.Y at http://h/)",
            "ret 601：该 appid 未授权：请联系平台运营方授权（服务器说：不行）（http://h/ 的 App.X.Y）",
        ),
        (
            "malformed response: record of queue 'q', extension '1': state is missing; it reads '{a; b}' (App.X at h)",
            "应答格式错误：队列 'q'、分机 '1' 的记录：缺少 state；内容是 '{a; b}'（h 的 App.X）",
        ),
        (
            f"no whole answer within 10 s: the server is slow, silent or out of reach; {LOST}",
            "10 秒内没有收到完整应答：服务器太慢、没有响应或无法连接；命令可能已经执行，重试前请先查看状态",
        ),
        (
            "cannot listen on ::1, port 80: Permission denied; try another --port",
            "无法监听 ::1 端口 80：权限不够；请换用另一个 --port",
        ),
        (
            "--url: url must begin with http:// or https:// and name a host",
            "--url：url 必须以 http:// 或 https:// 开头，并包含主机名",
        ),
        (
            "other machines can reach 0.0.0.0, so an access key is required; set A, or use --key-file",
            "其他机器能访问 0.0.0.0，因此必须有访问密钥；请设置 A，或使用 --key-file",
        ),
        ("--csv and --json do not go together", "--csv 和 --json 不能同时使用"),
        ("the destinations file /x cannot be read: Is a directory", "无法读取目标文件 /x：是一个目录"),
        (
            "the URL answered with a web page (title: Log in); check the URL",
            "该网址应答的是网页（标题：Log in）；请检查网址",
        ),
        (
            "warning: state of queue q, extension 1 was left out: is 'x', not an integer",
            "警告：略去了 state（队列 q，分机 1）：是 'x'，不是整数",
        ),
        (f"{TABLE} [rules.first]", "rules：每一项请单独写成一个表，例如 [rules.first]"),
        (f"{TABLE} [other.first]", f"{TABLE} [other.first]"),
        ("the {noun} 'sales' was lost, alas: it seems", "the {noun} 'sales' was lost, alas: it seems"),
        ("the last word, Connection refused", "the last word，连接被拒绝"),
        ("正在连接", "正在连接"),
        ("; ", "; "),
    ],
)
def test_a_sentence_is_translated_with_its_values_and_any_other_text_stays(text: str, told: str) -> None:
    assert translated(text, "zh") == told
    assert translated(text) == text
