"""The fault matrix as data: what a network, a proxy or a platform does wrong, and what the library makes of it."""

from __future__ import annotations

from faults_of_answers import BODY, ENVELOPE, RECORDS, TIME
from faults_of_http import HTTP
from faults_of_network import CERTIFICATES, NETWORK

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
