"""Helpers for tests of webhooks: a receiver that verifies signatures with an implementation of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook as Verifier
from yarl import URL

from sipqueue_async.cli.exits import Failure
from sipqueue_async.cli.forwarding.destinations import Target, Webhook
from sipqueue_async.cli.forwarding.signature import Signer
from sipqueue_async.cli.forwarding.store import Store
from tests.kit.http import serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Answer = int | web.StreamResponse


class Receiver:
    """An HTTP server that records each verified message before it answers."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []
        """The ids and events of all attempts, in order."""
        self.paths: list[str] = []
        self.answer: Callable[[int], Answer] = lambda _: 204
        """Returns the status or response for the n-th attempt, from 1."""
        self.headers: dict[str, str] = {}
        """Headers of the answers."""
        self.released = asyncio.Event()
        """Ends the requests to /hangs."""
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        event = Verifier(SECRET).verify(await request.read(), dict(request.headers))
        assert request.content_type == "application/json"
        self.received.append((request.headers["webhook-id"], event))
        if request.path.endswith("/hangs"):
            await self.released.wait()
        answer = self.answer(len(self.received))
        if answer == 0:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=answer or 500, headers=self.headers) if isinstance(answer, int) else answer

    @property
    def events(self) -> list[Any]:
        """The events without repetitions: the first of each id."""
        return list(dict(reversed(self.received)).values())[::-1]

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncGenerator[None]:
        """Serve until the block ends."""
        async with serving(self.handle, port=port) as self.port:
            try:
                yield
            finally:
                self.released.set()


def has_begun(state_file: Path) -> bool:
    """Return whether a state file has a snapshot: events count from there."""
    try:
        with Store(state_file, read_only=True) as store:
            return store.snapshot() is not None
    except Failure:
        return False


@asynccontextmanager
async def receiving() -> AsyncGenerator[Receiver]:
    """Run a receiver until the block ends."""
    receiver = Receiver()
    async with receiver.serving():
        yield receiver


def target(url: str = "https://crm.example/", name: str = "crm", **fields: Any) -> Target:
    """Return a destination with its URL and `SECRET`; private addresses are allowed unless `fields` say otherwise."""
    webhook = Webhook(name=name, url=url, secret_from="HOOK", **{"allow_private": True, **fields})
    return Target(webhook=webhook, url=URL(url), signer=Signer(SECRET))
