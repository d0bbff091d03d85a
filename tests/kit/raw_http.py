"""Requests that are not HTTP, or that no server accepts."""

from __future__ import annotations

import asyncio

MALFORMED = (
    b"GARBAGE\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
)


async def send_malformed(port: int) -> None:
    """Send each of them to a server of this machine, and wait until it has answered."""
    for request in MALFORMED:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        async with asyncio.timeout(30):
            assert await reader.read(5) == b"HTTP/"
        writer.close()
        await writer.wait_closed()
