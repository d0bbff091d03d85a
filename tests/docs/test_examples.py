"""The documentation's examples, run unchanged against a simulated platform."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kit.needs import find
from tests.kit.preloaded import Preloaded, Program
from tests.kit.redis_server import RedisServer

pytestmark = [pytest.mark.one_python, pytest.mark.timeout(500)]

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
IMPORT = re.compile(r"^(?:from|import) ([\w.]+)", re.MULTILINE)
# The rules of the examples wait for half a minute; in the tests they wait for half a second.
HURRY = ("lasting=30", "lasting=0.5")
TEST = re.compile(r"^(async )?def test_", re.MULTILINE)
# Statements with which a program waits until it is ended.
FOR_EVER = re.compile(r"^(?!.*(asyncio\.timeout|fetch_calls|CallFeed)\().*(async for|while True|\.wait\(\))", re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
EXAMPLES = {
    f"{page.relative_to(ROOT)}:{page.read_text()[: match.start()].count(chr(10)) + 2}": match.group(1)
    for page in PAGES
    for match in PYTHON.finditer(page.read_text())
}
NEEDS_REDIS = {place for place, code in EXAMPLES.items() if "SIPQUEUE_REDIS_URL" in code}
HAS_REDIS = find("redis") is not None
PROGRAMS = {place: code for place, code in EXAMPLES.items() if not TEST.search(code)}
TESTS = {place: code for place, code in EXAMPLES.items() if TEST.search(code)}
MODULES = sorted(
    {module for code in PROGRAMS.values() for module in IMPORT.findall(code)} | {"aiosqlite", "alembic.command"}
)
"""What the programs import, and what an open history needs."""
PLATFORM = """
import asyncio, contextlib, os
from sipqueue_async import SipQueueClient, AppCredentials, run
from sipqueue_async.redis import Relay
from sipqueue_async.simulator import Plan, Simulator

async def main():
    async with contextlib.AsyncExitStack() as stack:
        centre = Simulator(Plan.lively(), seed=3, speed=60, appid='docs', accesskey='example')
        simulator = await stack.enter_async_context(centre)
        if redis := os.environ.get('SIPQUEUE_REDIS_URL'):
            client = SipQueueClient(simulator.url, AppCredentials('docs', 'example'))
            await stack.enter_async_context(client)
            await stack.enter_async_context(Relay(client, redis, interval=0.2))
        print(simulator.url)
        await asyncio.Event().wait()

run(main())
"""


class Outcome(NamedTuple):
    """A program's output, its error output, and its exit code."""

    printed: str
    errors: str
    code: int


async def run(program: Program, code: str) -> Outcome:
    """Run an example. Unless it ends by itself, press Ctrl-C a moment after its first line."""
    errors = asyncio.create_task(program.stderr.read())
    ended = asyncio.create_task(program.wait())
    printed = b""
    with suppress(TimeoutError):
        # A program that is still importing on a busy machine would end Ctrl-C in a traceback.
        async with asyncio.timeout(200):
            printed = await program.stdout.readline()
    if FOR_EVER.search(code):
        with suppress(TimeoutError):
            async with asyncio.timeout(3):
                printed += await program.stdout.readline()
        program.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(60):
            printed += await program.stdout.read()
    except TimeoutError:  # pragma: no cover  # an example that does not end fails its test
        program.send_signal(signal.SIGKILL)
    return Outcome(printed.decode(), (await errors).decode(), await ended)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """Run all programs, many at the same time, with a platform and, if Redis is installed, a relay.

    A program that is on several pages runs once.
    """
    folder = tmp_path_factory.mktemp("examples")

    async def run_all(python: Preloaded) -> dict[str, Outcome]:
        async with AsyncExitStack() as stack:
            variables = {"SIPQUEUE_APPID": "docs", "SIPQUEUE_ACCESSKEY": "example"}
            if HAS_REDIS:  # pragma: no branch
                server = await stack.enter_async_context(RedisServer(folder))
                variables["SIPQUEUE_REDIS_URL"] = server.url
            platform = await python.start(PLATFORM, folder, variables)
            variables["SIPQUEUE_URL"] = (await platform.stdout.readline()).decode().strip()
            programs = {code for place, code in PROGRAMS.items() if HAS_REDIS or place not in NEEDS_REDIS}
            # More would wait for processors, and exceed the client's timeout on a busy machine.
            at_once = asyncio.Semaphore(12)

            async def run_one(number: int, code: str) -> Outcome:
                (own := folder / str(number)).mkdir()
                async with at_once:
                    return await run(await python.start(code.replace(*HURRY), own, variables), code)

            runs = (run_one(number, code) for number, code in enumerate(programs))
            results = dict(zip(programs, await asyncio.gather(*runs), strict=True))
            platform.send_signal(signal.SIGINT)
            # Ignore the server's messages about clients that Ctrl-C disconnected.
            await asyncio.gather(platform.stdout.read(), platform.stderr.read(), platform.wait())
            return results

    with Preloaded(*MODULES) as python:
        return asyncio.run(run_all(python))


@pytest.mark.parametrize(
    "place",
    [pytest.param(it, marks=[pytest.mark.needs_redis] if it in NEEDS_REDIS else [], id=it) for it in PROGRAMS],
)
def test_an_example_runs_and_ends_on_ctrl_c(place: str, outcomes: Mapping[str, Outcome]) -> None:
    printed, errors, code = outcomes[PROGRAMS[place]]
    assert printed, errors
    assert (code, errors) == (0, "")


def test_examples_of_tests_pass(tmp_path: Path) -> None:
    """The tests run with the settings that their page shows."""
    settings = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    for number, code in enumerate(TESTS.values()):
        (tmp_path / f"test_{number}.py").write_text(code, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = [page.parent / target for target in LINK.findall(page.read_text())]
    assert [str(target) for target in targets if not target.exists()] == []


def test_code_fits_the_pages_width() -> None:
    """In a window of 1366 pixels, a page shows 100 columns of code without scrolling."""
    assert [
        f"{place}: {line}" for place, code in EXAMPLES.items() for line in code.splitlines() if len(line) > 100
    ] == []


def test_the_examples_are_found() -> None:
    assert len(PROGRAMS) >= 20
    assert len(TESTS) >= 4
