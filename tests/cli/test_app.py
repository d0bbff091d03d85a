"""The grammar of the command line, and how it ends."""

from __future__ import annotations

import asyncio
import builtins
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import click
import pytest

import sipqueue_async
from sipqueue_async import AgentState, ApiError, AuthError, TransportError, cli
from sipqueue_async.cli import app, demo, exits, report, running, simulate, status, top, watch
from sipqueue_async.cli.exits import Failure


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no variable of the tests' own environment in, and no signal handler out."""
    for name in ("URL", "TOKEN", "APPID", "ACCESSKEY", "CONFIG", "TIMEZONE", "TIMEOUT"):
        monkeypatch.delenv(f"SIPQUEUE_{name}", raising=False)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Catch what would be run, with the arguments that the command line made of its own."""
    caught: dict[str, Any] = {}

    def note(found: Any) -> int:
        caught.update(found.keywords, command=found.func, positional=found.args)
        return 0

    monkeypatch.setattr(running, "run", note)
    monkeypatch.setenv("SIPQUEUE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "good-token")
    return caught


def test_demo_has_defaults_and_options(work: dict[str, Any]) -> None:
    """An option of demo does nothing, or its default is another than documented."""
    assert app.run(["demo"]) == 0
    assert work.pop("command") is demo.demo
    assert {"seconds": 30.0, "interval": 0.5, "speed": 10.0, "seed": 0}.items() <= work.items()
    assert app.run(["demo", "--seconds", "0", "--interval", "1", "--speed", "2", "--seed", "7"]) == 0
    assert {"seconds": 0.0, "interval": 1.0, "speed": 2.0, "seed": 7}.items() <= work.items()


def test_status_hands_its_filters_on(work: dict[str, Any]) -> None:
    """A filter of status does nothing."""
    filters = ["--queue", "a", "--queue=b", "--extension=1", "--state=paused"]
    assert app.run(["status", *filters, "--json", "--timeout=3"]) == 0
    assert work["command"] is status.status
    assert (work["queues"], work["extensions"]) == ({"a", "b"}, {"1"})
    assert work["states"] == {AgentState.PAUSED}
    assert work["as_json"] is True


def test_top_hands_its_choice_on(work: dict[str, Any]) -> None:
    """An option of top does nothing."""
    assert app.run(["top", "--queue", "a", "--extension", "1", "--interval", "0.5"]) == 0
    assert work["command"] is top.top
    assert work["choice"] == top.Choice(queues=frozenset({"a"}), extensions=frozenset({"1"}), interval=0.5)
    assert app.run(["top"]) == 0
    assert work["choice"] == top.Choice(queues=frozenset(), extensions=frozenset(), interval=2.0)


def test_top_needs_no_server_for_its_demonstration(work: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants to see it first has to have a platform."""
    monkeypatch.delenv("SIPQUEUE_URL")
    assert app.run(["top", "--demo", "--seed", "7", "--queue", "a"]) == 0
    assert work["command"] is top.demo_top
    assert (work["choice"].queues, work["seed"]) == ({"a"}, 7)


def test_watch_hands_its_choice_on(work: dict[str, Any]) -> None:
    """An option of watch does nothing."""
    only = "--only state-changed,call-answered --only feed-down"
    assert app.run(f"watch --queue a --extension 1 {only} --interval 0.5 --state-file x --json".split()) == 0
    assert work["command"] is watch.watch
    kinds = {"state-changed", "call-answered", "feed-down"}
    assert work["choice"] == watch.Choice(queues={"a"}, extensions={"1"}, kinds=kinds)
    assert work["interval"] == 0.5
    assert work["state_file"] is not None
    assert work["as_json"] is True
    assert app.run(["watch"]) == 0
    assert (work["choice"], work["interval"], work["state_file"]) == (
        watch.Choice(queues=frozenset(), extensions=frozenset(), kinds=frozenset()),
        2.0,
        None,
    )


def test_report_hands_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of report does nothing, or its default is another than documented."""
    monkeypatch.setenv("SIPQUEUE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SIPQUEUE_TOKEN", "good-token")
    made = Mock()

    def do(job: running.Job) -> int:
        assert job.conclude is made.return_value.conclude
        assert job.work() is not None
        return 0

    monkeypatch.setattr(report, "Report", made)
    monkeypatch.setattr(running, "run", do)
    options = "--queue a --extension 1 --interval 0.5 --seconds 9 --state-file x --csv"
    cases: list[tuple[str, dict[str, Any]]] = [
        (options, {"queues": {"a"}, "extensions": {"1"}, "interval": 0.5, "seconds": 9.0, "form": report.Form.CSV}),
        ("", {"interval": 2.0, "seconds": 0.0, "form": report.Form.TABLE, "state_file": None}),
        ("--demo --seed 7 --json", {"seconds": 600.0, "form": report.Form.JSON}),
        ("--demo --seconds 0", {"seconds": 0.0}),
        ("--state-file x --saved", {"seconds": 0.0}),
    ]
    for arguments, kept in cases:
        assert app.run(["report", *arguments.split()]) == 0
        assert kept.items() <= made.call_args.kwargs.items()
    assert made.call_args.kwargs["state_file"] is not None
    assert made.return_value.demo.call_args_list[0].args == (7,)
    assert made.return_value.live.call_count == made.return_value.demo.call_count == 2
    assert made.return_value.saved.call_count == 1


def test_simulate_hands_its_size_on(work: dict[str, Any]) -> None:
    """An option of simulate does nothing."""
    assert app.run(["simulate", "--port=8080", "--host=::1", "--agents=30", "--queues=3", "--seed=5", "--speed=2"]) == 0
    assert work["command"] is simulate.simulate
    assert (work["plan"].agents, work["plan"].queues) == (30, 3)
    assert (work["host"], work["port"], work["seed"], work["speed"]) == ("::1", 8080, 5, 2.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("wacth", "No such command 'wacth'"),
        ("watch --interval 0", "above 0"),
        ("watch --interval nan", "above 0"),
        ("watch --interval soon", "not a valid float"),
        ("watch --only state-changed,nonsense", "'nonsense' is no kind of event; there are agent-joined"),
        ("watch --queue=", "a name cannot be empty"),
        ("status --state busy", "busy"),
        ("status --token secret", "No such option"),
        ("demo --seconds -1", "0 or more"),
        ("demo --seconds inf", "0 or more"),
        ("simulate --port 65536", "65535"),
        ("watch", "no server given"),
        ("report", "no server given"),
        ("report --csv --json --demo", "--csv and --json do not go together"),
        ("report --saved --demo", "--saved and --demo do not go together"),
        ("report --state-file x --demo", "--state-file and --demo do not go together"),
        ("report --saved", "--saved needs --state-file"),
        ("report --demo --seconds nan", "0 or more"),
        ("watch --wrong \x1b[31m", "No such option"),
        ("wa\x1b[31m", r"wa\x1b[31m"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(
    arguments: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo gives pages of usage or a traceback, or another exit code than 2."""
    assert app.run(arguments.split(" ")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("sipqueue: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert "\x1b" not in printed.err


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Who types just sipqueue learns nothing."""
    assert app.run([]) == 2
    assert "demo" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--version does not tell the version, or --help the exit codes."""
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"sipqueue {sipqueue_async.__version__}\n"
    assert app.run(["--help"]) == 0
    assert "143  SIGTERM" in capsys.readouterr().out
    assert app.run(["watch", "-h"]) == 0
    assert "SIPQUEUE_URL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (AuthError(601), 3, "sipqueue: ret 601: "),
        (AuthError(600, retryable=True), 4, "sipqueue: ret 600"),
        (ApiError(400, "no\nsuch \x1b[31mthing"), 4, r"the server says: no such \x1b[31mthing"),
        (TransportError("nobody there"), 4, "sipqueue: nobody there\n"),
        (Failure("use another", 1), 1, "sipqueue: use another\n"),
        (click.Abort(), 130, ""),
        (click.UsageError("wrong"), 2, "sipqueue: wrong; see sipqueue --help\n"),
    ],
)
def test_expected_trouble_is_one_line_and_a_code(
    error: Exception, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script cannot tell refused credentials from an unreachable platform, or a person sees a traceback."""
    assert exits.end(error) == code
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == bool(words)


def test_a_bug_is_not_hidden() -> None:
    """An error that nobody expected is passed over without a traceback."""
    with pytest.raises(ZeroDivisionError):
        exits.end(ZeroDivisionError())


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [(BrokenPipeError(), 141, ""), (OSError(28, "No space left on device"), 1, "cannot go on: No space left")],
)
def test_output_that_cannot_be_written_is_given_up(
    error: OSError, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The interpreter complains at its end of what is left in the buffer."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        stdout.write("left in the buffer")
        os.close(reader)
        assert exits.end(error) == code
        stdout.flush()
    printed = capfd.readouterr().err
    assert words in printed
    assert printed.count("\n") == bool(words)


def test_a_closed_stderr_changes_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot be told the reason gets a traceback's exit code instead."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stderr", _Unbuffered(raw))
        assert exits.end(TransportError("nobody there")) == 4


class _Unbuffered:
    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def write(self, text: str) -> None:
        self._raw.write(text.encode())


def test_a_closed_stdout_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell's >&- gives a traceback."""
    monkeypatch.setattr(sys, "stdout", None)
    assert app.run(["demo"]) == 1
    assert "standard output is closed" in capsys.readouterr().err


def test_the_librarys_log_is_not_printed_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the command tells in its own words comes on stderr once more."""
    monkeypatch.setattr(logging.getLogger("sipqueue_async"), "handlers", [])
    app.run(["--version"])
    assert logging.getLogger("sipqueue_async").handlers


def test_main_returns_what_the_command_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends with another code than the command."""
    monkeypatch.setattr(sys, "argv", ["sipqueue", "--version"])
    assert cli.main() == 0
    monkeypatch.setattr(sys, "argv", ["sipqueue", "wacth"])
    assert cli.main() == 2


@pytest.mark.parametrize("missing", ["click", "rich.console", "simpy"])
def test_without_the_extra_it_says_what_to_install(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Who installed the library without the extra gets a traceback."""
    assert _main_without(ModuleNotFoundError(f"No module named {missing!r}", name=missing)) == 2
    error = capsys.readouterr().err
    assert error.startswith("sipqueue: ")
    assert missing.partition(".")[0] in error
    assert error.endswith("pip install 'sipqueue_async[cli]'\n")
    assert error.count("\n") == 1


def test_another_missing_module_is_a_bug() -> None:
    """A module that the extra does not bring is put down to the extra."""
    with pytest.raises(ModuleNotFoundError):
        _main_without(ModuleNotFoundError("No module named 'other'", name="other"))


def test_ctrl_c_during_start_up_is_quiet() -> None:
    """Ctrl-C while everything is being imported gives a traceback."""
    assert _main_without(KeyboardInterrupt()) == 130


def test_the_library_alone_imports_nothing_of_the_extra() -> None:
    """Who uses the library pays for, or misses, the command line's packages."""

    async def imported() -> bytes:
        code = "import sipqueue_async, sys; print({'click', 'rich', 'simpy'} & set(sys.modules))"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0]

    assert asyncio.run(imported()).strip() == b"set()"


def _main_without(error: BaseException) -> int:
    """Run main where the import of all else ends with an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "__import__", Mock(side_effect=error))
        return cli.main()
