"""The examples of the page about proxies and private CAs, where there is a proxy, and a private CA."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import sys
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from sipqueue_async.simulator import CallCentre, Platform
from tests.kit.builders import without_slowness

pytestmark = pytest.mark.one_python

PAGE = Path(__file__).parents[2] / "docs" / "proxy.md"
BEHIND_A_PROXY, PRIVATE_CA = re.findall(
    r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def _front(platform: Platform, asked: list[str]) -> TestServer:
    """Return a server that shows a platform at any address, as a proxy does, and notes what it was asked for."""

    async def handle(request: web.Request) -> web.Response:
        asked.append(str(request.url))
        fields = {name: str(value) for name, value in (await request.post()).items()}
        return web.Response(body=platform.answer(fields), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return TestServer(app)


async def _run(code: str, variables: dict[str, str]) -> tuple[str, str]:
    """Run an example that asks the platform in the variables; return what it printed and what it complained of."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-W", "error", "-c", code),
        env={**kept, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        printed, complaints = await process.communicate()
    return printed.decode(), without_slowness(complaints.decode())


def _credentials(platform: Platform) -> dict[str, str]:
    return {"SIPQUEUE_APPID": platform.appid, "SIPQUEUE_ACCESSKEY": platform.accesskey}


async def test_the_proxy_of_the_environment_is_asked() -> None:
    """The page's session goes past the proxy."""
    platform, asked = Platform(CallCentre()), list[str]()
    async with _front(platform, asked) as proxy:
        variables = {"HTTP_PROXY": str(proxy.make_url("/")), "SIPQUEUE_URL": "http://pbx.example.com/api"}
        printed, complaints = await _run(BEHIND_A_PROXY, variables | _credentials(platform))
    assert (printed, complaints) == ("15 agents\n", "")
    assert asked == ["http://pbx.example.com/api"] * 2


@pytest.mark.parametrize(
    ("code", "variable"), [(PRIVATE_CA, "COMPANY_CA"), (PRIVATE_CA, None), (BEHIND_A_PROXY, "SSL_CERT_FILE")]
)
async def test_a_private_ca_is_trusted_once_it_is_named(tmp_path: Path, code: str, variable: str | None) -> None:
    """The page's context refuses the company's certificate, or trusts anybody's."""
    platform, asked = Platform(CallCentre()), list[str]()
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    server = _front(platform, asked)
    await server.start_server(ssl=context)
    try:
        variables = {"SIPQUEUE_URL": f"https://localhost:{server.port}/api"}
        named = {} if variable is None else {variable: str(tmp_path / "company.pem")}
        printed, complaints = await _run(code, variables | named | _credentials(platform))
    finally:
        await server.close()
    assert printed == ("" if variable is None else "15 agents\n")
    assert ("certificate" in complaints) is (variable is None)
