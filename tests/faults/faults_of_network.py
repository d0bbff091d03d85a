"""Faults of the network and of TLS."""

from __future__ import annotations

from fault_server import Exchange, FaultServer
from fault_ways import (
    OVERDUE,
    Fault,
    answering,
    byte_by_byte,
    half_body,
    raw,
    reset_at_once,
    showing,
    then,
    whole_answer,
    whole_head,
)

from sipqueue_async import TransportError

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
        says=OVERDUE,
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
        says=OVERDUE,
        hangs=True,
        polls=2,
    ),
    Fault(
        name="headers, then silence",
        server="sends the headers and nothing else",
        start=answering(then(Exchange.silence, whole_head)),
        error=TransportError,
        says=OVERDUE,
        hangs=True,
        polls=2,
    ),
    Fault(
        name="one byte at a time",
        server="sends a good answer byte by byte, never silent for as long as the timeout",
        start=answering(byte_by_byte),
        error=TransportError,
        says=OVERDUE,
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
