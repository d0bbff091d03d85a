"""The network between a client and the simulated platform, in virtual time and without sockets: delays and faults."""

from __future__ import annotations

import asyncio
import errno
import random
import re
from collections import deque
from typing import Any, Final, Self
from urllib.parse import parse_qsl

import attrs

from sipqueue_async.simulator import CallCentre, LiveCentre, Platform

ONE_WAY: Final = (0.015, 0.035)
"""The minimum and maximum one-way delay of a request or answer, in seconds; uniformly distributed."""
ROUND_TRIP: Final = sum(ONE_WAY)
"""The mean time from a request to its answer, in seconds."""
STALE_BY: Final = 2.0
"""The minimum age of a stale answer, in seconds, relative to the newest one sent.

`rsptime` has whole seconds, so it may not distinguish a smaller age.
"""
_SILENCE: Final = 86400.0
_STATUS: Final = "App.Sip_Queue.GetQueueSipStatus"
_COUNTER: Final = re.compile(rb'"(callsanswered|noanswercount)":\d+')
_RECORD: Final = re.compile(rb'\{"queuename"[^}]*\},')
_NOWHERE: Final = "there is no such queue"


@attrs.frozen(kw_only=True)
class Faults:
    """The faults. Times are model seconds."""

    failing: float = 0.0
    """The share of polls that fail: refused connections, silence until the client's timeout, HTTP 502, bodies cut
    short, `ret` 500 and operations that failed, each with the same frequency."""
    outages: tuple[tuple[float, float], ...] = ()
    """The spans in which every connection is refused."""
    blank: float = 0.0
    """The share of polls with a valid answer without agents; never two in a row."""
    stale: float = 0.0
    """The share of polls with a stale answer, as from a slow server among several; never three in a row, because the
    watcher accepts the third."""

    blank_counters: float = 0.0
    """The share of polls whose counters are `null`, empty or missing."""
    absent: float = 0.0
    """The share of polls whose answer lacks one seat; never two in a row."""


@attrs.frozen(kw_only=True)
class Given:
    """One status answer that was sent."""

    body: bytes
    instant: float
    """The model second that the answer shows."""
    blank: bool = False
    """Whether the answer wrongly has no agents."""


class Network:
    """Stands in for the client's `aiohttp.ClientSession`: delays each request, and answers it or fails.

    The answer shows the model at the moment at which the request reaches the platform.
    """

    def __init__(
        self, centre: CallCentre, live: LiveCentre, platform: Platform, rng: random.Random, faults: Faults
    ) -> None:
        self._centre = centre
        self._live = live
        self._platform = platform
        self._rng = rng
        self.faults = faults
        self._was_absent = False
        self._recent: deque[Given] = deque(maxlen=32)
        self._stale_in_a_row = 0
        self.last: Given | None = None
        """The last status answer, which may be stale."""

    def post(self, url: object, *, data: Any, **options: object) -> _Exchange:
        """Return the exchange of one request, as `aiohttp.ClientSession.post` does."""
        return _Exchange(self, dict(parse_qsl(data.decode())))

    async def answer(self, fields: dict[str, str]) -> _Answer:
        """Pass a request to the platform, and return its answer."""
        await self._go()
        answer = await self._answer(fields)
        await self._go()
        return answer

    async def _go(self) -> None:
        await asyncio.sleep(self._rng.uniform(*ONE_WAY))

    async def _answer(self, fields: dict[str, str]) -> _Answer:
        self._live.catch_up()
        now = self._centre.now
        if any(since <= now < until for since, until in self.faults.outages):
            raise _refused()
        if fields["service"] == _STATUS and self._rng.random() < self.faults.failing:
            return await self._fail(fields)
        body = self._platform.answer(fields)
        if (back_end := self._platform.faults.back_end) is not None:
            now -= back_end.behind
        if fields["service"] == _STATUS and body.startswith(b'{"ret":200'):
            self.last = self._given(fields, body, now)
            body = self.last.body
        return _Answer(body)

    async def _fail(self, fields: dict[str, str]) -> _Answer:
        match self._rng.randrange(6):
            case 0:
                raise _refused()
            case 1:
                await asyncio.sleep(_SILENCE)
            case 2:
                return _Answer(b"<html>Bad Gateway</html>", 502)
            case 3:
                body = self._platform.answer(fields)
                return _Answer(body[: len(body) // 2])
            case 4:
                self._platform.refuse(500)
            case _:
                self._platform.fail("1001")
        return _Answer(self._platform.answer(fields))

    def _given(self, fields: dict[str, str], body: bytes, now: float) -> Given:
        chance = self._rng.random()
        if chance < self.faults.stale and self._stale_in_a_row < 2 and (old := self._old()) is not None:
            self._stale_in_a_row += 1
            return old
        self._stale_in_a_row = 0
        had_absent = self._was_absent
        given = Given(body=self._damaged(body), instant=now)
        if chance > 1 - self.faults.blank and self._recent and not self._recent[-1].blank and not had_absent:
            given = Given(body=self._platform.answer({**fields, "queuename": _NOWHERE}), instant=now, blank=True)
        self._recent.append(given)
        return given

    def _damaged(self, body: bytes) -> bytes:
        """Return an answer's body with blank counters, or without one of its seats."""
        faults = self.faults
        if faults.blank_counters and self._rng.random() < faults.blank_counters:
            blank = self._rng.choice([rb'"\1":null', rb'"\1":""', rb'"\1_":0'])
            body = _COUNTER.sub(blank, body, count=self._rng.randint(1, 20))
        was_there = not self._was_absent and not (self._recent and self._recent[-1].blank)
        is_absent = faults.absent > 0 and was_there and self._rng.random() < faults.absent
        if is_absent:
            body = body.replace(self._rng.choice(_RECORD.findall(body)), b"", 1)
        self._was_absent = is_absent
        return body

    def _old(self) -> Given | None:
        """Return the newest answer that is old enough for `rsptime` to show its age."""
        return next(
            (
                given
                for given in reversed(self._recent)
                if given.instant <= self._recent[-1].instant - STALE_BY and not given.blank
            ),
            None,
        )


class _Exchange:
    """The context manager that ``session.post(...)`` returns."""

    def __init__(self, network: Network, fields: dict[str, str]) -> None:
        self._network = network
        self._fields = fields

    async def __aenter__(self) -> _Answer:
        return await self._network.answer(self._fields)

    async def __aexit__(self, *_: object) -> None:
        return None


class _Answer:
    """The part of an `aiohttp.ClientResponse` that a client uses."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.status = status
        self.ok = status < 400
        self.charset = "utf-8"
        self.headers: dict[str, str] = {}
        self._rest = body

    @property
    def content(self) -> Self:
        """The body's stream."""
        return self

    def at_eof(self) -> bool:
        """Return whether the whole body has been read."""
        return not self._rest

    async def readany(self) -> bytes:
        """Return the rest of the body."""
        read, self._rest = self._rest, b""
        return read


def _refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, "connection refused")
