"""`sipqueue_async.run`: runs a program's coroutine until it ends or a signal arrives."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

import sipqueue_async
from sipqueue_async import SettingsError
from sipqueue_async._running import StopSignals
from sipqueue_async.cli.exits import USAGE

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def same_handlers_afterwards() -> Generator[None]:
    """Check that each test restores the process's signal handlers."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


async def send_and_wait(number: signal.Signals) -> str:
    """Send a signal to this process, and wait for cancellation."""
    signal.raise_signal(number)
    return await asyncio.sleep(60, "not cancelled")


def test_it_returns_what_main_returns_and_raises_what_it_raises() -> None:
    async def five() -> int:
        return 5

    async def broken() -> None:
        raise LookupError("broken")

    assert sipqueue_async.run(five()) == 5
    with pytest.raises(LookupError, match="broken"):
        sipqueue_async.run(broken())


def test_wrong_settings_end_the_program_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        raise SettingsError("no server given: set\nSIPQUEUE_URL \x1b")

    with pytest.raises(SystemExit) as ended:
        sipqueue_async.run(main())
    assert ended.value.code == USAGE
    assert capsys.readouterr() == ("", "settings: no server given: set SIPQUEUE_URL \\x1b\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_cancels_main_once_and_it_returns_none(number: signal.Signals) -> None:
    cancelled: list[int] = []

    async def main() -> str:
        try:
            return await send_and_wait(number)
        finally:
            task = asyncio.current_task()
            assert task is not None
            cancelled.append(task.cancelling())

    assert sipqueue_async.run(main()) is None
    assert cancelled == [1]


def test_main_that_suppresses_its_cancellation_returns_its_result() -> None:
    async def main() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await send_and_wait(signal.SIGINT)
        await asyncio.sleep(0)
        return "saved"

    assert sipqueue_async.run(main()) == "saved"


def test_an_error_during_the_clean_up_is_raised() -> None:
    async def main() -> None:
        try:
            await send_and_wait(signal.SIGTERM)
        finally:
            raise LookupError("while cleaning up")

    with pytest.raises(LookupError, match="cleaning up"):
        sipqueue_async.run(main())


def test_a_cancellation_from_within_is_raised() -> None:
    async def main() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        sipqueue_async.run(main())


def test_main_does_not_start_after_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal before the loop runs counts too: the coroutine is closed without a warning."""

    def enter(self: StopSignals) -> StopSignals:
        entered = real(self)
        signal.raise_signal(signal.SIGINT)
        return entered

    real = StopSignals.__enter__
    monkeypatch.setattr(StopSignals, "__enter__", enter)
    assert sipqueue_async.run(asyncio.sleep(0, "started")) is None


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_ends_the_process(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)

    async def main() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(number)

    sipqueue_async.run(main())
    assert codes == [128 + number]


def test_another_thread_runs_main_without_touching_the_handlers() -> None:
    results: list[object] = []

    async def main() -> object:
        return signal.getsignal(signal.SIGTERM)

    thread = threading.Thread(target=lambda: results.append(sipqueue_async.run(main())))
    thread.start()
    thread.join()
    assert results == [signal.getsignal(signal.SIGTERM)]


class LostStdout(io.TextIOWrapper):
    """A pipe whose reader has exited, opened like standard output with and without Python's option -u."""

    def __init__(self, *, unbuffered: bool) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        super().__init__(os.fdopen(writer, "wb", buffering=0 if unbuffered else -1), write_through=unbuffered)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not report the end of a reader")
@pytest.mark.parametrize("unbuffered", [False, True])
def test_the_end_of_the_reader_of_stdout_ends_main_quietly(unbuffered: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    async def main() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(print, "line", flush=True))
        finally:
            ended.append(True)

    with LostStdout(unbuffered=unbuffered) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert sipqueue_async.run(main()) is None
        assert ended == [True]
        assert stdout.write("discarded")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not report the end of a reader")
def test_a_result_is_returned_even_if_its_output_has_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> int:
        return sys.stdout.write("12345")

    with LostStdout(unbuffered=False) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert sipqueue_async.run(main()) == 5


@pytest.mark.parametrize("stdout", [None, io.StringIO(), sys.__stdout__])
@pytest.mark.parametrize("error", [BrokenPipeError("a socket"), ExceptionGroup("two", [BrokenPipeError(), OSError()])])
def test_other_broken_pipes_are_raised(error: Exception, stdout: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)

    async def main() -> None:
        raise error

    with pytest.raises(type(error)):
        sipqueue_async.run(main())


def test_a_handler_not_installed_from_python_is_replaced_by_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        monkeypatch.setitem(signals._replaced, signal.SIGTERM, None)
    try:
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


PROGRAM = """
import asyncio, signal, sipqueue_async, sys, time

async def main():
    try:
        print(signal.Handlers.SIG_IGN is ignored, "ready", flush=True)
        await asyncio.sleep(60)
    finally:
        print("cleaning up", flush=True)
        time.sleep(60 if "hang" in sys.argv else 0)

ignored = signal.getsignal(signal.SIGINT)
sipqueue_async.run(main())
"""

# A shell without job control starts background programs with SIGINT ignored.
SCRIPT = """
"$0" -c "$PROGRAM" $2 > out & program=$!
until grep -qs ready out; do sleep 0.05; done
for number in $1; do
    kill -$number $program
    until grep -qs cleaning out; do sleep 0.05; done
done
wait $program
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("signals", "argument", "code"),
    [("TERM", "", 0), ("INT", "", 0), ("TERM INT", "hang", 130), ("INT TERM", "hang", 143)],
)
def test_a_background_program_of_a_shell_ends_quietly(signals: str, argument: str, code: int, tmp_path: Path) -> None:
    """SIGINT and SIGTERM end a program that was started with SIGINT ignored, even if its event loop is blocked."""
    command = ["sh", "-c", SCRIPT, sys.executable, signals, argument]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=os.environ | {"PROGRAM": PROGRAM}
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert (tmp_path / "out").read_text() == "True ready\ncleaning up\n"
