"""The commands' standard output."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import stat
import struct
import termios
from pathlib import Path

import pytest
from rich.text import Text

from sipqueue_async.cli.exits import complain
from sipqueue_async.cli.terminal.output import Output, standard_output
from tests.kit.cli import Paper


@pytest.mark.parametrize(
    ("terminal", "environ", "coloured"),
    [
        (True, {"TERM": "xterm-256color"}, True),
        (True, {"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm-256color", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_only(terminal: bool, environ: dict[str, str], coloured: bool) -> None:
    paper = Paper(terminal=terminal)
    paper.output(**environ).line(Text("talking", "bold green"))
    assert ("\x1b[" in paper.text) is coloured


def test_an_encoding_without_arrows_gets_ascii_ones() -> None:
    paper = Paper(encoding="latin-1")
    output = paper.output()
    output.line(output.arrow)
    output.line("售" + output.ellipsis)
    assert paper.lines == ["->", r"\u552e~"]


def test_a_line_longer_than_the_terminal_is_not_cut() -> None:
    paper = Paper()
    paper.output().line("x" * 30_000)
    assert paper.lines == ["x" * 30_000]


class Broken(io.StringIO):
    """A pipe whose reader has exited."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_closed_pipe_raises() -> None:
    """The process does not exit while printing, so the command can save and clean up."""
    with pytest.raises(BrokenPipeError):
        Output(Broken(), {}).line("lost")


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        ("", "a", "one\ntwo"),
        ("whole\n", "a", "whole\none\ntwo"),
        ("half", "a", "half\none\ntwo"),
        ("half", "r+", "one\ntwo"),
    ],
)
def test_output_appended_to_half_a_line_begins_with_a_newline(
    content: str, mode: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(content)
    with path.open(mode, encoding="utf-8") as stream:
        assert isinstance(stream, io.TextIOWrapper)
        output = Output(stream, {})
        output.line("one")
        output.text("two")
    assert path.read_text() == expected


def test_a_complaint_appended_to_half_a_line_begins_with_a_newline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_text("half")
    with path.open("a") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        complain("one")
        complain("two")
    assert path.read_text() == "half\nsipqueue: one\nsipqueue: two\n"


def test_unbuffered_output_is_written_whole_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like a nearly full disk, a full pipe takes only a part; Python's own unbuffered stream would ignore that."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with io.TextIOWrapper(io.FileIO(writer, "w"), "utf-8", write_through=True) as stream:
        monkeypatch.setattr("sys.stdout", stream)
        output = standard_output()
        output.line("售")
        assert os.read(reader, 10).decode() == "售\n"
        with pytest.raises(BlockingIOError):
            output.line("x" * 1_000_000)
        os.read(reader, 1_000_000)
        output.stream.close()
        # The process's own stream is still open.
        print("more", file=stream)
    os.close(reader)


def test_only_regular_files_get_a_newline(tmp_path: Path) -> None:
    """A pipe cannot be read back, and a file may not be readable."""
    path = tmp_path / "write-only"
    path.write_text("half")
    reader, writer = os.pipe()
    with path.open("a") as file, os.fdopen(reader) as pipe, os.fdopen(writer, "a") as stream:
        path.chmod(stat.S_IWUSR)
        Output(stream, {}).line("one")
        Output(file, {}).line("one")
        assert pipe.readline() == "one\n"
    path.chmod(stat.S_IRUSR)
    expected = "half\none\n" if os.geteuid() == 0 else "halfone\n"
    assert path.read_text() == expected


@pytest.mark.parametrize("write", ["line", "text"])
def test_an_error_says_that_standard_output_cannot_be_written(write: str) -> None:
    # Closing the stream would write once more.
    stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO("/dev/full", "w")))
    with pytest.raises(OSError, match="No space left on device: 'standard output'"):
        getattr(Output(stream, {}), write)("a line")
    with pytest.raises(OSError, match="No space left on device"):
        stream.close()


def test_a_line_on_a_narrow_terminal_is_wrapped_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, descriptor = pty.openpty()
    fcntl.ioctl(controller, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    with os.fdopen(descriptor, "w") as stream:
        Output(stream, {}).wrapped("08:00:00 王小明 answered a call-back", indent=9)
        Output(stream, {}).wrapped("short")
        monkeypatch.setattr("sys.stderr", stream)
        complain("no queue named 'nosuch'")
        shown = b""
        while b"nosuch" not in shown:
            shown += os.read(controller, 4096)
    os.close(controller)
    assert shown.decode().splitlines()[:7] == [
        "08:00:00",
        "         王小明",
        "         answered a",
        "         call-back",
        "short",
        "sipqueue: no queue",
        "named 'nosuch'",
    ]
