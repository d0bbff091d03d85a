"""The client on a bad connection: too slow, broken, endless, or cancelled midway."""

from __future__ import annotations

import asyncio
import errno
import gc
import gzip
import os
import socket
import ssl
import struct
import tracemalloc
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from sipqueue_async import MalformedResponse, SipQueueClient, SipQueueError, TransportError
from sipqueue_async._text import plain_reason
from tests.kit.builders import body, record
from tests.kit.servers import Platform, RawServer, raw_answer, read_request

GOOD = raw_answer(body(record()))
Fault = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def failure(
    client: SipQueueClient, kind: type[SipQueueError] = TransportError, *, says: str = ""
) -> SipQueueError:
    """Make a fetch that must fail, and return its error."""
    with pytest.raises(kind) as failed:
        await client.fetch_snapshot()
    assert failed.value.retryable
    assert "App.Sip_Queue.GetQueueSipStatus at http" in str(failed.value)
    assert says in str(failed.value)
    return failed.value


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection with a reset instead of closing it in order."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# ---- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n", GOOD[:-400], GOOD[:-1]])
async def test_the_timeout_covers_everything(raw_server: RawServer, sent: bytes) -> None:
    """The timeout applies to the whole request, even after half the headers or half the body."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(sent)
        await asyncio.sleep(30)

    raw_server.connections = [stall]
    async with SipQueueClient(raw_server.url, "t0ken", timeout=0.1) as client:
        assert "no whole answer within 0.1 s" in str(await failure(client))


async def test_a_callers_own_timeout_is_the_callers() -> None:
    """A timeout around the call is raised unchanged, not as the client's own timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with SipQueueClient(f"http://127.0.0.1:{silent.getsockname()[1]}/", "t0ken") as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.fetch_snapshot()


class _Resolver(AbstractResolver):
    """A name server that fails in a given way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise self._error

    async def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize(
    ("error", "words"), [(OSError(None, "no such name"), "cannot be resolved"), (TimeoutError(), "TimeoutError")]
)
async def test_a_name_that_cannot_be_resolved(error: Exception, words: str) -> None:
    """If a host cannot be resolved, or not in time, the error is a TransportError that says so."""
    resolver = _Resolver(error)
    connector = aiohttp.TCPConnector(resolver=resolver)
    async with aiohttp.ClientSession(connector=connector) as session:
        client = SipQueueClient("http://platform.example/", "t0ken", session=session)
        failed = await failure(client)
    await resolver.close()
    assert words in str(failed)
    assert failed.__cause__ is not None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 9, 0, 0)"), "Connection refused"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed"), "none of its addresses answers"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"), "TLS failed"),
    ],
)
def test_reasons_are_the_systems_and_not_pythons(error: OSError, words: str) -> None:
    assert plain_reason(error) == words


# ---- a kept connection that the server closed ------------------------------------------------------------------------


async def _close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def _reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    reset(writer)


def _sending(sent: bytes) -> Fault:
    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(sent)
        await writer.drain()

    return send


def _answering_once_then(fault: Fault) -> Fault:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(GOOD)
        await fault(reader, writer)

    return answer


@pytest.mark.parametrize("fault", [_close_at_once, _reset_at_once])
async def test_a_fetch_on_a_kept_connection_is_repeated_once(raw_server: RawServer, fault: Fault) -> None:
    """If the server closes a kept connection just as the next poll uses it, the poll succeeds anyway."""
    raw_server.connections = [_answering_once_then(fault), _answering_once_then(fault), fault]
    async with SipQueueClient(raw_server.url, "t0ken") as client:
        first = await client.fetch_snapshot()
        assert raw_server.accepted == 1
        assert await client.fetch_snapshot() == first
        assert raw_server.accepted == 2
        await failure(client)
    assert raw_server.accepted == 3


@pytest.mark.parametrize("fault", [_close_at_once, _reset_at_once])
async def test_a_call_is_never_repeated(raw_server: RawServer, fault: Fault) -> None:
    """`call` may have an effect, so it is sent once, and the caller decides about a broken connection."""
    raw_server.connections = [_answering_once_then(fault), _sending(GOOD)]
    async with SipQueueClient(raw_server.url, "t0ken") as client:
        await client.call("App.Sip_Other.Do")
        with pytest.raises(TransportError):
            await client.call("App.Sip_Other.Do")
    assert raw_server.accepted == 1


async def test_a_connection_that_was_closed_meanwhile_is_not_used(raw_server: RawServer) -> None:
    """If the server closed a kept connection between two polls, the client reconnects, even for an immediate poll."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(GOOD)

    raw_server.connections = [answer]
    async with SipQueueClient(raw_server.url, "t0ken") as client:
        for polls in range(20):
            assert len(await client.fetch_snapshot()) == 1
            assert raw_server.accepted == polls + 1
            for _ in range(polls):
                await asyncio.sleep(0)


async def test_a_connection_that_never_was_is_not_repeated(raw_server: RawServer) -> None:
    """If the server breaks a new connection, the request is not repeated."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        reset(writer)

    raw_server.connections = [refuse]
    async with SipQueueClient(raw_server.url.replace("http:", "https:"), "t0ken") as client:
        assert "check the URL and that the server runs" in str(await failure(client))
    assert raw_server.accepted == 1


# ---- bodies that are too large ---------------------------------------------------------------------------------------


async def test_max_body_is_the_largest_that_is_taken(platform: Platform) -> None:
    """A body of exactly `max_body` bytes is read; one byte more raises an error that names the limit."""
    whole = body(record())
    platform.answers = [whole]
    async with SipQueueClient(platform.url, "t0ken", max_body=len(whole)) as client:
        assert len(await client.fetch_snapshot()) == 1
    async with SipQueueClient(platform.url, "t0ken", max_body=len(whole) - 1) as client:
        refused = await failure(client, MalformedResponse)
        assert f"more than {len(whole) - 1} bytes (max_body)" in str(refused)


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_bomb_is_refused_before_it_is_unpacked(
    raw_server: RawServer, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    """The limit applies to the decompressed size, and the excess is never in memory."""
    packed = pack(b" " * (64 * 2**20))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    raw_server.connections = [_sending(head + packed)]
    async with SipQueueClient(raw_server.url, "t0ken", max_body=100_000) as client:
        tracemalloc.start()
        try:
            await failure(client, MalformedResponse)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 16 * 2**20


# ---- cancelling ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def nothing_left() -> AsyncGenerator[None]:
    """Check that no task and no open file remains."""
    gc.collect()
    tasks, files = asyncio.all_tasks(), set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    yield
    await asyncio.sleep(0.1)
    gc.collect()
    assert asyncio.all_tasks() <= tasks
    assert len(os.listdir("/proc/self/fd")) <= len(files)  # noqa: PTH208


async def test_cancelling_at_any_point_leaves_nothing(raw_server: RawServer) -> None:
    """A fetch that is cancelled after any number of steps leaves no task and no socket, and the client still works."""

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for at in range(0, len(GOOD), 200):
                writer.write(GOOD[at : at + 200])
                await asyncio.sleep(0)

    raw_server.connections = [slowly]
    cancelled = finished = 0
    async with nothing_left(), SipQueueClient(raw_server.url, "t0ken") as client:
        for steps in range(80):
            fetch = asyncio.create_task(client.fetch_snapshot())
            for _ in range(steps):
                await asyncio.sleep(0)
            fetch.cancel()
            outcome: Any = (await asyncio.gather(fetch, return_exceptions=True))[0]
            if isinstance(outcome, asyncio.CancelledError):
                cancelled += 1
            else:
                assert len(outcome) == 1
                finished += 1
        assert len(await client.fetch_snapshot()) == 1
    assert cancelled > 5
    assert finished > 5


async def test_closing_ends_what_is_under_way(raw_server: RawServer) -> None:
    """Closing a client during a fetch leaves no waiting call and no open socket."""
    asked = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()

    raw_server.connections = [stall]
    async with nothing_left():
        client = SipQueueClient(raw_server.url, "t0ken")
        fetch = asyncio.create_task(client.fetch_snapshot())
        await asked.wait()
        await client.aclose()
        async with asyncio.timeout(60):
            with pytest.raises((TransportError, RuntimeError)):
                await fetch
