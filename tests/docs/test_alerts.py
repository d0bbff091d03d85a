"""The pages about alerts, English and Chinese: their commands run as they are written."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.kit.cli import environment
from tests.kit.waiting import PATIENCE

pytestmark = [pytest.mark.one_python, pytest.mark.skipif(os.name != "posix", reason="the page is for a Unix shell")]

DOCS = Path(__file__).parents[2] / "docs"
LINES = {
    "alerts.md": re.compile(
        r"\d\d:\d\d:\d\d .+ \(\d+\) in queue-\d(?: has been talking for \d+ s|: (over) after \d+ s \(talks\))"
    ),
    "alerts.zh.md": re.compile(
        r"\d\d:\d\d:\d\d 队列 queue-\d，.+（\d+）：(?:通话中，已持续 \d+ 秒|已(恢复)，持续了 \d+ 秒（talks）)"
    ),
}


def shown(page: str) -> tuple[str, str]:
    """Return the page's script and the output that it shows."""
    text = (DOCS / page).read_text(encoding="utf-8")
    script, output = re.findall(r"```shell\n(cat > .*?)```\n\n```text\n(.*?)```", text, re.DOTALL)[0]
    return script, output


@pytest.mark.parametrize("page", LINES)
def test_the_page_shows_lines_as_the_command_prints_them(page: str) -> None:
    assert all(LINES[page].fullmatch(line) for line in shown(page)[1].splitlines())


@pytest.mark.parametrize("page", LINES)
async def test_the_command_raises_and_clears_alerts_of_a_simulated_platform(page: str, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        shown(page)[0],
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
                found = LINES[page].fullmatch(line)
                assert found, line
                kinds.add(found[1] is not None)
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        await shell.wait()
    assert (tmp_path / "alerts.json").exists()
