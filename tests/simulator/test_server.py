"""The platform on a socket: real requests over loopback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from sipqueue_async.simulator import CallCentre, Plan, PlatformServer
from tests.kit.ports import taken_port
from tests.kit.raw_http import send_malformed

STATUS = "App.Sip_Queue.GetQueueSipStatus"
EXAMPLE = {"service": STATUS, "token": "ABCDEFG", "queuename": "queue-1", "extnumber": "100001", "state": "0"}
"""The request in the reference page's PHP example."""


@pytest.fixture
async def server() -> AsyncIterator[PlatformServer]:
    """Yield a server of a quiet centre that accepts the page's token."""
    async with PlatformServer(CallCentre(Plan(several_queues=0)), tokens=["ABCDEFG"]) as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Yield an HTTP client session."""
    async with aiohttp.ClientSession() as session:
        yield session


def _multipart(fields: dict[str, str], content_type: str | None = None) -> aiohttp.MultipartWriter:
    """Return a multipart body like PHP's curl for an array; parts have no content type unless one is given."""
    writer = aiohttp.MultipartWriter("form-data")
    for name, value in fields.items():
        part = writer.append(value)
        part.set_content_disposition("form-data", name=name)
        part.headers.popall("Content-Type")
        if content_type is not None:
            part.headers["Content-Type"] = content_type
    return writer


async def _send(session: aiohttp.ClientSession, url: str, **arguments: Any) -> dict[str, Any]:
    async with session.post(url, **arguments) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        answer: dict[str, Any] = await response.json()
        return answer


async def test_both_kinds_of_form_are_read(server: PlatformServer, session: aiohttp.ClientSession) -> None:
    urlencoded = await _send(session, server.url, data=EXAMPLE)
    multipart = await _send(session, server.url, data=_multipart(EXAMPLE))
    assert urlencoded == multipart
    assert [(r["queuename"], r["extnumber"]) for r in urlencoded["data"]["result"]] == [("queue-1", "100001")]
    assert server.requests_by_service == {STATUS: 2}


async def test_any_path_and_the_query_will_do(server: PlatformServer, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{server.url}/api/index.php", params=EXAMPLE) as response:
        by_query = await response.json()
    split = {name: value for name, value in EXAMPLE.items() if name != "extnumber"}
    by_both = await _send(session, f"{server.url}/api/", params={"extnumber": "100001", "token": "no"}, data=split)
    assert len(by_query["data"]["result"]) == len(by_both["data"]["result"]) == 1


async def test_of_fields_with_one_name_the_last_counts(server: PlatformServer, session: aiohttp.ClientSession) -> None:
    answer = await _send(session, server.url, data=[("token", "no"), *EXAMPLE.items()])
    assert answer["ret"] == 200


async def test_parts_of_other_types_are_text_and_files_are_no_fields(
    server: PlatformServer, session: aiohttp.ClientSession
) -> None:
    form = _multipart(EXAMPLE, "application/octet-stream")
    form.append(b"queue-2").set_content_disposition("form-data", name="queuename", filename="queue.txt")
    assert len((await _send(session, server.url, data=form))["data"]["result"]) == 1


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded; charset=utf-8", b"service=\xff"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"service=1"),
        ("multipart/form-data; boundary=x", b"no boundary at all"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\nvalue\r\n--x--\r\n"),
        ("multipart/form-data", b"--x\r\n\r\n\r\n--x--\r\n"),
        ("application/json", b'{"service": "App.Sip_Queue.GetQueueSipStatus"}'),
        ("text/plain", b""),
    ],
)
async def test_a_body_other_than_a_form_is_an_illegal_request(
    server: PlatformServer, session: aiohttp.ClientSession, content_type: str, body: bytes
) -> None:
    answer = await _send(session, server.url, data=body, headers={"Content-Type": content_type})
    assert (answer["ret"], answer["data"]) == (400, [])
    assert server.requests == 1


async def test_other_methods_are_refused(server: PlatformServer, session: aiohttp.ClientSession) -> None:
    async with session.put(server.url, data=EXAMPLE) as response:
        assert response.status == 405


async def test_the_controls_work_over_the_socket(server: PlatformServer, session: aiohttp.ClientSession) -> None:
    server.refuse(604)
    assert (await _send(session, server.url, data=EXAMPLE))["ret"] == 604
    login = {"service": "App.Sip_Auth.Login", "appid": server.appid, "accesskey": server.accesskey}
    token = (await _send(session, server.url, data=_multipart(login)))["data"]["result"]["token"]
    server.revoke_tokens()
    assert (await _send(session, server.url, data={"service": STATUS, "token": token}))["ret"] == 600


async def test_a_stop_drops_connections_and_a_start_comes_back_on_the_port() -> None:
    server = PlatformServer(CallCentre(), tokens=["ABCDEFG"])
    with pytest.raises(RuntimeError, match="no port before it is started"):
        _ = server.url
    await server.stop()
    await server.start()
    url = server.url
    async with aiohttp.ClientSession() as session:
        assert (await _send(session, url, data=EXAMPLE))["ret"] == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99"
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + form + b"\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(0.01)
        await server.stop()
        assert server.url == url
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await _send(session, url, data=EXAMPLE)
        await server.start()
        assert server.url == url
        assert (await _send(session, url, data=EXAMPLE))["ret"] == 200
        await server.stop()
    assert len(asyncio.all_tasks()) == 1


async def test_a_server_is_started_once(server: PlatformServer) -> None:
    with pytest.raises(RuntimeError, match="already started"):
        await server.start()


async def test_a_taken_port_is_told_and_leaves_nothing_behind() -> None:
    with taken_port() as port:
        server = PlatformServer(CallCentre(), port=port)
        with pytest.raises(OSError, match=str(port)):
            await server.start()
        assert repr(server) == f"<PlatformServer on 127.0.0.1 port {port}, stopped>"
    async with server:
        assert server.url == f"http://127.0.0.1:{port}"


def test_an_address_of_the_newer_kind_is_put_in_brackets() -> None:
    assert PlatformServer(CallCentre(), host="::1", port=8080).url == "http://[::1]:8080"


async def test_no_secret_shows_in_the_servers_repr(server: PlatformServer) -> None:
    assert repr(server) == f"<PlatformServer on 127.0.0.1 port {server.port}>"


async def test_malformed_requests_fill_no_log(
    server: PlatformServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    await send_malformed(URL(server.url).port or 0)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
