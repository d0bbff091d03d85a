"""Shell completion: in a real bash, and by the answers for zsh and fish."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

from sipqueue_async.cli import app
from tests.kit.cli import environment
from tests.kit.terminal import terminal


@pytest.mark.one_python
@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="bash is not on this machine")
async def test_bash_completes_commands_options_and_values(tmp_path: Path) -> None:
    """The documented line in ~/.bashrc is sufficient."""
    command = tmp_path / "sipqueue"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m sipqueue_async "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    async with terminal(100, 30) as screen:
        bash = await asyncio.create_subprocess_exec(
            "/bin/bash",
            "--norc",
            "--noprofile",
            "-i",
            stdin=screen.descriptor,
            stdout=screen.descriptor,
            stderr=screen.descriptor,
            env=environment(PATH=path, PS1="> ", HOME=str(tmp_path)),
            start_new_session=True,
        )
        try:
            screen.press('eval "$(_SIPQUEUE_COMPLETE=bash_source sipqueue)"; echo is read"y"\n')
            await screen.until_shown("is ready")
            screen.press("sipqueue sta\t")
            await screen.until_shown("> sipqueue status")
            screen.press("--state tal\t")
            await screen.until_shown("> sipqueue status --state talking")
            # To bash, the equals sign is a word of its own.
            screen.press("--state=wai\t")
            await screen.until_shown("> sipqueue status --state talking --state=waiting")
        finally:
            bash.kill()
            await bash.wait()


@pytest.mark.parametrize(
    ("shell", "words", "expected"),
    [
        ("zsh", "sipqueue wa", ["watch", "wallboard"]),
        ("zsh", "sipqueue --ver", ["--version"]),
        (
            "zsh",
            "sipqueue watch --only=state-changed,call-",
            [f"--only=state-changed,call-{it}" for it in ("answered", "missed")],
        ),
        ("fish", "sipqueue wa", ["watch", "wallboard"]),
        ("fish", "sipqueue history ti", ["timeline"]),
        ("zsh", "sipqueue history report --by=hour", ["--by=hour", "--by=hour_of_day"]),
        ("zsh", "sipqueue --language=zh status --state tal", ["talking"]),
        ("fish", "sipqueue --language=z", ["--language=zh"]),
        ("fish", "sipqueue status --state=tal", ["--state=talking"]),
        ("fish", "sipqueue top --inter", ["--interval"]),
        # To bash, an equals sign is a word of its own.
        ("bash", "sipqueue status --state = tal", ["talking"]),
    ],
)
def test_shells_are_answered(
    shell: str, words: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _, last = words.rpartition(" ")
    monkeypatch.setenv("_SIPQUEUE_COMPLETE", f"{shell}_source")
    with pytest.raises(SystemExit, match="0"):
        app.run([])
    assert "_SIPQUEUE_COMPLETE" in capsys.readouterr().out
    monkeypatch.setenv("_SIPQUEUE_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", first if shell == "fish" else words)
    monkeypatch.setenv("COMP_CWORD", last if shell == "fish" else str(words.count(" ")))
    with pytest.raises(SystemExit, match="0"):
        app.run([])
    answer = capsys.readouterr().out
    found = answer.splitlines()[1::3] if shell == "zsh" else [line.split(",", 1)[1] for line in answer.splitlines()]
    assert [it.partition("\t")[0] for it in found] == expected
