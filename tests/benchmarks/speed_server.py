"""A platform that plays back prepared bodies over real HTTP, from a separate process."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Final

from tests.benchmarks.speed_bodies import Story
from tests.benchmarks.speed_process import attend, beside

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_TOKEN: Final = re.compile(rb"\btoken=([^&]*)")


class Player:
    """Serves the same story to each token, from its first answer; at the end it repeats the last body."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n"
        self._answers = [head.format(len(body)).encode() + body for body in bodies]
        self._told: dict[bytes, int] = {}

    def answer(self, form: bytes) -> bytes:
        """Return the next answer for the token in the form."""
        found = _TOKEN.search(form)
        token = found[1] if found else b""
        told = self._told.get(token, 0)
        self._told[token] = told + 1
        return self._answers[min(told, len(self._answers) - 1)]


class _Connection(asyncio.Protocol):
    """The part of HTTP that one well-behaved client needs."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, form = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if blank and length and len(form) >= int(length[1]):
            self._received = b""
            assert self._transport is not None
            self._transport.write(self._player.answer(form))


def pin(core: int) -> None:
    """Pin this process to one core, if the system allows it and has more than one."""
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


def serve(story: Story, parent: Connection, *, pinned: bool = True) -> None:
    """Play a story back until the other end of the connection closes. First send the port."""
    if pinned:
        pin(-1)
    asyncio.run(play(Player([step.body for step in story.steps()]), parent, {}))


async def play(player: Player, parent: Connection, answers: Mapping[str, Callable[[], Any]]) -> None:
    """Play a story back until the other end of the connection closes. First send the port, then answer questions."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: _Connection(player), "127.0.0.1", 0, backlog=4096) as server:
        parent.send(server.sockets[0].getsockname()[1])
        await attend(parent, answers)


@contextmanager
def playing(story: Story) -> Generator[str]:
    """Play a story back in a separate process, on the last core; yield its connection."""
    with beside(serve, story) as server:
        yield f"http://127.0.0.1:{server.recv()}/api"
