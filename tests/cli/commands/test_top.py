"""``sipqueue top`` without a terminal: the screen agrees with the simulator's ground truth."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from unittest.mock import Mock

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from sipqueue_async import AgentState, AgentStatus, AuthError, Feed, SeatFilter, SeatKey, Snapshot, WatcherHealth
from sipqueue_async.alerts import Available, FeedSilent, RulesFile, StateLasts
from sipqueue_async.cli.commands.top import top, top_demo
from sipqueue_async.cli.origin import ALL_SEATS, feed_of
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.cli.terminal import app
from sipqueue_async.cli.terminal.app import Page, Picture, TopApp
from sipqueue_async.cli.terminal.live import LiveStatus
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.cli.terminal.view import View
from sipqueue_async.simulator import Simulator
from tests.kit.builders import START, agent, snapshot
from tests.kit.cli import BUSY, Paper
from tests.kit.terminal import terminal
from tests.kit.waiting import until

# It is about Textual, which takes its time.
pytestmark = pytest.mark.one_python


class Top:
    """The program on a screen that tests can read."""

    def __init__(self, program: TopApp, pilot: Pilot[None]) -> None:
        self.app = program
        self.pilot = pilot

    @property
    def lines(self) -> list[str]:
        """The board's lines."""
        picture = self.app.query_one(Picture)
        return [picture.render_line(y).text.rstrip() for y in range(picture.size.height)]

    @property
    def text(self) -> str:
        """The board's text."""
        return "\n".join(self.lines)

    @property
    def seats(self) -> Counter[tuple[str, str, str]]:
        """The queue, extension and state of every seat on the board."""
        rows = [line.split() for line in self.lines if line.startswith("queue-")]
        return Counter((row[0], row[1], row[4]) for row in rows if row[2] == "Agent")

    @property
    def page(self) -> str:
        """The text of the page over the board; empty if there is none."""
        return str(self.app.screen.query_one(Static).content) if isinstance(self.app.screen, Page) else ""

    def fits(self, lines: int) -> bool:
        """Return whether the board has this many lines, including the last one."""
        return len(self.lines) == lines and "q quit" in self.lines[-1]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition on the screen holds."""
        await until(lambda: condition() or not self.app.is_running)
        assert condition(), self.text

    async def until_shown(self, text: str) -> None:
        """Wait until the screen shows a text."""
        await self.until(lambda: text in self.text)

    async def click(self, text: str) -> None:
        """Click on the first occurrence of a text."""
        y, line = next((y, line) for y, line in enumerate(self.lines) if text in line)
        await self.pilot.click(Picture, offset=(line.index(text), y))


@asynccontextmanager
async def running_top(
    simulator: Simulator,
    *,
    size: tuple[int, int] = (100, 30),
    interval: float = 0.1,
    seats: SeatFilter = ALL_SEATS,
    rules: RulesFile | None = None,
) -> AsyncGenerator[Top]:
    """Run the program on a screen of a given size."""
    origin = client_of(simulator)
    async with feed_of(origin, interval=interval, seats=seats) as feed:
        live = LiveStatus(feed, "a test", rules=rules)
        program = TopApp(live)
        async with feed, program.run_test(size=size) as pilot:
            await live.look_for_absent(origin, seats)
            following = asyncio.create_task(live.follow_alerts())
            try:
                yield Top(program, pilot)
            finally:
                following.cancel()
                await asyncio.wait([following])


def truth(simulator: Simulator) -> Counter[tuple[str, str, str]]:
    """Return the queue, extension and state of every seat."""
    return Counter((seat.queue, seat.extension, seat.state.value) for seat in simulator.centre.seats())


async def test_shows_the_truth_through_changes_and_an_outage() -> None:
    """The last known status stays on the screen, and calls between two polls are counted."""
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator) as board:
        await board.until_shown("4 seats in 2 queues")
        before = simulator.centre.now
        for _ in range(3):
            simulator.advance(7)
            await board.until(lambda: board.seats == truth(simulator))
            counts = Counter(state for _, _, state in truth(simulator).elements())
            (total,) = [line.split() for line in board.lines if line.startswith("all ")]
            assert total[1:4] == [str(counts[state]) for state in ("waiting", "talking", "receiving")]
        known = board.seats
        await simulator.stop_server()
        await board.until_shown("FEED DOWN since ")
        assert board.seats == known
        await board.until(lambda: "cannot connect" in board.lines[1])
        await simulator.start_server()
        simulator.advance(300)
        await board.until(lambda: "FEED DOWN" not in board.text and board.seats == truth(simulator))
        answered, missed = simulator.truth.answered(before), simulator.truth.missed(before)
        await board.until_shown(f"{answered} answered  {missed} missed")
        simulator.server.refuse(601)
        await until(lambda: not board.app.is_running)


async def test_time_passes_also_where_nothing_changes() -> None:
    """Durations keep counting between two polls."""
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, interval=600) as board:
        await board.until_shown(" 0:01+")
        await board.until_shown(" 0:02+")
        assert simulator.server.requests <= 2


async def test_keys_and_clicks_change_what_is_seen() -> None:
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, size=(80, 10)) as board:
        press = board.pilot.press

        def view() -> View:
            return board.app._view

        await board.until_shown("1 not shown  q quit")
        first = board.seats
        await press("x", "space")
        assert first | board.seats == truth(simulator)
        await press("space")
        assert board.seats == first
        await press("pagedown", "pageup")
        assert board.seats == first
        # Change the order.
        await press("s")
        await board.until_shown("s sort: time")
        await press("R")
        await board.until_shown("s sort: time reversed")
        await board.click("ext")
        assert [key.extension for key in board.app._board.order] == ["100001", "100002", "100003", "100004"]
        await board.click("ext")
        await board.until_shown("s sort: extension reversed")
        await board.click("ext")
        # Choose a queue.
        await press("f")
        await board.until_shown("f queue: queue-1")
        await press("escape")
        await board.click("queue-2")
        await board.until_shown("f queue: queue-2")
        await board.click("queue-2")
        await board.until_shown("f queue: all")
        # Move the selection.
        await press("down")
        assert view().selected == SeatKey("queue-1", "100001")
        await press("down", "down", "down", "down")
        assert (view().selected, view().first) == (SeatKey("queue-2", "100004"), 1)
        await press("home", "right", "left", "end", "up")
        assert view().selected == SeatKey("queue-1", "100003")
        await press("escape")
        assert view().selected is None
        board.app.on_mouse_scroll_up()
        assert view().first == 0
        board.app.on_mouse_scroll_down()
        assert view().first == 1
        await board.click("sipqueue")
        await press("q")
        await until(lambda: not board.app.is_running)


async def test_a_search_is_typed_kept_and_ended() -> None:
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator) as board:
        await board.until_shown("4 seats")
        await board.pilot.press("slash", *"100003")
        assert {extension for _, extension, _ in board.seats} == {"100003"}
        await board.pilot.press("enter", "s")
        await board.until_shown("/ search: 100003  s sort: time")
        await board.pilot.press("escape")
        assert board.seats == truth(simulator)
        await board.pilot.press("slash", *"nobody", "enter", "enter", "down")
        assert not board.seats
        assert not board.page


async def test_pages_show_an_agent_and_the_help() -> None:
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, size=(70, 24)) as board:
        await board.until_shown("4 seats")
        await board.pilot.press("enter")
        first = board.app._view.selected
        assert first is not None
        assert board.page.startswith(f"{first.extension}  Agent ")
        assert "none since the start" in board.page
        simulator.advance(120)
        await board.until(lambda: "none since the start" not in board.page)
        await board.pilot.press("escape")
        await board.click("100004")
        assert board.page.startswith("100004  Agent 04")
        await board.pilot.click(offset=(0, 0))
        await board.pilot.press("question_mark")
        assert "sort; a second click reverses" in board.page
        await board.pilot.click(Static)
        assert board.page
        await board.pilot.press("q")
        assert not board.page
        assert board.app.is_running


async def test_raised_alerts_are_lines_above_the_queues_and_have_a_page() -> None:
    rules = RulesFile(rules=(StateLasts("any", tuple(AgentState), longer_than=0), FeedSilent("away", lasting=0)))
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, rules=rules) as board:
        await board.until_shown("and 1 more")
        assert [line[0] for line in board.lines[1:5]] == ["!", "!", "!", " "]
        await board.click("and 1 more")
        await board.until(lambda: board.page.count("any, since ") == 4)
        await board.pilot.press("escape")
        await simulator.stop_server()
        await board.until_shown("! The platform cannot be reached")
        await board.pilot.press("a")
        assert board.page.startswith("Raised alerts\n! The platform cannot be reached\n  away, since ")
        await board.pilot.press("escape")
        await simulator.start_server()
        await board.until(lambda: "cannot be reached" not in board.text)
        simulator.server.refuse(601)
        await until(lambda: not board.app.is_running)


async def test_themes_colour_the_board_and_sizes_fit_it() -> None:
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator) as board:
        await board.until_shown("longest talk")
        picture = board.app.query_one(Picture)
        names = set[str]()
        colours = set[str]()
        for _ in board.app.available_themes:
            await board.pilot.press("t")
            names.add(board.app.theme)
            colours |= {str(it.style.color) for y in range(9) for it in picture.render_line(y) if it.style}
        assert names == set(board.app.available_themes)
        assert len(colours) > 10
        for columns, lines in ((40, 10), (200, 60), (20, 5)):
            await board.pilot.resize_terminal(columns, lines)
            await board.until(partial(board.fits, lines))
            assert board.lines[0].startswith("sipqueue")


async def test_a_wished_theme_is_used_if_it_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    for wished, used in (("nord", "nord"), ("nosuch", "ansi-dark")):
        monkeypatch.setitem(os.environ, "TEXTUAL_THEME", wished)
        async with TopApp(LiveStatus(Slow(), "")).run_test() as pilot:
            assert pilot.app.theme == used


async def test_a_queue_that_does_not_exist_is_named_until_it_comes() -> None:
    seats = SeatFilter(["queue-1", "queue-9"], ["100001", "100002", "100003"])
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, seats=seats) as board:
        await board.until_shown("no queue named 'queue-9'; there are queue-1, queue-2")
        assert {extension for _, extension, _ in board.seats} == {"100001", "100003"}
    async with Slow(agent(queue="queue-9")) as feed:
        live = LiveStatus(feed, "")
        feed.look(0)
        live._seats, live._absent = SeatFilter("queue-9"), "no queue named 'queue-9'"
        assert not live.scene().notice
    failed = Slow()
    async with failed:
        failed._end(AuthError(601))
        await LiveStatus(failed, "").look_for_absent(client_of(simulator), seats)


async def test_a_terminal_is_given_back_in_every_case(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    async with Simulator(BUSY, speed=0) as simulator, terminal(80, 24) as it:
        with os.fdopen(os.dup(it.descriptor), "w") as stream, os.fdopen(os.dup(it.descriptor)) as keyboard:
            monkeypatch.setattr("sys.__stdin__", keyboard)
            monkeypatch.setattr("os.kill", lambda _, number: killed.append(number))
            output = Output(stream, {"TERM": "xterm-256color"})
            task = asyncio.create_task(top(client_of(simulator), output, interval=0.1))
            await it.until_shown("4 seats in 2 queues")
            assert not it.is_as_before
            signal.raise_signal(signal.SIGHUP)
            await it.until(lambda: it.is_as_before)
            assert killed == [signal.SIGHUP]
            simulator.server.refuse(601)
            with pytest.raises(AuthError):
                await asyncio.wait_for(task, 60)
            await it.until(lambda: it.is_as_before)
            rules = RulesFile(rules=(Available("many", more_than=0, states="waiting"),))
            task = asyncio.create_task(top_demo(output, Demonstration(), alert_rules=rules))
            await it.until_shown("15 seats in 2 queues")
            await it.until_shown("waiting, more than 0")
            it.press("q")
            assert await asyncio.wait_for(task, 60) == 0
            # The error of a bug is also raised after the terminal is restored.
            monkeypatch.setattr(app, "compose", Mock(side_effect=ZeroDivisionError))
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(top_demo(output, Demonstration()), 60)
            await it.until(lambda: it.is_as_before)


@pytest.mark.parametrize(("is_terminal", "term"), [(False, "xterm"), (True, "dumb")])
async def test_without_a_screen_top_prints_one_table(is_terminal: bool, term: str) -> None:
    paper = Paper(terminal=is_terminal)
    async with asyncio.timeout(60):
        assert await top_demo(paper.output(TERM=term), Demonstration()) == 0
    assert "\x1b" not in paper.text
    assert paper.text.count("100001") == 1
    assert "15 seats in 2 queues" in paper.text


class Slow(Feed):
    """A feed whose polls without a change are reported late."""

    _health = WatcherHealth()

    def __init__(self, *agents: AgentStatus) -> None:
        super().__init__()
        self._known = snapshot(*(agents or [agent()]))

    @property
    def snapshot(self) -> Snapshot:
        """The constant snapshot."""
        return self._known

    @property
    def health(self) -> WatcherHealth:
        """The health that `look` sets."""
        return self._health

    async def _work(self) -> None:
        await asyncio.Event().wait()

    def look(self, seconds: float) -> None:
        """Report a good poll at this second."""
        self._health = WatcherHealth(up=True, last_good_at=START + timedelta(seconds=seconds))
        self._call_listeners()


@pytest.mark.virtual_time
async def test_times_do_not_step_back_where_an_answer_is_heard_of_late() -> None:
    """Durations follow the answers' clock if it was set back."""
    async with Slow() as feed:
        live = LiveStatus(feed, "")

        def at() -> float:
            return (live.scene().at - START).total_seconds()

        feed.look(0)
        await asyncio.sleep(5)
        assert at() == pytest.approx(5)
        feed.look(2)
        feed.look(2)
        assert at() == pytest.approx(5)
        await asyncio.sleep(5)
        assert at() == pytest.approx(10)
        feed.look(10.5)
        assert at() == pytest.approx(10.5)
        # The clock was set back.
        feed.look(3)
        assert at() == pytest.approx(3)
