"""`PushServer` and the aiohttp handler, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sipqueue_async import StatusWatcher
from sipqueue_async.push import PushReceiver, PushServer
from tests.kit.builders import ScriptedSource, agent, snapshot
from tests.kit.raw_http import send_malformed
from tests.kit.waiting import until

PATH = "a-path-that-nobody-guesses"
PUSH = b'{"type": "call", "caller": "02079460123"}'


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[tuple[PushServer, PushReceiver, StatusWatcher]]:
    """Yield a server of pushes for a watcher that has polled once."""
    source = ScriptedSource([snapshot(agent()), snapshot(agent(state="talking"))])
    async with StatusWatcher(source, interval=600) as watcher:
        await watcher.ready()
        limits = {name: options.pop(name) for name in ("timeout", "max_connections") if name in options}
        async with PushReceiver(watcher, **options) as receiver, PushServer(receiver, path=PATH, **limits) as server:
            yield server, receiver, watcher


async def _ask(server: PushServer, path: str = PATH, method: str = "POST", **request: Any) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{server.port}/{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, **request) as response:
        return response.status, await response.read()


async def test_a_push_over_http_is_answered_as_the_platform_expects(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving() as (server, receiver, watcher):
            assert await _ask(server, data=PUSH) == (200, b"1")
            await until(lambda: receiver.health.useful)
            assert watcher.health.polls == 2
    assert "02079460123" not in caplog.text
    assert PATH not in caplog.text


async def test_malformed_requests_fill_no_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving() as (server, _, _):
        await send_malformed(server.port)
    assert [it for it in caplog.records if it.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"path": "other"}, 404),
        ({"path": f"{PATH}/more"}, 404),
        ({"method": "GET"}, 404),
        ({"data": b"x"}, 400),
        ({"data": b"[" + PUSH * 4000}, 413),
    ],
    ids=str,
)
async def test_every_other_request_is_answered_with_nothing(request_: dict[str, Any], status: int) -> None:
    async with serving() as (server, _, watcher):
        assert await _ask(server, **{"data": PUSH, **request_}) == (status, b"")
        assert watcher.health.polls == 1


async def test_an_allow_list() -> None:
    async with serving(allow=["192.0.2.7"]) as (server, _, _watcher):
        assert await _ask(server, data=PUSH) == (403, b"")
    async with serving(allow=["127.0.0.0/8"]) as (server, _, _watcher):
        assert await _ask(server, data=PUSH) == (200, b"1")


async def test_a_path_that_can_be_guessed_is_refused() -> None:
    receiver = PushReceiver(StatusWatcher(ScriptedSource([snapshot()])))
    with pytest.raises(ValueError, match="the path must have at least 16 characters"):
        PushServer(receiver, path="/short/")
    assert repr(PushServer(receiver, path=PATH, port=80)) == "<PushServer on 127.0.0.1 port 80, stopped>"


async def test_a_taken_port_is_an_error_and_leaves_nothing_behind() -> None:
    async with serving() as (server, receiver, _):
        assert repr(server) == f"<PushServer on 127.0.0.1 port {server.port}>"
        second = PushServer(receiver, path=PATH, port=server.port)
        with pytest.raises(OSError, match="address already in use"):
            await second.__aenter__()
        assert repr(second).endswith("stopped>")


async def test_pushes_at_the_same_time_are_all_taken() -> None:
    async with serving() as (server, receiver, watcher):
        assert await asyncio.gather(*(_ask(server, data=PUSH) for _ in range(20))) == [(200, b"1")] * 20
        await until(lambda: receiver.health.polls)
        assert receiver.health.taken == 20
        assert watcher.health.polls <= 3


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"timeout": 0}, "timeout must be above 0 seconds, not 0"),
        ({"max_connections": 0}, "max_connections must be at least 1, not 0"),
    ],
)
async def test_an_invalid_limit_is_named(limits: dict[str, Any], text: str) -> None:
    receiver = PushReceiver(StatusWatcher(ScriptedSource([snapshot()])))
    with pytest.raises(ValueError, match=text):
        PushServer(receiver, path=PATH, **limits)


async def test_a_connection_serves_one_request() -> None:
    async with serving() as (server, _, _watcher):
        request = f"POST /{PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(PUSH)}\r\n\r\n".encode() + PUSH
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"\r\n\r\n1")
        writer.close()


async def test_a_compressed_body_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (server, _, _watcher):
        compressed = gzip.compress(PUSH)
        assert await _ask(server, data=compressed, headers={"Content-Encoding": "gzip"}) == (400, b"")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_body_that_a_server_cannot_decompress_is_refused() -> None:
    async with PushReceiver(StatusWatcher(ScriptedSource([snapshot()]))) as receiver:
        app = web.Application()
        app.router.add_post("/push", receiver.aiohttp_handler)
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            sent = session.post(server.make_url("/push"), data=PUSH, headers={"Content-Encoding": "gzip"})
            async with sent as response:
                assert response.status == 400


async def _drip(server: PushServer, begun: bytes, drop: bytes) -> bytes:
    """Send the beginning of a request, and then for ever the same bytes; return what was answered until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(begun)
    answer = asyncio.create_task(reader.read())
    while not answer.done():
        writer.write(drop)
        await asyncio.wait([answer], timeout=0.02)
    writer.close()
    try:
        return answer.result()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    ("begun", "drop"),
    [
        (b"", b""),
        (f"POST /{PATH} HTTP/1.1\r\nX: ".encode(), b"a"),
        (f"POST /{PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n".encode(), b"["),
        (f"POST /{PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), b"1\r\n[\r\n"),
        (b"POST /other-path HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", b"["),
    ],
    ids=["silent", "headers", "body", "chunks", "another path"],
)
async def test_a_slow_request_is_closed_in_time(begun: bytes, drop: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(timeout=0.3) as (server, receiver, _watcher):
        answers = await asyncio.gather(*(_drip(server, begun, drop) for _ in range(3)))
        assert b"200 OK" not in b"".join(answers)
        assert await _ask(server, data=PUSH) == (200, b"1")
        assert receiver.health.taken == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_new_connection_closes_the_oldest_of_too_many() -> None:
    """Slow senders cannot keep the platform out."""
    async with serving(max_connections=5) as (server, _, _watcher):
        slow = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        for _ in range(3):
            assert await _ask(server, data=PUSH) == (200, b"1")
        ends = [asyncio.create_task(_end(reader)) for reader, _ in slow]
        await until(lambda: sum(end.done() for end in ends) >= 15)
        await asyncio.wait(ends[:15])
        for _, writer in slow:
            writer.close()
    await asyncio.wait(ends)


async def _end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
