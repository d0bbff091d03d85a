"""Relays, readers and workers as separate processes that tests kill, freeze and restart."""

from __future__ import annotations

import asyncio
import base64
import pickle
import re
import signal
from collections.abc import Mapping, Sequence
from typing import Final, Self

from redis.asyncio import Redis

from sipqueue_async import Update
from tests.kit.preloaded import Preloaded
from tests.kit.preloaded import Program as Process
from tests.kit.relay import KEYS, TOKEN, Office
from tests.kit.waiting import PATIENCE

MODULES: Final = ("sipqueue_async.redis", "sipqueue_async.cli.commands.relay")
"""The modules that the forking interpreter imports in advance."""
_RELAY: Final = "import sys; from sipqueue_async.cli import main; sys.exit(main())"
_READER: Final = """
import asyncio, base64, pickle, sys
from sipqueue_async.redis import RedisFeed

async def main():
    url, group, consumer, claim = sys.argv[1:]
    feed = RedisFeed(url, initial=not group, group=group or None, consumer=consumer or None, claim_after=float(claim))
    updates = feed.updates()
    async with feed:
        async for update in updates:
            print(base64.b64encode(pickle.dumps(update)).decode(), flush=True)
            if group:
                said = await asyncio.to_thread(sys.stdin.readline)
                if said == "acknowledge\\n":
                    await feed.acknowledge()
                    print(flush=True)
                    await asyncio.Event().wait()

asyncio.run(main())
"""
_LEADS: Final = re.compile(r"the relay leads \(term (\d+)\)")


class Program:
    """A program in a forked process.

    Args:
        python: The interpreter that forks it.
        code: The program's source.
        arguments: Its command line.
        variables: Settings, as environment variables.
    """

    def __init__(
        self, python: Preloaded, code: str, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> None:
        self._python = python
        self._code = code
        self._arguments = arguments
        self._variables = variables
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        self._process = await self._python.start(self._code, variables=self._variables, arguments=self._arguments)

    def freeze(self) -> None:
        """Stop the process with SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the process with SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Kill the process at once, like a machine that goes down."""
        if self._process is not None:
            process, self._process = self._process, None
            await process.kill()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


class RelayProgram(Program):
    """``sipqueue relay``, and the terms in which it led."""

    def __init__(self, python: Preloaded, office: Office, redis: str, *, lease: float, interval: float) -> None:
        variables = {"SIPQUEUE_URL": office.server.url, "SIPQUEUE_TOKEN": TOKEN, "SIPQUEUE_REDIS_URL": redis}
        words = ("relay", f"--lease={lease}", f"--interval={interval}")
        super().__init__(python, _RELAY, *words, variables=variables)
        self.terms: list[int] = []
        """The numbers of its terms."""
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await super().start()
        self._listening = asyncio.create_task(self._listen(self.process.stderr))

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            if found := _LEADS.search(line.decode()):
                self.terms.append(int(found[1]))

    async def kill(self) -> None:
        """Kill the process at once, after reading its last lines."""
        assert self._listening is not None
        self.process.send_signal(signal.SIGKILL)
        await self._listening
        await super().kill()


class Fleet:
    """Several relays; one of them leads.

    Args:
        relays: The relays.
        redis: A client of the Redis on which they publish.
    """

    def __init__(self, relays: Sequence[RelayProgram], redis: Redis) -> None:
        self.relays = list(relays)
        self.all = list(relays)
        """All relays so far, including those that were killed."""
        self._redis = redis

    async def __aenter__(self) -> Self:
        for relay in self.relays:
            await relay.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for relay in self.relays:
            relay.thaw()
            await relay.kill()

    async def leader(self, but: RelayProgram | None = None) -> RelayProgram:
        """Wait until one relay leads, other than `but`, and return it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                lock = str(await self._redis.get(f"{KEYS}:leader") or "0 nobody")
                found = [it for it in self.relays if int(lock.split(maxsplit=1)[0]) in it.terms and it is not but]
                if found:
                    return found[0]
                await asyncio.sleep(0.01)

    async def replace(self, old: RelayProgram, new: RelayProgram) -> None:
        """Kill a relay, and start another one in its place."""
        self.relays.remove(old)
        await old.kill()
        self.relays.append(new)
        self.all.append(new)
        await new.start()


class ReaderProgram(Program):
    """A reader of all changes, or a worker of the group, in a process that passes its updates back.

    Args:
        python: The interpreter that forks it.
        url: The URL of Redis.
        consumer: The worker's name; empty for a reader of all changes.
        claim_after: Passed to `RedisFeed`.
    """

    def __init__(self, python: Preloaded, url: str, *, consumer: str = "", claim_after: float = 60.0) -> None:
        super().__init__(python, _READER, url, "crew" if consumer else "", consumer, str(claim_after))

    async def update(self) -> Update:
        """Return the next update."""
        update: Update = pickle.loads(base64.b64decode(await self.line()))
        return update

    async def line(self) -> bytes:
        """Return the next line of its output."""
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line, f"it has ended: {await self.process.stderr.read()!r}"
        return line

    def ask(self) -> None:
        """Let a worker ask for the next entry, which acknowledges the last one."""
        self.process.write("next\n")

    async def acknowledge(self) -> None:
        """Let a worker acknowledge its entry, and ask for no more."""
        self.process.write("acknowledge\n")
        assert await self.line() == b"\n"
