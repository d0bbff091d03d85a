"""A client for server-sent events that follows the standard, byte by byte, and a connection that a test can cut."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import attrs


@attrs.frozen
class Message:
    """One event as a browser reports it."""

    event: str
    data: Any
    """The decoded JSON."""
    last_event_id: str


class Parser:
    """Parses a stream. An event that is cut off is not reported, and its id is not taken.

    Args:
        last_event_id: The id of the last event of an earlier connection.
    """

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.comments = 0
        """How many comments came."""
        self._rest = b""
        self._fields: dict[str, str] = {}

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the events that are complete with these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            name, _, value = line.decode().rstrip("\r").partition(":")
            if name:
                self._fields[name] = value.removeprefix(" ")
            elif line.rstrip(b"\r"):
                self.comments += 1
            else:
                fields, self._fields = self._fields, {}
                self.last_event_id = fields.get("id", self.last_event_id)
                if "data" in fields:
                    yield Message(fields["event"], json.loads(fields["data"]), self.last_event_id)


class Reader:
    """A program that reads a stream from a wallboard.

    Args:
        port: The wallboard's port.
        path: The path, with its query.
        last_event_id: The id to continue from; empty for none.
        buffer: The size of the socket's receive buffer in bytes; None for the system's.
    """

    def __init__(
        self, port: int, path: str = "/api/events", last_event_id: str = "", *, buffer: int | None = None
    ) -> None:
        self._address = ("127.0.0.1", port)
        self._path = path
        self.parser = Parser(last_event_id)
        self.status = 0
        """The status of the answer."""
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._head = b""
        self._waiting: list[Message] = []

    async def connect(self) -> None:
        """Connect and send the request; read nothing."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, self._address)
        # HTTP/1.0, so that the answer is not chunked.
        last = f"Last-Event-ID: {self.parser.last_event_id}\r\n" if self.parser.last_event_id else ""
        request = f"GET {self._path} HTTP/1.0\r\nHost: localhost\r\n{last}\r\n"
        await loop.sock_sendall(self._socket, request.encode())

    async def read(self, most: int = 65536) -> list[Message] | None:
        """Return the events that come with the next bytes; None at the end of the stream."""
        async with asyncio.timeout(60):
            data = await asyncio.get_running_loop().sock_recv(self._socket, most)
        if not data:
            return None
        if not self.status:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return []
            self.status = int(head.split()[1])
        return list(self.parser.feed(data))

    async def next(self) -> Message:
        """Return the next event."""
        while not self._waiting:
            messages = await self.read()
            assert messages is not None, "the stream has ended"
            self._waiting += messages
        return self._waiting.pop(0)

    def cut(self) -> None:
        """End the connection as a killed program does."""
        self._socket.close()

    async def __aenter__(self) -> Reader:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
