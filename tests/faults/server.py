"""A faulty platform on asyncio streams: answers each request as the active fault requires."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import parse_qs

import aiohttp
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from sipqueue_async import AppCredentials
from sipqueue_async.simulator.server import reset_connection

LOGIN = "App.Sip_Auth.Login"
STATUS = "App.Sip_Queue.GetQueueSipStatus"

# Contains characters that forms, JSON and HTML escape differently, because a server may quote any of these forms.
TOKEN = 'tok/EN+7"Qz<41>&kWv09mXe'
ACCESSKEY = 'acc/KEY+3"Rj<88>&bYh52nUs'

HOST_NAME = "platform.invalid"
"""The host of a "name" link. The session's resolver knows it, so no name server is ever asked."""

Link: TypeAlias = Literal["plain", "tls", "name"]
"""How a client connects: by the server's address; by TLS with a trusted authority; or by the server's name."""


def records() -> list[dict[str, Any]]:
    """Return the platform's initial records."""
    seat = {
        "queuename": "queue-1",
        "seatsname": "王小明",
        "extnumber": "100001",
        "status": 1213,
        "state": 1213,
        "lastanswertime": "2026-01-05 08:03:36",
        "lastassigntime": "2026-01-05 08:03:34",
        "seatschangetime": "2026-01-05 07:58:29",
        "noanswercount": 2,
        "callsanswered": 41,
        "externalcallscount": 3,
        "wrapuptime": 15,
        "maxnoanswer": 0,
    }
    return [
        seat,
        {**seat, "seatsname": "agent two", "extnumber": "100002", "callsanswered": 17},
        {**seat, "seatsname": "agent three", "queuename": "queue-2", "noanswercount": 5},
    ]


def records_later() -> list[dict[str, Any]]:
    """Return the records after an answered and a missed call and the joining of an agent; no agent has left."""
    first, second, third = records()
    answered = {"state": 1215, "status": 1215, "callsanswered": 18, "lastanswertime": "2026-01-05 08:10:02"}
    return [
        first,
        {**second, **answered},
        {**third, "noanswercount": 6},
        {**first, "seatsname": "agent four", "extnumber": "100003"},
    ]


def encoded(ret: int, data: object, msg: str = "") -> bytes:
    """Return an envelope as bytes; surrogates are escaped, as in PHP."""
    return json.dumps({"ret": ret, "data": data, "msg": msg}, ensure_ascii=False).encode(errors="backslashreplace")


class Exchange:
    """One request, and the methods to answer it correctly or not."""

    def __init__(self, server: FaultServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.service = ""
        self.quote = ""
        """The request's body, including secrets, for servers that quote requests."""
        self.number = 0
        """The number of the request since the fault began, from 1."""
        self.over = False
        """Whether the connection is unusable."""

    async def read(self) -> None:
        """Read the request.

        Raises:
            ConnectionError: The request is not HTTP; the client has received an error.
        """
        start = await self.reader.readexactly(5)
        if start != b"POST ":
            await self.answer(b"not HTTP", "Connection: close", status="400 Bad Request")
            raise ConnectionError
        head = "POST " + (await self.reader.readuntil(b"\r\n\r\n")).decode()
        self.server.paths.append(head.split()[1])
        (length,) = (line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("content-length"))
        self.quote = (await self.reader.readexactly(int(length))).decode()
        (self.service,) = parse_qs(self.quote)["service"]

    @property
    def good(self) -> bytes:
        """The body of a platform without faults."""
        return self.server.good_body(self.service)

    async def send(self, *pieces: bytes) -> None:
        """Send bytes unchanged."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """Send a complete answer in correct HTTP."""
        await self.send(self.head(len(body), *headers, status=status) + body)

    @staticmethod
    def head(length: int | None, *headers: str, status: str = "200 OK") -> bytes:
        """Return the status line and the headers."""
        lengths = () if length is None else (f"Content-Length: {length}",)
        content_type = (
            () if any(it.startswith("Content-Type") for it in headers) else ("Content-Type: application/json",)
        )
        return "\r\n".join([f"HTTP/1.1 {status}", *content_type, *lengths, *headers, "", ""]).encode()

    async def silence(self) -> None:
        """Send nothing more until the client disconnects."""
        await self.reader.read()
        self.over = True

    def close(self) -> None:
        """Close the connection in order."""
        self.over = True

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        self.over = True
        reset_connection(self.writer.transport)


Behaviour: TypeAlias = Callable[[Exchange], Awaitable[None]]
"""The server's reaction to a request."""


async def sound(exchange: Exchange) -> None:
    """Answer like a platform without faults."""
    await exchange.answer(exchange.good)


class Names(AbstractResolver):
    """Stands in for a name server: it knows the one host, or reports that a name does not exist."""

    def __init__(self) -> None:
        self.known = True

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the server's address."""
        if not self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """There is nothing to close."""


class FaultServer:
    """The platform, initially without faults, on a port of 127.0.0.1 that stays reserved while it does not listen."""

    def __init__(self, link: Link = "plain", encoding: str = "utf-8") -> None:
        self.link = link
        self.encoding = encoding
        self.records = records()
        self.clock = 1_767_600_000
        """The platform's clock in Unix seconds; each answer advances it by a second."""
        self.names = Names()
        self.paths: list[str] = []
        """The path of each request."""
        self.logins = 0
        self.refuses_token = False
        """Whether the token has expired; a login makes it valid again."""
        self._fault: Behaviour | None = None
        self._faulty_service = STATUS
        self._faulty_requests = 0
        self._answering = 0
        self._greeting: Callable[[Exchange], None] | None = None
        self._sound_certificate = "good" if link == "tls" else None
        self._certificate = self._sound_certificate
        self._hold = _bound(0)
        self._port: int = self._hold.getsockname()[1]
        self._listener: asyncio.Server | None = None
        self._blocked: list[socket.socket] = []
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._outcomes: list[BaseException | None] = []

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        self._hold.close()
        assert not any(self._outcomes), f"the server itself is broken: {self._outcomes}"

    # ---- addresses and sessions --------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The URL of the API."""
        scheme = "https" if self.link == "tls" else "http"
        return f"{scheme}://{HOST_NAME if self.link == 'name' else '127.0.0.1'}:{self._port}/"

    @property
    def port(self) -> int:
        return self._port

    def session(self) -> aiohttp.ClientSession | None:
        """Return the session that the link needs, or None for a client's own session."""
        if self.link == "plain":
            return None
        trust = ssl.create_default_context(cadata=_authority().cert_pem.bytes().decode())
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=self.names, use_dns_cache=False, ssl=trust),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    # ---- faults ------------------------------------------------------------------------------------------------------

    def answer_with(self, behaviour: Behaviour, service: str = STATUS) -> None:
        """From now on, answer requests for a service with this behaviour."""
        self._fault, self._faulty_service, self._faulty_requests = behaviour, service, 0

    def move_fault(self, service: str) -> None:
        """Move the fault to requests for another service."""
        self._faulty_service = service

    def greet_with(self, greeting: Callable[[Exchange], None]) -> None:
        """From now on, treat new connections with this behaviour before reading anything."""
        self.hang_up()
        self._greeting = greeting

    async def refuse(self) -> None:
        """Stop listening, so that connections are refused."""
        for blocked in self._blocked:
            blocked.close()
        self._blocked.clear()
        if self._listener is not None:
            self._listener.close()
        self.hang_up()
        tasks = list(self._connections)
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.wait_closed()
        self._listener = None

    async def swallow(self) -> None:
        """Leave every attempt to connect without an answer, like a firewall that drops packets."""
        await self.refuse()
        listener = _bound(self._port)
        listener.listen(0)
        self._blocked.append(listener)
        # The kernel drops new connections while the queue of unaccepted ones is full.
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(("127.0.0.1", self._port))
            self._blocked.append(filler)

    async def show(self, certificate: str | None) -> None:
        """Use this certificate for new connections, or no TLS at all."""
        await self.refuse()
        self._certificate = certificate
        await self._listen()

    async def forget_name(self) -> None:
        """Stop resolving the host's name."""
        self.hang_up()
        self.names.known = False

    def hang_up(self) -> None:
        """Close all open connections."""
        for task, writer in self._connections.items():
            task.cancel()
            writer.transport.abort()

    async def mend(self) -> None:
        """Remove all faults, for new and existing connections."""
        self._fault = self._greeting = None
        self.names.known = True
        if self._listener is None or self._certificate != self._sound_certificate:
            await self.show(self._sound_certificate)

    async def idle(self) -> None:
        """Wait until all answers to the received requests have been sent."""
        while self._answering:
            await asyncio.sleep(0.001)

    # ---- answering ---------------------------------------------------------------------------------------------------

    def good_body(self, service: str) -> bytes:
        """Return the answer of a platform without faults."""
        if service == LOGIN:
            result: object = {"token": TOKEN, "companyname": "公司"}
        elif self.refuses_token:
            return encoded(600, [], "token invalid")
        else:
            result = self.records
        return self.good_envelope(result).decode().encode(self.encoding)

    def good_envelope(self, result: object) -> bytes:
        """Return a successful answer with any result."""
        clock = {"reqtime": self.clock, "rsptime": self.clock}
        return encoded(200, {"status": 0, "desc": "get success", "result": result, **clock})

    async def _listen(self) -> None:
        context = None if self._certificate is None else _context(self._certificate)
        self._listener = await asyncio.start_server(self._accept, sock=_bound(self._port), ssl=context, limit=2**20)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        self._outcomes.append(None if task.cancelled() else task.exception())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._serve_once(Exchange(self, reader, writer)):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _serve_once(self, exchange: Exchange) -> bool:
        """Serve one request, and return whether the connection can serve another one."""
        if self._greeting is not None:
            self._greeting(exchange)
            return False
        await exchange.read()
        self.clock += 1
        behaviour: Behaviour = sound
        if self._fault is not None and exchange.service == self._faulty_service:
            self._faulty_requests += 1
            exchange.number = self._faulty_requests
            behaviour = self._fault
        if exchange.service == LOGIN and behaviour is sound:
            self.logins += 1
            self.refuses_token = False
        self._answering += 1
        try:
            await behaviour(exchange)
        finally:
            self._answering -= 1
        return not exchange.over


def credentials() -> AppCredentials:
    """Return the credentials that a login accepts."""
    return AppCredentials("fault-matrix", ACCESSKEY)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def _context(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority = _authority()
    if certificate == "self-signed":
        # trustme makes only self-signed certificates of authorities, so serve the certificate of an unknown authority.
        stranger = trustme.CA()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "both.pem")
            path.write_bytes(stranger.private_key_pem.bytes() + stranger.cert_pem.bytes())
            context.load_cert_chain(path)
        return context
    host = "elsewhere.invalid" if certificate == "other host" else "127.0.0.1"
    ends = datetime(2020, 1, 1, tzinfo=UTC) if certificate == "expired" else None
    begins = datetime(2019, 1, 1, tzinfo=UTC) if certificate == "expired" else None
    authority.issue_cert(host, not_before=begins, not_after=ends).configure_cert(context)
    return context
