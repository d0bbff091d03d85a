"""The examples of the page about proxies and private CAs, with a real proxy and a real private CA."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from sipqueue_async import TransportError
from sipqueue_async.simulator import CallCentre, Platform

PAGE = Path(__file__).parents[2] / "docs" / "proxy.md"
BEHIND_A_PROXY, PRIVATE_CA = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
PLATFORM = Platform(CallCentre())


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SIPQUEUE_APPID", PLATFORM.appid)
    monkeypatch.setenv("SIPQUEUE_ACCESSKEY", PLATFORM.accesskey)


def _front(asked: list[str]) -> TestServer:
    """Return a server that serves the platform at any address, like a proxy, and records the requested URLs."""

    async def handle(request: web.Request) -> web.Response:
        asked.append(str(request.url))
        fields = {name: str(value) for name, value in (await request.post()).items()}
        return web.Response(body=PLATFORM.answer(fields), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return TestServer(app)


async def _run(code: str) -> None:
    """Run an example in a thread, so that the server can answer."""
    await asyncio.to_thread(exec, compile(code, str(PAGE), "exec"), {"__name__": "__main__"})


async def test_the_proxy_of_the_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = list[str]()
    async with _front(asked) as proxy:
        monkeypatch.setenv("HTTP_PROXY", str(proxy.make_url("/")))
        monkeypatch.setenv("SIPQUEUE_URL", "http://pbx.example.com/api")
        await _run(BEHIND_A_PROXY)
    assert capsys.readouterr().out == "15 agents\n"
    assert asked == ["http://pbx.example.com/api"] * 2


@asynccontextmanager
async def _behind_a_private_ca(monkeypatch: pytest.MonkeyPatch, folder: Path) -> AsyncGenerator[str]:
    """Serve the platform with a certificate of a private CA; yield the name of the CA's file."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "company.pem")
    server = _front([])
    await server.start_server(ssl=context)
    try:
        monkeypatch.setenv("SIPQUEUE_URL", f"https://localhost:{server.port}/api")
        yield str(folder / "company.pem")
    finally:
        await server.close()


async def test_a_private_ca_is_trusted_once_the_context_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _behind_a_private_ca(monkeypatch, tmp_path) as authority:
        with pytest.raises(TransportError, match="certificate"):
            await _run(PRIVATE_CA)
        monkeypatch.setenv("COMPANY_CA", authority)
        await _run(PRIVATE_CA)
    assert capsys.readouterr().out == "15 agents\n"


async def test_the_authorities_of_the_environment_are_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _behind_a_private_ca(monkeypatch, tmp_path) as authority:
        # Use a new process, because aiohttp reads the variable during import.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BEHIND_A_PROXY),
            env={**os.environ, "SSL_CERT_FILE": authority},
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    assert printed == b"15 agents\n"
