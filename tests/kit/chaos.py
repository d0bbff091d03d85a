"""A platform with random faults of every kind, which also computes the events that a watcher must report."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final
from unittest import mock

import aiohttp
import async_solipsism
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from sipqueue_async import SeatKey
from sipqueue_async.simulator import CallCentre, LiveCentre, Platform

HOST, PORT = "platform.example", 8080
URL: Final = f"http://{HOST}:{PORT}"
LOGIN: Final = "App.Sip_Auth.Login"
_SERVER_TIME: Final = re.compile(rb'"rsptime": ?(\d+)')


class Account:
    """The calls that a watcher must report, computed from the model's counters at each good answer."""

    def __init__(self) -> None:
        self.answered = 0
        self.missed = 0
        self._counters: dict[SeatKey, tuple[int, int]] = {}

    def take(self, centre: CallCentre) -> None:
        """Record that the watcher received the centre's current state."""
        for seat in centre.seats():
            now = seat.calls_answered, seat.no_answer_count
            before = self._counters.get(seat.key, now)
            self.answered += now[0] - before[0] if now[0] >= before[0] else now[0]
            self.missed += now[1] - before[1] if now[1] >= before[1] else now[1]
            self._counters[seat.key] = now


class ChaosPlatform:
    """Serves a centre with random faults of every kind, and with outages in which every request fails.

    Args:
        centre: The model; all its agents stay signed in, so every reported leaving is false.
        seed: Determines the faults.
        clock: The loop's clock.
        calm: The share of requests without a fault.
    """

    def __init__(self, centre: CallCentre, *, seed: int, clock: Callable[[], float], calm: float = 0.85) -> None:
        self.centre = centre
        self.live = LiveCentre(centre, speed=1, clock=clock)
        self.platform = Platform(self.live, clock=clock, shuffle=True)
        self.account = Account()
        self.faults: Counter[str] = Counter()
        self.refusals = 0
        self.login_attempts = 0
        self.last_reset = 0.0
        """Time of the last counter reset, by the loop's clock."""
        self._random = random.Random(seed)
        self._clock = clock
        self._calm = calm
        self._outage_until = 0.0
        self._clock_offset = 0
        self._bodies: deque[bytes] = deque(maxlen=10)
        self._newest = 0
        self._stale_in_a_row = 0
        self._good_since = False
        self._faults: list[Callable[[web.Request, dict[str, str]], web.StreamResponse | None]] = [
            self._ret,
            self._http_status,
            self._cut_off,
            self._html,
            self._notice,
            self._failed_operation,
            self._dead_token,
            self._step_back,
            self._reset_counters,
            self._outage,
        ]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request, with or without a fault."""
        fields = {name: str(value) for name, value in (await request.post()).items()}
        if self._clock() < self._outage_until:
            return self._gone(request)
        if fields["service"] == LOGIN:
            self.login_attempts += 1
            return self._answer(fields)
        chance = self._random.random()
        if chance < self._calm:
            return self._good(fields)
        if chance > 0.995:
            self.faults["black_hole"] += 1
            await asyncio.sleep(60)
        fault = self._random.choice([*self._faults, *self._misleading()])
        self.faults[fault.__name__.strip("_")] += 1
        return fault(request, fields) or self._good(fields)

    # ---- good answers ------------------------------------------------------------------------------------------------

    def _good(self, fields: dict[str, str], before: bytes = b"") -> web.StreamResponse:
        response = self._answer(fields, before)
        assert isinstance(response.body, bytes)
        if b'"ret":200' in response.body.replace(b" ", b""):
            self._show(response.body)
            self._bodies.append(response.body)
            self._good_since = True
        return response

    def _answer(self, fields: dict[str, str], before: bytes = b"") -> web.Response:
        body = self.platform.answer(fields)
        if b'"ret":600' in body.replace(b" ", b""):
            self.refusals += 1
        shifted = _SERVER_TIME.sub(lambda it: b'"rsptime":%d' % (int(it[1]) + self._clock_offset), body)
        return web.Response(body=before + shifted, content_type="application/json")

    def _show(self, body: bytes) -> None:
        """Record a good answer, unless a watcher drops it as stale."""
        match = _SERVER_TIME.search(body)
        assert match is not None
        server_time = int(match[1])
        if server_time < self._newest and self._stale_in_a_row < 2:
            self._stale_in_a_row += 1
            return
        if server_time < self._newest:
            # After the clock stepped back, an answer from before the step would count as a new one.
            self._bodies.clear()
        self._stale_in_a_row = 0
        self._newest = server_time
        self.account.take(self.centre)

    # ---- faults ------------------------------------------------------------------------------------------------------

    def _gone(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _ret(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        self.platform.refuse(500)
        return self._answer(fields)

    def _http_status(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        status = self._random.choice([429, 500, 502, 503, 504])
        return web.Response(status=status, headers={"Retry-After": "7"} if status in {429, 503} else None)

    def _cut_off(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        body = self.platform.answer(fields)
        return web.Response(body=body[: self._random.randrange(len(body))])

    def _html(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        return web.Response(text="<html><body>Bad Gateway</body></html>", content_type="text/html")

    def _notice(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        return self._good(fields, before=b"<br />\n<b>Notice</b>: Undefined index {x}<br />\n")

    def _failed_operation(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        self.platform.fail("1001")
        return self._answer(fields)

    def _dead_token(self, request: web.Request, fields: dict[str, str]) -> None:
        self.platform.revoke_tokens()

    def _misleading(self) -> list[Callable[[web.Request, dict[str, str]], web.StreamResponse]]:
        """Return the faults whose valid answer a watcher must hold back. It would accept a second one in a row."""
        possible = self._good_since and not self._stale_in_a_row and len(self._bodies) > 5
        return [self._nobody, self._replay] if possible else []

    def _nobody(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        self._good_since = False
        return web.Response(body=b'{"ret":200,"data":{"status":0,"desc":"","result":[]},"msg":""}')

    def _replay(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse:
        # Repeat an old answer, like a cache.
        self._good_since = False
        self._stale_in_a_row += 1
        return web.Response(body=self._bodies[0])

    def _step_back(self, request: web.Request, fields: dict[str, str]) -> None:
        self._clock_offset -= 90

    def _reset_counters(self, request: web.Request, fields: dict[str, str]) -> None:
        if self._random.random() < 0.05:
            self.live.catch_up()
            self.centre.reset_counters()
            self.last_reset = self._clock()

    def _outage(self, request: web.Request, fields: dict[str, str]) -> web.StreamResponse | None:
        if self._random.random() > 0.1:
            return None
        self._outage_until = self._clock() + self._random.expovariate(1 / 600)
        return self._gone(request)


class _Resolver(AbstractResolver):
    """Resolves the single test host."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return an address without a name server."""
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def virtual_network(handler: Callable[[web.Request], object]) -> AsyncGenerator[aiohttp.ClientSession]:
    """Serve requests at URL in virtual time, over in-memory sockets; yield a session that reaches the server."""
    server = web.Server(handler)  # type: ignore[arg-type]  # a handler's type is not public
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", PORT)
    connect = "aiohttp.connector.aiohappyeyeballs.start_connection"
    try:
        with mock.patch(connect, async_solipsism.aiohappyeyeballs_start_connection):
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=_Resolver())) as session:
                yield session
    finally:
        listening.close()
        await server.shutdown(1)
