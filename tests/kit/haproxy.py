"""A real HAProxy in front of a test's servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.kit.needs import program

_CONFIGURATION = """\
global
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option redispatch 1
    retries 3
frontend api
    bind fd@{listener}
    default_backend servers
backend servers
    balance roundrobin
    cookie SERVERID insert indirect nocache
"""


@asynccontextmanager
async def balanced(ports: Sequence[int], folder: Path) -> AsyncGenerator[str, None]:
    """Yield the URL of a balancer that uses the servers on these ports in turn and recognises clients by a cookie."""
    # Connections made before HAProxy is ready wait in the socket's queue.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        path = folder / "haproxy.cfg"
        servers = [f"    server s{port} 127.0.0.1:{port} cookie s{port}\n" for port in ports]
        path.write_text(_CONFIGURATION.format(listener=listener.fileno()) + "".join(servers), encoding="utf-8")
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        process = await asyncio.create_subprocess_exec(
            program("haproxy"), "-q", "-db", "-f", path, pass_fds=[listener.fileno()]
        )
    try:
        yield url
    finally:
        process.kill()
        await process.wait()
