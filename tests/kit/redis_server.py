"""A real Redis for tests: a private server on a free port."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.kit.needs import program
from tests.kit.ports import free_port


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

    async def __aexit__(self, *_: object) -> None:
        self.kill()


async def _settings(client: Redis) -> object:
    users: Any = await client.acl_list()
    return await client.config_get(), users, (await client.info("replication"))["role"]
