"""A terminal that is taken over: what is written to it, what comes from it, and that it is given back."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import termios
import threading
import unicodedata
from collections.abc import AsyncGenerator
from functools import partial

import pytest

from sipqueue_async.cli.terminal.layout import Field
from sipqueue_async.cli.terminal.screen import Screen, Session
from tests.kit.cli import until
from tests.kit.terminal import GIVEN_BACK, Terminal, terminal


@pytest.fixture
async def seen() -> AsyncGenerator[Terminal]:
    """A terminal."""
    async with terminal(20, 4) as it:
        yield it


def screen_on(terminal: Terminal, *, encoding: str = "utf-8", keyboard: bool = True) -> Screen:
    """Return a screen on a terminal."""
    return Screen(terminal.descriptor, terminal.descriptor if keyboard else None, colour=True, encoding=encoding)


class TestPainting:
    async def test_only_what_differs_is_written(self, seen: Terminal) -> None:
        screen = screen_on(seen)
        screen.take()
        screen.paint([(Field(0, "one", ""),), (Field(3, "two", "bold"), Field(10, "three", "")), (Field(0, "x", ""),)])
        await seen.until(lambda: seen.lines == ["one", "   two    three", "x", ""])
        so_far = len(seen.shown)
        screen.paint([(Field(0, "one", ""),), (Field(3, "2", "bold"),)])
        await seen.until(lambda: seen.lines == ["one", "   2", "", ""])
        assert b"one" not in seen.shown[so_far:]
        so_far = len(seen.shown)
        screen.paint([(Field(0, "one", ""),), (Field(3, "2", "bold"),)])
        screen.give_back()
        await seen.until(lambda: len(seen.shown) > so_far)
        assert seen.shown[so_far:] == b"\x1b[?2026l" + GIVEN_BACK.encode()

    async def test_columns_stand_where_they_should_whatever_the_terminal_thinks_of_a_name(self, seen: Terminal) -> None:
        screen = screen_on(seen)
        names = "王小明", "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}", "e\N{COMBINING ACUTE ACCENT}", "ab"
        for number, name in enumerate(names):
            screen.paint([(Field(0, name, ""), Field(8, str(number), ""), Field(19, "$", ""))])
            await seen.until_shown(f"{number} ")
            cells = seen.cells(0)
            assert unicodedata.normalize("NFC", name)[0] == cells[0][0]
            assert "".join(cells[9:]).lstrip() == "$" == cells[19]

    async def test_a_text_that_the_terminal_finds_too_wide_stays_in_its_line(self, seen: Terminal) -> None:
        screen = screen_on(seen)
        screen.take()
        screen.paint([(Field(15, "much too long", ""),), (Field(0, "next", ""),)])
        await seen.until(lambda: seen.lines[1] == "next")

    async def test_what_the_terminal_cannot_take_is_replaced(self, seen: Terminal) -> None:
        screen_on(seen, encoding="ascii").paint([(Field(0, "王", ""), Field(4, "x", ""))])
        await seen.until(lambda: seen.lines[0] == "?   x")

    async def test_a_terminal_that_does_not_know_its_size(self, seen: Terminal) -> None:
        """It is taken for one of 80 by 24."""
        seen.resize(0, 0)
        assert screen_on(seen).size == (80, 24)


class TestTaking:
    async def test_can_be_given_back_at_any_time_and_again(self, seen: Terminal) -> None:
        screen = screen_on(seen)
        screen.give_back()
        screen.take()
        screen.take()
        assert termios.tcgetattr(seen.descriptor) != seen.mode
        screen.give_back()
        screen.give_back()
        await seen.until(lambda: seen.is_as_before)
        assert seen.shown.count(GIVEN_BACK.encode()) == 1

    async def test_two_threads_that_give_it_back_wait_for_each_other(
        self, seen: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The wait has a timeout."""
        screen = screen_on(seen)
        screen.take()
        half_way, go_on = threading.Event(), threading.Event()
        flush = termios.tcflush

        def slow_flush(descriptor: int, queue: int) -> None:
            half_way.set()
            go_on.wait(20)
            flush(descriptor, queue)

        monkeypatch.setattr(termios, "tcflush", slow_flush)
        first, second = (threading.Thread(target=screen.give_back) for _ in range(2))
        first.start()
        half_way.wait(20)
        second.start()
        second.join(0.2)
        assert second.is_alive(), "it goes on before all is done"
        go_on.set()
        first.join(20)
        second.join(20)
        await seen.until(lambda: seen.is_as_before)
        assert seen.shown.count(GIVEN_BACK.encode()) == 1
        screen.take()
        monkeypatch.setattr("sipqueue_async.cli.terminal.screen._PATIENCE", 0.05)
        half_way.clear()
        go_on.clear()
        stuck = threading.Thread(target=screen.give_back)
        stuck.start()
        half_way.wait(20)
        monkeypatch.setattr(termios, "tcflush", flush)
        screen.give_back()
        await seen.until(lambda: seen.shown.count(GIVEN_BACK.encode()) == 2)
        go_on.set()
        stuck.join(20)

    async def test_a_terminal_that_is_gone_is_no_further_trouble(self) -> None:
        controller, descriptor = pty.openpty()
        screen = Screen(descriptor, descriptor, colour=True, encoding="utf-8")
        screen.take()
        os.close(controller)
        screen.give_back()
        with pytest.raises(EOFError):
            screen.keys()
        os.close(descriptor)


class TestSession:
    async def test_keys_one_by_one_and_none_after_the_end(self, seen: Terminal) -> None:
        pressed: list[str] = []
        screen = screen_on(seen)
        screen.take()
        with Session(screen, press=pressed.append, changed=lambda: None):
            seen.press("ab\x1b[1;5C\x1bOP\x1b王")
            await until(lambda: len(pressed) >= 2)
        assert pressed == ["a", "b"]
        seen.press("c")
        await asyncio.sleep(0.05)
        assert screen.keys() == "c"
        screen.give_back()

    async def test_a_keyboard_that_is_gone_is_left_alone(self) -> None:
        """It is not polled in a busy loop."""
        controller, descriptor = pty.openpty()
        screen = Screen(descriptor, descriptor, colour=True, encoding="utf-8")
        with Session(screen, press=lambda _: None, changed=lambda: None):
            os.close(controller)
            await asyncio.sleep(0.05)
            assert not asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)

    async def test_a_signal_takes_its_usual_course_with_the_terminal_given_back(
        self, seen: Terminal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[tuple[int, int, bool, object]] = []

        def kill(thread: int, number: int) -> None:
            given_back = termios.tcgetattr(seen.descriptor) == seen.mode
            sent.append((thread, number, given_back, signal.getsignal(number)))

        def has_sent(number: int) -> bool:
            return len(sent) == number

        monkeypatch.setattr(signal, "pthread_kill", kill)
        changes: list[None] = []
        screen = screen_on(seen)
        screen.take()
        with Session(screen, press=lambda _: None, changed=lambda: changes.append(None)):
            for times, number in enumerate((signal.SIGTSTP, signal.SIGTSTP, signal.SIGQUIT)):
                os.kill(os.getpid(), number)
                await until(partial(has_sent, times + 1))
                taken_again = termios.tcgetattr(seen.descriptor) != seen.mode
                assert taken_again == (number == signal.SIGTSTP)
            assert len(changes) == 2
        numbers = (signal.SIGTSTP, signal.SIGTSTP, signal.SIGQUIT)
        assert sent == [(threading.get_ident(), number, True, signal.SIG_DFL) for number in numbers]
        screen.give_back()

    async def test_without_a_keyboard_there_are_signals_alone(self, seen: Terminal) -> None:
        changed = asyncio.Event()
        screen = screen_on(seen, keyboard=False)
        screen.take()
        with Session(screen, press=lambda _: None, changed=changed.set):
            os.kill(os.getpid(), signal.SIGCONT)
            await asyncio.wait_for(changed.wait(), 5)
        screen.give_back()
        with pytest.raises(EOFError):
            screen.keys()
