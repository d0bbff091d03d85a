"""Ports: free ones for servers that cannot choose one themselves, and one that is in use."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress


def free_port() -> int:
    """Return a port that no process listens on.

    It is below the ephemeral ports, so that no outgoing connection and no server on port 0 takes it first. The port
    10,000 above it, the bus of a Redis cluster, is below them too.
    """
    while True:
        port = 15_000 + secrets.randbelow(7_000)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def taken_port() -> Generator[int]:
    """Listen on a port of 127.0.0.1 until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
