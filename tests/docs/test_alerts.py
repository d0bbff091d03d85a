"""The page about alerts: its commands run as they are written."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.kit.cli import PATIENCE, environment

pytestmark = [pytest.mark.one_python, pytest.mark.skipif(os.name != "posix", reason="the page is for a Unix shell")]

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
SCRIPT, SHOWN = re.findall(r"```shell\n(cat > .*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)[0]
LINE = re.compile(r"\d\d:\d\d:\d\d .+ \(\d+\) in queue-\d(?: has been talking for \d+ s|: over after \d+ s \(talks\))")


def test_the_page_shows_lines_as_the_command_prints_them() -> None:
    assert all(LINE.fullmatch(line) for line in SHOWN.splitlines())


async def test_the_command_raises_and_clears_alerts_of_a_simulated_platform(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        SCRIPT,
        cwd=tmp_path,
        env=environment(PATH=path, NO_COLOR="1"),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert shell.stdout is not None
    kinds: set[bool] = set()
    try:
        async with asyncio.timeout(PATIENCE):
            while len(kinds) < 2:
                line = (await shell.stdout.readline()).decode().rstrip()
                assert LINE.fullmatch(line), line
                kinds.add("over after" in line)
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        await shell.wait()
    assert (tmp_path / "alerts.json").exists()
