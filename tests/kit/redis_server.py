"""A real Redis for tests: a private server on a free port, and a network in front of it that can be cut."""

from __future__ import annotations

import asyncio
import math
import secrets
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.kit.needs import program


class RedisServer:
    """A Redis on loopback with its data in a folder; tests can kill, freeze and restart it.

    Args:
        folder: Folder for its data.
        options: Further command-line options of Redis: ``{"maxmemory": "10mb"}``.
        keeps: Whether its data survives a restart.
    """

    def __init__(self, folder: Path, *, keeps: bool = True, **options: str) -> None:
        self._folder = folder
        self._options = {"appendonly": "yes", "appendfsync": "always"} if keeps else {}
        self._options |= {name.replace("_", "-"): value for name, value in options.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: object = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """The URL of its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        """Return a client to inspect the data."""
        return Redis.from_url(self.url, decode_responses=True)

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._process is None, "it runs"
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self._folder), "save": "", **self._options}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([program("redis"), *arguments], stdout=subprocess.DEVNULL)
        async with asyncio.timeout(60), self.client() as client:
            while True:
                try:
                    await client.ping()
                except (OSError, RedisError):
                    assert self._process.poll() is None, f"redis-server ended with {self._process.poll()}"
                    await asyncio.sleep(0.02)
                else:
                    return

    async def reset(self) -> None:
        """Restore the initial state: no data, and the initial settings. Restart the server only if necessary."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            try:
                async with asyncio.timeout(60), self.client() as client:
                    await client.flushall()
                    if await _settings(client) == self._settings:
                        return
            except (OSError, RedisError):
                pass
        self.kill()
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        # Another process may have taken the old port.
        self.port = free_port()
        await self.start()
        async with self.client() as client:
            self._settings = await _settings(client)

    def kill(self) -> None:
        """Kill the server at once, like a machine that goes down."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Freeze the server: connections stay open, but get no answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the frozen server."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()


async def _settings(client: Redis) -> object:
    users: Any = await client.acl_list()
    return await client.config_get(), users, (await client.info("replication"))["role"]


_PIECE = 2**14


class Cable:
    """A network between a client and a server. It can break connections, or go silent like a pulled cable.

    Args:
        port: The server's port on loopback.
        rate: Maximum bytes per second, in each direction of a connection.
    """

    def __init__(self, port: int, rate: float = math.inf) -> None:
        self._server_port = port
        self._rate = rate
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None] | None] = set()
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self.port = 0

    @property
    def url(self) -> str:
        """The URL that reaches the server through this cable."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def _limit(self) -> int:
        # A slow line buffers little.
        return 2**16 if self._rate == math.inf else _PIECE

    def _listener(self) -> socket.socket:
        listener = socket.socket()
        if self._rate != math.inf:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
        listener.bind(("127.0.0.1", 0))
        return listener

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_PIECE):
            await self._is_whole.wait()
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(len(chunk) / self._rate)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port, limit=self._limit)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        self._connections.add(asyncio.current_task())
        ways = [asyncio.create_task(self._carry(reader, back)), asyncio.create_task(self._carry(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, back):
                self._writers.discard(end)
                end.close()

    def pull(self) -> None:
        """Stop forwarding data, without closing any connection."""
        self._is_whole.clear()

    def plug(self) -> None:
        """Forward data again, including the data that was held back."""
        self._is_whole.set()

    def cut(self) -> None:
        """Break all connections; new ones work."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, sock=self._listener())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self.plug()
        await asyncio.wait([asyncio.create_task(asyncio.sleep(0)), *filter(None, self._connections)])


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
