"""The page about webhooks: its file is valid, and its receiver verifies what the command sends."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from sipqueue_async.cli.commands.forward import try_out
from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.forwarding.destinations import read_webhooks, targets_of
from sipqueue_async.cli.forwarding.signature import Signer
from tests.kit.cli import Paper
from tests.kit.forwarding import SECRET, target
from tests.kit.waiting import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs" / "forward.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the page's only code in a language."""
    (code,) = re.findall(rf"^```{re.escape(language)}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(code)


def test_the_documented_file_is_valid(tmp_path: Path) -> None:
    (tmp_path / "forward.toml").write_text(block("toml"), encoding="utf-8")
    (tmp_path / "board.secret").write_text(SECRET, encoding="utf-8")
    webhooks = read_webhooks(tmp_path / "forward.toml")
    targets = targets_of(webhooks, {"CRM_SECRET": SECRET, "BOARD_URL": "http://board:8080/"})
    assert [it.name for it in targets] == ["crm", "board"]


def test_the_documented_command_makes_a_valid_secret() -> None:
    (program,) = re.findall(r"python3 -c '(.*?)'", PAGE, re.DOTALL)
    printed: list[str] = []
    exec(program, {"print": printed.append})
    assert Signer(printed[0]).headers("msg_1", 1, b"")


@pytest.mark.one_python
async def test_the_documented_receiver_accepts_signed_events_only(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = block("{code-block} python")
    assert max(map(len, code.splitlines())) <= 100
    (tmp_path / "receiver.py").write_text(code.replace("8080", str(port)), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tmp_path / "receiver.py"),
        env=os.environ | {"CRM_SECRET": SECRET, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    url = f"http://127.0.0.1:{port}/hooks/queues"
    forged = target(url)
    try:
        async with asyncio.timeout(PATIENCE):
            assert b"Running on" in await process.stdout.readline()
            assert b"CTRL+C" in await process.stdout.readline()
            await try_out([target(url)], Paper().output())
            assert (await process.stdout.readline()).split()[1:] == [b"test", b"None"]
            forged = type(forged)(webhook=forged.webhook, url=forged.url, signer=Signer("whsec_" + "A" * 32))
            with pytest.raises(Failure, match="not delivered to 'crm'"):
                await try_out([forged], Paper().output())
    finally:
        process.kill()
        await process.communicate()
