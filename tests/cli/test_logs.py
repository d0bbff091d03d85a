"""``--log-format json``: lines on stderr as JSON objects."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from typing import Any

import pytest

from sipqueue_async.cli import app, exits
from sipqueue_async.cli.exits import complain
from sipqueue_async.cli.logs import log_on_stderr
from sipqueue_async.cli.running import run

LOG = logging.getLogger("sipqueue_async")


@pytest.fixture(autouse=True)
def text_again() -> Generator[None]:
    """Leave the format as it was."""
    yield
    exits.write_json(False)


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines on stderr."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert all(line.pop("time").endswith("+00:00") for line in lines)
    return lines


@pytest.mark.parametrize("by", ["option", "variable"])
def test_errors_are_json_objects(by: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["report", "--interval", "0"]
    if by == "option":
        arguments = ["--log-format", "json", *arguments]
    else:
        monkeypatch.setenv("SIPQUEUE_LOG_FORMAT", "json")
    assert app.run(arguments) == 2
    (line,) = objects(capsys)
    assert line["level"] == "error"
    assert "it must be above 0, not 0" in line["message"]


def test_the_next_command_writes_text_again(capsys: pytest.CaptureFixture[str]) -> None:
    exits.write_json(True)
    assert app.run(["report", "--interval", "0"]) == 2
    assert capsys.readouterr().err.startswith("sipqueue: ")


def test_an_unknown_format_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--log-format", "xml", "report"]) == 2
    assert "'xml' is not one of 'text', 'json'" in capsys.readouterr().err


def test_control_characters_stay_within_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    exits.write_json(True)
    complain("a\nb\x1b[0mä", level="info")
    assert objects(capsys) == [{"level": "info", "message": "a\nb\x1b[0mä"}]


async def _log() -> None:
    LOG.debug("not logged")
    LOG.info("polling works again")
    LOG.warning("a poll failed: %s", "away")
    LOG.error("the command itself reports this error")
    try:
        int("unexpected")
    except ValueError:
        LOG.exception("a listener failed")


def test_the_librarys_log_is_written_with_tracebacks_of_unexpected_errors(capsys: pytest.CaptureFixture[str]) -> None:
    before = (LOG.level, len([it for it in LOG.handlers if not isinstance(it, logging.NullHandler)]))
    exits.write_json(True)
    run(_log)
    info, warning, error = objects(capsys)
    assert info == {"level": "info", "message": "polling works again"}
    assert warning == {"level": "warning", "message": "a poll failed: away"}
    assert (error["level"], error["message"]) == ("error", "a listener failed")
    assert error["exception"].endswith("with base 10: 'unexpected'")
    assert before == (LOG.level, len([it for it in LOG.handlers if not isinstance(it, logging.NullHandler)]))


async def test_no_line_is_written_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """A relay writes the library's log in either format."""
    exits.write_json(True)
    with log_on_stderr(), log_on_stderr():
        await _log()
    assert len(objects(capsys)) == 3


async def test_text_shows_the_library_log_without_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    with log_on_stderr():
        await _log()
    assert capsys.readouterr().err == "sipqueue: polling works again\nsipqueue: a poll failed: away\n"
