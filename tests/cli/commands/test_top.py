"""``sipqueue top`` on a terminal, in this process: what stands on the screen is what the simulator knows to be true."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest

from sipqueue_async import AuthError, Feed, SeatFilter, Snapshot, WatcherHealth
from sipqueue_async.cli.commands import top as command
from sipqueue_async.cli.commands.top import top, top_demo
from sipqueue_async.cli.origin import ALL_SEATS
from sipqueue_async.cli.simulation import Demonstration, client_of
from sipqueue_async.cli.terminal.board import Scene
from sipqueue_async.cli.terminal.layout import Line
from sipqueue_async.cli.terminal.output import Output
from sipqueue_async.simulator import Simulator
from tests.kit.builders import START, agent, snapshot
from tests.kit.cli import BUSY, Paper
from tests.kit.terminal import Terminal, terminal


class Top:
    """The program on its terminal."""

    def __init__(self, terminal: Terminal, task: asyncio.Task[None]) -> None:
        self.terminal = terminal
        self.task = task

    async def end(self) -> None:
        """Wait for its end."""
        async with asyncio.timeout(30):
            await self.task


@asynccontextmanager
async def running_top(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    *,
    size: tuple[int, int] = (100, 30),
    interval: float = 0.1,
    seats: SeatFilter = ALL_SEATS,
    **environ: str,
) -> AsyncGenerator[Top]:
    """Run it on a terminal of its own."""
    async with terminal(*size) as it:
        with os.fdopen(os.dup(it.descriptor), "w") as stream, os.fdopen(os.dup(it.descriptor)) as keyboard:
            monkeypatch.setattr("sys.stdin", keyboard)
            output = Output(stream, {"TERM": "xterm-256color", **environ})
            task = asyncio.create_task(top(client_of(simulator), output, seats=seats, interval=interval))
            try:
                yield Top(it, task)
            finally:
                task.cancel()
                await asyncio.wait([task])


def truth(simulator: Simulator) -> Counter[tuple[str, str, str]]:
    """Return queue, extension and state of every seat."""
    return Counter((seat.queue, seat.extension, seat.state.value) for seat in simulator.centre.seats())


def shown(terminal: Terminal) -> Counter[tuple[str, str, str]]:
    """Return queue, extension and state of every seat on the screen."""
    rows = [line.split() for line in terminal.lines if line.startswith("queue-")]
    return Counter((row[0], row[1], row[4]) for row in rows if row[2] == "Agent")


async def test_shows_the_truth_and_every_change_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, monkeypatch) as board:
        for _ in range(6):
            simulator.advance(7)
            await board.terminal.until(lambda: shown(board.terminal) == truth(simulator))
            counts = Counter(state for _, _, state in truth(simulator).elements())
            (total,) = [line.split() for line in board.terminal.lines if line.startswith("all ")]
            assert total[1:4] == [str(counts[state]) for state in ("waiting", "talking", "receiving")]
        await board.terminal.until_shown("4 seats in 2 queues")
        board.terminal.press("q")
        await board.end()
        await board.terminal.until(lambda: board.terminal.is_as_before)


async def test_counts_every_call_since_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls between two polls too."""
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, monkeypatch) as board:
        await board.terminal.until_shown("4 seats")
        before = simulator.centre.now
        simulator.advance(300)
        answered, missed = simulator.truth.answered(before), simulator.truth.missed(before)
        assert answered > 10
        await board.terminal.until_shown(f"{answered} answered  {missed} missed")


async def test_time_passes_also_where_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times in state count on between two polls."""
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, monkeypatch, interval=600) as board:
        await board.terminal.until_shown(" 0:01+")
        await board.terminal.until_shown(" 0:02+")
        assert simulator.server.requests <= 2


async def test_keys_change_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys without a meaning do nothing."""
    size = (80, 10)
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, monkeypatch, size=size) as board:
        screen = board.terminal
        await screen.until_shown("1 not shown  q quit  space page 1/2")
        first = shown(screen)
        # An arrow, whose sequence has a letter in it, and an unused key.
        screen.press("\x1b[D\x1bOSx ")
        await screen.until_shown("page 2/2")
        assert first + shown(screen) == truth(simulator)
        screen.press("s")
        await screen.until_shown("s sort: time")
        screen.press("F")
        await screen.until_shown("f queue: queue-1")
        assert "not shown" not in screen.text
        screen.press("ffs")
        await screen.until_shown("s sort: queue")
        assert "f queue: all" in screen.text
        screen.press("Q")
        await board.end()


def fits(terminal: Terminal, columns: int, lines: int) -> bool:
    """Return whether a terminal of this size shows one whole board."""
    head, *_, foot = shown = terminal.lines
    whole = head.startswith("sipqueue") and len(head) == columns and "q quit" in foot and len(shown) == lines
    return whole and terminal.text.count("q quit") == terminal.text.count("sipqueue") == 1


async def test_fits_a_new_size_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, monkeypatch) as board:
        await board.terminal.until_shown("longest talk")
        for columns, lines in ((40, 10), (200, 60), (80, 24)):
            board.terminal.resize(columns, lines)
            os.kill(os.getpid(), signal.SIGWINCH)
            await board.terminal.until(partial(fits, board.terminal, columns, lines))


async def test_says_that_the_feed_is_down_and_when_it_is_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last known status stays on the screen."""
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, monkeypatch) as board:
        await board.terminal.until_shown("4 seats")
        before = shown(board.terminal)
        assert board.terminal.styles(1) != {("default", "default", False)}
        await simulator.stop_server()
        await board.terminal.until_shown("FEED DOWN since ")
        assert shown(board.terminal) == before
        assert ("white", "red", True) in board.terminal.styles(1)
        await board.terminal.until(lambda: "cannot connect" in board.terminal.lines[1])
        await simulator.start_server()
        simulator.advance(30)
        await board.terminal.until(lambda: "FEED DOWN" not in board.terminal.text)
        await board.terminal.until(lambda: shown(board.terminal) == truth(simulator))


async def test_refused_credentials_end_it_with_the_terminal_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, monkeypatch) as board:
        await board.terminal.until_shown("4 seats")
        simulator.server.refuse(601)
        with pytest.raises(AuthError):
            await board.end()
        await board.terminal.until(lambda: board.terminal.is_as_before)


async def test_without_colour_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is respected."""
    async with (
        Simulator(BUSY, speed=0) as simulator,
        running_top(simulator, monkeypatch, NO_COLOR="1") as board,
    ):
        await board.terminal.until_shown("4 seats")
        simulator.advance(20)
        await board.terminal.until(lambda: shown(board.terminal) == truth(simulator))
        assert set(re.findall(rb"\x1b\[[0-9;]*m", board.terminal.shown)) == {b"\x1b[0m"}


async def test_filters_are_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    seats = SeatFilter("queue-1", ["100001", "100002", "100003"])
    async with Simulator(BUSY, speed=0) as simulator, running_top(simulator, monkeypatch, seats=seats) as board:
        await board.terminal.until_shown("2 seats")
        assert {extension for _, extension, _ in shown(board.terminal)} == {"100001", "100003"}


@pytest.mark.parametrize(("terminal", "term"), [(False, "xterm"), (True, "dumb")])
async def test_where_there_is_no_screen_it_prints_one_table(terminal: bool, term: str) -> None:
    paper = Paper(terminal=terminal)
    async with asyncio.timeout(30):
        await top_demo(paper.output(TERM=term), Demonstration())
    assert "\x1b" not in paper.text
    assert paper.text.count("100001") == 1
    assert "15 seats in 2 queues" in paper.text


class Slow(Feed):
    """A feed that reports late that nothing has changed."""

    _health = WatcherHealth()

    @property
    def snapshot(self) -> Snapshot:
        """The same snapshot every time."""
        return snapshot(agent())

    @property
    def health(self) -> WatcherHealth:
        """The health set by `look`."""
        return self._health

    async def _work(self) -> None:
        await asyncio.Event().wait()

    def look(self, seconds: float) -> None:
        """Report a look at this second."""
        self._health = WatcherHealth(up=True, last_good_at=START + timedelta(seconds=seconds))
        self._call_listeners()


@pytest.mark.virtual_time
async def test_times_do_not_step_back_where_an_answer_is_heard_of_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """They follow the clock of the answers if that was set back."""
    scenes: list[Scene] = []

    def note(scene: Scene, *_: object) -> list[Line]:
        scenes.append(scene)
        return []

    def at() -> float:
        board.picture(os.terminal_size((80, 24)))
        return (scenes[-1].at - START).total_seconds()

    monkeypatch.setattr(command, "compose", note)
    async with Slow() as feed:
        board = command.LiveBoard(feed, Paper().output(), "")
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
