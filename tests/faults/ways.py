"""`Fault`, and the functions that make a server faulty: the vocabulary of the catalogue."""

from __future__ import annotations

import asyncio
import html
import zlib
from collections.abc import Awaitable, Callable
from functools import cache
from itertools import repeat
from typing import Any, Literal

import attrs

from sipqueue_async import SipQueueError
from tests.faults.server import LOGIN, Behaviour, Exchange, FaultServer, Link, encoded, records

COUNTERS = ("callsanswered", "noanswercount")
"""The counters of calls, with the platform's names."""
HANG_TIMEOUT = 0.25
"""The client's timeout in seconds for a fault that nothing else ends."""
OVERDUE = "no whole answer within 0.25 s: the server is slow, silent or out of reach"
"""The text of a call's error after that timeout."""
TIMEOUT = 60.0
"""The client's timeout for all other faults: long enough that even a busy machine never reaches it."""

Start = Callable[[FaultServer], Awaitable[None]]


@attrs.frozen(kw_only=True)
class Fault:
    """One fault, and the promised reactions to it."""

    name: str
    server: str
    """Human-readable description of the scripted server behaviour."""
    start: Start
    """Causes the fault on a working server."""
    error: type[SipQueueError] | None = None
    """The error of a call; None for a good snapshot."""
    says: str = ""
    """A part of the error's text."""
    retryable: bool = True
    """Whether the error is retryable, and so whether the watcher continues."""
    wrong_url: bool = False
    """Whether the error means that the server is not the API. A watcher that has had a good answer continues."""
    shows: Literal["everyone", "nobody"] = "everyone"
    """The agents in a good snapshot."""
    loses: str | None = None
    """The field of the first record that is missing in a good snapshot and listed in its problems."""
    blank_counters: Literal["first", "all"] | None = None
    """The records whose counters a good snapshot lists in its problems: the first one, or all."""
    hangs: bool = False
    """Whether only the timeout ends the request."""
    leaves_bytes: bool = False
    """Whether the first poll after the fault may read bytes that the fault left in the connection."""
    polls: int = 3
    """The number of a watcher's polls for which the fault lasts."""
    pause: float = 0.0
    """The pause that the server requests, in seconds."""
    stale: int = 0
    """The number of those polls that a watcher drops as stale."""
    link: Link = "plain"
    logs_in: bool = False
    """Whether the client has credentials instead of a ready token."""
    encoding: str | None = None
    """The encoding of all the server's answers, which the client is told."""

    @property
    def goes_on(self) -> bool:
        """Whether a watcher survives the fault."""
        return self.error is None or self.retryable or self.wrong_url

    @property
    def timeout(self) -> float:
        """The client's timeout in seconds."""
        return HANG_TIMEOUT if self.hangs else TIMEOUT


# ---- ways to start -----------------------------------------------------------------------------------------------


def answering(behaviour: Behaviour) -> Start:
    """Answer status requests with this behaviour."""

    async def start(server: FaultServer) -> None:
        server.answer_with(behaviour)

    return start


def at_login(behaviour: Behaviour) -> Start:
    """Let the token expire, and answer logins with this behaviour."""

    async def start(server: FaultServer) -> None:
        server.refuses_token = True
        server.answer_with(behaviour, LOGIN)

    return start


def showing(certificate: str | None) -> Start:
    """Use this certificate, or no TLS."""

    async def start(server: FaultServer) -> None:
        await server.show(certificate)

    return start


def changing_all(change: Callable[[list[dict[str, Any]]], object]) -> Start:
    """Answer with the result of a change to the records; it may have any type."""
    return answering(lambda exchange: exchange.answer(exchange.server.good_envelope(change(records()))))


def instead(result: object) -> Callable[[list[dict[str, Any]]], object]:
    """Return a change that replaces the records."""
    return lambda _: result


def changing(**fields: Any) -> Start:
    """Answer with other fields in the first record; `...` omits a field."""
    given = {name: value for name, value in fields.items() if value is not ...}

    def change(all_records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = {name: value for name, value in all_records[0].items() if name not in fields}
        return [{**first, **given}, *all_records[1:]]

    return changing_all(change)


def without_counters(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record without its counters of calls."""
    return {name: value for name, value in record.items() if name not in COUNTERS}


def spelling(old: bytes, new: bytes) -> Start:
    """Answer with another notation of the first record, one that no JSON library writes."""

    async def behaviour(exchange: Exchange) -> None:
        assert old in exchange.good or exchange.service == LOGIN
        await exchange.answer(exchange.good.replace(old, new, 1))

    return answering(behaviour)


def counting(spelt: bytes) -> Start:
    """Answer with this notation of the first record's counter of calls."""
    return spelling(b'"callsanswered": 41', b'"callsanswered": ' + spelt)


# ---- behaviours --------------------------------------------------------------------------------------------------


def body(make: Callable[[Exchange], bytes], *headers: str, status: str = "200 OK") -> Behaviour:
    """Answer with this body in correct HTTP."""
    return lambda exchange: exchange.answer(make(exchange), *headers, status=status)


def page(exchange: Exchange) -> bytes:
    """Return a proxy's error page, which quotes the request."""
    return f"<html><body><h1>Sorry</h1><p>We could not do {html.escape(exchange.quote)}</p></body></html>".encode()


def status(code: int, phrase: str, *headers: str) -> Behaviour:
    """Answer with an HTTP status and an error page."""
    return body(page, "Content-Type: text/html", *headers, status=f"{code} {phrase}")


def redirect(code: int, phrase: str) -> Behaviour:
    """Redirect the client to another host, with the request in the URL."""

    async def behaviour(exchange: Exchange) -> None:
        elsewhere = f"Location: http://localhost:{exchange.server.port}/elsewhere?{exchange.quote}"
        await exchange.answer(page(exchange), elsewhere, status=f"{code} {phrase}")

    return behaviour


def ret(code: int) -> Behaviour:
    """Refuse the request, and quote it."""
    return body(lambda exchange: encoded(code, [], f"not possible: {exchange.quote}"))


def failed(code: str | None) -> Behaviour:
    """Report that the operation failed, and quote the request."""

    def make(exchange: Exchange) -> bytes:
        errors = [] if code is None else {"code": code, "codemsg": f"not possible: {exchange.quote}"}
        return encoded(200, {"status": 1, "desc": "failed", "errors": errors})

    return body(make)


def then(ending: Callable[[Exchange], object], *pieces: Callable[[Exchange], bytes]) -> Behaviour:
    """Send these bytes unchanged, then end the connection in some way."""

    async def behaviour(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.send(piece(exchange))
            # Each piece must arrive separately.
            await asyncio.sleep(0.01)
        ended = ending(exchange)
        await (ended if isinstance(ended, Awaitable) else asyncio.sleep(0))

    return behaviour


def raw(piece: bytes) -> Callable[[Exchange], bytes]:
    """Return a function that sends these bytes."""
    return lambda _: piece


def whole_head(exchange: Exchange) -> bytes:
    """Return the headers of a good answer."""
    return exchange.head(len(exchange.good))


def half_body(exchange: Exchange) -> bytes:
    """Return the first half of a good answer's body."""
    return exchange.good[: len(exchange.good) // 2]


def other_half(exchange: Exchange) -> bytes:
    """Return the second half of a good answer's body."""
    return exchange.good[len(exchange.good) // 2 :]


def whole_body(exchange: Exchange) -> bytes:
    """Return a good answer's body."""
    return exchange.good


def whole_answer(exchange: Exchange) -> bytes:
    """Return a good answer."""
    return whole_head(exchange) + exchange.good


def old_answer(exchange: Exchange) -> bytes:
    """Return an answer of the day before, when the counters were different."""
    yesterday = [{**it, "callsanswered": 7, "noanswercount": 1, "state": 1201} for it in records()[:2]]
    stamp = exchange.server.clock - 86_400
    data = {"status": 0, "desc": "", "result": yesterday, "reqtime": stamp, "rsptime": stamp}
    content = encoded(200, data)
    return exchange.head(len(content)) + content


def head_of(length: int | None, *headers: str, status: str = "200 OK") -> Callable[[Exchange], bytes]:
    """Return a function that sends these headers."""
    return lambda exchange: exchange.head(length, *headers, status=status)


def chunk(piece: bytes) -> bytes:
    """Return a chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


CHUNKED = head_of(None, "Transfer-Encoding: chunked")
GZIPPED = "Content-Encoding: gzip"


def keep(exchange: Exchange) -> None:
    """Keep the connection open for the next request."""


def broken(packed: bytes) -> bytes:
    """Return compressed bytes with a wrong byte in the middle."""
    middle = len(packed) // 2
    return packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1 :]


def no_token(exchange: Exchange) -> bytes:
    """Return a login's answer without a token, which quotes the request."""
    return exchange.server.good_envelope({"companyname": exchange.quote})


async def byte_by_byte(exchange: Exchange) -> None:
    """Send a good answer so slowly that it never ends, but without a pause as long as the timeout."""
    answer = iter(whole_answer(exchange))
    while True:
        await exchange.send(bytes([next(answer)]))
        await asyncio.sleep(HANG_TIMEOUT / 8)


async def interim_for_ever(exchange: Exchange) -> None:
    """Keep announcing the answer with interim responses."""
    while True:
        await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.01)


async def headers_for_ever(exchange: Exchange) -> None:
    """Keep sending headers."""
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await exchange.send(b"X-More: to come\r\n" * 50)


async def gigabyte(exchange: Exchange) -> None:
    """Send a body of 1 GB, generated on the way."""
    await exchange.send(exchange.head(2**30))
    pieces = repeat(bytes(2**18), 2**12)
    while True:
        await exchange.send(next(pieces))


@cache
def packed_megabyte() -> tuple[bytes, bytes]:
    """Return the start of a gzip stream, and a piece that decompresses to 1 MB each time it is repeated."""
    packer = zlib.compressobj(wbits=31)
    start = packer.flush(zlib.Z_FULL_FLUSH)
    return start, packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)


async def gzip_bomb(exchange: Exchange) -> None:
    """Send a small body that decompresses to 1 GB."""
    start, megabyte = packed_megabyte()
    await exchange.send(exchange.head(None, GZIPPED, "Connection: close"), start, megabyte * 1024)
    exchange.close()


def clock_back(seconds: int) -> Start:
    """Set the platform's clock back; it continues from there."""

    async def start(server: FaultServer) -> None:
        server.clock -= seconds

    return start


async def in_turn(exchange: Exchange) -> None:
    """Answer every other request with yesterday's answer, like a balancer with a lagging back end."""
    await exchange.send(old_answer(exchange) if exchange.number % 2 == 0 else whole_answer(exchange))


async def reset_at_once(server: FaultServer) -> None:
    """Reset connections before reading anything."""
    server.greet_with(Exchange.reset)


async def refuse_token_once(exchange: Exchange) -> None:
    """Let the token expire once."""
    exchange.server.refuses_token = exchange.number == 1
    await exchange.answer(exchange.good)


NESTED = "[" * 1_000_000 + "]" * 1_000_000
NOTICE = b"<br />\n<b>Notice</b>:  Undefined index: seat in <b>/srv/www/Queue.php</b> on line <b>213</b><br />\n"
LOST_NAME = "王小".encode()[:-1]
GBK_NAME = "王小明".encode("gbk")
NAME = "王小明".encode()
