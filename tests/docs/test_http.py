"""The documented readers of events: run as a user saves them, cut off, and continued."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from sipqueue_async import Event
from sipqueue_async._json_lines import event_json
from sipqueue_async.simulator import Plan
from tests.kit.needs import program
from tests.kit.waiting import until
from tests.kit.wallboard_screen import Visit
from tests.kit.wallboard_stage import KEY, Stage, wallboard_of

pytest_plugins = ["tests.kit.browser"]

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
EVENTS_KEY = "a key for programs"
LONG = 2 * 2**18
"""The longest line in bytes that aiohttp reads by default."""
PLAN = Plan(agents=12, queues=2, calls_per_hour=240.0, opening_callers=3)


def block(language: str, text: str) -> str:
    """Return the page's code in a language that contains a text."""
    start = re.escape(f"```{language}\n")
    (code,) = [it for it in re.findall(rf"^{start}(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) if text in it]
    return str(code)


@asynccontextmanager
async def running(command: Sequence[str], folder: Path, url: str) -> AsyncGenerator[asyncio.StreamReader]:
    """Run a client; yield its output."""
    variables = {"URL": url.rstrip("/"), "KEY": EVENTS_KEY, "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        os.killpg(process.pid, 9)
        await process.communicate()


class Client(NamedTuple):
    """A documented client: its block on the page, and how it is run with a shorter pause before it reconnects."""

    language: str
    text: str
    pause: tuple[str, str]
    command: tuple[str, ...]


CLIENTS = [
    pytest.param(
        Client("shell", "while true", ("sleep 2", "sleep 0.1"), ("sh", "client.sh")),
        id="curl",
        marks=pytest.mark.needs_curl,
    ),
    pytest.param(
        Client("{code-block} python", "read(", ("sleep(2)", "sleep(0.1)"), (sys.executable, "client.py")),
        id="Python",
    ),
    pytest.param(
        Client("javascript", "fetch", ("2000", "100"), ("node", "client.mjs")),
        id="JavaScript",
        marks=pytest.mark.needs_node,
    ),
    pytest.param(
        Client("go", "package", ("2 * time.Second", "time.Second / 10"), ("go", "run", "client.go")),
        id="Go",
        marks=pytest.mark.needs_go,
    ),
]


@pytest.mark.one_python
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_documented_client_continues_where_it_was_cut_off(client: Client, tmp_path: Path) -> None:
    code = block(client.language, client.text)
    assert code.count(client.pause[0]) == 1
    (tmp_path / client.command[-1]).write_text(code.replace(*client.pause), encoding="utf-8")
    first, *rest = client.command
    command = [first if first in {"sh", sys.executable} else program(first), *rest]
    stage = Stage(PLAN)
    async with (
        wallboard_of(stage, key=KEY, events_key=EVENTS_KEY) as wallboard,
        running(command, tmp_path, wallboard.url) as lines,
        asyncio.timeout(250),
    ):
        assert json.loads(await lines.readline())["event"] == "snapshot"
        updates = stage.watcher.updates(max_pending=10_000)
        for _ in range(3):
            await stage.play(20)
            happened: list[Event] = []
            while update := updates.get_nowait():
                happened += update.events
            assert happened
            for event in happened:
                assert (await lines.readline()).decode().strip() == event_json(event)
            for connection in list(wallboard._events._open):
                assert isinstance(connection, asyncio.Protocol)
                connection.transport.abort()  # type: ignore[attr-defined]


@pytest.mark.one_python
async def test_the_documented_client_in_python_reads_a_long_snapshot_and_continues_after_its_own_restart(
    tmp_path: Path,
) -> None:
    code = block("{code-block} python", "read(")
    (tmp_path / "client.py").write_text(code, encoding="utf-8")
    command, saved = [sys.executable, "client.py"], tmp_path / "last-id"
    stage = Stage(Plan(agents=3000, queues=2, calls_per_hour=240.0))
    async with wallboard_of(stage, key=KEY, events_key=EVENTS_KEY) as wallboard, asyncio.timeout(250):
        async with running(command, tmp_path, wallboard.url) as lines:
            snapshot = await lines.readline()
            assert len(snapshot) > LONG
            assert len(json.loads(snapshot)["agents"]) >= 3000
            await until(lambda: saved.exists() and saved.read_text(), "the id is saved")
        await stage.play(20)
        async with running(command, tmp_path, wallboard.url) as lines:
            assert json.loads(await lines.readline())["event"] != "snapshot"


@pytest.mark.needs_chromium
@pytest.mark.one_python
@pytest.mark.asyncio(loop_scope="session")
async def test_the_documented_lines_for_browsers_work_on_a_page_of_the_wallboard(visit: Visit) -> None:
    """The page's login cookie opens the stream."""
    stage = Stage(PLAN)
    async with wallboard_of(stage, key=KEY) as wallboard:
        page = await visit(f"{wallboard.url}login")
        await page.locator("input[name=key]").fill(KEY)
        await page.locator("button").click()
        await page.wait_for_url(wallboard.url)
        async with page.expect_console_message() as snapshot:
            await page.evaluate(block("js", "EventSource"))
        assert (await snapshot.value).text == str(len(stage.watcher.snapshot or ()))
        async with page.expect_console_message() as call:
            await stage.play(60)
        assert (await call.value).text == "1"
