"""The unit and the container file for a service in production."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from sipqueue_async.cli import exits
from sipqueue_async.cli.app import cli
from tests.kit.needs import program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "deploy"
UNIT = FOLDER / "sipqueue-wallboard.service"
SAFE = 2.0
"""The highest exposure, from 0 to 10, by systemd's own measure."""


def understood(arguments: list[str]) -> None:
    """Parse and check a command's arguments without running it."""
    top = cli.make_context("sipqueue", arguments)
    name, command, rest = cli.resolve_command(top, [*top._protected_args, *top.args])
    assert command is not None
    assert command.make_context(name, rest, parent=top).params
    # The option has chosen the format for the whole process.
    assert exits.writes_json()
    exits.write_json(False)


@pytest.fixture
def unit() -> configparser.ConfigParser:
    """The unit; a setting that is given twice keeps its last value."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their capitals
    parser.read(UNIT, encoding="utf-8")
    return parser


def test_the_unit_starts_a_command_that_exists(
    unit: configparser.ConfigParser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("wallboard", "events"):
        (tmp_path / f"{name}.key").write_text(f"a key for {name} that is long enough", encoding="utf-8")
        (tmp_path / f"{name}.key").chmod(0o600)
    for name, value in {"URL": "http://localhost", "APPID": "a", "ACCESSKEY": "b"}.items():
        monkeypatch.setenv(f"SIPQUEUE_{name}", value)
    command = unit["Service"]["ExecStart"].replace("${CREDENTIALS_DIRECTORY}", str(tmp_path))
    path, *arguments = shlex.split(command)
    assert path.startswith("/")
    understood(arguments)


@pytest.mark.needs_systemd
def test_systemd_accepts_the_unit_and_finds_it_little_exposed(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"/opt/\S+", "/bin/true", UNIT.read_text(encoding="utf-8")), encoding="utf-8")
    check = [program("systemd"), "verify", "--man=no", str(copy)]
    result = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    check = [program("systemd"), "security", "--offline=true", str(copy)]
    result = subprocess.run(check, capture_output=True, text=True, timeout=60)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert found is not None, result.stderr
    assert float(found[1]) <= SAFE


def test_the_container_runs_the_command_without_root() -> None:
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    lines = [line.partition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    known = {"FROM", "RUN", "COPY", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {name for name, _, _ in lines} == known
    copied = [
        path for name, _, value in lines if name == "COPY" and "--from" not in value for path in value.split()[:-1]
    ]
    assert copied[-1] == "sipqueue_async"
    assert all((ROOT / path).exists() for path in copied)
    last: dict[str, str] = {name: value for name, _, value in lines}
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["STOPSIGNAL"] == "SIGTERM"
    arguments: list[str] = [*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])]
    assert arguments[:4] == ["/opt/sipqueue/bin/sipqueue", "--log-format", "json", "wallboard"]
    python, option, check = json.loads(last["HEALTHCHECK"].partition(" CMD ")[2])
    assert (python, option) == ("/opt/sipqueue/bin/python", "-c")
    compile(check, "check", "exec")
    assert "/healthz" in check
