"""Screens, tables and lines in Chinese: the words, and columns that stay aligned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import attrs
import pytest
from rich.cells import cell_len
from rich.text import Text

from sipqueue_async import AgentState, CallMissed, FeedDown, FeedUp, TransportError
from sipqueue_async._language import speaking
from sipqueue_async.cli.terminal.board import compose
from sipqueue_async.cli.terminal.details import agent_text, help_text
from sipqueue_async.cli.terminal.lines import EventLines, feed_line, state_of
from sipqueue_async.cli.terminal.table import TableColumn, table_lines
from sipqueue_async.cli.terminal.view import View
from sipqueue_async.cli.terminal.wrapping import wrapped
from sipqueue_async.cli.words import counted, heading, ngettext
from tests.cli.terminal.test_board import scene, tally_of, texts
from tests.cli.terminal.test_lines import SEAT, TALKING, WAITING, update
from tests.kit.builders import START, agent

AWAY = TransportError("cannot connect to h:1 (Connection refused); check the URL and that the server runs")
AGENTS = (
    agent("100001", name="王小明", state=AgentState.TALKING),
    agent("100002", name="李雷", state=AgentState.WAITING),
    agent("100003", queue="售后", name="Ann", state=AgentState.UNKNOWN, state_code=9999),
)


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    """Put Chinese in force."""
    with speaking("zh"):
        yield


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_board_is_chinese_and_its_columns_are_aligned(width: int) -> None:
    lines = texts(compose(scene(tally_of(*AGENTS)), View(), width, 24).lines)
    assert all(cell_len(line) <= width for line in lines)
    head = next(line for line in lines if "分机" in line)
    assert "状态" in head
    place = cell_len(head.partition("状态")[0])
    for word in ("通话中", "等待来电", "未知 9999"):
        (line,) = (line for line in lines if word in line and "1000" in line)
        assert cell_len(line.partition(word)[0]) == place
    assert "q 退出" in lines[-1]


def test_an_outage_is_explained_in_chinese() -> None:
    down = scene(tally_of(*AGENTS), up=False, last_error=AWAY, last_good_at=START)
    (line,) = (line for line in texts(compose(down, View(), 120, 24).lines) if "中断" in line)
    assert "无法连接 h:1（连接被拒绝）；请检查网址，并确认服务器正在运行" in line
    unknown = scene(tally_of(*AGENTS), up=False, last_error=AWAY, last_good_at=None)
    assert any(line.startswith("还没有状态：") for line in texts(compose(unknown, View(), 80, 24).lines))


def test_the_pages_are_chinese() -> None:
    tally = tally_of(*AGENTS)
    (seat, *_) = tally.seats.values()
    page = agent_text([seat], [], scene(tally)).plain
    assert "状态" in page
    assert "通话中，已持续" in page
    assert "启动以来没有" in page
    text = help_text(80).plain
    assert "选择坐席、滚动" in text
    assert max(map(cell_len, text.splitlines())) <= 80


def test_changes_are_told_in_chinese() -> None:
    lines = EventLines(verbose=True)
    after = attrs.evolve(TALKING, status_code=1014, wrap_up_time=5)
    events = [CallMissed(**SEAT, agent=after, previous=WAITING, count=2)]
    assert [line.plain.partition("Ann  ")[2] for line in lines.lines(update(events), START)] == ["未接 2 个来电"]
    assert lines._change("status_code", WAITING, after).startswith("话机状态 ")
    assert lines._change("status_code", WAITING, after).endswith(" → 未注册")
    assert lines._change("wrap_up_time", attrs.evolve(WAITING, wrap_up_time=None), after) == "话后处理时间 无 → 5"


def test_outages_are_told_in_chinese() -> None:
    down = feed_line(FeedDown(error=AWAY, since=START), START).plain
    assert "中断：无法连接 h:1（连接被拒绝）" in down
    up = FeedUp(observed_at=START, outage=timedelta(seconds=4.2), failures=2)
    assert feed_line(up, START).plain.endswith("平台恢复，中断 4.2 秒，2 次轮询失败")
    assert "还没有状态：" in feed_line(FeedDown(error=AWAY, since=None), START).plain


def test_tables_are_aligned_and_name_what_they_leave_out() -> None:
    columns = [TableColumn("queue"), TableColumn("answered", 1, right=True), TableColumn("from", 2, context="origin")]
    row = [("售后", ""), ("12", ""), ("x" * 60, "")]
    lines = [line.plain for line in table_lines(columns, [row], None)]
    assert lines[0].startswith("队列  已接  来源")
    assert lines[1].startswith("售后    12  x")
    assert table_lines(columns, [row], 62, other_forms="--csv or --json")[-1].plain == (
        "未显示：来源（请用 --csv 或 --json，或加宽终端）"
    )
    assert table_lines(columns, [row], 62)[-1].plain == "未显示：来源（请加宽终端）"


def test_long_lines_break_between_characters() -> None:
    lines = [line.plain for line in wrapped(Text("正在监视 2 个队列、15 个席位；按 Ctrl-C 结束"), 20, 2)]
    assert lines == ["正在监视 2 个队", "  列、15 个席位；按", "  Ctrl-C 结束"]


def test_numbers_states_and_headings() -> None:
    assert counted(1, "seat") == "1 个席位"
    assert [heading(name) for name in ("waiting", "answered", "hour of day")] == ["等待来电", "已接", "时段"]
    assert state_of(AGENTS[2]) == "未知 9999"
    assert ngettext("missed a call", "missed {count} calls", 1) == "未接 {count} 个来电"
