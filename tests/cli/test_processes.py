"""The program as users run it: a process with signals, pipes, a terminal and exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
from pathlib import Path

import pytest

from sipqueue_async import Snapshot, diff
from sipqueue_async.simulator import Simulator
from sipqueue_async.tally import Tally
from tests.kit.builders import agent, snapshot
from tests.kit.cli import BUSY, MAIN, environment, sipqueue
from tests.kit.terminal import terminal
from tests.kit.waiting import PATIENCE, until


async def saved(path: Path) -> Snapshot:
    """Wait for a state file, and return its snapshot."""
    await until(path.exists)
    return Snapshot.from_json(path.read_bytes())


def exports(lines: list[str]) -> dict[str, str]:
    """Return the variables that lines of `export` set in a shell."""
    words = [shlex.split(line) for line in lines]
    assert all(first == "export" for first, _ in words)
    return dict(assignment.split("=", 1) for _, assignment in words)


async def test_an_interrupted_demonstration_sums_up() -> None:
    async with sipqueue("demo", "--seconds", "0") as demo:
        line = await demo.line()
        assert " queue-1 100001 " in line
        assert "\x1b" not in line
        demo.send(signal.SIGINT)
        await demo.line_with("Every call was reported, and no other.")
        assert (await demo.rest())[0::2] == (130, "")


async def test_a_signal_ends_watch_with_its_state_saved(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with Simulator(BUSY, speed=0) as simulator:
        arguments = ("watch", "--interval", "0.05", "--state-file", str(state))
        async with sipqueue(*arguments, env=environment(simulator)) as watch:
            first = await saved(state)
            simulator.advance(5)
            await watch.line_with("talking")
            watch.send(signal.SIGINT)
            assert (await watch.rest())[0::2] == (130, "")
        now = Snapshot.from_json(state.read_bytes())
        assert diff(first, now)


async def test_a_signal_ends_report_with_the_figures(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with Simulator(BUSY, speed=0) as simulator:
        env = environment(simulator)
        arguments = ("report", "--csv", "--interval", "0.05", "--state-file", str(state))
        async with sipqueue(*arguments, env=env) as report:
            await until(state.exists)
            report.send(signal.SIGTERM)
            code, out, err = await report.rest()
    assert (code, err) == (143, "")
    assert out.startswith("queue,extension,name,")
    assert out.count("\n") == 5
    assert await _end("report", "--csv", "--state-file", str(state), "--saved", env=environment()) == (0, out, "")


async def test_a_slow_reader_gets_the_whole_report(tmp_path: Path) -> None:
    """After Ctrl-C, the output has no time limit."""
    state = tmp_path / "state"
    seats = [agent(str(100_000 + number), name="x" * 500) for number in range(2000)]
    state.write_bytes(Tally(snapshot(*seats)).to_json())
    slow = (
        "import signal, sys, os, threading\n"
        "from sipqueue_async.cli import running\n"
        "from sipqueue_async.cli.commands import report\n"
        "running.PATIENCE = 3\n"
        "async def watched(self, *rest, **more):\n"
        "    import asyncio; signal.raise_signal(signal.SIGINT); await asyncio.sleep(60)\n"
        f"report.Report._follow = watched\n{MAIN}"
    )
    reader, writer = os.pipe()
    arguments = ("report", "--csv", "--state-file", str(state))
    env = environment(SIPQUEUE_URL="http://nowhere.invalid", SIPQUEUE_TOKEN="good-token")
    async with sipqueue(*arguments, env=env, code=slow, streams={1: writer}) as report:
        os.close(writer)
        loop = asyncio.get_running_loop()
        chunks = [await asyncio.wait_for(loop.run_in_executor(None, os.read, reader, 1), PATIENCE)]
        # Longer than the program waits for anything except its output.
        await asyncio.sleep(3.5)
        while chunk := await loop.run_in_executor(None, os.read, reader, 65536):
            chunks.append(chunk)
        os.close(reader)
        assert await report.code() == 130
    assert b"".join(chunks).count(b"\n") == 2001


async def test_a_signal_during_start_up_is_quiet() -> None:
    slow = (
        "import builtins, sys; real = builtins.__import__\n"
        "def slow(name, *rest, **more):\n"
        "    if name == 'sipqueue_async.cli.app':\n"
        "        print('loading', flush=True); import time; time.sleep(600)\n"
        "    return real(name, *rest, **more)\n"
        f"builtins.__import__ = slow\n{MAIN}"
    )
    async with sipqueue("demo", code=slow) as program:
        assert await program.line() == "loading"
        program.send(signal.SIGINT)
        assert await program.rest() == (130, "", "")


async def test_a_name_look_up_that_hangs_does_not_keep_it() -> None:
    slow = (
        "import socket, time\n"
        "def hang(*_, **__):\n"
        "    print('looking up', flush=True); time.sleep(600)\n"
        f"socket.getaddrinfo = hang\n{MAIN}"
    )
    env = environment(SIPQUEUE_URL="http://nowhere.invalid", SIPQUEUE_TOKEN="good-token")
    async with sipqueue("watch", env=env, code=slow) as program:
        assert await program.line() == "looking up"
        program.send(signal.SIGINT)
        assert await program.rest() == (130, "", "")


async def test_a_pipe_that_is_closed_ends_it_quietly() -> None:
    reader, writer = os.pipe()
    async with sipqueue("demo", streams={1: writer}) as demo:
        os.close(writer)
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.run_in_executor(None, os.read, reader, 1), PATIENCE)
        os.close(reader)
        assert await demo.rest() == (141, "", "")


async def test_kill_loses_nothing_with_a_state_file(tmp_path: Path) -> None:
    state = tmp_path / "state"
    arguments = ("watch", "--json", "--interval", "0.05", "--state-file", str(state))
    async with Simulator(BUSY, speed=0) as simulator:
        async with sipqueue(*arguments, env=environment(simulator)) as watch:
            await saved(state)
            watch.send(signal.SIGKILL)
            await watch.rest()
        before = simulator.centre.now
        simulator.advance(120)
        answered = simulator.truth.answered(before)
        assert answered > 4
        async with sipqueue(*arguments, "--only", "call-answered", env=environment(simulator)) as watch:
            told = 0
            while told < answered:
                told += json.loads(await watch.line())["count"]
            watch.send(signal.SIGTERM)
            assert await watch.rest() == (143, "", "")
        assert told == answered


async def test_a_simulator_that_is_killed_and_comes_back_is_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    env = environment(SIPQUEUE_APPID="mine", SIPQUEUE_ACCESSKEY="my-own-key")
    async with sipqueue("simulate", "--speed", "0.001", env=env) as simulate:
        url = exports([await simulate.line()])["SIPQUEUE_URL"]
        port = url.rpartition(":")[2]
        arguments = ("watch", "--interval", "0.1", "--state-file", str(state))
        async with sipqueue(*arguments, env=env | {"SIPQUEUE_URL": url}) as watch:
            await saved(state)
            simulate.send(signal.SIGKILL)
            await simulate.rest()
            await watch.line_with("feed down since ")
            async with sipqueue("simulate", "--speed", "100", "--port", port, env=env):
                await watch.line_with("feed up after ")
                await watch.line_with(" → talking")
                watch.send(signal.SIGINT)
                assert (await watch.rest())[0::2] == (130, "")


async def test_exit_codes_tell_what_went_wrong(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
        (tmp_path / "damaged").write_text("{")
        async with Simulator(BUSY, speed=0) as simulator:
            wrong = environment(simulator, SIPQUEUE_ACCESSKEY="wrong-key")
            right = environment(simulator)
            cases = [
                (("status",), right, 0),
                (("status",), environment(), 2),
                (("watch", "--state-file", str(tmp_path / "damaged")), right, 2),
                (("status",), wrong, 3),
                (("watch",), wrong, 3),
                (("status", "--url", nobody), right, 4),
            ]
            async with asyncio.TaskGroup() as group:
                ends = [group.create_task(_end(*arguments, env=env)) for arguments, env, _ in cases]
    for (arguments, _, code), task in zip(cases, ends, strict=True):
        got, _, err = task.result()
        assert got == code, arguments
        assert err.count("\n") == bool(code), err
        assert err.startswith("sipqueue: " if code else "")
        assert "wrong-key" not in err


async def _end(*arguments: str, env: dict[str, str]) -> tuple[int, str, str]:
    async with sipqueue(*arguments, env=env) as program:
        return await program.rest()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs Linux's /proc")
async def test_ps_shows_no_secret() -> None:
    async with (
        Simulator(BUSY, speed=0) as simulator,
        sipqueue("watch", "--interval", "0.05", env=environment(simulator)) as watch,
    ):
        await until(lambda: simulator.server.requests >= 3)
        shown = Path(f"/proc/{watch.program.pid}/cmdline").read_text()
        assert "watch" in shown
        assert simulator.accesskey not in shown
        watch.send(signal.SIGINT)
        assert simulator.accesskey not in "".join((await watch.rest())[1:])


async def test_a_terminal_gets_colour_and_a_summary() -> None:
    async with (
        terminal(120, 40) as it,
        sipqueue("demo", "--seconds", "1", streams={1: it.descriptor, 2: it.descriptor}) as demo,
    ):
        assert await demo.code() == 0
        await it.until_shown("Every call was reported")
        assert b"\x1b[2m \xe2\x86\x92 " in it.shown


async def test_simulate_prints_before_it_is_waited_for() -> None:
    async with sipqueue("simulate") as simulate:
        printed = exports([await simulate.line() for _ in range(3)])
        assert (await _end("status", env=environment() | printed))[0] == 0
        simulate.send(signal.SIGTERM)
        assert await simulate.rest() == (143, "", "")
