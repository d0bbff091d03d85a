"""The command line: its arguments, the calls that they lead to, and the exit codes."""

from __future__ import annotations

import builtins
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import click
import pytest

import sipqueue_async
from sipqueue_async import AgentState, ApiError, AuthError, SeatFilter, TransportError, cli
from sipqueue_async.cli import app, exits, running
from sipqueue_async.cli.commands import config, demo, relay, report, simulate, status, top, wallboard, watch
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.origin import RelayOrigin
from sipqueue_async.cli.simulation import Demonstration

KEY = "the wallboard's key"
RULES = '[rules.away]\nkind = "feed-silent"\n'
SETTINGS = {"SIPQUEUE_URL": "http://127.0.0.1:9", "SIPQUEUE_TOKEN": "good-token", "SIPQUEUE_REDIS_URL": "redis://r"}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the settings of the tests' own environment, and restore the signal handler that `main` replaces."""
    kinds = "URL", "TOKEN", "APPID", "ACCESSKEY", "CONFIG", "TIMEZONE", "TIMEOUT", "REDIS_URL", "WALLBOARD_KEY"
    for kind in kinds:
        monkeypatch.delenv(f"SIPQUEUE_{kind}", raising=False)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a complete set of settings into the environment."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


class TestOptions:
    """Each command passes its options on, and the defaults are the documented ones."""

    ALL, SOME = SeatFilter(), SeatFilter(["a", "b"], "1")
    FILTERS = "--queue a --queue=b --extension 1"

    @pytest.mark.parametrize(
        ("line", "function", "expected"),
        [
            ("demo", demo.demo, {"seconds": 30.0, "interval": 0.5}),
            ("demo --seconds 0 --interval 1", demo.demo, {"seconds": 0.0, "interval": 1.0}),
            ("status", status.status, {"seats": ALL, "states": frozenset(), "as_json": False}),
            (
                f"status {FILTERS} --state=paused --json",
                status.status,
                {"seats": SOME, "states": {AgentState.PAUSED}, "as_json": True},
            ),
            ("top", top.top, {"alert_rules": None, "seats": ALL, "interval": 2.0}),
            (f"top {FILTERS} --interval 0.5", top.top, {"alert_rules": None, "seats": SOME, "interval": 0.5}),
            (f"top --demo --interval 1 {FILTERS}", top.top_demo, {"alert_rules": None, "seats": SOME, "interval": 1.0}),
            (
                "watch",
                watch.watch,
                {
                    "seats": ALL,
                    "kinds": frozenset(),
                    "interval": 2.0,
                    "state_file": None,
                    "verbose": False,
                    "as_json": False,
                    "push": None,
                },
            ),
            (
                f"watch {FILTERS} --only state-changed,call-answered --only feed-down --interval 0.5 --verbose --json",
                watch.watch,
                {
                    "seats": SOME,
                    "kinds": {"state-changed", "call-answered", "feed-down"},
                    "interval": 0.5,
                    "state_file": None,
                    "verbose": True,
                    "as_json": True,
                    "push": None,
                },
            ),
            (
                "relay",
                relay.relay,
                {
                    "target": relay.RelayTarget(redis="redis://r", prefix="sipqueue", lease=10.0),
                    "seats": ALL,
                    "interval": 2.0,
                    "push": None,
                    "history": None,
                },
            ),
            (
                f"relay --redis redis://other --prefix p --lease 3 --interval 1 {FILTERS}",
                relay.relay,
                {
                    "target": relay.RelayTarget(redis="redis://other", prefix="p", lease=3.0),
                    "seats": SOME,
                    "interval": 1.0,
                    "push": None,
                    "history": None,
                },
            ),
            (
                "wallboard",
                wallboard.wallboard,
                {
                    "site": wallboard.Site(port=8088, host_names=frozenset()),
                    "seats": ALL,
                    "interval": 2.0,
                    "push": None,
                    "history": None,
                },
            ),
            (
                "wallboard --host ::1 --port 0 --host-name a --host-name b --interval 1 --key-file key " + FILTERS,
                wallboard.wallboard,
                {
                    "site": wallboard.Site(host="::1", host_names=frozenset("ab"), key=KEY),
                    "seats": SOME,
                    "interval": 1.0,
                    "push": None,
                    "history": None,
                },
            ),
            ("config", config.config, {}),
            ("simulate", simulate.simulate, {"host": "127.0.0.1", "port": 0, "push": ()}),
            (
                "simulate --port=8080 --host=::1 --push http://a --push http://b",
                simulate.simulate,
                {"host": "::1", "port": 8080, "push": ("http://a", "http://b")},
            ),
        ],
    )
    @pytest.mark.usefixtures("settings")
    def test_options_arrive(self, line: str, function: Any, expected: dict[str, Any], work: list[Any]) -> None:
        assert app.run(line.split()) == 0
        assert work[0].func is function
        assert work[0].keywords == expected

    @pytest.fixture(autouse=True)
    def files(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Write the files that the command lines name."""
        (tmp_path / "key").write_text(KEY)
        (tmp_path / "key").chmod(0o600)
        (tmp_path / "rules").write_text(RULES)
        monkeypatch.chdir(tmp_path)

    @pytest.mark.parametrize(
        ("line", "usual"),
        [
            ("demo", Demonstration(speed=10.0)),
            ("top --demo", Demonstration(speed=10.0)),
            ("alert --rules rules --demo", Demonstration(speed=60.0)),
            ("report --demo", Demonstration(speed=60.0)),
            ("simulate", Demonstration(speed=1.0)),
            ("wallboard --demo", Demonstration(agents=24, speed=5.0)),
        ],
    )
    def test_every_demonstration_has_a_size_a_speed_and_a_seed_and_needs_no_settings(
        self, line: str, usual: Demonstration, work: list[Any]
    ) -> None:
        assert app.run(line.split()) == 0
        assert app.run([*line.split(), *["--agents", "60", "--queues", "5", "--speed", "2", "--seed", "3"]]) == 0
        found: list[Any] = [job.work if isinstance(job, running.Job) else job for job in work]
        centres = [it for job in found for it in job.args if isinstance(it, Demonstration)]
        assert centres == [usual, Demonstration(agents=60, queues=5, speed=2.0, seed=3)]
        assert [(it.plan.agents, it.plan.queues) for it in centres] == [(usual.agents, 2), (60, 5)]

    @pytest.mark.usefixtures("settings")
    def test_a_state_file_arrives_and_no_key_is_shown(self, work: list[Any]) -> None:
        assert app.run(["watch", "--state-file", "x"]) == 0
        assert app.run(["alert", "--rules", "rules", "--state-file", "x"]) == 0
        assert all(it.keywords["state_file"] is not None for it in work)
        assert KEY not in repr(wallboard.Site(key=KEY))

    @pytest.mark.usefixtures("settings")
    @pytest.mark.parametrize("command", ["status", "watch", "top", "report", "wallboard", "alert --rules rules"])
    def test_every_command_can_read_from_a_relay(self, command: str, work: list[Any]) -> None:
        assert app.run([*command.split(), "--from-relay"]) == 0
        assert app.run([*command.split(), "--from-relay", "--redis", "redis://other", "--prefix", "north"]) == 0
        found: list[Any] = [job.work if isinstance(job, running.Job) else job for job in work]
        assert [it.args[0] for it in found] == [
            RelayOrigin(redis="redis://r"),
            RelayOrigin(redis="redis://other", prefix="north"),
        ]

    @pytest.mark.usefixtures("settings")
    @pytest.mark.parametrize(
        ("line", "way", "expected"),
        [
            ("", "watch", {"interval": 2.0, "seconds": 0.0, "form": report.Form.TABLE, "seats": ALL}),
            (
                f"{FILTERS} --interval 0.5 --seconds 9 --csv",
                "watch",
                {"seats": SOME, "interval": 0.5, "seconds": 9.0, "form": report.Form.CSV},
            ),
            ("--csv --bom", "watch", {"form": report.Form.CSV_WITH_BOM}),
            ("--demo --json", "watch_demo", {"seconds": 600.0, "form": report.Form.JSON}),
            ("--demo --seconds 0", "watch_demo", {"seconds": 0.0}),
            ("--state-file x --saved", "load_saved", {"seconds": 0.0}),
        ],
    )
    def test_options_of_report_arrive(
        self, line: str, way: str, expected: dict[str, Any], work: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = Mock()
        monkeypatch.setattr(report, "Report", made)
        assert app.run(["report", *line.split()]) == 0
        job = work[0]
        job.work()
        assert getattr(made.return_value, way).call_count == 1
        assert job.conclude is made.return_value.print
        assert expected.items() <= made.call_args.kwargs.items()
        assert (made.call_args.kwargs["state_file"] is not None) == ("--state-file" in line)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("wacth", "No such command 'wacth' (did you mean watch?); see sipqueue --help"),
        ("nonsense", "No such command 'nonsense'; see sipqueue --help"),
        ("export", "No such command 'export' (did you mean history export?); see sipqueue --help"),
        ("watch --interval 0", "above 0"),
        ("watch --interval nan", "above 0"),
        ("watch --interval soon", "not a valid float"),
        ("watch --only state-changed,nonsense", "'nonsense' is not a kind of event; there are agent-joined"),
        ("watch --queue=", "a name cannot be empty"),
        ("watch --queue \udcb6\udcd3", r"for '--queue': '\udcb6\udcd3' is not text in "),
        ("agent pause \udcb6 --yes", r"for 'EXTENSION': '\udcb6' is not text in "),
        ("wallboard --demo --title \udcb6", r"for '--title': '\udcb6' is not text in "),
        ("history calls --queue \udcb6", r"for '--queue': '\udcb6' is not text in "),
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
        ("report --bom", "--bom needs --csv"),
        ("report --saved", "--saved needs --state-file"),
        ("report --demo --seconds nan", "0 or more"),
        ("watch --wrong \x1b[31m", "No such option"),
        ("wa\x1b[31m", r"wa\x1b[31m"),
        ("watch --redis redis://r", "--redis needs --from-relay"),
        ("wallboard --prefix north", "--prefix needs --from-relay"),
        ("status --from-relay", "no Redis given"),
        ("relay --url http://127.0.0.1:9", "no credentials given"),
        ("demo --agents 10001", "10001 is not in the range 1<=x<=10000"),
        ("relay --redis redis://r --lease 0.01", "0.01 is not in the range 0.1<=x<=3600"),
        ("watch --from-relay --redis redis://:secret@r", "other users can see a program's arguments"),
        ("top --from-relay --demo", "--from-relay and --demo do not go together"),
        ("wallboard --from-relay --demo", "--from-relay and --demo do not go together"),
        ("report --from-relay --demo", "--from-relay and --demo do not go together"),
        ("report --from-relay --saved --state-file x", "--from-relay and --saved do not go together"),
        ("wallboard --demo --redis redis://:secret@r", "--redis and --demo do not go together"),
        ("top --demo --prefix north", "--prefix and --demo do not go together"),
        ("report --saved --state-file x --prefix north", "--prefix and --saved do not go together"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(
    arguments: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line shows neither control characters nor secrets, and the exit code is 2."""
    assert app.run(arguments.split(" ")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("sipqueue: ")
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert "\x1b" not in printed.err
    assert ":secret" not in printed.err


def test_without_a_command_it_prints_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([]) == 2
    assert "demo" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"sipqueue {sipqueue_async.__version__}\n"
    assert app.run(["--help"]) == 0
    assert "143  SIGTERM" in capsys.readouterr().out
    assert app.run(["watch", "-h"]) == 0
    assert "SIPQUEUE_URL" in capsys.readouterr().out


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_list_of_commands_has_the_summary_of_each(name: str) -> None:
    context = click.Context(app.cli)
    assert name in app.cli.list_commands(context)
    command = app.cli.get_command(context, name)
    assert command is not None
    assert (command.name, command.get_short_help_str(100)) == (name, app.COMMANDS[name])


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
def test_an_expected_error_is_one_line_and_an_exit_code(
    error: Exception, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exits.end(error) == code
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == bool(words)


def test_an_unexpected_error_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        exits.end(ZeroDivisionError())


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (BrokenPipeError(), 141, ""),
        (OSError(28, "No space left on device"), 1, "cannot continue: No space left"),
        (OSError(28, "No space left on device", "standard output"), 1, "continue: standard output: No space left"),
    ],
)
def test_output_that_cannot_be_written_is_discarded(
    error: OSError, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
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
    monkeypatch.setattr(
        sys, "stderr", Mock(write=Mock(side_effect=BrokenPipeError), isatty=bool, fileno=Mock(side_effect=OSError))
    )
    assert exits.end(TransportError("no route to host")) == 4


def test_a_closed_stdout_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert app.run(["demo"]) == 1
    assert "standard output is closed" in capsys.readouterr().err


def test_the_librarys_log_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands report the same events in their own words."""
    monkeypatch.setattr(logging.getLogger("sipqueue_async"), "handlers", [])

    async def work() -> None:
        assert logging.getLogger("sipqueue_async").handlers

    assert running.run(work) == 0


@pytest.mark.parametrize(("line", "named"), [("config", "SIPQUEUE_LANGUAGE"), ("--language xx config", "'--language'")])
def test_an_error_names_what_has_the_value(
    line: str, named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIPQUEUE_LANGUAGE", "fr")
    assert app.run(line.split()) == 2
    assert capsys.readouterr().err.startswith(f"sipqueue: Invalid value for {named}: ")


class TestMain:
    def test_the_installed_command_begins_there(self) -> None:
        (command,) = metadata.entry_points(group="console_scripts", name="sipqueue")
        assert command.load() is cli.main

    @pytest.mark.parametrize(("argument", "code"), [("--version", 0), ("wacth", 2)])
    def test_it_returns_the_exit_code(self, argument: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "argv", ["sipqueue", argument])
        assert cli.main() == code

    @pytest.mark.parametrize("missing", ["click", "rich.console", "simpy"])
    def test_a_missing_extra_is_one_line_with_the_remedy(
        self, missing: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert _main_without(ModuleNotFoundError(f"No module named {missing!r}", name=missing)) == 2
        error = capsys.readouterr().err
        assert error.startswith("sipqueue: ")
        assert missing.partition(".")[0] in error
        assert error.endswith("pip install 'sipqueue_async[cli]'\n")
        assert error.count("\n") == 1

    def test_another_missing_module_is_raised(self) -> None:
        with pytest.raises(ModuleNotFoundError):
            _main_without(ModuleNotFoundError("No module named 'other'", name="other"))

    @pytest.mark.parametrize("is_wrapped", [False, True])
    def test_ctrl_c_while_it_loads_is_quiet(self, is_wrapped: bool) -> None:
        wrapped = RuntimeError("Error calling __set_name__ on ...")
        wrapped.__cause__ = KeyboardInterrupt()
        assert _main_without(wrapped if is_wrapped else KeyboardInterrupt()) == 130

    def test_another_error_while_it_loads_is_raised(self) -> None:
        with pytest.raises(RuntimeError, match="odd"):
            _main_without(RuntimeError("odd"))

    def test_little_is_imported_before_ctrl_c_is_handled(self) -> None:
        code = (
            "import sys; sys.path.append(sys.argv[1]); import sipqueue_async.cli\n"
            "print({'enum', 'signal', 'typing'} & set(sys.modules))"
        )
        # Without `site`, whose own imports would be seen too.
        command = [sys.executable, "-S", "-c", code, str(Path(cli.__file__).parents[2])]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"

    def test_only_what_is_asked_for_is_imported(self) -> None:
        """The library imports nothing from the extra; the list of commands imports no command, rich or aiohttp."""
        code = (
            "import sys, sipqueue_async; loaded = {'click', 'rich', 'simpy'} & set(sys.modules)\n"
            "from sipqueue_async.cli import app; code = app.run(['--help'])\n"
            "loaded |= {'asyncio', 'rich', 'simpy'} & set(sys.modules)\n"
            "loaded |= {name for name in sys.modules if name.startswith('sipqueue_async.cli.commands')}\n"
            "print(code, loaded)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "0 set()"

    def test_python_can_run_the_package(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """`python -m sipqueue_async` is the same command."""
        monkeypatch.setattr(sys, "argv", ["__main__.py", "--help"])
        with pytest.raises(SystemExit, match="0"):
            import_module("sipqueue_async.__main__")
        assert capsys.readouterr().out.startswith("Usage: sipqueue [OPTIONS] COMMAND")


def _main_without(error: BaseException) -> int:
    """Run `main` in an environment where every import from this package raises an error."""
    really = builtins.__import__

    def importing(name: str, *rest: Any) -> Any:
        if name.startswith("sipqueue_async"):
            raise error
        return really(name, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "__import__", importing)
        return cli.main()
