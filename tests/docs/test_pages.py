"""Tests the documentation outside its examples: links, shell commands, and the tutorial step by step."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from sipqueue_async.cli.app import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```([\w{}-]*)(?: [^\n]*)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`(sipqueue [a-z-][^`]*)`(?!`)")
ANCHOR = re.compile(r"\]\(((?!https?://)[^)#\s]*)#([^)\s]+)\)")
HEADING = re.compile(r"^#{1,3} (.+)$", re.MULTILINE)
LABEL = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)
ENDS_A_COMMAND = {"|", "||", "&", "&&", ";", ">", ">>", "<"}


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _anchors(page: Path) -> set[str]:
    """Return a page's link targets: its headings, as GitHub and MyST name them, and its labels."""
    text = FENCE.sub("", _text(page))
    headings = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(text)}
    return headings | set(LABEL.findall(text))


def _shell_lines(page: Path) -> Iterator[str]:
    text = _text(page)
    for kind, block in FENCE.findall(text):
        if kind in {"shell", "console", "ini"}:
            yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"^    (?=\S)(.*sipqueue .*)$", text, re.MULTILINE)
    yield from SPAN.findall(FENCE.sub("", text))


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    """Return the arguments of each `sipqueue` command in a line of shell."""
    words = shlex.shlex(line.removeprefix("$ ").removeprefix("ExecStart="), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    command: list[str] | None = None
    for word in [*words, ";"]:
        if word in ENDS_A_COMMAND:
            if command:
                yield tuple(command)
            command = None
        elif command is not None:
            command.append(word)
        elif Path(word).name == "sipqueue":
            command = []


def _all_commands() -> list[tuple[str, ...]]:
    found = {it for page in PAGES for line in _shell_lines(page) if "sipqueue " in line for it in _commands(line)}
    return sorted(it for it in found if not it[0].startswith("-"))


@pytest.mark.parametrize("arguments", _all_commands(), ids=" ".join)
def test_a_command_is_understood(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        os, "environ", {it: value for it, value in os.environ.items() if not it.startswith("SIPQUEUE_")}
    )
    name, *rest = arguments
    # Create the program's context first: a command keeps the help options of its first context.
    program = click.Context(cli, info_name="sipqueue", **cli.context_settings)
    command = cli.get_command(program, name)
    if isinstance(command, click.Group) and rest:
        program = click.Context(command, info_name=name, parent=program)
        name, *rest = rest
        command = command.get_command(program, name)
    assert command is not None
    if not isinstance(command, click.Group):
        assert command.make_context(name, rest, parent=program).params  # parsed and checked, not run


def test_commands_are_found() -> None:
    assert len(_all_commands()) >= 25
    assert list(_commands("A=1 .venv/bin/sipqueue watch --queue 'a b' | jq . && sipqueue demo > x &")) == [
        ("watch", "--queue", "a b"),
        ("demo",),
    ]


@pytest.mark.parametrize("page", ["cli.md", "cli.zh.md"])
def test_the_page_of_the_command_line_lists_every_command(page: str) -> None:
    listed = re.findall(r"^\| `sipqueue ([a-z]+)", _text(ROOT / "docs" / page), re.MULTILINE)
    assert sorted(listed) == sorted(cli.list_commands(click.Context(cli)))


def test_the_comparison_quotes_the_accuracy_page() -> None:
    """Another program's share of missed calls at 10 seconds is that of the first table with this interval."""
    quoted = re.search(r"it found ([\d.]+ %) of the missed calls", _text(ROOT / "docs" / "comparison.md"))
    rows = [line for line in _text(ROOT / "docs" / "accuracy.md").splitlines() if line.startswith("| 10 s |")]
    assert quoted is not None
    assert f"({quoted[1]})" in rows[0].split("|")[7]


def _typed(page: Path) -> list[str]:
    return [line for kind, block in FENCE.findall(_text(page)) if kind == "console" for line in block.splitlines()]


def test_the_chinese_tutorial_has_the_same_commands_and_files() -> None:
    english, chinese = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "tutorial.zh.md"
    assert _typed(chinese) == _typed(english)
    saved = re.compile(r"`(\w+\.py)`(?:：|:)\n\n```python")
    assert saved.findall(_text(chinese)) == saved.findall(_text(english)) != []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_pages_lead_somewhere(page: Path) -> None:
    links = ANCHOR.findall(FENCE.sub("", _text(page)))
    lost = [
        f"{target}#{anchor}"
        for target, anchor in links
        if anchor not in _anchors(page.parent / target if target else page)
    ]
    assert lost == []


def test_the_service_file_can_be_read() -> None:
    (unit,) = [block for kind, block in FENCE.findall(_text(ROOT / "docs" / "operating.md")) if kind == "ini"]
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their capitals
    parser.read_string(unit)
    assert parser.sections() == ["Unit", "Service", "Install"]
    assert parser["Service"]["ExecStart"].startswith("/")


class Terminal:
    """Runs the tutorial's commands in a directory where `.venv` is the tests' own environment."""

    def __init__(self, directory: Path) -> None:
        (directory / ".venv").symlink_to(sys.prefix, target_is_directory=True)
        self._directory = directory
        self._variables = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}

    def export(self, line: str) -> None:
        """Set the variables of a line of `export`."""
        self._variables |= dict(word.split("=", 1) for word in shlex.split(line)[1:])

    async def start(self, line: str) -> asyncio.subprocess.Process:
        """Start a command."""
        return await asyncio.create_subprocess_exec(
            *shlex.split(line),
            cwd=self._directory,
            env=self._variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, line: str) -> str:
        """Run a command until it has printed three lines or ended, and return its output."""
        process = await self.start(line)
        assert process.stdout is not None
        shown = [await process.stdout.readline() for _ in range(3)]
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        shown.append((await process.communicate())[0])
        return b"".join(shown).decode()


@pytest.mark.one_python
async def test_the_tutorial_works_as_it_is_typed(tmp_path: Path) -> None:
    text = _text(ROOT / "docs" / "tutorial.md")
    saved = re.findall(r"[Ss]ave this as `(\w+\.py)`:\n\n```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for name, code in saved:
        (tmp_path / name).write_text(code, encoding="utf-8")
    lines = [line[2:] for kind, block in FENCE.findall(text) if kind == "console" for line in block.splitlines()]
    pip, exported, simulate, reached, *rest = [line for line in lines if "venv .venv" not in line]
    assert pip == ".venv/bin/pip install '.[cli,history]'"
    terminal = Terminal(tmp_path)
    terminal.export(exported)
    # Use any free port, and a faster clock, so that the bot soon has something to report.
    platform = await terminal.start(simulate.replace("8080", "0").replace("--speed 10", "--speed 60"))
    assert platform.stdout is not None
    url = (await platform.stdout.readline()).decode().strip()
    terminal.export(reached.replace("SIPQUEUE_URL=http://127.0.0.1:8080", url.removeprefix("export ")))
    *rest, record, today, yesterday = rest
    printed = dict(zip(rest, await asyncio.gather(*map(terminal.run, rest)), strict=True))
    recorder = await terminal.start(record)
    async with asyncio.timeout(240):
        figures = ""
        while "total" not in figures:
            figures = await terminal.run(today)
    recorder.send_signal(signal.SIGINT)
    assert (await recorder.communicate())[0].startswith(b"recording to sqlite:///day.db until Ctrl-C")
    assert today.endswith("--since today")
    assert await terminal.run(yesterday) == "nothing was recorded\n"
    platform.terminate()
    await platform.communicate()
    assert list(printed) == [".venv/bin/sipqueue status", *(f".venv/bin/python {name}" for name, _ in saved)]
    assert "queue-1" in printed[".venv/bin/sipqueue status"]
    assert "waiting" in printed[".venv/bin/python snapshot.py"]
    assert "→" in printed[".venv/bin/python changes.py"]
    assert printed[".venv/bin/python bot.py"].startswith(
        "Good morning. I report queues where no agent is waiting.\nqueue-"
    )
    assert "queue-1: 1000" in printed[".venv/bin/python several.py"]
