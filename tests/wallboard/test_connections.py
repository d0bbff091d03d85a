"""The limit of connections, and the choice of the connection to close at the limit."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from typing import Any

import aiohttp
import pytest

from sipqueue_async.simulator import Plan
from sipqueue_async.wallboard import Wallboard, connections, server
from tests.kit.wallboard_stage import KEY, Stage, wallboard_of

SMALL = Plan(agents=3)


async def silent(wallboard: Wallboard) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection and send nothing."""
    return await asyncio.open_connection("127.0.0.1", wallboard.port)


async def health(wallboard: Wallboard) -> bytes:
    """Request the health page on a new connection."""
    reader, writer = await silent(wallboard)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    return answer


async def test_idle_connections_are_closed_for_new_ones_and_streams_are_not(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "most_connections", lambda: 20)
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        async with client.get("/events", headers={"Authorization": f"Bearer {KEY}"}) as stream:
            kept = [await silent(wallboard) for _ in range(60)]
            assert b" 200 " in await health(wallboard)
            await stream.content.readuntil(b"event: board")
            async with asyncio.timeout(60):
                assert await kept[0][0].read() == b""
        for _, writer in kept:
            writer.close()
    assert capfd.readouterr() == ("", "")


async def test_a_new_connection_is_refused_when_all_others_are_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "most_connections", lambda: 4)
    stage = Stage(SMALL)
    async with wallboard_of(stage) as wallboard, aiohttp.ClientSession(wallboard.url) as client:
        wallboard._streams._most, wallboard._door._stays = 3, lambda _: True
        streams = [await client.get("/events") for _ in range(3)]
        reader, writer = await silent(wallboard)
        refused, other = await silent(wallboard)
        async with asyncio.timeout(60):
            assert await refused.read() == b""
        assert not reader.at_eof()
        for it in (writer, other):
            it.close()
        for stream in streams:
            stream.close()


async def test_a_connection_without_a_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.1)
    async with wallboard_of(Stage(SMALL), key=KEY) as wallboard:
        for sent in (b"", b"GET / HTTP/1.1\r\nHost: loc"):
            reader, writer = await silent(wallboard)
            writer.write(sent)
            async with asyncio.timeout(60):
                assert await reader.read() == b""
            writer.close()


async def test_refused_accepts_are_logged_once_and_retried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "_PAUSE", 0.01)
    loop = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, [0]

    async def fail(listener: socket.socket) -> Any:
        failures[0] += 1
        if failures[0] <= 5:
            raise OSError(errno.EMFILE, "Too many open files")
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", fail)
    async with wallboard_of(Stage(SMALL)) as wallboard:
        assert b" 200 " in await health(wallboard)
    assert [record.getMessage() for record in caplog.records] == [
        "the wallboard cannot accept a connection: Too many open files; retrying"
    ]


@pytest.mark.parametrize(("files", "most"), [(200, 150), (1_000_000, 2048), (resource.RLIM_INFINITY, 2048)])
def test_a_quarter_of_the_file_descriptors_is_left_to_the_program(
    monkeypatch: pytest.MonkeyPatch, files: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert connections.most_connections() == most
