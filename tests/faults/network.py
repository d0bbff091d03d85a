"""Faults of the network and of TLS."""

from __future__ import annotations

from sipqueue_async import TransportError
from tests.faults.server import Exchange, FaultServer
from tests.faults.ways import (
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

CLOSED = "the server closed the connection"
BROKEN_OFF = "the answer broke off"
HALF_HEAD = raw(b"HTTP/1.1 200 OK\r\nContent-Ty")

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
        says=CLOSED,
    ),
    *(
        Fault(name=name, server=does, start=answering(behaviour), error=TransportError, says=says)
        for name, does, behaviour, says in (
            ("reset before the headers", "reads the request and resets the connection", then(Exchange.reset), CLOSED),
            ("closed before the headers", "reads the request and closes the connection", then(Exchange.close), CLOSED),
            (
                "reset inside the headers",
                "resets the connection in the middle of a header",
                then(Exchange.reset, HALF_HEAD),
                CLOSED,
            ),
            (
                "closed inside the headers",
                "closes the connection in the middle of a header",
                then(Exchange.close, HALF_HEAD),
                CLOSED,
            ),
            (
                "reset after the headers",
                "resets the connection once the headers are out",
                then(Exchange.reset, whole_head),
                BROKEN_OFF,
            ),
            (
                "reset inside the body",
                "resets the connection after half of the body",
                then(Exchange.reset, whole_head, half_body),
                BROKEN_OFF,
            ),
            (
                "closed inside the body",
                "closes the connection after half of the body",
                then(Exchange.close, whole_head, half_body),
                BROKEN_OFF,
            ),
        )
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
    *(
        Fault(name=name, server=does, start=showing(certificate), error=TransportError, says=says, link="tls")
        for name, does, certificate, says in (
            ("expired certificate", "shows a certificate that has expired", "expired", "certificate has expired"),
            (
                "self-signed certificate",
                "shows a certificate that it signed itself",
                "self-signed",
                "self-signed certi",
            ),
            ("certificate of another host", "shows a certificate for another name", "other host", "is not valid for"),
            ("no TLS", "speaks plain HTTP at an https:// URL", None, "check that the URL is right and uses TLS"),
        )
    ),
    Fault(
        name="unexpected TLS",
        server="speaks TLS at an http:// URL",
        start=showing("good"),
        error=TransportError,
        says=CLOSED,
    ),
]
