"""The rendered board of `sipqueue top`, at any size and with any names."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sipqueue_async import AgentState, AgentStatus, FeedDown, SeatKey, TransportError, Update, WatcherHealth, diff
from sipqueue_async._text import harmless
from sipqueue_async.alerts import AlertState, StateLasts, evaluate
from sipqueue_async.cli.terminal.board import QueueTarget, Scene, Steady, compose
from sipqueue_async.cli.terminal.layout import Column, Line, cut, placed, target_at
from sipqueue_async.cli.terminal.lines import time_span
from sipqueue_async.cli.terminal.view import Sort, View
from sipqueue_async.tally import Tally
from tests.kit.builders import START, agent, snapshot

AWAY = TransportError("cannot connect\nto it")
AWAY.where = "a place that is long to tell"
BY_QUEUE = View(sort=Sort.QUEUE)
NAMES = st.sampled_from(
    [
        "Agent 01",
        "[red]",
        "\x1b[2J\n",
        "王小明" * 4,
        "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER} \N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
        "مريم",
        "e\N{COMBINING ACUTE ACCENT}",
        "\N{RIGHT-TO-LEFT OVERRIDE}back",
        "a" * 90,
    ]
)


def tally_of(*agents: AgentStatus, later: Iterable[AgentStatus] = (), at: float = 60) -> Tally:
    """Return a tally of these agents, who are replaced by others after a minute."""
    first, second = snapshot(*agents), snapshot(*later, at=at)
    tally = Tally(first)
    if later:
        tally.update(Update(sequence=1, snapshot=second, previous=first, events=diff(first, second)))
    return tally


def scene(tally: Tally, *, at: float = 60, **health: Any) -> Scene:
    """Return the scene at this second."""
    moment = START + timedelta(seconds=at)
    given: dict[str, Any] = {"up": True, "last_good_at": moment, **health}
    return Scene(
        tally=tally, health=WatcherHealth(**given), at=moment, now=moment + timedelta(seconds=5), title="a test"
    )


def texts(lines: Iterable[Line]) -> list[str]:
    """Return the lines as the screen shows them."""
    shown: list[str] = []
    for line in lines:
        text = ""
        for field in line:
            text += " " * (field.column - cell_len(text)) + field.text
        shown.append(text)
    return shown


def rows(lines: Iterable[Line], heading: str) -> list[list[str]]:
    """Return the words of the lines below a heading, up to an empty line."""
    found = itertools.dropwhile(lambda text: heading not in text, texts(lines))
    return [text.split() for text in itertools.takewhile(bool, itertools.islice(found, 1, None))]


class TestAgents:
    PEOPLE = (
        agent("1", AgentState.OFFLINE),
        agent("2", AgentState.WAITING, queue="b"),
        agent("3", AgentState.TALKING, calls_answered=1),
        agent("4", AgentState.TALKING),
        agent("5", AgentState.UNKNOWN, state_code=1299),
    )
    LATER = (*PEOPLE[:2], agent("3", AgentState.TALKING, calls_answered=3, no_answer_count=1), *PEOPLE[3:])

    def order(self, view: View) -> list[str]:
        """Return the extensions in the displayed order."""
        tally = tally_of(*self.PEOPLE, later=self.LATER)
        return [row[1] for row in rows(compose(scene(tally), view, 100, 30).lines, " ext ")[:5]]

    def test_who_talks_comes_first_and_the_longest_talk_before_others(self) -> None:
        assert self.order(View()) == ["4", "3", "2", "5", "1"]

    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            (Sort.TIME, ["2", "4", "5", "3", "1"]),
            (Sort.QUEUE, ["2", "1", "3", "4", "5"]),
            (Sort.ANSWERED, ["3", "2", "1", "4", "5"]),
        ],
    )
    def test_can_be_sorted_otherwise(self, sort: Sort, expected: list[str]) -> None:
        assert self.order(View(sort=sort)) == expected

    def test_one_queue_alone(self) -> None:
        """The column of queues is omitted."""
        view = View(queue="queue-1")
        shown = compose(scene(tally_of(*self.PEOPLE)), view, 100, 30).lines
        assert [row[0] for row in rows(shown, "ext ")] == ["3", "4", "5", "1"]
        assert "f queue: queue-1" in texts(shown)[-1]

    def test_a_row_has_state_time_in_state_and_calls(self) -> None:
        tally = tally_of(*self.PEOPLE, later=self.LATER)
        shown = rows(compose(scene(tally, at=3725), View(sort=Sort.QUEUE), 100, 30).lines, " ext ")
        assert ["queue-1", "3", "talking", "1:01:05", "2", "1"] in shown
        assert ["queue-1", "4", "talking", "1:02:05+", "0", "0"] in shown
        assert ["queue-1", "5", "unknown", "1299", "1:02:05+", "0", "0"] in shown

    def test_those_who_have_left_are_not_shown(self) -> None:
        tally = tally_of(*self.PEOPLE, later=self.LATER[:2])
        shown = texts(compose(scene(tally), View(), 100, 30).lines)
        assert shown[1].startswith("2 seats")
        assert not any("talking  " in text for text in shown[2:])

    @pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 10)])
    def test_says_how_many_are_not_shown_and_pages_through_all(self, width: int, height: int) -> None:
        everybody = {str(number) for number in range(1000, 1500)}
        tally = tally_of(*(agent(extension) for extension in everybody))
        view, seen, first = View(), set[str](), -1
        while seen != everybody:
            board = compose(scene(tally), view, width, height)
            shown = texts(board.lines)
            here = {word for text in shown[2:-1] for word in text.split() if word in everybody}
            assert shown[-1].startswith(f"{500 - len(here)} not shown")
            assert len(here) == board.size
            assert board.first > first
            first = board.first
            seen |= here
            view = View(first=board.first + board.size)

    def test_columns_do_not_move_until_other_agents_are_chosen(self) -> None:
        wide = agent("1", name="A rather long name", queue="a long queue")
        few, many = tally_of(agent("1", name="A", queue="q")), tally_of(wide, agent("2", AgentState.OFFLINE, queue="q"))

        def heading(tally: Tally, steady: Steady, view: View = BY_QUEUE) -> str:
            (line,) = [text for text in texts(compose(scene(tally), view, 90, 24, steady).lines) if " ext " in text]
            return line

        steady = Steady()
        narrow = heading(few, steady)
        at_most = heading(many, steady)
        assert narrow != at_most
        assert heading(few, steady) == at_most
        assert heading(few, steady, View(search="A")) == narrow

    @pytest.mark.parametrize("width", [40, 80])
    def test_a_search_without_a_hit_says_so_beneath_the_same_heading(self, width: int) -> None:
        tally = tally_of(agent("100001", queue="a-queue", name="Somebody Long"))
        before, after = (texts(compose(scene(tally), View(search=it), width, 24).lines) for it in ("", "x9"))
        (heading,) = [line for line in before if " ext " in line]
        assert after[after.index(heading) + 1] == "nothing found"
        assert "nothing found" not in before

    def test_a_search_shows_who_has_the_text(self) -> None:
        people = [agent("100", name="Ann"), agent("200", name="Bea", queue="Sales"), agent("300", name=None)]
        for text, expected in (("ann", ["100"]), ("sales 200", ["200"]), ("00", ["100", "300", "200"]), ("x", [])):
            shown = compose(scene(tally_of(*people)), View(sort=Sort.QUEUE, search=text), 120, 24)
            assert sorted(key.extension for key in shown.order) == sorted(expected)
            assert f"/ search: {text}" in texts(shown.lines)[-1]

    def test_the_selected_agent_is_marked_and_every_text_knows_what_it_is_about(self) -> None:
        people = [agent("100", name="Ann"), agent("200", name="Bea", queue="b")]
        view = View(sort=Sort.QUEUE, selected=SeatKey("queue-1", "100"))
        lines = compose(scene(tally_of(*people)), view, 80, 24).lines
        (marked,) = [line for line in lines if line and line[0].style == "reverse"]
        assert "Ann" in marked[0].text
        assert cell_len(marked[0].text) == 80
        (heading,) = [line for line in lines if any(field.text == "ext" for field in line)]
        assert [target_at(heading, at) for at in (0, 9, 500)] == [Sort.QUEUE, Sort.EXTENSION, Sort.MISSED]
        targets = {field.target for line in lines for field in line}
        assert targets == {None, *Sort, *(it.key for it in people), *map(QueueTarget, ("queue-1", "b", None))}
        assert target_at((), 3) is None


class TestQueues:
    def test_counts_calls_and_the_longest_talk(self) -> None:
        people = [agent("1", AgentState.TALKING), agent("2"), agent("3", AgentState.PAUSED, queue="b")]
        later = [agent("1", AgentState.TALKING), agent("2", calls_answered=2), agent("3", AgentState.IDLE, queue="b")]
        shown = rows(compose(scene(tally_of(*people, later=later), at=90), View(), 110, 30).lines, "longest talk")
        assert shown == [
            ["b", "0", "0", "0", "1", "0", "0", "0", "no", "agent", "waiting"],
            ["queue-1", "1", "1", "0", "0", "0", "2", "0", "1:30+"],
            ["all", "1", "1", "0", "1", "0", "2", "0", "1:30+"],
        ]

    @pytest.mark.parametrize(
        ("state", "warning"),
        [
            (AgentState.WAITING, ""),
            (AgentState.TALKING, "no agent waiting"),
            (AgentState.OFFLINE, "no agent signed in"),
        ],
    )
    def test_warns_of_a_queue_without_a_waiting_agent(self, state: AgentState, warning: str) -> None:
        """The warning is a sentence, or a mark if there is no room."""
        lines = compose(scene(tally_of(agent(state=state))), View(), 80, 24).lines
        (line,) = [line for line in lines if line and line[0].text == "queue-1"][:1]
        assert (line[-1].text in {"no agent waiting", "no agent signed in"}) == bool(warning)
        assert (line[-1].text == warning) == bool(warning)
        assert (line[-1].style == "bold red") == bool(warning)
        narrow = compose(scene(tally_of(agent(state=state))), View(), 40, 10).lines
        (line,) = [line for line in narrow if line and line[0].text == "queue-1"][:1]
        assert (line[-1].text == "!") == bool(warning)

    def test_queues_with_a_warning_are_shown_first_if_not_all_fit(self) -> None:
        people = [agent(queue=f"queue-{number:02}") for number in range(30)]
        people[20] = agent(queue="queue-20", state=AgentState.TALKING)
        shown = texts(compose(scene(tally_of(*people)), View(), 80, 24).lines)
        assert any(text.startswith("queue (6 of 30)") for text in shown)
        assert any(text.startswith("queue-20") and text.endswith("no agent waiting") for text in shown)


class TestFeed:
    def test_a_feed_that_is_down_is_said_and_the_rest_is_dim(self) -> None:
        tally = tally_of(agent(state=AgentState.TALKING))
        tally.update(Update(sequence=1, snapshot=None, previous=None, events=(FeedDown(error=AWAY, since=START),)))
        lines = compose(scene(tally, up=False, last_error=AWAY), View(), 80, 24).lines
        assert texts(lines)[1].rstrip().endswith("(0:05): cannot connect to it")
        assert texts(lines)[1].startswith("FEED DOWN since ")
        assert cell_len(texts(lines)[1]) == 80
        assert {field.style for line in lines[2:-1] for field in line} == {"dim"}

    def test_before_anything_is_known(self) -> None:
        shown = texts(compose(scene(Tally(), up=None, last_good_at=None), View(), 80, 24).lines)
        assert shown[1] == "waiting for the first answer"
        assert shown[-1].startswith("q quit")
        error = LookupError("odd")
        shown = texts(compose(scene(Tally(), up=False, last_good_at=None, last_error=error), View(), 80, 24).lines)
        assert shown[1].rstrip() == "NO STATUS YET: odd"

    @pytest.mark.parametrize(
        ("width", "height", "message"),
        [
            (80, 24, ["no queue named 'nosuch'; there are queue-1, queue-2, queue-3, queue-4, queue-5"]),
            (40, 24, ["no queue named 'nosuch'; there are", "queue-1, queue-2, queue-3, queue-4,", "queue-5"]),
            (24, 24, ["no queue named 'nosuch';", "there are queue-1,", "queue-2, queue-3, queue…"]),
            (40, 10, ["no queue named 'nosuch'; there are queu…"]),
        ],
    )
    def test_a_message_is_wrapped_where_there_are_free_lines(self, width: int, height: int, message: list[str]) -> None:
        text = "no queue named 'nosuch'; there are queue-1, queue-2, queue-3, queue-4, queue-5"
        tally = tally_of(*(agent(f"{number}") for number in range(5)))
        shown = compose(attrs.evolve(scene(tally), notice=text), View(), width, height).lines
        assert [field.text for line in shown for field in line if field.style == "bold yellow"][
            : len(message)
        ] == message
        down = scene(Tally(), up=False, last_good_at=None, last_error=TransportError(text))
        lines = texts(compose(down, View(), 40, 24).lines)
        assert [line.rstrip() for line in lines[1:4]] == [
            "NO STATUS YET: no queue named 'nosuch';",
            "there are queue-1, queue-2, queue-3,",
            "queue-4, queue-5",
        ]

    def test_a_platform_without_agents_shows_0_seats(self) -> None:
        shown = texts(compose(scene(tally_of()), View(), 80, 24).lines)
        assert shown[1].startswith("0 seats")


class TestAnySize:
    @pytest.mark.one_python
    @given(
        st.lists(st.tuples(NAMES, NAMES, NAMES, st.sampled_from(AgentState)), max_size=30, unique_by=lambda it: it[:2]),
        st.integers(1, 130),
        st.integers(1, 40),
        st.booleans(),
        st.integers(0, 5),
    )
    def test_nothing_is_too_wide_too_high_or_over_another_thing(
        self, people: list[tuple[str, str, str, AgentState]], width: int, height: int, up: bool, alerts: int
    ) -> None:
        """Nothing is cut off and nothing overlaps, at any size and with any names."""
        tally = tally_of(*(agent(extension, state, queue=queue, name=name) for queue, extension, name, state in people))
        known = scene(tally, up=up, last_error=None if up else AWAY)
        state, _, _ = evaluate(
            AlertState([StateLasts("lasts", tuple(AgentState), longer_than=0)]), tally.snapshot or START
        )
        known = attrs.evolve(known, raised=state.raised[:alerts], language=["en", "zh"][alerts % 2])
        lines = compose(known, View(), width, height).lines
        assert len(lines) == height
        for line in lines:
            end = 0
            for field in line:
                assert field.column >= end
                assert harmless(field.text) == field.text
                end = field.column + cell_len(field.text)
            assert end <= width

    def test_the_most_important_columns_stay(self) -> None:
        shown = texts(compose(scene(tally_of(agent(name="A name"))), View(), 40, 10).lines)
        (heading,) = [text for text in shown if " ext " in text]
        assert heading.split() == ["queue", "ext", "name", "state", "for"]


class TestPieces:
    def test_views_go_round(self) -> None:
        view = View(first=3)
        for _ in Sort:
            view = view.next_sort()
        assert view == View()
        queues = [view := view.next_queue({"b": 0, "a": 0}) for _ in range(3)]
        assert [it.queue for it in queues] == ["a", "b", None]
        assert View(queue="gone").next_queue(["a"]).queue == "a"

    @pytest.mark.parametrize(
        ("seconds", "text"), [(-5, "0:00"), (7.9, "0:07"), (754, "12:34"), (3723, "1:02:03"), (360000, "100:00:00")]
    )
    def test_times(self, seconds: float, text: str) -> None:
        assert time_span(seconds) == text

    @pytest.mark.parametrize(
        ("text", "width", "expected"),
        [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("abc", 1, "a"),
            ("王小明", 5, "王小…"),
            ("王小明", 4, "王…"),
            ("ab", 0, ""),
        ],
    )
    def test_cutting(self, text: str, width: int, expected: str) -> None:
        assert cut(text, width, "…") == expected

    def test_columns_are_left_out_by_rank_and_then_share_what_is_left(self) -> None:
        columns = [
            Column("a", "", width=10, least=4, rank=0),
            Column("b", "", width=5, rank=1),
            Column("c", "", width=5, rank=2),
        ]
        widths = {width: [(at, it.name, it.width) for at, it in placed(columns, width)] for width in (30, 17, 15, 5, 2)}
        assert widths[30] == [(0, "a", 10), (11, "b", 5), (17, "c", 5)]
        assert widths[17] == [(0, "a", 5), (6, "b", 5), (12, "c", 5)]
        assert widths[15] == [(0, "a", 9), (10, "b", 5)]
        assert widths[5] == [(0, "a", 5)]
        assert widths[2] == [(0, "a", 2)]
