"""The fault matrix as data: what a network, a proxy or a platform does wrong, and what the library makes of it."""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import zlib
from collections.abc import Awaitable, Callable
from functools import cache
from itertools import repeat
from typing import Any, Literal

import attrs
from fault_server import (
    LOGIN,
    Behaviour,
    Exchange,
    FaultServer,
    Link,
    encoded,
    records,
    sound,
)

from sipqueue_async import (
    ApiError,
    AuthError,
    HttpStatusError,
    MalformedResponse,
    OperationFailed,
    SipQueueError,
    TransportError,
)

HANG_TIMEOUT = 0.3
"""The client's timeout for a fault that only the timeout ends, in seconds."""
TIMEOUT = 10.0
"""The client's timeout for all others, which must not need it."""

Start = Callable[[FaultServer], Awaitable[None]]


@attrs.frozen(kw_only=True)
class Fault:
    """One fault, and what is promised of it."""

    name: str
    server: str
    """What the server does, in words."""
    start: Start
    """Makes a sound server do it."""
    error: type[SipQueueError] | None = None
    """What a call raises; None for a good snapshot."""
    says: str = ""
    """A piece of the error's text."""
    retryable: bool = True
    """Whether the error is, and so whether the watcher goes on."""
    shows: Literal["everyone", "nobody"] = "everyone"
    """Who is in a good snapshot."""
    loses: str | None = None
    """The field of the first record that a good snapshot does not know and lists in its problems."""
    hangs: bool = False
    """Whether nothing but the timeout ends it."""
    polls: int = 3
    """How many of a watcher's polls it lasts for."""
    pause: float = 0.0
    """For how long the server asks to be left alone, in seconds."""
    stale: int = 0
    """How many of those polls a watcher drops for their age."""
    link: Link = "plain"
    logs_in: bool = False
    """Whether the client has credentials, instead of a ready token."""
    encoding: str | None = None
    """In what the server writes all its life, and the client has been told so."""

    @property
    def goes_on(self) -> bool:
        """Whether a watcher outlives it."""
        return self.error is None or self.retryable

    @property
    def timeout(self) -> float:
        """The client's timeout for it, in seconds."""
        return HANG_TIMEOUT if self.hangs else TIMEOUT


# ---- ways to start -----------------------------------------------------------------------------------------------


def answering(behaviour: Behaviour) -> Start:
    """Answer requests for the agents' status like this."""

    async def start(server: FaultServer) -> None:
        server.answer_with(behaviour)

    return start


def at_login(behaviour: Behaviour) -> Start:
    """Let the token die, and answer logins like this."""

    async def start(server: FaultServer) -> None:
        server.refuses_token = True
        server.answer_with(behaviour, LOGIN)

    return start


def showing(certificate: str | None) -> Start:
    """Show this certificate."""

    async def start(server: FaultServer) -> None:
        await server.show(certificate)

    return start


def changing_all(change: Callable[[list[dict[str, Any]]], object]) -> Start:
    """Answer with other records, whatever they are of."""
    return answering(lambda exchange: exchange.answer(exchange.server.good_envelope(change(records()))))


def instead(result: object) -> Callable[[list[dict[str, Any]]], object]:
    """Take this for the records."""
    return lambda _: result


def changing(**fields: Any) -> Start:
    """Answer with other fields in the first record; None for one that is left out."""
    given = {name: value for name, value in fields.items() if value is not ...}

    def change(all_records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = {name: value for name, value in all_records[0].items() if name not in fields}
        return [{**first, **given}, *all_records[1:]]

    return changing_all(change)


def spelling(old: bytes, new: bytes) -> Start:
    """Answer with another spelling of the first record, such as no JSON library writes."""

    async def behaviour(exchange: Exchange) -> None:
        assert old in exchange.good or exchange.service == LOGIN
        await exchange.answer(exchange.good.replace(old, new, 1))

    return answering(behaviour)


def counting(spelt: bytes) -> Start:
    """Answer with this for the first record's counter of calls."""
    return spelling(b'"callsanswered": 41', b'"callsanswered": ' + spelt)


# ---- behaviours --------------------------------------------------------------------------------------------------


def body(make: Callable[[Exchange], bytes], *headers: str, status: str = "200 OK") -> Behaviour:
    """Answer with this body, correct as HTTP."""
    return lambda exchange: exchange.answer(make(exchange), *headers, status=status)


def page(exchange: Exchange) -> bytes:
    """Return a proxy's page, which quotes the request."""
    return f"<html><body><h1>Sorry</h1><p>We could not do {html.escape(exchange.quote)}</p></body></html>".encode()


def status(code: int, phrase: str, *headers: str) -> Behaviour:
    """Answer with an HTTP status, and a page."""
    return body(page, "Content-Type: text/html", *headers, status=f"{code} {phrase}")


def redirect(code: int, phrase: str) -> Behaviour:
    """Send the client to another host, with the request in the address."""

    async def behaviour(exchange: Exchange) -> None:
        elsewhere = f"Location: http://localhost:{exchange.server.port}/elsewhere?{exchange.quote}"
        await exchange.answer(page(exchange), elsewhere, status=f"{code} {phrase}")

    return behaviour


def ret(code: int) -> Behaviour:
    """Refuse the request, quoting it."""
    return body(lambda exchange: encoded(code, [], f"not possible: {exchange.quote}"))


def failed(code: str | None) -> Behaviour:
    """Say that the operation failed, quoting the request."""

    def make(exchange: Exchange) -> bytes:
        errors = [] if code is None else {"code": code, "codemsg": f"not possible: {exchange.quote}"}
        return encoded(200, {"status": 1, "desc": "failed", "errors": errors})

    return body(make)


def then(ending: Callable[[Exchange], object], *pieces: Callable[[Exchange], bytes]) -> Behaviour:
    """Send these bytes as they are, then end the connection in some way."""

    async def behaviour(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.send(piece(exchange))
            # Each piece is to arrive as one of its own.
            await asyncio.sleep(0.01)
        ended = ending(exchange)
        if isinstance(ended, Awaitable):
            await ended

    return behaviour


def raw(piece: bytes) -> Callable[[Exchange], bytes]:
    """Send this."""
    return lambda _: piece


def whole_head(exchange: Exchange) -> bytes:
    """Send the headers of a good answer."""
    return exchange.head(len(exchange.good))


def half_body(exchange: Exchange) -> bytes:
    """Send half of a good answer's body."""
    return exchange.good[: len(exchange.good) // 2]


def other_half(exchange: Exchange) -> bytes:
    """Send the other half of it."""
    return exchange.good[len(exchange.good) // 2 :]


def whole_body(exchange: Exchange) -> bytes:
    """Send a good answer's body."""
    return exchange.good


def whole_answer(exchange: Exchange) -> bytes:
    """Send a good answer."""
    return whole_head(exchange) + exchange.good


def old_answer(exchange: Exchange) -> bytes:
    """Send an answer of the day before, when the counters stood elsewhere."""
    yesterday = [{**it, "callsanswered": 7, "noanswercount": 1, "state": 1201} for it in records()[:2]]
    stamp = exchange.server.clock - 86_400
    data = {"status": 0, "desc": "", "result": yesterday, "reqtime": stamp, "rsptime": stamp}
    content = encoded(200, data)
    return exchange.head(len(content)) + content


def head_of(length: int | None, *headers: str, status: str = "200 OK") -> Callable[[Exchange], bytes]:
    """Send headers of one's own."""
    return lambda exchange: exchange.head(length, *headers, status=status)


def chunk(piece: bytes) -> bytes:
    """Return a chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


CHUNKED = head_of(None, "Transfer-Encoding: chunked")
GZIPPED = "Content-Encoding: gzip"


def keep(exchange: Exchange) -> None:
    """Keep the connection open for the next request."""


def broken(packed: bytes) -> bytes:
    """Return packed bytes with one in their middle that is wrong."""
    middle = len(packed) // 2
    return packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1 :]


def no_token(exchange: Exchange) -> bytes:
    """Return the answer of a login that gives no token, and quotes the request."""
    return exchange.server.good_envelope({"companyname": exchange.quote})


async def byte_by_byte(exchange: Exchange) -> None:
    """Send a good answer, but so slowly that it takes for ever, though never silent for as long as the timeout."""
    answer = iter(whole_answer(exchange))
    while True:
        await exchange.send(bytes([next(answer)]))
        await asyncio.sleep(HANG_TIMEOUT / 8)


async def interim_for_ever(exchange: Exchange) -> None:
    """Say over and over that the answer is about to come."""
    while True:
        await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asyncio.sleep(0.01)


async def headers_for_ever(exchange: Exchange) -> None:
    """Send one header after the other."""
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await exchange.send(b"X-More: to come\r\n" * 50)


async def gigabyte(exchange: Exchange) -> None:
    """Send a body of 1 GB, made as it is sent."""
    await exchange.send(exchange.head(2**30))
    pieces = repeat(bytes(2**18), 2**12)
    while True:
        await exchange.send(next(pieces))


@cache
def packed_megabyte() -> tuple[bytes, bytes]:
    """Return the start of a gzip stream, and a piece that unpacks to 1 MB as often as it is repeated."""
    packer = zlib.compressobj(wbits=31)
    start = packer.flush(zlib.Z_FULL_FLUSH)
    return start, packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)


async def gzip_bomb(exchange: Exchange) -> None:
    """Send a little that unpacks to 1 GB."""
    start, megabyte = packed_megabyte()
    await exchange.send(exchange.head(None, GZIPPED, "Connection: close"), start, megabyte * 1024)
    exchange.close()


def clock_back(seconds: int) -> Start:
    """Set the platform's clock back, and let it go on from there."""

    async def start(server: FaultServer) -> None:
        server.clock -= seconds

    return start


async def in_turn(exchange: Exchange) -> None:
    """Answer every other request with yesterday's answer, as servers behind a balancer do if one of them lags."""
    await exchange.send(old_answer(exchange) if exchange.number % 2 == 0 else whole_answer(exchange))


async def reset_at_once(server: FaultServer) -> None:
    """Break connections off before anything is read."""
    server.greet_with(Exchange.reset)


async def refuse_token_once(exchange: Exchange) -> None:
    """Let the token die, once."""
    exchange.server.refuses_token = exchange.number == 1
    await exchange.answer(exchange.good)


NESTED = "[" * 100_000 + "]" * 100_000
NOTICE = b"<br />\n<b>Notice</b>:  Undefined index: seat in <b>/srv/www/Queue.php</b> on line <b>213</b><br />\n"
LOST_NAME = "王小".encode()[:-1]
GBK_NAME = "王小明".encode("gbk")
NAME = "王小明".encode()

NETWORK = [
    Fault(
        name="connection refused",
        server="does not listen",
        start=FaultServer.refuse,
        error=TransportError,
        says="check the URL and that the server runs",
    ),
    Fault(
        name="black hole",
        server="never answers an attempt to connect, like a firewall that drops packets",
        start=FaultServer.swallow,
        error=TransportError,
        says="no whole answer within 0.3 s: the server is slow, silent or out of reach",
        hangs=True,
        polls=2,
    ),
    Fault(
        name="DNS failure",
        server="has a name that does not resolve",
        start=FaultServer.forget_name,
        error=TransportError,
        says="cannot be resolved",
        link="name",
    ),
    Fault(
        name="reset at once",
        server="resets the connection before it reads anything",
        start=reset_at_once,
        error=TransportError,
        says="the server closed the connection",
    ),
    Fault(
        name="reset before the headers",
        server="reads the request and resets the connection",
        start=answering(then(Exchange.reset)),
        error=TransportError,
        says="the server closed the connection",
    ),
    Fault(
        name="closed before the headers",
        server="reads the request and closes the connection",
        start=answering(then(Exchange.close)),
        error=TransportError,
        says="the server closed the connection",
    ),
    Fault(
        name="reset inside the headers",
        server="resets the connection in the middle of a header",
        start=answering(then(Exchange.reset, raw(b"HTTP/1.1 200 OK\r\nContent-Ty"))),
        error=TransportError,
        says="the server closed the connection",
    ),
    Fault(
        name="closed inside the headers",
        server="closes the connection in the middle of a header",
        start=answering(then(Exchange.close, raw(b"HTTP/1.1 200 OK\r\nContent-Ty"))),
        error=TransportError,
        says="the server closed the connection",
    ),
    Fault(
        name="reset after the headers",
        server="resets the connection once the headers are out",
        start=answering(then(Exchange.reset, whole_head)),
        error=TransportError,
        says="the answer broke off",
    ),
    Fault(
        name="reset inside the body",
        server="resets the connection after half of the body",
        start=answering(then(Exchange.reset, whole_head, half_body)),
        error=TransportError,
        says="the answer broke off",
    ),
    Fault(
        name="closed inside the body",
        server="closes the connection after half of the body",
        start=answering(then(Exchange.close, whole_head, half_body)),
        error=TransportError,
        says="the answer broke off",
    ),
    Fault(
        name="reset between answers",
        server="answers well and resets the connection that is kept for the next request",
        start=answering(then(Exchange.reset, whole_answer)),
    ),
    Fault(
        name="silence",
        server="reads the request and says nothing",
        start=answering(Exchange.silence),
        error=TransportError,
        says="no whole answer within 0.3 s: the server is slow, silent or out of reach",
        hangs=True,
        polls=2,
    ),
    Fault(
        name="headers, then silence",
        server="sends the headers and nothing else",
        start=answering(then(Exchange.silence, whole_head)),
        error=TransportError,
        says="no whole answer within 0.3 s: the server is slow, silent or out of reach",
        hangs=True,
        polls=2,
    ),
    Fault(
        name="one byte at a time",
        server="sends a good answer byte by byte, never silent for as long as the timeout",
        start=answering(byte_by_byte),
        error=TransportError,
        says="no whole answer within 0.3 s: the server is slow, silent or out of reach",
        hangs=True,
        polls=2,
    ),
]

CERTIFICATES = [
    Fault(
        name="expired certificate",
        server="shows a certificate that has expired",
        start=showing("expired"),
        error=TransportError,
        says="certificate has expired",
        link="tls",
    ),
    Fault(
        name="self-signed certificate",
        server="shows a certificate that it signed itself",
        start=showing("self-signed"),
        error=TransportError,
        says="self-signed certificate",
        link="tls",
    ),
    Fault(
        name="certificate of another host",
        server="shows a certificate for another name",
        start=showing("other host"),
        error=TransportError,
        says="certificate is not valid for '127.0.0.1'",
        link="tls",
    ),
    Fault(
        name="no TLS",
        server="speaks plain HTTP at an https:// URL",
        start=showing(None),
        error=TransportError,
        says="check the URL, and that TLS is spoken there",
        link="tls",
    ),
    Fault(
        name="unexpected TLS",
        server="speaks TLS at an http:// URL",
        start=showing("good"),
        error=TransportError,
        says="the server closed the connection",
    ),
]

HTTP = [
    Fault(
        name="Content-Length too short",
        server="announces half of the body's length, and sends the whole",
        start=answering(then(keep, lambda it: it.head(len(it.good) // 2) + it.good)),
        error=TransportError,
        says="the answer is not HTTP as it should be",
    ),
    Fault(
        name="Content-Length too short, the rest late",
        server="announces half of the body's length, and sends the other half a moment later",
        start=answering(then(keep, lambda it: it.head(len(it.good) // 2) + half_body(it), other_half)),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="Content-Length too long, then silence",
        server="announces more than the body's length, and keeps the connection open",
        start=answering(then(Exchange.silence, lambda it: it.head(len(it.good) + 7) + it.good)),
        error=TransportError,
        says="no whole answer within 0.3 s: the server is slow, silent or out of reach",
        hangs=True,
        polls=2,
    ),
    Fault(
        name="Content-Length too long, then closed",
        server="announces more than the body's length, and closes the connection",
        start=answering(then(Exchange.close, lambda it: it.head(len(it.good) + 7) + it.good)),
        error=TransportError,
        says="the answer broke off",
    ),
    Fault(
        name="no Content-Length",
        server="ends the body by closing the connection, as HTTP/1.0 did",
        start=answering(then(Exchange.close, head_of(None, "Connection: close"), whole_body)),
    ),
    Fault(
        name="no Content-Length, and cut",
        server="does so in the middle of the body",
        start=answering(then(Exchange.close, head_of(None, "Connection: close"), half_body)),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="chunked",
        server="sends the body in chunks of odd sizes",
        start=answering(
            then(keep, CHUNKED, lambda it: chunk(it.good[:101]), lambda it: chunk(it.good[101:]) + chunk(b""))
        ),
    ),
    Fault(
        name="chunked and cut",
        server="closes the connection before the last chunk",
        start=answering(then(Exchange.close, CHUNKED, lambda it: chunk(it.good))),
        error=TransportError,
        says="the answer broke off",
    ),
    Fault(
        name="chunked and cut inside a chunk",
        server="closes the connection in the middle of a chunk",
        start=answering(then(Exchange.close, CHUNKED, lambda it: chunk(it.good)[:99])),
        error=TransportError,
        says="the answer broke off",
    ),
    Fault(
        name="chunk sizes that are no numbers",
        server="quotes the request where a chunk's size belongs",
        start=answering(then(Exchange.close, CHUNKED, lambda it: f"{it.quote}\r\n".encode())),
        error=TransportError,
        says="no whole answer within 0.3 s: the server is slow, silent or out of reach",
        hangs=True,
        polls=2,
    ),
    Fault(
        name="not HTTP",
        server="answers with a line that quotes the request",
        start=answering(then(Exchange.close, lambda it: f"you said {it.quote}\r\n\r\n".encode())),
        error=TransportError,
        says="the answer is not HTTP as it should be; check the URL",
    ),
    Fault(
        name="a broken header",
        server="sends a header without a colon that quotes the request",
        start=answering(then(Exchange.close, lambda it: f"HTTP/1.1 200 OK\r\n{it.quote}\r\n\r\n{{}}".encode())),
        error=TransportError,
        says="the answer is not HTTP as it should be; check the URL",
    ),
    Fault(
        name="headers without end",
        server="sends one header after the other",
        start=answering(headers_for_ever),
        error=TransportError,
        says="the answer is not HTTP as it should be; check the URL",
    ),
    Fault(
        name="interim answers without end",
        server="says 100 Continue for ever",
        start=answering(interim_for_ever),
        error=TransportError,
        says="no whole answer within 0.3 s: the server is slow, silent or out of reach",
        hangs=True,
        polls=2,
    ),
    Fault(
        name="two answers at once",
        server="sends yesterday's answer straight behind the good one",
        start=answering(then(keep, lambda it: whole_answer(it) + old_answer(it))),
    ),
    Fault(
        name="an answer that nobody asked for",
        server="sends yesterday's answer a moment after the good one",
        start=answering(then(keep, whole_answer, old_answer)),
    ),
    Fault(
        name="gzip",
        server="packs the body with gzip",
        start=answering(body(lambda it: gzip.compress(it.good), GZIPPED)),
    ),
    Fault(
        name="broken gzip",
        server="packs the body with gzip, and one byte is wrong",
        start=answering(body(lambda it: broken(gzip.compress(it.good)), GZIPPED)),
        error=TransportError,
        says="cannot be unpacked",
    ),
    Fault(
        name="gzip that is none",
        server="says that the body is gzip, and sends it plain",
        start=answering(body(whole_body, GZIPPED)),
        error=TransportError,
        says="cannot be unpacked",
    ),
    Fault(
        name="gzip and cut",
        server="packs the body with gzip, and sends half of that",
        start=answering(body(lambda it: gzip.compress(it.good)[:200], GZIPPED)),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="an unknown packing",
        server="labels the plain body with a packing that nobody knows",
        start=answering(body(whole_body, "Content-Encoding: x-secret-sauce")),
    ),
    Fault(
        name="gzip bomb",
        server="sends 1 MB that unpacks to 1 GB",
        start=answering(gzip_bomb),
        error=MalformedResponse,
        says="the body has more than 33554432 bytes (max_body)",
        polls=1,
    ),
    Fault(
        name="1 GB",
        server="sends a body of 1 GB",
        start=answering(gigabyte),
        error=MalformedResponse,
        says="the body has more than 33554432 bytes (max_body)",
        polls=1,
    ),
    *(
        Fault(
            name=f"HTTP {code}",
            server="sends the client to another host, the request in the address",
            start=answering(redirect(code, phrase)),
            error=HttpStatusError,
            says="redirects are not followed",
            retryable=False,
        )
        for code, phrase in ((301, "Moved"), (302, "Found"), (303, "See Other"), (307, "Temporary"), (308, "Permanent"))
    ),
    *(
        Fault(
            name=f"HTTP {code}",
            server="answers with this status, and a page",
            start=answering(status(code, phrase)),
            error=HttpStatusError,
            says=f"HTTP {code} {phrase}: check the URL",
            retryable=False,
        )
        for code, phrase in ((400, "Bad Request"), (401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"))
    ),
    Fault(
        name="HTTP 429 with Retry-After",
        server="asks to be left alone for a second",
        start=answering(status(429, "Too Many Requests", "Retry-After: 1")),
        error=HttpStatusError,
        says="HTTP 429 Too Many Requests: try again in 1 s",
        polls=1,
        pause=1.0,
    ),
    *(
        Fault(
            name=f"HTTP {code}",
            server="answers with this status, and a page",
            start=answering(status(code, phrase)),
            error=HttpStatusError,
            says=f"HTTP {code} {phrase}: try again later",
        )
        for code, phrase in (
            (500, "Internal Server Error"),
            (502, "Bad Gateway"),
            (503, "Service Unavailable"),
            (504, "Gateway Timeout"),
        )
    ),
    Fault(
        name="an empty body",
        server="answers with 200 and nothing else",
        start=answering(body(raw(b""))),
        error=MalformedResponse,
        says="the body is empty",
    ),
    Fault(
        name="HTTP 204",
        server="says that there is nothing to say",
        start=answering(then(keep, head_of(None, status="204 No Content"))),
        error=MalformedResponse,
        says="the body is empty",
    ),
]

BODY = [
    Fault(
        name="200 with HTML",
        server="answers with 200 and a page that quotes the request",
        start=answering(body(page, "Content-Type: text/html")),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="PHP notice before the JSON",
        server="answers with a PHP notice, and the good body behind it",
        start=answering(body(lambda it: NOTICE + it.good)),
    ),
    Fault(
        name="PHP error without JSON",
        server="answers with a PHP notice that quotes the request, and nothing else",
        start=answering(body(lambda it: NOTICE + it.quote.encode())),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="BOM",
        server="puts a UTF-8 byte order mark before the JSON",
        start=answering(body(lambda it: b"\xef\xbb\xbf" + it.good)),
    ),
    Fault(
        name="BOM and notice",
        server="puts a byte order mark and a PHP notice before the JSON",
        start=answering(body(lambda it: b"\xef\xbb\xbf" + NOTICE + it.good)),
    ),
    Fault(
        name="invalid UTF-8 in a name",
        server="cuts an agent's name inside a character",
        start=spelling(NAME, LOST_NAME),
        loses="name",
    ),
    Fault(
        name="invalid UTF-8 in a queue's name",
        server="cuts a queue's name inside a character",
        start=spelling(b'"queue-1"', b'"' + LOST_NAME + b'"'),
        error=MalformedResponse,
        says="record of queue '王?', extension '100001': queuename has bytes that are no text",
    ),
    Fault(
        name="GBK, announced",
        server="sends GBK, and its Content-Type says so",
        start=answering(body(lambda it: it.good.decode().encode("gbk"), "Content-Type: application/json; charset=gbk")),
    ),
    Fault(
        name="GBK, known",
        server="sends GBK and does not say so, and the client has encoding='gbk'",
        start=answering(sound),
        encoding="gbk",
    ),
    Fault(
        name="GBK, not known",
        server="sends GBK and does not say so",
        start=spelling(NAME, GBK_NAME),
        loses="name",
    ),
    Fault(
        name="GBK in a queue's name, not known",
        server="sends GBK and does not say so, and a queue's name is Chinese",
        start=spelling(b'"queue-1"', b'"' + GBK_NAME + b'"'),
        error=MalformedResponse,
        says="queuename has bytes that are no text",
    ),
    Fault(
        name="truncated JSON",
        server="sends half of the JSON, correct as HTTP",
        start=answering(body(half_body)),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="100,000 nested arrays",
        server="answers with nothing else",
        start=answering(body(raw(NESTED.encode()))),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="100,000 nested arrays in a record",
        server="has them in a field that nobody knows",
        start=spelling(b'{"queuename"', b'{"new": ' + NESTED.encode() + b', "queuename"'),
        error=MalformedResponse,
        says="",
    ),
    Fault(
        name="duplicate keys",
        server="writes a field of a record twice, the right value last",
        start=spelling(b'"callsanswered": 41', b'"callsanswered": 4, "callsanswered": 41'),
    ),
    Fault(
        name="NaN",
        server="has NaN for a counter, which JSON does not have",
        start=counting(b"NaN"),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="NaN in a lesser field",
        server="has NaN for a wrap-up time",
        start=spelling(b'"wrapuptime": 15', b'"wrapuptime": NaN'),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    *(
        Fault(
            name=f"nobody, as {name}",
            server="has this for its records, once",
            start=changing_all(instead(nobody)),
            shows="nobody",
            polls=1,
        )
        for name, nobody in (("`[]`", []), ("`{}`", {}), ('`""`', ""), ("`null`", None))
    ),
    Fault(
        name="nobody, as no `result`",
        server="leaves `result` out, once",
        start=answering(body(lambda it: encoded(200, {"status": 0, "rsptime": it.server.clock}))),
        shows="nobody",
        polls=1,
    ),
    Fault(
        name="`data` is `[]`",
        server="has PHP's empty array for `data`",
        start=answering(body(raw(encoded(200, [])))),
        error=MalformedResponse,
        says="ret is 200, but data is no object",
    ),
    Fault(
        name="no envelope",
        server="answers with the bare list of records",
        start=answering(body(lambda it: json.dumps(it.server.records).encode())),
        error=MalformedResponse,
        says="not the JSON of the protocol",
    ),
    Fault(
        name="`result` is a text",
        server="has a sentence for its records, which quotes the request",
        start=answering(body(lambda it: it.server.good_envelope(f"none for {it.quote}"))),
        error=MalformedResponse,
        says="data.result is no list of records",
    ),
    Fault(
        name="`result` is an object",
        server="has PHP's array with gaps for its records",
        start=changing_all(lambda given: {str(number): it for number, it in enumerate(given, 3)}),
    ),
]

ENVELOPE = [
    *(
        Fault(
            name=f"ret {code}",
            server="refuses the request, quoting it",
            start=answering(ret(code)),
            error=ApiError,
            says=says,
            retryable=code >= 500,
        )
        for code, says in ((400, "ret 400: the platform calls the request illegal"), (500, "ret 500: the platform had"))
    ),
    Fault(
        name="ret 600, once",
        server="refuses the token, and accepts the next one",
        start=answering(refuse_token_once),
        logs_in=True,
    ),
    Fault(
        name="ret 600, always",
        server="refuses every token, also one that is fresh from a login",
        start=answering(ret(600)),
        error=AuthError,
        says="the platform refuses a token that is fresh; the trouble is at its end",
        logs_in=True,
    ),
    Fault(
        name="ret 600 for a ready token",
        server="refuses the token, and the client has no credentials to log in with",
        start=answering(ret(600)),
        error=AuthError,
        says="a ready token cannot be renewed: get a new one, or use AppCredentials",
        retryable=False,
    ),
    *(
        Fault(
            name=f"ret {code}",
            server="refuses the appid, quoting the request",
            start=answering(ret(code)),
            error=AuthError,
            says=says,
            retryable=False,
            logs_in=True,
        )
        for code, says in (
            (601, "this appid is not authorized: ask the platform's operator"),
            (602, "this appid's authorization has expired: ask the platform's operator"),
            (603, "the module is not licensed: ask the platform's operator"),
            (604, "this machine's IP address is not authorized: ask the platform's operator"),
        )
    ),
    Fault(
        name="no ret",
        server="leaves `ret` out",
        start=answering(body(lambda it: it.good.replace(b'"ret": 200, ', b""))),
        error=MalformedResponse,
        says="the envelope's ret is None, not an integer",
    ),
    Fault(
        name="ret as a string",
        server='has `"200"` for `ret`',
        start=spelling(b'"ret": 200', b'"ret": "200"'),
    ),
    *(
        Fault(
            name=f"status 1, error {code or 'unnamed'}",
            server="says that the operation failed, quoting the request" if code else "says so without a code",
            start=answering(failed(code)),
            error=OperationFailed,
            says=says,
            retryable=code not in {"1002", "1011", "1012"},
        )
        for code, says in (
            ("1001", "error 1001: the platform could not reach a server of its own"),
            ("1002", "error 1002: abnormal operation"),
            ("1003", "error 1003: the operation failed"),
            ("1010", "error 1010: extension exception"),
            ("1011", "error 1011: the extension is not owned by this company"),
            ("1012", "error 1012: the extension does not exist"),
            ("1013", "error 1013: the extension is disabled"),
            ("1014", "error 1014: the extension is not registered"),
            ("1099", "error 1099: the operation failed"),
            (None, "the operation failed, and no code says why"),
        )
    ),
    *(
        Fault(
            name=f"login: {name}",
            server=f"lets the token die, and {does}",
            start=at_login(behaviour),
            error=error,
            says=says,
            retryable=error not in {AuthError, HttpStatusError},
            logs_in=True,
        )
        for name, does, behaviour, error, says in (
            (
                "refused",
                "refuses the login with error 1003",
                failed("1003"),
                AuthError,
                "error 1003: the platform",
            ),
            ("ret 400", "refuses the login with ret 400", ret(400), AuthError, "check the appid and the accesskey"),
            ("ret 600", "refuses the login with ret 600", ret(600), AuthError, "check the appid and the accesskey"),
            ("ret 602", "refuses the login with ret 602", ret(602), AuthError, "authorization has expired"),
            ("error 1001", "fails to log in with error 1001", failed("1001"), OperationFailed, "error 1001: the"),
            ("ret 500", "fails to log in with ret 500", ret(500), ApiError, "ret 500: the platform had an error"),
            ("no token", "answers logins without a token", body(no_token), MalformedResponse, "has no token"),
            ("HTML", "answers logins with a page", body(page), MalformedResponse, "not the JSON of the protocol"),
            ("cut", "sends half of a login's answer", body(half_body), MalformedResponse, "not the JSON of the"),
            ("reset", "resets the connection at logins", then(Exchange.reset), TransportError, "closed the connection"),
            ("HTTP 403", "answers logins with HTTP 403", status(403, "Forbidden"), HttpStatusError, "HTTP 403"),
        )
    ),
]

RECORDS = [
    Fault(
        name="strings for integers",
        server="sends every number of a record as a string",
        start=changing_all(
            lambda given: [{k: str(v) for k, v in it.items()} for it in given],
        ),
    ),
    *(
        Fault(
            name=f"{name} for a counter",
            server=does,
            start=counting(spelt),
            error=MalformedResponse,
            says=says,
        )
        for name, does, spelt, says in (
            ("beyond 64 bits", "has 10^30", b"1" + b"0" * 30, "callsanswered is 1000"),
            ("10,000 digits", "has so many", b"9" * 10_000, "a record cannot be read"),
            ("10,000 digits in a string", "has so many", b'"' + b"9" * 10_000 + b'"', "beyond 64 bits"),
            ("a fraction", "has 41.5", b"41.5", "callsanswered is 41.5, not an integer"),
            ("below 0", "has -1", b"-1", "callsanswered is -1, and a counter cannot be negative"),
            ("a word", "has a word", b'"many"', "callsanswered is 'many', not an integer"),
            ("a list", "has a list", b"[41]", "callsanswered is [41], not an integer"),
        )
    ),
    Fault(
        name="beyond 64 bits, for a lesser field",
        server="has 10^30 for a wrap-up time",
        start=changing(wrapuptime=10**30),
        loses="wrap_up_time",
    ),
    Fault(
        name="beyond 64 bits, for the clock",
        server="has 10^30 for `rsptime`",
        start=answering(body(lambda it: it.good.replace(b'"rsptime": ', b'"rsptime": 1' + b"0" * 30))),
    ),
    Fault(
        name="no time",
        server="has 31 February for a last answer",
        start=changing(lastanswertime="2026-02-31 08:00:00"),
        loses="last_answered_at",
    ),
    *(
        Fault(name=name, server=does, start=changing(**fields), error=MalformedResponse, says=says)
        for name, does, fields, says in (
            ("no extension", "leaves `extnumber` out", {"extnumber": ...}, "extnumber is missing"),
            ("an empty extension", "has an empty `extnumber`", {"extnumber": ""}, "extnumber is empty"),
            ("no queue", "has `null` for `queuename`", {"queuename": None}, "queuename is None, not a text"),
            ("no state", "leaves `state` out", {"state": ...}, "state is missing"),
            (
                "a state in words",
                "has `waiting` for `state`",
                {"state": "waiting"},
                "state is 'waiting', not an integer",
            ),
        )
    ),
    Fault(
        name="a record that is none",
        server="has `null` among its records",
        start=changing_all(lambda given: [*given, None]),
        error=MalformedResponse,
        says="a record is no object",
    ),
    Fault(
        name="one seat, twice the same",
        server="sends a record twice",
        start=changing_all(lambda given: [*given, given[0]]),
    ),
    Fault(
        name="one seat, twice and different",
        server="sends two records of a seat that contradict each other",
        start=changing_all(lambda given: [*given, {**given[0], "callsanswered": 40}]),
        error=MalformedResponse,
        says="two different records of queue 'queue-1', extension '100001'",
    ),
    Fault(
        name="another order",
        server="lists the records the other way round",
        start=changing_all(lambda given: given[::-1]),
    ),
    Fault(
        name="fields that nobody knows",
        server="sends more fields than its documentation has",
        start=changing(lunch={"from": "12:00", "menu": [1, 2]}),
    ),
]

TIME = [
    Fault(
        name="clock that steps back",
        server="sets its clock back by an hour, and goes on from there",
        start=clock_back(3600),
        polls=4,
        stale=2,
    ),
    Fault(
        name="answers out of order",
        server="gives yesterday's answer to every other poll, as a server that lags behind a balancer",
        start=answering(in_turn),
        polls=4,
        stale=2,
    ),
]

SECTIONS = {
    "The network": NETWORK,
    "TLS": CERTIFICATES,
    "HTTP": HTTP,
    "The body": BODY,
    "The envelope and the login": ENVELOPE,
    "Records": RECORDS,
    "Time": TIME,
}
FAULTS = [fault for faults in SECTIONS.values() for fault in faults]
