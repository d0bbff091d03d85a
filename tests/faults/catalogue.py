"""The fault matrix as data: faults of a network, a proxy or a platform, and the library's reaction to each."""

from __future__ import annotations

from tests.faults.answers import BODY, ENVELOPE, RECORDS, TIME
from tests.faults.http import HTTP
from tests.faults.network import CERTIFICATES, NETWORK

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
