"""Faults of HTTP: statuses, redirects, and proxies."""

from __future__ import annotations

import gzip

from sipqueue_async import HttpStatusError, MalformedResponse, TransportError
from tests.faults.server import Exchange
from tests.faults.ways import (
    CHUNKED,
    GZIPPED,
    OVERDUE,
    Fault,
    answering,
    body,
    broken,
    chunk,
    gigabyte,
    gzip_bomb,
    half_body,
    head_of,
    headers_for_ever,
    interim_for_ever,
    keep,
    old_answer,
    other_half,
    raw,
    redirect,
    status,
    then,
    whole_answer,
    whole_body,
)

HTTP = [
    Fault(
        name="Content-Length too short",
        server="announces half of the body's length, and sends the whole",
        start=answering(then(keep, lambda it: it.head(len(it.good) // 2) + it.good)),
        error=TransportError,
        says="the answer is not valid HTTP",
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
        says=OVERDUE,
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
        says=OVERDUE,
        hangs=True,
        polls=2,
    ),
    Fault(
        name="not HTTP",
        server="answers with a line that quotes the request",
        start=answering(then(Exchange.close, lambda it: f"you said {it.quote}\r\n\r\n".encode())),
        error=TransportError,
        says="the answer is not valid HTTP; check the URL",
    ),
    Fault(
        name="a broken header",
        server="sends a header without a colon that quotes the request",
        start=answering(then(Exchange.close, lambda it: f"HTTP/1.1 200 OK\r\n{it.quote}\r\n\r\n{{}}".encode())),
        error=TransportError,
        says="the answer is not valid HTTP; check the URL",
    ),
    Fault(
        name="headers without end",
        server="sends one header after the other",
        start=answering(headers_for_ever),
        error=TransportError,
        says="the answer is not valid HTTP; check the URL",
    ),
    Fault(
        name="interim answers without end",
        server="sends 100 Continue without end",
        start=answering(interim_for_ever),
        error=TransportError,
        says=OVERDUE,
        hangs=True,
        polls=2,
    ),
    Fault(
        name="two answers at once",
        server="sends yesterday's answer straight behind the good one",
        start=answering(then(keep, lambda it: whole_answer(it) + old_answer(it))),
    ),
    Fault(
        name="an unrequested answer",
        server="sends yesterday's answer a moment after the good one",
        start=answering(then(keep, whole_answer, old_answer)),
        leaves_bytes=True,
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
        name="plain text labelled as gzip",
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
        server="labels the plain body with an unknown encoding",
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
        for code, phrase in ((400, "Bad Request"), (401, "Unauthorized"), (403, "Forbidden"))
    ),
    *(
        Fault(
            name=f"HTTP {code}",
            server="answers with this status, and a page",
            start=answering(status(code, phrase)),
            error=HttpStatusError,
            says=f"HTTP {code} {phrase}: this URL is not the API; check the URL",
            retryable=False,
            wrong_url=True,
        )
        for code, phrase in ((404, "Not Found"), (405, "Method Not Allowed"), (501, "Not Implemented"))
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
        server="answers without a body",
        start=answering(then(keep, head_of(None, status="204 No Content"))),
        error=MalformedResponse,
        says="the body is empty",
    ),
]
