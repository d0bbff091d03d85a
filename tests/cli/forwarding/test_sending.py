"""One attempt, to real servers on this machine."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from sipqueue_async.cli.forwarding.answers import Answer, Outcome
from sipqueue_async.cli.forwarding.sending import MOST_READ, Sender
from tests.kit.forwarding import receiving, target
from tests.kit.http import serving
from tests.kit.waiting import PATIENCE

BODY = b'{"v":1,"event":"test"}'
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def once(url: str, **fields: Any) -> Answer:
    async with Sender(target(url, **fields)) as sender, asyncio.timeout(PATIENCE):
        return await sender.send("msg_1", BODY)


@asynccontextmanager
async def scripted(script: Script) -> AsyncGenerator[str]:
    """Serve raw bytes after the head of each request; yield the URL."""
    tasks: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await script(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/s3cr3t"
    finally:
        server.close()
        await asyncio.gather(*filter(None, tasks))


def saying(data: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return script


async def test_a_message_arrives_signed_and_the_connection_is_used_again() -> None:
    async with receiving() as receiver, Sender(target(receiver.url())) as sender:
        for number in range(3):
            assert await sender.send(f"msg_{number}", BODY) == Answer(Outcome.DELIVERED)
    assert receiver.received == [(f"msg_{number}", {"v": 1, "event": "test"}) for number in range(3)]


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as receiver:
        receiver.answer = lambda _: 307
        receiver.headers = {"Location": receiver.url("/elsewhere")}
        answer = await once(receiver.url())
    assert (answer.outcome, receiver.paths) == (Outcome.FAILED, ["/hook"])
    assert answer.reason == "it answered with the HTTP status 307, and redirects are not followed"


async def test_the_destinations_wish_is_read() -> None:
    async with receiving() as receiver:
        receiver.answer, receiver.headers = lambda _: 503, {"Retry-After": "17"}
        assert (await once(receiver.url())).retry_after == 17


class Alternating(AbstractResolver):
    """A resolver that gives one address at the first lookup and another from the second on, as in DNS rebinding."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.lookups = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.lookups += 1
        if not self.addresses:
            raise OSError(None, "no such name")
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


async def test_a_private_address_is_refused_by_name_and_by_number() -> None:
    async with receiving() as receiver:
        for url in (receiver.url(), f"http://localhost:{receiver.port}/"):
            answer = await once(url, allow_private=False)
            assert answer.outcome is Outcome.FAILED
            assert answer.reason == "its address is not public; allow_private = true in the file would permit it"
        answer = await once(f"http://127.1:{receiver.port}/", allow_private=False)
        assert answer.reason == "its URL is not valid"
    assert receiver.paths == []


async def test_rebinding_a_name_to_a_private_address_reaches_nothing() -> None:
    """Each connection's own address is checked; 127.0.0.2 stands for a public one."""
    hits: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        hits.append(request.transport.get_extra_info("sockname")[0])
        return web.Response(headers={"Connection": "close"})

    resolver = Alternating("127.0.0.2", "127.0.0.1")
    async with (
        serving(handle, host="0.0.0.0") as port,
        Sender(
            target(f"http://rebind.example:{port}/"), resolver=resolver, admits=lambda it: it == ip_address("127.0.0.2")
        ) as sender,
    ):
        assert (await sender.send("msg_1", BODY)).outcome is Outcome.DELIVERED
        # The name is looked up again once its entry has left the cache.
        assert sender._session.connector is not None
        sender._session.connector.clear_dns_cache()  # type: ignore[attr-defined]
        answers = [await sender.send("msg_2", BODY) for _ in range(3)]
    assert resolver.lookups > 1
    assert {it.reason.partition(";")[0] for it in answers} == {"its address is not public"}
    assert hits == ["127.0.0.2"]


async def test_a_receiver_that_hangs_or_is_slow_costs_one_timeout() -> None:
    async with receiving() as receiver:
        assert (await once(receiver.url("/hangs"), timeout=0.2)).reason == "it did not answer within 0.2 s"

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with scripted(trickle) as url:
        assert (await once(url, timeout=0.2)).reason == "it did not answer within 0.2 s"


async def test_a_body_that_hangs_does_not_undo_the_status() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 OK\r\nContent-Length: 9\r\n\r\n".replace(b"204", b"200"))
        await writer.drain()
        await reader.read()
        ended.set()

    async with scripted(script) as url:
        assert (await once(url)).outcome is Outcome.DELIVERED
        async with asyncio.timeout(PATIENCE):
            await ended.wait()


async def test_an_endless_body_is_cut_off() -> None:
    """The server's writes fail after what fits into the buffers of the system."""
    cut: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()
                sent += 4096
        except ConnectionError:
            cut.set_result(sent)

    async with scripted(script) as url:
        assert (await once(url)).outcome is Outcome.DELIVERED
        async with asyncio.timeout(PATIENCE):
            assert await cut >= MOST_READ


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "it closed the connection without an answer"),
        (b"HTTP/1.1 20", "it closed the connection without an answer"),
        (b"s3cr3t\r\n\r\n", "it sent an answer that is not valid HTTP"),
    ],
)
async def test_a_broken_answer_is_a_failure_and_is_not_quoted(said: bytes, reason: str) -> None:
    async with scripted(saying(said)) as url:
        assert await once(url) == Answer(Outcome.FAILED, reason)


async def test_an_unknown_certificate_is_a_failure_without_the_hosts_name() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context) as server:
        answer = await once(f"https://localhost:{server.sockets[0].getsockname()[1]}/")
    assert answer.reason == "TLS failed: its certificate is not valid for this destination"


async def test_a_server_that_cannot_be_reached_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert (await once(f"http://127.0.0.1:{port}/")).reason == "it cannot be reached: Connection refused"
    async with receiving() as receiver:
        assert (await once(receiver.url().replace("http", "https"))).reason.startswith("TLS failed: ")
    async with Sender(target("http://nowhere.example/"), resolver=Alternating()) as sender:
        assert (await sender.send("msg_1", BODY)).reason == "its name cannot be resolved"
