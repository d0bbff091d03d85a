"""Free ports for servers that cannot choose one themselves."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress


def free_port() -> int:
    """Return a port that no process listens on.

    It is below the ports that systems give to connections and to servers on port 0, one of which could get it before it
    is used; also with 10,000 more, which is the port of a cluster's bus.
    """
    while True:
        port = 15_000 + secrets.randbelow(7_000)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
