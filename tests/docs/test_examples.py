"""The documentation's examples, run as they are written against a simulated platform."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.builders import without_slowness
from tests.kit.redis_server import RedisServer

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
TEST = re.compile(r"^(async )?def test_", re.MULTILINE)
# What a program waits in that runs until somebody ends it.
FOR_EVER = re.compile(r"^(?!.*asyncio\.timeout\().*(async for|while True|\.wait\(\))", re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
EXAMPLES = [
    pytest.param(
        code,
        marks=pytest.mark.needs_redis if "SIPQUEUE_REDIS_URL" in code else (),
        id=f"{page.relative_to(ROOT)}:{page.read_text()[: match.start()].count(chr(10)) + 2}",
    )
    for page in PAGES
    for match in PYTHON.finditer(page.read_text())
    for code in [match.group(1)]
]
PROGRAMS = [example for example in EXAMPLES if not TEST.search(str(example.values[0]))]
TESTS = [example for example in EXAMPLES if TEST.search(str(example.values[0]))]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis; where there is none to start, examples that need it are skipped."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    with contextlib.suppress(FileNotFoundError):
        asyncio.run(server.start())
    yield server
    server.kill()


@pytest.fixture(scope="module")
def platform(redis: RedisServer) -> Iterator[dict[str, str]]:
    """Run a busy simulated platform, and a relay to it, in a process; return the variables that lead there."""
    code = (
        "import asyncio, sys\n"
        "from sipqueue_async import SipQueueClient, AppCredentials\n"
        "from sipqueue_async.redis import Relay\n"
        "from sipqueue_async.simulator import Plan, Simulator\n"
        "async def main():\n"
        "    async with Simulator(Plan.lively(), seed=3, speed=60, appid='docs', accesskey='example') as simulator:\n"
        "        client = SipQueueClient(simulator.url, AppCredentials('docs', 'example'))\n"
        "        async with client, Relay(client, sys.argv[1], interval=0.2):\n"
        "            print(simulator.url, flush=True)\n"
        "            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)\n"
        "asyncio.run(main())\n"
    )
    arguments = [sys.executable, "-c", code, redis.url]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        url = it.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        places = {"SIPQUEUE_URL": url, "SIPQUEUE_REDIS_URL": redis.url}
        yield {"SIPQUEUE_APPID": "docs", "SIPQUEUE_ACCESSKEY": "example", **places}
        it.communicate("", timeout=10)


@pytest.mark.parametrize("code", PROGRAMS)
def test_an_example_runs(code: str, platform: dict[str, str], tmp_path: Path) -> None:
    """Somebody copies an example from the documentation, and it does not work, or Ctrl-C does not end it in order."""
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        env={**os.environ, **platform, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    limit = threading.Timer(30, process.kill)
    limit.start()
    try:
        assert process.stdout is not None
        shown = process.stdout.readline()
        # One that ends by itself is not interrupted: in an interpreter's last steps, Ctrl-C shows whatever they are.
        for_ever = FOR_EVER.search(code) is not None
        if for_ever and shown:
            select.select([process.stdout], [], [], 3)
            process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate()
    finally:
        limit.cancel()
    errors = without_slowness(complaints.decode())
    assert shown + rest, errors
    if for_ever and process.returncode == -signal.SIGINT:
        assert errors.endswith("\nKeyboardInterrupt\n")
    else:
        assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("code", TESTS)
def test_an_example_of_a_test_passes(code: str, tmp_path: Path) -> None:
    """Somebody copies a test from the documentation, with the settings given there, and it does not pass."""
    settings = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    (tmp_path / "test_example.py").write_text(code, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "pytest", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A link from one page to another leads nowhere."""
    targets = [page.parent / target for target in LINK.findall(page.read_text())]
    assert [str(target) for target in targets if not target.exists()] == []


def test_there_are_examples() -> None:
    """The examples are no longer found, and so no longer run."""
    assert len(PROGRAMS) >= 7
    assert len(TESTS) >= 4
