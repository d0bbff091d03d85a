"""Running a command until it ends or a signal ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from sipqueue_async._running import StopSignals
from sipqueue_async.cli import running
from sipqueue_async.cli.exits import Failure


class Exited(BaseException):
    """Stands for the exit of the process."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace `os._exit`, which would also end the tests; return the list of exit codes."""
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        raise Exited

    monkeypatch.setattr(os, "_exit", leave)
    return codes


def test_a_command_that_ends_by_itself_gives_its_own_code() -> None:
    ran: list[int] = []

    async def work() -> int:
        return await _noted(ran) + 7

    assert running.run(work) == 7
    assert ran == [1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_command_and_determines_its_exit_code(number: signal.Signals, code: int) -> None:
    cleaned: list[str] = []

    async def work() -> int:
        signal.raise_signal(number)
        try:
            return await asyncio.sleep(60, 0)
        finally:
            cleaned.append("up")

    before = signal.getsignal(number)
    assert running.run(work) == code
    assert cleaned == ["up"]
    assert signal.getsignal(number) is before


def test_a_block_is_restored_even_if_the_process_ends_at_once(exits: list[int]) -> None:
    put_back: list[str] = []

    async def work() -> int:
        with running.restoring(lambda: put_back.append("back")):
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(Exited):
                signal.raise_signal(signal.SIGINT)
            assert (exits, put_back) == ([130], ["back"])
        return 0

    assert running.run(work) == 130
    assert put_back == ["back", "back"]
    with pytest.raises(Exited):
        running.leave(1)
    assert put_back == ["back", "back"], "restored again after the end of the block"


def test_a_signal_at_the_end_of_a_command_determines_its_exit_code() -> None:

    async def work() -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    assert running.run(work) == 130


def test_a_signal_before_the_start_prevents_it(monkeypatch: pytest.MonkeyPatch) -> None:
    supervise = StopSignals.supervise

    async def late(self: StopSignals, main: Coroutine[Any, Any, int]) -> int | None:
        signal.raise_signal(signal.SIGINT)
        return await supervise(self, main)

    monkeypatch.setattr(StopSignals, "supervise", late)
    ran: list[int] = []
    assert (running.run(lambda: _noted(ran)), ran) == (130, [])


async def _noted(ran: list[int]) -> int:
    ran.append(1)
    return 0


def test_a_job_always_prints_its_results_and_without_a_timeout(
    exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.05)
    told: list[str] = []

    def conclude() -> None:
        time.sleep(0.2)
        told.append("all")

    async def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(60)

    async def failing() -> None:
        raise Failure("broken")

    assert running.run(running.Job(interrupted, conclude)) == 130
    with pytest.raises(Failure):
        running.run(running.Job(failing, conclude))
    assert (told, exits) == (["all", "all"], [])


def test_a_second_signal_ends_the_printing_of_results_too(exits: list[int]) -> None:

    async def interrupted() -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(Exited):
        running.run(running.Job(interrupted, lambda: signal.raise_signal(signal.SIGINT)))
    assert exits == [130]


def test_a_clean_up_that_hangs_is_cut_short(exits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.01)
    ended = threading.Event()

    def leave(code: int) -> None:
        exits.append(code)
        ended.set()

    monkeypatch.setattr(os, "_exit", leave)

    async def work() -> int:
        signal.raise_signal(signal.SIGINT)
        assert ended.wait(10)
        return 0

    running.run(work)
    assert exits == [130]
